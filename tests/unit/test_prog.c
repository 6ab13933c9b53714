/* Programs: what of their form is refused, what lenient programs make of it, functions, lines, references. */
#include "tests/unit/run.h"

#define INSN(c, d, s, o, i)                                                                                            \
    {                                                                                                                  \
        .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)                                            \
    }
#define EXIT INSN(0x95, 0, 0, 0, 0)
#define MOV0 INSN(0xb7, 0, 0, 0, 0)

static const struct malformed {
    const char *what;
    enum trap_kind kind;
    uint32_t n, at;
    struct skep_insn insns[4];
} malformed[] = {
    {"unknown opcode", TRAP_bad_insn, 2, 0, {INSN(0xff, 0, 0, 0, 0), EXIT}},
    {"reserved", TRAP_bad_insn, 2, 0, {INSN(0xb7, 0, 3, 0, 0), EXIT}},
    {"reserved", TRAP_bad_insn, 2, 0, {INSN(0xbf, 0, 1, 0, 5), EXIT}},
    {"above r10", TRAP_bad_insn, 2, 0, {INSN(0xbf, 0, 11, 0, 0), EXIT}},
    {"above r10", TRAP_bad_insn, 2, 0, {INSN(0xb7, 12, 0, 0, 0), EXIT}},
    {"second slot", TRAP_bad_insn, 2, 1, {EXIT, INSN(0x18, 0, 0, 0, 0)}},
    {"second slot", TRAP_bad_insn, 3, 0, {INSN(0x18, 0, 0, 0, 0), INSN(0, 1, 0, 0, 0), EXIT}},
    {"read only", TRAP_frame_pointer, 2, 0, {INSN(0xb7, 10, 0, 0, 0), EXIT}},
    {"read only", TRAP_frame_pointer, 2, 0, {INSN(0x79, 10, 1, 0, 0), EXIT}},
    {"read only", TRAP_frame_pointer, 2, 0, {INSN(0xdb, 1, 10, 0, 1), EXIT}},
    {"does not have", TRAP_bad_insn, 3, 0, {INSN(0x18, 1, 5, 0, 1), INSN(0, 0, 0, 0, 0), EXIT}},
    {"outside the map", TRAP_bad_insn, 3, 0, {INSN(0x18, 1, 6, 0, 0), INSN(0, 0, 0, 0, 8), EXIT}},
    {"jump out of range", TRAP_bad_jump, 2, 0, {INSN(0x05, 0, 0, 1, 0), EXIT}},
    {"jump out of range", TRAP_bad_jump, 2, 0, {INSN(0x05, 0, 0, -2, 0), EXIT}},
    {"jump out of range", TRAP_bad_jump, 2, 0, {INSN(0x15, 0, 0, 32767, 0), EXIT}},
    {"middle", TRAP_bad_jump, 4, 0, {INSN(0x05, 0, 0, 1, 0), INSN(0x18, 0, 0, 0, 0), INSN(0, 0, 0, 0, 0), EXIT}},
    {"no function", TRAP_bad_call, 2, 0, {INSN(0x85, 0, 1, 0, 7), EXIT}},
    {"no function", TRAP_bad_call, 2, 0, {INSN(0x85, 0, 1, 0, -9), EXIT}},
    {"through a register", TRAP_bad_call, 2, 0, {INSN(0x8d, 1, 0, 0, 0), EXIT}},
};

static struct map_def value8 = {.type = MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 1};
static const struct map_def *const one_map[] = {&value8};

static void refuses_malformed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        const struct malformed *m = &malformed[i];
        struct prog_spec spec = {.name = "p", .insns = m->insns, .n_insns = m->n, .maps = one_map, .n_maps = 1};
        struct prog *prog = NULL;
        char where[32];

        snprintf(where, sizeof(where), "insn %u:", m->at);
        if (m->kind == TRAP_frame_pointer) { /* a fault only where it is reached, as in Linux */
            assert_int_equal(prog_new(&spec, false, &said_all, &prog), 0);
            assert_true(prog->insns[m->at].poisoned);
            prog_put(prog);
            continue;
        }
        if (prog_new(&spec, false, &said_all, &prog) != -EINVAL || prog)
            fail_msg("case %zu (%s) is not refused", i, m->what);
        if (!strstr(said, m->what) || !strstr(said, where))
            fail_msg("case %zu: '%s' lacks '%s' or '%s'", i, said, m->what, where);
    }
}

static void lenient_poisons_malformed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        const struct malformed *m = &malformed[i];
        struct prog_spec spec = {.name = "p", .insns = m->insns, .n_insns = m->n, .maps = one_map, .n_maps = 1};
        struct prog *prog;

        assert_int_equal(prog_new(&spec, true, &said_all, &prog), 0);
        assert_true(prog->insns[m->at].poisoned);
        assert_int_equal(prog->poison[prog->insns[m->at].imm].kind, m->kind);
        assert_non_null(strstr(prog->poison[prog->insns[m->at].imm].reason, m->what));
        prog_put(prog);
    }
}

