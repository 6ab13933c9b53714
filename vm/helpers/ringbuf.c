/*
 * Ring buffer helpers. A reservation is a reference of the run: its record is memory that the program may touch until
 * it submits or discards it, and a trap discards it.
 */
#include "vm/maps/ringbuf.h"
#include "vm/helpers/helper.h"

static void discard(struct skep_env *env, struct env_ref *ref)
{
    (void)env;
    ringbuf_discard(ref->owner, (void *)(uintptr_t)ref->addr, 0);
}

HELPER_BODY(ringbuf_reserve)
{
    struct map *map = helper_map(a1);
    uint32_t n = env->n_refs;
    struct env_ref *ref;
    void *record;

    if (a3 || (n == env->cap_refs && !env_ref_room(env)))
        return 0;
    record = ringbuf_reserve(map, a2);
    if (!record)
        return 0;
    /* In place: a struct that is copied would be read wider than it was just written, which processors wait for. */
    ref = &env->refs[n];
    ref->addr = (uintptr_t)record;
    ref->size = a2;
    ref->owner = map;
    ref->release = discard;
    env->n_refs = n + 1;
    return (uintptr_t)record;
}

/* Gives up the run's reference to a record. @return its map; NULL: the run holds no such record. */
static struct map *let_go(struct skep_env *env, uint64_t record)
{
    uint32_t n = env->n_refs;
    struct env_ref *ref;
    struct map *map;

    /* Mostly it is the last one that was taken. */
    if (n && env->refs[n - 1].addr == record && env->refs[n - 1].release == discard && !env->checked) {
        env->n_refs = n - 1;
        return env->refs[n - 1].owner;
    }
    ref = env_ref_find(env, record);
    if (!ref || ref->release != discard)
        return NULL;
    map = ref->owner;
    env_ref_drop(env, ref);
    return map;
}

static uint64_t finish(struct skep_env *env, uint64_t record, uint64_t flags,
                       void (*how)(struct map *map, void *record, uint64_t flags))
{
    struct map *map = let_go(env, record);

    if (!map)
        return helper_refuse(env, "this is no record that ringbuf_reserve gave and that is still held");
    how(map, (void *)(uintptr_t)record, flags);
    return 0;
}

HELPER_BODY(ringbuf_submit)
{
    return finish(env, a1, a2, ringbuf_submit);
}

HELPER_BODY(ringbuf_discard)
{
    return finish(env, a1, a2, ringbuf_discard);
}

HELPER_BODY(ringbuf_output)
{
    return helper_error(ringbuf_output(helper_map(a1), helper_ptr(a2), a3, a4));
}

HELPER_BODY(ringbuf_query)
{
    return ringbuf_query(helper_map(a1), a2);
}
