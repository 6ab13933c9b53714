/*
 * What the verifier says beside its verdict: which slots of a frame are touched otherwise than through that frame's
 * r10, and whether stack is read that was not written.
 */
#include "verifier/verify.h"
#include "vm/abi/helpers.h"
#include "vm/abi/prog_types.h"
#include "vm/isa/asm.h"
#include "vm/maps/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct map_def array = {
    .name = "array", .type = MAP_TYPE_ARRAY, .key_size = 4, .value_size = 16, .max_entries = 2, .spin_lock_off = -1};

static bool helper_id(void *ctx, const char *name, size_t len, uint32_t *id)
{
    char text[64];
    const struct helper *h;

    (void)ctx;
    if (len >= sizeof(text))
        return false;
    memcpy(text, name, len);
    text[len] = 0;
    h = helper_by_name(text);
    if (h)
        *id = h->id;
    return h;
}

static bool map_index(void *ctx, const char *name, size_t len, uint32_t *index)
{
    (void)ctx, (void)name, (void)len;
    *index = 0;
    return true;
}

struct told {
    uint64_t escaped[4];
    uint32_t n_funcs;
    bool unwritten;
};

static struct told ask(const char *type, const char *text)
{
    static const struct map_def *const maps[] = {&array};
    const struct asm_opts names = {.helper = helper_id, .map = map_index};
    struct verify_result result;
    struct told told = {0};
    struct prog *prog = NULL;
    struct asm_out code;

    assert_int_equal(asm_text(text, strlen(text), &names, NULL, &code), 0);
    const struct prog_spec spec = {.name = "facts",
                                   .section = "",
                                   .file = "",
                                   .license = "GPL",
                                   .attach_target = "",
                                   .type = prog_type_by_name(type),
                                   .insns = code.insns,
                                   .n_insns = code.n_insns,
                                   .maps = maps,
                                   .n_maps = 1};

    assert_int_equal(prog_new(&spec, false, NULL, &prog), 0);
    assert_int_equal(verify_prog(prog, NULL, NULL, &result), 0);
    if (result.verdict != VERDICT_ACCEPT)
        print_message("at %u: %s\n%s", result.insn, result.message, text);
    assert_int_equal(result.verdict, VERDICT_ACCEPT);
    assert_int_equal(result.facts.n_funcs, prog->n_funcs);
    assert_in_range(prog->n_funcs, 1, 4);
    told.n_funcs = result.facts.n_funcs;
    memcpy(told.escaped, result.facts.escaped, told.n_funcs * sizeof(told.escaped[0]));
    told.unwritten = result.facts.reads_unwritten_stack;
    verify_result_free(&result);
    prog_put(prog);
    asm_free(&code);
    return told;
}

/* Through r10 itself nothing escapes, whatever the size; through a copy of it what is touched does. */
static void base_registers(void **state)
{
    struct told t = ask("xdp", "*(u64 *)(r10 - 8) = 1\n"
                               "*(u32 *)(r10 - 12) = 2\n"
                               "lock *(u64 *)(r10 - 8) += r1\n"
                               "r0 = *(u32 *)(r10 - 8)\n"
                               "r0 = 0\n"
                               "exit\n");

    (void)state;
    assert_int_equal(t.escaped[0], 0);
    t = ask("xdp", "r2 = r10\n"
                   "r2 += -24\n"
                   "*(u32 *)(r2 + 4) = 0\n"
                   "r0 = *(u16 *)(r2 + 6)\n"
                   "exit\n");
    assert_int_equal(t.escaped[0], 1 << 2);
    t = ask("xdp", "r2 = r10\n" /* taken through the stack, at two places */
                   "r2 += -32\n"
                   "r3 = *(u32 *)(r1 + 12)\n"
                   "if r3 == 5 goto +1\n"
                   "r2 += -32\n"
                   "*(u64 *)(r10 - 8) = r2\n"
                   "r4 = *(u64 *)(r10 - 8)\n"
                   "*(u64 *)(r4 + 0) = 0\n"
                   "r0 = 0\n"
                   "exit\n");
    assert_int_equal(t.escaped[0], 1 << 3 | 1 << 7);
}

static void variable_offsets(void **state)
{
    struct told t = ask("xdp", "r3 = *(u32 *)(r1 + 12)\n"
                               "r3 &= 24\n"
                               "r2 = r10\n"
                               "r2 += -48\n"
                               "r2 += r3\n"
                               "*(u64 *)(r2 + 0) = 0\n"
                               "r0 = 0\n"
                               "exit\n");

    (void)state;
    assert_int_equal(t.escaped[0], 1 << 5 | 1 << 4 | 1 << 3 | 1 << 2);
    assert_true(t.unwritten); /* it only may have been written there */
}

