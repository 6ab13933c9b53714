/*
 * bench [-s 1|2|both] [-t main|interp|opts|count] [-r ROUNDS] [-w RUNS] [-p FILE] DIR [PROGRAM...]
 * Runs every program of a set in every way of a table and prints ratios over native code, program by program and in
 * sum; DIR holds the bytecode. -p writes a profile of what is executed and runs nothing else. Exit status 1 when
 * results differ.
 */
#include "bench/bench.h"

#include "jit/jit.h"
#include "vm/env.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Sums over the programs of a set. */
struct column {
    double logs, median_logs, most, least;
    const char *worst;
    unsigned n;
};

struct contest { /* ours against the kernel's JIT */
    unsigned n, faster, slower;
    double logs;
};

struct compile_sum {
    double time;
    uint64_t insns;
    size_t bytes;
    unsigned n;
};

struct sums {
    struct column columns[BENCH_MAX_WAYS];
    struct contest contest;
    struct compile_sum compiled;
};

/* What stands at the right: how long the way compiled that the table is about. */
static unsigned compiled_way(const struct bench_settings *set)
{
    unsigned jit = bench_way_named("jit");

    return bench_way_is_shown(&bench_ways[jit], set) ? jit : bench_way_named("interp");
}

/* Medians are shown where there are few columns. */
enum { WIDE = 14, NARROW = 9 };

static int width(const struct bench_settings *set)
{
    return set->table == BENCH_OPTS ? NARROW : WIDE;
}

static void print_head(const struct bench_settings *set)
{
    printf("%-15s %-16s %6s %10s", "program", "kind", "insns", "native us");
    for (unsigned w = 1; w < bench_n_ways; w++)
        if (bench_way_is_shown(&bench_ways[w], set))
            printf("  %*s", width(set), bench_ways[w].name);
    printf("  %10s %7s %7s\n", "compile us", "ns/insn", "bytes");
}

static void print_pair(double least, double median, const struct bench_settings *set)
{
    if (least <= 0)
        printf("  %*s", width(set), "-");
    else if (width(set) == WIDE)
        printf("  %6.2f (%5.2f)", least, median);
    else
        printf("  %*.2f", width(set), least);
}

static void print_compile(double time, uint64_t insns, size_t bytes)
{
    if (time <= 0)
        printf("  %10s %7s", "-", "-");
    else
        printf("  %10.1f %7.0f", time * 1e6, insns ? time * 1e9 / (double)insns : 0);
    if (bytes)
        printf(" %7zu", bytes);
    printf("\n");
}

static void print_row(const struct bench_prog *prog, const struct bench_result *results,
                      const struct bench_settings *set)
{
    const struct bench_result *native = &results[BENCH_REFERENCE], *made = &results[compiled_way(set)];

    printf("%-15s %-16s %6u %10.1f", prog->name, prog->kind, prog->n_insns, native->least * 1e6);
    for (unsigned w = 1; w < bench_n_ways; w++)
        if (bench_way_is_shown(&bench_ways[w], set))
            print_pair(native->least > 0 ? results[w].least / native->least : 0,
                       native->median > 0 ? results[w].median / native->median : 0, set);
    print_compile(made->compile, prog->n_insns, made->code_size);
    fflush(stdout);
}

static void add_column(struct column *c, const struct bench_prog *prog, const struct bench_result *r,
                       const struct bench_result *native)
{
    double ratio = native->least > 0 ? r->least / native->least : 0;

    if (ratio <= 0)
        return;
    c->logs += log(ratio);
    c->median_logs += log(r->median / native->median);
    if (!c->n || ratio > c->most) {
        c->most = ratio;
        c->worst = prog->name;
    }
    c->least = !c->n || ratio < c->least ? ratio : c->least;
    c->n++;
}

/* Only differences that are no noise count as slower: both the minimum and the median must say so. */
#define SLOWER 1.03
static void add_contest(struct contest *c, const struct bench_result *ours, const struct bench_result *kernel)
{
    if (ours->least <= 0 || kernel->least <= 0)
        return;
    c->n++;
    c->faster += ours->least < kernel->least;
    c->slower += ours->least > kernel->least * SLOWER && ours->median > kernel->median * SLOWER;
    c->logs += log(ours->least / kernel->least);
}

