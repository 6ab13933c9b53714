/*
 * One program in all its ways, in turn, so that whatever disturbs the machine disturbs them alike. A sample is the CPU
 * time of one run, which starts from the same memory as all others and must end with the same.
 */
#include "bench/bench.h"

#include "api/core/core.h"
#include "jit/jit.h"
#include "vm/env.h"
#include "vm/ir/ir.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { COMPILES = 15 };

/* clang-format off */
#define INTERP(name, tables, ...) {name, BENCH_OURS, tables, "interp", {__VA_ARGS__}, false}
#define JIT(name, tables, ...)    {name, BENCH_OURS, tables, "jit", {.opts = CODE_OPT_ALL, ##__VA_ARGS__}, false}
#define WITHOUT(name, bits)       JIT(name, BENCH_OPTS, .no_ir = (bits))

const struct bench_way bench_ways[] = {
    {"native", BENCH_NATIVE, BENCH_MAIN | BENCH_INTERP | BENCH_OPTS | BENCH_COUNT, NULL, {0}, false},
    {"vectors", BENCH_VECTOR, BENCH_MAIN, NULL, {0}, false},
    {"kernel", BENCH_KERNEL, BENCH_MAIN, NULL, {0}, false},
    INTERP("interp", BENCH_MAIN | BENCH_INTERP, .opts = CODE_OPT_ALL),
    JIT("jit", BENCH_MAIN | BENCH_OPTS | BENCH_COUNT),
    INTERP("plain", BENCH_INTERP, .opts = 0),
    INTERP("checked", BENCH_INTERP, .checked = true, .opts = CODE_OPT_ALL),
    INTERP("special", BENCH_INTERP, .opts = CODE_OPT_SPECIAL),
    INTERP("fuse", BENCH_INTERP, .opts = CODE_OPT_FUSE),
    INTERP("chk-plain", BENCH_INTERP, .checked = true),
    WITHOUT("-promote", IR_OPT_PROMOTE),
    WITHOUT("-webs", IR_OPT_WEBS),
    WITHOUT("-simplify", IR_OPT_SIMPLIFY),
    WITHOUT("-rotate", IR_OPT_ROTATE),
    WITHOUT("-address", IR_OPT_ADDRESS),
    WITHOUT("-wide", IR_OPT_WIDE),
    WITHOUT("-memory", IR_OPT_MEMORY),
    WITHOUT("-select", IR_OPT_SELECT),
    WITHOUT("-divide", IR_OPT_DIVIDE),
    WITHOUT("-unroll", IR_OPT_UNROLL),
    WITHOUT("-alloc", JIT_NO_ALLOC),
    WITHOUT("-layout", JIT_NO_LAYOUT),
    WITHOUT("none", JIT_NO_ALL),
    JIT("budget", BENCH_OPTS | BENCH_COUNT, .count_insns = true),
    {"hardened", BENCH_OURS, BENCH_OPTS, "jit", {.opts = CODE_OPT_ALL}, true},
};
/* clang-format on */
const unsigned bench_n_ways = sizeof(bench_ways) / sizeof(bench_ways[0]);

struct open_way {
    bool open;
    double *samples;
    unsigned n;
    struct code *code;
    int fd;
};

struct reference {
    unsigned char *pristine, *expected; /* memory before and after */
    uint64_t value;
};

unsigned bench_way_named(const char *name)
{
    unsigned w = 0;

    while (strcmp(bench_ways[w].name, name))
        w++;
    return w;
}

static bool is_jit(const struct bench_way *way)
{
    return way->engine && !strcmp(way->engine, "jit");
}

bool bench_way_is_shown(const struct bench_way *way, const struct bench_settings *settings)
{
    return way->tables & settings->table && (!is_jit(way) || settings->jit[way->harden]);
}

