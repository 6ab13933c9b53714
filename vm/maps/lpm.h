/*
 * LPM_TRIE: prefixes of bit strings, of which a lookup finds the longest that the key begins with.
 *
 * A tree over six bits at a time. A node looks at the six bits from `bit` on, a multiple of six. Prefixes that end
 * inside these six bits are its own; what is longer lies below the kid of its six bits, where a single prefix stands as
 * itself and several share a node. A node whose six bits do not follow its parent's carries the bits between, on which
 * all below it agree. Every node but for the moment of its making has two things or more.
 *
 * Nodes never change, but that a kid is replaced by another: writers make a new node, under the lock, and retire the
 * old one. Readers take no lock and are in an epoch. So are entries never written once they are linked, but for their
 * value, which belongs to the programs.
 */
#ifndef VM_MAPS_LPM_H
#define VM_MAPS_LPM_H

#include "vm/maps/pool.h"

enum {
    LPM_BITS = 6,
    LPM_KIDS = 1 << LPM_BITS,
    LPM_HEAD = 4, /* of a key: its prefix length */
    LPM_MAX_DATA = 256,
    LPM_MAX_WORDS = LPM_MAX_DATA / 8,
    LPM_MAX_DEPTH = 8 * LPM_MAX_DATA / LPM_BITS + 1,
};

/* What a link says: 0 nothing, an entry's address + 1, or a node's address. */
typedef uint64_t lpm_ref;

struct lpm_node {
    uint64_t kids;   /* bit v: there is a kid for the six bits v */
    uint64_t starts; /* bit v: the longest own prefix of v differs from that of v - 1; 0: no own prefixes */
    uint16_t bit, skip;
    uint8_t n_skip, n_kids, n_best, n_own;
    /* n_skip words of skipped bits from the highest bit on, n_kids references (atomic) in the order of v, n_best
     * entries or 0, one for each bit of starts, and n_own own prefixes. */
    uint64_t rest[];
};

struct lpm {
    lpm_ref root; /* atomic */
    uint32_t data_size, max_prefix, n_words;
    uint32_t value_off; /* from an entry */
    struct map_lock lock;
    uint32_t count;
    uint64_t node_bytes;
    struct pool pool;
};

/* An entry is an element of the pool: `hash` is its prefix length, `key` the words of its data, the highest bit first.
 */
static inline uint32_t lpm_prefix(const struct elem *e)
{
    return e->hash;
}

static inline const uint64_t *lpm_words(const struct elem *e)
{
    return (const uint64_t *)e->key;
}

static inline lpm_ref lpm_ref_entry(const struct elem *e)
{
    return (uintptr_t)e + 1;
}

static inline bool lpm_is_entry(lpm_ref ref)
{
    return ref & 1;
}

static inline struct elem *lpm_entry(lpm_ref ref)
{
    return (struct elem *)(uintptr_t)(ref - 1);
}

static inline struct lpm_node *lpm_node(lpm_ref ref)
{
    return (struct lpm_node *)(uintptr_t)ref;
}

static inline lpm_ref lpm_load(const lpm_ref *link)
{
    return __atomic_load_n(link, __ATOMIC_ACQUIRE);
}

static inline lpm_ref *lpm_kids(struct lpm_node *n)
{
    return n->rest + n->n_skip;
}

static inline uint64_t *lpm_best(struct lpm_node *n)
{
    return n->rest + n->n_skip + n->n_kids;
}

static inline uint64_t *lpm_own(struct lpm_node *n)
{
    return n->rest + n->n_skip + n->n_kids + n->n_best;
}

/* 64 bits of a key from this one on; a zero word stands after the key's last. */
static inline uint64_t lpm_bits(const uint64_t *words, uint32_t at)
{
    uint32_t shift = at % 64;

    return shift ? words[at / 64] << shift | words[at / 64 + 1] >> (64 - shift) : words[at / 64];
}

/* The six bits that a node looks at. */
static inline uint32_t lpm_six(const uint64_t *words, uint32_t bit)
{
    return (uint32_t)(lpm_bits(words, bit) >> (64 - LPM_BITS));
}

/* Do the first n bits agree? */
static inline bool lpm_agree(const uint64_t *a, const uint64_t *b, uint32_t n)
{
    for (; n >= 64; n -= 64)
        if (*a++ != *b++)
            return false;
    return !n || (*a ^ *b) >> (64 - n) == 0;
}

/** Puts an entry in; flags as for an update. @return 0 and *old the entry that it replaces or NULL; -EEXIST, -ENOENT,
 * -ENOSPC, -ENOMEM. */
int lpm_insert(struct lpm *t, struct elem *e, uint32_t max_entries, uint64_t flags, struct elem **old);
/** Takes the entry of this very prefix out. @return NULL and *err: -ENOENT, -ENOMEM. */
struct elem *lpm_remove(struct lpm *t, const uint64_t *words, uint32_t prefix, int *err);
/** The entry after that of this prefix, longer ones before those that they begin with; the first when there is none of
 * it or words is NULL. NULL: there is no further. */
struct elem *lpm_next(struct lpm *t, const uint64_t *words, uint32_t prefix);
/** Frees all nodes, when nobody looks any more. */
void lpm_free_nodes(lpm_ref ref);

#endif
