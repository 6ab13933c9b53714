/*
 * What the host's helpers may ask of the run that called them: thin and checked. Addresses come from the program and
 * are translated before they are used; nothing here trusts that a prototype was declared.
 */
#include "api/core/core.h"
#include <errno.h>
#include <skep/vm.h>
#include <stdio.h>

void *skep_env__mem(struct skep_env *env, uint64_t addr, uint64_t size, unsigned access)
{
    void *p = env_find_mem(env, addr, size, access & (ENV_READ | ENV_WRITE));
    if (!p)
        env_trap_mem(env, addr, size, access & (ENV_READ | ENV_WRITE));
    return p;
}

void *skep_env__try_mem(struct skep_env *env, uint64_t addr, uint64_t size, unsigned access)
{
    return env_find_mem(env, addr, size, access & (ENV_READ | ENV_WRITE));
}

void *skep_env__map_lookup(struct skep_env *env, uint64_t addr, const void *key)
{
    struct map *map = env_find_map(env, addr);
    return map && map->ops->lookup ? map->ops->lookup(map, key, env->cpu) : NULL;
}

int skep_env__map_update(struct skep_env *env, uint64_t addr, const void *key, const void *value, uint64_t flags)
{
    struct map *map = env_find_map(env, addr);
    if (!map)
        return -EINVAL;
    return map->ops->update ? map->ops->update(map, key, value, flags, env->cpu) : -EOPNOTSUPP;
}

uint64_t skep_env__call_helper(struct skep_env *env, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    return mock_call_body(env, a1, a2, a3, a4, a5);
}

uint64_t skep_env__trap(struct skep_env *env, const char *fmt, ...)
{
    char text[sizeof(env->trap.text)];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return env_trap(env, TRAP_host, 0, 0, "%s", text);
}

uint64_t skep_env__call(struct skep_env *env, uint64_t func, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                        uint64_t a5)
{
    return env_call(env, func, a1, a2, a3, a4, a5);
}

bool skep_env__trapped(const struct skep_env *env)
{
    return env->trap.kind != TRAP_none;
}

void *skep_env__user(const struct skep_env *env)
{
    return env->user;
}

uint32_t skep_env__cpu(const struct skep_env *env)
{
    return env->cpu;
}

uint64_t skep_env__ktime(struct skep_env *env)
{
    return env_ktime(env);
}

void skep_env__print(struct skep_env *env, const char *text, size_t len)
{
    if (env->out.printk)
        env->out.printk(env->out.ctx, text, len);
}
