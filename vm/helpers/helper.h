/*
 * What bodies of helpers share. A body gets values as the program passed them; the row of helpers.def was tested before
 * (by checked execution) or proved (by the verifier), so a body tests what Linux's body tests at run time and no more.
 * Checked execution hands memory arguments over as the host's addresses.
 */
#ifndef VM_HELPERS_HELPER_H
#define VM_HELPERS_HELPER_H

#include "vm/abi/ctx.h"
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

static inline void *helper_ptr(uint64_t arg)
{
    return (void *)(uintptr_t)arg;
}

static inline struct map *helper_map(uint64_t arg)
{
    return (struct map *)(uintptr_t)arg;
}

static inline bool helper_is_xdp(const struct skep_env *env)
{
    return env->ctx_layout == &ctx_xdp_md;
}

/** Ends the run: the helper asks for something that this context or map does not have. @return 0. */
static inline uint64_t helper_refuse(struct skep_env *env, const char *why)
{
    return env_trap(env, TRAP_helper_argument, 0, 0, "%s", why);
}

#endif
