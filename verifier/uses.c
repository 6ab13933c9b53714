/*
 * Which stack slots a later instruction reads, as exploration finds it: exact where pointers into frames are passed to
 * functions, stored, or moved by what is not known, of which liveness.c can only say that everything may be read.
 *
 * An instance is a function as reached by one chain of calls. For each of its instructions, and each frame that it can
 * reach (its own and its callers'), `read` is what any visit read there, and `write` what every visit overwrote whole;
 * an instruction that touches memory and was not visited yet passes nothing on. From these, `live` is what may be read
 * from before the instruction on, across calls and returns. All three only ever make `live` grow, so it is kept up to
 * date by walking back from what changed, and only when somebody asks.
 *
 * It says nothing of a path that is not finished: what such a path will read is not known yet. A finished checkpoint's
 * continuations were all explored, or were covered by other finished ones, and then it is exact; where paths stopped at
 * unfinished ones, the loop is over by then (loop.c). Where states are kept for watching runs, and for unprivileged
 * programs, to whom what lies in a slot matters when it is overwritten, it is not used.
 */
#include "verifier/verifier.h"

#include <stdlib.h>
#include <string.h>

struct node {
    bool visited, queued;
};

struct instance {
    uint32_t start, n;       /* slots of its function */
    uint32_t parent, depth;  /* UINT32_MAX: none; frames below it */
    uint32_t callsite;       /* in the parent */
    uint32_t child, sibling; /* UINT32_MAX: none */
    struct node *nodes;
    uint64_t *live, *read, *write; /* [instruction][frame] */
    size_t bytes;
};

struct place {
    uint32_t inst, at;
};

struct uses {
    struct instance *inst;
    uint32_t n, cap;
    uint32_t *pred, *pred_from; /* predecessors of i in its function: pred[pred_from[i]] .. pred[pred_from[i + 1]] */
    struct place *work;
    uint32_t n_work, cap_work;
    /* What the instruction in work touches. */
    uint64_t read[PROG_MAX_FRAMES], write[PROG_MAX_FRAMES];
};

enum { NONE = UINT32_MAX };

static bool touches_memory(const struct verifier *v, uint32_t at)
{
    const struct insn *insn = insn_at(v, at);

    switch (isa_rows[insn->op].form) {
    case ISA_FORM_LDX:
    case ISA_FORM_LOAD_ACQ:
    case ISA_FORM_ST:
    case ISA_FORM_STX:
    case ISA_FORM_STORE_REL:
    case ISA_FORM_ATOMIC: return true;
    case ISA_FORM_CALL: return insn->op != ISA_CALL_LOCAL || v->info[at].opaque;
    default: return false;
    }
}

static bool find_predecessors(const struct verifier *v, struct uses *u)
{
    uint32_t n = v->prog->n_insns, next[2], *fill;

    u->pred_from = calloc(n + 2, sizeof(*u->pred_from));
    u->pred = calloc(2 * (size_t)n + 1, sizeof(*u->pred));
    if (!u->pred_from || !u->pred)
        return false;
    fill = u->pred_from + 1; /* counts first, then where to write next: the start of the one after */
    for (uint32_t i = 0; i < n; i++)
        for (unsigned k = liveness_next(insn_at(v, i), i, next); k-- > 0;)
            if (!insn_at(v, i)->wide_tail && next[k] < n)
                fill[next[k]]++;
    for (uint32_t i = 0, sum = 0; i <= n; i++) {
        uint32_t count = fill[i];

        fill[i] = sum;
        sum += count;
    }
    for (uint32_t i = 0; i < n; i++)
        for (unsigned k = liveness_next(insn_at(v, i), i, next); k-- > 0;)
            if (!insn_at(v, i)->wide_tail && next[k] < n)
                u->pred[fill[next[k]]++] = i;
    return true;
}

bool uses_init(struct verifier *v)
{
    if (!v->privileged || v->opts->keep_states)
        return true;
    v->uses = calloc(1, sizeof(*v->uses));
    return v->uses && find_predecessors(v, v->uses);
}

void uses_free(struct verifier *v)
{
    struct uses *u = v->uses;

    if (!u)
        return;
    for (uint32_t i = 0; i < u->n; i++) {
        v->pool.bytes -= u->inst[i].bytes;
        free(u->inst[i].nodes);
        free(u->inst[i].live);
    }
    free(u->inst);
    free(u->pred);
    free(u->pred_from);
    free(u->work);
    free(u);
    v->uses = NULL;
}

