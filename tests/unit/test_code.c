/* Lowering: what instructions name becomes addresses, what cannot be resolved traps, references hold. */
#include "tests/unit/run.h"

#include "vm/abi/prog_types.h"

static void resolves_maps(void **state)
{
    struct map *maps[2] = {new_map(MAP_TYPE_HASH, 4, 8, 4, 0), new_map(MAP_TYPE_ARRAY, 4, 16, 1, 0)};
    struct code *code = lowered("  r1 = map[a]\n"
                                "  r2 = map[b][0]+8\n"
                                "  r3 = map[a][0]+0\n"
                                "  exit\n",
                                maps, 2, (struct code_opts){.checked = true});

    (void)state;
    assert_int_equal(code->ops[0].kind, OP_CONST_WIDE);
    assert_int_equal(code->ops[0].imm, (uintptr_t)maps[0]);
    assert_int_equal(code->ops[2].imm, (uintptr_t)maps[1]->ops->direct(maps[1]) + 8);
    assert_int_equal(code->ops[4].kind, OP_TRAP); /* a hash has no value that an instruction could name */
    assert_int_equal(code->n_ops, 8);
    assert_int_equal(code->ops[7].kind, OP_TRAP);
    map_put(maps[0]); /* the code keeps its own references */
    map_put(maps[1]);
    assert_int_equal(code->maps[0]->refs, 1);
    code_put(code);
}

/* A helper that the table knows by name alone; NULL: there is none left. */
static const struct helper *a_missing_helper(void)
{
    const struct helper *h = NULL;

    for (uint32_t id = 1; (h = helper_find(id)) && (h->body || h->effects & EFFECT_ENGINE); id++)
        continue;
    return h;
}

static void missing_helpers_trap(void **state)
{
    const struct helper *missing = a_missing_helper();
    char named[128];
    const char *const texts[] = {"  call 99999\n  exit\n", named}, *const words[] = {"99999",
                                                                                     missing ? missing->name : ""};

    (void)state;
    snprintf(named, sizeof(named), "  call %s\n  exit\n", words[1]);
    for (unsigned i = 0; i < (missing ? 2 : 1); i++) {
        struct code *code = lowered(texts[i], NULL, 0, (struct code_opts){.checked = false});
        const struct prog_poison *why = (const struct prog_poison *)(uintptr_t)code->ops[0].imm;
        assert_int_equal(code->ops[0].kind, OP_TRAP);
        assert_int_equal(why->kind, TRAP_helper_missing);
        assert_non_null(strstr(why->reason, words[i]));
        code_put(code);
    }
}

static void references(void **state)
{
    struct code *code = lowered("  r0 = 0\n  exit\n", NULL, 0, (struct code_opts){.checked = true});

    (void)state;
    assert_ptr_equal(code_get(code), code);
    code_put(code);
    struct epoch_slot *slot = epoch_enter(); /* keeps the memory for the look below */
    code_put(code);
    assert_null(code_get(code));
    epoch_exit(slot);
    epoch_drain();
}

static void stack_depths(void **state)
{
    static const struct {
        const char *text;
        uint32_t depth;
    } cases[] = {
        {"  r0 = 0\n  exit\n", 0},
        {"  *(u64 *)(r10 - 8) = r1\n  r0 = *(u8 *)(r10 - 21)\n  exit\n", 24},
        {"  r2 = r10\n  exit\n", 512},
        {"  *(u64 *)(r1 + 0) = r10\n  exit\n", 512},
        {"  if r1 > r10 goto +0\n  exit\n", 512},
        {"  *(u8 *)(r10 - 512) = 1\n  exit\n", 512},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct code *code = lowered(cases[i].text, NULL, 0, (struct code_opts){.checked = false});
        assert_int_equal(code->funcs[0].stack_depth, cases[i].depth);
        code_put(code);
    }
}

