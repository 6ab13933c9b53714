/*
 * LPM_TRIE's operations: see lpm.h for the trie. A key is its prefix length, 4 bytes, and data whose bits count from
 * the highest of the first byte. A lookup with a prefix length below the data's finds prefixes of at most that length,
 * for programs and hosts alike. Keys keep the bits after their prefix, as who stored them wrote them.
 */
#include "vm/maps/lpm.h"
#include "vm/maps/types.h"

#include <errno.h>
#include <stdlib.h>

enum {
    MIN_KEY = LPM_HEAD + 1,
    MAX_KEY = LPM_HEAD + LPM_MAX_DATA,
    LINUX_NODE = 24, /* sizeof(struct lpm_trie_node), which Linux counts against the value */
    FIRST_CHUNK = 256,
};

static int check(const struct map_def *def, const struct log *log)
{
    if (!(def->flags & MAP_F_NO_PREALLOC))
        return log_fail(log, -EINVAL, "map '%s': a trie needs BPF_F_NO_PREALLOC", def->name);
    if (def->key_size < MIN_KEY || def->key_size > MAX_KEY)
        return log_fail(log, -EINVAL, "map '%s': a trie's keys have %d to %d bytes, not %u", def->name, MIN_KEY,
                        MAX_KEY, def->key_size);
    if (def->value_size > MAP_KMALLOC_MAX - LPM_MAX_DATA - LINUX_NODE)
        return log_fail(log, -EINVAL, "map '%s': a value of %u bytes is too large", def->name, def->value_size);
    return 0;
}

static void destroy(struct map *map)
{
    struct lpm *t = map->priv;

    if (!t)
        return;
    lpm_free_nodes(t->root);
    pool_destroy(&t->pool);
    free(t);
    map->priv = NULL;
}

static int create(struct map *map, const struct log *log)
{
    const struct map_def *def = &map->def;
    uint32_t first = def->max_entries < FIRST_CHUNK ? def->max_entries : FIRST_CHUNK;
    struct lpm *t = NULL;

    if (posix_memalign((void **)&t, 64, sizeof(*t)))
        return log_fail(log, -ENOMEM, "map '%s': out of memory", def->name);
    memset(t, 0, sizeof(*t));
    t->data_size = def->key_size - LPM_HEAD;
    t->max_prefix = t->data_size * 8;
    t->n_words = (t->data_size + 7) / 8;
    /* A zero word follows the key's last one. */
    t->value_off = (uint32_t)sizeof(struct elem) + 8 * (t->n_words + 1);
    map->priv = t;
    if (pool_init(&t->pool, t->value_off + round_up8(def->value_size), 0, first, UINT32_MAX - 1, UINT32_MAX - 1, 0)) {
        destroy(map);
        return log_fail(log, -ENOMEM, "map '%s': no memory for %u + %u bytes", def->name, def->key_size,
                        def->value_size);
    }
    return 0;
}

/* ---- Keys ---- */

static inline uint64_t read_be(const unsigned char *p, uint32_t size)
{
    uint64_t w = 0;

    memcpy(&w, p, size);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    w = __builtin_bswap64(w);
#endif
    return w;
}

/* The words of a key's data and a zero after them; size is a constant where a lookup was made for it. */
static inline __attribute__((always_inline)) void read_words(const unsigned char *data, uint32_t size, uint64_t *words)
{
    for (; size >= 8; size -= 8, data += 8)
        *words++ = read_be(data, 8);
    if (size == 4)
        *words++ = read_be(data, 4);
    else if (size)
        *words++ = read_be(data, size);
    *words = 0;
}

static inline uint32_t read_prefix(const void *key)
{
    uint32_t prefix;

    memcpy(&prefix, key, sizeof(prefix));
    return prefix;
}

static void write_key(const struct lpm *t, const struct elem *e, void *key)
{
    unsigned char *to = key;

    memcpy(to, &e->hash, LPM_HEAD);
    for (uint32_t i = 0; i < t->data_size; i++)
        to[LPM_HEAD + i] = (unsigned char)(lpm_words(e)[i / 8] >> (56 - i % 8 * 8));
}

/* ---- Lookups ---- */

static inline __attribute__((always_inline)) bool skipped_agree(const struct lpm_node *n, const uint64_t *words)
{
    uint32_t at = (uint32_t)n->bit - n->skip, left = n->skip;

    for (const uint64_t *bits = n->rest; left; bits++, at += 64) {
        uint64_t differ = lpm_bits(words, at) ^ *bits;

        if (left <= 64)
            return differ >> (64 - left) == 0;
        if (differ)
            return false;
        left -= 64;
    }
    return true;
}

