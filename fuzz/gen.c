/*
 * A program is made in one pass, entry function first. Blocks are nested: an `if` has a body that begins with a copy of
 * the model and ends by meeting it, a loop forgets what its body might change before it begins. Jumps out of a
 * function's middle go to its end, which settles them; calls are settled when the function that they name is begun.
 */
#include "fuzz/gen_internal.h"
#include "vm/abi/prog_types.h"

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
    [GEN_PERCPU] = {.name = "percpu",
                    .type = MAP_TYPE_PERCPU_ARRAY,
                    .key_size = 4,
                    .value_size = GEN_PERCPU_VALUE,
                    .max_entries = 2,
                    .spin_lock_off = -1},
    [GEN_LOCK] =
        {.name = "lock", .type = MAP_TYPE_ARRAY, .key_size = 4, .value_size = GEN_LOCK_VALUE, .max_entries = 2},
    [GEN_OUTER] = {.name = "outer",
                   .type = MAP_TYPE_ARRAY_OF_MAPS,
                   .key_size = 4,
                   .value_size = 4,
                   .max_entries = 2,
                   .inner = &gen_inner,
                   .spin_lock_off = -1},
    [GEN_TAILS] = {.name = "tails",
                   .type = MAP_TYPE_PROG_ARRAY,
                   .key_size = 4,
                   .value_size = 4,
                   .max_entries = 3,
                   .spin_lock_off = -1},
    [GEN_TAILS_SKB] = {.name = "tails_skb",
                       .type = MAP_TYPE_PROG_ARRAY,
                       .key_size = 4,
                       .value_size = 4,
                       .max_entries = 3,
                       .spin_lock_off = -1},
};

const struct map_def gen_inner = {.name = "inner",
                                  .type = MAP_TYPE_ARRAY,
                                  .key_size = 4,
                                  .value_size = GEN_INNER_VALUE,
                                  .max_entries = 4,
                                  .spin_lock_off = -1};

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
    unsigned a = gen_a_number(g), b = x ? gen_a_number(g) : 0;
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

    if (g->loops == 2 || g->m.held || g->out->unprivileged || g->locked >> c & 1)
        return;
    g->loops++;
    if (down && below(g, 2)) { /* so many times as some number says */
        unsigned s = gen_a_number(g);

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
    int32_t imm = gen_immediate(g, op);

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
        unsigned r = gen_a_number(g);

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
        d = gen_free_reg(g);
        put(g, with_size(ISA_LDX_W, log), d, 10, at, 0);
        for (unsigned i = 0; i < 2; i++)
            t->v[i] &= log == 3 ? UINT64_MAX : ((uint64_t)1 << (8u << log)) - 1;
        t->reg = d;
        break;
    case 2:
        d = gen_free_reg(g);
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
    unsigned c = gen_a_number(g), d;
    int p;

    if (g->m.held)
        return;
    t.reg = gen_free_reg(g);
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
        unsigned k = gen_free_reg(g);

        if (below(g, 2) || k == t.reg) {
            put(g, below(g, 2) ? ISA_JEQ64_K : ISA_JEQ32_K, t.reg, 0, 1, (int32_t)t.v[below(g, 2)]);
        } else {
            put(g, ISA_MOV64_K, k, 0, 0, (int32_t)t.v[below(g, 2)]);
            g->m.r[k] = number(40);
            put(g, below(g, 2) ? ISA_JEQ64_X : ISA_JGT64_X, below(g, 2) ? k : t.reg, t.reg, 1, 0);
        }
        put(g, ISA_MOV64_K, t.reg, 0, 0, 3);
    }
    p = gen_find(g, 1 << STACK | 1 << VALUE);
    d = gen_free_reg(g);
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
    unsigned c = gen_a_number(g), s = gen_free_reg(g), d = gen_free_reg(g), p, at = below(g, 120);
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
        unsigned r = gen_a_number(g);

        if (r == s || r == d || g->locked >> r & 1)
            continue;
        put(g, a_jump(g, false), r, 0, 1, (int32_t)gen_number(&g->state));
        put(g, ISA_ADD64_K, r, 0, 0, below(g, 10));
        g->m.r[r].max = UINT64_MAX;
    }
    gen_jump_out(g, ISA_JGT64_K, below(g, 2) ? s : d, 0, 31);
    p = gen_free_reg(g);
    if (p == s || p == d)
        return;
    put_wide(g, ISA_LD_MAP_IDX_VALUE, p, GEN_ONE, 0);
    put(g, ISA_ADD64_X, p, below(g, 2) ? s : d, 0, 0);
    put(g, ISA_ST_B, p, 0, 0, 3);
    g->m.r[p] = (struct thing){0};
}

