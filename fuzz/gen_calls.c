/*
 * Calls of helpers and of local functions, and what becomes of what they return. A call overwrites r0 to r5, so that
 * none is made while a loop needs one of them. A function's arguments are what its first call passed; later calls pass
 * what fits.
 */
#include "fuzz/gen_internal.h"

/* Registers 1 to 5 are about to be arguments: nothing that must stay may be there. */
void gen_lookup(struct maker *g)
{
    unsigned map = below(g, 2) ? GEN_ARRAY : GEN_HASH, d;
    int key = -8 * (1 + (int)below(g, SLOTS));
    struct thing value = {.kind = VALUE_OR_NULL, .map = (uint8_t)map, .hi = (int)gen_maps[map].value_size};

    if (!may_call(g))
        return;
    if (below(g, 3)) {
        put(g, ISA_ST_W, 10, 0, key, below(g, 6));
    } else {
        unsigned n = gen_a_number(g);

        if (below(g, 2))
            gen_bound(g, n, 5);
        put(g, ISA_STX_W, 10, n, key, 0);
    }
    g->m.slot[-key / 8 - 1] = number(UINT64_MAX);
    put(g, ISA_MOV64_X, 2, 10, 0, 0);
    put(g, ISA_ADD64_K, 2, 0, 0, key);
    put_wide(g, ISA_LD_MAP_IDX, 1, map, 0);
    put(g, ISA_CALL_HELPER, 0, 0, 0, 1);
    gen_clobber(g);
    g->m.r[0] = value;
    d = 6 + below(g, 4);
    if (below(g, 2) && !(g->locked >> d & 1)) {
        put(g, ISA_MOV64_X, d, 0, 0, 0);
        g->m.r[d] = value;
    }
    if (below(g, 4) && !careless(g)) {
        gen_jump_out(g, below(g, 4) ? ISA_JEQ64_K : ISA_JEQ64_K, 0, 0, 0);
        for (unsigned r = 0; r < 10; r++)
            if (g->m.r[r].kind == VALUE_OR_NULL && (r == 0 || r == d))
                g->m.r[r].kind = VALUE;
    }
}

