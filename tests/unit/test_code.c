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

static void missing_helpers_trap(void **state)
{
    static const char *const texts[] = {"  call 99999\n  exit\n", "  call sock_hash_update\n  exit\n"};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct code *code = lowered(texts[i], NULL, 0, (struct code_opts){.checked = false});
        const struct prog_poison *why = (const struct prog_poison *)(uintptr_t)code->ops[0].imm;
        assert_int_equal(code->ops[0].kind, OP_TRAP);
        assert_int_equal(why->kind, TRAP_helper_missing);
        assert_non_null(strstr(why->reason, i ? "bpf_sock_hash_update" : "99999"));
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
    const struct fact insns[] = {
        {1, FACT_MEM_CTX, 0}, {1, FACT_MEM_CTX, 4}, {1, FACT_MEM_PACKET, 0}, {1, FACT_MEM_CTX, 12}, {1, 0, 0}};
    const struct facts facts = {insns, 5};
    struct prog_spec spec = {.name = "p", .insns = out.insns, .n_insns = out.n_insns, .type = prog_type_by_name("xdp")};
    struct code_opts opts = {.opts = CODE_OPT_FACTS};
    struct prog *prog;
    struct code *code;

    (void)state;
    assert_int_equal(prog_new(&spec, false, &test_log, &prog), 0);
    assert_int_equal(code_lower(prog, &facts, NULL, &opts, &interp_engine, &test_log, &code), 0);
    assert_int_equal(code->ops[0].kind, OP_CTX_DATA);
    assert_int_equal(code->ops[1].kind, OP_CTX_DATA_END);
    assert_int_equal(code->ops[2].kind, ISA_LDX_W);
    assert_int_equal(code->ops[3].kind, ISA_LDX_W);
    code_put(code);
    assert_int_equal(code_lower(prog, NULL, NULL, &opts, &interp_engine, &test_log, &code), 0);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(code->ops[i].kind, OP_LDX_W_CTX);
    code_put(code);
    opts.opts = 0; /* facts are there, but not to be used */
    assert_int_equal(code_lower(prog, &facts, NULL, &opts, &interp_engine, &test_log, &code), 0);
    assert_int_equal(code->ops[0].kind, OP_LDX_W_CTX);
    code_put(code);
    prog_put(prog);
    asm_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resolves_maps), cmocka_unit_test(missing_helpers_trap),     cmocka_unit_test(references),
        cmocka_unit_test(stack_depths),  cmocka_unit_test(facts_name_packet_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
