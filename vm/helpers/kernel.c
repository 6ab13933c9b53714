/* What the run's world knows of the kernel by name: symbols and types. */
#include "vm/helpers/helper.h"
#include "vm/world/world.h"

/* Names come with the size of their memory, whose last byte must be their end. */
static bool is_name(uint64_t name, uint64_t size)
{
    size = (uint32_t)size;
    return size > 1 && size <= INT32_MAX && !((const char *)helper_ptr(name))[size - 1];
}

HELPER_BODY(kallsyms_lookup_name)
{
    uint64_t addr = 0;

    memset(helper_ptr(a4), 0, sizeof(addr));
    if (a3 || !is_name(a1, a2))
        return helper_error(-EINVAL);
    if (!env->world || !world_symbol(env->world, helper_ptr(a1), &addr))
        return helper_error(-ENOENT);
    memcpy(helper_ptr(a4), &addr, sizeof(addr));
    return 0;
}

/* Where nothing is known of a variable, its address is as good as any: what is loaded there is 0. */
HELPER_BODY(this_cpu_ptr)
{
    uint64_t addr = env->world ? world_percpu(env->world, a1, env->cpu) : 0;

    return addr ? addr : a1;
}

HELPER_BODY(per_cpu_ptr)
{
    uint64_t addr;

    if ((uint32_t)a2 >= env->n_cpus)
        return 0;
    addr = env->world ? world_percpu(env->world, a1, (uint32_t)a2) : 0;
    return addr ? addr : a1;
}

HELPER_BODY(btf_find_by_name_kind)
{
    uint32_t id;

    if (a4 || !is_name(a1, a2))
        return helper_error(-EINVAL);
    if (!env->world || !env->world->btf)
        return helper_error(-ENOENT);
    id = (uint32_t)a3 > BTF_VOID && (uint32_t)a3 <= BTF_ENUM64 ? btf_find(env->world->btf, helper_ptr(a1), (unsigned)a3)
                                                               : 0;
    return id ? id : helper_error(-ENOENT);
}
