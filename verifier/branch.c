/*
 * Conditional jumps: which arms are alive, and what each learns: ranges of numbers and of their linked copies, pointers
 * that are NULL or are not, packet bytes proved by a comparison with the end of the packet.
 */
#include "verifier/verifier.h"

#include <string.h>

enum { MAX_PACKET_OFF = 0xffff };

static bool is_op(enum isa_op op, enum isa_op first)
{
    return op >= first && op < first + 4;
}

/* Linked scalars. */

struct link {
    uint32_t id;
    const struct reg *known;
};

static bool is_linked(const struct reg *r, const void *ctx)
{
    const struct link *l = ctx;

    return r->kind == REG_SCALAR && r->id == l->id && r != l->known;
}

/* r = known + (r's distance - known's). */
static void follow(struct reg *r, const void *ctx)
{
    const struct link *l = ctx;
    struct scalar by = scalar_const((uint64_t)((int64_t)r->off - l->known->off)), now;

    if (r->off == l->known->off) {
        r->s = l->known->s;
        return;
    }
    now = scalar_alu(ISA_ADD64_X, &l->known->s, &by);
    /* Both hold: what it was known to be, and what follows. */
    if (tnum_meet(now.t, r->s.t, &now.t) && range64_meet(&now.r, r->s.r) && range32_meet(&now.w, r->s.w) &&
        scalar_sync(&now))
        r->s = now;
}

static bool spread(struct verifier *v, struct state *s, unsigned reg)
{
    struct reg known = *state_reg(s, reg);
    struct link l = {known.id, &known};

    if (known.kind != REG_SCALAR || !known.id)
        return true;
    return state_change_regs(&v->pool, s, is_linked, follow, &l);
}

static void collect(const struct state *s, uint32_t id, struct link_set *set, unsigned *n)
{
    for (uint32_t f = 0; f < s->n_frames; f++) {
        const struct frame *frame = s->frames[f];

        for (unsigned r = 0; r < REGS; r++)
            if (frame->regs[r].kind == REG_SCALAR && frame->regs[r].id == id)
                set->regs[f] |= (uint16_t)(1u << r), (*n)++;
        for (unsigned i = 0; i < frame->n_slots; i++)
            if (slot_is_spill(frame_slot(frame, i)) && frame_slot(frame, i)->reg.kind == REG_SCALAR &&
                frame_slot(frame, i)->reg.id == id)
                set->slots[f] |= (uint64_t)1 << i, (*n)++;
    }
}

/* Notes in the history of this jump which copies its operands are linked to: precision goes to all of them. */
static bool note_links(struct state *s, const struct reg *a, const struct reg *b)
{
    struct link_set set = {0};
    unsigned n = 0;

    if (a && a->kind == REG_SCALAR && a->id)
        collect(s, a->id, &set, &n);
    if (b && b->kind == REG_SCALAR && b->id)
        collect(s, b->id, &set, &n);
    if (n < 2)
        return true;
    s->past.n--;
    return history_add(&s->past, s->past.steps[s->past.n], &set);
}

/* NULL. */

struct null_case {
    const struct verifier *v;
    uint32_t id;
    bool is_null;
};

static bool may_be_null(const struct reg *r, const void *ctx)
{
    const struct null_case *c = ctx;

    return r->flags & REG_MAYBE_NULL && reg_is_pointer(r) && r->id == c->id;
}

static void settle(struct reg *r, const void *ctx)
{
    const struct null_case *c = ctx;

    if (c->is_null) {
        *r = reg_const(0);
        return;
    }
    r->flags &= (uint8_t)~REG_MAYBE_NULL;
    /* The id stays where it names the object: the value of a lock, the record of a reference. */
    if (!reg_has_lock(c->v, r) && !r->ref)
        r->id = 0;
}

