/*
 * Two ways to run a test, one outcome to judge. Every way fills a struct outcome with what it saw; judge() alone
 * compares it with what the test expects and reports each difference as FILE:LINE.
 */
#ifndef TESTS_RUNNER_RUNNER_H
#define TESTS_RUNNER_RUNNER_H

#include "base/buf.h"
#include "tests/runner/test.h"

struct outcome {
    const char *failure; /* the test could not be run: why; NULL: it ran */
    const char *skip;    /* it was not run: why */
    bool loaded;         /* Linux took it, and cannot run programs of this type */
    uint64_t r0;
    enum trap_kind trap;
    uint32_t trap_line;
    const char *trap_text;
    struct bytes mem, ctx, data;          /* afterwards */
    const uint8_t *elems[TEST_MAX_ELEMS]; /* values of test->outs; NULL: no such element */
};

/** Compares and writes a line for each difference into report. @return true: as the test expects. */
bool judge(const struct test *test, const char *how, const struct outcome *outcome, struct buf *report);

/**
 * Runs a test on every engine (or on those whose names begin so) at every level.
 * @param turn  0: all; else the interpreter, the JIT as it is and hardened, and of the others a few, by turns.
 * @return how many ways failed.
 */
unsigned engines_run(const struct test *test, const char *only, uint64_t turn, struct buf *report);

/**
 * Runs a program without maps and contexts, in few ways: interpreted, fused, as machine code, hardened, and some more
 * in every eighth turn. @return how many failed.
 */
unsigned quick_run(const struct test *test, uint64_t turn, struct buf *report);

/** Runs a test checked, whatever comes of it, within a small budget. @return the trap it ended with. */
enum trap_kind engines_survive(const struct test *test);

/** May this process use bpf(2)? @return NULL, or why not. */
const char *kernel_refuses(void);
/** Runs a test through bpf(2). What outcome points to lives in arena. */
void kernel_run(const struct test *test, struct arena *arena, struct outcome *outcome);

/** Shows a test to the verifier; outcome says only why it failed or was skipped. */
void verifier_run(const struct test *test, struct arena *arena, struct outcome *outcome);

/** Does the verifier accept it? */
bool verifier_accepts(const struct test *test, struct arena *arena);

/** Does Linux load it? *why: its last words when not; memory of the arena. */
bool kernel_accepts(const struct test *test, struct arena *arena, const char **why);

/** A log that keeps the first error in memory of the arena: *ctx is a struct keeper. */
struct keeper {
    struct arena *arena;
    const char *first;
};
void keep(void *keeper, enum skep_log_level level, const char *text);

#endif
