/*
 * bpftest [--kernel|--verify] [--engine NAME] [--every-op] [--random COUNT] [--quick] [--garbage COUNT]
 * [--seed N] [-v] FILE|DIRECTORY...
 *
 * Runs .bpf files (what a file may say is in test.h), or random programs (random.h), on our engines at every level, or
 * in Linux, or shows them to the verifier; --quick: random programs in few ways each, for millions of them; --garbage
 * runs what may be no program at all, checked, and shows which traps that met. --every-op fails when an operation of
 * isa.def stands in no test.
 */
#include "tests/runner/random.h"
#include "tests/runner/runner.h"
#include "vm/isa/isa.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct session {
    bool kernel, verify, verbose, quick;
    const char *engine;
    uint64_t turn;              /* of random programs: see engines_run() */
    const char *kernel_refuses; /* why bpf(2) cannot be used, NULL: it can */
    unsigned passed, failed, skipped;
    bool seen[ISA_OP_COUNT]; /* operations that stand in some test */
};

static void say(const struct test *t, const char *verdict, const char *why)
{
    printf("%s %s:%u %s%s%s\n", verdict, t->file, t->line, t->name, why ? ": " : "", why ? why : "");
}

/* Runs a test elsewhere than on our engines. */
static void run_elsewhere(struct session *s, const struct test *t, struct buf *report)
{
    const char *where = s->kernel ? "kernel" : "verifier";
    struct arena arena = {0};
    struct outcome o = {.skip = s->kernel_refuses};
    bool ok;

    if (!o.skip && t->no_kernel && (s->kernel || !(t->error || t->accept || t->unsupported)))
        o.skip = t->no_kernel;
    if (!o.skip && t->trap)
        o.skip = "traps are ours alone";
    if (!o.skip && s->kernel)
        kernel_run(t, &arena, &o);
    else if (!o.skip)
        verifier_run(t, &arena, &o);
    if (o.skip) {
        s->skipped++;
        if (s->verbose)
            say(t, "skip", o.skip);
    } else {
        ok = (s->kernel && !o.loaded) || o.failure ? judge(t, where, &o, report) : true;
        s->passed += ok;
        s->failed += !ok;
        if (s->verbose && ok)
            say(t, "ok", NULL);
    }
    arena_free(&arena);
}

static void note_ops(struct session *s, const struct test *t)
{
    for (uint32_t i = 0; i < t->n_insns; i++) {
        enum isa_op op = isa_decode(&t->insns[i]);

        s->seen[op] = true;
        i += isa_is_wide(op);
    }
}

static void check_ops(struct session *s)
{
    for (unsigned op = ISA_INVALID + 1; op < ISA_OP_COUNT; op++)
        if (!s->seen[op]) {
            printf("no test has %s\n", isa_rows[op].name);
            s->failed++;
        }
}

static void run_test(struct session *s, const struct test *t)
{
    struct buf report = {0};

    note_ops(s, t);
    if (s->kernel || s->verify) {
        run_elsewhere(s, t, &report);
    } else if (t->error || t->unsupported) { /* what must be refused is not to be run */
        s->skipped++;
    } else if (s->quick && s->turn ? quick_run(t, s->turn, &report)
                                   : engines_run(t, s->engine, s->engine ? 0 : s->turn, &report)) {
        s->failed++;
    } else {
        s->passed++;
        if (s->verbose)
            say(t, "ok", NULL);
    }
    fputs(buf_text(&report), stdout);
    buf_free(&report);
}

static void to_stdout(void *path, enum skep_log_level level, const char *text)
{
    (void)level;
    printf("%s: %s\n", (const char *)path, text);
}

static void run_file(struct session *s, const char *path)
{
    struct log log = {.fn = to_stdout, .ctx = (void *)path, .max = SKEP_LOG_WARN};
    struct test_file file;

    if (test_file_read(&file, path, &log)) {
        s->failed++;
        return;
    }
    for (uint32_t i = 0; i < file.n_tests; i++)
        run_test(s, &file.tests[i]);
    test_file_free(&file);
}

static int ends_in_bpf(const struct dirent *e)
{
    size_t n = strlen(e->d_name);

    return n > 4 && !strcmp(e->d_name + n - 4, ".bpf");
}

static void run_path(struct session *s, const char *path)
{
    struct dirent **entries;
    struct stat st;
    int n = 0;

    if (stat(path, &st) || !S_ISDIR(st.st_mode)) {
        run_file(s, path);
        return;
    }
    n = scandir(path, &entries, ends_in_bpf, alphasort);
    if (n <= 0) {
        printf("%s: no .bpf files\n", path);
        s->failed++;
        return;
    }
    for (int i = 0; i < n; i++) {
        char *name = NULL;

        if (asprintf(&name, "%s/%s", path, entries[i]->d_name) > 0)
            run_file(s, name);
        free(name);
        free(entries[i]);
    }
    free(entries);
}

