/*
 * Precision, walked backwards. Most scalars need not be known exactly for what follows, and states that differ in them
 * alone are alike. Where a value decides something (a branch, an offset, a size), the registers and stack slots that it
 * came from are marked in every saved state of the path: there they must match exactly. The marks stand in the
 * checkpoints, beside their states, which are shared and never change.
 */
#include "verifier/verifier.h"

#include <string.h>

/* Where the walk is: what is still looked for, before the instruction that was looked at last. */
struct walk {
    struct marks m;
    uint32_t frame; /* current at this point of the path */
    bool lost;      /* an instruction that cannot be followed: everything is marked instead */
};

static bool nothing_left(const struct marks *m)
{
    for (unsigned f = 0; f < PROG_MAX_FRAMES; f++)
        if (m->regs[f] || m->slots[f])
            return false;
    return true;
}

static bool wants(const struct walk *w, unsigned reg)
{
    return w->m.regs[w->frame] >> reg & 1;
}

static void drop(struct walk *w, unsigned reg)
{
    w->m.regs[w->frame] &= (uint16_t) ~(1u << reg);
}

static void add(struct walk *w, unsigned reg)
{
    if (reg != 10)
        w->m.regs[w->frame] |= (uint16_t)(1u << reg);
}

/* A write to a slot: was it looked for? One of less than eight bytes leaves others that earlier writes made. */
static bool take_slot(struct walk *w, const struct step_record *step, unsigned size)
{
    unsigned frame = step->stack >> 6 & 7, slot = step->stack & 63;
    bool was;

    if (!(step->stack & STEP_STACK))
        return false;
    was = w->m.slots[frame] >> slot & 1;
    if (size == SLOT)
        w->m.slots[frame] &= ~((uint64_t)1 << slot);
    return was;
}

static void back_load(struct walk *w, const struct insn *insn, const struct step_record *step)
{
    if (!wants(w, insn->dst))
        return;
    drop(w, insn->dst);
    if (step->stack & STEP_STACK)
        w->m.slots[step->stack >> 6 & 7] |= (uint64_t)1 << (step->stack & 63);
}

/* What an atomic leaves in memory is unknown; what it fetched stood in the slot before. */
static void back_atomic(struct walk *w, const struct insn *insn, const struct step_record *step)
{
    unsigned got = insn->op >= ISA_ATOMIC_CMPXCHG64 ? 0 : insn->src;
    bool wanted = insn->op >= ISA_ATOMIC_FETCH_ADD64 && wants(w, got);

    take_slot(w, step, isa_access_size((enum isa_op)insn->op));
    if (!wanted)
        return;
    drop(w, got);
    if (step->stack & STEP_STACK)
        w->m.slots[step->stack >> 6 & 7] |= (uint64_t)1 << (step->stack & 63);
}

static void back_alu(struct walk *w, const struct insn *insn)
{
    enum isa_form form = isa_rows[insn->op].form;
    bool is_mov = (insn->op >= ISA_MOV64_K && insn->op < ISA_MOV64_K + 4) || form == ISA_FORM_MOVSX;

    if (!wants(w, insn->dst))
        return;
    if (is_mov)
        drop(w, insn->dst);
    if (form == ISA_FORM_ALU_X || form == ISA_FORM_MOVSX)
        add(w, insn->src);
}

/* Copies that this branch refined together stand or fall together. */
static void back_links(struct walk *w, const struct link_set *set)
{
    bool any = false;

    for (unsigned f = 0; f < PROG_MAX_FRAMES; f++)
        any |= (w->m.regs[f] & set->regs[f]) || (w->m.slots[f] & set->slots[f]);
    for (unsigned f = 0; any && f < PROG_MAX_FRAMES; f++) {
        w->m.regs[f] |= set->regs[f];
        w->m.slots[f] |= set->slots[f];
    }
}

static void back_branch(struct walk *w, const struct insn *insn, const struct step_record *step,
                        const struct history *h)
{
    bool x = isa_rows[insn->op].form == ISA_FORM_JMP_X;

    /* Copies first: what is looked for may be one of an operand, whose bound came from the other. */
    if (step->links)
        back_links(w, &h->links[step->links - 1]);
    if (x && (wants(w, insn->dst) || wants(w, insn->src))) {
        add(w, insn->dst);
        add(w, insn->src);
        if (step->links)
            back_links(w, &h->links[step->links - 1]);
    }
}

/* Backwards over the call that entered the current function: its arguments are the caller's registers. */
static void back_call(struct walk *w)
{
    uint16_t args = w->m.regs[w->frame] & 0x3e;

    if (w->frame == 0) {
        w->lost = true;
        return;
    }
    w->m.regs[w->frame] = 0;
    w->m.slots[w->frame] = 0;
    w->frame--;
    w->m.regs[w->frame] |= args;
}

/* Backwards over a return: r0 of the caller is r0 of the function. */
static void back_exit(struct walk *w)
{
    bool r0 = wants(w, 0);

    if (w->frame + 1 >= PROG_MAX_FRAMES) {
        w->lost = true;
        return;
    }
    w->m.regs[w->frame] &= (uint16_t)~0x3f;
    w->frame++;
    w->m.regs[w->frame] = r0 ? 1 : 0;
    w->m.slots[w->frame] = 0;
}

/* Backwards over the call of a helper that entered the current function: what it got, other than pointers and numbers
 * that the helper makes up, is the caller's r3. The caller's own registers are as they were. */