static double cpu_time(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void say(void *ctx, enum skep_log_level level, const char *text)
{
    (void)level;
    fprintf(stderr, "bench: %s: %s\n", (const char *)ctx, text);
}

/* Lowers some times over and keeps the last. */
static struct code *compile(const struct bench_prog *prog, const struct bench_way *way, struct jit *jit, double *least)
{
    struct log log = {.fn = say, .ctx = (void *)prog->name, .max = SKEP_LOG_WARN};
    struct prog_spec spec = {.name = prog->name, .insns = prog->insns, .n_insns = prog->n_insns};
    const struct engine *engine = engine_find(way->engine);
    struct code_opts opts = way->opts;
    struct prog *made;
    struct code *code = NULL;

    *least = 0;
    opts.jit = jit;
    if (prog_new(&spec, false, &log, &made))
        return NULL;
    for (unsigned i = 0; i < COMPILES; i++) {
        double time = cpu_time();

        if (code)
            code_put(code);
        code = NULL;
        time = cpu_time();
        if (code_lower(made, NULL, NULL, &opts, engine, &log, &code))
            break;
        time = cpu_time() - time;
        *least = !i || time < *least ? time : *least;
    }
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
static bool run_once(const struct bench_way *way, struct open_way *open, struct skep_env *env,
                     const struct bench_prog *prog, const struct reference *ref, unsigned char *mem)
{
    uint64_t value = 0, expected = ref->value;
    uint32_t low = 0;
    bool ran = true, same;
    double time;

    memcpy(mem, ref->pristine, prog->size);
    time = cpu_time();
    switch (way->how) {
    case BENCH_NATIVE: value = prog->native(mem, prog->size); break;
    case BENCH_VECTOR: value = prog->vector(mem, prog->size); break;
    case BENCH_OURS: ran = run_ours(env, open->code, prog, mem, &value); break;
    case BENCH_KERNEL: ran = bench_kernel_run(open->fd, prog->size, &low); break;
    }
    time = cpu_time() - time;
    if (way->how == BENCH_KERNEL) { /* 32 bits of the result come back */
        value = low;
        expected = (uint32_t)expected;
    }
    same = !memcmp(mem, ref->expected, prog->size);
    if (!ran || value != expected || !same) {
        fprintf(stderr, "bench: %s: %s returns %#llx where native code returns %#llx%s\n", prog->name, way->name,
                (unsigned long long)value, (unsigned long long)expected, same ? "" : ", and leaves other memory");
        return false;
    }
    open->samples[open->n++] = time;
    return true;
}

static bool open_way(const struct bench_way *way, struct open_way *open, const struct bench_prog *prog,
                     const struct bench_memory *memory, const struct bench_settings *set, struct bench_result *result)
{
    struct jit_view view;
    char why[400];

    open->samples = calloc((size_t)set->rounds * set->warm, sizeof(open->samples[0]));
    if (!open->samples)
        return false;
    switch (way->how) {
    case BENCH_NATIVE:
    case BENCH_VECTOR: return true;
    case BENCH_OURS:
        open->code = compile(prog, way, is_jit(way) ? set->jit[way->harden] : NULL, &result->compile);
        if (open->code && jit_view(open->code, &view))
            result->code_size = view.size;
        return open->code != NULL;
    case BENCH_KERNEL:
        if (memory->arena < 0)
            return false;
        open->fd = bench_kernel_load(prog, memory, why, sizeof(why));
        if (open->fd < 0)
            fprintf(stderr, "bench: %s: refused by the kernel: %s\n", prog->name, why);
        return open->fd >= 0;
    }
    return false;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void close_way(struct open_way *open, struct bench_result *result)
{
    if (open->open && open->n) {
        qsort(open->samples, open->n, sizeof(open->samples[0]), by_value);
        result->least = open->samples[0];
        result->median = open->samples[open->n / 2];
    }
    free(open->samples);
    if (open->code)
        code_put(open->code);
    if (open->fd >= 0)
        close(open->fd);
}

static bool make_reference(struct reference *ref, const struct bench_prog *prog, unsigned char *mem)
{
    ref->pristine = malloc(prog->size);
    ref->expected = malloc(prog->size);
    if (!ref->pristine || !ref->expected)
        return false;
    bench_prepare(prog, mem);
    memcpy(ref->pristine, mem, prog->size);
    ref->value = prog->native(mem, prog->size);
    memcpy(ref->expected, mem, prog->size);
    return true;
}

bool bench_measure(const struct bench_prog *prog, const struct bench_memory *memory, struct skep_env *env,
                   const struct bench_settings *set, struct bench_result *results)
{
    struct open_way opened[BENCH_MAX_WAYS] = {0};
    struct reference ref = {0};
    bool good = make_reference(&ref, prog, memory->base);

    for (unsigned w = 0; w < bench_n_ways; w++) {
        const struct bench_way *way = &bench_ways[w];

        results[w] = (struct bench_result){0};
        opened[w].fd = -1;
        if (!good || !bench_way_is_shown(way, set))
            continue;
        opened[w].open = open_way(way, &opened[w], prog, memory, set, &results[w]);
        if (!opened[w].open && way->how != BENCH_KERNEL)
            good = false;
    }
    for (unsigned turn = 0; turn < set->rounds * bench_n_ways; turn++)
        for (unsigned w = turn % bench_n_ways, run = 0; opened[w].open && run < set->warm; run++)
            if (!run_once(&bench_ways[w], &opened[w], env, prog, &ref, memory->base))
                opened[w].open = good = false;
    for (unsigned w = 0; w < bench_n_ways; w++)
        close_way(&opened[w], &results[w]);
    free(ref.pristine);
    free(ref.expected);
    return good;
}
