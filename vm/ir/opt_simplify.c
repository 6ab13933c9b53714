/*
 * Simplifying one operation at a time, with all operations before it already simple: reads of copies read what was
 * copied, constants stand in operations, what can be computed is, and each operation becomes the cheapest that gives
 * the same. Constants are put in without asking whether the target has room for them; legalising takes them out again.
 */
#include "vm/ir/opt.h"

static unsigned width_bits(const struct ir_op *op)
{
    return op->width == 4 ? 32 : 64;
}

static uint64_t cut(const struct ir_op *op, uint64_t value)
{
    return op->width == 4 ? (uint32_t)value : value;
}

static bool has_b(const struct ir_op *op)
{
    switch (op->kind) {
    case IR_SET:
    case IR_SELECT:
    case IR_BR: return true;
    default: return op->kind >= IR_ADD && op->kind <= IR_MULHI && op->kind != IR_NEG && op->kind != IR_NOT;
    }
}

static void set_imm(struct ir_op *op, uint64_t value)
{
    op->flags |= IR_IMM;
    op->imm = op->width == 4 ? (int32_t)value : (int64_t)value;
}

static bool is_secret(const struct opt *o, uint32_t v)
{
    const struct ir_op *d = v ? opt_def(o, v) : NULL;

    return d && (d->flags & IR_SECRET);
}

static void b_to_imm(struct opt *o, struct ir_op *op)
{
    uint64_t value;

    if ((op->flags & (IR_IMM | IR_MEM)) || !opt_const(o, op->b, &value))
        return;
    if (is_secret(o, op->b))
        op->flags |= IR_SECRET;
    opt_drop(o, &op->b);
    set_imm(op, value);
}

/* Constants to the right. */
static void order_operands(const struct opt *o, struct ir_op *op)
{
    uint64_t value;
    uint32_t a = op->a;
    bool compares = op->kind == IR_SET || op->kind == IR_SELECT || op->kind == IR_BR;

    if ((op->flags & (IR_IMM | IR_MEM)) || !opt_const(o, op->a, &value))
        return;
    if (!compares && !(ir_kinds[op->kind].what & IR_W_COMM))
        return;
    op->a = op->b;
    op->b = a;
    if (compares)
        op->cc = opt_swap_cc(op->cc);
}

/* Takes the operation's kind to another with a constant. */
static void become(struct ir_op *op, enum ir_kind kind, uint64_t imm)
{
    op->kind = (uint8_t)kind;
    set_imm(op, imm);
}

static void become_zext(struct ir_op *op, enum ir_kind kind, unsigned size)
{
    op->kind = (uint8_t)kind;
    op->size = (uint8_t)size;
    op->flags = 0;
    op->imm = 0;
}

static bool is_power(uint64_t value)
{
    return value && !(value & (value - 1));
}

static unsigned log_of(uint64_t value)
{
    return (unsigned)__builtin_ctzll(value);
}

/* The constant operation that wrote a, when nothing else reads that: what may be done together with this one. */
static struct ir_op *inner(const struct opt *o, const struct ir_op *op)
{
    struct ir_op *d = opt_def(o, op->a);

    if (!d || o->v[op->a].uses != 1 || !(d->flags & IR_IMM) || d->kind == IR_CONST || d->kind < IR_ADD ||
        d->kind > IR_SMOD)
        return NULL;
    /* The low half of a wide result is the narrow result, but for what moves bits down. */
    if (d->width != op->width && (op->width == 8 || (d->kind != IR_ADD && d->kind != IR_AND && d->kind != IR_OR &&
                                                     d->kind != IR_XOR && d->kind != IR_MUL)))
        return NULL;
    return opt_same(o, d->a, op->a) ? d : NULL;
}

/* The operation reads what the inner one read, and does both. */
static void merge(struct opt *o, struct ir_op *op, const struct ir_op *d, uint64_t imm)
{
    if (d->flags & IR_SECRET)
        op->flags |= IR_SECRET;
    set_imm(op, imm);
    opt_set(o, &op->a, d->a);
}

