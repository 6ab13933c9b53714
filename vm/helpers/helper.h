/*
 * What bodies of helpers share. A body gets values as the program passed them; the row of helpers.def was tested before
 * (by checked execution) or proved (by the verifier), so a body tests what Linux's body tests at run time and no more.
 * Memory arguments are reached through helper_mem(): under checked execution the address that a program uses may differ
 * from where the memory stands.
 */
#ifndef VM_HELPERS_HELPER_H
#define VM_HELPERS_HELPER_H

#include "vm/abi/helper_bodies.h"
#include "vm/env.h"
#include <errno.h>
#include <string.h>

#define HELPER_BODY(name)                                                                                              \
    uint64_t helper_##name(struct skep_env *env __attribute__((unused)), uint64_t a1 __attribute__((unused)),          \
                           uint64_t a2 __attribute__((unused)), uint64_t a3 __attribute__((unused)),                   \
                           uint64_t a4 __attribute__((unused)), uint64_t a5 __attribute__((unused)))

/* A negative errno as a helper returns it. */
static inline uint64_t helper_error(int err)
{
    return (uint64_t)(int64_t)err;
}

/** The memory that an argument points to. @return NULL with a trap noted, or when addr is NULL. */
static inline void *helper_mem(struct skep_env *env, uint64_t addr, uint64_t size, unsigned access)
{
    void *host;

    if (!env->checked || !size)
        return (void *)(uintptr_t)addr;
    host = env_find_mem(env, addr, size, access);
    if (!host)
        env_trap_mem(env, addr, size, access);
    return host;
}

static inline struct map *helper_map(uint64_t arg)
{
    return (struct map *)(uintptr_t)arg;
}

/** Ends the run: the helper asks for something that this context or map does not have. @return 0. */
static inline uint64_t helper_refuse(struct skep_env *env, const char *why)
{
    return env_trap(env, TRAP_helper_argument, 0, 0, "%s", why);
}

#endif
