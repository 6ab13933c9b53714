/*
 * The JIT as tests run it: as it is, hardened, for CPUs that have nothing optional, and with each optimisation off.
 * Each has a place for machine code that lives as long as the test program.
 */
#ifndef TESTS_RUNNER_JITS_H
#define TESTS_RUNNER_JITS_H

#include "jit/jit.h"

struct jit_variant {
    char name[40]; /* "jit", "jit hardened", "jit, no rotate" */
    uint32_t no_ir;
    struct jit *jit;
};

/** All of them, the JIT as it is first. @return NULL and *n 0: there is no machine code here; *why says why. */
const struct jit_variant *jit_variants(unsigned *n, const char **why);

#endif