static void simplify_add(struct opt *o, struct ir_op *op)
{
    struct ir_op *d = inner(o, op);

    if (d && d->kind == IR_ADD)
        merge(o, op, d, (uint64_t)op->imm + (uint64_t)d->imm);
    if (!op->imm)
        opt_to_copy(o, op, op->a);
}

static void simplify_mul(struct opt *o, struct ir_op *op)
{
    struct ir_op *d = inner(o, op);
    uint64_t imm;

    if (d && d->kind == IR_MUL)
        merge(o, op, d, (uint64_t)op->imm * (uint64_t)d->imm);
    imm = cut(op, (uint64_t)op->imm);
    if (imm == 0)
        opt_to_const(o, op, 0, false);
    else if (imm == 1)
        opt_to_copy(o, op, op->a);
    else if (is_power(imm))
        become(op, IR_SHL, log_of(imm));
    else if (cut(op, ~imm) == 0)
        become_zext(op, IR_NEG, 0);
}

/* A wide right shift by less than 32 that this mask alone reads: masked to what the low half has, it is a narrow one.
 */
static struct ir_op *inner_shift(const struct opt *o, const struct ir_op *op)
{
    struct ir_op *d = opt_def(o, op->a);

    return opt_is_imm(d, IR_SHR) && d->width == 8 && (uint64_t)d->imm < 32 && o->v[op->a].uses == 1 &&
                   opt_same(o, d->a, op->a)
               ? d
               : NULL;
}

static void simplify_and(struct opt *o, struct ir_op *op)
{
    struct ir_op *d = inner(o, op);
    unsigned bits;
    uint64_t imm;

    if (d && d->kind == IR_AND)
        merge(o, op, d, (uint64_t)op->imm & (uint64_t)d->imm);
    bits = o->v[op->a].bits < width_bits(op) ? o->v[op->a].bits : width_bits(op);
    imm = cut(op, (uint64_t)op->imm);
    d = inner_shift(o, op);
    if (d && d->imm && imm == opt_ones(32 - (unsigned)d->imm)) {
        uint64_t n = (uint64_t)d->imm;

        opt_set(o, &op->a, d->a);
        op->width = 4;
        become(op, IR_SHR, n);
        return;
    }
    if (!(imm & opt_ones(bits)))
        opt_to_const(o, op, 0, false);
    else if (!(~imm & opt_ones(bits)))
        opt_to_copy(o, op, op->a);
    else if (imm == 0xff || imm == 0xffff || imm == 0xffffffff)
        become_zext(op, IR_ZEXT, opt_length(imm) / 8);
}

static void simplify_or(struct opt *o, struct ir_op *op)
{
    struct ir_op *d = inner(o, op);
    uint64_t imm;

    if (d && d->kind == op->kind)
        merge(o, op, d,
              op->kind == IR_OR ? (uint64_t)op->imm | (uint64_t)d->imm : (uint64_t)op->imm ^ (uint64_t)d->imm);
    imm = cut(op, (uint64_t)op->imm);
    if (!imm)
        opt_to_copy(o, op, op->a);
    else if (cut(op, ~imm) == 0 && op->kind == IR_OR)
        opt_to_const(o, op, cut(op, UINT64_MAX), false);
    else if (cut(op, ~imm) == 0)
        become_zext(op, IR_NOT, 0);
}

/* Up by m, then down by n. */
static bool down_after_up(struct opt *o, struct ir_op *op, const struct ir_op *d, unsigned m, unsigned n)
{
    unsigned width = width_bits(op), kept = width - m;
    uint32_t a = d->a;

    if (m == n && (kept == 8 || kept == 16 || kept == 32)) {
        opt_set(o, &op->a, a);
        become_zext(op, op->kind == IR_SHR ? IR_ZEXT : IR_SEXT, kept / 8);
        return true;
    }
    if (op->kind != IR_SHR)
        return false;
    if (m == n) {
        opt_set(o, &op->a, a);
        become(op, IR_AND, opt_ones(kept));
        return true;
    }
    if (m > n && o->v[a].bits <= kept) {
        opt_set(o, &op->a, a);
        become(op, IR_SHL, m - n);
        return true;
    }
    if (m < n && width == 64 && kept == 32) {
        opt_set(o, &op->a, a);
        op->width = 4;
        become(op, IR_SHR, n - m);
        return true;
    }
    return false;
}

