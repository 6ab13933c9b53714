/*
 * Does an old state stand for everything that a new one stands for? Then what the old one led to covers the new one,
 * which may stop. Registers and slots that are not read later do not count; scalars whose value never mattered match
 * any scalar; ids match when one renaming fits all.
 *
 * What an old state had not written to its stack, or written as bytes that nothing is known of, it read as unknown
 * numbers: only who may see pointers may read what was never written. Whatever a new state of such a program has there
 * is a number, too, and all that followed was found to be safe for any. So it is covered, a spilled pointer included,
 * as in Linux: had the path been walked on, it might have been refused for reading part of that pointer or for
 * calculating with it, which keeps unprivileged programs from seeing it and endangers nothing.
 */
#include "verifier/verifier.h"

#include <string.h>

enum { MAX_IDS = 1024 };

struct renaming {
    uint32_t old[MAX_IDS], cur[MAX_IDS];
    uint32_t n;
    uint32_t fresh; /* ids for scalars that have none */
    struct reg unknown;
};

static bool same_id(struct renaming *m, uint32_t old, uint32_t cur)
{
    if (!old || !cur)
        return old == cur;
    for (uint32_t i = 0; i < m->n; i++) {
        if (m->old[i] == old)
            return m->cur[i] == cur;
        if (m->cur[i] == cur)
            return false;
    }
    if (m->n == MAX_IDS)
        return false;
    m->old[m->n] = old;
    m->cur[m->n++] = cur;
    return true;
}

/* An old scalar that was linked to nothing covers linked ones; one that was linked needs the same links. */
static bool same_link(struct renaming *m, uint32_t old, uint32_t cur)
{
    if (!old)
        return true;
    return same_id(m, old, cur ? cur : --m->fresh);
}

static bool scalar_covers(struct renaming *m, const struct reg *old, const struct reg *cur, bool precise,
                          enum compare how)
{
    if (how == COMPARE_EXACT)
        return scalar_equal(&old->s, &cur->s) && same_id(m, old->id, cur->id) && old->off == cur->off;
    if (how == COMPARE_PRUNE && !precise)
        return true;
    if ((old->flags ^ cur->flags) & REG_LINK_OFF && old->id)
        return false;
    if (old->flags & REG_LINK_OFF && old->off != cur->off)
        return false;
    return scalar_within(&old->s, &cur->s) && same_link(m, old->id, cur->id);
}

static bool reg_covers(struct renaming *m, const struct reg *old, const struct reg *cur, bool precise, enum compare how)
{
    if (old->kind == REG_NONE && how != COMPARE_EXACT)
        return true;
    if (old->kind != cur->kind)
        return false;
    if (old->kind == REG_SCALAR)
        return scalar_covers(m, old, cur, precise, how);
    if (old->kind == REG_NONE)
        return true;
    if (old->flags != cur->flags || old->trust != cur->trust || old->frame != cur->frame || old->map != cur->map ||
        old->off != cur->off)
        return false;
    if (!same_id(m, old->id, cur->id) || !same_id(m, old->ref, cur->ref) || !same_id(m, old->map_uid, cur->map_uid))
        return false;
    if (old->kind == REG_PACKET || old->kind == REG_PACKET_META) {
        if (how == COMPARE_EXACT ? old->size != cur->size : old->size > cur->size)
            return false;
    } else if (old->size != cur->size) {
        return false;
    }
    return how == COMPARE_EXACT ? scalar_equal(&old->s, &cur->s) : scalar_within(&old->s, &cur->s);
}

static const struct slot no_slot;

static const struct slot *slot_of(const struct frame *f, unsigned i)
{
    return i < f->n_slots ? frame_slot(f, i) : &no_slot;
}

/* The slot as one scalar, when that is what it is: a spilled scalar of 8 bytes, or 8 bytes that nothing is known of. */
static const struct reg *as_scalar(const struct verifier *v, const struct slot *slot, const struct reg *unknown)
{
    if (slot_is_spill(slot))
        return slot->reg.kind == REG_SCALAR && slot->type[SLOT - 1] == SLOT_SPILL ? &slot->reg : NULL;
    for (unsigned i = 0; i < SLOT; i++)
        if (slot->type[i] != SLOT_MISC && !(slot->type[i] == SLOT_INVALID && v->privileged))
            return NULL;
    return unknown;
}