static void run_random(struct session *s, uint64_t seed, uint64_t count)
{
    for (uint64_t end = seed + count; seed < end; seed++) {
        struct arena arena = {0};
        struct test test;
        unsigned failed = s->failed;

        s->turn = seed + 1;
        if (random_test(seed, &arena, &test))
            run_test(s, &test);
        else
            s->failed++;
        if (s->failed != failed) {
            struct buf text = {0};

            random_show(&test, &text);
            fputs(buf_text(&text), stdout);
            buf_free(&text);
        }
        arena_free(&arena);
    }
    s->turn = 0;
}

/* Is one garbage program treated as it must be? What our verifier accepts may not trap, and Linux must accept it too.
 */
static bool garbage_is_fine(struct session *s, const struct test *t, struct arena *arena, uint64_t *traps)
{
    bool accepted = s->verify && verifier_accepts(t, arena);
    const char *why = NULL;
    enum trap_kind trap;

    if (s->verify && !accepted)
        return true;
    if (s->kernel && !kernel_accepts(t, arena, &why)) {
        printf("garbage %s: we accept it, Linux does not: %s\n", t->name, why);
        return false;
    }
    trap = engines_survive(t);
    traps[trap]++;
    if (!accepted || trap == TRAP_none || trap == TRAP_insn_limit)
        return true;
    printf("garbage %s: accepted, but traps: %s\n", t->name, trap_name(trap));
    return false;
}

static void run_garbage(struct session *s, uint64_t seed, uint64_t count)
{
    uint64_t traps[TRAP_KIND_COUNT] = {0};

    for (uint64_t end = seed + count; seed < end; seed++) {
        struct arena arena = {0};
        struct test test;

        if (s->verbose)
            printf("seed %llu\n", (unsigned long long)seed), fflush(stdout);
        if (!random_garbage(seed, &arena, &test)) {
            s->failed++;
        } else if (garbage_is_fine(s, &test, &arena, traps)) {
            s->passed++;
        } else {
            struct buf text = {0};

            s->failed++;
            random_show(&test, &text);
            fputs(buf_text(&text), stdout);
            buf_free(&text);
        }
        arena_free(&arena);
    }
    for (unsigned kind = 0; kind < TRAP_KIND_COUNT; kind++)
        if (traps[kind])
            printf("%8llu %s\n", (unsigned long long)traps[kind], trap_name((enum trap_kind)kind));
}

int main(int argc, char **argv)
{
    struct session s = {0};
    uint64_t random = 0, garbage = 0, seed = 0;
    bool every_op = false;
    int i = 1;

    for (; i < argc && argv[i][0] == '-'; i++) {
        if (!strcmp(argv[i], "--kernel")) {
            s.kernel = true;
        } else if (!strcmp(argv[i], "--verify")) {
            s.verify = true;
        } else if (!strcmp(argv[i], "-v")) {
            s.verbose = true;
        } else if (!strcmp(argv[i], "--quick")) {
            s.quick = true;
        } else if (!strcmp(argv[i], "--every-op")) {
            every_op = true;
        } else if (!strcmp(argv[i], "--engine") && i + 1 < argc) {
            s.engine = argv[++i];
        } else if (!strcmp(argv[i], "--random") && i + 1 < argc) {
            random = strtoull(argv[++i], NULL, 0);
        } else if (!strcmp(argv[i], "--garbage") && i + 1 < argc) {
            garbage = strtoull(argv[++i], NULL, 0);
        } else if (!strcmp(argv[i], "--seed") && i + 1 < argc) {
            seed = strtoull(argv[++i], NULL, 0);
        } else {
            fprintf(
                stderr,
                "usage: bpftest [--kernel|--verify] [--engine NAME] [--every-op] [--random COUNT] [--quick] [--garbage COUNT] [--seed N] [-v] "
                "FILE|DIRECTORY...\n");
            return 2;
        }
    }
    if (s.kernel)
        s.kernel_refuses = kernel_refuses();
    if (s.kernel_refuses)
        printf("skipped: bpf(2) cannot be used: %s\n", s.kernel_refuses);
    for (; i < argc; i++)
        run_path(&s, argv[i]);
    if (random)
        run_random(&s, seed, random);
    if (garbage)
        run_garbage(&s, seed, garbage);
    if (every_op)
        check_ops(&s);
    printf("%u passed, %u failed, %u skipped\n", s.passed, s.failed, s.skipped);
    return s.failed || !(s.passed + s.skipped);
}