static void simplify_shift(struct opt *o, struct ir_op *op)
{
    struct ir_op *d = inner(o, op);
    unsigned width = width_bits(op), n = (unsigned)op->imm & (width - 1), m;

    op->imm = n;
    if (d && (d->kind == IR_SHL || d->kind == IR_SHR || d->kind == IR_SAR)) {
        m = (unsigned)d->imm & (width - 1);
        if (d->kind == op->kind && (m + n < width || op->kind == IR_SAR)) {
            merge(o, op, d, m + n < width ? m + n : width - 1);
        } else if (d->kind == op->kind && op->kind != IR_SAR) {
            opt_to_const(o, op, 0, false);
            return;
        } else if (d->kind == IR_SHL && op->kind != IR_SHL && down_after_up(o, op, d, m, n)) {
            return;
        } else if (d->kind == IR_SHR && op->kind == IR_SHL && m == n) {
            opt_set(o, &op->a, d->a);
            become(op, IR_AND, opt_ones(width) << n);
            return;
        }
        n = (unsigned)op->imm;
    }
    if (!n)
        opt_to_copy(o, op, op->a);
    else if (op->kind == IR_SHR && o->v[op->a].bits <= n)
        opt_to_const(o, op, 0, false);
    else if (op->kind == IR_SAR && o->v[op->a].bits < width)
        become(op, IR_SHR, n);
}

static void simplify_division(struct opt *o, struct ir_op *op)
{
    uint64_t imm = cut(op, (uint64_t)op->imm);
    bool divides = op->kind == IR_UDIV || op->kind == IR_SDIV;
    unsigned width = width_bits(op);

    if (imm == 0 && divides)
        opt_to_const(o, op, 0, false);
    else if (imm == 0)
        opt_to_copy(o, op, op->a);
    else if (imm == 1 && divides)
        opt_to_copy(o, op, op->a);
    else if (imm == 1)
        opt_to_const(o, op, 0, false);
    else if (!is_power(imm) || ((op->kind == IR_SDIV || op->kind == IR_SMOD) && o->v[op->a].bits >= width))
        return;
    else if (imm >> (width - 1) && (op->kind == IR_SDIV || op->kind == IR_SMOD))
        return;
    else if (divides)
        become(op, IR_SHR, log_of(imm));
    else
        become(op, IR_AND, imm - 1);
}

/* Both sides of the operation are below 2^bits. */
static bool fits(const struct opt *o, const struct ir_op *op, unsigned bits)
{
    if (op->flags & IR_MEM)
        return false;
    if (o->v[op->a].bits > bits)
        return false;
    return op->flags & IR_IMM ? opt_length((uint64_t)op->imm) <= bits : o->v[op->b].bits <= bits;
}

/* Signed division of what is not negative. */
static void drop_sign(const struct opt *o, struct ir_op *op)
{
    if ((op->kind == IR_SDIV || op->kind == IR_SMOD) && fits(o, op, width_bits(op) - 1))
        op->kind = op->kind == IR_SDIV ? IR_UDIV : IR_UMOD;
}

/* Width 8 where 4 gives the same: shorter, and division is much faster. */
static void narrow(struct opt *o, struct ir_op *op)
{
    bool ok = false;

    if (op->width != 8)
        return;
    switch (op->kind) {
    case IR_AND: ok = o->v[op->a].bits <= 32 || ((op->flags & IR_IMM) && opt_length((uint64_t)op->imm) <= 32); break;
    case IR_OR:
    case IR_XOR:
    case IR_UDIV:
    case IR_UMOD: ok = fits(o, op, 32); break;
    case IR_SDIV:
    case IR_SMOD: ok = fits(o, op, 31); break;
    case IR_ADD:
    case IR_MUL: ok = fits(o, op, 32) && opt_bits(o, op) <= 32; break;
    case IR_SHL:
    case IR_SHR:
        ok = (op->flags & IR_IMM) && (uint64_t)op->imm < 32 && o->v[op->a].bits <= 32 && opt_bits(o, op) <= 32;
        break;
    default: break;
    }
    if (!ok)
        return;
    op->width = 4;
    if (op->flags & IR_IMM)
        op->imm = (int32_t)op->imm;
}

