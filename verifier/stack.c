/*
 * The stack as the verifier sees it: bytes that are uninitialized, unknown, zero, or part of a spilled register. A
 * write to part of a spill makes the rest of it unknown bytes; a spilled pointer is read back whole or not at all.
 */
#include "verifier/verifier.h"

#include <string.h>

/* Bytes below r10, for a fixed offset: byte b (0 is r10 - 1) lies in slot b / 8, at index 7 - b % 8 of it. */
static int64_t fixed_off(const struct reg *base, const struct access *a)
{
    return base->off + a->off + (int64_t)base->s.t.value;
}

static bool is_fixed(const struct reg *base)
{
    return scalar_is_const(&base->s);
}

/* The frame of an access, for writing to the slots that [lo, end) touches. */
static struct frame *frame_for(struct verifier *v, struct state *s, const struct reg *base, int64_t lo, int64_t end)
{
    if (!dynptr_overwrite(v, s, base->frame, lo, end) || !iter_overwrite(v, s, base->frame, lo, end))
        return NULL;
    return state_slots_mut(&v->pool, s, base->frame, (uint32_t)(-end / SLOT), (uint32_t)(-lo + SLOT - 1) / SLOT);
}

static uint8_t *byte_type(struct frame *f, int64_t off)
{
    unsigned below = (unsigned)(-off - 1);

    return &frame_slot_own(f, below / SLOT)->type[SLOT - 1 - below % SLOT];
}

static enum slot_type type_at(const struct frame *f, int64_t off)
{
    unsigned below = (unsigned)(-off - 1);

    if (below / SLOT >= f->n_slots)
        return SLOT_INVALID;
    return frame_slot(f, below / SLOT)->type[SLOT - 1 - below % SLOT];
}

static const struct slot *slot_at(const struct frame *f, int64_t off)
{
    unsigned below = (unsigned)(-off - 1);

    return below / SLOT < f->n_slots ? frame_slot(f, below / SLOT) : NULL;
}

/* Least and largest offset that an access may begin at. */
static void span(const struct reg *base, const struct access *a, int64_t *lo, int64_t *hi)
{
    *lo = base->off + a->off + base->s.r.smin;
    *hi = base->off + a->off + base->s.r.smax;
}

static bool slot_holds_pointer(const struct slot *slot)
{
    return slot && slot_is_spill(slot) && slot->reg.kind != REG_SCALAR;
}

static enum reason check_read(struct verifier *v, const struct state *s, const struct frame *f, int64_t lo, int64_t hi,
                              const struct access *a)
{
    const struct slot *slot = lo == hi ? slot_at(f, lo) : NULL;
    bool whole = lo == hi && a->size == SLOT && lo % SLOT == 0;

    if (!a->helper && slot && slot_holds_pointer(slot) && whole)
        return REASON_ok;
    for (int64_t off = lo; off < hi + a->size; off++) {
        enum slot_type t = type_at(f, off);

        if (t == SLOT_INVALID)
            v->reads_unwritten_stack = true;
        if (t == SLOT_DYNPTR)
            return refuse(v, REASON_dynptr, "r10%+lld is part of a dynptr", (long long)off);
        if (t == SLOT_ITER)
            return refuse(v, REASON_iterator, "r10%+lld is part of an iterator", (long long)off);
        if (t == SLOT_SPILL && slot_holds_pointer(slot_at(f, off))) {
            if (!a->helper && lo == hi) /* somewhere among other bytes it is a number */
                return refuse(v, REASON_stack_pointer_corrupted,
                              "r10%+lld holds part of a spilled %s; it must be read with 8 bytes at its own offset",
                              (long long)off, reg_kind_name(&slot_at(f, off)->reg));
            if (!v->privileged && a->helper)
                return refuse(v, REASON_pointer_leak, "a helper would read the pointer spilled at r10%+lld",
                              (long long)off);
            if (a->helper &&
                slot_at(f, off)->reg.kind == REG_STACK) /* the helper may follow it, as those that format do */
                stack_escapes_whole(v, s, &slot_at(f, off)->reg);
        }
        if (t == SLOT_INVALID && !v->privileged)
            return refuse(v, REASON_stack_uninitialized, "byte r10%+lld was never written", (long long)off);
    }
    return REASON_ok;
}

enum reason stack_check(struct verifier *v, const struct state *s, const struct reg *base, const struct access *a)
{
    const struct frame *f = s->frames[base->frame];
    int64_t lo, hi;