static void facts_name_packet_fields(void **state)
{
    struct asm_out out = assemble("  r2 = *(u32 *)(r1 + 0)\n"
                                  "  r3 = *(u32 *)(r1 + 4)\n"
                                  "  r4 = *(u32 *)(r2 + 0)\n"
                                  "  r5 = *(u32 *)(r1 + 12)\n"
                                  "  exit\n");
    const struct fact insns[] = {{.reached = 1, .mem = FACT_MEM_CTX, .ctx_off = 0},
                                 {.reached = 1, .mem = FACT_MEM_CTX, .ctx_off = 4},
                                 {.reached = 1, .mem = FACT_MEM_PACKET},
                                 {.reached = 1, .mem = FACT_MEM_CTX, .ctx_off = 12},
                                 {.reached = 1}};
    const struct facts facts = {.insns = insns, .n_insns = 5, .ctx_size = 16};
    struct prog_spec spec = {.name = "p", .insns = out.insns, .n_insns = out.n_insns, .type = prog_type_by_name("xdp")};
    struct code_opts opts = {.opts = CODE_OPT_FACTS};
    struct prog *prog;
    struct code *code;

    (void)state;
    assert_int_equal(prog_new(&spec, false, &said_all, &prog), 0);
    assert_int_equal(code_lower(prog, &facts, NULL, &opts, &interp_engine, &said_all, &code), 0);
    assert_int_equal(code->ops[0].kind, OP_CTX_DATA);
    assert_int_equal(code->ops[1].kind, OP_CTX_DATA_END);
    assert_int_equal(code->ops[2].kind, ISA_LDX_W);
    assert_int_equal(code->ops[3].kind, ISA_LDX_W);
    code_put(code);
    assert_int_equal(code_lower(prog, NULL, NULL, &opts, &interp_engine, &said_all, &code), 0);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(code->ops[i].kind, OP_LDX_W_CTX);
    code_put(code);
    opts.opts = 0; /* facts are there, but not to be used */
    assert_int_equal(code_lower(prog, &facts, NULL, &opts, &interp_engine, &said_all, &code), 0);
    assert_int_equal(code->ops[0].kind, OP_LDX_W_CTX);
    code_put(code);
    prog_put(prog);
    asm_free(&out);
}

/*
 * Fused code means what level 0 means: random programs of what fuses (addresses and their uses, shifts that rotate,
 * copies, loop ends), with jumps into the midst, end in the same way with the same memory. Registers that are folded
 * into r0 at the end are live until then, the others die somewhere.
 */
static uint64_t seed;

static uint32_t draw(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 11) % n);
}

static struct skep_insn fusible(uint32_t left)
{
    static const uint8_t loads[] = {0x61, 0x69, 0x71, 0x79}, stores[] = {0x63, 0x6b, 0x73, 0x7b};
    static const uint8_t alu_x[] = {0x0f, 0x0f, 0x0f, 0x0c, 0x4f, 0x4c, 0xaf, 0xac, 0x2f, 0x1f, 0x5c};
    static const uint8_t alu_k[] = {0x07, 0x07, 0x07, 0x04, 0x57, 0xa4, 0x27, 0xc7};
    static const uint8_t jumps[] = {0x15, 0x55, 0xa5, 0x2d, 0xad, 0x56, 0xa6, 0xae, 0xbd, 0x65};
    uint8_t a = (uint8_t)draw(4), b = (uint8_t)(draw(3) ? draw(4) : 6 + draw(2)), bits = draw(2) ? 64 : 32, n;

    switch (draw(12)) {
    case 0:
    case 1:
    case 2: return (struct skep_insn){.code = draw(4) ? 0xbf : 0xbc, .dst_reg = a, .src_reg = b};
    case 3:
    case 4: return (struct skep_insn){.code = alu_x[draw(sizeof(alu_x))], .dst_reg = a, .src_reg = b};
    case 5: return (struct skep_insn){.code = alu_k[draw(sizeof(alu_k))], .dst_reg = a, .imm = (int32_t)draw(64) - 16};
    case 6:
        n = (uint8_t)(draw(2) ? draw(4) : 13);
        return (struct skep_insn){.code = bits == 64 ? 0x67 : 0x64, .dst_reg = a, .imm = n};
    case 7:
        n = (uint8_t)(draw(2) ? bits - 13 : 32);
        return (struct skep_insn){.code = bits == 64 ? 0x77 : 0x74, .dst_reg = a, .imm = n & (bits - 1)};
    case 8: return (struct skep_insn){.code = loads[draw(4)], .dst_reg = a, .src_reg = b, .off = (int16_t)draw(64)};
    case 9: return (struct skep_insn){.code = stores[draw(4)], .dst_reg = b, .src_reg = a, .off = (int16_t)draw(64)};
    case 10: return (struct skep_insn){.code = 0x57, .dst_reg = a, .imm = 63};
    default:
        n = jumps[draw(sizeof(jumps))];
        return (struct skep_insn){.code = n,
                                  .dst_reg = a,
                                  .src_reg = n & 8 ? b : 0,
                                  .off = (int16_t)draw(left),
                                  .imm = n & 8 ? 0 : (int32_t)draw(32)};
    }
}