static void simplify_with_imm(struct opt *o, struct ir_op *op)
{
    switch (op->kind) {
    case IR_SUB:
        become(op, IR_ADD, -(uint64_t)op->imm);
        simplify_add(o, op);
        break;
    case IR_ADD: simplify_add(o, op); break;
    case IR_MUL: simplify_mul(o, op); break;
    case IR_AND: simplify_and(o, op); break;
    case IR_OR:
    case IR_XOR: simplify_or(o, op); break;
    case IR_SHL:
    case IR_SHR:
    case IR_SAR: simplify_shift(o, op); break;
    case IR_ROL:
        op->imm &= width_bits(op) - 1;
        if (!op->imm)
            opt_to_copy(o, op, op->a);
        break;
    case IR_UDIV:
    case IR_UMOD:
    case IR_SDIV:
    case IR_SMOD: simplify_division(o, op); break;
    default: break;
    }
}

static void simplify_same(struct opt *o, struct ir_op *op)
{
    switch (op->kind) {
    case IR_SUB:
    case IR_XOR: opt_to_const(o, op, 0, false); break;
    case IR_AND:
    case IR_OR: opt_to_copy(o, op, op->a); break;
    case IR_ADD:
        opt_drop(o, &op->b);
        become(op, IR_SHL, 1);
        break;
    default: break;
    }
}

/* -x + y, y + -x, y - -x. */
static void simplify_negated(struct opt *o, struct ir_op *op)
{
    const struct ir_op *d = opt_def(o, op->b);
    uint32_t a = op->a;

    if (op->kind == IR_ADD && !(d && d->kind == IR_NEG)) {
        op->a = op->b;
        op->b = a;
        d = opt_def(o, op->b);
        if (!(d && d->kind == IR_NEG)) {
            op->b = op->a;
            op->a = a;
        }
    }
    if (!d || d->kind != IR_NEG || d->width != op->width || !opt_same(o, d->a, op->b))
        return;
    opt_set(o, &op->b, d->a);
    op->kind = op->kind == IR_ADD ? IR_SUB : IR_ADD;
}

static void simplify_binary(struct opt *o, struct ir_op *op)
{
    uint64_t a;

    order_operands(o, op);
    b_to_imm(o, op);
    if ((op->flags & IR_IMM) && opt_const(o, op->a, &a)) {
        opt_to_const(o, op, opt_eval(op, a, (uint64_t)op->imm), (op->flags & IR_SECRET) || is_secret(o, op->a));
        return;
    }
    if (op->flags & IR_IMM)
        simplify_with_imm(o, op);
    else if (!(op->flags & IR_MEM) && op->a == op->b)
        simplify_same(o, op);
    else if (!(op->flags & IR_MEM) && (op->kind == IR_ADD || op->kind == IR_SUB))
        simplify_negated(o, op);
    if (!has_b(op))
        return;
    drop_sign(o, op);
    narrow(o, op);
}

static void simplify_unary(struct opt *o, struct ir_op *op)
{
    const struct ir_op *d = opt_def(o, op->a);
    unsigned bits = o->v[op->a].bits;
    uint64_t a;

    if (opt_const(o, op->a, &a)) {
        opt_to_const(o, op, opt_eval(op, a, 0), is_secret(o, op->a));
    } else if (op->kind == IR_ZEXT && bits <= 8u * op->size) {
        op->width = 8;
        opt_to_copy(o, op, op->a);
    } else if (op->kind == IR_SEXT && bits < 8u * op->size) {
        op->width = 8;
        opt_to_copy(o, op, op->a);
    } else if (op->kind == IR_BSWAP && d && d->kind == IR_BSWAP && d->size == op->size && opt_same(o, d->a, op->a)) {
        uint32_t v = d->a;

        if (op->size == 8) {
            opt_to_copy(o, op, v);
        } else {
            opt_set(o, &op->a, v);
            become_zext(op, IR_ZEXT, op->size);
        }
    } else if (op->kind == IR_NEG && d && d->kind == IR_SUB && d->width == op->width && o->v[op->a].uses == 1 &&
               !(d->flags & (IR_IMM | IR_MEM)) && opt_same(o, d->a, op->a) && opt_same(o, d->b, op->a)) {
        uint32_t x = d->a, y = d->b;

        o->v[x].uses++;
        opt_set(o, &op->a, y);
        op->b = x;
        op->kind = IR_SUB;
    }
}

