/*
 * A model says of each register and 8-byte stack slot what kind of thing it holds, and of pointers which offsets may be
 * accessed: [lo, hi) from where they point. It is the generator's opinion, not the verifier's; where the two differ,
 * the program is near the border. Blocks are nested: an `if` has a body that begins with a copy of the model and ends
 * by meeting it, a loop forgets what its body might change before it begins. Jumps out of a function's middle go to its
 * end.
 */
#include "fuzz/gen.h"
#include "vm/abi/prog_types.h"
#include "vm/isa/isa.h"

#include <string.h>

const struct map_def gen_maps[GEN_MAPS] = {
    [GEN_ARRAY] = {.name = "array",
                   .type = MAP_TYPE_ARRAY,
                   .key_size = 4,
                   .value_size = 64,
                   .max_entries = 4,
                   .spin_lock_off = -1},
    [GEN_HASH] =
        {.name = "hash", .type = MAP_TYPE_HASH, .key_size = 4, .value_size = 24, .max_entries = 8, .spin_lock_off = -1},
    [GEN_ONE] = {.name = "one",
                 .type = MAP_TYPE_ARRAY,
                 .key_size = 4,
                 .value_size = 128,
                 .max_entries = 1,
                 .spin_lock_off = -1},
    [GEN_RING] = {.name = "ring", .type = MAP_TYPE_RINGBUF, .max_entries = 4096, .spin_lock_off = -1},
};

enum kind { NONE, NUM, CTX, STACK, VALUE, VALUE_OR_NULL, PACKET, PACKET_END, RECORD, RECORD_OR_NULL };

enum { USED_STACK = 96, SLOTS = USED_STACK / 8, MAX_FUNCS = 3, MAX_OUTS = 64, MAX_DEPTH = 3, RECORD_SIZE = 24 };

struct thing {
    uint8_t kind, map;
    bool var;     /* pointer: a number was added */
    bool foreign; /* stack pointer: of a caller */
    int32_t lo, hi;
    int32_t off;  /* stack pointer: from r10 */
    uint64_t max; /* number: no more than this, unsigned */
};

struct model {
    struct thing r[11], slot[SLOTS];
    bool held; /* a record */
};

struct func {
    struct thing args[6];
    bool small;                 /* returns a number of 0 to 15 */
    uint32_t calls[8], n_calls; /* slots of the calls to be settled */
};

struct maker {
    struct gen_prog *out;
    uint64_t state;
    struct model m;
    uint32_t outs[MAX_OUTS], n_outs; /* jumps to the end of this function */
    struct func funcs[MAX_FUNCS];
    unsigned n_funcs, func; /* func: 0 the entry, else 1 + index */
    unsigned locked;        /* registers that a loop needs */
    unsigned careless;      /* of 1000 */
    unsigned loops;
    bool clears; /* functions begin by filling their stack */
    bool skb;
};

uint64_t gen_draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1d;
}

uint64_t gen_number(uint64_t *state)
{
    static const uint64_t borders[] = {0,
                                       1,
                                       2,
                                       0x7f,
                                       0x80,
                                       0xff,
                                       0x7fff,
                                       0x8000,
                                       0xffff,
                                       0x7fffffff,
                                       0x80000000,
                                       0xffffffff,
                                       0x80000001,
                                       0x100000000,
                                       INT64_MAX,
                                       (uint64_t)INT64_MIN,
                                       UINT64_MAX,
                                       UINT64_MAX - 1,
                                       0xffffffff80000000,
                                       0xfffffffeffffffff};
    uint64_t kind = gen_draw(state) >> 60, x = gen_draw(state);

    if (kind < 5)
        return borders[(x >> 20) % (sizeof(borders) / sizeof(borders[0]))];
    if (kind < 9)
        return (x >> 20) % 20;
    if (kind < 11)
        return (x >> 20) % 200;
    if (kind < 13)
        return (uint64_t)1 << ((x >> 20) % 64);
    return kind < 14 ? (uint64_t) - (int64_t)((x >> 20) % 20) : x;
}

static uint32_t below(struct maker *g, uint32_t n)
{
    return (uint32_t)(gen_draw(&g->state) >> 33) % n;
}

static bool careless(struct maker *g)
{
    return below(g, 1000) < g->careless;
}

static void put(struct maker *g, enum isa_op op, unsigned dst, unsigned src, int off, int64_t imm)
{
    if (g->out->n < GEN_MAX_INSNS - 64)
        g->out->insns[g->out->n++] = isa_encode(op, (uint8_t)dst, (uint8_t)src, (int16_t)off, (int32_t)imm);
}

static void put_wide(struct maker *g, enum isa_op op, unsigned dst, uint32_t lo, uint32_t hi)
{
    put(g, op, dst, 0, 0, (int32_t)lo);
    if (g->out->n < GEN_MAX_INSNS - 64)
        g->out->insns[g->out->n++] = (struct skep_insn){.imm = (int32_t)hi};
}

static struct thing number(uint64_t max)
{
    return (struct thing){.kind = NUM, .max = max};
}

/* A register that may be overwritten. */
static unsigned free_reg(struct maker *g)
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
static int find(struct maker *g, unsigned kinds)
{
    unsigned first = below(g, 11);

    for (unsigned i = 0; i < 11; i++) {
        unsigned r = (first + i) % 11;

        if (kinds >> g->m.r[r].kind & 1)
            return (int)r;
    }
    return -1;
}

