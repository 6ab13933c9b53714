/*
 * What a refusal tells beside its reason: the decisions that led there, what was known of the registers that the
 * instruction names, which inputs lead there, and what the verification cost where. Only refusals pay for it.
 */
#ifndef VERIFIER_EXPLAIN_H
#define VERIFIER_EXPLAIN_H

#include "verifier/verifier.h"

/** Fills in path, known, inputs and cost of v->out. s: the state before (or in) the refused instruction. */
void explain(struct verifier *v, const struct state *s, enum reason reason);

#endif