static void simplify_store(struct opt *o, struct ir_op *op)
{
    uint64_t a;

    if ((op->flags & IR_IMM) || !opt_const(o, op->a, &a))
        return;
    if (is_secret(o, op->a))
        op->flags |= IR_SECRET;
    opt_drop(o, &op->a);
    op->flags |= IR_IMM;
    op->imm = (int64_t)a;
}

/* x + 1 where the condition holds (or where not), else x: x + SET. 1 or 0: SET. */
static void simplify_select(struct opt *o, struct ir_op *op)
{
    const struct ir_op *d;
    struct ir_op set;
    uint64_t yes, no;
    bool swapped = false;

    if (op->kind != IR_SELECT)
        return;
    if (op->yes == op->no) {
        op->width = 8;
        opt_to_copy(o, op, op->yes);
        return;
    }
    if (opt_const(o, op->yes, &yes) && opt_const(o, op->no, &no) && yes + no == 1 && (yes == 0 || yes == 1)) {
        if (!yes)
            op->cc ^= 1;
        op->kind = IR_SET;
        opt_drop(o, &op->yes);
        opt_drop(o, &op->no);
        return;
    }
    d = opt_def(o, op->yes);
    if (!(opt_is_imm(d, IR_ADD) && d->a == op->no)) {
        d = opt_def(o, op->no);
        swapped = true;
    }
    if (!opt_is_imm(d, IR_ADD) || d->imm != 1 || d->a != (swapped ? op->yes : op->no) ||
        !opt_same(o, d->a, swapped ? op->no : op->yes) || o->v[swapped ? op->no : op->yes].uses != 1 ||
        (d->width == 4 && o->v[d->a].bits > 32))
        return;
    set = *op;
    set.kind = IR_SET;
    set.cc ^= swapped;
    set.yes = set.no = IR_NONE;
    set = (struct ir_op){
        .kind = IR_ADD, .width = d->width, .slot = op->slot, .dst = op->dst, .a = d->a, .b = opt_insert(o, set)};
    if (!set.b)
        return;
    o->v[set.a].uses++;
    o->v[set.b].uses++;
    opt_reset(o, op, IR_ADD);
    *op = set;
}

static void simplify_branch(struct opt *o, struct ir_op *op)
{
    struct ir_block *b = &o->f->blocks[o->block];

    if (op->kind == IR_BR && b->succ[0] == b->succ[1]) {
        opt_reset(o, op, IR_JMP);
        b->succ[1] = IR_NO_BLOCK;
        o->blocks_changed = true;
    }
}

void opt_simplify(struct opt *o, struct ir_op *op)
{
    uint64_t a;

    opt_strip_all(o, op);
    switch (op->kind) {
    case IR_COPY:
        if (opt_const(o, op->a, &a))
            opt_to_const(o, op, a, is_secret(o, op->a));
        break;
    case IR_NEG:
    case IR_NOT:
    case IR_ZEXT:
    case IR_SEXT:
    case IR_BSWAP: simplify_unary(o, op); break;
    case IR_STORE:
    case IR_RMW: simplify_store(o, op); break;
    case IR_SET:
    case IR_SELECT:
    case IR_BR:
        order_operands(o, op);
        b_to_imm(o, op);
        opt_condition(o, op);
        simplify_select(o, op);
        simplify_branch(o, op);
        break;
    default:
        if (has_b(op))
            simplify_binary(o, op);
    }
}
