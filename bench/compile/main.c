/*
 * compile [-r ROUNDS] [-g LARGEST] [-n] DIR [PROGRAM...]
 * How long compilation takes, and each of its stages. First the programs of both sets (or those named), as often as
 * ROUNDS says; the fastest counts. Then made programs of each shape: 1000 instructions, ten times as many, and
 * so on to LARGEST (as large as programs may be; -g 0: none; -n: these only), to show that time grows as size does. DIR
 * holds the bytecode of the sets.
 */
#include "bench/bench.h"
#include "bench/compile/compile.h"

#include "api/core/core.h"
#include "jit/jit.h"
#include "vm/ir/ir.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The whole as the engine does it, and the stages as they are done here. */
enum stage { WHOLE, LOWER, BUILD, OPTIMIZE, ALLOCATE, EMIT, STAGES };
static const char *const stage_names[STAGES] = {"whole", "lower", "build", "optimize", "allocate", "emit"};

struct times {
    double at[STAGES]; /* CPU seconds */
    size_t bytes;      /* of machine code */
};

enum { LARGEST = PROG_MAX_INSNS - SHAPE_SLACK };

static struct jit *home;
static struct times *under_way;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double since(double *last)
{
    double t = now(), took = t - *last;

    *last = t;
    return took;
}

static int allocate(struct ir *ir, const struct jit_opts *opts, struct jit_alloc *allocs)
{
    int err = 0;

    for (uint32_t i = 0; i < ir->n_funcs && !err; i++)
        err = jit_allocate(&ir->funcs[i], jit_host_target, opts, &allocs[i]);
    return err;
}

/* Stage by stage; what was made is thrown away. */
static int compile(struct code *code, const struct facts *facts, uint32_t passes)
{
    const struct jit_opts opts = {.opts = passes};
    double last = now(), *at = under_way->at;
    struct jit_alloc *allocs = NULL;
    struct jit_output out;
    struct ir *ir = NULL;
    int err = ir_build(code, facts, opts.opts, &ir);

    at[BUILD] += since(&last);
    if (!err)
        err = ir_optimize(ir, &jit_host_target->ir, opts.opts);
    at[OPTIMIZE] += since(&last);
    if (!err && !(allocs = calloc(ir->n_funcs, sizeof(*allocs))))
        err = -1;
    if (!err)
        err = allocate(ir, &opts, allocs);
    at[ALLOCATE] += since(&last);
    if (!err && !(err = jit_host_target->emit(ir, allocs, &opts, &out))) {
        under_way->bytes = out.size;
        jit_host_target->output_free(&out);
    }
    at[EMIT] += since(&last);
    for (uint32_t i = 0; allocs && i < ir->n_funcs; i++)
        jit_alloc_free(&allocs[i]);
    free(allocs);
    ir_free(ir);
    return err;
}

/* An engine's preparation. What has too much alive at once is compiled again with less, as the JIT does. */
static int prepare(struct code *code, const struct facts *facts, const struct log *log)
{
    int err = compile(code, facts, IR_OPT_ALL);

    (void)log;
    return err == -E2BIG ? compile(code, facts, IR_OPT_ALL & ~(IR_OPT_WEBS | IR_OPT_PROMOTE)) : err;
}

static void release(struct code *code)
{
    (void)code;
}

static void say(void *ctx, enum skep_log_level level, const char *text)
{
    (void)level;
    fprintf(stderr, "compile: %s: %s\n", (const char *)ctx, text);
}

static double lower(struct prog *prog, const struct engine *engine, const struct log *log)
{
    const struct code_opts opts = {.opts = CODE_OPT_ALL, .jit = home};
    struct code *code = NULL;
    double from = now();

    if (code_lower(prog, NULL, NULL, &opts, engine, log, &code))
        return -1;
    from = now() - from;
    code_put(code);
    return from;
}

/* Once more; the least of every stage is kept. @return false when it cannot be compiled. */
static bool measure(struct prog *prog, const char *name, struct times *best)
{
    static const struct engine stages = {
        .name = "stages", .passes = CODE_OPT_FACTS | CODE_OPT_INLINE, .prepare = prepare, .release = release};
    const struct log log = {.fn = say, .ctx = (void *)name, .max = SKEP_LOG_WARN};
    struct times t = {.bytes = 0};
    double all;

    under_way = &t;
    t.at[WHOLE] = lower(prog, &jit_engine, &log);
    all = lower(prog, &stages, &log);
    if (t.at[WHOLE] < 0 || all < 0)
        return false;
    t.at[LOWER] = all - t.at[BUILD] - t.at[OPTIMIZE] - t.at[ALLOCATE] - t.at[EMIT];
    for (enum stage s = WHOLE; s < STAGES; s++)
        if (!best->bytes || t.at[s] < best->at[s])
            best->at[s] = t.at[s];
    best->bytes = t.bytes;
    return true;
}

static struct prog *decode(const char *name, const struct skep_insn *insns, uint32_t n)
{
    const struct log log = {.fn = say, .ctx = (void *)name, .max = SKEP_LOG_WARN};
    const struct prog_spec spec = {.name = name, .insns = insns, .n_insns = n};
    struct prog *prog;