/* The longest prefix of a whole key. */
static inline __attribute__((always_inline)) struct elem *find_whole(const struct lpm *t, const uint64_t *words)
{
    lpm_ref ref = lpm_load(&t->root);
    struct elem *best = NULL;

    while (ref && !lpm_is_entry(ref)) {
        struct lpm_node *n = lpm_node(ref);
        uint32_t six;

        if (n->skip && !skipped_agree(n, words))
            return best;
        six = lpm_six(words, n->bit);
        if (n->starts) {
            uint64_t e = lpm_best(n)[__builtin_popcountll(n->starts & ((2ull << six) - 1)) - 1];

            if (e)
                best = (struct elem *)(uintptr_t)e;
        }
        if (!(n->kids >> six & 1))
            return best;
        ref = lpm_load(&lpm_kids(n)[__builtin_popcountll(n->kids & ((1ull << six) - 1))]);
    }
    if (ref && lpm_agree(lpm_words(lpm_entry(ref)), words, lpm_prefix(lpm_entry(ref))))
        best = lpm_entry(ref);
    return best;
}

/* The longest of a node's own prefixes that has at most `most` bits. */
static struct elem *own_up_to(struct lpm_node *n, const uint64_t *words, uint32_t most)
{
    struct elem *best = NULL;

    for (unsigned i = 0; i < n->n_own; i++) {
        struct elem *e = (struct elem *)(uintptr_t)lpm_own(n)[i];

        if (lpm_prefix(e) <= most && (!best || lpm_prefix(best) < lpm_prefix(e)) &&
            lpm_agree(lpm_words(e), words, lpm_prefix(e)))
            best = e;
    }
    return best;
}

/* The longest prefix of a key that is itself a prefix. */
static struct elem *find_up_to(const struct lpm *t, const uint64_t *words, uint32_t most)
{
    lpm_ref ref = lpm_load(&t->root);
    struct elem *best = NULL;

    while (ref && !lpm_is_entry(ref)) {
        struct lpm_node *n = lpm_node(ref);
        uint32_t six;
        struct elem *own;

        if (n->bit > most || !skipped_agree(n, words))
            return best;
        own = own_up_to(n, words, most);
        if (own)
            best = own;
        six = lpm_six(words, n->bit);
        if (!(n->kids >> six & 1))
            return best;
        ref = lpm_load(&lpm_kids(n)[__builtin_popcountll(n->kids & ((1ull << six) - 1))]);
    }
    if (ref && lpm_prefix(lpm_entry(ref)) <= most &&
        lpm_agree(lpm_words(lpm_entry(ref)), words, lpm_prefix(lpm_entry(ref))))
        best = lpm_entry(ref);
    return best;
}

static struct elem *find(const struct lpm *t, const uint64_t *words, uint32_t prefix)
{
    return prefix == t->max_prefix ? find_whole(t, words) : find_up_to(t, words, prefix);
}

static inline __attribute__((always_inline)) void *lookup_sized(const struct lpm *t, const unsigned char *key,
                                                                uint32_t size, uint64_t *words)
{
    uint32_t prefix = read_prefix(key);
    struct elem *e;

    if (prefix > size * 8)
        return NULL;
    read_words(key + LPM_HEAD, size, words);
    e = __builtin_expect(prefix == size * 8, 1) ? find_whole(t, words) : find_up_to(t, words, prefix);
    return e ? (unsigned char *)e + t->value_off : NULL;
}

#define LOOKUP(name, size, n_words)                                                                                    \
    static void *lookup_##name(struct map *map, const void *key, uint32_t cpu)                                         \
    {                                                                                                                  \
        const struct lpm *t = map->priv;                                                                               \
        uint64_t words[(n_words) + 1];                                                                                 \
                                                                                                                       \
        (void)cpu;                                                                                                     \
        return lookup_sized(t, key, size, words);                                                                      \
    }

/* Nodes are counted into, for which most processors have an instruction. */
#if defined(__x86_64__)
#define COUNTS __attribute__((target("popcnt")))
#else
#define COUNTS
#endif

