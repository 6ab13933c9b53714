/* Members of kernel structures, as the target of the program lays them out, else as the world does. */
#include "vm/helpers/kernel_field.h"
#include "vm/btf/show.h"
#include "vm/world/world.h"
#include <string.h>

static bool find(struct skep_env *env, const char *type, const char *member, struct btf_place *at)
{
    const struct btf *btf = env->code->prog->kernel_btf;
    uint32_t id;

    if (!btf && env->world)
        btf = env->world->btf;
    id = btf ? btf_find(btf, type, BTF_STRUCT) : 0;
    return id && btf_find_place(btf, id, member, at) && !at->bits;
}

bool kernel_field(struct skep_env *env, uint64_t addr, const char *type, const char *member, uint64_t *value)
{
    struct btf_place at;
    const void *from;

    *value = 0;
    if (!find(env, type, member, &at) || !at.size || at.size > sizeof(*value))
        return false;
    from = env_probe(env, addr + at.off, at.size, ENV_MEM_KERNEL);
    if (from)
        memcpy(value, from, at.size);
    return from;
}

bool kernel_offset(struct skep_env *env, const char *type, const char *member, uint64_t *off)
{
    struct btf_place at;

    if (!find(env, type, member, &at))
        return false;
    *off = at.off;
    return true;
}