static unsigned a_number(struct maker *g)
{
    int r = find(g, 1 << NUM);

    if (r >= 0 && below(g, 8))
        return (unsigned)r;
    r = (int)free_reg(g);
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
static void clobber(struct maker *g)
{
    for (unsigned r = 0; r < 6; r++)
        g->m.r[r] = (struct thing){0};
}

static void forget_packet(struct maker *g)
{
    for (unsigned r = 0; r < 10; r++)
        if (g->m.r[r].kind == PACKET || g->m.r[r].kind == PACKET_END)
            g->m.r[r] = (struct thing){0};
    for (unsigned i = 0; i < SLOTS; i++)
        if (g->m.slot[i].kind == PACKET || g->m.slot[i].kind == PACKET_END)
            g->m.slot[i] = (struct thing){0};
}

static bool may_call(const struct maker *g)
{
    return !(g->locked & 0x3f);
}

/* A jump to the function's end, taken when the condition holds. */
static void jump_out(struct maker *g, enum isa_op op, unsigned dst, unsigned src, int64_t imm)
{
    if (g->n_outs == MAX_OUTS || g->m.held)
        return;
    g->outs[g->n_outs++] = g->out->n;
    put(g, op, dst, src, 0, imm);
}

/* Numbers. */

static int32_t immediate(struct maker *g, enum isa_op op)
{
    uint8_t kind = isa_rows[op].code & 0xf0;
    int32_t imm = (int32_t)gen_number(&g->state);

    if (kind == 0x60 || kind == 0x70 || kind == 0xc0)
        return careless(g) ? imm : (int32_t)below(g, isa_rows[op].width);
    return (kind == 0x30 || kind == 0x90) && !imm ? 3 : imm;
}

static void arithmetic(struct maker *g)
{
    unsigned d = a_number(g), s;
    enum isa_op op = (enum isa_op)(ISA_ADD64_K + below(g, ISA_BSWAP64 - ISA_ADD64_K + 1));

    if (g->locked >> d & 1 || d == 10)
        return;
    switch (isa_rows[op].form) {
    case ISA_FORM_ALU_K: put(g, op, d, 0, 0, immediate(g, op)); break;
    case ISA_FORM_ALU_X:
        s = a_number(g);
        put(g, op, d, s, 0, 0);
        break;
    case ISA_FORM_MOVSX:
        s = a_number(g);
        put(g, op, d, s, 0, 0);
        break;
    default: put(g, op, d, 0, 0, 0); break;
    }
    g->m.r[d] = number(UINT64_MAX);
}

/* d becomes a copy of a number, moved by a constant perhaps. */
static void copy_number(struct maker *g)
{
    unsigned s = a_number(g), d = free_reg(g);
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
static void bound(struct maker *g, unsigned r, uint32_t max)
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
    case 3: jump_out(g, ISA_JGT64_K, r, 0, max); break;
    case 4: jump_out(g, ISA_JGE64_K, r, 0, max + 1); break;
    case 5:
        jump_out(g, ISA_JSGT64_K, r, 0, max);
        if (!careless(g))
            jump_out(g, ISA_JSLT64_K, r, 0, 0);
        break;
    case 6:
        jump_out(g, below(g, 2) ? ISA_JGT32_K : ISA_JGE32_K, r, 0, max);
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
        unsigned k = free_reg(g);

        if (k == r)
            return;
        put(g, ISA_MOV64_K, k, 0, 0, max);
        g->m.r[k] = number(max);
        jump_out(g, below(g, 2) ? ISA_JGT64_X : ISA_JGT64_X, r, k, 0);
    }
    }
    g->m.r[r] = number(max);
}

/* Memory. */

static enum isa_op with_size(enum isa_op word, unsigned log)
{
    static const uint8_t order[] = {2, 1, 0, 3}; /* B H W DW in the order W H B DW */

    return (enum isa_op)(word + order[log]);
}

/* A pointer and an offset at which `size` bytes may be accessed; false: there is none. */
static bool place(struct maker *g, unsigned size, unsigned kinds, bool aligned, unsigned *reg, int *off)
{
    const struct thing *t;
    int r = find(g, kinds), room;

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

static void forget_slots(struct maker *g, const struct thing *t, int off, int size)
{
    for (int i = 0; i < SLOTS; i++) {
        int lo = -8 * (i + 1);

        if (t->var || t->foreign || (t->off + off < lo + 8 && t->off + off + size > lo))
            if (g->m.slot[i].kind != NONE)
                g->m.slot[i] = number(UINT64_MAX);
    }
}

enum { MEMORY = 1 << STACK | 1 << VALUE | 1 << PACKET | 1 << RECORD };

static void load(struct maker *g)
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
    d = free_reg(g);
    if (sign)
        put(g, (enum isa_op)(ISA_LDSX_W + (log == 2 ? 0 : log == 1 ? 1 : 2)), d, r, off, 0);
    else
        put(g, with_size(ISA_LDX_W, log), d, r, off, 0);
    g->m.r[d] = number(sign || log == 3 ? UINT64_MAX : ((uint64_t)1 << 8 * size) - 1);
}

/* Loads that acquire and stores that release, of every size. */
static void ordered(struct maker *g)
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
        d = free_reg(g);
        put(g, with_size(ISA_LOAD_ACQ_W, log), d, r, off, 0);
        g->m.r[d] = number(log == 3 ? UINT64_MAX : ((uint64_t)1 << (8u << log)) - 1);
    } else {
        put(g, with_size(ISA_STORE_REL_W, log), r, a_number(g), off, 0);
        if (g->m.r[r].kind == STACK)
            forget_slots(g, &g->m.r[r], off, 1 << log);
    }
}

static void store(struct maker *g)
{
    unsigned log = below(g, 4), size = 1u << log, r;
    int off;

    if (!place(g, size, MEMORY, false, &r, &off))
        return;
    if (below(g, 3) == 0)
        put(g, with_size(ISA_ST_W, log), r, 0, off, (int32_t)gen_number(&g->state));
    else
        put(g, with_size(ISA_STX_W, log), r, a_number(g), off, 0);
    if (g->m.r[r].kind == STACK)
        forget_slots(g, &g->m.r[r], off, (int)size);
}

