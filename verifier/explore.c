/*
 * The only loop: takes a path, runs it instruction by instruction, compares it with what was explored at the same
 * place, saves states there, and puts second successors on the worklist. Depth first, so that what is compared with is
 * finished: a checkpoint counts its unfinished paths, and prunes others only when none are left.
 */
#include "verifier/trace.h"
#include "verifier/verifier.h"

#include <stdlib.h>
#include <string.h>

/* WAITING: Linux's BPF_COMPLEXITY_LIMIT_JMP_SEQ. */
enum { WAITING = 8192, DEFAULT_LIMIT = 1000000, MIN_JUMPS = 2, MIN_INSNS = 8, LONG_HISTORY = 40 };

/* States are kept by instruction and by the call that led into its function, so that calls from different places do not
 * stand in each other's way. */
static struct checkpoint **list_of(struct verifier *v, const struct state *s)
{
    uint32_t callsite = state_top(s)->callsite;

    return &v->at[(s->insn ^ (callsite == UINT32_MAX ? 0 : callsite + 1)) % v->prog->n_insns];
}

static bool same_place(const struct checkpoint *c, const struct state *s)
{
    return c->insn == s->insn && c->callsite == state_top(s)->callsite;
}

static void unlink_from(struct checkpoint **list, struct checkpoint *c)
{
    while (*list != c)
        list = &(*list)->next;
    *list = c->next;
}

static void checkpoint_free(struct verifier *v, struct checkpoint *c)
{
    state_free(&v->pool, c->state);
    v->pool.bytes -= sizeof(*c);
    free(c);
}

/* Nobody walks back through what is finished. */
static void let_go(struct verifier *v, struct checkpoint *c)
{
    history_free(&c->state->past);
    if (c->retired)
        checkpoint_free(v, c);
}

/* A path ended: its checkpoints have one path less to wait for. */
static void path_ended(struct verifier *v, struct checkpoint *c)
{
    while (c) {
        struct checkpoint *up = c->state->parent;

        if (--c->branches)
            return;
        for (struct checkpoint *held = loop_leave(v, c), *next; held; held = next) {
            next = held->held_next;
            held->held = false;
            let_go(v, held);
        }
        if (!loop_holds(v, c))
            let_go(v, c);
        c = up;
    }
}

static struct state *next_path(struct verifier *v)
{
    struct state *s = v->work;

    if (s) {
        v->work = s->next;
        v->n_work--;
        s->next = NULL;
    }
    return s;
}

static void push_path(struct verifier *v, struct state *s)
{
    if (s->parent)
        s->parent->branches++;
    s->next = v->work;
    v->work = s;
    v->n_work++;
}

/* Saves where the path is; the path goes on below it. */
static bool save(struct verifier *v, struct state *s)
{
    struct checkpoint *c = calloc(1, sizeof(*c));
    struct state *kept = c ? state_new(&v->pool) : NULL;

    if (!kept) {
        free(c);
        return false;
    }
    v->pool.bytes += sizeof(*c);
    state_share(kept, s);
    kept->past = s->past;
    s->past = (struct history){0};
    c->state = kept;
    c->insn = s->insn;
    c->callsite = state_top(s)->callsite;
    c->branches = 1;
    c->next = *list_of(v, s);
    *list_of(v, s) = c;
    s->parent = c;
    s->jumps = 0;
    v->insns_since_save = 0;
    v->jumps_since_save = 0;
    v->out->states_total++;
    v->states++;
    if (v->states > v->out->states_peak)
        v->out->states_peak = v->states;
    return loop_enter(v, c);
}

static bool has_frame_like(const struct checkpoint *c, const struct state *s)
{
    return c->state->n_frames == s->n_frames;
}

/* May a checkpoint be given up? Those that keep missing are. */
static void give_up(struct verifier *v, struct checkpoint *c)
{
    unlink_from(list_of(v, c->state), c);
    v->states--;
    if (c->branches || loop_holds(v, c))
        c->retired = true;
    else
        checkpoint_free(v, c);
}

/* The path stops where another went on; what counted there counts on the way here. */
static enum reason stop_at(struct verifier *v, struct checkpoint *c, const struct state *s, bool open)
{
    enum reason reason = precision_adopt(v, &c->precise, s);

    c->hits++;
    return !reason && open && !loop_rest(v, c, s) ? REASON_out_of_memory : reason;
}

/* At a place where states are compared. *pruned: the path need not go on. */
static enum reason visit(struct verifier *v, struct state *s, bool *pruned)
{
    struct insn_info *info = &v->info[s->insn];
    bool add = info->force || s->jumps > LONG_HISTORY ||
               (v->jumps_since_save >= MIN_JUMPS && v->insns_since_save >= MIN_INSNS);
    uint32_t here = 0;
    struct checkpoint *next;

