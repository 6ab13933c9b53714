/*
 * What only some programs do: values of one's own CPU, maps in maps, spin locks, programs that end in another, metadata
 * before a packet. Each goes its whole way at once, from the lookup to the last access, and leaves what it got in a
 * register where that may be used on.
 */
#include "fuzz/gen_internal.h"

/* A key below n (or one more, now and then) on the stack, and a lookup: r0 is what was found. */
static bool look_up(struct maker *g, unsigned map, unsigned n)
{
    int key = -8 * (1 + (int)below(g, SLOTS));

    if (!may_call(g) || g->m.held)
        return false;
    put(g, ISA_ST_W, 10, 0, key, below(g, n + (below(g, 8) == 0)));
    g->m.slot[-key / 8 - 1] = number(UINT64_MAX);
    put(g, ISA_MOV64_X, 2, 10, 0, 0);
    put(g, ISA_ADD64_K, 2, 0, 0, key);
    put_wide(g, ISA_LD_MAP_IDX, 1, map, 0);
    put(g, ISA_CALL_HELPER, 0, 0, 0, 1);
    gen_clobber(g);
    return true;
}

/* A register that calls leave alone takes r0; 0: there is none. */
static unsigned keep(struct maker *g)
{
    unsigned d = 6 + below(g, 4);

    if (g->locked >> d & 1)
        return 0;
    put(g, ISA_MOV64_X, d, 0, 0, 0);
    g->m.r[d] = (struct thing){0};
    return d;
}

static void own_cpu(struct maker *g)
{
    unsigned d;

    if (!look_up(g, GEN_PERCPU, 2))
        return;
    g->m.r[0] = (struct thing){.kind = VALUE_OR_NULL, .map = GEN_PERCPU, .hi = GEN_PERCPU_VALUE};
    d = keep(g);
    if (d)
        g->m.r[d] = g->m.r[0];
}

static void map_in_map(struct maker *g)
{
    unsigned d;
    int key = -8 * (1 + (int)below(g, SLOTS));

    if (!look_up(g, GEN_OUTER, 2))
        return;
    d = keep(g);
    if (!d)
        return;
    if (!careless(g))
        gen_jump_out(g, ISA_JEQ64_K, d, 0, 0);
    for (unsigned times = 1 + below(g, 2); times; times--) {
        put(g, ISA_ST_W, 10, 0, key, below(g, 5));
        g->m.slot[-key / 8 - 1] = number(UINT64_MAX);
        put(g, ISA_MOV64_X, 1, d, 0, 0);
        put(g, ISA_MOV64_X, 2, 10, 0, 0);
        put(g, ISA_ADD64_K, 2, 0, 0, key);
        put(g, ISA_CALL_HELPER, 0, 0, 0, 1);
        gen_clobber(g);
        g->m.r[0] = (struct thing){.kind = VALUE_OR_NULL, .map = GEN_OUTER, .hi = GEN_INNER_VALUE};
        if (below(g, 2))
            gen_null_check(g);
    }
}

static void locked(struct maker *g)
{
    unsigned d, was = g->locked;

    if (!look_up(g, GEN_LOCK, 2))
        return;
    d = keep(g);
    if (!d)
        return;
    if (!careless(g))
        gen_jump_out(g, ISA_JEQ64_K, d, 0, 0);
    put(g, ISA_MOV64_X, 1, d, 0, 0);
    put(g, ISA_CALL_HELPER, 0, 0, 0, 93);
    gen_clobber(g);
    g->m.r[d] = (struct thing){.kind = VALUE, .map = GEN_LOCK, .lo = 4, .hi = GEN_LOCK_VALUE};
    g->locked |= 1u << d;
    g->m.held = true; /* as with a record: nothing leaves or calls */
    for (unsigned n = below(g, 4); n; n--)
        switch (below(g, 4)) {
        case 0: gen_arithmetic(g); break;
        case 1: gen_load(g); break;
        default: gen_store(g); break;
        }
    g->m.held = false;
    g->locked = was;
    if (careless(g))
        return;
    put(g, ISA_MOV64_X, 1, d, 0, 0);
    put(g, ISA_CALL_HELPER, 0, 0, 0, 94);
    gen_clobber(g);
}

