/*
 * Linux's tables of tests as the driver sees them, and the engine that runs them. The tables and the code that judges a
 * test are Linux's own (lib/test_bpf.c, compiled unchanged into suite.c); kernel.c lends them its machine. One engine
 * is chosen at a time, for everything that runs until the next choice.
 */
#ifndef TESTS_LINUX_SUITE_H
#define TESTS_LINUX_SUITE_H

#include "vm/env.h"

enum suite_outcome { SUITE_PASSED, SUITE_FAILED, SUITE_SKIPPED };

/** Tests of single programs: eBPF ones, and classic ones that are skipped. */
unsigned suite_count(void);
const char *suite_name(unsigned i);
bool suite_is_ebpf(unsigned i);
/** Fills in, loads and runs test i on the chosen engine, with all its data sets and as often as Linux does. */
enum suite_outcome suite_run(unsigned i);

/** Tail call tests: programs that call one another through one PROG_ARRAY. */
struct suite_tail {
    const char *name;
    const struct skep_insn *insns; /* with markers where the array and an index belong */
    unsigned n_insns;
    bool needs_state;     /* r1 is a counter of 4 bytes, else 0 */
    bool result_in_state; /* after all runs the counter is the result, else r0 of the last run */
    int result;
};

enum {
    SUITE_TAIL_MARKER = 0x7a11ca11, /* as a constant: the array; as r3's value: see off */
    SUITE_TAIL_NULL = 0x7fff,       /* off: an index whose entry is empty */
    SUITE_TAIL_INVALID = 0x7ffe,    /* off: an index past the end; other values of off: relative to the calling test */
    SUITE_RUNS = 1000,
    SUITE_HELPERS = 210,    /* numbers of helpers end here in the Linux that the suite is of */
    SUITE_TEST_FUNC = 4096, /* our number for the suite's own helper */
};

unsigned suite_tail_count(void);
struct suite_tail suite_tail(unsigned i);
/** The suite's helper that uses many registers of the CPU. */
skep_helper_fn suite_test_func(void);

/** Chooses what bpf_prog_select_runtime() makes of programs from now on. */
void kernel_use_engine(const struct code_opts *opts);
/** Lowers a raw program with spec->n_maps maps for the chosen engine. @return NULL with what was wrong in the text. */
struct code *kernel_lower(const struct prog_spec *spec, struct map *const *maps);
/** Runs it once with r1 = ctx, whose size bytes it may read and write; NULL for none. A trap goes into the text. */
uint64_t kernel_run(const struct code *code, void *ctx, size_t size);
/** The first trap since the last kernel_forget_text(); 0 for none. */
enum trap_kind kernel_trapped(void);
/** What was printed since the last call of kernel_forget_text(). */
const char *kernel_text(void);
void kernel_forget_text(void);
/** Frees what is kept between runs. */
void kernel_free(void);

#endif