bool branch_settle_null(struct verifier *v, struct state *s, uint32_t id, bool is_null)
{
    struct null_case c = {v, id, is_null};
    bool dropped = true;

    if (is_null)
        for (uint32_t f = 0; f < s->n_frames; f++)
            for (unsigned r = 0; r < REGS; r++) {
                const struct reg *reg = &s->frames[f]->regs[r];

                if (may_be_null(reg, &c) && reg->ref && reg->ref == reg->id)
                    dropped &= state_drop_ref(&v->pool, s, reg->ref); /* nothing was acquired */
            }
    return dropped && state_change_regs(&v->pool, s, may_be_null, settle, &c);
}

/* The packet. */

struct proof {
    uint32_t id;
    uint8_t kind;
    uint32_t bytes;
};

static bool shares_base(const struct reg *r, const void *ctx)
{
    const struct proof *p = ctx;

    return r->kind == p->kind && r->id == p->id && r->size < p->bytes;
}

static void extend(struct reg *r, const void *ctx)
{
    r->size = ((const struct proof *)ctx)->bytes;
}

/* ptr + off <= end, or < end when `open` (then one byte more is there). */
static bool prove_packet(struct verifier *v, struct state *s, const struct reg *ptr, bool open)
{
    struct proof p = {ptr->id, ptr->kind, 0};

    if (ptr->off <= 0) /* below the end itself there is one byte, of which Linux makes nothing */
        return true;
    if (ptr->off > MAX_PACKET_OFF || ptr->s.r.umax > MAX_PACKET_OFF || ptr->off + ptr->s.r.umax > MAX_PACKET_OFF)
        return true;
    p.bytes = (uint32_t)ptr->off + open;
    return state_change_regs(&v->pool, s, shares_base, extend, &p);
}

static bool ends(const struct reg *a, const struct reg *b)
{
    return (a->kind == REG_PACKET && b->kind == REG_PACKET_END) ||
           (a->kind == REG_PACKET_META && b->kind == REG_PACKET && !b->off && scalar_is_const(&b->s) && !b->s.t.value &&
            !b->id);
}

/* A comparison of packet pointers: what the arm that is taken (or not) proves. @return false: out of memory. */
static bool packet_arm(struct verifier *v, struct state *s, const struct insn *insn, const struct reg *a,
                       const struct reg *b, bool taken)
{
    enum isa_op op = (enum isa_op)insn->op;
    bool less, or_equal, exchanged = !ends(a, b);
    const struct reg *ptr = exchanged ? b : a;

    /* In terms of a < b, a <= b. */
    if (is_op(op, ISA_JLT64_K))
        less = true, or_equal = false;
    else if (is_op(op, ISA_JLE64_K))
        less = true, or_equal = true;
    else if (is_op(op, ISA_JGT64_K))
        less = false, or_equal = false;
    else if (is_op(op, ISA_JGE64_K))
        less = false, or_equal = true;
    else
        return true;
    if (!taken)
        less = !less, or_equal = !or_equal;
    if (exchanged)
        less = !less; /* a < b is b > a */
    if (!less) {
        struct reg *w = state_reg_mut(&v->pool, s, exchanged ? insn->src : insn->dst);

        if (w && w->kind == REG_PACKET)
            w->flags |= or_equal ? REG_AT_END : REG_BEYOND_END;
        return w != NULL;
    }
    return prove_packet(v, s, ptr, !or_equal);
}

/* Numbers. */

static enum reason put_scalar(struct verifier *v, struct state *s, unsigned r, const struct scalar *value)
{
    struct reg *w;

    if (state_reg(s, r)->kind != REG_SCALAR)
        return REASON_ok;
    w = state_reg_mut(&v->pool, s, r);
    if (!w)
        return REASON_out_of_memory;
    w->s = *value;
    return REASON_ok;
}

static enum reason number_arm(struct verifier *v, struct state *s, const struct insn *insn, bool x,
                              const struct scalar *a, const struct scalar *b)
{
    enum reason reason = put_scalar(v, s, insn->dst, a);

    if (!reason && x && insn->src != insn->dst)
        reason = put_scalar(v, s, insn->src, b);
    if (reason || !spread(v, s, insn->dst) || (x && insn->src != insn->dst && !spread(v, s, insn->src)))
        return REASON_out_of_memory;
    return REASON_ok;
}

