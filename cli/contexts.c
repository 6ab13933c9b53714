/* A program over the contexts that its world has for it: one run each. */
#include "cli/walk.h"

int contexts_run(struct run *r, uint32_t n)
{
    struct walk w = {0};
    walk_begin(&w, r, "context", "contexts");
    for (uint32_t i = 0; i < n && !*run_stop_flag(); i++) {
        SKEP_OPTS(skep_run_opts, opts, .context = i);
        walk_step(&w, &opts, UINT64_MAX, 0);
        if (w.tally.inputs == r->o->packets)
            break;
    }
    return walk_end(&w, 0);
}