void gen_null_check(struct maker *g)
{
    int p = gen_find(g, 1 << VALUE_OR_NULL);

    if (p < 0)
        return;
    if (!careless(g)) {
        if (below(g, 3)) {
            gen_jump_out(g, ISA_JEQ64_K, (unsigned)p, 0, 0);
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
void gen_call_helper(struct maker *g)
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
        p = gen_find(g, 1 << STACK | 1 << VALUE);
        n = gen_a_number(g);
        if (p < 0 || g->m.r[p].hi < 1 || g->locked >> n & 1)
            return;
        if (g->m.r[n].max > (uint64_t)g->m.r[p].hi)
            gen_bound(g, n, below(g, (uint32_t)g->m.r[p].hi + 1));
        if (g->m.r[p].kind == STACK)
            gen_forget_slots(g, &g->m.r[p], 0, g->m.r[p].hi);
        put(g, ISA_STX_DW, 10, n, off, 0);
        put(g, ISA_MOV64_X, 1, (unsigned)p, 0, 0);
        put(g, ISA_LDX_DW, 2, 10, off, 0);
        g->m.slot[-off / 8 - 1] = number(UINT64_MAX);
        put(g, ISA_MOV64_K, 3, 0, 0, 0);
        put(g, ISA_CALL_HELPER, 0, 0, 0, 113);
        break;
    case 4: /* csum_diff(memory, size, 0, 0, seed) */
        p = gen_find(g, MEMORY);
        n = gen_a_number(g);
        if (p < 0 || g->m.r[p].hi < 4 || g->locked >> n & 1)
            return;
        if (g->m.r[n].max > (uint64_t)g->m.r[p].hi)
            gen_bound(g, n, below(g, (uint32_t)g->m.r[p].hi + 1));
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
        p = gen_find(g, 1 << CTX);
        if (p < 0)
            return;
        put(g, ISA_MOV64_X, 1, (unsigned)p, 0, 0);
        put(g, ISA_MOV64_K, 2, 0, 0, below(g, 16));
        put(g, ISA_CALL_HELPER, 0, 0, 0, g->skb ? 39 : 44);
        gen_forget_packet(g);
        break;
    }
    gen_clobber(g);
    g->m.r[0] = number(UINT64_MAX);
}

void gen_reserve(struct maker *g)
{
    unsigned d = 6 + below(g, 4);

    if (!may_call(g) || g->m.held || g->locked || d == 10)
        return;
    put_wide(g, ISA_LD_MAP_IDX, 1, GEN_RING, 0);
    put(g, ISA_MOV64_K, 2, 0, 0, RECORD_SIZE);
    put(g, ISA_MOV64_K, 3, 0, 0, 0);
    put(g, ISA_CALL_HELPER, 0, 0, 0, 131);
    gen_clobber(g);
    gen_jump_out(g, ISA_JEQ64_K, 0, 0, 0);
    put(g, ISA_MOV64_X, d, 0, 0, 0);
    g->m.r[d] = (struct thing){.kind = RECORD, .hi = RECORD_SIZE};
    g->m.held = true;
    g->out->unsteady = true; /* the ring fills up in Linux, and its records have no contents to begin with */
    for (unsigned i = below(g, 4); i; i--)
        below(g, 2) ? gen_store(g) : gen_load(g);
    if (g->m.r[d].kind != RECORD || careless(g))
        return;
    put(g, ISA_MOV64_X, 1, d, 0, 0);
    put(g, ISA_MOV64_K, 2, 0, 0, 0);
    put(g, ISA_CALL_HELPER, 0, 0, 0, 132 + below(g, 2));
    g->m.held = false;
    gen_clobber(g);
    for (unsigned r = 0; r < 10; r++)
        if (g->m.r[r].kind == RECORD)
            g->m.r[r] = (struct thing){0};
    for (unsigned i = 0; i < SLOTS; i++)
        if (g->m.slot[i].kind == RECORD)
            g->m.slot[i] = (struct thing){0};
}

/* A function behind the current one that is called so, or was not called yet; NULL: none. */
static struct func *a_function(struct maker *g, bool callback)
{
    unsigned which = g->func + below(g, MAX_FUNCS);
    struct func *f;

    if (!may_call(g) || which >= MAX_FUNCS || g->m.held || (g->out->unprivileged && g->out->type))
        return NULL;
    if (which >= g->n_funcs)
        which = g->n_funcs < MAX_FUNCS && g->n_funcs >= g->func ? g->n_funcs++ : g->n_funcs - 1;
    f = &g->funcs[which];
    if (which < g->func || f->n_calls == sizeof(f->calls) / sizeof(f->calls[0]))
        return NULL;
    if (f->n_calls && f->callback != callback)
        return NULL;
    f->callback = callback;
    return f;
}

/* A loop of a few rounds, whose callback gets some of the stack, or nothing. */
void gen_call_back(struct maker *g)
{
    struct func *f = a_function(g, true);
    bool stack = below(g, 4) != 0;
    unsigned n = gen_a_number(g);

    if (!f)
        return;
    if (f->n_calls)
        stack = f->args[2].kind == STACK;
    if (below(g, 2) || g->locked >> n & 1) {
        put(g, ISA_MOV64_K, 1, 0, 0, below(g, 12));
    } else {
        if (g->m.r[n].max > 20 && !careless(g))
            gen_bound(g, n, 20);
        put(g, ISA_MOV64_X, 1, n, 0, 0);
        g->out->unsteady |= g->m.r[n].max > 20; /* more than a run is given time for, perhaps */
    }
    put(g, stack ? ISA_MOV64_X : ISA_MOV64_K, 3, stack ? 10 : 0, 0, 0);
    if (stack)
        put(g, ISA_ADD64_K, 3, 0, 0, -32);
    f->args[1] = number(UINT64_MAX);
    f->args[2] = stack ? (struct thing){.kind = STACK, .foreign = true, .hi = 32} : number(0);
    for (unsigned i = 0; i < 4 && stack; i++)
        g->m.slot[i] = g->m.slot[i].kind == NUM ? number(UINT64_MAX) : (struct thing){0};
    f->calls[f->n_calls++] = g->out->n;
    put_wide(g, ISA_LD_FUNC, 2, 0, 0);
    put(g, ISA_MOV64_K, 4, 0, 0, careless(g));
    put(g, ISA_CALL_HELPER, 0, 0, 0, 181);
    gen_clobber(g);
    g->m.r[0] = number(UINT64_MAX);
}

/* Sets r1 to r5 for a function; what it gets is noted, or must fit what was noted before. */
void gen_call_local(struct maker *g)
{
    struct func *f = a_function(g, false);
    bool known;

    if (!f)
        return;
    known = f->n_calls > 0;
    if (!known)
        f->small = below(g, 2);
    for (unsigned r = 1; r <= 5; r++) {
        struct thing t = known ? f->args[r] : (struct thing){0};

        if (!known) {
            int p = gen_find(g, below(g, 2) ? (1u << VALUE | 1u << PACKET) : (1u << NUM));
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
            int s = gen_find(g, 1 << NUM);

            if (s > 5 && below(g, 2) && g->m.r[s].max <= t.max)
                put(g, ISA_MOV64_X, r, (unsigned)s, 0, 0);
            else
                put(g, ISA_MOV64_K, r, 0, 0, t.max == 15 ? (int32_t)below(g, 16) : (int32_t)gen_number(&g->state));
        } else {
            int s = gen_find(g, 1u << t.kind);

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
    gen_clobber(g);
    g->m.r[0] = number(f->small ? 15 : UINT64_MAX);
}

void gen_load_absolute(struct maker *g)
{
    if (!g->skb || !may_call(g) || g->m.r[6].kind != CTX || g->m.held)
        return;
    if (below(g, 3)) {
        put(g, (enum isa_op)(ISA_LD_ABS_W + below(g, 3)), 0, 0, 0, below(g, 100));
    } else {
        unsigned n = gen_a_number(g);

        put(g, (enum isa_op)(ISA_LD_IND_W + below(g, 3)), 0, n, 0, below(g, 20));
    }
    gen_clobber(g);
    g->m.r[0] = number(UINT64_MAX);
}