LOOKUP(any, t->data_size, LPM_MAX_WORDS)
COUNTS LOOKUP(4, 4, 1) COUNTS LOOKUP(8, 8, 1) COUNTS LOOKUP(16, 16, 2) COUNTS LOOKUP(20, 20, 3) COUNTS
    LOOKUP(counts, t->data_size, LPM_MAX_WORDS)

        static map_lookup_fn fast_lookup(const struct map *map)
{
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("popcnt"))
        return lookup_any;
#endif
    switch (map->def.key_size - LPM_HEAD) {
    case 4: return lookup_4;
    case 8: return lookup_8;
    case 16: return lookup_16;
    case 20: return lookup_20;
    default: return lookup_counts;
    }
}

static void *lookup(struct map *map, const void *key, uint32_t cpu)
{
    return map->lookup(map, key, cpu);
}

/* ---- Writers, and the host ---- */

static int update(struct map *map, const void *key, const void *value, uint64_t flags, uint32_t cpu)
{
    struct lpm *t = map->priv;
    uint32_t prefix = read_prefix(key);
    struct elem *e, *old;
    int err;

    (void)cpu;
    if (flags > MAP_EXIST || prefix > t->max_prefix)
        return -EINVAL;
    e = pool_take(&t->pool);
    if (!e)
        return -ENOMEM;
    e->hash = prefix;
    read_words((const unsigned char *)key + LPM_HEAD, t->data_size, (uint64_t *)e->key);
    copy_in((unsigned char *)e + t->value_off, value, map->def.value_size);
    map_lock(&t->lock);
    err = lpm_insert(t, e, map->def.max_entries, flags, &old);
    map_unlock(&t->lock);
    if (err)
        pool_give(&t->pool, e);
    else if (old)
        pool_give_later(&t->pool, old);
    return err;
}

static int remove_key(struct map *map, const void *key)
{
    struct lpm *t = map->priv;
    uint64_t words[LPM_MAX_WORDS + 1];
    uint32_t prefix = read_prefix(key);
    struct elem *e;
    int err;

    if (prefix > t->max_prefix)
        return -EINVAL;
    read_words((const unsigned char *)key + LPM_HEAD, t->data_size, words);
    map_lock(&t->lock);
    e = lpm_remove(t, words, prefix, &err);
    map_unlock(&t->lock);
    if (e)
        pool_give_later(&t->pool, e);
    return err;
}

static int next_key(struct map *map, const void *key, void *next)
{
    struct lpm *t = map->priv;
    uint64_t words[LPM_MAX_WORDS + 1];
    bool begun = key && read_prefix(key) <= t->max_prefix;
    struct elem *e;

    if (begun)
        read_words((const unsigned char *)key + LPM_HEAD, t->data_size, words);
    map_lock(&t->lock);
    e = lpm_next(t, begun ? words : NULL, begun ? read_prefix(key) : 0);
    if (e)
        write_key(t, e, next);
    map_unlock(&t->lock);
    return e ? 0 : -ENOENT;
}

static int host_lookup(struct map *map, const void *key, void *value, uint64_t flags)
{
    struct lpm *t = map->priv;
    uint64_t words[LPM_MAX_WORDS + 1];
    uint32_t prefix = read_prefix(key);
    struct elem *e;

    (void)flags;
    if (prefix > t->max_prefix)
        return -ENOENT;
    read_words((const unsigned char *)key + LPM_HEAD, t->data_size, words);
    map_lock(&t->lock);
    e = find(t, words, prefix);
    if (e)
        copy_out(value, (unsigned char *)e + t->value_off, map->def.value_size);
    map_unlock(&t->lock);
    return e ? 0 : -ENOENT;
}

static bool find_region(struct map *map, uintptr_t addr, struct map_region *out)
{
    const struct lpm *t = map->priv;
    const struct pool_chunk *c = pool_chunk_of(&t->pool, addr);

    if (!c)
        return false;
    *out = (struct map_region){.base = (uintptr_t)c->base,
                               .size = (uint64_t)c->count * t->pool.stride,
                               .stride = (uint32_t)t->pool.stride,
                               .elem_off = t->value_off,
                               .elem_size = map->def.value_size,
                               .read_only = map->def.flags & MAP_F_RDONLY_PROG};
    return true;
}

const struct map_ops map_lpm_trie_ops = {
    .check = check,
    .create = create,
    .destroy = destroy,
    .lookup = lookup,
    .fast_lookup = fast_lookup,
    .update = update,
    .remove = remove_key,
    .next_key = next_key,
    .host_lookup = host_lookup,
    .host_batch = map_batch_by_key,
    .batch_deletes = true,
    .find_region = find_region,
};
