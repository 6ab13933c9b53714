/*
 * Dynptrs on the stack: two slots that helpers alone make and read. The one at the lower address is the first; both
 * hold a record of kind REG_DYNPTR: `size` says of which type, `id` which dynptr it is, `ref` what it holds. A dynptr
 * is whole or gone: a store into it takes both slots away, and the slices that were taken of it (MEM registers that
 * name its id in map_uid). One that holds a reference is not to be overwritten.
 */
#include "vm/helpers/dynptr.h"
#include "verifier/verifier.h"

#include <string.h>

static const char *type_name(uint32_t type)
{
    return type == DYNPTR_RINGBUF ? "a ring buffer record" : dynptr_is_packet(type) ? "a packet" : "memory";
}

static bool is_first(const struct frame *f, unsigned i)
{
    return i < f->n_slots && slot_is_dynptr(frame_slot(f, i)) && frame_slot(f, i)->reg.flags & REG_FIRST;
}

/* The slot of the lower address of [off, off + 16). */
static unsigned first_of(int64_t off)
{
    return (unsigned)(-off - 1) / SLOT;
}

static bool is_slice(const struct reg *r, const void *ctx)
{
    return r->kind == REG_MEM && r->map_uid && r->map_uid == *(const uint32_t *)ctx;
}

static void forget(struct reg *r, const void *ctx)
{
    (void)ctx;
    *r = reg_unknown();
}

/* Takes away the dynptr that begins in slot `first`. */
static bool take_away(struct verifier *v, struct state *s, unsigned frame, unsigned first)
{
    const uint32_t id = frame_slot(s->frames[frame], first)->reg.id;
    struct frame *f = state_slots_mut(&v->pool, s, frame, first - 1, first + 1);

    if (!f)
        return false;
    memset(frame_slot_own(f, first), 0, sizeof(struct slot));
    memset(frame_slot_own(f, first - 1), 0, sizeof(struct slot));
    return state_change_regs(&v->pool, s, is_slice, forget, &id);
}

enum reason dynptr_may_overwrite(struct verifier *v, const struct frame *f, int64_t lo, int64_t end)
{
    for (unsigned i = (unsigned)(-end / SLOT);
         v->has_dynptrs && i < f->n_slots && i < (unsigned)(-lo + SLOT - 1) / SLOT; i++)
        if (slot_is_dynptr(frame_slot(f, i)) && frame_slot(f, i)->reg.ref)
            return refuse(v, REASON_dynptr, "the dynptr at r10-%u holds a record that could not be released any more",
                          SLOT * (i + 1));
    return REASON_ok;
}

bool dynptr_overwrite(struct verifier *v, struct state *s, unsigned frame, int64_t lo, int64_t end)
{
    for (unsigned i = (unsigned)(-end / SLOT);
         v->has_dynptrs && i < s->frames[frame]->n_slots && i < (unsigned)(-lo + SLOT - 1) / SLOT; i++)
        if (slot_is_dynptr(frame_slot(s->frames[frame], i)) &&
            !take_away(v, s, frame, is_first(s->frames[frame], i) ? i : i + 1))
            return false;
    return true;
}

static enum reason at_fixed_place(struct verifier *v, const struct state *s, unsigned reg, int64_t *off)
{
    const struct reg *r = state_reg(s, reg);

    if (r->kind != REG_STACK)
        return refuse(v, REASON_helper_argument, "argument %u (r%u) is a %s where a dynptr on the stack is needed", reg,
                      reg, reg_kind_name(r));
    *off = r->off + (int64_t)r->s.t.value;
    if (!scalar_is_const(&r->s))
        return refuse(v, REASON_dynptr, "argument %u (r%u) is at an offset that is not constant", reg, reg);
    if (*off % SLOT || *off > -DYNPTR_BYTES)
        return refuse(v, REASON_dynptr, "argument %u (r%u) is r10%+lld, where no dynptr has room", reg, reg,
                      (long long)*off);
    return REASON_ok;
}

enum reason dynptr_check_new(struct verifier *v, const struct state *s, unsigned reg)
{
    struct access a = {.insn = s->insn, .reg = reg, .size = SLOT, .write = true};
    enum reason reason;
    int64_t off;