static void add(struct sums *sums, const struct bench_prog *prog, const struct bench_result *results,
                const struct bench_settings *set)
{
    unsigned ours = compiled_way(set);

    for (unsigned w = 1; w < bench_n_ways; w++)
        add_column(&sums->columns[w], prog, &results[w], &results[BENCH_REFERENCE]);
    add_contest(&sums->contest, &results[ours], &results[bench_way_named("kernel")]);
    if (results[ours].compile > 0) {
        sums->compiled.time += results[ours].compile;
        sums->compiled.insns += prog->n_insns;
        sums->compiled.bytes += results[ours].code_size;
        sums->compiled.n++;
    }
}

enum sum_line { MEAN, OVER, MOST, WORST, LEAST, COUNT, LINES };

/* ours: the way that the others are compared with. */
static void print_sum(const struct column *c, const struct column *ours, enum sum_line line,
                      const struct bench_settings *set)
{
    double mean = c->n ? exp(c->logs / c->n) : 0;
    char text[32] = "-";

    if (c->n)
        switch (line) {
        case MEAN:
            if (width(set) == WIDE)
                snprintf(text, sizeof(text), "%.3f (%5.2f)", mean, exp(c->median_logs / c->n));
            else
                snprintf(text, sizeof(text), "%.3f", mean);
            break;
        case OVER: snprintf(text, sizeof(text), "%.3f", mean / (ours->n ? exp(ours->logs / ours->n) : 1)); break;
        case MOST: snprintf(text, sizeof(text), "%.2f", c->most); break;
        case WORST: snprintf(text, sizeof(text), "%.*s", width(set), c->worst); break;
        case LEAST: snprintf(text, sizeof(text), "%.2f", c->least); break;
        default: snprintf(text, sizeof(text), "%u", c->n);
        }
    printf("  %*s", width(set), text);
}

static void print_sums(const struct sums *sums, const struct bench_settings *set)
{
    static const char *const names[] = {"geometric mean", "over that of ours", "most", "", "least", "programs"};
    const struct contest *c = &sums->contest;
    const struct compile_sum *made = &sums->compiled;
    const char *ours = bench_ways[compiled_way(set)].name;

    for (enum sum_line line = MEAN; line < LINES; line++) {
        if (line == OVER && set->table == BENCH_MAIN)
            continue;
        printf("%-50s", names[line]);
        for (unsigned w = 1; w < bench_n_ways; w++)
            if (bench_way_is_shown(&bench_ways[w], set))
                print_sum(&sums->columns[w], &sums->columns[compiled_way(set)], line, set);
        printf("\n");
    }
    if (c->n)
        printf("%s against the kernel's JIT: faster in %u of %u, more than 3%% slower in %u, geometric mean %.3f.\n",
               ours, c->faster, c->n, c->slower, exp(c->logs / c->n));
    if (made->n)
        printf(
            "%s compiles, lowering included: %.1f us a program, %.3f us an instruction, %.1f bytes an instruction.\n",
            ours, made->time * 1e6 / made->n, made->time * 1e6 / (double)made->insns,
            (double)made->bytes / (double)made->insns);
}

static bool wanted(const char *name, char *const *names)
{
    for (char *const *n = names; *n; n++)
        if (!strcmp(*n, name))
            return true;
    return !*names;
}

static bool run_set(unsigned number, char *const *names, const struct bench_memory *memory, struct skep_env *env,
                    const struct bench_settings *settings)
{
    const struct bench_set *set = &bench_sets[number];
    struct sums sums = {0};
    bool good = true;

    printf("\nSet %u: %u programs.\n", number + 1, set->n);
    print_head(settings);
    for (const struct bench_prog *p = set->progs; p < set->progs + set->n; p++) {
        struct bench_result results[BENCH_MAX_WAYS];

        if (!wanted(p->name, names))
            continue;
        good = bench_measure(p, memory, env, settings, results) && good;
        print_row(p, results, settings);
        add(&sums, p, results, settings);
    }
    print_sums(&sums, settings);
    return good;
}

