/*
 * bench [-r ROUNDS] [-w RUNS] [-o] [-p FILE] DIR [PROGRAM...]
 * Runs every program in every way, in turn, several rounds, and keeps the least CPU time of each; DIR holds the
 * bytecode. Each run starts from the same memory and must return the same value and leave the same memory as native
 * code. -o adds our engine with each optimisation alone; -p writes a profile of what is executed and runs nothing else.
 * Exit status 1 when results differ.
 */
#include "bench/bench.h"

#include "vm/env.h"
#include "vm/interp/interp.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PROG(name, kind, size)                                                                                         \
    uint64_t bench_##name(void *mem, uint64_t len);                                                                    \
    void fill_##name(unsigned char *mem, uint64_t len) __attribute__((weak));
#include "bench/progs.def"

#define PROG(name, kind, size) {#name, kind, size, bench_##name, fill_##name, NULL, 0, NULL, 0},
static struct bench_prog progs[] = {
#include "bench/progs.def"
};
enum { N_PROGS = sizeof(progs) / sizeof(progs[0]) };

/* The ways to run a program. Ratios are over the first. */
static const struct way {
    const char *name;
    enum { NATIVE, KERNEL, OURS } how;
    struct code_opts opts;
    bool extra; /* only with -o */
} ways[] = {
    {"native", NATIVE, {0}, false},
    {"kernel", KERNEL, {0}, false},
    {"interp", OURS, {.opts = CODE_OPT_ALL}, false},
    {"plain", OURS, {.opts = 0}, false},
    {"checked", OURS, {.checked = true, .opts = CODE_OPT_ALL}, false},
    {"special", OURS, {.opts = CODE_OPT_SPECIAL}, true},
    {"fuse", OURS, {.opts = CODE_OPT_FUSE}, true},
    {"chk-plain", OURS, {.checked = true}, true},
};
enum { N_WAYS = sizeof(ways) / sizeof(ways[0]), INTERP = 2, CHECKED = 4 };

struct settings {
    unsigned rounds, warm;
    bool extras;
};

struct result {
    double time; /* seconds; 0: not run this way */
    double *samples;
    unsigned n;
    struct code *code;
    int fd;
};

static struct {
    unsigned char *pristine, *expected; /* memory before and after */
    uint64_t value;
} reference;