/* A run of instructions as compilers write them, which single draws seldom hit. */
static uint32_t idiom(struct skep_insn *to)
{
    uint8_t t = (uint8_t)draw(4), d = (uint8_t)draw(4), i = (uint8_t)draw(4), base = (uint8_t)(6 + draw(2));
    uint8_t k = (uint8_t)draw(4), w = draw(2) ? 0x60 : 0x70, flip = (uint8_t)draw(2), b64 = (uint8_t)(draw(2) * 3);
    uint32_t n = 0;

    if (draw(3)) {
        to[n++] = (struct skep_insn){.code = 0xbf, .dst_reg = t, .src_reg = i};
        to[n++] = (struct skep_insn){.code = 0x57, .dst_reg = t, .imm = 31};
        if (draw(2)) {
            to[n++] = (struct skep_insn){.code = 0xbf, .dst_reg = flip ? d : t, .src_reg = t};
            to[n++] = (struct skep_insn){.code = 0x67, .dst_reg = flip ? d : t, .imm = k};
            t = flip ? d : t;
        }
        d = (uint8_t)draw(4);
        to[n++] = (struct skep_insn){.code = 0xbf, .dst_reg = d, .src_reg = base};
        if (draw(2))
            to[n++] = (struct skep_insn){.code = 0x07, .dst_reg = d, .imm = 8};
        to[n++] = (struct skep_insn){.code = 0x0f, .dst_reg = d, .src_reg = t};
        to[n++] = draw(2) ? (struct skep_insn){.code = 0x71, .dst_reg = (uint8_t)draw(4), .src_reg = d, .off = 3}
                          : (struct skep_insn){.code = 0x6b, .dst_reg = d, .src_reg = (uint8_t)draw(4), .off = 2};
        return n;
    }
    to[n++] = (struct skep_insn){.code = (uint8_t)(0xbc + b64), .dst_reg = t, .src_reg = i};
    to[n++] = (struct skep_insn){.code = (uint8_t)(w + 4 + b64), .dst_reg = t, .imm = 11};
    if (flip) {
        to[n++] = (struct skep_insn){.code = (uint8_t)(0xbc + b64), .dst_reg = d, .src_reg = i};
        i = d;
    }
    to[n++] = (struct skep_insn){
        .code = (uint8_t)((w ^ 0x10) + 4 + b64), .dst_reg = i, .imm = (b64 ? 64 : 32) - (draw(4) ? 11 : 12)};
    to[n++] = draw(2) ? (struct skep_insn){.code = (uint8_t)(0x4c + b64), .dst_reg = t, .src_reg = i}
                      : (struct skep_insn){.code = (uint8_t)(0x4c + b64), .dst_reg = i, .src_reg = t};
    return n;
}

enum { BODY_LEN = 40, MEMORY = 512 };

