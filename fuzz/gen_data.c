/*
 * What a program does with numbers, memory and pointers. Each step leaves the model true of the program so far, but for
 * what it got wrong on purpose; a register that a loop needs (locked) keeps what it holds.
 */
#include "fuzz/gen_internal.h"

/* A register that may be overwritten. */
unsigned gen_free_reg(struct maker *g)
{
    for (;;) {
        unsigned r = below(g, 10);

        if (g->locked >> r & 1)
            continue;
        /* Pointers are dear: spare them mostly. */
        if ((g->m.r[r].kind == NUM || g->m.r[r].kind == NONE) || below(g, 4) == 0)
            return r;
    }
}

/* A register of this kind; -1: none. */
int gen_find(struct maker *g, unsigned kinds)
{
    unsigned first = below(g, 11);

    for (unsigned i = 0; i < 11; i++) {
        unsigned r = (first + i) % 11;

        if (kinds >> g->m.r[r].kind & 1)
            return (int)r;
    }
    return -1;
}

unsigned gen_a_number(struct maker *g)
{
    int r = gen_find(g, 1 << NUM);

    if (r >= 0 && below(g, 8))
        return (unsigned)r;
    r = (int)gen_free_reg(g);
    if (below(g, 4) == 0) {
        uint64_t v = gen_number(&g->state);

        put_wide(g, ISA_LD_IMM64, (unsigned)r, (uint32_t)v, (uint32_t)(v >> 32));
        g->m.r[r] = number(UINT64_MAX);
        return (unsigned)r;
    }
    put(g, below(g, 4) ? ISA_MOV64_K : ISA_MOV32_K, (unsigned)r, 0, 0, (int32_t)gen_number(&g->state));
    g->m.r[r] = number(UINT64_MAX);
    return (unsigned)r;
}

/* Registers that a call overwrites. */
void gen_clobber(struct maker *g)
{
    for (unsigned r = 0; r < 6; r++)
        g->m.r[r] = (struct thing){0};
}

void gen_forget_packet(struct maker *g)
{
    for (unsigned r = 0; r < 10; r++)
        if (g->m.r[r].kind == PACKET || g->m.r[r].kind == PACKET_END)
            g->m.r[r] = (struct thing){0};
    for (unsigned i = 0; i < SLOTS; i++)
        if (g->m.slot[i].kind == PACKET || g->m.slot[i].kind == PACKET_END)
            g->m.slot[i] = (struct thing){0};
}

/* A jump to the function's end, taken when the condition holds. */
void gen_jump_out(struct maker *g, enum isa_op op, unsigned dst, unsigned src, int64_t imm)
{
    if (g->n_outs == MAX_OUTS || g->m.held)
        return;
    g->outs[g->n_outs++] = g->out->n;
    put(g, op, dst, src, 0, imm);
}

/* Numbers. */

int32_t gen_immediate(struct maker *g, enum isa_op op)
{
    uint8_t kind = isa_rows[op].code & 0xf0;
    int32_t imm = (int32_t)gen_number(&g->state);

    if (kind == 0x60 || kind == 0x70 || kind == 0xc0)
        return careless(g) ? imm : (int32_t)below(g, isa_rows[op].width);
    return (kind == 0x30 || kind == 0x90) && !imm ? 3 : imm;
}

void gen_arithmetic(struct maker *g)
{
    unsigned d = gen_a_number(g), s;
    enum isa_op op = (enum isa_op)(ISA_ADD64_K + below(g, ISA_BSWAP64 - ISA_ADD64_K + 1));

    if (g->locked >> d & 1 || d == 10)
        return;
    switch (isa_rows[op].form) {
    case ISA_FORM_ALU_K: put(g, op, d, 0, 0, gen_immediate(g, op)); break;
    case ISA_FORM_ALU_X:
        s = gen_a_number(g);
        put(g, op, d, s, 0, 0);
        break;
    case ISA_FORM_MOVSX:
        s = gen_a_number(g);
        put(g, op, d, s, 0, 0);
        break;
    default: put(g, op, d, 0, 0, 0); break;
    }
    g->m.r[d] = number(UINT64_MAX);
}

