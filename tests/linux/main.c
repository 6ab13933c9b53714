/*
 * Runs Linux's tests on every engine and level: test_bpf [-l] [-e ENGINE] [WORD...]
 * -l lists the tests, -e keeps to one engine, words keep to tests whose name contains one of them. A failing test is
 * printed with what the suite and the engine said of it. The last line counts every test on every engine; classic tests
 * are counted as skipped, once.
 */
#include "tests/linux/suite.h"
#include "tests/runner/jits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name;
    struct code_opts opts;
} engines[] = {
    {"interp/checked", {.checked = true}},
    {"interp/checked,opts", {.checked = true, .opts = CODE_OPT_ALL}},
    {"interp/plain", {.opts = 0}},
    {"interp/plain,counted", {.opts = 0, .count_insns = true}},
    {"interp/fuse", {.opts = CODE_OPT_FUSE}},
    {"interp/inline", {.opts = CODE_OPT_INLINE}},
    {"interp/special", {.opts = CODE_OPT_SPECIAL}},
    {"interp/all", {.opts = CODE_OPT_ALL}},
    {"interp/all,counted", {.opts = CODE_OPT_ALL, .count_insns = true}},
};

struct tally {
    unsigned passed, failed, skipped;
};

/* The JIT, its variants, and the first two of them where instructions are counted. */
static bool jit_at(size_t i, char *name, size_t room, struct code_opts *opts)
{
    unsigned n;
    const char *why;
    const struct jit_variant *v = jit_variants(&n, &why);
    bool counted = i >= n;

    if (!n || i >= n + 2)
        return false;
    v += counted ? i - n : i;
    *opts = (struct code_opts){
        .opts = CODE_OPT_ALL, .count_insns = counted, .engine = "jit", .no_ir = v->no_ir, .jit = v->jit};
    snprintf(name, room, "%s%s", v->name, counted ? ", counted" : "");
    return true;
}

static const char *engine_name;
static char *const *words;

static bool wanted(const char *name)
{
    for (char *const *w = words; *w; w++)
        if (strstr(name, *w))
            return true;
    return !*words;
}

static void count(struct tally *tally, enum suite_outcome outcome, const char *test)
{
    switch (outcome) {
    case SUITE_PASSED: tally->passed++; return;
    case SUITE_SKIPPED:
        tally->skipped++;
        printf("skip %s: %s: %s\n", engine_name, test, kernel_text());
        return;
    case SUITE_FAILED:
        tally->failed++;
        printf("FAIL %s: %s: %s\n", engine_name, test, kernel_text());
        return;
    }
}

/* Tail calls. The kernel's functions that the suite calls between them are only there to use the CPU's registers; here
 * they are the helpers of the same numbers, and where there is no such helper the suite's own rule holds: a no-op. */

enum { TAIL_MAX = 64 };

struct tail_world {
    struct map *array;
    struct code *codes[TAIL_MAX];
    unsigned n;
};

static void relocate(struct skep_insn *insns, unsigned n, unsigned self, unsigned n_tests)
{
    enum { LD_IMM64 = 0x18, MOV32_K = 0xb4, CALL = 0x85, TAIL_CALL = 0xf5, JA = 0x05, HELPER_TAIL_CALL = 12 };

    for (unsigned i = 0; i < n; i++) {
        struct skep_insn *insn = &insns[i];
        const struct helper *helper;

        switch (insn->code) {
        case LD_IMM64:
            if (insn->imm == SUITE_TAIL_MARKER) {
                insn->src_reg = 5; /* BPF_PSEUDO_MAP_IDX: the only map */
                insn->imm = 0;
                insn[1].imm = 0;
            }
            i++;
            break;
        case MOV32_K:
            if (insn->imm != SUITE_TAIL_MARKER)
                break;
            insn->imm = insn->off == SUITE_TAIL_NULL      ? (int32_t)n_tests
                        : insn->off == SUITE_TAIL_INVALID ? (int32_t)n_tests + 1
                                                          : (int32_t)self + insn->off;
            insn->off = 0;
            break;
        case CALL:
            insn->src_reg = 0;
            helper = insn->imm < SUITE_HELPERS ? helper_find((uint32_t)insn->imm) : NULL;
            if (!helper)
                insn->imm = SUITE_TEST_FUNC; /* the one number past its Linux's last */
            else if (!helper->body && !(helper->effects & EFFECT_ENGINE))
                *insn = (struct skep_insn){.code = JA};
            break;
        case TAIL_CALL: *insn = (struct skep_insn){.code = CALL, .imm = HELPER_TAIL_CALL}; break;
        }
    }
}

static struct code *lower_tail(struct tail_world *world, unsigned self, const struct helper_set *helpers)
{
    struct suite_tail test = suite_tail(self);
    struct skep_insn *insns = malloc(test.n_insns * sizeof(*insns));
    const struct map_def *def = &world->array->def;
    struct code *code;

    if (!insns)
        return NULL;
    memcpy(insns, test.insns, test.n_insns * sizeof(*insns));
    relocate(insns, test.n_insns, self, world->n);
    code = kernel_lower(
        &(struct prog_spec){
            .name = "tail", .insns = insns, .n_insns = test.n_insns, .maps = &def, .n_maps = 1, .helpers = helpers},
        &world->array);
    free(insns);
    return code;
}

