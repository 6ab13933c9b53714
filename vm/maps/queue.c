/*
 * QUEUE and STACK: a ring of max_entries + 1 values of which those from `tail` up to `head` are held, and one always
 * stays free. Both ends move under one lock that is held for a copy, as Linux's is; nobody outside ever has the address
 * of a value.
 */
#include "vm/maps/mem.h"
#include "vm/maps/types.h"

#include <errno.h>
#include <stdlib.h>

struct queue {
    unsigned char *values;
    uint64_t bytes;
    uint32_t size;              /* max_entries + 1 */
    _Alignas(64) uint32_t lock; /* of the two below */
    uint32_t head, tail;
};

static int check(const struct map_def *def, const struct log *log)
{
    if (def->value_size > MAP_KMALLOC_MAX)
        return log_fail(log, -E2BIG, "map '%s': a value of %u bytes is too large", def->name, def->value_size);
    return 0;
}

static int create(struct map *map, const struct log *log)
{
    const struct map_def *def = &map->def;
    struct queue *q = NULL;

    if (posix_memalign((void **)&q, 64, sizeof(*q)))
        return log_fail(log, -ENOMEM, "map '%s': out of memory", def->name);
    memset(q, 0, sizeof(*q));
    q->bytes = ((uint64_t)def->max_entries + 1) * def->value_size;
    q->size = def->max_entries + 1;
    /* One more than 32 bits count is none. */
    q->values = q->size ? map_mem_take(q->bytes) : NULL;
    if (!q->values) {
        free(q);
        return log_fail(log, -ENOMEM, "map '%s': no memory for %u values of %u bytes", def->name, def->max_entries,
                        def->value_size);
    }
    map->priv = q;
    return 0;
}

static void destroy(struct map *map)
{
    struct queue *q = map->priv;

    if (!q)
        return;
    map_mem_give(q->values, q->bytes);
    free(q);
    map->priv = NULL;
}

static unsigned char *value_at(const struct queue *q, uint32_t i, uint32_t value_size)
{
    return q->values + (uint64_t)i * value_size;
}

static uint32_t after(const struct queue *q, uint32_t i)
{
    return i + 1 == q->size ? 0 : i + 1;
}

static inline void copy(void *to, const void *from, uint32_t size)
{
    if (size == 8)
        memcpy(to, from, 8);
    else
        memcpy(to, from, size);
}

/* BPF_EXIST drops the oldest value when there is no room, of a stack too. */
static int push(struct map *map, const void *value, uint64_t flags)
{
    struct queue *q = map->priv;
    uint32_t next;
    int err = 0;

    if (flags & MAP_NOEXIST || flags > MAP_EXIST)
        return -EINVAL;
    map_spin_lock(&q->lock);
    next = after(q, q->head);
    if (next == q->tail && !(flags & MAP_EXIST)) {
        err = -E2BIG;
    } else {
        if (next == q->tail)
            q->tail = after(q, q->tail);
        copy(value_at(q, q->head, map->def.value_size), value, map->def.value_size);
        q->head = next;
    }
    map_spin_unlock(&q->lock);
    return err;
}

static int take(struct map *map, void *value, bool newest, bool remove)
{
    struct queue *q = map->priv;
    int err = 0;

    map_spin_lock(&q->lock);
    if (q->head == q->tail) {
        err = -ENOENT;
    } else {
        uint32_t i = !newest ? q->tail : q->head ? q->head - 1 : q->size - 1;

        copy(value, value_at(q, i, map->def.value_size), map->def.value_size);
        if (remove && newest)
            q->head = i;
        else if (remove)
            q->tail = after(q, i);
    }
    map_spin_unlock(&q->lock);
    return err;
}

static int for_program(struct map *map, void *value, bool newest, bool remove)
{
    int err = take(map, value, newest, remove);

    if (err)
        memset(value, 0, map->def.value_size);
    return err;
}

static int queue_pop(struct map *map, void *value)
{
    return for_program(map, value, false, true);
}

static int queue_peek(struct map *map, void *value)
{
    return for_program(map, value, false, false);
}

static int stack_pop(struct map *map, void *value)
{
    return for_program(map, value, true, true);
}

static int stack_peek(struct map *map, void *value)
{
    return for_program(map, value, true, false);
}

static int host_update(struct map *map, const void *key, const void *value, uint64_t flags)
{
    (void)key;
    return push(map, value, flags);
}

static int host_lookup(struct map *map, const void *key, void *value, uint64_t flags)
{
    (void)key;
    (void)flags;
    return take(map, value, map->def.type == MAP_TYPE_STACK, false);
}

static int host_take(struct map *map, const void *key, void *value, uint64_t flags)
{
    (void)key;
    return flags ? -EINVAL : take(map, value, map->def.type == MAP_TYPE_STACK, true);
}

const struct map_ops map_queue_ops = {
    .check = check,
    .create = create,
    .destroy = destroy,
    .lookup = map_no_lookup,
    .update = map_bad_update,
    .remove = map_bad_remove,
    .next_key = map_bad_next_key,
    .push = push,
    .pop = queue_pop,
    .peek = queue_peek,
    .host_lookup = host_lookup,
    .host_update = host_update,
    .host_take = host_take,
    .find_region = map_no_region,
};

const struct map_ops map_stack_ops = {
    .check = check,
    .create = create,
    .destroy = destroy,
    .lookup = map_no_lookup,
    .update = map_bad_update,
    .remove = map_bad_remove,
    .next_key = map_bad_next_key,
    .push = push,
    .pop = stack_pop,
    .peek = stack_peek,
    .host_lookup = host_lookup,
    .host_update = host_update,
    .host_take = host_take,
    .find_region = map_no_region,
};