/* d becomes a copy of a number, moved by a constant perhaps. */
void gen_copy_number(struct maker *g)
{
    unsigned s = gen_a_number(g), d = gen_free_reg(g);
    struct thing t = g->m.r[s];

    put(g, below(g, 4) ? ISA_MOV64_X : ISA_MOV32_X, d, s, 0, 0);
    if (below(g, 2)) {
        int32_t k = (int32_t)below(g, 16) - 4;

        put(g, below(g, 4) ? ISA_ADD64_K : ISA_ADD32_K, d, 0, 0, k);
        t.max = t.max < 1 << 20 && k >= 0 ? t.max + (uint32_t)k : UINT64_MAX;
    }
    g->m.r[d] = t;
}

/* Makes a number small, in one of the ways that programs do. */
void gen_bound(struct maker *g, unsigned r, uint32_t max)
{
    uint32_t mask = 1;

    if (g->locked >> r & 1)
        return;
    if (careless(g))
        max += 1 + below(g, 8);
    while (mask * 2 - 1 <= max)
        mask *= 2;
    switch (below(g, 9)) {
    case 0:
    case 1:
        put(g, below(g, 2) ? ISA_AND64_K : ISA_AND32_K, r, 0, 0, mask - 1);
        max = mask - 1;
        break;
    case 2: put(g, below(g, 2) ? ISA_MOD64_K : ISA_MOD32_K, r, 0, 0, max + 1); break;
    case 3: gen_jump_out(g, ISA_JGT64_K, r, 0, max); break;
    case 4: gen_jump_out(g, ISA_JGE64_K, r, 0, max + 1); break;
    case 5:
        gen_jump_out(g, ISA_JSGT64_K, r, 0, max);
        if (!careless(g))
            gen_jump_out(g, ISA_JSLT64_K, r, 0, 0);
        break;
    case 6:
        gen_jump_out(g, below(g, 2) ? ISA_JGT32_K : ISA_JGE32_K, r, 0, max);
        if (!careless(g))
            put(g, ISA_MOV32_X, r, r, 0, 0);
        break;
    case 7: {
        unsigned shift = 64 - (unsigned)__builtin_ctz(mask);

        if (shift < 64)
            put(g, ISA_RSH64_K, r, 0, 0, shift);
        else
            put(g, ISA_MOV64_K, r, 0, 0, 0);
        break;
    }
    default: {
        unsigned k = gen_free_reg(g);

        if (k == r)
            return;
        put(g, ISA_MOV64_K, k, 0, 0, max);
        g->m.r[k] = number(max);
        gen_jump_out(g, below(g, 2) ? ISA_JGT64_X : ISA_JGT64_X, r, k, 0);
    }
    }
    g->m.r[r] = number(max);
}

/* Memory. */

/* A pointer and an offset at which `size` bytes may be accessed; false: there is none. */
static bool place(struct maker *g, unsigned size, unsigned kinds, bool aligned, unsigned *reg, int *off)
{
    const struct thing *t;
    int r = gen_find(g, kinds), room;

    if (r < 0)
        return false;
    t = &g->m.r[r];
    room = t->hi - t->lo - (int)size;
    if (room < 0)
        return false;
    *off = t->lo + (int)below(g, (uint32_t)room + 1);
    if (below(g, 6) == 0)
        *off = t->hi - (int)size;
    if (aligned || (t->kind == STACK && below(g, 16)))
        *off -= ((*off + t->off) % (int)size + (int)size) % (int)size;
    if (careless(g))
        *off += (int)below(g, 5) - 2;
    *reg = (unsigned)r;
    return true;
}

void gen_forget_slots(struct maker *g, const struct thing *t, int off, int size)
{
    for (int i = 0; i < SLOTS; i++) {
        int lo = -8 * (i + 1);

        if (t->var || t->foreign || (t->off + off < lo + 8 && t->off + off + size > lo))
            if (g->m.slot[i].kind != NONE)
                g->m.slot[i] = number(UINT64_MAX);
    }
}

