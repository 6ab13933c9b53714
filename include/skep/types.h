/*
 * What every public header of skep needs: the instruction, log levels, and the marker of exported functions.
 */
#ifndef SKEP_TYPES_H
#define SKEP_TYPES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef SKEP_API
#define SKEP_API __attribute__((visibility("default")))
#endif

/** One eBPF instruction of 8 bytes, as in RFC 9669 and Linux's struct bpf_insn (fields in the host's byte order). */
struct skep_insn {
    uint8_t code;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint8_t dst_reg : 4, src_reg : 4;
#else
    uint8_t src_reg : 4, dst_reg : 4;
#endif
    int16_t off;
    int32_t imm;
};

enum skep_log_level { SKEP_LOG_ERROR, SKEP_LOG_WARN, SKEP_LOG_INFO, SKEP_LOG_DEBUG };

/** Receives one message, one or several lines, without a newline at its end. Called by the thread that works. */
typedef void (*skep_log_fn)(void *ctx, enum skep_log_level level, const char *text);

/** The state of one run, handed to helpers; opaque. */
struct skep_env;

/** A helper: five arguments, one result. All it may change of the run goes through env. */
typedef uint64_t (*skep_helper_fn)(struct skep_env *env, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                                   uint64_t a5);

/**
 * What a run would have done to the world outside of it: a packet sent or redirected, a key pressed. Told of while the
 * run lasts; all pointers are borrowed until the callback returns. What does not apply is 0 or NULL.
 */
struct skep_effect {
    size_t sz;
    const char *what;   /* "redirect", "clone_redirect", "tx", "redirect_map", "sk_redirect", "rc_keydown" ... */
    uint32_t ifindex;   /* the interface that it goes to */
    uint64_t flags;     /* as the program gave them */
    const char *map;    /* the map that it goes through, and the key there */
    uint64_t key;       /* of maps whose keys have 4 bytes */
    uint64_t socket;    /* the cookie of the socket that gets it */
    const void *data;   /* the packet as it leaves */
    uint32_t data_size; /* its bytes; those in fragments included */
    uint64_t args[3];   /* numbers that belong to `what`: rc_keydown: protocol, scancode, toggle */
};

#ifdef __cplusplus
}
#endif

#endif