static bool tail_open(struct tail_world *world, const struct helper_set *helpers)
{
    struct map_def def = {
        .name = "progs", .type = 3 /* BPF_MAP_TYPE_PROG_ARRAY */, .key_size = 4, .value_size = 4, .spin_lock_off = -1};

    world->n = suite_tail_count();
    if (world->n > TAIL_MAX)
        return false;
    def.max_entries = world->n + 1;
    if (map_create(&def, 1, NULL, &world->array))
        return false;
    world->array->elem_ops = &code_elem_ops;
    for (uint32_t i = 0; i < world->n; i++) {
        world->codes[i] = lower_tail(world, i, helpers);
        if (world->codes[i] && map_set_thing(world->array, &i, world->codes[i], MAP_ANY))
            return false;
    }
    return true;
}

static void tail_close(struct tail_world *world)
{
    if (!world->array)
        return;
    for (uint32_t i = 0; i < world->n; i++) {
        map_set_thing(world->array, &i, NULL, MAP_ANY);
        if (world->codes[i])
            code_put(world->codes[i]);
    }
    map_put(world->array);
}

static enum suite_outcome run_tail(const struct suite_tail *test, const struct code *code)
{
    uint32_t state = 0;
    int result = 0;

    if (!code)
        return SUITE_FAILED;
    for (unsigned run = 0; run < SUITE_RUNS; run++)
        result = (int)kernel_run(code, test->needs_state ? &state : NULL, test->needs_state ? sizeof(state) : 0);
    /* Some tests hand on a number where a tail call wants the context; no verifier lets that pass, nor do checked runs.
     */
    if (kernel_trapped() == TRAP_helper_argument && code->opts.checked && !test->needs_state)
        return SUITE_SKIPPED;
    if (kernel_trapped())
        return SUITE_FAILED;
    return (test->result_in_state ? (int)state : result) == test->result ? SUITE_PASSED : SUITE_FAILED;
}

static struct tally run_tails(void)
{
    const struct helper own = {
        .id = SUITE_TEST_FUNC, .name = "test_func", .body = suite_test_func(), .ret = RET_INT, .arg = {ARG_ANYTHING}};
    const struct helper_set helpers = {.own = &own, .n_own = 1};
    struct tail_world world = {0};
    struct tally tally = {0};

    kernel_forget_text();
    if (!tail_open(&world, &helpers))
        count(&tally, SUITE_FAILED, "tail call tests could not be loaded");
    else
        for (unsigned i = 0; i < world.n; i++) {
            struct suite_tail test = suite_tail(i);

            kernel_forget_text();
            if (wanted(test.name))
                count(&tally, run_tail(&test, world.codes[i]), test.name);
        }
    tail_close(&world);
    return tally;
}

static struct tally run_programs(void)
{
    struct tally tally = {0};

    for (unsigned i = 0; i < suite_count(); i++) {
        if (!suite_is_ebpf(i) || !wanted(suite_name(i)))
            continue;
        kernel_forget_text();
        count(&tally, suite_run(i), suite_name(i));
    }
    return tally;
}

static unsigned classic(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < suite_count(); i++)
        n += !suite_is_ebpf(i) && wanted(suite_name(i));
    return n;
}

static int list(void)
{
    for (unsigned i = 0; i < suite_count(); i++)
        printf("%s %s\n", suite_is_ebpf(i) ? "ebpf   " : "classic", suite_name(i));
    for (unsigned i = 0; i < suite_tail_count(); i++)
        printf("tail    %s\n", suite_tail(i).name);
    return 0;
}

int main(int argc, char **argv)
{
    struct tally total = {0};
    const char *only = NULL;
    int c;

    while ((c = getopt(argc, argv, "le:")) != -1) {
        switch (c) {
        case 'l': return list();
        case 'e': only = optarg; break;
        default: fprintf(stderr, "usage: test_bpf [-l] [-e ENGINE] [WORD...]\n"); return 2;
        }
    }
    words = argv + optind;
    for (size_t e = 0;; e++) {
        struct tally programs, tails;
        struct code_opts opts;
        char name[64];

        if (e < sizeof(engines) / sizeof(engines[0])) {
            opts = engines[e].opts;
            snprintf(name, sizeof(name), "%s", engines[e].name);
        } else if (!jit_at(e - sizeof(engines) / sizeof(engines[0]), name, sizeof(name), &opts)) {
            break;
        }
        engine_name = name;
        if (only && strcmp(only, engine_name))
            continue;
        kernel_use_engine(&opts);
        programs = run_programs();
        tails = run_tails();
        printf("test_bpf: %u of %u on %s, tail calls: %u of %u\n", programs.passed, programs.passed + programs.failed,
               engine_name, tails.passed, tails.passed + tails.failed + tails.skipped);
        fflush(stdout);
        total.passed += programs.passed + tails.passed;
        total.failed += programs.failed + tails.failed;
        total.skipped += programs.skipped + tails.skipped;
    }
    kernel_free();
    printf("%u passed, %u failed, %u skipped\n", total.passed, total.failed, total.skipped + classic());
    return total.failed ? 1 : 0;
}
