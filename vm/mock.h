/*
 * Mocks: what a run does in a helper's or kernel function's place, and who looks on. Which calls go through here is
 * settled when code is made (mock_wrap()): those of a vm that is mockable, or those that its world has mocks for; all
 * others are what they always are, inlined or called directly, and cost nothing.
 *
 * A call that goes through asks the run: its host's function of that name, else its world's mock, else the body. What a
 * world's mock returns has been held to what the verifier takes for granted of the helper (a pointer is NULL, a length
 * no longer than the room), and memory that the helper fills is filled, so that a wrong file makes no program unsafe.
 */
#ifndef VM_MOCK_H
#define VM_MOCK_H

#include "base/log.h"
#include "vm/abi/helpers.h"
#include <stddef.h>

struct world;
struct world_mock;

enum { MOCK_SLOTS = 512 };

/* What a host puts in a helper's place for one run. */
struct mock_host {
    const char *name; /* without "bpf_" */
    skep_helper_fn fn;
};

/* One call as it was made. */
struct mock_call {
    const struct helper *helper;
    const uint64_t *args;
    uint64_t ret;
    bool mocked;
};

/* Those of a vm that go through here; slots fill as code is made, under a lock. */
struct mock_set;

/** @param all    every helper goes through, for hosts' mocks and who looks on.
 *  @param world  whose mocks do; NULL: none. Must outlive the set. */
struct mock_set *mock_set_new(bool all, const struct world *world);
void mock_set_free(struct mock_set *set);

/** The function that goes through the set. @return the body itself where this helper does not; NULL: there is neither.
 */
skep_helper_fn mock_wrap(struct mock_set *set, const struct helper *helper);
/** What stands for a kernel function that has no row: one without a number. @return NULL: it cannot be mocked. */
const struct helper *mock_kfunc(struct mock_set *set, const char *name);

/* ---- For one run ---- */

struct mock_state;

/** The run begins: counts are zero. host: n functions, borrowed. on_call NULL: nobody looks on.
 *  @return 0; -ENOMEM. */
int mock_begin(struct skep_env *env, const struct mock_host *host, uint32_t n,
               void (*on_call)(void *ctx, struct skep_env *env, const struct mock_call *call), void *ctx);
void mock_drop(struct skep_env *env);
/** The body of the helper that is being mocked, for the host's function in its place. */
uint64_t mock_call_body(struct skep_env *env, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5);

/** Bytes that argument i points to; 0: it is no memory. */
uint32_t mock_arg_mem(const struct mock_call *call, unsigned i);

/** Why no value may stand in this helper's place; NULL: nothing speaks against it. ret: the value. */
const char *mock_unfit(const struct helper *helper, uint64_t ret);

#endif