static void callees_and_helpers(void **state)
{
    struct told t = ask("xdp", "*(u64 *)(r10 - 16) = 0\n"
                               "r1 = r10\n"
                               "r1 += -16\n"
                               "call callee\n"
                               "exit\n"
                               "callee:\n"
                               "*(u64 *)(r10 - 8) = 7\n"
                               "r0 = *(u32 *)(r1 + 0)\n"
                               "exit\n");

    (void)state;
    assert_int_equal(t.n_funcs, 2);
    assert_int_equal(t.escaped[0], 1 << 1);
    assert_int_equal(t.escaped[1], 0);
    assert_false(t.unwritten);
    t = ask("xdp", "*(u32 *)(r10 - 4) = 0\n"
                   "*(u64 *)(r10 - 24) = 0\n"
                   "r2 = r10\n"
                   "r2 += -4\n"
                   "r1 = map[array]\n"
                   "call bpf_map_lookup_elem\n"
                   "r0 = 0\n"
                   "exit\n");
    assert_int_equal(t.escaped[0], 1);
    assert_false(t.unwritten);
    t = ask("kprobe", "r3 = r10\n" /* an address that a helper may follow anywhere */
                      "r1 = r10\n"
                      "r1 += -8\n"
                      "r2 = 8\n"
                      "call bpf_probe_read_kernel\n"
                      "r0 = 0\n"
                      "exit\n");
    assert_int_equal(t.escaped[0], UINT64_MAX);
    assert_true(t.unwritten);
    t = ask("xdp", "r2 = r10\n" /* one that leaves the stack */
                   "r1 = map[array][0]\n"
                   "*(u64 *)(r1 + 0) = r2\n"
                   "r0 = 0\n"
                   "exit\n");
    assert_int_equal(t.escaped[0], UINT64_MAX);
}

static void unwritten(void **state)
{
    (void)state;
    assert_true(ask("xdp", "r0 = *(u64 *)(r10 - 8)\nr0 = 0\nexit\n").unwritten);
    assert_false(ask("xdp", "*(u64 *)(r10 - 8) = 0\nr0 = *(u64 *)(r10 - 8)\nexit\n").unwritten);
    assert_true(ask("xdp", "*(u32 *)(r10 - 8) = 0\nr0 = *(u64 *)(r10 - 8)\nr0 = 0\nexit\n").unwritten);
    assert_true(ask("xdp", "r3 = *(u32 *)(r1 + 12)\n"
                           "if r3 == 1 goto +1\n"
                           "*(u64 *)(r10 - 8) = 0\n"
                           "r0 = *(u64 *)(r10 - 8)\n"
                           "r0 = 0\n"
                           "exit\n")
                    .unwritten);
    assert_true(ask("xdp", "r1 = map[array]\nr2 = r10\nr2 += -8\ncall bpf_map_lookup_elem\nr0 = 0\nexit\n").unwritten);
}

/* The second path stops at a state that had written what it has not. */
static void unwritten_where_pruned(void **state)
{
    (void)state;
    assert_true(ask("xdp", "r3 = *(u32 *)(r1 + 12)\n"
                           "if r3 == 1 goto skip\n"
                           "*(u64 *)(r10 - 8) = r3\n"
                           "r4 = r3\n"
                           "r4 = *(u8 *)(r10 - 7)\n" /* now its bytes are unknown ones */
                           "*(u8 *)(r10 - 7) = r4\n"
                           "goto skip\n"
                           "skip:\n"
                           "r5 = 1\n"
                           "r5 = 2\n"
                           "r0 = *(u64 *)(r10 - 8)\n"
                           "r0 = 0\n"
                           "exit\n")
                    .unwritten);
}

/* Those that write all that they are given leave nothing unwritten; others may. */
static void helpers_that_fill(void **state)
{
    static const char *const fills = "r6 = r1\n"
                                     "r1 = r10\n"
                                     "r1 += -16\n"
                                     "r2 = 16\n"
                                     "call bpf_get_current_comm\n"
                                     "r0 = *(u64 *)(r10 - 16)\n"
                                     "r0 = 0\n"
                                     "exit\n";
    static const char *const may_fail = "r2 = 0\n"
                                        "r3 = r10\n"
                                        "r3 += -8\n"
                                        "r4 = 8\n"
                                        "call bpf_xdp_load_bytes\n"
                                        "r0 = *(u64 *)(r10 - 8)\n"
                                        "r0 = 0\n"
                                        "exit\n";
    static const char *const some = "r2 = *(u64 *)(r1 + 0)\n"
                                    "r2 &= 15\n"
                                    "r1 = r10\n"
                                    "r1 += -16\n"
                                    "r3 = 0\n"
                                    "call bpf_probe_read_kernel\n"
                                    "r0 = *(u64 *)(r10 - 16)\n"
                                    "r0 = 0\n"
                                    "exit\n";

    (void)state;
    assert_false(ask("kprobe", fills).unwritten);
    assert_int_equal(ask("kprobe", fills).escaped[0], 3);
    assert_true(ask("xdp", may_fail).unwritten);
    assert_true(ask("kprobe", some).unwritten);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base_registers),         cmocka_unit_test(variable_offsets),
        cmocka_unit_test(callees_and_helpers),    cmocka_unit_test(unwritten),
        cmocka_unit_test(unwritten_where_pruned), cmocka_unit_test(helpers_that_fill),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
