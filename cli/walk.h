/*
 * A walk over many inputs, one run each: packets of a capture, records of a file. The walk counts what came of them and
 * explains the first trap and the first input that was refused.
 */
#ifndef CLI_WALK_H
#define CLI_WALK_H

#include "cli/run.h"
#include "cli/tally.h"

struct walk {
    struct run *r;
    const char *input; /* "packet", "context" */
    struct tally tally;
    struct skep_trap trap; /* the first one */
    /* The progress bar: nothing in the first second, then a few times a second. */
    bool bar;
    uint64_t begun, drawn;
};

void walk_begin(struct walk *w, struct run *r, const char *input, const char *unit);
/** Runs once on what opts say; bytes: the input's length, for the table. @return true: the run came to its end. */
bool walk_step(struct walk *w, struct skep_run_opts *opts, uint64_t time, uint32_t bytes);
/** Shows how far it is, now and then: done of all. */
void walk_progress(struct walk *w, uint64_t done, uint64_t all);
/** Shows the table, in JSON also the first trap. @return the exit status; status when that is not 0. */
int walk_end(struct walk *w, int status);

#endif