static void gadget(struct maker *g, unsigned depth)
{
    if (g->more && below(g, 8) == 0) {
        gen_more(g);
        return;
    }
    switch (below(g, 39)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4: gen_arithmetic(g); break;
    case 5:
    case 6: gen_copy_number(g); break;
    case 7:
    case 8: gen_bound(g, gen_a_number(g), below(g, below(g, 2) ? 16 : 200)); break;
    case 9:
    case 10:
    case 11: gen_load(g); break;
    case 12:
    case 13: gen_store(g); break;
    case 14:
    case 15: gen_spill(g); break;
    case 16: gen_fill(g); break;
    case 17: below(g, 3) ? gen_atomic(g) : gen_ordered(g); break;
    case 18: gen_new_stack_pointer(g); break;
    case 19: gen_value_address(g); break;
    case 20:
    case 21:
    case 22: gen_move_pointer(g); break;
    case 23:
    case 24: gen_check_packet(g); break;
    case 25:
    case 26: gen_lookup(g); break;
    case 27: gen_null_check(g); break;
    case 28: gen_call_helper(g); break;
    case 29: below(g, 3) ? gen_call_local(g) : gen_call_back(g); break;
    case 30:
        if (depth < MAX_DEPTH)
            loop(g, depth);
        break;
    case 32:
    case 33:
    case 34: diverge(g); break;
    case 35: strangers(g); break;
    case 31: below(g, 3) ? gen_ctx_field(g) : below(g, 2) ? gen_load_absolute(g) : gen_reserve(g); break;
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
    bool callback = g->func && g->funcs[g->func - 1].callback;
    int r = gen_find(g, 1 << NUM);

    if (r > 0)
        put(g, ISA_MOV64_X, 0, (unsigned)r, 0, 0);
    else if (r < 0)
        put(g, ISA_MOV64_K, 0, 0, 0, 7);
    if (g->func && g->funcs[g->func - 1].small && (r <= 0 || g->m.r[r].max > 15))
        put(g, ISA_AND64_K, 0, 0, 0, 15);
    if (callback && (r <= 0 || g->m.r[r].max > 1) && !careless(g))
        put(g, ISA_AND64_K, 0, 0, 0, 1);
    if (g->n_outs) {
        put(g, ISA_JA, 0, 0, 1, 0);
        end = g->out->n;
        put(g, ISA_MOV64_K, 0, 0, 0, callback ? 1 : 2);
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

/* Half of the programs are privileged and do what all do. */
static void choose_world(struct maker *g, unsigned which)
{
    g->more = which < 3;
    g->out->unprivileged = which >= 2 && which < 4;
    if (which == 4) {
        g->out->type = NULL;
        g->skb = false;
        g->out->raw_writable = below(g, 2);
        g->out->unprivileged = below(g, 2);
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
    choose_world(&g, below(&g, 8));
    g.careless = care[below(&g, sizeof(care) / sizeof(care[0]))];
    g.clears = below(&g, 2) || out->unprivileged;
    out->raw_stack = !g.clears;
    out->patient = seed % 8 == 0;
    begin(&g);
    g.m.r[1] = out->type ? (struct thing){.kind = CTX} : (struct thing){.kind = VALUE, .map = GEN_MAPS, .hi = GEN_RAW};
    if (!out->type)
        g.m.r[2] = number(UINT32_MAX);
    put(&g, ISA_MOV64_X, 6, 1, 0, 0);
    g.m.r[6] = g.m.r[1];
    if (below(&g, 2))
        gen_load_packet_pointers(&g);
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

uint32_t gen_maps_named(const struct gen_prog *p)
{
    uint32_t set = 0;

    for (uint32_t i = 0; i < p->n; i++) {
        enum isa_op op = isa_decode(&p->insns[i]);

        if (op == ISA_LD_MAP_IDX || op == ISA_LD_MAP_IDX_VALUE)
            set |= 1u << p->insns[i].imm;
        i += isa_is_wide(op);
    }
    return set;
}
