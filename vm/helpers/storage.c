/*
 * Storage beside objects of the run's world. Whose a value is, is found out from the pointer that the program has: what
 * the world says of the object there (a socket's cookie, a thread's id, an inode's number, a cgroup's id), or, where it
 * says nothing, the address itself. Pointers are never followed but through env_probe().
 */
#include "vm/maps/storage.h"
#include "vm/abi/map_types.h"
#include "vm/abi/prog_types.h"
#include "vm/btf/btf.h"
#include "vm/btf/show.h"
#include "vm/helpers/helper.h"
#include "vm/sock.h"
#include "vm/world/world.h"

enum { CREATE = 1 };

/* A number in a structure of the world, by the path of its member; 0: it is not there. */
static uint64_t number_in(struct skep_env *env, uint64_t addr, const char *type, const char *path)
{
    const struct btf *btf = env->world ? env->world->btf : NULL;
    uint32_t id = btf ? btf_find(btf, type, BTF_STRUCT) : 0;
    struct btf_place place;
    const void *at;
    uint64_t number = 0;

    if (!id || !btf_find_place(btf, id, path, &place) || place.bits || place.size > sizeof(number))
        return 0;
    at = env_probe(env, addr + place.off, place.size, ENV_MEM_KERNEL);
    if (at)
        memcpy(&number, at, place.size);
    return number;
}

static uint64_t task_owner(struct skep_env *env, uint64_t addr)
{
    const struct world_task *task = env->world ? world_task_at(env->world, addr) : NULL;
    uint64_t pid = task ? task->pid : number_in(env, addr, "task_struct", "pid");

    return pid ? pid : addr;
}

static uint64_t inode_owner(struct skep_env *env, uint64_t addr)
{
    uint64_t number = number_in(env, addr, "inode", "i_ino");

    return number ? number : addr;
}

static uint64_t cgroup_owner(struct skep_env *env, uint64_t addr)
{
    const void *kn;
    uint64_t at = 0, id;

    for (uint32_t i = 0; env->world && i < env->world->n_cgroups; i++)
        if (env->world->cgroups[i].addr == addr)
            return env->world->cgroups[i].id;
    at = number_in(env, addr, "cgroup", "kn");
    kn = at ? env_probe(env, at, 1, ENV_MEM_KERNEL) : NULL;
    id = kn ? number_in(env, at, "kernfs_node", "id") : 0;
    return id ? id : addr;
}

/* A socket that helpers give, that the context is, or a structure of the world. NULL when it is none with all fields.
 */
static bool sock_owner(struct skep_env *env, uint64_t addr, uint64_t *owner)
{
    struct sock *sk = addr && addr == (uintptr_t)env->ctx ? env->sk : sock_at(env, addr);

    if (!addr || (sk && !sock_is_full(sk)))
        return false;
    *owner = sk ? sock_cookie(env, sk) : number_in(env, addr, "sock_common", "skc_cookie.counter");
    if (!*owner)
        *owner = addr;
    return true;
}

/* sk_storage_get() compares its flags as a number where the others look at bits: all take 0 and CREATE. */
static uint64_t get(uint64_t map, uint64_t owner, uint64_t init, uint64_t flags)
{
    return (uintptr_t)storage_get(helper_map(map), owner, helper_ptr(init), flags & CREATE);
}

HELPER_BODY(sk_storage_get)
{
    uint64_t owner;

    return a4 <= CREATE && sock_owner(env, a2, &owner) ? get(a1, owner, a3, a4) : 0;
}

HELPER_BODY(sk_storage_delete)
{
    uint64_t owner;

    if (!sock_owner(env, a2, &owner))
        return helper_error(-EINVAL);
    return helper_error(storage_delete(helper_map(a1), owner));
}

HELPER_BODY(task_storage_get)
{
    return a2 && a4 <= CREATE ? get(a1, task_owner(env, a2), a3, a4) : 0;
}

HELPER_BODY(task_storage_delete)
{
    return helper_error(a2 ? storage_delete(helper_map(a1), task_owner(env, a2)) : -EINVAL);
}

HELPER_BODY(inode_storage_get)
{
    return a2 && a4 <= CREATE ? get(a1, inode_owner(env, a2), a3, a4) : 0;
}

HELPER_BODY(inode_storage_delete)
{
    return helper_error(a2 ? storage_delete(helper_map(a1), inode_owner(env, a2)) : -EINVAL);
}

HELPER_BODY(cgrp_storage_get)
{
    return a2 && a4 <= CREATE ? get(a1, cgroup_owner(env, a2), a3, a4) : 0;
}

HELPER_BODY(cgrp_storage_delete)
{
    return helper_error(a2 ? storage_delete(helper_map(a1), cgroup_owner(env, a2)) : -EINVAL);
}

/* The cgroup that the program would be attached to is the run's; 1, the root, when nobody says. */
HELPER_BODY(get_local_storage)
{
    struct map *map = helper_map(a1);
    void *value;

    if (map->def.type != MAP_TYPE_CGROUP_STORAGE && map->def.type != MAP_TYPE_PERCPU_CGROUP_STORAGE)
        return helper_refuse(env, "get_local_storage takes a map of type cgroup_storage or percpu_cgroup_storage");
    value = storage_of_cgroup(map, env->cgroup_id ? env->cgroup_id : 1, env->code->prog->attach_type, env->cpu);
    if (!value)
        return env_trap(env, TRAP_no_memory, 0, 0, "storage of a cgroup");
    return (uintptr_t)value;
}
