/*
 * Helpers on maps. Each goes to the map type's operation; a type that lacks it is refused by name, as Linux's verifier
 * does through its list of helpers and map types.
 */
#include "base/buf.h"
#include "vm/helpers/helper.h"
#include "vm/helpers/sock_map.h"

static const char no_operation[] = "this map type does not take this helper";

HELPER_BODY(map_lookup_elem)
{
    struct map *map = helper_map(a1);
    void *value = map->lookup(map, helper_ptr(a2), env->cpu);

    if (!value && map->ops->sockets)
        return sock_map_hold(env, map, helper_ptr(a2));
    return (uint64_t)(uintptr_t)value;
}

/* What a program puts into a map of sockets is a socket. */
static uint64_t put_socket(struct skep_env *env, struct map *map, const void *key, uint64_t addr, uint64_t flags)
{
    struct sock *sk = sock_at(env, addr);

    if (!sk)
        return helper_refuse(env, "the value must be a socket");
    if (!sock_is_full(sk) || (sk->view.state != SOCK_ESTABLISHED && sk->view.state != SOCK_LISTEN))
        return helper_error(-EOPNOTSUPP);
    return helper_error(sock_map_put(env, map, key, sk, flags));
}

HELPER_BODY(map_update_elem)
{
    struct map *map = helper_map(a1);

    if (!map->ops->update)
        return helper_refuse(env, no_operation);
    if (map->ops->sockets)
        return put_socket(env, map, helper_ptr(a2), a3, a4);
    /* The update would wait for the value's lock, which may be the one that this run holds. */
    if (a4 & MAP_LOCK && env->spin_lock)
        return env_trap(env, TRAP_deadlock, 0, 0, "BPF_F_LOCK while it holds a lock");
    return helper_error(map->ops->update(map, helper_ptr(a2), helper_ptr(a3), a4, env->cpu));
}

HELPER_BODY(map_delete_elem)
{
    struct map *map = helper_map(a1);

    if (!map->ops->remove)
        return helper_refuse(env, no_operation);
    return helper_error(map->ops->remove(map, helper_ptr(a2)));
}

HELPER_BODY(map_push_elem)
{
    struct map *map = helper_map(a1);

    return map->ops->push ? helper_error(map->ops->push(map, helper_ptr(a2), a3)) : helper_refuse(env, no_operation);
}

HELPER_BODY(map_pop_elem)
{
    struct map *map = helper_map(a1);

    return map->ops->pop ? helper_error(map->ops->pop(map, helper_ptr(a2))) : helper_refuse(env, no_operation);
}

HELPER_BODY(map_peek_elem)
{
    struct map *map = helper_map(a1);

    return map->ops->peek ? helper_error(map->ops->peek(map, helper_ptr(a2))) : helper_refuse(env, no_operation);
}

HELPER_BODY(map_lookup_percpu_elem)
{
    struct map *map = helper_map(a1);

    if ((uint32_t)a3 >= map->n_cpus)
        return 0;
    return (uint64_t)(uintptr_t)map->lookup(map, helper_ptr(a2), (uint32_t)a3);
}

/* All keys that the map holds now. The walk goes over this copy, because a callback may delete what it sees. */
static bool copy_keys(struct map *map, struct buf *keys)
{
    uint32_t size = map->def.key_size;
    uint64_t left = map->def.max_entries;
    const void *last = NULL;

    while (left--) {
        void *next = buf_grow(keys, size);

        if (!next)
            return false;
        if (last)
            last = keys->data + keys->len - 2 * size;
        if (map->ops->next_key(map, last, next)) {
            keys->len -= size;
            break;
        }
        last = next;
    }
    return true;
}

static uint64_t walk(struct skep_env *env, struct map *map, const struct buf *keys, uint64_t func, uint64_t ctx)
{
    uint64_t seen = 0, size = map->def.key_size;

    for (uint64_t off = 0; off + size <= keys->len; off += size) {
        void *key = keys->data + off;
        void *value = map->ops->lookup(map, key, env->cpu);
        uint64_t ret;

        if (!value)
            continue;
        seen++;
        ret = env_call(env, func, (uintptr_t)map, (uintptr_t)key, (uintptr_t)value, ctx, 0);
        if (ret || env->trap.kind)
            break;
    }
    return seen;
}

HELPER_BODY(for_each_map_elem)
{
    struct map *map = helper_map(a1);
    struct buf keys = {0};
    uint64_t seen = 0;

    if (!map->ops->lookup || !map->ops->next_key)
        return helper_refuse(env, no_operation);
    if (a4)
        return helper_error(-EINVAL);
    if (env->n_mems == ENV_MAX_MEMS || !copy_keys(map, &keys)) {
        buf_free(&keys);
        return env_trap(env, TRAP_no_memory, 0, 0, "a copy of the map's keys for the walk");
    }
    if (keys.len) {
        env->mems[env->n_mems++] = (struct env_mem){.guest = (uintptr_t)keys.data,
                                                    .host = (unsigned char *)keys.data,
                                                    .size = keys.len,
                                                    .access = ENV_READ | ENV_DIRECT,
                                                    .kind = ENV_MEM_MAP,
                                                    .name = "map keys"};
        seen = walk(env, map, &keys, a2, a3);
        env->n_mems--;
        env_forget_mem(env);
    }
    buf_free(&keys);
    return seen;
}