static void refuses_sizes(void **state)
{
    static const struct skep_insn last[] = {MOV0};
    struct prog_spec spec = {.name = "p", .insns = last};
    struct prog *prog;

    (void)state;
    assert_int_equal(prog_new(&spec, false, &said_all, &prog), -EINVAL);
    spec.n_insns = PROG_MAX_INSNS + 1;
    assert_int_equal(prog_new(&spec, true, &said_all, &prog), -E2BIG);
    spec.n_insns = 1;
    assert_int_equal(prog_new(&spec, false, &said_all, &prog), -EINVAL);
    assert_non_null(strstr(said, "last insn is not an exit or jmp"));
    assert_int_equal(prog_new(&spec, true, &said_all, &prog), 0);
    prog_put(prog);
}

static const char two_functions[] = "  r1 = 1\n"
                                    "  call next\n"
                                    "  exit\n"
                                    "next:\n"
                                    "  r0 = r1\n"
                                    "  exit\n";

static void finds_functions(void **state)
{
    struct prog *prog = program(two_functions, NULL, 0, false);

    (void)state;
    assert_non_null(prog);
    assert_int_equal(prog->n_funcs, 2);
    assert_int_equal(prog->funcs[0].start, 0);
    assert_int_equal(prog->funcs[0].end, 3);
    assert_int_equal(prog->funcs[1].start, 3);
    assert_int_equal(prog->funcs[1].end, 5);
    assert_string_equal(prog->funcs[0].name, "test");
    assert_string_equal(prog->funcs[1].name, "func_3");
    assert_int_equal(prog->insns[1].target, 3);
    assert_ptr_equal(prog_func_at(prog, 2), &prog->funcs[0]);
    assert_ptr_equal(prog_func_at(prog, 3), &prog->funcs[1]);
    assert_null(prog_func_at(prog, 5));
    prog_put(prog);
}

static void given_functions_bound_jumps(void **state)
{
    static const struct skep_insn insns[] = {INSN(0x85, 0, 1, 0, 1), EXIT, INSN(0x05, 0, 0, -3, 0), EXIT};
    static const struct prog_func funcs[] = {{.name = "main", .start = 0, .end = 2},
                                             {.name = "sub", .start = 2, .end = 4, .btf_id = 7, .global = true}};
    struct prog_spec spec = {.name = "p", .insns = insns, .n_insns = 4, .funcs = funcs, .n_funcs = 2};
    struct prog *prog;

    (void)state;
    assert_int_equal(prog_new(&spec, false, &said_all, &prog), -EINVAL);
    assert_non_null(strstr(said, "insn 2: jump out of range"));
    assert_int_equal(prog_new(&spec, true, &said_all, &prog), 0);
    assert_true(prog->insns[2].poisoned);
    assert_string_equal(prog->funcs[1].name, "sub");
    assert_int_equal(prog->funcs[1].btf_id, 7);
    assert_true(prog->funcs[1].global);
    prog_put(prog);
}

static void finds_lines(void **state)
{
    static const struct skep_insn insns[] = {INSN(0x85, 0, 1, 0, 2), MOV0, EXIT, MOV0, EXIT};
    static const struct prog_line lines[] = {{.insn = 0, .file = "a.c", .text = "one", .line = 1},
                                             {.insn = 1, .file = "a.c", .text = "two", .line = 2},
                                             {.insn = 4, .file = NULL, .text = NULL, .line = 9}};
    struct prog_spec spec = {.name = "p", .insns = insns, .n_insns = 5, .lines = lines, .n_lines = 3};
    struct prog *prog;

    (void)state;
    assert_int_equal(prog_new(&spec, false, &said_all, &prog), 0);
    assert_string_equal(prog_line_at(prog, 0)->text, "one");
    assert_string_equal(prog_line_at(prog, 2)->text, "two");
    assert_null(prog_line_at(prog, 3)); /* the line of another function says nothing here */
    assert_string_equal(prog_line_at(prog, 4)->text, "");
    assert_string_equal(prog_line_at(prog, 4)->file, "");
    prog_put(prog);
}

static void put_owner(void *owner)
{
    ++*(int *)owner;
}

static void poison_and_references(void **state)
{
    static const struct skep_insn insns[] = {INSN(0x18, 1, 0, 0, 1), INSN(0, 0, 0, 0, 0), EXIT};
    static const struct prog_poison poison = {.kind = TRAP_core_unresolved, .reason = "no such field"};
    static const uint32_t at = 0;
    int owner = 0;
    struct prog_spec spec = {.name = "p",
                             .insns = insns,
                             .n_insns = 3,
                             .poison = &poison,
                             .poison_at = &at,
                             .n_poison = 1,
                             .btf_owner = &owner,
                             .put_btf = put_owner};
    struct prog *prog;

    (void)state;
    assert_int_equal(prog_new(&spec, false, &said_all, &prog), 0);
    assert_true(prog->insns[0].poisoned);
    assert_true(prog->insns[1].wide_tail);
    assert_string_equal(prog->poison[prog->insns[0].imm].reason, "no such field");
    assert_ptr_equal(prog_get(prog), prog);
    prog_put(prog);
    assert_int_equal(owner, 0);
    prog_put(prog);
    assert_int_equal(owner, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_malformed),
        cmocka_unit_test(lenient_poisons_malformed),
        cmocka_unit_test(refuses_sizes),
        cmocka_unit_test(finds_functions),
        cmocka_unit_test(given_functions_bound_jumps),
        cmocka_unit_test(finds_lines),
        cmocka_unit_test(poison_and_references),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