    return prog_new(&spec, false, &log, &prog) ? NULL : prog;
}

static void head(const char *what)
{
    printf("\n%-16s %9s", what, "insns");
    for (enum stage s = WHOLE; s < STAGES; s++)
        printf(" %9s", stage_names[s]);
    printf(" %9s\n", "bytes");
}

static void row(const char *name, uint32_t n, const struct times *t)
{
    printf("%-16s %9u", name, n);
    for (enum stage s = WHOLE; s < STAGES; s++)
        printf(" %9.1f", t->at[s] * 1e9 / n);
    printf(" %9.1f\n", (double)t->bytes / n);
    fflush(stdout);
}

static bool is_wanted(const char *name, char *const *names)
{
    for (char *const *n = names; *n; n++)
        if (!strcmp(*n, name))
            return true;
    return !*names;
}

static bool run_set(unsigned number, char *const *names, unsigned rounds)
{
    const struct bench_set *set = &bench_sets[number];
    struct times *best = calloc(set->n, sizeof(*best));
    struct prog **progs = calloc(set->n, sizeof(struct prog *));
    bool good = best && progs;
    double logs = 0, whole = 0;
    uint64_t insns = 0;
    unsigned n = 0;

    for (unsigned i = 0; i < set->n && good; i++)
        if (is_wanted(set->progs[i].name, names))
            good = (progs[i] = decode(set->progs[i].name, set->progs[i].insns, set->progs[i].n_insns)) != NULL;
    for (unsigned i = 0; i < set->n && good; i++)
        for (unsigned round = 0; round < rounds && good && progs[i]; round++)
            good = measure(progs[i], set->progs[i].name, &best[i]);
    head("program");
    for (unsigned i = 0; i < set->n && good; i++)
        if (progs[i]) {
            row(set->progs[i].name, set->progs[i].n_insns, &best[i]);
            logs += log(best[i].at[WHOLE] * 1e9 / set->progs[i].n_insns);
            whole += best[i].at[WHOLE];
            insns += set->progs[i].n_insns;
            n++;
        }
    if (n)
        printf("Set %u: %.3f us an instruction over all, %.3f as a geometric mean over programs.\n", number + 1,
               whole * 1e6 / (double)insns, exp(logs / n) / 1e3);
    for (unsigned i = 0; progs && i < set->n; i++)
        if (progs[i])
            prog_put(progs[i]);
    free(best);
    free(progs);
    return good;
}

/* ---- Growth ---- */

static bool grow(const struct shape *shape, uint32_t largest, struct skep_insn *room)
{
    double first = 0, last = 0;

    for (uint32_t size = 1000; size; size = size == largest ? 0 : size < largest / 10 ? size * 10 : largest) {
        uint32_t n = shape->make(room, size), rounds = size > 100000 ? 1 : size > 10000 ? 3 : 20;
        struct prog *prog = decode(shape->name, room, n);
        struct times best = {.bytes = 0};

        for (uint32_t i = 0; prog && i < rounds; i++)
            if (!measure(prog, shape->name, &best))
                break;
        if (prog)
            prog_put(prog);
        if (!best.bytes)
            return false;
        row(shape->name, n, &best);
        last = best.at[WHOLE] * 1e9 / n;
        first = first > 0 ? first : last;
    }
    printf("%-16s %9.2f times the time an instruction of the smallest: %s\n", "", last / first, shape->what);
    return true;
}

static bool grow_all(uint32_t largest, char *const *names)
{
    struct skep_insn *room = malloc(((size_t)largest + SHAPE_SLACK) * 2 * sizeof(*room));
    bool good = room != NULL;

    head("shape");
    for (unsigned i = 0; room && i < n_shapes; i++)
        if (is_wanted(shapes[i].name, names))
            good = grow(&shapes[i], largest, room) && good;
    free(room);
    return good;
}

int main(int argc, char **argv)
{
    unsigned rounds = 100;
    uint32_t largest = LARGEST;
    bool sets = true, good;
    int c;

    while ((c = getopt(argc, argv, "r:g:n")) != -1)
        switch (c) {
        case 'r': rounds = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'g': largest = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 'n': sets = false; break;
        default: optind = argc;
        }
    if (optind >= argc || !rounds || (largest && largest < 10000) || largest > LARGEST) {
        fprintf(stderr, "usage: compile [-r ROUNDS] [-g LARGEST] [-n] DIR [PROGRAM...]\n");
        return 2;
    }
    if (jit_new(&home, NULL, &(struct log){.fn = say, .ctx = "machine code", .max = SKEP_LOG_WARN}))
        return 2;
    good = bench_read(&bench_sets[0], argv[optind]) && bench_read(&bench_sets[1], argv[optind]);
    printf(
        "CPU time in nanoseconds an instruction, the least; lowering, and machine code put in its place, are part of "
        "the whole.\n");
    for (unsigned s = 0; s < BENCH_SETS && good && sets; s++)
        good = run_set(s, argv + optind + 1, rounds);
    if (good && largest)
        good = grow_all(largest, argv + optind + 1);
    for (unsigned s = 0; s < BENCH_SETS; s++)
        bench_free(&bench_sets[s]);
    jit_put(home);
    return good ? 0 : 1;
}