static bool make(struct verifier *v, struct instance *in, uint32_t func)
{
    const struct prog_func *f = &v->prog->funcs[func];
    size_t masks;

    in->start = f->start;
    in->n = f->end - f->start;
    masks = (size_t)in->n * (in->depth + 1);
    in->bytes = 3 * masks * sizeof(uint64_t) + in->n * sizeof(struct node);
    if (v->pool.bytes + in->bytes > v->pool.limit)
        return false;
    in->nodes = calloc(in->n, sizeof(*in->nodes));
    in->live = calloc(3 * masks, sizeof(uint64_t));
    if (!in->nodes || !in->live) {
        free(in->nodes);
        free(in->live);
        return false;
    }
    in->read = in->live + masks;
    in->write = in->read + masks;
    v->pool.bytes += in->bytes;
    if (v->pool.bytes > v->pool.peak)
        v->pool.peak = v->pool.bytes;
    return true;
}

/* The first of what was called there, from `i` on among siblings: one function, or callbacks. */
static uint32_t called_at(const struct uses *u, uint32_t i, uint32_t callsite)
{
    while (i != NONE && u->inst[i].callsite != callsite)
        i = u->inst[i].sibling;
    return i;
}

static uint32_t find_child(const struct uses *u, uint32_t parent, uint32_t callsite, uint32_t start)
{
    uint32_t i = called_at(u, u->inst[parent].child, callsite);

    while (i != NONE && u->inst[i].start != start)
        i = called_at(u, u->inst[i].sibling, callsite);
    return i;
}

static void queue(struct verifier *v, uint32_t inst, uint32_t at)
{
    struct uses *u = v->uses;
    struct node *node = &u->inst[inst].nodes[at - u->inst[inst].start];

    if (node->queued)
        return;
    if (u->n_work == u->cap_work) {
        uint32_t cap = u->cap_work ? u->cap_work * 2 : 64;
        struct place *more = realloc(u->work, cap * sizeof(*more));

        if (!more) {
            v->pool.failed = true; /* the step's verdict is then out_of_memory */
            return;
        }
        u->work = more;
        u->cap_work = cap;
    }
    node->queued = true;
    u->work[u->n_work++] = (struct place){inst, at};
}

static void queue_exits(struct verifier *v, uint32_t inst)
{
    const struct instance *in = inst == NONE ? NULL : &v->uses->inst[inst];

    for (uint32_t i = in ? in->start : 0; in && i < in->start + in->n; i++)
        if (insn_at(v, i)->op == ISA_EXIT && !insn_at(v, i)->poisoned)
            queue(v, inst, i);
}

bool uses_enter(struct verifier *v, const struct state *s, uint32_t *inst)
{
    struct uses *u = v->uses;
    const struct frame *top = state_top(s);
    struct instance in = {.parent = NONE, .callsite = top->callsite, .child = NONE, .sibling = NONE};

    *inst = 0;
    if (!u)
        return true;
    for (uint32_t i = 0; s->n_frames == 1 && i < u->n; i++) /* what was put off begins anew each time */
        if (u->inst[i].parent == NONE && u->inst[i].start == v->prog->funcs[top->func].start) {
            *inst = i;
            return true;
        }
    if (s->n_frames > 1) {
        in.parent = s->frames[s->n_frames - 2]->inst;
        in.depth = s->n_frames - 1;
        *inst = find_child(u, in.parent, in.callsite, v->prog->funcs[top->func].start);
        if (*inst != NONE)
            return true;
    }
    if (u->n == u->cap) {
        uint32_t cap = u->cap ? u->cap * 2 : 4;
        struct instance *more = realloc(u->inst, cap * sizeof(*more));

        if (!more)
            return false;
        u->inst = more;
        u->cap = cap;
    }
    if (!make(v, &in, top->func))
        return false;
    *inst = u->n;
    u->inst[u->n++] = in;
    if (in.parent != NONE) {
        u->inst[*inst].sibling = u->inst[in.parent].child;
        u->inst[in.parent].child = *inst;
        /* What is read after the call is already known when other paths went on from there. */
        queue_exits(v, *inst);
    }
    return true;
}

void uses_begin(struct verifier *v)
{
    if (v->uses) {
        memset(v->uses->read, 0, sizeof(v->uses->read));
        memset(v->uses->write, 0, sizeof(v->uses->write));
    }
}

/* Slots that [off, off + size) touches, and those that lie wholly in it. */
static uint64_t between(int64_t lo, int64_t hi)
{
    uint64_t from, to;

    if (hi < lo)
        return 0;
    from = ~(uint64_t)0 << lo;
    to = hi >= 63 ? ~(uint64_t)0 : ((uint64_t)1 << (hi + 1)) - 1;
    return from & to;
}

void uses_read(struct verifier *v, unsigned frame, int64_t off, int64_t end)
{
    if (v->uses && off < end)
        v->uses->read[frame] |= between(-end / SLOT, (-off - 1) / SLOT);
}

