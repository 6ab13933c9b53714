/* What a run put off: work queues once it has ended, timers as time is let pass. */
#include "api/core/core.h"
#include "vm/timer.h"

enum { MAX_LATER = 1 << 20 /* functions that go on starting one another end here */ };

static bool puts_off(const struct code *code)
{
    for (uint32_t i = 0; i < code->prog->n_maps; i++)
        if (code->maps[i] && __atomic_load_n(&code->maps[i]->later, __ATOMIC_RELAXED))
            return true;
    return false;
}

int run_later(struct skep_env *env, const struct code *code, struct skep_run_opts *o)
{
    uint64_t until = o->pass_time ? env_now(env) + o->pass_time : 0;
    int err;
    if (until < o->pass_time)
        until = UINT64_MAX;
    o->later_cnt = 0;
    if (puts_off(code)) {
        env->insn_budget = o->max_insns ? o->max_insns : UINT64_MAX;
        err = timers_run(code->maps, code->prog->n_maps, env, until, MAX_LATER, &o->later_cnt);
        if (err)
            return err;
    }
    if (env->clock.fixed && env->clock.now < until)
        env->clock.now = until;
    return 0;
}