void gen_load(struct maker *g)
{
    unsigned log = below(g, 4), size = 1u << log, r, d;
    bool sign = log < 3 && below(g, 4) == 0;
    int off, slot;

    if (!place(g, size, MEMORY, false, &r, &off))
        return;
    if (g->m.r[r].kind == STACK) { /* pointers there are not to be read as numbers */
        slot = (-(g->m.r[r].off + off) - 1) / 8;
        if (!g->m.r[r].var && !g->m.r[r].foreign && slot >= 0 && slot < SLOTS && g->m.slot[slot].kind > NUM)
            return;
        if (g->m.r[r].var)
            for (slot = 0; slot < SLOTS; slot++)
                if (g->m.slot[slot].kind > NUM)
                    return;
    }
    d = gen_free_reg(g);
    if (sign)
        put(g, (enum isa_op)(ISA_LDSX_W + (log == 2 ? 0 : log == 1 ? 1 : 2)), d, r, off, 0);
    else
        put(g, with_size(ISA_LDX_W, log), d, r, off, 0);
    g->m.r[d] = number(sign || log == 3 ? UINT64_MAX : ((uint64_t)1 << 8 * size) - 1);
}

/* Loads that acquire and stores that release, of every size. */
void gen_ordered(struct maker *g)
{
    unsigned log = below(g, 4), r, d;
    int off, slot;

    if (!place(g, 1u << log, 1 << VALUE | 1 << STACK | 1 << RECORD, true, &r, &off))
        return;
    slot = (-(g->m.r[r].off + off) - 1) / 8;
    if (g->m.r[r].kind == STACK &&
        (g->m.r[r].var || g->m.r[r].foreign || slot < 0 || slot >= SLOTS || g->m.slot[slot].kind != NUM))
        return;
    if (below(g, 2)) {
        d = gen_free_reg(g);
        put(g, with_size(ISA_LOAD_ACQ_W, log), d, r, off, 0);
        g->m.r[d] = number(log == 3 ? UINT64_MAX : ((uint64_t)1 << (8u << log)) - 1);
    } else {
        put(g, with_size(ISA_STORE_REL_W, log), r, gen_a_number(g), off, 0);
        if (g->m.r[r].kind == STACK)
            gen_forget_slots(g, &g->m.r[r], off, 1 << log);
    }
}

void gen_store(struct maker *g)
{
    unsigned log = below(g, 4), size = 1u << log, r;
    int off;

    if (!place(g, size, MEMORY, false, &r, &off))
        return;
    if (below(g, 3) == 0)
        put(g, with_size(ISA_ST_W, log), r, 0, off, (int32_t)gen_number(&g->state));
    else
        put(g, with_size(ISA_STX_W, log), r, gen_a_number(g), off, 0);
    if (g->m.r[r].kind == STACK)
        gen_forget_slots(g, &g->m.r[r], off, (int)size);
}

/* Spills of every size and fills of every other. */
void gen_spill(struct maker *g)
{
    unsigned i = below(g, SLOTS), log = below(g, 4), d, s;
    int at = -8 * ((int)i + 1), p;

    if (below(g, 2)) { /* a pointer */
        p = gen_find(g, MEMORY | 1 << CTX | 1 << VALUE_OR_NULL | 1 << PACKET_END);
        if (p < 0 || p == 10)
            return;
        put(g, ISA_STX_DW, 10, (unsigned)p, at, 0);
        g->m.slot[i] = g->m.r[p];
        return;
    }
    s = gen_a_number(g);
    put(g, with_size(ISA_STX_W, log), 10, s, at + (below(g, 6) ? 0 : (int)(below(g, 8u >> log) << log)), 0);
    g->m.slot[i] = number(log == 3 ? g->m.r[s].max : UINT64_MAX);
    if (below(g, 3) == 0)
        gen_bound(g, s, below(g, 32));
    if (below(g, 2)) {
        d = gen_free_reg(g);
        log = below(g, 4);
        put(g, with_size(ISA_LDX_W, log), d, 10, at + (below(g, 3) ? 0 : (int)(below(g, 8u >> log) << log)), 0);
        g->m.r[d] = number(UINT64_MAX);
    }
}

