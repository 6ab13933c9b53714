/*
 * What must be known of all functions before one is built: which ops each of them can come to, and what happens below
 * its calls. The graph of calls is walked upwards from what calls nothing; functions that the walk does not come to
 * are on a cycle, or above one.
 */
#include "vm/ir/build.h"
#include <errno.h>
#include <stdlib.h>

static bool runs_on(const struct code *code, uint32_t begin, uint32_t end)
{
    if (end - begin >= 2 && code->ops[end - 2].kind == OP_CONST_WIDE)
        return true; /* the last op is its second slot */
    return !build_ends(&code->ops[end - 1]);
}

/* Where control may run on past the end of a function (a form that only lenient programs have), the ops of the next one
 * belong to it as well. Each function that does so makes copies, so there is a limit to all of them. */
static int find_ranges(struct builder *b)
{
    const struct code *code = b->code;
    uint64_t total = 0;

    for (uint32_t i = code->n_funcs; i-- > 0;) {
        struct func_info *info = &b->info[i];
        uint32_t end = i + 1 < code->n_funcs ? code->funcs[i + 1].op : code->n_ops;
        info->begin = code->funcs[i].op;
        info->end = end;
        if (end < code->n_ops && runs_on(code, info->begin, end))
            info->end = b->info[i + 1].end;
        total += info->end - info->begin;
    }
    return total > (uint64_t)4 * code->n_ops + 4096 ? -E2BIG : 0;
}

/* Calls of a function, counted down while the graph is walked. */
struct graph {
    uint32_t *callers; /* by callee, in the order of `first` */
    uint32_t *first;
    uint32_t *waits; /* calls of this function whose callee was not yet looked at */
    uint32_t *work;
    uint32_t *height; /* frames below it */
};

static void count_calls(const struct builder *b, struct graph *g)
{
    const struct code *code = b->code;
    uint32_t at = 0;

    for (uint32_t i = 0; i < code->n_funcs; i++)
        for (uint32_t k = b->info[i].begin; k < b->info[i].end; k++)
            if (code->ops[k].kind == ISA_CALL_LOCAL) {
                g->first[code->ops[k].imm]++;
                g->waits[i]++;
            }
    for (uint32_t i = 0; i <= code->n_funcs; i++) {
        uint32_t n = i < code->n_funcs ? g->first[i] : 0;
        g->first[i] = at;
        at += n;
    }
}

static void note_callers(const struct builder *b, struct graph *g)
{
    const struct code *code = b->code;

    for (uint32_t i = code->n_funcs; i-- > 0;)
        for (uint32_t k = b->info[i].begin; k < b->info[i].end; k++)
            if (code->ops[k].kind == ISA_CALL_LOCAL)
                g->callers[g->first[code->ops[k].imm]++] = i;
    for (uint32_t i = code->n_funcs; i > 0; i--)
        g->first[i] = g->first[i - 1];
    g->first[0] = 0;
}

/* Adds to *calls the local ones. @return may anything call back into the program? */
static bool look_at_ops(struct builder *b, uint32_t i, uint64_t *calls)
{
    struct func_info *info = &b->info[i];
    bool back = false;

    for (uint32_t k = info->begin; k < info->end; k++) {
        const struct op *op = &b->code->ops[k];
        *calls += op->kind == ISA_CALL_LOCAL;
        if (op->kind == OP_TAIL_CALL)
            info->calls_out = info->tail_calls = true;
        if (op->kind == OP_CALL_BODY) {
            info->calls_out = true;
            back |= b->code->helpers[op->aux]->effects & EFFECT_CALLS_BACK;
        }
    }
    return back;
}

static void rise(struct builder *b, struct graph *g, bool back)
{
    uint32_t n_funcs = b->code->n_funcs, n = 0, seen = 0;
    bool deep;

    for (uint32_t i = 0; i < n_funcs; i++)
        if (!g->waits[i])
            g->work[n++] = i;
    while (n) {
        uint32_t callee = g->work[--n];
        seen++;
        for (uint32_t k = g->first[callee]; k < g->first[callee + 1]; k++) {
            uint32_t caller = g->callers[k];
            b->info[caller].calls_out |= b->info[callee].calls_out;
            b->info[caller].tail_calls |= b->info[callee].tail_calls;
            if (g->height[caller] < g->height[callee] + 1)
                g->height[caller] = g->height[callee] + 1;
            if (!--g->waits[caller])
                g->work[n++] = caller;
        }
    }
    /* Deepest when the entry is the outermost frame; callbacks begin at any depth. What was verified was proved not to
     * go too deep. */
    deep = !b->facts && (seen < n_funcs || back || g->height[0] + 1 > PROG_MAX_FRAMES);
    for (uint32_t i = 0; i < n_funcs; i++) {
        struct func_info *info = &b->info[i];
        info->may_go_too_deep = deep;
        if (deep || g->waits[i])
            info->calls_out = true;
        if (g->waits[i]) /* on a cycle or above one: whatever the others do */
            info->tail_calls = true;
    }
}

int build_info(struct builder *b)
{
    uint32_t n = b->code->n_funcs;
    uint64_t calls = 0;
    struct graph g = {0};
    bool back = false;
    int err = find_ranges(b);

    if (err)
        return err;
    for (uint32_t i = 0; i < n; i++)
        back |= look_at_ops(b, i, &calls);
    g.first = calloc((size_t)4 * n + 1, sizeof(*g.first));
    g.callers = malloc((calls + 1) * sizeof(*g.callers));
    if (g.first && g.callers) {
        g.waits = g.first + n + 1;
        g.work = g.waits + n;
        g.height = g.work + n;
        if (calls) {
            count_calls(b, &g);
            note_callers(b, &g);
        }
        rise(b, &g, back);
    } else {
        err = -ENOMEM;
    }
    free(g.first);
    free(g.callers);
    return err;
}