    reason = at_fixed_place(v, s, reg, &off);
    for (; !reason && a.off < DYNPTR_BYTES; a.off += SLOT)
        reason = stack_check(v, s, state_reg(s, reg), &a);
    return reason;
}

struct reg dynptr_handed_over(struct verifier *v)
{
    return (struct reg){.kind = REG_DYNPTR, .size = DYNPTR_LOCAL, .id = ++v->next_id, .s = scalar_const(0)};
}

/* One that a callback was handed lies nowhere on the stack; helpers may follow it and that is all. */
static enum reason check_handed_over(struct verifier *v, const struct reg *r, unsigned reg, unsigned type,
                                     struct reg *out)
{
    if (r->off || !scalar_is_const(&r->s) || r->s.t.value)
        return refuse(v, REASON_dynptr, "argument %u (r%u) is a dynptr that was moved", reg, reg);
    if (type != DYNPTR_NONE && r->size != type)
        return refuse(v, REASON_dynptr, "argument %u (r%u) is a dynptr of %s where one of %s is needed", reg, reg,
                      type_name(r->size), type_name(type));
    *out = *r;
    return REASON_ok;
}

enum reason dynptr_check(struct verifier *v, const struct state *s, unsigned reg, unsigned type, struct reg *out)
{
    const struct reg *r = state_reg(s, reg);
    struct access a = {.insn = s->insn, .reg = reg, .size = DYNPTR_BYTES, .helper = true};
    const struct frame *f;
    unsigned first;
    enum reason reason;
    int64_t off;

    if (r->kind == REG_DYNPTR)
        return check_handed_over(v, r, reg, type, out);
    reason = at_fixed_place(v, s, reg, &off);
    if (reason)
        return reason;
    f = s->frames[r->frame];
    first = first_of(off);
    if (!is_first(f, first) || !slot_is_dynptr(frame_slot(f, first - 1)))
        return refuse(v, REASON_dynptr, "argument %u (r%u): there is no dynptr at r10%+lld", reg, reg, (long long)off);
    *out = frame_slot(f, first)->reg;
    if (type != DYNPTR_NONE && out->size != type)
        return refuse(v, REASON_dynptr, "argument %u (r%u) is a dynptr of %s where one of %s is needed", reg, reg,
                      type_name(out->size), type_name(type));
    uses_read(v, r->frame, off, off + DYNPTR_BYTES);
    stack_escapes(v, s, r, &a);
    return REASON_ok;
}

bool dynptr_make(struct verifier *v, struct state *s, const struct reg *where, unsigned type, uint32_t ref)
{
    struct access a = {.insn = s->insn, .size = DYNPTR_BYTES, .helper = true, .write = true, .fills = true};
    struct reg d = {.kind = REG_DYNPTR, .size = type, .id = ++v->next_id, .s = scalar_const(0)};
    unsigned first = first_of(where->off + (int64_t)where->s.t.value);
    struct frame *f;

    v->has_dynptrs = true;
    stack_escapes(v, s, where, &a);
    if (!stack_write_unknown(v, s, where, &a))
        return false;
    f = state_slots_mut(&v->pool, s, where->frame, first - 1, first + 1);
    if (!f)
        return false;
    d.ref = ref;
    if (type == DYNPTR_RINGBUF && !ref) {
        d.ref = ++v->next_id;
        if (!state_hold(&v->pool, s, d.ref, REF_OBJECT))
            return false;
    }
    for (unsigned i = first - 1; i <= first; i++) {
        struct slot *slot = frame_slot_own(f, i);

        d.flags = i == first ? REG_FIRST : 0;
        memset(slot->type, SLOT_DYNPTR, sizeof(slot->type));
        slot->reg = d;
    }
    return true;
}

bool dynptr_release(struct verifier *v, struct state *s, uint32_t ref)
{
    for (unsigned n = 0; n < s->n_frames; n++)
        for (unsigned i = 0; i < s->frames[n]->n_slots; i++)
            if (is_first(s->frames[n], i) && frame_slot(s->frames[n], i)->reg.ref == ref && !take_away(v, s, n, i))
                return false;
    return true;
}