static void go(struct state *s, const struct insn *insn, bool taken)
{
    s->insn = taken ? insn->target : s->insn + 1;
}

static enum reason numbers(struct verifier *v, struct state *s, const struct insn *insn, bool x, struct state **other,
                           bool *took)
{
    enum isa_op op = (enum isa_op)insn->op;
    const struct reg *ra = state_reg(s, insn->dst), *rb = x ? state_reg(s, insn->src) : NULL;
    struct scalar imm = scalar_const((uint64_t)insn->imm);
    struct scalar a[2] = {ra->s, ra->s}, b[2] = {x ? rb->s : imm, x ? rb->s : imm};
    bool alive[2] = {scalar_branch(op, false, &a[0], &b[0]), scalar_branch(op, true, &a[1], &b[1])};
    enum reason reason;

    if (alive[0] && alive[1] && x && insn->src == insn->dst && !v->opts->linux_numbers) {
        /* A value compared with itself. */
        struct scalar one = scalar_const(1);
        bool known = isa_eval_jmp(op, one.t.value, one.t.value);

        if (!is_op(op, ISA_JSET64_K))
            alive[!known] = false;
    }
    if (x && insn->src == insn->dst && v->opts->linux_numbers)
        a[0] = a[1] = b[0] = b[1] = ra->s; /* one arm is impossible, and what Linux makes of it there anything */
    if (!alive[0] || !alive[1]) {
        struct marks m = {0};

        /* The decision rests on these values. */
        m.regs[s->n_frames - 1] = (uint16_t)(1u << insn->dst | (x ? 1u << insn->src : 0));
        reason = precision_mark(v, s, &m);
        if (reason)
            return reason;
        *took = alive[1];
        go(s, insn, alive[1]);
        return REASON_ok;
    }
    if (!note_links(s, ra, rb))
        return REASON_out_of_memory;
    *other = state_copy(&v->pool, s);
    if (!*other)
        return REASON_out_of_memory;
    reason = number_arm(v, s, insn, x, &a[0], &b[0]);
    if (!reason)
        reason = number_arm(v, *other, insn, x, &a[1], &b[1]);
    go(s, insn, false);
    go(*other, insn, true);
    return reason;
}

/* Both arms alive, nothing learned yet. */
static enum reason fork_both(struct verifier *v, struct state *s, const struct insn *insn, struct state **other)
{
    *other = state_copy(&v->pool, s);
    if (!*other)
        return REASON_out_of_memory;
    go(s, insn, false);
    go(*other, insn, true);
    return REASON_ok;
}

/* Pointers that Linux takes for never NULL in a comparison with 0; the context, the stack and the packet are not so. */
static bool is_not_null(const struct reg *r)
{
    if (r->flags & REG_MAYBE_NULL)
        return false;
    switch (r->kind) {
    case REG_MAP:
    case REG_MAP_VALUE:
    case REG_MAP_KEY:
    case REG_SOCK_COMMON:
    case REG_SOCKET:
    case REG_TCP_SOCK: return true;
    case REG_MEM: return !(r->trust & TRUST_UNTRUSTED);
    case REG_BTF: return btf_ptr_trusted(r);
    default: return false;
    }
}

/* Is a comparison of a packet pointer with the end decided by an earlier one? -1: no. */
static int packet_decided(enum isa_op op, const struct reg *a, const struct reg *b)
{
    bool exchanged = a->kind == REG_PACKET_END;
    const struct reg *ptr = exchanged ? b : a;
    bool beyond = ptr->flags & REG_BEYOND_END, at = beyond || ptr->flags & REG_AT_END;

    if (is_op(op, exchanged ? ISA_JLT64_K : ISA_JGT64_K))
        return beyond ? 1 : -1;
    if (is_op(op, exchanged ? ISA_JGE64_K : ISA_JLE64_K))
        return beyond ? 0 : -1;
    if (is_op(op, exchanged ? ISA_JLE64_K : ISA_JGE64_K))
        return at ? 1 : -1;
    if (is_op(op, exchanged ? ISA_JGT64_K : ISA_JLT64_K))
        return at ? 0 : -1;
    return -1;
}