void gen_fill(struct maker *g)
{
    unsigned i = below(g, SLOTS), d = gen_free_reg(g);

    if (g->m.slot[i].kind == NONE)
        return;
    put(g, ISA_LDX_DW, d, 10, -8 * ((int)i + 1), 0);
    g->m.r[d] = g->m.slot[i];
}

void gen_atomic(struct maker *g)
{
    bool wide = below(g, 2);
    unsigned size = wide ? 8 : 4, r, s;
    enum isa_op op = (enum isa_op)(ISA_ATOMIC_ADD64 + 2 * below(g, 10) + !wide);
    int off, slot;

    if (!place(g, size, 1 << VALUE | 1 << STACK | 1 << RECORD, true, &r, &off))
        return;
    slot = (-(g->m.r[r].off + off) - 1) / 8;
    if (g->m.r[r].kind == STACK &&
        (g->m.r[r].var || g->m.r[r].foreign || slot < 0 || slot >= SLOTS || g->m.slot[slot].kind != NUM))
        return;
    s = gen_a_number(g);
    if (g->locked >> s & 1)
        return;
    if (op >= ISA_ATOMIC_CMPXCHG64) {
        if (g->locked & 1)
            return;
        put(g, ISA_MOV64_X, 0, s, 0, 0);
        g->m.r[0] = number(UINT64_MAX);
        if (r == 0)
            return;
    }
    put(g, op, r, s, off, 0);
    g->m.r[op >= ISA_ATOMIC_CMPXCHG64 ? 0 : s] = number(UINT64_MAX);
    if (g->m.r[r].kind == STACK)
        gen_forget_slots(g, &g->m.r[r], off, (int)size);
}

/* Pointers. */

void gen_new_stack_pointer(struct maker *g)
{
    unsigned d = gen_free_reg(g);
    int off = -8 * (1 + (int)below(g, SLOTS));

    put(g, ISA_MOV64_X, d, 10, 0, 0);
    put(g, ISA_ADD64_K, d, 0, 0, off);
    g->m.r[d] = (struct thing){.kind = STACK, .lo = -USED_STACK - off, .hi = -off, .off = off};
}

void gen_value_address(struct maker *g)
{
    unsigned d = gen_free_reg(g), off = below(g, 3) ? 0 : below(g, 128);

    put_wide(g, ISA_LD_MAP_IDX_VALUE, d, GEN_ONE, off);
    g->m.r[d] = (struct thing){.kind = VALUE, .map = GEN_ONE, .lo = -(int)off, .hi = 128 - (int)off};
}