    if (!is_fixed(base)) {
        if (base->s.r.smin <= -(1 << 29) || base->s.r.smax >= 1 << 29)
            return refuse(v, REASON_stack_out_of_bounds, "the offset from r10 has no bounds");
        if (!v->privileged)
            return refuse(v, REASON_unprivileged, "variable offsets into the stack are for privileged programs");
    }
    span(base, a, &lo, &hi);
    /* Linux looks at the alignment first. */
    if (a->size && !a->helper && is_fixed(base) && lo % (int64_t)a->size)
        return refuse(v, REASON_stack_misaligned, "%u bytes at r10%+lld", a->size, (long long)lo);
    if (a->size && !a->helper && !is_fixed(base) &&
        !tnum_is_aligned(tnum_add(base->s.t, tnum_const((uint64_t)(base->off + a->off))), a->size))
        return refuse(v, REASON_stack_misaligned, "%u bytes at an offset that need not be a multiple of it", a->size);
    if (a->size == 0 && a->zero_size_ok && lo >= -PROG_STACK_FRAME && lo < 0 && hi <= 0)
        return REASON_ok;
    if (lo < -PROG_STACK_FRAME || hi >= 0 || hi + (int64_t)a->size > 0) {
        if (lo == hi)
            return refuse(v, REASON_stack_out_of_bounds, "%u bytes at r10%+lld", a->size, (long long)lo);
        return refuse(v, REASON_stack_out_of_bounds, "%u bytes at an offset between r10%+lld and r10%+lld", a->size,
                      (long long)lo, (long long)hi);
    }
    if (a->write) {
        if (!v->privileged && !a->helper && a->size != SLOT && slot_holds_pointer(slot_at(f, lo)))
            return refuse(v, REASON_stack_pointer_corrupted,
                          "attempt to overwrite part of the pointer spilled at r10%+lld", (long long)lo);
        for (int64_t off = lo; a->helper && v->has_dynptrs && off < hi + (int64_t)a->size; off++)
            if (type_at(f, off) == SLOT_DYNPTR)
                return refuse(v, REASON_dynptr, "r10%+lld is part of a dynptr", (long long)off);
        return dynptr_may_overwrite(v, f, lo, hi + (int64_t)a->size);
    }
    uses_read(v, base->frame, lo, hi + (int64_t)a->size);
    return check_read(v, s, f, lo, hi, a);
}

void stack_escapes(struct verifier *v, const struct state *s, const struct reg *base, const struct access *a)
{
    uint64_t *escaped = &v->func_escaped[s->frames[base->frame]->func];
    int64_t lo, hi;

    if (!a->size)
        return;
    span(base, a, &lo, &hi);
    for (unsigned i = (unsigned)(-(hi + (int64_t)a->size) / SLOT);
         i < MAX_SLOTS && i < (unsigned)(-lo + SLOT - 1) / SLOT; i++)
        *escaped |= (uint64_t)1 << i;
}

void stack_escapes_whole(struct verifier *v, const struct state *s, const struct reg *r)
{
    v->func_escaped[s->frames[r->frame]->func] = UINT64_MAX;
    v->reads_unwritten_stack = true;
}

uint16_t stack_step(const struct reg *base, const struct access *a)
{
    int64_t off;

    if (base->kind != REG_STACK || !is_fixed(base))
        return 0;
    off = fixed_off(base, a);
    if (off >= 0 || off < -PROG_STACK_FRAME)
        return 0;
    return (uint16_t)(STEP_STACK | (unsigned)base->frame << 6 | (unsigned)(-off - 1) / SLOT);
}

/* The part of a spill that stays after some of its bytes were overwritten is bytes without a register. */
static void scrub(struct slot *slot)
{
    for (unsigned i = 0; i < SLOT; i++)
        if (slot->type[i] == SLOT_SPILL)
            slot->type[i] = SLOT_MISC;
}

static void note_depth(struct verifier *v, const struct frame *f, int64_t off)
{
    if (-off > v->func_depth[f->func])
        v->func_depth[f->func] = (uint16_t)-off;
}

static bool is_spillable(const struct verifier *v, const struct reg *value, unsigned size)
{
    (void)v;
    return value->kind == REG_SCALAR || (reg_is_pointer(value) && size == SLOT);
}

static bool write_var(struct verifier *v, struct state *s, const struct reg *base, const struct access *a,
                      enum slot_type t)
{
    int64_t lo, hi;
    struct frame *f;

    span(base, a, &lo, &hi);
    f = frame_for(v, s, base, lo, hi + (int64_t)a->size);
    if (!f)
        return false;
    note_depth(v, f, lo);
    for (int64_t off = lo; off < hi + a->size; off++) {
        unsigned below = (unsigned)(-off - 1);
        uint8_t *type = byte_type(f, off);

        if (*type == SLOT_SPILL)
            scrub(frame_slot_own(f, below / SLOT));
        /* Whether this byte is written is not known: zero stays zero only when zero is written. */
        if ((t == SLOT_ZERO && *type == SLOT_ZERO) || (*type == SLOT_INVALID && !a->helper && !v->privileged))
            continue;
        v->reads_unwritten_stack |= *type == SLOT_INVALID; /* whoever reads it now seems to read what was written */
        *type = SLOT_MISC;
    }
    return true;
}

