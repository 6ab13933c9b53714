/*
 * STACK_TRACE: call stacks by number, which bpf_get_stackid() gives out. A bucket is what its number's stacks hash to,
 * of which there are max_entries rounded up to a power of two; it holds one stack, under the map's lock. Programs only
 * store; hosts read and remove.
 */
#include "vm/maps/stack_trace.h"
#include "vm/maps/types.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { ADDRESS = 8, BUILD_ID = 32 /* struct bpf_stack_build_id */, MAX_FRAMES = 127 /* perf_event_max_stack */ };

struct bucket {
    uint32_t hash, size; /* bytes of data; 0: empty */
    unsigned char data[];
};

struct stacks {
    pthread_mutex_t lock;
    uint32_t n_buckets, n_used;
    struct bucket **buckets; /* NULL: never used */
};

static int check(const struct map_def *def, const struct log *log)
{
    uint32_t unit = def->flags & MAP_F_STACK_BUILD_ID ? BUILD_ID : ADDRESS;

    if (def->value_size % unit || def->value_size / unit > MAX_FRAMES)
        return log_fail(log, -EINVAL, "map '%s': a value of %u bytes is not 1 to %d frames of %u bytes", def->name,
                        def->value_size, MAX_FRAMES, unit);
    if (def->max_entries > 1u << 31)
        return log_fail(log, -E2BIG, "map '%s': more than 2^31 entries", def->name);
    return 0;
}

static int create(struct map *map, const struct log *log)
{
    struct stacks *s = calloc(1, sizeof(*s));
    uint64_t n = 1;

    while (n < map->def.max_entries)
        n *= 2;
    if (s)
        s->buckets = calloc(n, sizeof(struct bucket *));
    if (!s || !s->buckets) {
        free(s);
        return log_fail(log, -ENOMEM, "map '%s': no memory for %u stacks", map->def.name, map->def.max_entries);
    }
    pthread_mutex_init(&s->lock, NULL);
    s->n_buckets = (uint32_t)n;
    map->priv = s;
    return 0;
}

static void destroy(struct map *map)
{
    struct stacks *s = map->priv;

    for (uint32_t i = 0; i < s->n_buckets; i++)
        free(s->buckets[i]);
    free(s->buckets);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static int update(struct map *map, const void *key, const void *value, uint64_t flags, uint32_t cpu)
{
    (void)map;
    (void)key;
    (void)value;
    (void)flags;
    (void)cpu;
    return -EINVAL;
}

static struct bucket *stack_at(const struct stacks *s, uint32_t id)
{
    return id < s->n_buckets && s->buckets[id] && s->buckets[id]->size ? s->buckets[id] : NULL;
}

static int remove_stack(struct map *map, const void *key)
{
    struct stacks *s = map->priv;
    struct bucket *b;
    uint32_t id;

    memcpy(&id, key, sizeof(id));
    if (id >= s->n_buckets)
        return -E2BIG;
    pthread_mutex_lock(&s->lock);
    b = stack_at(s, id);
    if (b) {
        b->size = 0;
        s->n_used--;
    }
    pthread_mutex_unlock(&s->lock);
    return b ? 0 : -ENOENT;
}

static int next_key(struct map *map, const void *key, void *next)
{
    struct stacks *s = map->priv;
    uint32_t id = 0, from;

    if (key) {
        memcpy(&from, key, sizeof(from));
        /* from a number that has no stack, Linux begins anew */
        pthread_mutex_lock(&s->lock);
        id = from < s->n_buckets && stack_at(s, from) ? from + 1 : 0;
        pthread_mutex_unlock(&s->lock);
    }
    pthread_mutex_lock(&s->lock);
    while (id < s->n_buckets && !stack_at(s, id))
        id++;
    pthread_mutex_unlock(&s->lock);
    if (id >= s->n_buckets)
        return -ENOENT;
    memcpy(next, &id, sizeof(id));
    return 0;
}

static int host_lookup(struct map *map, const void *key, void *value, uint64_t flags)
{
    struct stacks *s = map->priv;
    struct bucket *b;
    uint32_t id;

    (void)flags;
    memcpy(&id, key, sizeof(id));
    pthread_mutex_lock(&s->lock);
    b = stack_at(s, id);
    if (b) {
        memcpy(value, b->data, b->size);
        memset((char *)value + b->size, 0, map->def.value_size - b->size);
    }
    pthread_mutex_unlock(&s->lock);
    return b ? 0 : -ENOENT;
}

static uint32_t hash_of(const void *data, uint32_t size)
{
    uint64_t h = 0x9e3779b97f4a7c15, word;

    for (uint32_t i = 0; i < size; i += sizeof(word)) {
        memcpy(&word, (const char *)data + i, sizeof(word));
        h = (h ^ word) * 0xff51afd7ed558ccd;
        h ^= h >> 32;
    }
    return (uint32_t)h;
}

/* Puts a stack into a bucket that is empty or may be used anew. */
static int store(struct map *map, uint32_t id, uint32_t hash, const void *data, uint32_t size)
{
    struct stacks *s = map->priv;
    struct bucket **b = &s->buckets[id];

    bool used = stack_at(s, id);

    if (!used && s->n_used == map->def.max_entries)
        return -ENOMEM;
    if (!*b && !(*b = calloc(1, sizeof(**b) + map->def.value_size)))
        return -ENOMEM;
    s->n_used += !used;
    (*b)->hash = hash;
    (*b)->size = size;
    memcpy((*b)->data, data, size);
    return (int)id;
}

int64_t stack_trace_put(struct map *map, const void *data, uint32_t size, bool fast_compare, bool reuse)
{
    struct stacks *s = map->priv;
    uint32_t hash = hash_of(data, size), id = hash & (s->n_buckets - 1);
    const struct bucket *b;
    int64_t ret;

    pthread_mutex_lock(&s->lock);
    b = stack_at(s, id);
    if (b && b->hash == hash && (fast_compare || (b->size == size && !memcmp(b->data, data, size))))
        ret = id;
    else if (b && !reuse)
        ret = -EEXIST;
    else
        ret = store(map, id, hash, data, size);
    pthread_mutex_unlock(&s->lock);
    return ret;
}

const struct map_ops map_stack_trace_ops = {
    .check = check,
    .create = create,
    .destroy = destroy,
    .lookup = map_no_lookup,
    .update = update,
    .remove = remove_stack,
    .next_key = next_key,
    .host_lookup = host_lookup,
    .find_region = map_no_region,
};
