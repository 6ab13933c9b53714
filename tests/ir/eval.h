/*
 * The intermediate form, run as it stands: an evaluator with an array of registers, for tests alone. It is slow and
 * unkind: registers begin with rubbish, and so do frames, so that what the form does not say is no accident.
 *
 * As engines there is one for each set of optimisations that is worth a run of its own, over a target that has all and
 * one that has nothing; ir_check() stands behind every step.
 */
#ifndef TESTS_IR_EVAL_H
#define TESTS_IR_EVAL_H

#include "vm/env.h"
#include "vm/ir/ir.h"

/** Runs a function. @return its result; env->trap says whether it is one. */
uint64_t ir_eval(struct ir *ir, uint32_t func, struct skep_env *env, uint64_t fp, const uint64_t args[5]);

/* Targets that have every operation in every form, and none beyond registers. */
extern const struct ir_target ir_target_rich, ir_target_poor;

struct ir_engine {
    struct engine engine; /* first */
    char name[64];
    uint32_t opts; /* IR_OPT_* */
    const struct ir_target *target;
};

/** All of them. The first runs the form as it was built, the second with every optimisation. */
const struct ir_engine *ir_engines(unsigned *n);

#endif
