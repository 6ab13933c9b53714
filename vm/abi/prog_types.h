/*
 * Program types, attach types, section names and context layouts, from prog_types.def, attach_types.def, sections.def
 * and ctx.def. Numbers are Linux's; the names are ours, since a system's linux/bpf.h may be older.
 */
#ifndef VM_ABI_PROG_TYPES_H
#define VM_ABI_PROG_TYPES_H

#include <stdbool.h>
#include <stdint.h>

enum prog_type_id {
#define PROG_TYPE(id, name, text, ctx, range, verdicts, traits) PROG_TYPE_##name = id,
#include "vm/abi/prog_types.def"
    PROG_TYPE_COUNT
};

enum attach_type_id {
#define ATTACH_TYPE(id, name, text) ATTACH_##name = id,
#include "vm/abi/attach_types.def"
    ATTACH_TYPE_COUNT
};

/* What a field of a context yields when it is loaded. */
enum ctx_field_kind {
    CTX_PLAIN,       /* the bytes that stand there */
    CTX_PACKET,      /* the 64-bit start of the packet, though the field may have 32 bits (data) */
    CTX_PACKET_END,  /* data_end */
    CTX_PACKET_META, /* data_meta */
    /* A 64-bit pointer that stands there: */
    CTX_SOCKET,              /* a full socket */
    CTX_SOCKET_OR_NULL,      /* the same, if there is one */
    CTX_SOCK_COMMON_OR_NULL, /* a socket in any state, if there is one */
    CTX_FLOW_KEYS,           /* a struct bpf_flow_keys */
};

/* CAPABLE: only with CAP_BPF. */
enum { CTX_READ = 1, CTX_WRITE = 2, CTX_READ_CAPABLE = 4, CTX_WRITE_CAPABLE = 8 };

struct ctx_field {
    const char *name;
    uint16_t off, size;
    uint8_t kind;   /* enum ctx_field_kind */
    uint8_t access; /* CTX_READ | CTX_WRITE | ..._CAPABLE; 0: named, but this program type may not touch it */
    uint8_t narrow; /* the smallest part that may be loaded; 0: only all of it */
    uint8_t begins; /* parts begin below this byte of it */
    uint8_t unit;   /* stores, and loads that are not narrow, have a multiple of so many bytes */
};

/* How a layout gives packet pointers out: fields of 4 bytes cannot hold one and yield it when they are loaded, fields
 * of 8 bytes hold it, as of any pointer. */
enum ctx_packet { CTX_NO_PACKET, CTX_PACKET_YIELDED, CTX_PACKET_HELD };

struct ctx_layout {
    const char *name; /* "xdp_md" */
    uint32_t size;    /* what the program may see; 0: as long as the run's context is (raw records, args) */
    const struct ctx_field *fields; /* sorted by offset; none: plain memory */
    uint32_t n_fields;
    uint8_t packet; /* enum ctx_packet */
    uint8_t access; /* plain memory: CTX_READ | CTX_WRITE */
};

/** The field at this offset, or NULL. */
const struct ctx_field *ctx_field_at(const struct ctx_layout *layout, uint32_t off);

/** May a program load (CTX_READ) or store (CTX_WRITE) so many bytes there? For layouts with fields. */
bool ctx_field_allows(const struct ctx_field *field, uint32_t off, uint32_t size, unsigned access);

enum prog_trait {
    PROG_PKT_READ = 1,      /* packet pointers may be read through */
    PROG_PKT_WRITE = 2,     /* and written through */
    PROG_PKT_HELPERS = 4,   /* every helper takes packet pointers as memory */
    PROG_LD_ABS = 8,        /* BPF_LD_ABS and BPF_LD_IND */
    PROG_TYPED_ARGS = 16,   /* what the context holds has the types of a BTF prototype */
    PROG_UNPRIVILEGED = 32, /* may be loaded without capabilities */
    PROG_NO_LOCKS = 64,     /* may not use maps with a struct bpf_spin_lock */
    PROG_ANYWHERE = 128     /* runs wherever the kernel is: no timers, work queues, lists, trees in its maps */
};

struct prog_type {
    uint32_t id;      /* PROG_TYPE_* */
    const char *name; /* "xdp", as bpftool writes it */
    const struct ctx_layout *ctx;
    int32_t ret_min, ret_max;    /* what Linux lets the program return; min > max: anything */
    const char *const *verdicts; /* names of return values from 0, NULL-terminated; NULL: none */
    uint8_t traits;              /* enum prog_trait */
};

const struct prog_type *prog_type_find(uint32_t id);
const struct prog_type *prog_type_by_name(const char *name);
/** What a return value is called ("XDP_DROP"), NULL where it has no name. */
const char *prog_type_verdict(const struct prog_type *type, int32_t retval);

struct prog_range {
    int32_t min, max; /* min > max: anything */
};

/** What Linux lets a program of this type return that is made for this attach type. */
struct prog_range prog_type_returns(const struct prog_type *type, uint32_t attach_type);

/** "trace_fentry", as bpftool writes it; NULL for an unknown number. */
const char *attach_type_name(uint32_t id);

struct section_def {
    const char *prefix;   /* "xdp", "kprobe", "tp_btf" ...: as libbpf's table has them */
    uint32_t type;        /* PROG_TYPE_* */
    uint32_t attach_type; /* ATTACH_*, 0 where there is none */
    bool exact;           /* nothing may follow the prefix; otherwise "/target" may */
    bool sleepable;
    bool frags; /* takes packets of several buffers */
};

/** libbpf's reading of a SEC() name: what type and attach type it means, and its target ("" for none; points into
 * name). A leading '?' (do not load by itself) is the caller's to strip. @return NULL: no such section. */
const struct section_def *section_find(const char *name, const char **target);

/** How libbpf before 1.0 read a name, which older objects were written for: the longest name of the table that it
 * begins with ("xdp_fw", "classifier/ingress", "kprobe_open"). @return NULL: not so either. */
const struct section_def *section_guess(const char *name);

#endif