/* Spills of every size and fills of every other. */
static void spill(struct maker *g)
{
    unsigned i = below(g, SLOTS), log = below(g, 4), d, s;
    int at = -8 * ((int)i + 1), p;

    if (below(g, 2)) { /* a pointer */
        p = find(g, MEMORY | 1 << CTX | 1 << VALUE_OR_NULL | 1 << PACKET_END);
        if (p < 0 || p == 10)
            return;
        put(g, ISA_STX_DW, 10, (unsigned)p, at, 0);
        g->m.slot[i] = g->m.r[p];
        return;
    }
    s = a_number(g);
    put(g, with_size(ISA_STX_W, log), 10, s, at + (below(g, 6) ? 0 : (int)(below(g, 8u >> log) << log)), 0);
    g->m.slot[i] = number(log == 3 ? g->m.r[s].max : UINT64_MAX);
    if (below(g, 3) == 0)
        bound(g, s, below(g, 32));
    if (below(g, 2)) {
        d = free_reg(g);
        log = below(g, 4);
        put(g, with_size(ISA_LDX_W, log), d, 10, at + (below(g, 3) ? 0 : (int)(below(g, 8u >> log) << log)), 0);
        g->m.r[d] = number(UINT64_MAX);
    }
}

static void fill(struct maker *g)
{
    unsigned i = below(g, SLOTS), d = free_reg(g);

    if (g->m.slot[i].kind == NONE)
        return;
    put(g, ISA_LDX_DW, d, 10, -8 * ((int)i + 1), 0);
    g->m.r[d] = g->m.slot[i];
}

static void atomic(struct maker *g)
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
    s = a_number(g);
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
        forget_slots(g, &g->m.r[r], off, (int)size);
}

/* Pointers. */

static void new_stack_pointer(struct maker *g)
{
    unsigned d = free_reg(g);
    int off = -8 * (1 + (int)below(g, SLOTS));

    put(g, ISA_MOV64_X, d, 10, 0, 0);
    put(g, ISA_ADD64_K, d, 0, 0, off);
    g->m.r[d] = (struct thing){.kind = STACK, .lo = -USED_STACK - off, .hi = -off, .off = off};
}

static void value_address(struct maker *g)
{
    unsigned d = free_reg(g), off = below(g, 3) ? 0 : below(g, 128);

    put_wide(g, ISA_LD_MAP_IDX_VALUE, d, GEN_ONE, off);
    g->m.r[d] = (struct thing){.kind = VALUE, .map = GEN_ONE, .lo = -(int)off, .hi = 128 - (int)off};
}