static void tail_call(struct maker *g)
{
    int c = gen_find(g, 1 << CTX);

    if (c < 0 || !may_call(g) || g->m.held)
        return;
    put(g, ISA_MOV64_X, 1, (unsigned)c, 0, 0);
    put_wide(g, ISA_LD_MAP_IDX, 2, g->skb ? GEN_TAILS_SKB : GEN_TAILS, 0);
    put(g, ISA_MOV64_K, 3, 0, 0, below(g, 4));
    put(g, ISA_CALL_HELPER, 0, 0, 0, 12);
    gen_clobber(g);
    put(g, ISA_MOV64_K, 0, 0, 0, below(g, 16)); /* what a tail call that failed returns is nobody's promise */
    g->m.r[0] = number(15);
}

/* Metadata is written before it is read: what was there is not the same everywhere. */
static void metadata(struct maker *g)
{
    enum { ADJUST_META = 54, DATA = 0, DATA_META = 8 };
    int c = gen_find(g, 1 << CTX), room = 4 * (1 + (int)below(g, 4)), proved = room;
    unsigned m = gen_free_reg(g), e = gen_free_reg(g), t = gen_free_reg(g), log = below(g, 3), size = 1u << log;
    int at = (int)below(g, (uint32_t)room - size + 1);

    if (g->skb || c < 6 || !may_call(g) || g->m.held || m == e || t == e || m == t || m == (unsigned)c ||
        e == (unsigned)c || t == (unsigned)c)
        return;
    if (below(g, 4)) {
        put(g, ISA_MOV64_X, 1, (unsigned)c, 0, 0);
        put(g, ISA_MOV64_K, 2, 0, 0, -room);
        put(g, ISA_CALL_HELPER, 0, 0, 0, ADJUST_META);
        gen_clobber(g);
        gen_forget_packet(g);
    }
    put(g, ISA_LDX_W, m, (unsigned)c, DATA_META, 0);
    put(g, ISA_LDX_W, e, (unsigned)c, DATA, 0);
    put(g, ISA_MOV64_X, t, m, 0, 0);
    put(g, ISA_ADD64_K, t, 0, 0, careless(g) ? proved - 1 : proved);
    g->m.r[m] = g->m.r[e] = g->m.r[t] = (struct thing){0};
    if (below(g, 2))
        gen_jump_out(g, ISA_JGT64_X, t, e, 0);
    else
        gen_jump_out(g, ISA_JLT64_X, e, t, 0);
    if (careless(g))
        at++;
    put(g, with_size(ISA_ST_W, log), m, 0, at, (int32_t)gen_number(&g->state));
    put(g, with_size(ISA_LDX_W, log), t, m, at, 0);
    g->m.r[t] = number(UINT32_MAX);
    if (below(g, 4) == 0) {
        g->m.r[m] = (struct thing){.kind = PACKET, .hi = proved};
        g->out->unsteady = true;
    }
}

void gen_more(struct maker *g)
{
    switch (below(g, 6)) {
    case 0: own_cpu(g); break;
    case 1: map_in_map(g); break;
    case 2: metadata(g); break;
    case 3: tail_call(g); break;
    default:
        if (!g->out->unprivileged)
            locked(g);
        break;
    }
}

void gen_tail(struct skep_insn insns[GEN_TAIL_INSNS])
{
    insns[0] = isa_encode(ISA_ST_DW, 10, 0, -8, 1);
    insns[1] = isa_encode(ISA_MOV64_K, 0, 0, 0, GEN_TAIL_RESULT);
    insns[2] = isa_encode(ISA_EXIT, 0, 0, 0, 0);
}
