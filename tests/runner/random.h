/*
 * Programs made at random, with the result that the instruction table says they have: engines, levels and Linux must
 * all agree with it. One seed is one program for ever, so that a failure can be run again alone.
 */
#ifndef TESTS_RUNNER_RANDOM_H
#define TESTS_RUNNER_RANDOM_H

#include "base/buf.h"
#include "tests/runner/test.h"

/** Makes the program of a seed in the arena. @return false: out of memory. */
bool random_test(uint64_t seed, struct arena *arena, struct test *out);

/** Makes a program of a seed that may do anything: call any helper with anything, touch any address, be no program at
 *  all. It has no result to expect; it must not bring the runner down. */
bool random_garbage(uint64_t seed, struct arena *arena, struct test *out);

/** Adds the program's text. */
void random_show(const struct test *test, struct buf *out);

#endif
