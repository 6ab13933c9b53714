/* The evaluator as engines, and the targets that it stands for. */
#include "jit/jit.h"
#include "jit/runtime.h"
#include "tests/ir/eval.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool yes(const struct ir_op *op)
{
    (void)op;
    return true;
}

static bool no(const struct ir_op *op)
{
    (void)op;
    return false;
}

static bool any_operand(enum ir_kind kind, unsigned width, unsigned size)
{
    (void)kind;
    return size <= width;
}

static bool no_operand(enum ir_kind kind, unsigned width, unsigned size)
{
    (void)kind, (void)width, (void)size;
    return false;
}

/* Base alone. */
static bool plain_address(const struct ir_op *op)
{
    return op->base && !op->index && !op->disp;
}

const struct ir_target ir_target_rich = {.imm_ok = yes,
                                         .mem_ok = yes,
                                         .mem_operand = any_operand,
                                         .rmw = true,
                                         .swap_mem = true,
                                         .andn = true,
                                         .mulhi = true,
                                         .fast_unaligned = true};
const struct ir_target ir_target_poor = {.imm_ok = no, .mem_ok = plain_address, .mem_operand = no_operand};

static int check(struct ir *ir, const char *when, const struct log *log)
{
    const char *why = ir_check(ir);

    return why ? log_fail(log, -EINVAL, "%s: %s", when, why) : 0;
}

static int prepare(struct code *code, const struct facts *facts, const struct log *log)
{
    const struct ir_engine *e = (const struct ir_engine *)code->engine;
    struct ir *ir;
    int err;

    if (code->opts.checked)
        return log_fail(log, -EINVAL, "the evaluator checks nothing");
    err = ir_build(code, facts, e->opts, &ir);
    if (err)
        return err;
    err = check(ir, "built", log);
    if (!err)
        err = ir_optimize(ir, e->target, e->opts);
    if (!err)
        err = check(ir, "optimised", log);
    if (err)
        ir_free(ir);
    else
        code->engine_data = ir;
    return err;
}

static void release(struct code *code)
{
    ir_free(code->engine_data);
}

static uint64_t run(const struct code *code, uint32_t func, struct skep_env *env, const uint64_t args[5])
{
    if (code->opts.count_insns) {
        const struct prog_func *f = &code->prog->funcs[func];
        if (env->frame) /* a callback: at least its own length, as other engines have it */
            env->fuel -= f->end - f->start;
        if (env->fuel < 0 && jit_refuel(env, env->fuel) < 0) {
            jit_trapped(env, f->start);
            return 0;
        }
    }
    return ir_eval(code->engine_data, func, env, env_stack_low(env) + PROG_STACK_FRAME, args);
}

static const char *const opt_names[] = {"promote", "webs",   "simplify", "rotate", "address",
                                        "wide",    "memory", "select",   "divide", "unroll"};
enum { N_OPTS = sizeof(opt_names) / sizeof(*opt_names), N_ENGINES = 4 + 2 * N_OPTS };
_Static_assert(1 << N_OPTS == IR_OPT_ALL + 1, "every optimisation has its name");

static void add(struct ir_engine *e, uint32_t opts, const struct ir_target *target, const char *what, const char *opt)
{
    snprintf(e->name, sizeof(e->name), "ir, %s%s%s", what, opt, target == &ir_target_poor ? ", poor target" : "");
    e->engine = (struct engine){.name = e->name,
                                .passes = CODE_OPT_FACTS | CODE_OPT_INLINE,
                                .prepare = prepare,
                                .release = release,
                                .run = run};
    e->opts = opts;
    e->target = target;
}

const struct ir_engine *ir_engines(unsigned *n)
{
    static struct ir_engine engines[N_ENGINES];
    struct ir_engine *e = engines;

    if (!engines[0].opts && !engines[0].target) {
        add(e++, 0, &ir_target_rich, "as built", "");
        add(e++, IR_OPT_ALL, &ir_target_rich, "all", "");
        add(e++, 0, &ir_target_poor, "as built", "");
        add(e++, IR_OPT_ALL, &ir_target_poor, "all", "");
        for (unsigned i = 0; i < N_OPTS; i++) {
            add(e++, 1u << i, &ir_target_rich, "only ", opt_names[i]);
            add(e++, IR_OPT_ALL & ~(1u << i), &ir_target_rich, "all but ", opt_names[i]);
        }
    }
    *n = N_ENGINES;
    return engines;
}