static uint32_t random_fusible(struct skep_insn *insns)
{
    uint32_t n = 0, end;
    bool fold[4];

    for (uint8_t r = 0; r < 4; r++) /* r0 to r3 small, r6 and r7 in the midst of memory */
        insns[n++] = (struct skep_insn){.code = 0xb7, .dst_reg = r == 1 ? 4 : r, .imm = (int32_t)draw(32)};
    insns[n++] = (struct skep_insn){.code = 0xbf, .dst_reg = 6, .src_reg = 1};
    insns[n++] = (struct skep_insn){.code = 0x07, .dst_reg = 6, .imm = 64};
    insns[n++] = (struct skep_insn){.code = 0xbf, .dst_reg = 7, .src_reg = 6};
    insns[n++] = (struct skep_insn){.code = 0x07, .dst_reg = 7, .imm = 100};
    insns[n++] = (struct skep_insn){.code = 0xbf, .dst_reg = 1, .src_reg = 4};
    end = n + BODY_LEN;
    while (n < end - 10)
        if (draw(3))
            insns[n] = fusible(end - n - 1), n++;
        else
            n += idiom(&insns[n]);
    while (n < end)
        insns[n] = fusible(end - n), n++;
    for (unsigned r = 0; r < 4; r++)
        fold[r] = draw(2);
    for (uint8_t r = 1; r < 4; r++)
        if (fold[r]) {
            insns[n++] = (struct skep_insn){.code = 0x27, .dst_reg = 0, .imm = 31};
            insns[n++] = (struct skep_insn){.code = 0xaf, .dst_reg = 0, .src_reg = r};
        }
    insns[n++] = (struct skep_insn){.code = 0x95};
    return n;
}

struct outcome {
    int err;
    enum trap_kind kind;
    uint32_t insn;
    uint64_t result;
    unsigned char memory[MEMORY];
};

static uint32_t run_ways(struct prog *prog, const struct code_opts *opts, unsigned char *memory, struct outcome *out)
{
    struct skep_env *env = env_new();
    struct code *code;
    uint32_t ops;

    assert_non_null(env);
    assert_int_equal(code_lower(prog, NULL, NULL, opts, &interp_engine, &said_all, &code), 0);
    for (unsigned i = 0; i < MEMORY; i++)
        memory[i] = (unsigned char)(i * 167 >> 3);
    memset(out, 0, sizeof(*out));
    env->mems[0] = (struct env_mem){(uintptr_t)memory, memory, MEMORY, ENV_READ | ENV_WRITE, ENV_MEM_RAW, "mem"};
    env->n_mems = 1;
    out->err = env_run(env, code, (uintptr_t)memory, MEMORY, &out->result);
    out->kind = env->trap.kind;
    out->insn = out->err ? env->trap.insn : 0;
    memcpy(out->memory, memory, MEMORY);
    ops = code->n_ops;
    env_free(env);
    code_put(code);
    return ops;
}

static void fusing_changes_nothing(void **state)
{
    static const struct code_opts plain = {.checked = true};
    static const struct code_opts others[] = {{.checked = true, .opts = CODE_OPT_FUSE},
                                              {.checked = true, .opts = CODE_OPT_ALL}};
    static unsigned char memory[MEMORY];
    uint32_t fused = 0, fine = 0;

    (void)state;
    for (uint32_t number = 0; number < 20000; number++) {
        struct skep_insn insns[BODY_LEN + 32];
        struct prog_spec spec = {.name = "random", .insns = insns};
        struct outcome want, got;
        struct prog *prog;
        uint32_t ops;

        seed = number * 0x9e3779b97f4a7c15 + 1;
        spec.n_insns = random_fusible(insns);
        if (prog_new(&spec, false, &said_all, &prog))
            fail_msg("program %u: %s", number, said);
        ops = run_ways(prog, &plain, memory, &want);
        fine += !want.err;
        for (unsigned k = 0; k < 2; k++) {
            fused += run_ways(prog, &others[k], memory, &got) < ops;
            if (got.err != want.err || got.kind != want.kind || got.insn != want.insn || got.result != want.result)
                fail_msg("program %u way %u: %d %s at %u, 0x%llx; level 0: %d %s at %u, 0x%llx", number, k, got.err,
                         trap_name(got.kind), got.insn, (unsigned long long)got.result, want.err, trap_name(want.kind),
                         want.insn, (unsigned long long)want.result);
            if (memcmp(got.memory, want.memory, MEMORY))
                fail_msg("program %u way %u: memory differs", number, k);
        }
        prog_put(prog);
    }
    assert_in_range(fused, 30000, 40000);
    assert_in_range(fine, 2000, 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resolves_maps),
        cmocka_unit_test(missing_helpers_trap),
        cmocka_unit_test(references),
        cmocka_unit_test(stack_depths),
        cmocka_unit_test(facts_name_packet_fields),
        cmocka_unit_test(fusing_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
