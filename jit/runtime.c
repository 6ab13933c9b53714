/* The C side of machine code: what is too rare or too large to be made of instructions. */
#include "jit/runtime.h"
#include "jit/jit.h"
#include "vm/runtime.h"

/* Where a tail call ends whose program another engine has run. */
static uint64_t give_back(struct skep_env *env, uint64_t result)
{
    (void)env;
    return result;
}

static struct jit_tail tail_call(struct skep_env *env, uint64_t ctx, const struct code *to)
{
    const uint64_t args[5] = {ctx};

    to = run_tail_call(env, to);
    if (!to)
        return (struct jit_tail){NULL, 0};
    env->code = to;
    env->first_frame = env->frame;
    if (to->machine_code)
        return (struct jit_tail){to->machine_code, ctx};
    return (struct jit_tail){(const void *)(uintptr_t)give_back, to->engine->run(to, 0, env, args)};
}

struct jit_tail jit_tail_call(struct skep_env *env, uint64_t ctx, uint64_t map, uint64_t index)
{
    return tail_call(env, ctx, map_prog_array_at((struct map *)(uintptr_t)map, (uint32_t)index));
}

struct jit_tail jit_tail_call_at(struct skep_env *env, uint64_t ctx, const struct code *const *slot)
{
    return tail_call(env, ctx, __atomic_load_n(slot, __ATOMIC_ACQUIRE));
}

int64_t jit_refuel(struct skep_env *env, int64_t fuel)
{
    env->fuel = fuel;
    if (env->spin_lock) {
        uint64_t more = JIT_FUEL_UNDER_LOCK + (uint64_t)-fuel;
        if (env->insn_budget != UINT64_MAX)
            env->insn_budget -= more < env->insn_budget ? more : env->insn_budget;
        env->insns_run += more;
        return env->fuel = JIT_FUEL_UNDER_LOCK;
    }
    return env_refuel(env) ? env->fuel : -1;
}

void jit_trapped(struct skep_env *env, uint32_t slot)
{
    if (env->trap.insn == UINT32_MAX)
        env->trap.insn = slot;
}

void jit_trap(struct skep_env *env, const struct prog_poison *why, uint32_t slot)
{
    env_trap(env, why->kind, 0, 0, "%s", why->reason);
    jit_trapped(env, slot);
}
