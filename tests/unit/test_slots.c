/* Stack slots in registers: random programs that store and load bytes of the stack in all sizes, in loops and on both
 * ways of branches, mostly so that what was stored last is what is read; the JIT against the interpreter. */
#include "jit/jit.h"
#include "tests/unit/run.h"

enum { ROUNDS = 400, MAX_LEN = 96, BUDGET = 100000 };

struct maker {
    uint64_t seed;
    struct skep_insn insns[MAX_LEN];
    uint32_t n;
    unsigned mode;
};

static uint32_t below(struct maker *m, uint32_t n)
{
    m->seed = m->seed * 6364136223846793005 + 1442695040888963407;
    return (uint32_t)(m->seed >> 33) % n;
}

static void put(struct maker *m, unsigned op, unsigned dst, unsigned src, int off, int32_t imm)
{
    m->insns[m->n++] = isa_encode(op, (uint8_t)dst, (uint8_t)src, (int16_t)off, imm);
}

/* Where bytes are accessed: anywhere in a few, or at the beginning of a few slots. */
static int place(struct maker *m, int size)
{
    int span = 8 << below(m, 3), at;

    if (m->mode)
        return -8 * (1 + (int)below(m, 4));
    at = (int)below(m, (uint32_t)span);
    return -span + (at + size > span ? span - size : at);
}

static void access(struct maker *m)
{
    static const uint16_t loads[] = {ISA_LDX_B, ISA_LDX_H, ISA_LDX_W, ISA_LDX_DW, ISA_LDSX_B, ISA_LDSX_H, ISA_LDSX_W};
    static const uint16_t sizes[] = {1, 2, 4, 8, 1, 2, 4};
    static const uint16_t stores[] = {ISA_STX_B, ISA_STX_H, ISA_STX_W, ISA_STX_DW, ISA_ST_B, ISA_ST_H, ISA_ST_W};
    unsigned k = m->mode == 1 && below(m, 4) ? 2 + below(m, 2) : below(m, 7), r = below(m, 8);

    if (below(m, 2))
        put(m, loads[k], r, 10, place(m, sizes[k]), 0);
    else
        put(m, stores[k], 10, k < 4 ? r : 0, place(m, sizes[k]), k < 4 ? 0 : (int32_t)below(m, 1 << 20));
}

/* A byte at an index of up to seven, through r9, which is the frame's address less a little. */
static void indexed(struct maker *m)
{
    unsigned r = below(m, 8);

    put(m, ISA_AND64_K, r, 0, 0, 7);
    put(m, ISA_ADD64_X, r, 9, 0, 0);
    put(m, below(m, 2) ? ISA_STX_B : ISA_LDX_B, r, r, -24, 0);
    put(m, ISA_MOV64_K, r, 0, 0, 5); /* addresses differ from run to run */
}

static void make(struct maker *m)
{
    uint32_t head, end;

    m->n = 0;
    m->mode = below(m, 3);
    for (unsigned r = 0; r < 8; r++)
        put(m, ISA_MOV64_K, r, 0, 0, (int32_t)(below(m, UINT32_MAX)));
    put(m, ISA_MOV64_X, 9, 10, 0, 0);
    if (below(m, 2))
        put(m, ISA_ADD64_K, 9, 0, 0, -(int32_t)below(m, 17));
    put(m, ISA_MOV64_K, 8, 0, 0, 1 + (int32_t)below(m, 3));
    head = m->n;
    end = head + 8 + below(m, 40);
    while (m->n < end) {
        unsigned k = below(m, 12);
        if (k < 8)
            access(m);
        else if (k < 10)
            put(m, k == 8 ? ISA_XOR64_X : ISA_ADD64_X, below(m, 8), below(m, 8), 0, 0);
        else if (k == 11 && m->mode == 2 && m->n + 4 <= end)
            indexed(m);
        else
            put(m, ISA_JGT64_X, below(m, 8), below(m, 8), 0, 0);
    }
    for (uint32_t i = head; i < end; i++) /* over anything but into the middle of the above, which is no harm either */
        if (m->insns[i].code == 0x2d)
            m->insns[i].off = (int16_t)below(m, end - i);
    put(m, ISA_ADD64_K, 8, 0, 0, -1);
    put(m, ISA_JNE64_K, 8, 0, (int)head - (int)m->n - 1, 0);
    for (unsigned r = 1; r < 8; r++) {
        put(m, ISA_MUL64_K, 0, 0, 0, 31);
        put(m, ISA_XOR64_X, 0, r, 0, 0);
    }
    put(m, ISA_EXIT, 0, 0, 0, 0);
}

/* @return false: the program traps, and has no result to compare. */
static bool run(struct prog *prog, const struct engine *engine, const struct code_opts *opts, struct skep_env *env,
                uint64_t *result)
{
    struct code *code;
    int err;

    if (code_lower(prog, NULL, NULL, opts, engine, &said_all, &code))
        fail_msg("%s", said);
    env->insn_budget = BUDGET;
    err = env_run(env, code, 0, 0, result);
    code_put(code);
    return !err;
}

static void same_result(void **state)
{
    static const uint32_t no_ir[] = {0, IR_OPT_WEBS, IR_OPT_ALL & ~IR_OPT_PROMOTE, IR_OPT_ALL};
    struct skep_env *env = env_new();
    struct maker m = {0};
    struct jit *jit;
    unsigned ran = 0;

    (void)state;
    assert_non_null(env);
    if (jit_new(&jit, NULL, &said_all)) {
        env_free(env);
        skip(); /* no machine code for this machine */
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct prog_spec spec = {.name = "test", .insns = m.insns};
        struct prog *prog;
        uint64_t want, got;
        m.seed = round;
        make(&m);
        spec.n_insns = m.n;
        assert_int_equal(prog_new(&spec, false, &said_all, &prog), 0);
        if (run(prog, &interp_engine, &(struct code_opts){.checked = true}, env, &want)) {
            ran++;
            for (unsigned k = 0; k < sizeof(no_ir) / sizeof(*no_ir); k++) {
                struct code_opts opts = {.opts = CODE_OPT_ALL, .count_insns = true, .no_ir = no_ir[k], .jit = jit};
                if (!run(prog, &jit_engine, &opts, env, &got) || got != want)
                    fail_msg("round %u, without %#x: %#llx, expected %#llx", round, no_ir[k], (unsigned long long)got,
                             (unsigned long long)want);
            }
        }
        prog_put(prog);
    }
    assert_true(ran > ROUNDS / 2);
    jit_put(jit);
    env_free(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_result)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
