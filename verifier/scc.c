/*
 * Loops of the control flow: strongly connected components within each function, by Tarjan's algorithm without
 * recursion. An instruction on a cycle has the number of its component in info->scc, others 0. A call that calls back
 * is a loop by itself: it may go on in its callback any number of times.
 */
#include "verifier/verifier.h"

#include <stdlib.h>

struct tarjan {
    uint32_t *order, *low; /* when an instruction was first seen, counted from 1; the earliest that it leads back to */
    uint32_t *path;        /* instructions being looked at, one below the other */
    uint32_t *open;        /* those seen whose component is not complete */
    uint8_t *next;         /* successors looked at */
    uint32_t n_path, n_open, clock;
};

enum { DONE = UINT32_MAX };

static void see(struct tarjan *t, uint32_t i)
{
    t->order[i] = t->low[i] = ++t->clock;
    t->path[t->n_path++] = i;
    t->open[t->n_open++] = i;
}

static bool leads_to_itself(const struct verifier *v, uint32_t i)
{
    uint32_t next[2];

    for (unsigned k = liveness_next(insn_at(v, i), i, next); k-- > 0;)
        if (next[k] == i)
            return true;
    return v->info[i].calls_back;
}

/* All that leads back to `root` is a component of its own. */
static void close_component(struct verifier *v, struct tarjan *t, uint32_t root)
{
    bool loop = t->open[t->n_open - 1] != root || leads_to_itself(v, root);
    uint32_t i;

    if (loop)
        v->n_loops++;
    do {
        i = t->open[--t->n_open];
        t->low[i] = DONE;
        if (loop)
            v->info[i].scc = v->n_loops;
    } while (i != root);
}

static void walk(struct verifier *v, struct tarjan *t, uint32_t root)
{
    uint32_t out[2];

    see(t, root);
    while (t->n_path) {
        uint32_t i = t->path[t->n_path - 1], to;

        if (t->next[i] < liveness_next(insn_at(v, i), i, out)) {
            to = out[t->next[i]++];
            if (to >= v->prog->n_insns)
                continue;
            if (!t->order[to])
                see(t, to);
            else if (t->low[to] != DONE && t->order[to] < t->low[i])
                t->low[i] = t->order[to];
            continue;
        }
        t->n_path--;
        if (t->n_path && t->low[i] < t->low[t->path[t->n_path - 1]])
            t->low[t->path[t->n_path - 1]] = t->low[i];
        if (t->low[i] == t->order[i])
            close_component(v, t, i);
    }
}

bool scc_compute(struct verifier *v)
{
    uint32_t n = v->prog->n_insns;
    uint32_t *all = calloc((size_t)n * 4 + 1, sizeof(*all));
    struct tarjan t = {.order = all, .next = calloc(n + 1, 1)};
    bool ok = all && t.next;

    if (ok) {
        t.low = all + n;
        t.path = t.low + n;
        t.open = t.path + n;
        for (uint32_t i = 0; i < n; i++)
            if (!t.order[i] && !insn_at(v, i)->wide_tail)
                walk(v, &t, i);
    }
    free(all);
    free(t.next);
    return ok;
}
