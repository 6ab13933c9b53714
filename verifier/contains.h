/*
 * Is what really happens inside what was explored? A verification that was asked to (verify_opts.keep_states) leaves
 * all states that it went through, by instruction; a run at level 0 can then be watched: before each instruction the
 * registers and the stack must lie inside one of the states kept there. This is the oracle of the fuzzers, and what
 * `skep run --check-invariants` turns on.
 *
 * A scalar that is not known to be needed exactly stands for any number once a path was pruned. So keeping comes in two
 * strengths: KEEP_EXACT prunes only where every number is covered, and states then mean what they say, at the cost that
 * loops may not converge; KEEP_POINTERS explores as usual, and of numbers and of the stack nothing is checked.
 * Registers and slots that are dead are ignored.
 */
#ifndef VERIFIER_CONTAINS_H
#define VERIFIER_CONTAINS_H

#include "base/buf.h"
#include "verifier/verify.h"
#include "vm/env.h"

struct state;

/* One run, watched. Frames below the current one are remembered as they were when they called. */
struct invariants {
    const struct explored *explored, *also; /* also: NULL, or a second exploration of the same program */
    const struct state *at, *also_at;       /* the states of either that held last */
    const struct prog *prog;
    uint64_t checked; /* instructions looked at, in each exploration */
    struct {
        uint64_t regs[11];
        uint32_t slot;
    } frames[PROG_MAX_FRAMES];
};

/** Watches runs of code made from this program with code_opts.traced: sets env->on_insn. A violation ends the run with
 *  TRAP_invariant, whose text says what lies outside. Both must outlive the runs. */
void invariants_watch(struct invariants *inv, const struct explored *explored, const struct prog *prog,
                      struct skep_env *env);

/** The same run is watched against another exploration of the program too. */
void invariants_watch_also(struct invariants *inv, const struct explored *explored);

/** Would a run be watched? NULL or why not: the states were too many to keep. */
const char *explored_unfit(const struct explored *explored);
/** Gives back the states. NULL is fine. */
void explored_free(struct explored *explored);

#endif