static double cpu_time(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void fill_random(unsigned char *mem, uint32_t size)
{
    uint64_t x = 88172645463325252u;

    for (uint32_t i = 0; i < size; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        mem[i] = (unsigned char)(x >> 32);
    }
}

static void prepare(const struct bench_prog *prog, unsigned char *mem)
{
    fill_random(mem, prog->size);
    if (prog->fill)
        prog->fill(mem, prog->size);
}

static struct skep_insn *read_insns(const char *dir, const char *name, const char *suffix, uint32_t *n)
{
    char path[512];
    struct skep_insn *insns = NULL;
    FILE *file;
    long size = 0;

    snprintf(path, sizeof(path), "%s/%s%s", dir, name, suffix);
    file = fopen(path, "rb");
    if (file && !fseek(file, 0, SEEK_END) && (size = ftell(file)) > 0 && size % 8 == 0 &&
        (insns = malloc((size_t)size))) {
        rewind(file);
        if (fread(insns, 1, (size_t)size, file) != (size_t)size) {
            free(insns);
            insns = NULL;
        }
    }
    if (file)
        fclose(file);
    if (!insns)
        fprintf(stderr, "bench: %s: not a file of instructions\n", path);
    *n = (uint32_t)(size / 8);
    return insns;
}

static void say(void *ctx, enum skep_log_level level, const char *text)
{
    (void)level;
    fprintf(stderr, "bench: %s: %s\n", (const char *)ctx, text);
}

static struct code *lower(const struct bench_prog *prog, const struct code_opts *opts)
{
    struct log log = {.fn = say, .ctx = (void *)prog->name, .max = SKEP_LOG_WARN};
    struct prog_spec spec = {.name = prog->name, .insns = prog->insns, .n_insns = prog->n_insns};
    struct prog *made;
    struct code *code = NULL;

    if (prog_new(&spec, false, &log, &made))
        return NULL;
    code_lower(made, NULL, NULL, opts, &interp_engine, &log, &code);
    prog_put(made);
    return code;
}

static bool run_ours(struct skep_env *env, const struct code *code, const struct bench_prog *prog, unsigned char *mem,
                     uint64_t *value)
{
    env->checked = code->opts.checked;
    env->ctx = mem;
    env->ctx_size = prog->size;
    env->ctx_layout = NULL;
    if (!env_run(env, code, (uintptr_t)mem, prog->size, value))
        return true;
    fprintf(stderr, "bench: %s: trap at %u: %s %s\n", prog->name, env->trap.insn, trap_name(env->trap.kind),
            env->trap.text);
    return false;
}

/* Runs once and keeps the time. @return false when the result is wrong. */
static bool run_once(const struct way *way, struct result *result, struct skep_env *env, const struct bench_prog *prog,
                     unsigned char *mem)
{
    uint64_t value = 0, expected = reference.value;
    uint32_t low = 0;
    bool ran = true;
    double time;

    memcpy(mem, reference.pristine, prog->size);
    time = cpu_time();
    switch (way->how) {
    case NATIVE: value = prog->native(mem, prog->size); break;
    case OURS: ran = run_ours(env, result->code, prog, mem, &value); break;
    case KERNEL: ran = bench_kernel_run(result->fd, prog->size, &low); break;
    }
    time = cpu_time() - time;
    if (way->how == KERNEL) { /* 32 bits of the result come back */
        value = low;
        expected = (uint32_t)expected;
    }
    if (!ran || value != expected || memcmp(mem, reference.expected, prog->size)) {
        fprintf(stderr, "bench: %s: %s returns %#llx where native code returns %#llx%s\n", prog->name, way->name,
                (unsigned long long)value, (unsigned long long)expected,
                memcmp(mem, reference.expected, prog->size) ? ", and leaves other memory" : "");
        return false;
    }
    result->samples[result->n++] = time;
    return true;
}

static bool open_way(const struct way *way, struct result *result, const struct bench_prog *prog,
                     const struct bench_memory *memory, const struct settings *set)
{
    char why[400];

    result->fd = -1;
    result->samples = calloc((size_t)set->rounds * set->warm, sizeof(result->samples[0]));
    if (!result->samples)
        return false;
    switch (way->how) {
    case NATIVE: return true;
    case OURS: return (result->code = lower(prog, &way->opts)) != NULL;
    case KERNEL:
        if (memory->arena < 0)
            return false;
        result->fd = bench_kernel_load(prog, memory, why, sizeof(why));
        if (result->fd < 0)
            fprintf(stderr, "bench: %s: refused by the kernel: %s\n", prog->name, why);
        return result->fd >= 0;
    }
    return false;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void close_way(struct result *result)
{
    if (result->n) {
        qsort(result->samples, result->n, sizeof(result->samples[0]), by_value);
        result->time = result->samples[result->n / 8];
    }
    free(result->samples);
    if (result->code)
        code_put(result->code);
    if (result->fd >= 0)
        close(result->fd);
}

/* All ways of one program, interleaved. @return false when a result was wrong or a way of ours could not be opened. */
static bool measure(const struct bench_prog *prog, struct result *results, const struct bench_memory *memory,
                    struct skep_env *env, const struct settings *set)
{
    bool open[N_WAYS], good = true;

    prepare(prog, memory->base);
    memcpy(reference.pristine, memory->base, prog->size);
    reference.value = prog->native(memory->base, prog->size);
    memcpy(reference.expected, memory->base, prog->size);
    for (unsigned w = 0; w < N_WAYS; w++) {
        results[w].fd = -1;
        open[w] = (!ways[w].extra || set->extras) && open_way(&ways[w], &results[w], prog, memory, set);
        if (ways[w].how == OURS && !open[w] && (!ways[w].extra || set->extras))
            good = false;
    }
    for (unsigned turn = 0; turn < set->rounds * N_WAYS; turn++)
        for (unsigned w = turn % N_WAYS, run = 0; open[w] && run < set->warm; run++)
            if (!run_once(&ways[w], &results[w], env, prog, memory->base)) {
                open[w] = good = false;
                results[w].n = 0;
            }
    for (unsigned w = 0; w < N_WAYS; w++)
        close_way(&results[w]);
    return good;
}

/* The table. */

static void print_ratio(double ratio)
{
    if (ratio > 0)
        printf(" %9.2f", ratio);
    else
        printf(" %9s", "-");
}

static void print_head(bool extras)
{
    printf("%-15s %-16s %6s %10s", "program", "kind", "insns", "native us");
    for (unsigned w = 1; w < N_WAYS; w++)
        if (!ways[w].extra || extras)
            printf(" %9s", ways[w].name);
    printf(" %9s\n", "chk/intp");
}

static double ratio_of(const struct result *results, unsigned w)
{
    return results[0].time > 0 ? results[w].time / results[0].time : 0;
}

static void print_row(const struct bench_prog *prog, const struct result *results, bool extras)
{
    printf("%-15s %-16s %6u %10.1f", prog->name, prog->kind, prog->n_insns, results[0].time * 1e6);
    for (unsigned w = 1; w < N_WAYS; w++)
        if (!ways[w].extra || extras)
            print_ratio(ratio_of(results, w));
    print_ratio(results[INTERP].time > 0 ? results[CHECKED].time / results[INTERP].time : 0);
    printf("\n");
    fflush(stdout);
}

struct summary {
    double logs, most, least;
    unsigned n;
};

static void summarise(struct summary *s, double ratio)
{
    if (ratio <= 0)
        return;
    s->logs += log(ratio);
    s->most = !s->n || ratio > s->most ? ratio : s->most;
    s->least = !s->n || ratio < s->least ? ratio : s->least;
    s->n++;
}

enum summary_line { MEAN, MOST, LEAST, COUNT };

static void print_summary(const struct summary *sums, bool extras)
{
    static const char *const names[] = {"geometric mean", "most", "least", "programs"};

    for (enum summary_line line = MEAN; line <= COUNT; line++) {
        printf("%-49s ", names[line]);
        for (unsigned w = 1; w <= N_WAYS; w++) {
            const struct summary *s = &sums[w];

            if (w < N_WAYS && ways[w].extra && !extras)
                continue;
            if (line == COUNT)
                printf(" %9u", s->n);
            else
                print_ratio(!s->n ? 0 : line == MEAN ? exp(s->logs / s->n) : line == MOST ? s->most : s->least);
        }
        printf("\n");
    }
}

static bool wanted(const char *name, char *const *names)
{
    for (char *const *n = names; *n; n++)
        if (!strcmp(*n, name))
            return true;
    return !*names;
}

static uint32_t largest(void)
{
    uint32_t size = 0;

    for (unsigned i = 0; i < N_PROGS; i++)
        size = progs[i].size > size ? progs[i].size : size;
    return size;
}

static int run_all(char *const *names, const struct bench_memory *memory, const struct settings *set)
{
    struct summary sums[N_WAYS + 1] = {0};
    struct skep_env *env = env_new();
    bool good = env != NULL;

    printf("CPU time over native code of clang-19 -O2 without vectors; the least of %u interleaved rounds of %u.\n",
           set->rounds, set->warm);
    if (memory->arena < 0)
        printf("kernel: not measured: %s\n", memory->why_not);
    else
        printf("kernel: its JIT, memory in an arena, a may_goto in each loop; - is refused by its verifier.\n");
    print_head(set->extras);
    for (unsigned i = 0; env && i < N_PROGS; i++) {
        struct result results[N_WAYS] = {0};

        if (!wanted(progs[i].name, names))
            continue;
        good = measure(&progs[i], results, memory, env, set) && good;
        print_row(&progs[i], results, set->extras);
        for (unsigned w = 1; w < N_WAYS; w++)
            summarise(&sums[w], ratio_of(results, w));
        if (results[INTERP].time > 0)
            summarise(&sums[N_WAYS], results[CHECKED].time / results[INTERP].time);
    }
    print_summary(sums, set->extras);
    if (env)
        env_free(env);
    return good ? 0 : 1;
}

static int profile(const char *path, const struct bench_memory *memory)
{
    FILE *out = strcmp(path, "-") ? fopen(path, "w") : stdout;

    if (!out) {
        fprintf(stderr, "bench: %s: %s\n", path, strerror(errno));
        return 2;
    }
    bench_profile(out, progs, N_PROGS, memory->base, prepare);
    if (out != stdout)
        fclose(out);
    return 0;
}

static bool read_programs(const char *dir)
{
    for (unsigned i = 0; i < N_PROGS; i++) {
        progs[i].insns = read_insns(dir, progs[i].name, ".bin", &progs[i].n_insns);
        progs[i].kernel_insns = read_insns(dir, progs[i].name, ".kernel.bin", &progs[i].n_kernel_insns);
        if (!progs[i].insns || !progs[i].kernel_insns)
            return false;
    }
    return true;
}

static void free_programs(void)
{
    for (unsigned i = 0; i < N_PROGS; i++) {
        free(progs[i].insns);
        free(progs[i].kernel_insns);
    }
    free(reference.pristine);
    free(reference.expected);
}

int main(int argc, char **argv)
{
    struct bench_memory memory;
    const char *profile_to = NULL;
    struct settings set = {.rounds = 9, .warm = 3};
    int c, status = 2;

    while ((c = getopt(argc, argv, "r:w:op:")) != -1) {
        switch (c) {
        case 'r': set.rounds = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'w': set.warm = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'o': set.extras = true; break;
        case 'p': profile_to = optarg; break;
        default: optind = argc;
        }
    }
    if (optind >= argc || !set.rounds || !set.warm) {
        fprintf(stderr, "usage: bench [-r ROUNDS] [-w RUNS] [-o] [-p FILE] DIR [PROGRAM...]\n");
        return 2;
    }
    reference.pristine = malloc(largest());
    reference.expected = malloc(largest());
    if (!reference.pristine || !reference.expected || !bench_memory_open(&memory, largest()))
        fprintf(stderr, "bench: no memory\n");
    else if (read_programs(argv[optind]))
        status = profile_to ? profile(profile_to, &memory) : run_all(argv + optind + 1, &memory, &set);
    free_programs();
    return status;
}
