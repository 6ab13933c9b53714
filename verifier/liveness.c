/*
 * Liveness, before exploration: which registers, and which slots of the function's own frame, may be read at or after
 * each instruction before they are overwritten. Registers are exact over the control flow. Slots follow pointers that
 * are r10 plus a constant; where a pointer into the frame is passed on or its offset is not known, everything that it
 * may reach is live.
 */
#include "verifier/verifier.h"

#include <stdlib.h>
#include <string.h>

enum { ALL_ARGS = 0x3e, CLOBBERED = 0x3f };

/* What a register may hold, as far as the frame is concerned. */
enum what { UNSEEN, OTHER, FRAME_AT, FRAME_SOMEWHERE, MAP, NUMBER };

struct value {
    uint8_t what;
    int32_t n; /* FRAME_AT: offset; MAP: index; NUMBER: value */
};

struct flow {
    struct value (*regs)[REGS]; /* before each instruction */
    bool spilled;               /* a pointer into the frame was stored: any load may give one */
    uint32_t *work;
    uint32_t n_work;
    uint8_t *queued;
};

struct effect {
    uint16_t use, def;
    uint64_t gen, kill;
};

static struct value join(struct value a, struct value b)
{
    if (a.what == UNSEEN)
        return b;
    if (b.what == UNSEEN || (a.what == b.what && a.n == b.n))
        return a;
    if (a.what == FRAME_AT || a.what == FRAME_SOMEWHERE || b.what == FRAME_AT || b.what == FRAME_SOMEWHERE)
        return (struct value){FRAME_SOMEWHERE, 0};
    return (struct value){OTHER, 0};
}

static bool is_frame(struct value x)
{
    return x.what == FRAME_AT || x.what == FRAME_SOMEWHERE;
}

unsigned liveness_next(const struct insn *insn, uint32_t at, uint32_t out[2])
{
    enum isa_form f = isa_rows[insn->op].form;
    unsigned n = 0;

    if (insn->op == ISA_EXIT && !insn->poisoned)
        return 0;
    if (!insn->poisoned && (f == ISA_FORM_GOTO_OFF || f == ISA_FORM_GOTO_IMM)) {
        out[n++] = insn->target;
        return n;
    }
    out[n++] = at + 1 + isa_is_wide((enum isa_op)insn->op);
    if (!insn->poisoned && (f == ISA_FORM_JMP_K || f == ISA_FORM_JMP_X || f == ISA_FORM_MAY_GOTO))
        out[n++] = insn->target;
    return n;
}

static struct value alu_value(const struct insn *insn, const struct value *r)
{
    struct value a = r[insn->dst], b = r[insn->src], number = {NUMBER, (int32_t)insn->imm};

    switch (insn->op) {
    case ISA_MOV64_X: return b;
    case ISA_MOV64_K:
    case ISA_MOV32_K: return number;
    case ISA_ADD64_K:
        if (a.what == FRAME_AT)
            return (struct value){FRAME_AT, (int32_t)((uint32_t)a.n + (uint32_t)insn->imm)};
        break;
    default: break;
    }
    if (is_frame(a) || (isa_rows[insn->op].form == ISA_FORM_ALU_X && is_frame(b)))
        return (struct value){FRAME_SOMEWHERE, 0};
    return (struct value){OTHER, 0};
}

/* Registers after an instruction. */
static void transfer(struct flow *flow, const struct insn *insn, struct value *r)
{
    struct value loaded = {flow->spilled ? FRAME_SOMEWHERE : OTHER, 0};
    bool passed = false;

    if (insn->poisoned)
        return;
    switch (isa_rows[insn->op].form) {
    case ISA_FORM_ALU_K:
    case ISA_FORM_ALU_X:
    case ISA_FORM_MOVSX:
    case ISA_FORM_NEG:
    case ISA_FORM_END: r[insn->dst] = alu_value(insn, r); break;
    case ISA_FORM_LDX:
    case ISA_FORM_LOAD_ACQ: r[insn->dst] = loaded; break;
    case ISA_FORM_STX:
    case ISA_FORM_STORE_REL:
        if (is_frame(r[insn->src]))
            flow->spilled = true;
        break;
    case ISA_FORM_ATOMIC:
        if (is_frame(r[insn->src]))
            flow->spilled = true;
        r[insn->src] = loaded;
        if (insn->op >= ISA_ATOMIC_CMPXCHG64)
            r[0] = loaded;
        break;
    case ISA_FORM_LDIMM:
        r[insn->dst] = insn->op == ISA_LD_MAP_FD || insn->op == ISA_LD_MAP_IDX ? (struct value){MAP, (int32_t)insn->imm}
                                                                               : (struct value){OTHER, 0};
        break;
    case ISA_FORM_CALL:
        for (unsigned i = 1; i <= 5; i++)
            passed |= is_frame(r[i]);
        /* A function that got a pointer into the frame may give one back. */
        r[0] = (struct value){passed && insn->op == ISA_CALL_LOCAL ? FRAME_SOMEWHERE : OTHER, 0};
        if (passed && insn->op == ISA_CALL_LOCAL)
            flow->spilled = true;
        for (unsigned i = 1; i <= 5; i++)
            r[i] = (struct value){OTHER, 0};
        break;
    case ISA_FORM_LD_ABS:
    case ISA_FORM_LD_IND:
        for (unsigned i = 0; i <= 5; i++)
            r[i] = (struct value){OTHER, 0};
        break;
    default: break;
    }
}