/* Moves a pointer by a number, bounded before or after. */
void gen_move_pointer(struct maker *g)
{
    int p = gen_find(g, MEMORY);
    unsigned d, n;
    struct thing t;
    uint32_t max;

    if (p < 0)
        return;
    t = g->m.r[p];
    if (below(g, 4) == 0 && p != 10 && !(g->locked >> p & 1)) {
        int by = (int)below(g, 24) - 8;

        put(g, below(g, 4) ? ISA_ADD64_K : ISA_SUB64_K, (unsigned)p, 0, 0, by);
        if (isa_decode(&g->out->insns[g->out->n - 1]) == ISA_SUB64_K)
            by = -by;
        g->m.r[p].lo -= by, g->m.r[p].hi -= by, g->m.r[p].off += by;
        return;
    }
    if (t.hi - t.lo < 2)
        return;
    max = below(g, (uint32_t)(t.kind == PACKET ? 32 : t.hi - t.lo));
    n = gen_a_number(g);
    if (g->locked >> n & 1)
        return;
    if (g->m.r[n].max > max || below(g, 3) == 0)
        gen_bound(g, n, max);
    max = (uint32_t)g->m.r[n].max;
    if (t.kind == STACK && below(g, 4)) {
        unsigned shift = below(g, 4);

        put(g, ISA_LSH64_K, n, 0, 0, shift);
        max <<= shift;
        g->m.r[n].max = max;
    }
    d = gen_free_reg(g);
    if (d == n || d == (unsigned)p)
        return;
    if (below(g, 4)) {
        put(g, ISA_MOV64_X, d, (unsigned)p, 0, 0);
        if (t.kind == STACK && !t.var) { /* to the beginning of what may be touched */
            put(g, ISA_ADD64_K, d, 0, 0, t.lo);
            t.hi -= t.lo, t.off += t.lo, t.lo = 0;
        }
        put(g, t.kind == STACK || below(g, 8) ? ISA_ADD64_X : ISA_SUB64_X, d, n, 0, 0);
        if (isa_decode(&g->out->insns[g->out->n - 1]) == ISA_SUB64_X) {
            t.lo += (int)max, t.hi = t.hi;
            t.hi = t.hi < t.lo ? t.lo : t.hi;
            t.var = true;
            g->m.r[d] = t;
            return;
        }
    } else { /* number + pointer */
        put(g, ISA_MOV64_X, d, n, 0, 0);
        put(g, ISA_ADD64_X, d, (unsigned)p, 0, 0);
    }
    t.hi = t.kind == PACKET ? 0 : t.hi - (int)max;
    if (t.kind == PACKET)
        t.lo = 0;
    t.var = true;
    g->m.r[d] = t;
}

void gen_load_packet_pointers(struct maker *g)
{
    int c = gen_find(g, 1 << CTX);
    unsigned d = gen_free_reg(g), e = gen_free_reg(g);
    int data = g->skb ? 76 : 0;

    if (c < 0 || d == (unsigned)c || e == (unsigned)c || d == e)
        return;
    put(g, ISA_LDX_W, d, (unsigned)c, data, 0);
    put(g, ISA_LDX_W, e, (unsigned)c, data + 4, 0);
    g->m.r[d] = (struct thing){.kind = PACKET};
    g->m.r[e] = (struct thing){.kind = PACKET_END};
}

void gen_check_packet(struct maker *g)
{
    int p = gen_find(g, 1 << PACKET), e = gen_find(g, 1 << PACKET_END);
    unsigned t, n = 1 + below(g, below(g, 3) ? 20 : 100);
    int proved = (int)n;

    if (p < 0 || e < 0) {
        gen_load_packet_pointers(g);
        return;
    }
    t = gen_free_reg(g);
    if (t == (unsigned)p || t == (unsigned)e)
        return;
    put(g, ISA_MOV64_X, t, (unsigned)p, 0, 0);
    put(g, ISA_ADD64_K, t, 0, 0, n);
    g->m.r[t] = (struct thing){.kind = PACKET, .lo = -(int)n, .var = g->m.r[p].var};
    switch (below(g, 6)) {
    case 0:
        gen_jump_out(g, ISA_JGE64_X, t, (unsigned)e, 0);
        proved += careless(g) ? 2 : 1;
        break;
    case 1: gen_jump_out(g, ISA_JLT64_X, (unsigned)e, t, 0); break;
    case 2: gen_jump_out(g, ISA_JLE64_X, (unsigned)e, t, 0); break;
    default: gen_jump_out(g, ISA_JGT64_X, t, (unsigned)e, 0); break;
    }
    if (careless(g))
        proved++;
    if (proved > g->m.r[p].hi) {
        g->m.r[p].hi = proved;
        g->m.r[t].hi = proved - (int)n;
    }
}

void gen_ctx_field(struct maker *g)
{
    int c = gen_find(g, 1 << CTX);
    unsigned d = gen_free_reg(g);

    if (c < 0 || d == (unsigned)c)
        return;
    put(g, ISA_LDX_W, d, (unsigned)c, g->skb ? (below(g, 2) ? 0 : 48 + 4 * (int)below(g, 5)) : 16, 0);
    g->m.r[d] = number(UINT32_MAX);
}
