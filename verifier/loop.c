/*
 * Paths that stop inside a loop, at a saved state whose own paths are not all finished: what will matter there is not
 * known yet. Such a stop is kept as a backedge, with the path that led to it, until all that began at the loop's first
 * saved state is finished. Then the marks of what the backedges stopped at are final, and are carried back along each
 * of them until nothing changes. While a loop has backedges, states saved in it may lack marks, and whoever is compared
 * with them must match in every number.
 *
 * A visit is one loop (scc.c) as reached by one chain of calls: the outermost frame that is in a loop decides, so that
 * what is called from a loop, callbacks included, belongs to it. `entry` is the first state saved in the visit; it is
 * NULL between visits, and then there are no backedges. Saved states that finish meanwhile are held, with their
 * history, since backedges go back through them.
 */
#include "verifier/verifier.h"

#include <stdlib.h>
#include <string.h>

/* Rounds until everything is marked instead, as in Linux. */
enum { MAX_ROUNDS = 64 };

struct backedge {
    struct backedge *next;
    struct checkpoint *to;
    struct state *from;
};

struct visit {
    struct visit *next;
    uint32_t depth; /* frames below the one that is in the loop */
    uint32_t callsites[PROG_MAX_FRAMES];
    struct checkpoint *entry, *held;
    struct backedge *backedges;
};

bool loop_init(struct verifier *v)
{
    v->loops = calloc(v->n_loops + 1, sizeof(struct visit *));
    return v->loops != NULL;
}

void loop_free(struct verifier *v)
{
    for (uint32_t i = 0; v->loops && i <= v->n_loops; i++)
        for (struct visit *vis = v->loops[i], *next; vis; vis = next) {
            for (struct backedge *b = vis->backedges, *after; b; b = after) {
                after = b->next;
                history_free(&b->from->past);
                free(b);
            }
            for (struct checkpoint *c = vis->held, *after; c; c = after) {
                after = c->held_next;
                if (c->retired) { /* the others are still in their lists */
                    history_free(&c->state->past);
                    free(c);
                }
            }
            next = vis->next;
            free(vis);
        }
    free(v->loops);
    v->loops = NULL;
}

/* The visit that the state is in; *in: its loop, 0 for none. */
static struct visit *find(const struct verifier *v, const struct state *s, uint32_t *in, struct visit *key)
{
    *in = 0;
    for (key->depth = 0; key->depth < s->n_frames; key->depth++) {
        uint32_t at = key->depth + 1 == s->n_frames ? s->insn : s->frames[key->depth + 1]->callsite;

        *in = v->info[at].scc;
        if (*in)
            break;
        key->callsites[key->depth] = at;
    }
    if (!*in)
        return NULL;
    for (struct visit *vis = v->loops[*in]; vis; vis = vis->next)
        if (vis->depth == key->depth && !memcmp(vis->callsites, key->callsites, key->depth * sizeof(key->callsites[0])))
            return vis;
    return NULL;
}

static struct visit *visit_of(const struct verifier *v, const struct state *s)
{
    struct visit key;
    uint32_t in;

    return find(v, s, &in, &key);
}

bool loop_enter(struct verifier *v, struct checkpoint *c)
{
    struct visit key = {0}, *vis;
    uint32_t in;

    vis = find(v, c->state, &in, &key);
    if (!in)
        return true;
    if (!vis) {
        vis = malloc(sizeof(*vis));
        if (!vis)
            return false;
        *vis = key;
        vis->next = v->loops[in];
        v->loops[in] = vis;
    }
    if (!vis->entry)
        vis->entry = c;
    return true;
}

bool loop_is_open(const struct verifier *v, const struct state *s)
{
    const struct visit *vis = v->n_backedges ? visit_of(v, s) : NULL;

    return vis && vis->backedges;
}