static void queue(struct flow *flow, uint32_t at)
{
    if (!flow->queued[at]) {
        flow->queued[at] = 1;
        flow->work[flow->n_work++] = at;
    }
}

static bool join_into(struct value *to, const struct value *from)
{
    bool changed = false;

    for (unsigned r = 0; r < REGS; r++) {
        struct value j = join(to[r], from[r]);

        if (j.what != to[r].what || j.n != to[r].n)
            to[r] = j, changed = true;
    }
    return changed;
}

static void follow(struct verifier *v, struct flow *flow, const struct prog_func *func)
{
    struct value entry[REGS];
    uint32_t next[2];

    for (unsigned r = 0; r < REGS; r++)
        entry[r] = (struct value){r == 10 ? FRAME_AT : OTHER, 0};
    flow->spilled = false;
    join_into(flow->regs[func->start], entry);
    queue(flow, func->start);
    while (flow->n_work) {
        uint32_t at = flow->work[--flow->n_work];
        struct value r[REGS];
        bool was = flow->spilled;
        unsigned n = liveness_next(insn_at(v, at), at, next);

        flow->queued[at] = 0;
        memcpy(r, flow->regs[at], sizeof(r));
        transfer(flow, insn_at(v, at), r);
        for (unsigned i = 0; i < n; i++)
            if (next[i] < v->prog->n_insns && join_into(flow->regs[next[i]], r))
                queue(flow, next[i]);
        if (!was && flow->spilled) /* loads that were passed already may give pointers: once more through all */
            for (uint32_t i = func->start; i < func->end; i++)
                if (flow->regs[i][10].what != UNSEEN)
                    queue(flow, i);
    }
}

/* Slots that [off, off + size) touches; size 0: everything above off. */
static uint64_t slots_of(int64_t off, uint64_t size)
{
    int64_t end = size ? off + (int64_t)size : 0, lo, hi;

    if (off < -PROG_STACK_FRAME)
        off = -PROG_STACK_FRAME;
    if (end > 0)
        end = 0;
    if (off >= end)
        return 0;
    lo = (-end) / SLOT; /* the slot of the last byte, nearest to r10 */
    hi = (-off - 1) / SLOT;
    return (hi == 63 ? UINT64_MAX : ((uint64_t)1 << (hi + 1)) - 1) & ~(((uint64_t)1 << lo) - 1);
}

static uint64_t reach(struct value base, int64_t off, uint64_t size)
{
    if (base.what == FRAME_AT)
        return slots_of((int64_t)base.n + off, size);
    return base.what == FRAME_SOMEWHERE ? UINT64_MAX : 0;
}

static void helper_effect(const struct verifier *v, const struct insn *insn, const struct value *r, struct effect *e)
{
    const struct helper *h = helper_set_find(v->prog->helpers, (uint32_t)insn->imm);
    const struct map_def *map = NULL;

    e->def |= CLOBBERED;
    for (unsigned i = 0; i < 5; i++) {
        unsigned kind = h ? h->arg[i] : ARG_MEM;
        struct value a = r[i + 1];
        uint64_t size = 0;

        if (h && kind == ARG_NONE)
            continue;
        e->use |= (uint16_t)(2u << i);
        if (kind == ARG_MAP && a.what == MAP)
            map = v->prog->maps[a.n];
        if (!is_frame(a))
            continue;
        if (kind == ARG_MAP_KEY && map)
            size = map->key_size;
        else if ((kind == ARG_MAP_VALUE || kind == ARG_MAP_VALUE_OR_NULL) && map)
            size = map->value_size;
        else if (h && i < 4 && (h->arg[i + 1] == ARG_SIZE || h->arg[i + 1] == ARG_SIZE_OR_ZERO) &&
                 r[i + 2].what == NUMBER && r[i + 2].n > 0)
            size = (uint64_t)r[i + 2].n;
        e->gen |= h && h->effects & EFFECT_CALLS_BACK ? UINT64_MAX : reach(a, 0, size);
    }
}

