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

/* A path ended: its checkpoints have one path less to wait for. */
static void path_ended(struct verifier *v, struct checkpoint *c)
{
    while (c) {
        struct checkpoint *up = c->state->parent;

        if (--c->branches)
            return;
        history_free(&c->state->past); /* nobody walks back through what is finished */
        if (c->retired)
            checkpoint_free(v, c);
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
    return true;
}

/* What had to be exact in the old state must be so on this path too. */
static enum reason adopt_precision(struct verifier *v, const struct checkpoint *old, const struct state *s)
{
    struct marks m = old->precise;

    for (unsigned f = 0; f < PROG_MAX_FRAMES; f++) {
        if (f >= s->n_frames) {
            m.regs[f] = 0;
            m.slots[f] = 0;
            continue;
        }
        for (unsigned r = 0; r < REGS; r++)
            if (s->frames[f]->regs[r].kind != REG_SCALAR)
                m.regs[f] &= (uint16_t) ~(1u << r);
    }
    return precision_mark(v, s, &m);
}

/* The state that this path comes to rest in is not finished: what will matter there is not known yet, so that every
 * value on the way here does. */
static enum reason everything_counts(struct verifier *v, const struct state *s)
{
    struct marks m;

    memset(&m, 0xff, sizeof(m));
    return precision_mark(v, s, &m);
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
    if (c->branches)
        c->retired = true;
    else
        checkpoint_free(v, c);
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
            if (states_equal(v, c, s, v->opts->keep_states == VERIFY_KEEP_EXACT ? COMPARE_RANGE : COMPARE_PRUNE)) {
                enum reason reason = adopt_precision(v, c, s);

                c->hits++;
                *pruned = true;
                return reason;
            }
        } else if (has_frame_like(c, s)) {
            bool bounded = insn_at(v, s->insn)->op == ISA_MAY_GOTO && c->state->may_goto_depth != s->may_goto_depth;

            if (bounded && states_equal(v, c, s, COMPARE_RANGE)) {
                *pruned = true;
                return everything_counts(v, s);
            }
            if (s->may_goto_depth == c->state->may_goto_depth && states_equal(v, c, s, COMPARE_EXACT))
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

/* May_goto bounds its loop by itself: numbers that differ from the last round's and never mattered are forgotten, so
 * that the loop comes to rest. */
static bool widen(struct verifier *v, struct state *s)
{
    struct checkpoint *c = s->parent;

    while (c && (c->state->insn != s->insn || c->state->n_frames != s->n_frames))
        c = c->state->parent;
    if (c && c == s->parent) /* the checkpoint that was just saved here: the round before is above it */
        for (c = c->state->parent; c && (c->state->insn != s->insn || c->state->n_frames != s->n_frames);)
            c = c->state->parent;
    if (!c)
        return true;
    for (unsigned f = 0; f < s->n_frames; f++) {
        const struct frame *old = c->state->frames[f], *now = s->frames[f];

        for (unsigned r = 0; r < REGS - 1; r++) {
            struct frame *mine;

            if (old->regs[r].kind != REG_SCALAR || now->regs[r].kind != REG_SCALAR || c->precise.regs[f] >> r & 1 ||
                scalar_equal(&old->regs[r].s, &now->regs[r].s))
                continue;
            mine = state_frame_mut(&v->pool, s, f);
            if (!mine)
                return false;
            mine->regs[r] = reg_unknown();
            now = mine;
        }
        for (unsigned i = 0; i < now->n_slots && i < old->n_slots; i++) {
            struct frame *mine;

            const struct slot *was = frame_slot(old, i), *is = frame_slot(now, i);

            if (slot_spill_size(was) != SLOT || slot_spill_size(is) != SLOT || was->reg.kind != REG_SCALAR ||
                is->reg.kind != REG_SCALAR || c->precise.slots[f] >> i & 1 || scalar_equal(&was->reg.s, &is->reg.s))
                continue;
            mine = state_slots_mut(&v->pool, s, f, i, i + 1);
            if (!mine)
                return false;
            frame_slot_own(mine, i)->reg = reg_unknown();
            now = mine;
        }
    }
    return true;
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
        if (insn_at(v, s->insn)->op == ISA_MAY_GOTO && !widen(v, s))
            return REASON_out_of_memory;
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
