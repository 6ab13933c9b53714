/*
 * `skep attach`, cut into: arguments (attach_opts.c), attaching, pinning and the wait (attach.c), and what is shown
 * meanwhile (attach_show.c).
 */
#ifndef CLI_ATTACH_H
#define CLI_ATTACH_H

#include "cli/run.h"

struct attach_opts {
    struct run_opts run; /* object, sets, maps, events, btf, kconfig */
    const char **progs, **to, **watch;
    uint32_t n_progs, n_to, n_watch;
    const char *pin, *pin_maps;
    uint64_t pid, freq, cookie, interval, seconds;
    uint32_t xdp_flags;
    bool ingress, egress, clsact, has_interval;
};

int attach_parse(struct cli *c, struct attach_opts *o, int argc, char **argv);
void attach_opts_free(struct attach_opts *o);

struct attached {
    struct skep_program *prog; /* NULL: a struct_ops map */
    struct skep_link *link;
};

struct attach {
    struct run run; /* what events and maps are shown with */
    const struct attach_opts *o;
    struct attached *all;
    uint32_t n;
    int stats, trace, epoll; /* descriptors; -1: none */
    unsigned drawn;          /* lines on the terminal that are drawn anew */
    bool redraw;
};

/** Opens what is shown meanwhile. What is not to be had (statistics, the trace) is left out. */
int attach_show_begin(struct attach *a);
/** Waits for events or so long, and shows them. */
void attach_show_wait(struct attach *a, int timeout_ms);
/** Counts of programs, and watched maps: drawn anew on a terminal. */
void attach_show_state(struct attach *a);
/** The last word: counts, and the maps. */
void attach_show_end(struct attach *a);
/** Copies the text of an iterator to the output. */
int attach_show_iter(struct attach *a, const struct attached *one);

#endif