static struct effect effect_of(const struct verifier *v, uint32_t at, const struct value *r)
{
    const struct insn *insn = insn_at(v, at);
    uint16_t dst = (uint16_t)(1u << insn->dst), src = (uint16_t)(1u << insn->src);
    unsigned size = isa_access_size((enum isa_op)insn->op);
    struct effect e = {0};

    if (insn->poisoned)
        return e;
    switch (isa_rows[insn->op].form) {
    case ISA_FORM_ALU_K:
        e.def = dst;
        e.use = insn->op == ISA_MOV64_K || insn->op == ISA_MOV32_K ? 0 : dst;
        break;
    case ISA_FORM_ALU_X:
        e.def = dst;
        e.use = insn->op == ISA_MOV64_X || insn->op == ISA_MOV32_X ? src : dst | src;
        break;
    case ISA_FORM_MOVSX:
    case ISA_FORM_CAST: e.def = dst, e.use = src; break;
    case ISA_FORM_NEG:
    case ISA_FORM_END: e.def = e.use = dst; break;
    case ISA_FORM_LDX:
    case ISA_FORM_LOAD_ACQ:
        e.def = dst, e.use = src;
        e.gen = reach(r[insn->src], insn->off, size);
        break;
    case ISA_FORM_ST:
    case ISA_FORM_STX:
    case ISA_FORM_STORE_REL:
        e.use = isa_rows[insn->op].form == ISA_FORM_ST ? dst : dst | src;
        if (r[insn->dst].what == FRAME_AT && size == SLOT && (r[insn->dst].n + insn->off) % SLOT == 0)
            e.kill = slots_of((int64_t)r[insn->dst].n + insn->off, SLOT);
        break;
    case ISA_FORM_ATOMIC:
        e.use = dst | src;
        e.gen = reach(r[insn->dst], insn->off, size);
        if (insn->op >= ISA_ATOMIC_CMPXCHG64)
            e.use |= 1;
        break;
    case ISA_FORM_LD_ABS: e.use = 1 << 6, e.def = CLOBBERED; break;
    case ISA_FORM_LD_IND: e.use = (1 << 6) | src, e.def = CLOBBERED; break;
    case ISA_FORM_LDIMM: e.def = dst; break;
    case ISA_FORM_JMP_K: e.use = dst; break;
    case ISA_FORM_JMP_X: e.use = dst | src; break;
    case ISA_FORM_CALL:
        if (insn->op == ISA_CALL_HELPER) {
            helper_effect(v, insn, r, &e);
            break;
        }
        e.use = insn->op == ISA_CALL_KFUNC ? kfunc_uses(v, at) : ALL_ARGS, e.def = CLOBBERED;
        for (unsigned i = 1; i <= 5; i++)
            if (is_frame(r[i]))
                e.gen = UINT64_MAX;
        break;
    case ISA_FORM_NO_OPERANDS: e.use = 1; break;
    default: break;
    }
    return e;
}

/* Backwards to a fixed point; instructions in reverse order settle straight code in one pass. */
static void settle(struct verifier *v, const struct effect *effects)
{
    bool changed = true;
    uint32_t next[2];

    while (changed) {
        changed = false;
        for (uint32_t i = v->prog->n_insns; i-- > 0;) {
            struct insn_info *info = &v->info[i];
            uint16_t regs = 0;
            uint64_t slots = 0;
            unsigned n;

            if (insn_at(v, i)->wide_tail)
                continue;
            n = liveness_next(insn_at(v, i), i, next);
            for (unsigned k = 0; k < n; k++)
                if (next[k] < v->prog->n_insns)
                    regs |= v->info[next[k]].live_regs, slots |= v->info[next[k]].live_slots;
            regs = (uint16_t)((regs & ~effects[i].def) | effects[i].use);
            slots = (slots & ~effects[i].kill) | effects[i].gen;
            if (regs != info->live_regs || slots != info->live_slots)
                info->live_regs = regs, info->live_slots = slots, changed = true;
        }
    }
}

bool liveness_compute(struct verifier *v)
{
    uint32_t n = v->prog->n_insns;
    struct effect *effects = calloc(n + 1, sizeof(*effects));
    struct flow flow = {.regs = calloc(n + 1, sizeof(*flow.regs)),
                        .work = malloc((n + 1) * sizeof(uint32_t)),
                        .queued = calloc(n + 1, 1)};
    bool ok = effects && flow.regs && flow.work && flow.queued;

    if (ok) {
        for (uint32_t f = 0; f < v->prog->n_funcs; f++)
            follow(v, &flow, &v->prog->funcs[f]);
        for (uint32_t i = 0; i < n; i++)
            effects[i] = effect_of(v, i, flow.regs[i]);
        settle(v, effects);
    }
    free(effects);
    free(flow.regs);
    free(flow.work);
    free(flow.queued);
    return ok;
}
