/*
 * Open-coded iterators: slots of stack that three kernel functions alone make, move and end (and the flags that
 * bpf_local_irq_save() leaves, which are never moved). All of an iterator's slots
 * hold a record of kind REG_ITER that names its type; the one at the lowest address (REG_FIRST) holds what counts:
 * `ref` the reference that is to be given back, `frame` whether it is active or drained, `off` how often it went on
 * on this path (the depth), `trust` whether a section of RCU protects it. A store into one leaves bytes, and a
 * reference that nothing can give back any more.
 *
 * A call of a next function is a fork: on one path the iterator is drained and r0 is NULL, on the other it goes on and
 * r0 points to something. States are saved before each such call and compared there in every number; a path that has
 * come back with nothing new rests, since the drained path covers what follows. Depth keeps a loop that makes
 * progress by its iterator alone from being taken for one that makes none; it is never compared otherwise.
 */
#include "verifier/verifier.h"
#include "vm/abi/kfuncs.h"

#include <string.h>

enum { ACTIVE = 1, DRAINED };

/* The slot of the lowest address of what begins at off. */
static unsigned first_of(int64_t off)
{
    return (unsigned)(-off - 1) / SLOT;
}

static int64_t place(const struct reg *r)
{
    return r->off + (int64_t)r->s.t.value;
}

static unsigned slots_of(const struct iter_type *type)
{
    return type->bytes / SLOT;
}

static enum reason at_fixed_place(struct verifier *v, const struct state *s, unsigned reg, const struct iter_type *type)
{
    const struct reg *r = state_reg(s, reg);

    if (r->kind != REG_STACK)
        return refuse(v, REASON_helper_argument, "argument %u (r%u) is a %s where a %s on the stack is needed", reg,
                      reg, reg_kind_name(r), type->what);
    if (!scalar_is_const(&r->s))
        return refuse(v, REASON_iterator, "argument %u (r%u) is at an offset that is not constant", reg, reg);
    if (place(r) % SLOT || place(r) > -(int64_t)type->bytes || place(r) < -PROG_STACK_FRAME)
        return refuse(v, REASON_iterator, "argument %u (r%u) is r10%+lld, where no %s has room", reg, reg,
                      (long long)place(r), type->what);
    return REASON_ok;
}

enum reason iter_check_new(struct verifier *v, const struct state *s, unsigned reg, const struct iter_type *type)
{
    const struct reg *r = state_reg(s, reg);
    struct access a = {.insn = s->insn, .reg = reg, .size = SLOT, .write = true};
    enum reason reason = at_fixed_place(v, s, reg, type);
    const struct frame *f;

    if (reason)
        return reason;
    f = s->frames[r->frame];
    for (unsigned i = first_of(place(r)), n = 0; n < slots_of(type); n++, i--)
        if (i < f->n_slots && slot_has_iter(frame_slot(f, i)))
            return refuse(v, REASON_iterator,
                          "argument %u (r%u): there is one already at r10%+lld, which was not given back", reg, reg,
                          (long long)place(r));
    for (; !reason && a.off < type->bytes; a.off += SLOT)
        reason = stack_check(v, s, r, &a);
    return reason;
}

static bool is_whole(const struct frame *f, unsigned first, const struct iter_type *type)
{
    for (unsigned n = 0; n < slots_of(type); n++) {
        const struct slot *slot = first - n < f->n_slots ? frame_slot(f, first - n) : NULL;

        if (!slot || !slot_is_iter(slot) || slot->reg.iter != type || !(slot->reg.flags & REG_FIRST) != (n > 0))
            return false;
    }
    return true;
}

enum reason iter_check(struct verifier *v, const struct state *s, unsigned reg, const struct iter_type *type,
                       uint32_t *ref)
{
    const struct reg *r = state_reg(s, reg);
    struct access a = {.insn = s->insn, .reg = reg, .size = type->bytes, .helper = true};
    enum reason reason = at_fixed_place(v, s, reg, type);
    const struct frame *f;
    unsigned first;

    if (reason)
        return reason;
    f = s->frames[r->frame];
    first = first_of(place(r));
    if (!is_whole(f, first, type))
        return refuse(v, REASON_iterator, "argument %u (r%u): there is no %s in use at r10%+lld", reg, reg, type->what,
                      (long long)place(r));
    if (frame_slot(f, first)->reg.trust & TRUST_UNTRUSTED)
        return refuse(v, REASON_section_missing,
                      "argument %u (r%u): the section of RCU that protected the iterator is over", reg, reg);
    uses_read(v, r->frame, place(r), place(r) + type->bytes);
    stack_escapes(v, s, r, &a);
    *ref = frame_slot(f, first)->reg.ref;
    return REASON_ok;
}

bool iter_make(struct verifier *v, struct state *s, const struct reg *where, const struct iter_type *type, bool guarded,
               enum ref_kind kind)
{
    struct access a = {.insn = s->insn, .size = type->bytes, .helper = true, .write = true, .fills = true};
    unsigned first = first_of(place(where)), n = slots_of(type);
    struct reg it = {.kind = REG_ITER, .iter = type, .s = scalar_const(0)};
    struct frame *f;

