/* The C side of machine code: what is too rare or too large to be made of instructions. */
#include "jit/runtime.h"
#include "jit/jit.h"

/* Where a tail call ends whose program another engine has run. */
static uint64_t give_back(struct skep_env *env, uint64_t result)
{
    (void)env;
    return result;
}

/* As the interpreter does it: nothing there, or too many: the call falls through. A refusal is a trap. */
static const struct code *target_of(struct skep_env *env, uint64_t map, uint64_t index)
{
    const struct code *to;

    if (env->tail_calls >= PROG_MAX_TAIL_CALLS)
        return NULL;
    to = map_prog_array_at((struct map *)(uintptr_t)map, (uint32_t)index);
    if (!to)
        return NULL;
    if (to->ctx_needed > env->ctx_size) {
        env_trap(env, TRAP_bad_call, 0, 0,
                 "tail call from '%s' to '%s', which uses %u bytes of its %s; this run has %u", env->code->prog->name,
                 to->prog->name, to->ctx_needed, to->prog->type ? "context" : "memory", env->ctx_size);
        return NULL;
    }
    return to;
}

struct jit_tail jit_tail_call(struct skep_env *env, uint64_t ctx, uint64_t map, uint64_t index)
{
    const struct code *to = target_of(env, map, index);
    const uint64_t args[5] = {ctx};

    if (!to)
        return (struct jit_tail){NULL, 0};
    env->tail_calls++;
    env->code = to;
    env->first_frame = env->frame;
    if (to->machine_code)
        return (struct jit_tail){to->machine_code, ctx};
    return (struct jit_tail){(const void *)(uintptr_t)give_back, to->engine->run(to, 0, env, args)};
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
