/* A program over recorded contexts: ctx_in is cut into pieces of ctx_size bytes, each of which is one run's context. */
#include "cli/walk.h"
#include <errno.h>
#include <inttypes.h>

int records_run(struct run *r)
{
    const struct run_opts *o = r->o;
    size_t size = o->ctx_size, n = r->ctx_in.len / size;
    if (!r->ctx_in.len || r->ctx_in.len % size)
        return cli_fail(r->c, STATUS_USAGE, "%s: %zu bytes are no whole number of contexts of %zu bytes", o->ctx_in,
                        r->ctx_in.len, size);
    struct walk w = {0};
    walk_begin(&w, r, "context", "contexts");
    for (size_t i = 0; i < n && !*run_stop_flag(); i++) {
        SKEP_OPTS(skep_run_opts, opts, .ctx_in = r->ctx_in.data + i * size, .ctx_size_in = (uint32_t)size);
        walk_step(&w, &opts, UINT64_MAX, (uint32_t)size);
        if (i % 64 == 0)
            walk_progress(&w, i, n);
        if (w.tally.inputs == o->packets)
            break;
    }
    return walk_end(&w, 0);
}