/* Moves a pointer by a number, bounded before or after. */
static void move_pointer(struct maker *g)
{
    int p = find(g, MEMORY);
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
    n = a_number(g);
    if (g->locked >> n & 1)
        return;
    if (g->m.r[n].max > max || below(g, 3) == 0)
        bound(g, n, max);
    max = (uint32_t)g->m.r[n].max;
    if (t.kind == STACK && below(g, 4)) {
        unsigned shift = below(g, 4);

        put(g, ISA_LSH64_K, n, 0, 0, shift);
        max <<= shift;
        g->m.r[n].max = max;
    }
    d = free_reg(g);
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

static void load_packet_pointers(struct maker *g)
{
    int c = find(g, 1 << CTX);
    unsigned d = free_reg(g), e = free_reg(g);
    int data = g->skb ? 76 : 0;

    if (c < 0 || d == (unsigned)c || e == (unsigned)c || d == e)
        return;
    put(g, ISA_LDX_W, d, (unsigned)c, data, 0);
    put(g, ISA_LDX_W, e, (unsigned)c, data + 4, 0);
    g->m.r[d] = (struct thing){.kind = PACKET};
    g->m.r[e] = (struct thing){.kind = PACKET_END};
}

static void check_packet(struct maker *g)
{
    int p = find(g, 1 << PACKET), e = find(g, 1 << PACKET_END);
    unsigned t, n = 1 + below(g, below(g, 3) ? 20 : 100);
    int proved = (int)n;

    if (p < 0 || e < 0) {
        load_packet_pointers(g);
        return;
    }
    t = free_reg(g);
    if (t == (unsigned)p || t == (unsigned)e)
        return;
    put(g, ISA_MOV64_X, t, (unsigned)p, 0, 0);
    put(g, ISA_ADD64_K, t, 0, 0, n);
    g->m.r[t] = (struct thing){.kind = PACKET, .lo = -(int)n, .var = g->m.r[p].var};
    switch (below(g, 6)) {
    case 0:
        jump_out(g, ISA_JGE64_X, t, (unsigned)e, 0);
        proved += careless(g) ? 2 : 1;
        break;
    case 1: jump_out(g, ISA_JLT64_X, (unsigned)e, t, 0); break;
    case 2: jump_out(g, ISA_JLE64_X, (unsigned)e, t, 0); break;
    default: jump_out(g, ISA_JGT64_X, t, (unsigned)e, 0); break;
    }
    if (careless(g))
        proved++;
    if (proved > g->m.r[p].hi) {
        g->m.r[p].hi = proved;
        g->m.r[t].hi = proved - (int)n;
    }
}

/* Calls. */

/* Registers 1 to 5 are about to be arguments: nothing that must stay may be there. */
static void lookup(struct maker *g)
{
    unsigned map = below(g, 2) ? GEN_ARRAY : GEN_HASH, d;
    int key = -8 * (1 + (int)below(g, SLOTS));
    struct thing value = {.kind = VALUE_OR_NULL, .map = (uint8_t)map, .hi = (int)gen_maps[map].value_size};

    if (!may_call(g))
        return;
    if (below(g, 3)) {
        put(g, ISA_ST_W, 10, 0, key, below(g, 6));
    } else {
        unsigned n = a_number(g);

        if (below(g, 2))
            bound(g, n, 5);
        put(g, ISA_STX_W, 10, n, key, 0);
    }
    g->m.slot[-key / 8 - 1] = number(UINT64_MAX);
    put(g, ISA_MOV64_X, 2, 10, 0, 0);
    put(g, ISA_ADD64_K, 2, 0, 0, key);
    put_wide(g, ISA_LD_MAP_IDX, 1, map, 0);
    put(g, ISA_CALL_HELPER, 0, 0, 0, 1);
    clobber(g);
    g->m.r[0] = value;
    d = 6 + below(g, 4);
    if (below(g, 2) && !(g->locked >> d & 1)) {
        put(g, ISA_MOV64_X, d, 0, 0, 0);
        g->m.r[d] = value;
    }
    if (below(g, 4) && !careless(g)) {
        jump_out(g, below(g, 4) ? ISA_JEQ64_K : ISA_JEQ64_K, 0, 0, 0);
        for (unsigned r = 0; r < 10; r++)
            if (g->m.r[r].kind == VALUE_OR_NULL && (r == 0 || r == d))
                g->m.r[r].kind = VALUE;
    }
}

static void null_check(struct maker *g)
{
    int p = find(g, 1 << VALUE_OR_NULL);

    if (p < 0)
        return;
    if (!careless(g)) {
        if (below(g, 3)) {
            jump_out(g, ISA_JEQ64_K, (unsigned)p, 0, 0);
        } else {
            put(g, ISA_JNE64_K, (unsigned)p, 0, 2, 0);
            put(g, ISA_MOV64_K, 0, 0, 0, 1);
            if (g->n_outs < MAX_OUTS) {
                g->outs[g->n_outs++] = g->out->n;
                put(g, ISA_JA, 0, 0, 0, 0);
            }
            if (!(g->m.r[0].kind == VALUE_OR_NULL && p == 0))
                g->m.r[0] = g->m.r[0].kind == NUM ? number(UINT64_MAX) : g->m.r[0];
        }
    }
    g->m.r[p].kind = VALUE;
}

/* A helper that takes memory and its size: map_update_elem, csum_diff, probe_read_kernel, and ones without arguments.
 */
static void call_helper(struct maker *g)
{
    int off = -8 * (1 + (int)below(g, SLOTS)), p;
    unsigned n;

    if (!may_call(g))
        return;
    switch (below(g, 7)) {
    case 0:
        put(g, ISA_CALL_HELPER, 0, 0, 0, 8);
        g->out->unsteady = true;
        break; /* get_smp_processor_id */
    case 1:
        put(g, ISA_CALL_HELPER, 0, 0, 0, 7);
        g->out->unsteady = true;
        break; /* get_prandom_u32 */
    case 2:
    case 3: /* probe_read_kernel(memory, size, 0) */
        p = find(g, 1 << STACK | 1 << VALUE);
        n = a_number(g);
        if (p < 0 || g->m.r[p].hi < 1 || g->locked >> n & 1)
            return;
        if (g->m.r[n].max > (uint64_t)g->m.r[p].hi)
            bound(g, n, below(g, (uint32_t)g->m.r[p].hi + 1));
        if (g->m.r[p].kind == STACK)
            forget_slots(g, &g->m.r[p], 0, g->m.r[p].hi);
        put(g, ISA_STX_DW, 10, n, off, 0);
        put(g, ISA_MOV64_X, 1, (unsigned)p, 0, 0);
        put(g, ISA_LDX_DW, 2, 10, off, 0);
        g->m.slot[-off / 8 - 1] = number(UINT64_MAX);
        put(g, ISA_MOV64_K, 3, 0, 0, 0);
        put(g, ISA_CALL_HELPER, 0, 0, 0, 113);
        break;
    case 4: /* csum_diff(memory, size, 0, 0, seed) */
        p = find(g, MEMORY);
        n = a_number(g);
        if (p < 0 || g->m.r[p].hi < 4 || g->locked >> n & 1)
            return;
        if (g->m.r[n].max > (uint64_t)g->m.r[p].hi)
            bound(g, n, below(g, (uint32_t)g->m.r[p].hi + 1));
        if (below(g, 2))
            put(g, ISA_AND64_K, n, 0, 0, 0xffc);
        if (g->m.r[p].kind == STACK) {
            for (unsigned i = 0; i < SLOTS; i++)
                if (g->m.slot[i].kind > NUM)
                    return;
            g->out->unsteady |= g->m.r[p].foreign;
        }
        put(g, ISA_STX_DW, 10, n, off, 0);
        put(g, ISA_MOV64_X, 1, (unsigned)p, 0, 0);
        put(g, ISA_LDX_DW, 2, 10, off, 0);
        g->m.slot[-off / 8 - 1] = number(UINT64_MAX);
        put(g, ISA_MOV64_K, 3, 0, 0, 0);
        put(g, ISA_MOV64_K, 4, 0, 0, 0);
        put(g, ISA_MOV64_K, 5, 0, 0, (int32_t)below(g, 0x10000));
        put(g, ISA_CALL_HELPER, 0, 0, 0, 28);
        break;
    case 5: /* map_update_elem(hash, key, stack, 0) */
        for (unsigned i = 0; i < SLOTS; i++)
            if (g->m.slot[i].kind > NUM)
                return;
        put(g, ISA_ST_W, 10, 0, -8, below(g, 6));
        g->m.slot[0] = number(UINT64_MAX);
        put_wide(g, ISA_LD_MAP_IDX, 1, GEN_HASH, 0);
        put(g, ISA_MOV64_X, 2, 10, 0, 0);
        put(g, ISA_ADD64_K, 2, 0, 0, -8);
        put(g, ISA_MOV64_X, 3, 10, 0, 0);
        put(g, ISA_ADD64_K, 3, 0, 0, -8 * (3 + (int)below(g, 6)));
        put(g, ISA_MOV64_K, 4, 0, 0, below(g, 3));
        put(g, ISA_CALL_HELPER, 0, 0, 0, 2);
        break;
    default: /* xdp_adjust_head(ctx, n), skb_pull_data(ctx, n): packet pointers are void afterwards */
        p = find(g, 1 << CTX);
        if (p < 0)
            return;
        put(g, ISA_MOV64_X, 1, (unsigned)p, 0, 0);
        put(g, ISA_MOV64_K, 2, 0, 0, below(g, 16));
        put(g, ISA_CALL_HELPER, 0, 0, 0, g->skb ? 39 : 44);
        forget_packet(g);
        break;
    }
    clobber(g);
    g->m.r[0] = number(UINT64_MAX);
}

static void reserve(struct maker *g)
{
    unsigned d = 6 + below(g, 4);

    if (!may_call(g) || g->m.held || g->locked || d == 10)
        return;
    put_wide(g, ISA_LD_MAP_IDX, 1, GEN_RING, 0);
    put(g, ISA_MOV64_K, 2, 0, 0, RECORD_SIZE);
    put(g, ISA_MOV64_K, 3, 0, 0, 0);
    put(g, ISA_CALL_HELPER, 0, 0, 0, 131);
    clobber(g);
    jump_out(g, ISA_JEQ64_K, 0, 0, 0);
    put(g, ISA_MOV64_X, d, 0, 0, 0);
    g->m.r[d] = (struct thing){.kind = RECORD, .hi = RECORD_SIZE};
    g->m.held = true;
    g->out->unsteady = true; /* the ring fills up in Linux, and its records have no contents to begin with */
    for (unsigned i = below(g, 4); i; i--)
        below(g, 2) ? store(g) : load(g);
    if (g->m.r[d].kind != RECORD || careless(g))
        return;
    put(g, ISA_MOV64_X, 1, d, 0, 0);
    put(g, ISA_MOV64_K, 2, 0, 0, 0);
    put(g, ISA_CALL_HELPER, 0, 0, 0, 132 + below(g, 2));
    g->m.held = false;
    clobber(g);
    for (unsigned r = 0; r < 10; r++)
        if (g->m.r[r].kind == RECORD)
            g->m.r[r] = (struct thing){0};
    for (unsigned i = 0; i < SLOTS; i++)
        if (g->m.slot[i].kind == RECORD)
            g->m.slot[i] = (struct thing){0};
}

/* Sets r1 to r5 for a function; what it gets is noted, or must fit what was noted before. */
static void call_local(struct maker *g)
{
    unsigned which = g->func + below(g, MAX_FUNCS);
    struct func *f;
    bool known;

    if (!may_call(g) || which >= MAX_FUNCS || g->m.held)
        return;
    if (which >= g->n_funcs)
        which = g->n_funcs < MAX_FUNCS && g->n_funcs >= g->func ? g->n_funcs++ : g->n_funcs - 1;
    f = &g->funcs[which];
    if (which < g->func || f->n_calls == sizeof(f->calls) / sizeof(f->calls[0]))
        return;
    known = f->n_calls > 0;
    if (!known)
        f->small = below(g, 2);
    for (unsigned r = 1; r <= 5; r++) {
        struct thing t = known ? f->args[r] : (struct thing){0};

        if (!known) {
            int p = find(g, below(g, 2) ? (1u << VALUE | 1u << PACKET) : (1u << NUM));
            uint32_t kind = below(g, 4);

            if (kind == 0)
                t = (struct thing){.kind = STACK};
            else if (kind == 1 && p > 5 && (r == 1 || g->m.r[p].kind == NUM))
                t = g->m.r[p];
            else
                t = number(below(g, 2) ? 15 : UINT64_MAX);
            if (t.kind == PACKET || t.kind == VALUE)
                t.foreign = true;
        }
        if (t.kind == STACK) {
            int room = 8 * (1 + (int)below(g, 4));

            put(g, ISA_MOV64_X, r, 10, 0, 0);
            put(g, ISA_ADD64_K, r, 0, 0, known ? -32 : -room);
            t = (struct thing){.kind = STACK, .foreign = true, .hi = known ? t.hi : room};
            for (unsigned i = 0; i < 4; i++)
                if (g->m.slot[i].kind > NUM)
                    g->m.slot[i] = (struct thing){0};
        } else if (t.kind == NUM) {
            int s = find(g, 1 << NUM);

            if (s > 5 && below(g, 2) && g->m.r[s].max <= t.max)
                put(g, ISA_MOV64_X, r, (unsigned)s, 0, 0);
            else
                put(g, ISA_MOV64_K, r, 0, 0, t.max == 15 ? (int32_t)below(g, 16) : (int32_t)gen_number(&g->state));
        } else {
            int s = find(g, 1u << t.kind);

            if (s <= 5) /* not there: a number, which the function may not like */
                put(g, ISA_MOV64_K, r, 0, 0, 0);
            else
                put(g, ISA_MOV64_X, r, (unsigned)s, 0, 0);
        }
        if (!known)
            f->args[r] = t;
    }
    f->calls[f->n_calls++] = g->out->n;
    put(g, ISA_CALL_LOCAL, 0, 0, 0, 0);
    clobber(g);
    g->m.r[0] = number(f->small ? 15 : UINT64_MAX);
}

static void load_absolute(struct maker *g)
{
    if (!g->skb || !may_call(g) || g->m.r[6].kind != CTX || g->m.held)
        return;
    if (below(g, 3)) {
        put(g, (enum isa_op)(ISA_LD_ABS_W + below(g, 3)), 0, 0, 0, below(g, 100));
    } else {
        unsigned n = a_number(g);

        put(g, (enum isa_op)(ISA_LD_IND_W + below(g, 3)), 0, n, 0, below(g, 20));
    }
    clobber(g);
    g->m.r[0] = number(UINT64_MAX);
}

static void ctx_field(struct maker *g)
{
    int c = find(g, 1 << CTX);
    unsigned d = free_reg(g);

    if (c < 0 || d == (unsigned)c)
        return;
    put(g, ISA_LDX_W, d, (unsigned)c, g->skb ? (below(g, 2) ? 0 : 48 + 4 * (int)below(g, 5)) : 16, 0);
    g->m.r[d] = number(UINT32_MAX);
}

/* Control. */

static void block(struct maker *g, unsigned depth, unsigned n);

static void meet(struct model *a, const struct model *b)
{
    for (unsigned i = 0; i < 11 + SLOTS; i++) {
        struct thing *x = i < 11 ? &a->r[i] : &a->slot[i - 11];
        const struct thing *y = i < 11 ? &b->r[i] : &b->slot[i - 11];

        if (x->kind != y->kind) {
            *x = (struct thing){0};
            continue;
        }
        x->lo = x->lo > y->lo ? x->lo : y->lo;
        x->hi = x->hi < y->hi ? x->hi : y->hi;
        x->max = x->max > y->max ? x->max : y->max;
        x->var |= y->var || x->off != y->off;
    }
}

static enum isa_op a_jump(struct maker *g, bool by_register)
{
    enum isa_op op = (enum isa_op)(ISA_JEQ64_K + below(g, ISA_JSET32_X - ISA_JEQ64_K + 1));

    while ((isa_rows[op].form == ISA_FORM_JMP_X) != by_register)
        op = (enum isa_op)(ISA_JEQ64_K + below(g, ISA_JSET32_X - ISA_JEQ64_K + 1));
    return op;
}

static void branch(struct maker *g, unsigned depth)
{
    bool x = below(g, 3) == 0;
    unsigned a = a_number(g), b = x ? a_number(g) : 0;
    struct model before;
    uint32_t at = g->out->n, end;
    enum isa_op op = a_jump(g, x);

    if (g->m.held)
        return;
    put(g, op, a, b, 0, x ? 0 : (int32_t)gen_number(&g->state));
    before = g->m;
    block(g, depth + 1, 1 + below(g, 5));
    if (below(g, 3) == 0) {
        struct model then = g->m;

        end = g->out->n;
        put(g, ISA_JA, 0, 0, 0, 0);
        g->out->insns[at].off = (int16_t)(g->out->n - at - 1);
        g->m = before;
        block(g, depth + 1, 1 + below(g, 5));
        g->out->insns[end].off = (int16_t)(g->out->n - end - 1);
        meet(&g->m, &then);
    } else {
        g->out->insns[at].off = (int16_t)(g->out->n - at - 1);
        meet(&g->m, &before);
    }
}

/* Before a loop: what the body may change is forgotten, for it is entered again with what the body left. */
static void loop(struct maker *g, unsigned depth)
{
    unsigned c = 6 + below(g, 4), was = g->locked, times = 1 + below(g, 6);
    uint32_t top;
    bool nums[10], down = below(g, 3) == 0, may = below(g, 12) == 0;

    if (g->loops == 2 || g->m.held || g->locked >> c & 1)
        return;
    g->loops++;
    if (down && below(g, 2)) { /* so many times as some number says */
        unsigned s = a_number(g);

        put(g, ISA_MOV64_X, c, s, 0, 0);
        put(g, ISA_AND64_K, c, 0, 0, 7);
        put(g, ISA_ADD64_K, c, 0, 0, 1);
    } else {
        put(g, ISA_MOV64_K, c, 0, 0, down ? (int)times : 0);
    }
    g->m.r[c] = number(16);
    g->locked |= 1u << c;
    for (unsigned r = 0; r < 10; r++) {
        if (r < 6 && g->m.r[r].kind != NUM)
            g->m.r[r] = (struct thing){0};
        if (g->m.r[r].kind > NUM)
            g->locked |= 1u << r;
        nums[r] = g->m.r[r].kind == NUM;
        if (nums[r] && r != c)
            g->m.r[r].max = UINT64_MAX;
    }
    for (unsigned i = 0; i < SLOTS; i++)
        g->m.slot[i] = g->m.slot[i].kind == NONE ? (struct thing){0} : number(UINT64_MAX);
    top = g->out->n;
    if (may)
        g->out->insns[g->out->n++] = isa_encode(ISA_MAY_GOTO, 0, 0, 0, 0);
    block(g, depth + 1, 1 + below(g, 5));
    g->locked = was | 1u << c;
    for (unsigned r = 0; r < 10; r++)
        if (nums[r] && g->m.r[r].kind != NUM) {
            put(g, ISA_MOV64_K, r, 0, 0, (int32_t)gen_number(&g->state));
            g->m.r[r] = number(UINT64_MAX);
        }
    put(g, down ? ISA_SUB64_K : ISA_ADD64_K, c, 0, 0, 1);
    if (may)
        put(g, ISA_JA, 0, 0, (int)top - (int)g->out->n - 1, 0);
    else if (down)
        put(g, below(g, 2) ? ISA_JNE64_K : ISA_JSGT64_K, c, 0, (int)top - (int)g->out->n - 1, 0);
    else
        put(g, below(g, 2) ? ISA_JLT64_K : ISA_JNE64_K, c, 0, (int)top - (int)g->out->n - 1, times);
    if (may)
        g->out->insns[top].off = (int16_t)(g->out->n - top - 1);
    g->out->unsteady |= may; /* Linux's count of rounds is its own */
    g->locked = was;
    for (unsigned r = 0; r < 10; r++)
        if (!nums[r] && r < 6)
            g->m.r[r] = (struct thing){0};
    g->m.r[c] = number(UINT64_MAX);
}

/* A number that is one constant on one path and another on the other goes some way, through registers and stack, and is
 * then used as an offset: what a path that was pruned must not have been pruned for. */

struct twins {
    uint64_t v[2];
    unsigned reg;
};

static void twin_alu(struct maker *g, struct twins *t)
{
    enum isa_op op = (enum isa_op)(ISA_ADD64_K + 4 * below(g, 14) + 2 * below(g, 2));
    int32_t imm = immediate(g, op);

    if (isa_rows[op].form != ISA_FORM_ALU_K || (isa_rows[op].code & 0xf0) == 0xb0)
        return;
    put(g, op, t->reg, 0, 0, imm);
    for (unsigned i = 0; i < 2; i++)
        t->v[i] = isa_eval_alu(op, t->v[i], (uint64_t)(int64_t)imm);
}

/* Something else happens meanwhile: jumps, so that states are saved. */
static void pass_time(struct maker *g, unsigned keep)
{
    for (unsigned n = 1 + below(g, 6); n; n--) {
        unsigned r = a_number(g);

        if (r == keep || g->locked >> r & 1)
            continue;
        put(g, a_jump(g, false), r, 0, 1, (int32_t)gen_number(&g->state));
        put(g, ISA_ADD64_K, r, 0, 0, below(g, 10));
        g->m.r[r].max = UINT64_MAX;
    }
}

static void twin_step(struct maker *g, struct twins *t)
{
    int at = -8 * (1 + (int)below(g, SLOTS));
    unsigned log = below(g, 3) ? 3 : below(g, 4), d;

    switch (below(g, 6)) {
    case 0:
    case 1: /* through the stack, whole or in part */
        put(g, with_size(ISA_STX_W, log), 10, t->reg, at, 0);
        g->m.slot[-at / 8 - 1] = number(UINT64_MAX);
        pass_time(g, below(g, 2) ? t->reg : 11);
        d = free_reg(g);
        put(g, with_size(ISA_LDX_W, log), d, 10, at, 0);
        for (unsigned i = 0; i < 2; i++)
            t->v[i] &= log == 3 ? UINT64_MAX : ((uint64_t)1 << (8u << log)) - 1;
        t->reg = d;
        break;
    case 2:
        d = free_reg(g);
        put(g, ISA_MOV64_X, d, t->reg, 0, 0);
        t->reg = d;
        break;
    case 3: pass_time(g, t->reg); break;
    default: twin_alu(g, t); break;
    }
    g->m.r[t->reg] = number(UINT64_MAX);
}

static void diverge(struct maker *g)
{
    struct twins t = {.v = {below(g, 40), below(g, 40)}};
    unsigned c = a_number(g), d;
    int p;

    if (g->m.held)
        return;
    t.reg = free_reg(g);
    if (t.reg == c)
        return;
    put(g, ISA_MOV64_K, t.reg, 0, 0, (int32_t)t.v[0]);
    put(g, a_jump(g, false), c, 0, 1, (int32_t)gen_number(&g->state));
    put(g, ISA_MOV64_K, t.reg, 0, 0, (int32_t)t.v[1]);
    g->m.r[t.reg] = number(UINT64_MAX);
    for (unsigned n = 1 + below(g, 5); n; n--)
        twin_step(g, &t);
    if (t.v[0] > 40 || t.v[1] > 40) {
        put(g, ISA_AND64_K, t.reg, 0, 0, 15);
        t.v[0] &= 15, t.v[1] &= 15;
    }
    g->m.r[t.reg] = number(t.v[0] > t.v[1] ? t.v[0] : t.v[1]);
    if (below(g, 3) == 0) { /* a decision */
        unsigned k = free_reg(g);

        if (below(g, 2) || k == t.reg) {
            put(g, below(g, 2) ? ISA_JEQ64_K : ISA_JEQ32_K, t.reg, 0, 1, (int32_t)t.v[below(g, 2)]);
        } else {
            put(g, ISA_MOV64_K, k, 0, 0, (int32_t)t.v[below(g, 2)]);
            g->m.r[k] = number(40);
            put(g, below(g, 2) ? ISA_JEQ64_X : ISA_JGT64_X, below(g, 2) ? k : t.reg, t.reg, 1, 0);
        }
        put(g, ISA_MOV64_K, t.reg, 0, 0, 3);
    }
    p = find(g, 1 << STACK | 1 << VALUE);
    d = free_reg(g);
    if (p < 0 || d == t.reg || d == (unsigned)p || g->m.r[p].hi - g->m.r[p].lo < 48)
        return;
    put(g, ISA_MOV64_X, d, (unsigned)p, 0, 0);
    put(g, ISA_ADD64_X, d, t.reg, 0, 0);
    g->m.r[d] = (struct thing){0};
    if (g->m.r[p].kind == STACK)
        put(g, ISA_ST_B, d, 0, g->m.r[p].lo, 1);
    else
        put(g, below(g, 2) ? ISA_LDX_B : ISA_LDSX_B, d, d, g->m.r[p].lo, 0), g->m.r[d] = number(UINT64_MAX);
    if (g->m.r[p].kind == STACK)
        for (unsigned i = 0; i < SLOTS; i++)
            if (g->m.slot[i].kind > NUM)
                g->m.slot[i] = (struct thing){0};
}

/* Two numbers that are copies of one on one path and, rarely, strangers on the other: the bound of the one is no bound
 * of the other then. */
static void strangers(struct maker *g)
{
    unsigned c = a_number(g), s = free_reg(g), d = free_reg(g), p, at = below(g, 120);
    bool linked = below(g, 5) != 0;

    if (s == d || c == s || c == d || g->m.held)
        return;
    put_wide(g, ISA_LD_MAP_IDX_VALUE, s, GEN_ONE, 0);
    put(g, ISA_LDX_B, d, s, (int)below(g, 120), 0);
    put(g, ISA_LDX_B, s, s, (int)at, 0);
    if (linked)
        put(g, ISA_MOV64_X, d, s, 0, 0);
    put(g, a_jump(g, false), c, 0, 1, (int32_t)gen_number(&g->state));
    put(g, ISA_MOV64_X, d, s, 0, 0);
    if (linked && below(g, 2))
        put(g, ISA_ADD64_K, d, 0, 0, 5);
    g->m.r[s] = g->m.r[d] = number(UINT64_MAX);
    for (unsigned n = below(g, 3); n; n--) {
        unsigned r = a_number(g);

        if (r == s || r == d || g->locked >> r & 1)
            continue;
        put(g, a_jump(g, false), r, 0, 1, (int32_t)gen_number(&g->state));
        put(g, ISA_ADD64_K, r, 0, 0, below(g, 10));
        g->m.r[r].max = UINT64_MAX;
    }
    jump_out(g, ISA_JGT64_K, below(g, 2) ? s : d, 0, 31);
    p = free_reg(g);
    if (p == s || p == d)
        return;
    put_wide(g, ISA_LD_MAP_IDX_VALUE, p, GEN_ONE, 0);
    put(g, ISA_ADD64_X, p, below(g, 2) ? s : d, 0, 0);
    put(g, ISA_ST_B, p, 0, 0, 3);
    g->m.r[p] = (struct thing){0};
}

static void gadget(struct maker *g, unsigned depth)
{
    switch (below(g, 39)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4: arithmetic(g); break;
    case 5:
    case 6: copy_number(g); break;
    case 7:
    case 8: bound(g, a_number(g), below(g, below(g, 2) ? 16 : 200)); break;
    case 9:
    case 10:
    case 11: load(g); break;
    case 12:
    case 13: store(g); break;
    case 14:
    case 15: spill(g); break;
    case 16: fill(g); break;
    case 17: below(g, 3) ? atomic(g) : ordered(g); break;
    case 18: new_stack_pointer(g); break;
    case 19: value_address(g); break;
    case 20:
    case 21:
    case 22: move_pointer(g); break;
    case 23:
    case 24: check_packet(g); break;
    case 25:
    case 26: lookup(g); break;
    case 27: null_check(g); break;
    case 28: call_helper(g); break;
    case 29: call_local(g); break;
    case 30:
        if (depth < MAX_DEPTH)
            loop(g, depth);
        break;
    case 32:
    case 33:
    case 34: diverge(g); break;
    case 35: strangers(g); break;
    case 31: below(g, 3) ? ctx_field(g) : below(g, 2) ? load_absolute(g) : reserve(g); break;
    default:
        if (depth < MAX_DEPTH)
            branch(g, depth);
        break;
    }
}

static void block(struct maker *g, unsigned depth, unsigned n)
{
    while (n-- && g->out->n < GEN_MAX_INSNS - 400)
        gadget(g, depth);
}

/* The end of a function: r0 is a number there, whatever way led to it. */
static void finish(struct maker *g)
{
    uint32_t end;
    int r = find(g, 1 << NUM);

    if (r > 0)
        put(g, ISA_MOV64_X, 0, (unsigned)r, 0, 0);
    else if (r < 0)
        put(g, ISA_MOV64_K, 0, 0, 0, 7);
    if (g->func && g->funcs[g->func - 1].small && (r <= 0 || g->m.r[r].max > 15))
        put(g, ISA_AND64_K, 0, 0, 0, 15);
    if (g->n_outs) {
        put(g, ISA_JA, 0, 0, 1, 0);
        end = g->out->n;
        put(g, ISA_MOV64_K, 0, 0, 0, 2);
        for (uint32_t i = 0; i < g->n_outs; i++)
            g->out->insns[g->outs[i]].off = (int16_t)(end - g->outs[i] - 1);
    }
    put(g, ISA_EXIT, 0, 0, 0, 0);
    g->n_outs = 0;
}

static void begin(struct maker *g)
{
    memset(&g->m, 0, sizeof(g->m));
    g->m.r[10] = (struct thing){.kind = STACK, .lo = -USED_STACK};
    g->locked = 1u << 10;
    g->loops = 0;
    for (unsigned i = 0; i < SLOTS && g->clears; i++) {
        put(g, ISA_ST_DW, 10, 0, -8 * ((int)i + 1), below(g, 2) ? 0 : (int32_t)gen_number(&g->state));
        g->m.slot[i] = number(UINT64_MAX);
    }
}

void gen_make(uint64_t seed, struct gen_prog *out)
{
    static const uint16_t care[] = {0, 0, 10, 30, 80, 150};
    struct maker g = {.out = out, .state = seed * 0x9e3779b97f4a7c15 + 0x1234567};

    memset(out, 0, sizeof(*out));
    for (unsigned i = 0; i < 4; i++)
        gen_draw(&g.state);
    g.skb = below(&g, 4) == 0;
    out->type = prog_type_by_name(g.skb ? "sched_cls" : "xdp");
    g.careless = care[below(&g, sizeof(care) / sizeof(care[0]))];
    g.clears = below(&g, 2);
    out->raw_stack = !g.clears;
    begin(&g);
    g.m.r[1] = (struct thing){.kind = CTX};
    put(&g, ISA_MOV64_X, 6, 1, 0, 0);
    g.m.r[6] = g.m.r[1];
    if (below(&g, 2))
        load_packet_pointers(&g);
    block(&g, 0, 4 + below(&g, 24));
    finish(&g);
    for (unsigned f = 0; f < g.n_funcs; f++) {
        for (uint32_t i = 0; i < g.funcs[f].n_calls; i++)
            out->insns[g.funcs[f].calls[i]].imm = (int32_t)(out->n - g.funcs[f].calls[i] - 1);
        begin(&g);
        g.func = f + 1;
        memcpy(&g.m.r[1], &g.funcs[f].args[1], 5 * sizeof(g.m.r[0]));
        block(&g, 1, 1 + below(&g, 8));
        finish(&g);
    }
}