static int run_all(unsigned sets, char *const *names, const struct bench_memory *memory,
                   const struct bench_settings *settings)
{
    struct skep_env *env = env_new();
    bool good = env != NULL;

    printf(
        "CPU time over native code of clang -O2 without vectors: the least of %u runs, interleaved, and (the median).\n",
        settings->rounds * settings->warm);
    if (settings->table == BENCH_MAIN && memory->arena < 0)
        printf("kernel: not measured: %s\n", memory->why_not);
    else if (settings->table == BENCH_MAIN)
        printf("kernel: its JIT, memory in an arena, a may_goto in each loop; - is refused by its verifier.\n");
    for (unsigned s = 0; env && s < BENCH_SETS; s++)
        if (sets & 1u << s)
            good = run_set(s, names, memory, env, settings) && good;
    if (env)
        env_free(env);
    return good ? 0 : 1;
}

static int profile(const char *path, unsigned sets, const struct bench_memory *memory)
{
    FILE *out = strcmp(path, "-") ? fopen(path, "w") : stdout;

    if (!out) {
        fprintf(stderr, "bench: %s: %s\n", path, strerror(errno));
        return 2;
    }
    for (unsigned s = 0; s < BENCH_SETS; s++)
        if (sets & 1u << s)
            bench_profile(out, bench_sets[s].progs, bench_sets[s].n, memory->base, bench_prepare);
    if (out != stdout)
        fclose(out);
    return 0;
}

/* Machine code is made in one place for all programs, as it is in a process that has many. */
static void open_jit(struct bench_settings *set)
{
    const struct jit_config harden = {.harden = true};
    struct log log = {0};

    if (jit_new(&set->jit[0], NULL, &log))
        set->jit[0] = NULL;
    if (set->table != BENCH_OPTS || jit_new(&set->jit[1], &harden, &log))
        set->jit[1] = NULL;
    if (!set->jit[0])
        printf("jit: not measured: there is none for this machine\n");
}

static void close_jit(struct bench_settings *set)
{
    for (unsigned i = 0; i < 2; i++)
        if (set->jit[i])
            jit_put(set->jit[i]);
}

struct options {
    struct bench_settings settings;
    unsigned sets; /* a bit each */
    const char *profile_to;
};

static bool read_options(int argc, char **argv, struct options *o)
{
    static const char *const tables[] = {"main", "interp", "opts", "count"}, *const sets[] = {"1", "2", "both"};
    int c;

    while ((c = getopt(argc, argv, "r:w:s:t:p:")) != -1) {
        unsigned i = 0;

        switch (c) {
        case 'r': o->settings.rounds = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'w': o->settings.warm = (unsigned)strtoul(optarg, NULL, 10); break;
        case 's':
            while (i < 3 && strcmp(optarg, sets[i]))
                i++;
            o->sets = i < 3 ? i + 1 : 0;
            break;
        case 't':
            while (i < 4 && strcmp(optarg, tables[i]))
                i++;
            if (i == 4)
                return false;
            o->settings.table = 1u << i;
            break;
        case 'p': o->profile_to = optarg; break;
        default: return false;
        }
    }
    return optind < argc && o->sets && o->settings.rounds && o->settings.warm;
}

int main(int argc, char **argv)
{
    struct options o = {.settings = {.table = BENCH_MAIN, .rounds = 9, .warm = 3}, .sets = 1};
    struct bench_memory memory;
    int status = 2;

    if (!read_options(argc, argv, &o)) {
        fprintf(stderr, "usage: bench [-s 1|2|both] [-t main|interp|opts|count] [-r ROUNDS] [-w RUNS] [-p FILE] DIR "
                        "[PROGRAM...]\n");
        return 2;
    }
    if (!bench_memory_open(&memory, bench_largest())) {
        fprintf(stderr, "bench: no memory\n");
        return 2;
    }
    open_jit(&o.settings);
    if (bench_read(&bench_sets[0], argv[optind]) && bench_read(&bench_sets[1], argv[optind]))
        status = o.profile_to ? profile(o.profile_to, o.sets, &memory)
                              : run_all(o.sets, argv + optind + 1, &memory, &o.settings);
    bench_free(&bench_sets[0]);
    bench_free(&bench_sets[1]);
    close_jit(&o.settings);
    bench_memory_close(&memory);
    return status;
}
