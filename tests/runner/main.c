/* bpftest [--kernel] [--engine NAME] [-v] FILE|DIRECTORY...: runs .bpf files; what a file may say is in test.h. */
#include "tests/runner/runner.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct session {
    bool kernel, verbose;
    const char *engine;
    const char *kernel_refuses; /* why bpf(2) cannot be used, NULL: it can */
    unsigned passed, failed, skipped;
};

static void say(const struct test *t, const char *verdict, const char *why)
{
    printf("%s %s:%u %s%s%s\n", verdict, t->file, t->line, t->name, why ? ": " : "", why ? why : "");
}

static void run_kernel(struct session *s, const struct test *t, struct buf *report)
{
    struct arena arena = {0};
    struct outcome o = {.skip = s->kernel_refuses};

    if (!o.skip && t->no_kernel)
        o.skip = t->no_kernel;
    if (!o.skip && t->trap)
        o.skip = "traps are ours alone";
    if (!o.skip)
        kernel_run(t, &arena, &o);
    if (o.skip) {
        s->skipped++;
        if (s->verbose)
            say(t, "skip", o.skip);
    } else if (judge(t, "kernel", &o, report)) {
        s->passed++;
        if (s->verbose)
            say(t, "ok", NULL);
    } else {
        s->failed++;
    }
    arena_free(&arena);
}

static void run_test(struct session *s, const struct test *t)
{
    struct buf report = {0};

    if (t->error) {
        s->skipped++;
        if (s->verbose)
            say(t, "skip", "there is no verifier to refuse it");
    } else if (s->kernel) {
        run_kernel(s, t, &report);
    } else if (engines_run(t, s->engine, &report)) {
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

int main(int argc, char **argv)
{
    struct session s = {0};
    int i = 1;

    for (; i < argc && argv[i][0] == '-'; i++) {
        if (!strcmp(argv[i], "--kernel")) {
            s.kernel = true;
        } else if (!strcmp(argv[i], "-v")) {
            s.verbose = true;
        } else if (!strcmp(argv[i], "--engine") && i + 1 < argc) {
            s.engine = argv[++i];
        } else {
            fprintf(stderr, "usage: bpftest [--kernel] [--engine NAME] [-v] FILE|DIRECTORY...\n");
            return 2;
        }
    }
    if (s.kernel)
        s.kernel_refuses = kernel_refuses();
    if (s.kernel_refuses)
        printf("skipped: bpf(2) cannot be used: %s\n", s.kernel_refuses);
    for (; i < argc; i++)
        run_path(&s, argv[i]);
    printf("%u passed, %u failed, %u skipped\n", s.passed, s.failed, s.skipped);
    return s.failed || !(s.passed + s.skipped);
}