enum reason branch_step(struct verifier *v, struct state *s, const struct insn *insn, struct state **other, bool *taken)
{
    enum isa_op op = (enum isa_op)insn->op;
    bool x = isa_rows[op].form == ISA_FORM_JMP_X, wide = isa_rows[op].width == 64;
    struct reg a = *state_reg(s, insn->dst), b = x ? *state_reg(s, insn->src) : reg_const((uint64_t)insn->imm);
    bool eq = is_op(op, ISA_JEQ64_K), ne = is_op(op, ISA_JNE64_K);
    enum reason reason;

    if (x && b.kind == REG_NONE)
        return refuse(v, REASON_uninitialized_register, "r%u was not written on this path", insn->src);
    if (a.kind == REG_NONE)
        return refuse(v, REASON_uninitialized_register, "r%u was not written on this path", insn->dst);
    if (a.kind == REG_SCALAR && b.kind == REG_SCALAR)
        return numbers(v, s, insn, x, other, taken);
    if (wide && (eq || ne)) {
        const struct reg *ptr = reg_is_pointer(&a) ? &a : &b, *zero = ptr == &a ? &b : &a;

        if (reg_is_const(zero) && zero->s.t.value == 0) {
            if (is_not_null(ptr)) {
                /* Linux settles this for a comparison with the constant. */
                if (x) {
                    reason = precision_mark_reg(v, s, zero == &a ? insn->dst : insn->src);
                    if (reason)
                        return reason;
                }
                *taken = ne;
                go(s, insn, ne);
                return REASON_ok;
            }
            if (ptr->flags & REG_MAYBE_NULL) {
                uint32_t id = ptr->id;

                if (x) {
                    reason = precision_mark_reg(v, s, zero == &a ? insn->dst : insn->src);
                    if (reason)
                        return reason;
                }
                reason = fork_both(v, s, insn, other);
                if (reason)
                    return reason;
                if (!branch_settle_null(v, s, id, ne) || !branch_settle_null(v, *other, id, eq))
                    return REASON_out_of_memory;
                return REASON_ok;
            }
        }
        /* Two pointers that are equal: when one is not NULL, neither is the other. */
        if (reg_is_pointer(&a) && reg_is_pointer(&b) && a.kind == b.kind && v->privileged) {
            const struct reg *maybe = a.flags & REG_MAYBE_NULL ? &a : &b, *sure = maybe == &a ? &b : &a;
            uint32_t id = maybe->id;
            bool learn = maybe->flags & REG_MAYBE_NULL && is_not_null(sure);

            reason = fork_both(v, s, insn, other);
            if (reason)
                return reason;
            if (learn && !branch_settle_null(v, eq ? *other : s, id, false))
                return REASON_out_of_memory;
            return REASON_ok;
        }
    }
    if (wide && (ends(&a, &b) || ends(&b, &a))) {
        int decided = a.kind == REG_PACKET_END || b.kind == REG_PACKET_END ? packet_decided(op, &a, &b) : -1;

        if (decided >= 0) {
            *taken = decided;
            go(s, insn, decided);
            return REASON_ok;
        }
        reason = fork_both(v, s, insn, other);
        if (reason)
            return reason;
        return packet_arm(v, s, insn, &a, &b, false) && packet_arm(v, *other, insn, &a, &b, true)
                   ? REASON_ok
                   : REASON_out_of_memory;
    }
    if (!v->privileged)
        return refuse(v, REASON_pointer_leak, "r%u, a %s, is compared", reg_is_pointer(&a) ? insn->dst : insn->src,
                      reg_kind_name(reg_is_pointer(&a) ? &a : &b));
    return fork_both(v, s, insn, other);
}