bool loop_rest(struct verifier *v, struct checkpoint *to, const struct state *s)
{
    struct visit *vis = visit_of(v, to->state);
    struct backedge *b;

    if (!vis || !vis->entry) /* nothing that a path could stop at was saved outside a visit */
        return false;
    b = malloc(sizeof(*b));
    if (!b)
        return false;
    *b = (struct backedge){.next = vis->backedges, .to = to, .from = state_copy(&v->pool, s)};
    if (!b->from) {
        free(b);
        return false;
    }
    vis->backedges = b;
    v->n_backedges++;
    return true;
}

static void carry_back(struct verifier *v, const struct visit *vis)
{
    uint64_t before;
    unsigned round = 0;

    do {
        before = v->marks_made;
        for (const struct backedge *b = vis->backedges; b; b = b->next) {
            struct marks all;

            memset(&all, 0xff, sizeof(all));
            precision_adopt(v, round < MAX_ROUNDS ? &b->to->precise : &all, b->from);
        }
    } while (v->marks_made != before && round++ < MAX_ROUNDS);
}

static void hold(struct visit *vis, struct checkpoint *c)
{
    if (c->held)
        return;
    c->held = true;
    c->held_next = vis->held;
    vis->held = c;
}

bool loop_holds(struct verifier *v, struct checkpoint *c)
{
    struct visit *vis = v->n_backedges || c->held ? visit_of(v, c->state) : NULL;

    if (vis && vis->backedges && vis->entry != c)
        hold(vis, c);
    return c->held;
}

struct checkpoint *loop_leave(struct verifier *v, struct checkpoint *c)
{
    struct visit *vis = v->n_loops ? visit_of(v, c->state) : NULL;
    struct checkpoint *held;

    if (!vis || vis->entry != c)
        return NULL;
    carry_back(v, vis);
    for (struct backedge *b = vis->backedges, *next; b; b = next) {
        next = b->next;
        state_free(&v->pool, b->from);
        free(b);
        v->n_backedges--;
    }
    held = vis->held;
    vis->backedges = NULL;
    vis->held = NULL;
    vis->entry = NULL;
    return held;
}

/* The round before of a loop that is known to end: the nearest saved state above that stood at the same place. */
static struct checkpoint *round_before(const struct state *s)
{
    struct checkpoint *c = s->parent;

    for (; c; c = c->state->parent) {
        bool same = c->state->insn == s->insn && c->state->n_frames == s->n_frames;

        for (uint32_t f = 1; same && f < s->n_frames; f++)
            same = c->state->frames[f]->callsite == s->frames[f]->callsite;
        if (same)
            return c;
    }
    return NULL;
}

static bool changed(const struct reg *old, const struct reg *now)
{
    return old->kind == REG_SCALAR && now->kind == REG_SCALAR &&
           (!scalar_equal(&old->s, &now->s) || !old->id != !now->id || old->off != now->off);
}

static bool widen_frame(struct verifier *v, struct state *s, unsigned f, const struct checkpoint *c)
{
    const struct frame *old = c->state->frames[f], *now = s->frames[f];
    const struct scalar any = scalar_unknown();
    struct frame *mine;

    for (unsigned r = 0; r < REGS - 1; r++) {
        if (c->precise.regs[f] >> r & 1 || !changed(&old->regs[r], &now->regs[r]))
            continue;
        now = mine = state_frame_mut(&v->pool, s, f);
        if (!mine)
            return false;
        mine->regs[r] = reg_unknown();
    }
    for (unsigned i = 0; i < now->n_slots && i < old->n_slots; i++) {
        const struct slot *was = frame_slot(old, i), *is = frame_slot(now, i);

        if (!slot_is_spill(was) || !slot_is_spill(is) || c->precise.slots[f] >> i & 1 || !changed(&was->reg, &is->reg))
            continue;
        now = mine = state_slots_mut(&v->pool, s, f, i, i + 1);
        if (!mine)
            return false;
        frame_slot_own(mine, i)->reg = reg_scalar(scalar_cast(&any, slot_spill_size(is), false));
    }
    return true;
}

bool loop_widen(struct verifier *v, struct state *s, const struct state *from)
{
    const struct checkpoint *c = round_before(from);

    for (unsigned f = 0; c && f < s->n_frames; f++)
        if (!widen_frame(v, s, f, c))
            return false;
    return true;
}