static bool slot_covers(const struct verifier *v, struct renaming *m, const struct slot *old, const struct slot *cur,
                        bool precise, enum compare how)
{
    const struct reg *a, *b;

    if (how != COMPARE_EXACT && (a = as_scalar(v, old, &m->unknown)) && (b = as_scalar(v, cur, &m->unknown))) {
        if (a == &m->unknown) /* nothing was known, and nothing needs to be */
            return true;
        return scalar_covers(m, a, b, precise, how);
    }
    for (unsigned i = 0; i < SLOT; i++) {
        uint8_t o = old->type[i], c = cur->type[i];

        if (how != COMPARE_EXACT && (o == SLOT_INVALID || (o == SLOT_MISC && v->privileged))) {
            if (v->opts->numbers_apart && c == SLOT_SPILL && cur->reg.kind != REG_SCALAR)
                return false;
            continue;
        }
        if (how != COMPARE_EXACT && o == SLOT_MISC &&
            (c == SLOT_ZERO || c == SLOT_MISC || (c == SLOT_SPILL && cur->reg.kind == REG_SCALAR)))
            continue;
        if (o != c)
            return false;
    }
    if (slot_is_dynptr(old) && slot_is_dynptr(cur))
        return old->reg.size == cur->reg.size && old->reg.flags == cur->reg.flags &&
               same_id(m, old->reg.ref, cur->reg.ref) && same_id(m, old->reg.id, cur->reg.id);
    if (slot_is_iter(old) && slot_is_iter(cur))
        return old->reg.iter == cur->reg.iter && old->reg.flags == cur->reg.flags && old->reg.frame == cur->reg.frame &&
               old->reg.trust == cur->reg.trust && same_id(m, old->reg.ref, cur->reg.ref);
    if (!slot_is_spill(old))
        return true;
    return slot_spill_size(old) == slot_spill_size(cur) && reg_covers(m, &old->reg, &cur->reg, precise, how);
}

static void live_at(const struct verifier *v, const struct state *s, unsigned f, enum compare how, uint16_t *regs,
                    uint64_t *slots)
{
    uint64_t used = how == COMPARE_PRUNE ? uses_live(v, state_top(s)->inst, f, s->insn) : UINT64_MAX;

    if (f + 1 == s->n_frames) {
        *regs = v->info[s->insn].live_regs;
        *slots = v->info[s->insn].live_slots & used;
        return;
    }
    /* An outer frame goes on after its call, or with it again after a callback; the callee may meanwhile read what it
     * was given pointers to. */
    *regs = s->frames[f + 1]->callback ? v->info[s->frames[f + 1]->callsite].live_regs
                                       : v->info[s->frames[f + 1]->callsite + 1].live_regs & (uint16_t)~0x3f;
    *slots = v->info[s->frames[f + 1]->callsite].live_slots & used;
}

static bool frame_covers(struct verifier *v, struct renaming *m, const struct checkpoint *old, const struct state *cur,
                         unsigned f, enum compare how)
{
    const struct frame *a = old->state->frames[f], *b = cur->frames[f];
    unsigned n = a->n_slots > b->n_slots ? a->n_slots : b->n_slots;
    uint16_t regs;
    uint64_t slots;

    if (a->func != b->func || a->callsite != b->callsite || a->async != b->async || a->rounds > b->rounds)
        return false;
    live_at(v, cur, f, how, &regs, &slots);
    for (unsigned r = 0; r < REGS - 1; r++)
        if (regs >> r & 1 && !reg_covers(m, &a->regs[r], &b->regs[r], old->precise.regs[f] >> r & 1, how))
            return false;
    for (unsigned i = 0; i < n; i++)
        if (slots >> i & 1 && !slot_covers(v, m, slot_of(a, i), slot_of(b, i), old->precise.slots[f] >> i & 1, how))
            return false;
    return true;
}

/* What a path that stops here would read of its stack further on was written where the old one read it, and here
 * perhaps not. */
static void note_unwritten(struct verifier *v, const struct state *old, const struct state *cur, enum compare how)
{
    for (unsigned f = 0; f < cur->n_frames && !v->reads_unwritten_stack; f++) {
        const struct frame *a = old->frames[f], *b = cur->frames[f];
        uint16_t regs;
        uint64_t slots;

        live_at(v, cur, f, how, &regs, &slots);
        for (unsigned i = 0; i < a->n_slots; i++)
            for (unsigned k = 0; slots >> i & 1 && k < SLOT; k++)
                if (slot_of(a, i)->type[k] != SLOT_INVALID && slot_of(b, i)->type[k] == SLOT_INVALID)
                    v->reads_unwritten_stack = true;
    }
}

bool states_equal(struct verifier *v, const struct checkpoint *old, const struct state *cur, enum compare how)
{
    const struct state *o = old->state;
    struct renaming m;

    if (how == COMPARE_PRUNE)
        uses_settle(v);
    m.n = 0;
    m.fresh = UINT32_MAX;
    m.unknown = reg_unknown();
    if (o->n_frames != cur->n_frames || o->n_refs != cur->n_refs || o->locked != cur->locked ||
        o->lock_of != cur->lock_of || o->rcu != cur->rcu || o->sleeps != cur->sleeps ||
        o->preempt_off != cur->preempt_off)
        return false;
    if (o->locked && !same_id(&m, o->lock_id, cur->lock_id))
        return false;
    for (uint32_t i = 0; i < o->n_refs; i++)
        if (o->refs->at[i].kind != cur->refs->at[i].kind || !same_id(&m, o->refs->at[i].id, cur->refs->at[i].id))
            return false;
    for (unsigned f = 0; f < o->n_frames; f++)
        if (!frame_covers(v, &m, old, cur, f, how))
            return false;
    if (how != COMPARE_EXACT && v->privileged)
        note_unwritten(v, o, cur, how);
    return true;
}