    v->has_iters = true;
    stack_escapes(v, s, where, &a);
    if (!stack_write_unknown(v, s, where, &a))
        return false;
    f = state_slots_mut(&v->pool, s, where->frame, first + 1 - n, first + 1);
    if (!f)
        return false;
    if (guarded)
        it.trust = in_rcu_section(v, s) ? TRUST_RCU : TRUST_UNTRUSTED;
    for (unsigned i = first + 1 - n; i <= first; i++) {
        struct slot *slot = frame_slot_own(f, i);

        memset(slot->type, SLOT_ITER, sizeof(slot->type));
        slot->reg = it;
    }
    it.flags = REG_FIRST;
    it.frame = ACTIVE;
    it.ref = ++v->next_id;
    frame_slot_own(f, first)->reg = it;
    return state_hold(&v->pool, s, it.ref, kind);
}

/* The slot that counts, for writing; `where` was checked. */
static struct slot *first_slot(struct verifier *v, struct state *s, const struct reg *where)
{
    unsigned first = first_of(place(where));
    struct frame *f = state_slots_mut(&v->pool, s, where->frame, first, first + 1);

    return f ? frame_slot_own(f, first) : NULL;
}

bool iter_destroy(struct verifier *v, struct state *s, const struct reg *where, const struct iter_type *type)
{
    unsigned first = first_of(place(where)), n = slots_of(type);
    uint32_t ref = frame_slot(s->frames[where->frame], first)->reg.ref;
    struct frame *f = state_slots_mut(&v->pool, s, where->frame, first + 1 - n, first + 1);

    if (!f)
        return false;
    for (unsigned i = first + 1 - n; i <= first; i++)
        memset(frame_slot_own(f, i), 0, sizeof(struct slot));
    return call_release(v, s, ref);
}

unsigned iter_trust(const struct state *s, const struct reg *where)
{
    return frame_slot(s->frames[where->frame], first_of(place(where)))->reg.trust & TRUST_RCU ? TRUST_RCU
                                                                                              : TRUST_TRUSTED;
}

enum reason iter_next(struct verifier *v, struct state *s, const struct reg *where, struct state **other)
{
    struct slot *slot = first_slot(v, s, where);
    struct reg *r0;

    if (!slot)
        return REASON_out_of_memory;
    if (slot->reg.frame == ACTIVE) {
        struct slot *theirs;

        *other = state_copy(&v->pool, s);
        theirs = *other ? first_slot(v, *other, where) : NULL;
        if (!theirs)
            return REASON_out_of_memory;
        theirs->reg.off++;
        /* The state that was saved just now stands at the call; the round before it is what counts. */
        if (!loop_widen(v, *other, s->parent->state))
            return REASON_out_of_memory;
        r0 = state_reg_mut(&v->pool, *other, 0);
        slot = first_slot(v, s, where);
        if (!r0 || !slot)
            return REASON_out_of_memory;
        r0->flags &= (uint8_t)~REG_MAYBE_NULL;
        r0->id = 0;
        (*other)->insn++;
    }
    slot->reg.frame = DRAINED;
    r0 = state_reg_mut(&v->pool, s, 0);
    if (!r0)
        return REASON_out_of_memory;
    *r0 = reg_const(0);
    return REASON_ok;
}

bool iter_is_next(const struct verifier *v, uint32_t at)
{
    const struct kfunc *k = kfunc_at(v, at);

    return k && k->special == KFUNC_ITER_NEXT;
}

bool iter_goes_on(const struct state *s)
{
    const struct reg *r = state_reg(s, 1);
    const struct frame *f;

    if (r->kind != REG_STACK || !scalar_is_const(&r->s) || place(r) >= 0 || place(r) < -PROG_STACK_FRAME)
        return false;
    f = s->frames[r->frame];
    return first_of(place(r)) < f->n_slots && slot_is_iter(frame_slot(f, first_of(place(r)))) &&
           frame_slot(f, first_of(place(r)))->reg.frame == ACTIVE;
}

bool iter_depths_differ(const struct verifier *v, const struct state *old, const struct state *cur)
{
    for (uint32_t n = 0; v->has_iters && n < old->n_frames; n++) {
        const struct frame *a = old->frames[n], *b = cur->frames[n];

        for (unsigned i = 0; i < a->n_slots && i < b->n_slots; i++)
            if (slot_is_iter(frame_slot(a, i)) && frame_slot(a, i)->reg.frame == ACTIVE &&
                slot_is_iter(frame_slot(b, i)) && frame_slot(a, i)->reg.off != frame_slot(b, i)->reg.off)
                return true;
    }
    return false;
}

bool iter_overwrite(struct verifier *v, struct state *s, unsigned frame, int64_t lo, int64_t end)
{
    for (unsigned i = (unsigned)(-end / SLOT);
         v->has_iters && i < s->frames[frame]->n_slots && i < (unsigned)(-lo + SLOT - 1) / SLOT; i++) {
        struct frame *f;

        if (!slot_has_iter(frame_slot(s->frames[frame], i)))
            continue;
        f = state_slots_mut(&v->pool, s, frame, i, i + 1);
        if (!f)
            return false;
        memset(frame_slot_own(f, i), 0, sizeof(struct slot));
        memset(frame_slot_own(f, i)->type, SLOT_MISC, SLOT);
    }
    return true;
}

bool iter_section_ends(struct verifier *v, struct state *s)
{
    for (uint32_t n = 0; v->has_iters && n < s->n_frames; n++)
        for (unsigned i = 0; i < s->frames[n]->n_slots; i++) {
            struct frame *f;

            if (!slot_is_iter(frame_slot(s->frames[n], i)) || !(frame_slot(s->frames[n], i)->reg.trust & TRUST_RCU))
                continue;
            f = state_slots_mut(&v->pool, s, n, i, i + 1);
            if (!f)
                return false;
            frame_slot_own(f, i)->reg.trust = TRUST_UNTRUSTED;
        }
    return true;
}
