/*
 * In JSON "events" is an open array from walk_begin() to walk_end(), since events are shown as they come; a trap
 * follows with the counts. In text a trap is told of when it happens.
 */
#include "cli/walk.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BAR_WIDTH = 40 };

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void walk_begin(struct walk *w, struct run *r, const char *input, const char *unit)
{
    w->r = r;
    w->input = input;
    w->tally.type = skep_program__type(r->prog);
    w->tally.unit = unit;
    w->trap.sz = sizeof(w->trap);
    w->bar = isatty(STDERR_FILENO) && !r->c->json;
    w->begun = now_ns();
    if (r->c->json) {
        json_name(&r->c->w, "events");
        json_array_begin(&r->c->w);
    }
}

/* ---- The progress bar ---- */

void walk_progress(struct walk *w, uint64_t done, uint64_t all)
{
    enum { SECOND = 1000000000, PAUSE = 100000000 };
    uint64_t now = w->bar && all ? now_ns() : 0;
    if (!now || now - w->begun < SECOND || now - w->drawn < PAUSE)
        return;
    w->drawn = now;
    double share = done < all ? (double)done / (double)all : 1;
    int full = (int)(share * BAR_WIDTH);
    char bar[BAR_WIDTH + 1];
    memset(bar, '#', (size_t)full);
    memset(bar + full, '.', (size_t)(BAR_WIDTH - full));
    bar[BAR_WIDTH] = 0;
    fprintf(stderr, "\r[%s] %3d%% %" PRIu64 " %s ", bar, (int)(share * 100), w->tally.inputs, w->tally.unit);
}

static void wipe(struct walk *w)
{
    if (w->drawn)
        fputs("\r\033[K", stderr);
    w->drawn = 0;
}

/* ---- One input ---- */

static void on_trap(struct walk *w, const struct skep_trap *trap)
{
    char where[64];
    if (w->tally.trapped.inputs)
        return;
    w->trap = *trap;
    wipe(w);
    snprintf(where, sizeof(where), "%s %" PRIu64, w->input, w->tally.inputs + 1);
    if (!w->r->c->json)
        trap_show(w->r, trap, where);
}

static void on_refused(struct walk *w, int err, uint32_t bytes)
{
    if (w->tally.refused.inputs)
        return;
    wipe(w);
    cli_warn(w->r->c, "%s %" PRIu64 " (%u bytes) cannot be given to program '%s': %s", w->input, w->tally.inputs + 1,
             bytes, skep_program__name(w->r->prog), strerror(-err));
}

bool walk_step(struct walk *w, struct skep_run_opts *opts, uint64_t time, uint32_t bytes)
{
    struct skep_trap trap = {.sz = sizeof(trap)};
    opts->trap = &trap;
    opts->repeat = (int)w->r->o->repeat;
    int err = run_once(w->r, opts, time);
    opts->trap = NULL;
    if (err == -EFAULT) {
        on_trap(w, &trap);
        tally_trap(&w->tally, bytes);
    } else if (err && err != -ENOSPC) {
        on_refused(w, err, bytes);
        tally_refused(&w->tally, bytes);
    } else {
        tally_verdict(&w->tally, opts->retval, bytes, opts->duration);
        return true;
    }
    return false;
}

/* ---- The end ---- */

int walk_end(struct walk *w, int status)
{
    struct cli *c = w->r->c;
    wipe(w);
    if (c->json) {
        json_array_end(&c->w);
        tally_json(&w->tally, &c->w);
        if (w->tally.trapped.inputs)
            trap_show(w->r, &w->trap, NULL);
    } else {
        tally_print(&w->tally);
    }
    if (*run_stop_flag() && !status)
        status = cli_fail(c, STATUS_REFUSED, "stopped after %s %" PRIu64, w->input, w->tally.inputs);
    return status ? status : w->tally.trapped.inputs || w->tally.refused.inputs ? STATUS_REFUSED : STATUS_OK;
}