static void back_callback(struct walk *w)
{
    uint16_t args = w->m.regs[w->frame] & 0x3e;

    if (w->frame == 0) {
        w->lost = true;
        return;
    }
    w->m.regs[w->frame] = 0;
    w->m.slots[w->frame] = 0;
    w->frame--;
    if (args)
        add(w, 3);
}

/* Backwards over the exit of a callback: the caller's registers are as they were before it was entered. */
static void back_return(struct walk *w)
{
    if (w->frame + 1 >= PROG_MAX_FRAMES) {
        w->lost = true;
        return;
    }
    w->frame++;
    w->m.regs[w->frame] = 0;
    w->m.slots[w->frame] = 0;
}

static void back(struct walk *w, const struct verifier *v, const struct step_record *step, const struct history *h)
{
    const struct insn *insn = insn_at(v, step->insn);

    if (step->stack & STEP_LEAVES && !(step->stack & STEP_STACK)) { /* r0 came from outside */
        drop(w, 0);
        back_exit(w);
        return;
    }
    switch (isa_rows[insn->op].form) {
    case ISA_FORM_ALU_K:
    case ISA_FORM_ALU_X:
    case ISA_FORM_MOVSX:
    case ISA_FORM_NEG:
    case ISA_FORM_END: back_alu(w, insn); break;
    case ISA_FORM_LDX:
    case ISA_FORM_LOAD_ACQ: back_load(w, insn, step); break;
    case ISA_FORM_ST: take_slot(w, step, isa_access_size((enum isa_op)insn->op)); break;
    case ISA_FORM_STX:
    case ISA_FORM_STORE_REL:
        if (take_slot(w, step, isa_access_size((enum isa_op)insn->op)))
            add(w, insn->src);
        break;
    case ISA_FORM_ATOMIC: back_atomic(w, insn, step); break;
    case ISA_FORM_CAST:
    case ISA_FORM_LDIMM: drop(w, insn->dst); break;
    case ISA_FORM_LD_ABS:
    case ISA_FORM_LD_IND: w->m.regs[w->frame] &= (uint16_t)~0x3f; break;
    case ISA_FORM_JMP_K:
    case ISA_FORM_JMP_X: back_branch(w, insn, step, h); break;
    case ISA_FORM_CALL:
        if (insn->op == ISA_CALL_LOCAL && step->stack != STEP_OVER)
            back_call(w);
        else if (step->stack == STEP_ENTERS)
            back_callback(w);
        else
            w->m.regs[w->frame] &= (uint16_t)~0x3f;
        break;
    case ISA_FORM_NO_OPERANDS:
        if (step->stack == STEP_RETURNS)
            back_return(w);
        else
            back_exit(w);
        break;
    default: break;
    }
}

/* Notes in a checkpoint what is looked for there, and goes on looking only for what is new. */
static void settle(struct verifier *v, struct checkpoint *c, struct marks *m)
{
    const struct state *s = c->state;

    for (unsigned f = 0; f < PROG_MAX_FRAMES; f++) {
        if (f >= s->n_frames) {
            m->regs[f] = 0;
            m->slots[f] = 0;
            continue;
        }
        for (unsigned r = 0; r < REGS; r++)
            if (m->regs[f] >> r & 1 && s->frames[f]->regs[r].kind != REG_SCALAR)
                m->regs[f] &= (uint16_t) ~(1u << r);
        for (uint64_t left = m->slots[f]; left; left &= left - 1) {
            unsigned i = (unsigned)__builtin_ctzll(left);

            if (i >= s->frames[f]->n_slots || !slot_is_spill(frame_slot(s->frames[f], i)) ||
                frame_slot(s->frames[f], i)->reg.kind != REG_SCALAR)
                m->slots[f] &= ~((uint64_t)1 << i);
        }
        m->regs[f] &= (uint16_t)~c->precise.regs[f];
        m->slots[f] &= ~c->precise.slots[f];
        v->marks_made += m->regs[f] || m->slots[f];
        c->precise.regs[f] |= m->regs[f];
        c->precise.slots[f] |= m->slots[f];
    }
}

static void mark_everything(struct checkpoint *c)
{
    for (; c; c = c->state->parent)
        memset(&c->precise, 0xff, sizeof(c->precise));
}

enum reason precision_mark(struct verifier *v, const struct state *s, const struct marks *m)
{
    struct walk w = {.m = *m, .frame = s->n_frames - 1};
    const struct history *h = &s->past;
    struct checkpoint *c = s->parent;
    uint32_t n = h->n - (v->in_step ? 1 : 0);

    for (;;) {
        while (n && !w.lost && !nothing_left(&w.m))
            back(&w, v, &h->steps[--n], h);
        if (w.lost) {
            mark_everything(c);
            return REASON_ok;
        }
        if (!c || nothing_left(&w.m))
            return REASON_ok;
        settle(v, c, &w.m);
        w.frame = c->state->n_frames - 1;
        h = &c->state->past;
        n = h->n;
        c = c->state->parent;
    }
}

enum reason precision_adopt(struct verifier *v, const struct marks *from, const struct state *s)
{
    struct marks m = *from;

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

enum reason precision_mark_reg(struct verifier *v, const struct state *s, unsigned reg)
{
    struct marks m = {0};

    if (state_reg(s, reg)->kind != REG_SCALAR)
        return REASON_ok;
    m.regs[s->n_frames - 1] = (uint16_t)(1u << reg);
    return precision_mark(v, s, &m);
}
