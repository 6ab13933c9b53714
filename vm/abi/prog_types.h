/*
 * Program types, section names and context layouts, from prog_types.def, sections.def and ctx.def.
 */
#ifndef VM_ABI_PROG_TYPES_H
#define VM_ABI_PROG_TYPES_H

#include <stdbool.h>
#include <stdint.h>

/* What a field of a context yields when it is loaded. */
enum ctx_field_kind {
    CTX_PLAIN,       /* the bytes that stand there */
    CTX_PACKET,      /* a 32-bit field that yields the 64-bit start of the packet (data) */
    CTX_PACKET_END,  /* data_end */
    CTX_PACKET_META, /* data_meta */
    CTX_POINTER,     /* a 64-bit pointer that stands there (sk, flow_keys, arguments) */
};

enum { CTX_READ = 1, CTX_WRITE = 2 };

struct ctx_field {
    const char *name;
    uint16_t off, size;
    uint8_t kind;   /* enum ctx_field_kind */
    uint8_t access; /* CTX_READ | CTX_WRITE */
    bool narrow;    /* may be loaded in part */
};

struct ctx_layout {
    const char *name; /* "xdp_md" */
    uint32_t size;    /* what the program may see; 0: as long as the run's context is (raw records, args) */
    const struct ctx_field *fields; /* sorted by offset; none: plain memory, readable */
    uint32_t n_fields;
    bool has_packet;
};

/** The field at this offset, or NULL. */
const struct ctx_field *ctx_field_at(const struct ctx_layout *layout, uint32_t off);

struct prog_type {
    uint32_t id;                 /* BPF_PROG_TYPE_* */
    const char *name;            /* "xdp", as bpftool writes it */
    const struct ctx_layout *ctx;
    int32_t ret_min, ret_max;    /* what Linux lets the program return; min > max: anything */
    const char *const *verdicts; /* names of return values from 0, NULL-terminated; NULL: none */
};

const struct prog_type *prog_type_find(uint32_t id);
const struct prog_type *prog_type_by_name(const char *name);

struct section_def {
    const char *prefix;            /* "xdp", "kprobe", "tp_btf" ...: as libbpf's table has them */
    uint32_t type;                 /* BPF_PROG_TYPE_* */
    uint32_t attach_type;          /* BPF_* attach type, 0 where there is none */
    bool exact;                    /* nothing may follow the prefix */
    bool target_required;          /* "prefix/target" is needed */
    bool sleepable;
};

/** libbpf's reading of a SEC() name: what type and attach type it means, and its target ("" for none; points into name).
 *  A leading '?' (do not load by itself) is the caller's to strip. @return NULL: no such section. */
const struct section_def *section_find(const char *name, const char **target);

#endif
