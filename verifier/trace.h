/*
 * The log of a verification, in the shape of Linux's: each instruction as it is processed, with what it read and
 * changed behind it; whole states where a path begins. At level 2 everything is said at once. At level 1 only the path
 * that is refused is of interest: what a finished path said is taken back. With log_level 0 no trace is made, and
 * explore.c tests one pointer.
 */
#ifndef VERIFIER_TRACE_H
#define VERIFIER_TRACE_H

#include "verifier/verifier.h"

struct trace;

/** @return NULL: no log is asked for, or no memory for one. */
struct trace *trace_new(struct verifier *v);
/** Says the counts that close the log, and the reason of a refusal. */
void trace_end(struct verifier *v, enum reason reason);

/** Exploration begins: level 2 tells what liveness found. */
void trace_begin(struct verifier *v);
/** A path is taken up (s: as it was left), where its text began; ended paths take their text back at level 1. */
void trace_path(struct verifier *v, const struct state *s);
/** Something equal was explored: the path stops here. */
void trace_pruned(struct verifier *v, const struct state *s);
/** About to execute. */
void trace_before(struct verifier *v, const struct state *s);
/** Executed; `other` is its second successor or NULL. */
void trace_after(struct verifier *v, const struct state *s, struct state *other, bool done);

#endif
