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

#ifdef __cplusplus
}
#endif

#endif