bool stack_write_reg(struct verifier *v, struct state *s, const struct reg *base, const struct access *a,
                     const struct reg *value)
{
    bool is_zero = reg_is_const(value) && value->s.t.value == 0;
    struct frame *f;
    struct slot *slot;
    int64_t off;

    if (!is_fixed(base))
        return write_var(v, s, base, a, is_zero ? SLOT_ZERO : SLOT_MISC);
    off = fixed_off(base, a);
    f = frame_for(v, s, base, off, off + (int64_t)a->size);
    if (!f)
        return false;
    note_depth(v, f, off);
    uses_write(v, base->frame, off, off + (int64_t)a->size);
    slot = frame_slot_own(f, (unsigned)(-off - 1) / SLOT);
    if (off % SLOT == 0 && is_spillable(v, value, a->size)) {
        for (unsigned i = a->size; i < SLOT; i++)
            if (slot->type[i] == SLOT_SPILL)
                slot->type[i] = SLOT_MISC;
        memset(slot->type, SLOT_SPILL, a->size);
        slot->reg = *value;
        if (a->size < SLOT) {
            bool fits = value->s.r.umax < (uint64_t)1 << (8 * a->size);

            slot->reg.s = scalar_cast(&value->s, a->size, false);
            if (!fits)
                slot->reg.id = 0, slot->reg.off = 0, slot->reg.flags = 0;
        }
        return true;
    }
    if (slot_is_spill(slot))
        scrub(slot);
    memset(byte_type(f, off), is_zero ? SLOT_ZERO : SLOT_MISC, a->size);
    return true;
}

bool stack_write_unknown(struct verifier *v, struct state *s, const struct reg *base, const struct access *a)
{
    struct access all = *a;
    int64_t lo, hi;
    struct frame *f;

    if (!a->size)
        return true;
    if (!is_fixed(base))
        return write_var(v, s, base, &all, SLOT_MISC);
    span(base, a, &lo, &hi);
    f = frame_for(v, s, base, lo, hi + (int64_t)a->size);
    if (!f)
        return false;
    note_depth(v, f, lo);
    uses_write(v, base->frame, lo, lo + (int64_t)a->size);
    for (int64_t off = lo; off < lo + (int64_t)a->size; off++) {
        uint8_t *type = byte_type(f, off);

        if (*type == SLOT_SPILL)
            scrub(frame_slot_own(f, (unsigned)(-off - 1) / SLOT));
        v->reads_unwritten_stack |= *type == SLOT_INVALID && a->helper && !a->fills;
        *type = SLOT_MISC;
    }
    return true;
}

struct reg stack_read(struct verifier *v, struct state *s, const struct reg *base, const struct access *a, bool sign)
{
    const struct frame *f = s->frames[base->frame];
    const struct scalar any = scalar_unknown();
    int64_t lo, hi;
    bool zero = true;

    span(base, a, &lo, &hi);
    if (lo < 0)
        note_depth(v, f, lo);
    if (lo == hi && lo % SLOT == 0) {
        const struct slot *slot = slot_at(f, lo);
        unsigned held = slot ? slot_spill_size(slot) : 0;

        if (held >= a->size) {
            struct reg out = slot->reg;

            if (out.kind != REG_SCALAR)
                return out;
            if (a->size < held || sign) {
                bool fits = !sign && out.s.r.umax < (uint64_t)1 << (8 * a->size);

                out.s = scalar_cast(&out.s, a->size, sign);
                if (!fits)
                    out.id = 0, out.off = 0, out.flags = 0;
            }
            return out;
        }
        if (held && slot->reg.kind == REG_SCALAR && a->size > held) {
            /* A narrow spill with zeroes above it reads as its own value. */
            bool zeroes = true;

            for (unsigned i = held; i < a->size; i++)
                zeroes &= slot->type[i] == SLOT_ZERO;
            if (zeroes && !sign) {
                struct reg out = slot->reg;

                return out;
            }
        }
    }
    for (int64_t off = lo; off < hi + a->size; off++) {
        const struct slot *slot = slot_at(f, off);
        enum slot_type t = type_at(f, off);

        /* A spilled zero counts where walking back can find the spill: at a fixed offset. */
        zero &= t == SLOT_ZERO || (lo == hi && t == SLOT_SPILL && reg_is_const(&slot->reg) && slot->reg.s.t.value == 0);
    }
    if (zero)
        return reg_const(0);
    return reg_scalar(scalar_cast(&any, a->size, sign));
}