void uses_write(struct verifier *v, unsigned frame, int64_t off, int64_t end)
{
    if (v->uses && off < end)
        v->uses->write[frame] |= between((-end + SLOT - 1) / SLOT, -off / SLOT - 1);
}

void uses_end(struct verifier *v, uint32_t inst, uint32_t at)
{
    struct uses *u = v->uses;
    struct instance *in;
    struct node *node;
    uint64_t *read, *write;
    bool changed;

    if (!u || !touches_memory(v, at))
        return;
    in = &u->inst[inst];
    node = &in->nodes[at - in->start];
    read = &in->read[(size_t)(at - in->start) * (in->depth + 1)];
    write = &in->write[(size_t)(at - in->start) * (in->depth + 1)];
    changed = !node->visited;
    for (uint32_t f = 0; f <= in->depth; f++) {
        uint64_t r = read[f] | u->read[f], w = node->visited ? write[f] & u->write[f] : u->write[f];

        changed |= r != read[f] || w != write[f];
        read[f] = r;
        write[f] = w;
    }
    node->visited = true;
    if (changed)
        queue(v, inst, at);
}

/* What may be read before an instruction, from what may be read after it. */
static void flow(const struct verifier *v, const struct uses *u, const struct instance *in, uint32_t at, uint64_t *live)
{
    const struct insn *insn = insn_at(v, at);
    uint32_t frames = in->depth + 1, next[2];
    size_t row = (size_t)(at - in->start) * frames;

    memset(live, 0, frames * sizeof(*live));
    if (insn->op == ISA_EXIT && !insn->poisoned) {
        const struct instance *up = in->parent == NONE ? NULL : &u->inst[in->parent];

        uint32_t back = in->callsite + !v->info[in->callsite].calls_back;

        if (up && back < up->start + up->n)
            memcpy(live, &up->live[(size_t)(back - up->start) * in->depth], in->depth * sizeof(*live));
        return;
    }
    if (insn->op == ISA_CALL_LOCAL && !insn->poisoned && !v->info[at].opaque) {
        uint32_t child = called_at(u, in->child, at);

        if (child != NONE)
            memcpy(live, u->inst[child].live, frames * sizeof(*live)); /* its own frame, the last, is not ours */
        return;
    }
    if (touches_memory(v, at) && !in->nodes[at - in->start].visited)
        return;
    for (unsigned k = liveness_next(insn, at, next); k-- > 0;)
        if (next[k] >= in->start && next[k] < in->start + in->n)
            for (uint32_t f = 0; f < frames; f++)
                live[f] |= in->live[(size_t)(next[k] - in->start) * frames + f];
    for (uint32_t c = v->info[at].calls_back ? called_at(u, in->child, at) : NONE; c != NONE;
         c = called_at(u, u->inst[c].sibling, at))
        for (uint32_t f = 0; f < frames; f++)
            live[f] |= u->inst[c].live[f];
    for (uint32_t f = 0; f < frames; f++)
        live[f] = (live[f] & ~in->write[row + f]) | in->read[row + f];
}

static void tell(struct verifier *v, uint32_t inst, uint32_t at)
{
    struct uses *u = v->uses;
    const struct instance *in = &u->inst[inst];

    for (uint32_t i = u->pred_from[at]; i < u->pred_from[at + 1]; i++)
        if (u->pred[i] >= in->start && u->pred[i] < in->start + in->n)
            queue(v, inst, u->pred[i]);
    if (at == in->start && in->parent != NONE)
        queue(v, in->parent, in->callsite);
    if (at > in->start && insn_at(v, at - 1)->op == ISA_CALL_LOCAL)
        queue_exits(v, called_at(u, in->child, at - 1));
    for (uint32_t c = v->info[at].calls_back ? called_at(u, in->child, at) : NONE; c != NONE;
         c = called_at(u, u->inst[c].sibling, at))
        queue_exits(v, c);
}

void uses_settle(struct verifier *v)
{
    struct uses *u = v->uses;
    uint64_t live[PROG_MAX_FRAMES];

    while (u && u->n_work) {
        struct place p = u->work[--u->n_work];
        struct instance *in = &u->inst[p.inst];
        size_t row = (size_t)(p.at - in->start) * (in->depth + 1);

        in->nodes[p.at - in->start].queued = false;
        flow(v, u, in, p.at, live);
        if (!memcmp(live, &in->live[row], (in->depth + 1) * sizeof(*live)))
            continue;
        memcpy(&in->live[row], live, (in->depth + 1) * sizeof(*live));
        tell(v, p.inst, p.at);
    }
}

uint64_t uses_live(const struct verifier *v, uint32_t inst, unsigned frame, uint32_t at)
{
    const struct instance *in;

    if (!v->uses)
        return UINT64_MAX;
    in = &v->uses->inst[inst];
    return in->live[(size_t)(at - in->start) * (in->depth + 1) + frame];
}
