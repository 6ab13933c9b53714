/*
 * The inside of a struct btf, for the files of this room only. Everything but the index is final when btf_parse()
 * returns; the index is made once under `lock` and published by `index_ready`.
 *
 * Own types are those of ids [first, count); lower ids are the base's. offs[] says where each stands, sizes[] how many
 * bytes a value of it takes (BTF_UNSIZED: none), so that no reader follows a chain of arrays and typedefs for it.
 */
#ifndef VM_BTF_STORE_H
#define VM_BTF_STORE_H

#include "vm/btf/btf.h"
#include <pthread.h>
#include <stddef.h>

#define BTF_UNSIZED UINT32_MAX

enum {
    BTF_MAX_DEPTH = 96,       /* of types inside types: members, elements, typedefs and modifiers */
    BTF_MAX_STRING = 1 << 16, /* bytes of one string; source lines are the long ones */
};

/* One name. `hash` is of the essential name: what stands before the last ___ of CO-RE's flavours. */
struct btf_index_entry {
    uint32_t hash, id, next; /* next: in entries, +1; 0 ends */
};

/* A hash table of names; chains run in ascending order of ids. */
struct btf_index {
    uint32_t *heads; /* into entries, +1 */
    struct btf_index_entry *entries;
    uint32_t mask, n;
};

/* Data types and code symbols are looked up by different users; vmlinux has far more of the latter. */
enum { BTF_INDEX_TYPES, BTF_INDEX_SYMBOLS, BTF_INDEX_COUNT };

struct btf {
    const struct btf *base;
    uint32_t first, count;
    uint32_t first_str, end_str; /* own string offsets */
    const unsigned char *types;
    const char *strs; /* of offset first_str */
    uint32_t *offs, *sizes;
    unsigned char *kinds; /* so that asking for a kind touches less memory */
    uint32_t n_named[BTF_INDEX_COUNT];
    void *owned;        /* what holds types and strs; NULL when borrowed */
    size_t mapped_size; /* owned is a mapping of this size; 0: from malloc */
    struct btf_index index[BTF_INDEX_COUNT];
    bool index_ready[BTF_INDEX_COUNT]; /* atomic */
    pthread_mutex_t lock;
};

extern const struct btf_type btf_void_type;

/* The type of an id that is known to be good. */
static inline const struct btf_type *btf_at(const struct btf *btf, uint32_t id)
{
    if (!id)
        return &btf_void_type;
    while (id < btf->first)
        btf = btf->base;
    return (const struct btf_type *)(const void *)(btf->types + btf->offs[id - btf->first]);
}

static inline unsigned btf_kind_of(const struct btf *btf, uint32_t id)
{
    while (id < btf->first)
        btf = btf->base;
    return btf->kinds[id - btf->first];
}

static inline uint32_t btf_size_of(const struct btf *btf, uint32_t id)
{
    while (id < btf->first)
        btf = btf->base;
    return btf->sizes[id - btf->first];
}

/* What is always true of a kind. */
struct btf_kind_row {
    const char *name;
    uint8_t fixed, each;         /* bytes behind the common part: for the type, and for each of its vlen items */
    uint8_t index;               /* where its name is looked up: BTF_INDEX_* */
    uint8_t depth;               /* 1: nothing is inside it; 0: to be measured */
    uint32_t size_mask, size_or; /* a value's size, from the type's size field; measure() does the rest */
};

extern const struct btf_kind_row btf_kinds[32];

/* Which index holds names of this kind; BTF_INDEX_COUNT: none. */
static inline unsigned btf_index_of(unsigned kind)
{
    return kind <= BTF_ENUM64 ? btf_kinds[kind].index : (unsigned)BTF_INDEX_COUNT;
}

/* Is this a typedef, or one of const, volatile, restrict and type tags? */
static inline bool btf_is_modifier(unsigned kind)
{
    return kind == BTF_TYPEDEF || kind == BTF_VOLATILE || kind == BTF_CONST || kind == BTF_RESTRICT ||
           kind == BTF_TYPE_TAG;
}

const char *btf_kind_name(unsigned kind);             /* "STRUCT" */
bool btf_is_char(const struct btf *btf, uint32_t id); /* C's char: an array of it may be text */
void btf_index_free(struct btf *btf);

/* Checks every own type, and fills in offs, sizes and n_named. types and strs stand, in the host's byte order. */
int btf_validate(struct btf *btf, size_t types_len, const struct log *log);

#endif
