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
    struct env_ref *ref = &env->refs[env->n_refs];
    void *record;

    if (a3 || env->n_refs == ENV_MAX_REFS)
        return 0;
    record = ringbuf_reserve(map, a2);
    if (!record)
        return 0;
    /* In place: a struct that is copied would be read wider than it was just written, which processors wait for. */
    ref->addr = (uintptr_t)record;
    ref->size = a2;
    ref->owner = map;
    ref->release = discard;
    env->n_refs++;
    return (uintptr_t)record;
}

static uint64_t finish(struct skep_env *env, uint64_t record, uint64_t flags,
                       void (*how)(struct map *map, void *record, uint64_t flags))
{
    struct env_ref *ref = env_ref_find(env, record);
    struct map *map;

    if (!ref || ref->release != discard)
        return helper_refuse(env, "this is no record that ringbuf_reserve gave and that is still held");
    map = ref->owner;
    env_ref_drop(env, ref);
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
