/*
 * A CO-RE spec: which part of a type a relocation means. Parsed from an access string over the object's types; found
 * again in a candidate of the target. Inside of loader/core_*.c only.
 *
 * raw[] is the access string, one index a step; acc[] are the steps that carry meaning over to another type: the
 * pointer's index, named members (anonymous ones are passed through) and elements. bit_off is the sum of all steps.
 */
#ifndef LOADER_CORE_SPEC_H
#define LOADER_CORE_SPEC_H

#include "base/buf.h"
#include "loader/core_relo.h"

enum { CORE_SPEC_MAX = 64 };

struct core_accessor {
    uint32_t
        type_id; /* with a name: the struct that holds the member; else: the element's type; enum values: the enum */
    uint32_t idx;
    const char *name; /* NULL for elements */
};

struct core_spec {
    const struct btf *btf;
    uint32_t root;
    enum core_kind kind;
    struct core_accessor acc[CORE_SPEC_MAX];
    uint32_t raw[CORE_SPEC_MAX];
    uint32_t n_acc, n_raw;
    uint64_t bit_off;
};

/* Why a candidate did not match, kept for the message. */
struct core_miss {
    enum { CORE_MISS_NONE, CORE_MISS_MEMBER, CORE_MISS_TYPE, CORE_MISS_INDEX, CORE_MISS_VALUE, CORE_MISS_KIND } what;
    uint32_t type_id; /* of the target: where it was looked for */
    const char *name;
    uint32_t idx;
};

/* Comparing types takes steps; their sum over an object is bounded, since names and nesting may be made to multiply. */
struct core_match {
    const struct btf *local, *target;
    uint64_t steps; /* left */
    struct core_miss miss;
};

static inline bool core_is_type(enum core_kind kind)
{
    return kind == CORE_TYPE_ID_LOCAL || kind == CORE_TYPE_ID_TARGET || kind == CORE_TYPE_EXISTS ||
           kind == CORE_TYPE_SIZE || kind == CORE_TYPE_MATCHES;
}

static inline bool core_is_enumval(enum core_kind kind)
{
    return kind == CORE_ENUMVAL_EXISTS || kind == CORE_ENUMVAL_VALUE;
}

static inline bool core_is_enum(const struct btf_type *t)
{
    return btf_kind(t) == BTF_ENUM || btf_kind(t) == BTF_ENUM64;
}

/** Parses relo's access string over btf. @return 0, -EINVAL, -E2BIG. */
int core_spec_parse(const struct btf *btf, const struct core_relo *relo, struct core_spec *spec);
/** "struct foo.bar[2] (0:1:2 @ offset 12)", "enum e::VALUE = 1", "struct foo". */
void core_spec_text(const struct core_spec *spec, struct buf *out);

/** Looks for local in the target's type id. @return 1 and *found; 0 and m->miss; -EINVAL, -E2BIG (too deep, or no steps
 * left). */
int core_spec_match(struct core_match *m, const struct core_spec *local, uint32_t id, struct core_spec *found);

/** May one kind stand for the other? */
bool core_kinds_compat(const struct btf_type *a, const struct btf_type *b);

/* The two relations between types, by libbpf's rules. @return 1, 0 or negative. */
int core_types_compat(struct core_match *m, uint32_t local, uint32_t target, int level);
int core_types_match(struct core_match *m, uint32_t local, uint32_t target, bool behind_ptr, int level);

#endif