    *pruned = false;
    for (struct checkpoint *c = *list_of(v, s); c; c = next) {
        uint32_t patience = info->force && c->branches ? 64 : 3;

        next = c->next;
        if (!same_place(c, s))
            continue;
        here++;
        if (!c->branches) {
            bool open = loop_is_open(v, c->state);

            if (states_equal(v, c, s,
                             open || v->opts->keep_states == VERIFY_KEEP_EXACT ? COMPARE_RANGE : COMPARE_PRUNE)) {
                *pruned = true;
                return stop_at(v, c, s, open);
            }
        } else if (has_frame_like(c, s)) {
            bool rests = false;

            if (info->calls_back)
                rests = states_equal(v, c, s, COMPARE_RANGE);
            else if (info->iterates)
                rests = iter_goes_on(s) && states_equal(v, c, s, COMPARE_RANGE);
            else if (insn_at(v, s->insn)->op == ISA_MAY_GOTO && c->state->may_goto_depth != s->may_goto_depth)
                rests = states_equal(v, c, s, COMPARE_RANGE);
            if (rests) {
                *pruned = true;
                return stop_at(v, c, s, true);
            }
            if (!info->calls_back && !info->iterates && s->may_goto_depth == c->state->may_goto_depth &&
                s->callback_depth == c->state->callback_depth && states_equal(v, c, s, COMPARE_EXACT) &&
                !iter_depths_differ(v, c->state, s))
                return refuse(v, REASON_infinite_loop,
                              "the path is back at this instruction and everything is as it was");
            if (!info->force && v->jumps_since_save < 20 && v->insns_since_save < 100)
                add = false;
        }
        if (add && ++c->misses > c->hits * patience + patience)
            give_up(v, c);
    }
    if (here + 1 > v->out->max_states_per_insn)
        v->out->max_states_per_insn = here + 1;
    return add && !save(v, s) ? REASON_out_of_memory : REASON_ok;
}

/* Jumps, calls and exits: what the choice of places to save goes by. */
static bool is_jump_class(const struct insn *insn)
{
    uint8_t class = isa_rows[insn->op].code & 7;

    return class == 5 || class == 6;
}

/* One path until it ends, is pruned, or fails; second successors go to the worklist. */
static enum reason follow(struct verifier *v, struct state *s, uint64_t limit)
{
    for (;;) {
        struct state *other;
        enum reason reason;
        bool done;

        if (s->insn >= v->prog->n_insns)
            return refuse(v, REASON_falls_off, "control runs past the last instruction");
        v->out->insn = s->insn;
        if (++v->out->insns_processed > limit)
            return refuse(v, REASON_too_complex, "%llu instructions were processed; the limit is %llu",
                          (unsigned long long)v->out->insns_processed - 1, (unsigned long long)limit);
        if (v->info[s->insn].prune_point) {
            reason = visit(v, s, &done);
            if (!reason && done && v->trace)
                trace_pruned(v, s);
            if (reason || done)
                return reason;
        }
        if (v->out->explored && !explored_keep(v->out->explored, &v->pool, s))
            return REASON_out_of_memory;
        v->insns_since_save++;
        v->info[s->insn].steps++;
        if (is_jump_class(insn_at(v, s->insn)))
            v->jumps_since_save++, s->jumps++;
        if (v->trace)
            trace_before(v, s);
        reason = step(v, s, &other, &done);
        if (v->trace && !reason)
            trace_after(v, s, other, done);
        if (other)
            push_path(v, other);
        if (v->n_work > WAITING && limit <= DEFAULT_LIMIT)
            return refuse(v, REASON_too_complex, "%u branches were put off; the limit is %u", v->n_work, WAITING);
        if (reason || done)
            return reason;
    }
}

enum reason explore(struct verifier *v, uint32_t *insn)
{
    uint64_t limit = v->opts->max_insns ? v->opts->max_insns : DEFAULT_LIMIT;
    enum reason reason = REASON_ok;

    v->insns_since_save = 1; /* Linux counts the instruction that it looks at, and begins at 0 */
    while (v->work && !reason) {
        struct state *s = next_path(v);

        if (v->trace)
            trace_path(v, s);
        reason = follow(v, s, limit);
        if (reason) {
            *insn = v->out->insn;
            s->next = v->work;
            v->work = s;
            break;
        }
        path_ended(v, s->parent);
        state_free(&v->pool, s);
    }
    return reason;
}
