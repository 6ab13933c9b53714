/*
 * The JIT as an engine: what becomes of level-0 code on its way to machine code, and how a run gets there. Each step
 * hands on a finished thing and keeps nothing: form (vm/ir), places (allocation), bytes (the target), memory. What a
 * program keeps is one block of code: the trampoline first, then its functions; and the tables that tell of them.
 */
#include "jit/engine.h"
#include "jit/runtime.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { TRAMPOLINE_ROOM = 512, MAX_CODE = 1 << 30 };

/* What a program of this engine keeps in code->engine_data. */
struct jit_code {
    uint64_t (*enter)(struct skep_env *env, uint64_t fp, const uint64_t args[5], const void *function);
    const void **functions; /* where each begins */
    struct jit *jit;
    struct jitmem_block *block;
    struct jit_view view;
    void *gdb;
};

/* ---- The home of code ---- */

struct jit {
    uint32_t refs; /* atomic */
    struct jit_config config;
    const struct jit_target *target;
    struct jitmem *mem;
    struct jit_perf *perf;
};

int jit_new(struct jit **out, const struct jit_config *config, const struct log *log)
{
    const struct jit_target *target = config && config->plain ? jit_host_plain_target : jit_host_target;
    const char *lacks = target ? target->usable() : "there is no target for this machine";
    struct jit *jit;
    int err;

    if (lacks)
        return log_fail(log, -EOPNOTSUPP, "no machine code: %s", lacks);
    jit = calloc(1, sizeof(*jit));
    if (!jit)
        return -ENOMEM;
    jit->refs = 1;
    jit->target = target;
    if (config)
        jit->config = *config;
    struct jitmem_opts opts = {.limit = jit->config.limit, .harden = jit->config.harden};
    memcpy(opts.trap, target->trap, sizeof(opts.trap));
    err = jitmem_new(&jit->mem, &opts, log);
    if (!err && (jit->config.perf_map || jit->config.jitdump))
        err = jit_perf_new(&jit->perf, &jit->config, log);
    jit->config.jitdump = NULL; /* the caller's */
    if (err) {
        jit_put(jit);
        return err;
    }
    *out = jit;
    return 0;
}

struct jit *jit_get(struct jit *jit)
{
    __atomic_add_fetch(&jit->refs, 1, __ATOMIC_RELAXED);
    return jit;
}

void jit_put(struct jit *jit)
{
    if (!jit || __atomic_sub_fetch(&jit->refs, 1, __ATOMIC_ACQ_REL))
        return;
    jit_perf_free(jit->perf);
    if (jit->mem)
        jitmem_free(jit->mem);
    free(jit);
}

struct jitmem_usage jit_usage(struct jit *jit)
{
    return jitmem_usage(jit->mem);
}

/* ---- From level 0 to machine code ---- */

/* What is under way. */
struct making {
    struct code *code;
    const struct log *log;
    const struct jit_target *target;
    struct jit_opts opts;
    struct ir *ir;
    struct jit_alloc *allocs;
    uint32_t n_allocs;
    struct jit_output out;
    bool emitted;
    struct jit_code *made;
};

static uint64_t draw(void)
{
    uint64_t v = 0;

    while (getrandom(&v, sizeof(v), 0) < 0 && errno == EINTR)
        ;
    return v;
}

static struct jit_opts choose(const struct code *code, const struct jit *jit)
{
    uint32_t off = code->opts.no_ir;

    return (struct jit_opts){.opts = IR_OPT_ALL & ~off,
                             .no_alloc_opt = off & JIT_NO_ALLOC,
                             .no_layout = off & JIT_NO_LAYOUT,
                             .harden = jit->config.harden,
                             .poll = code->opts.count_insns,
                             .random = jit->config.harden ? draw() : 0};
}

static int allocate(struct making *m)
{
    m->allocs = calloc(m->ir->n_funcs, sizeof(*m->allocs));
    if (!m->allocs)
        return -ENOMEM;
    for (; m->n_allocs < m->ir->n_funcs; m->n_allocs++) {
        int err = jit_allocate(&m->ir->funcs[m->n_allocs], m->target, &m->opts, &m->allocs[m->n_allocs]);
        if (err)
            return err;
    }
    return 0;
}

static void drop_making(struct making *m)
{
    if (m->emitted)
        m->target->output_free(&m->out);
    m->emitted = false;
    for (uint32_t i = 0; i < m->n_allocs; i++)
        jit_alloc_free(&m->allocs[i]);
    m->n_allocs = 0;
    free(m->allocs);
    m->allocs = NULL;
    ir_free(m->ir);
    m->ir = NULL;
}

static int compile_once(struct making *m, const struct facts *facts)
{
    int err = ir_build(m->code, facts, m->opts.opts, &m->ir);

    if (!err)
        err = ir_optimize(m->ir, &m->target->ir, m->opts.opts | (m->opts.harden ? IR_KEEP_SECRETS : 0));
    if (!err)
        err = allocate(m);
    if (!err) {
        err = m->target->emit(m->ir, m->allocs, &m->opts, &m->out);
        m->emitted = !err;
    }
    if (!err && m->out.size > MAX_CODE)
        err = -E2BIG;
    return err;
}

/* A program with too much alive at once, as generators make them, has the eleven registers that it was written for. */
static int compile(struct making *m, const struct facts *facts)
{
    const uint32_t many = IR_OPT_WEBS | IR_OPT_PROMOTE;
    int err = compile_once(m, facts);

    if (err == -E2BIG && m->opts.opts & many) {
        drop_making(m);
        m->opts.opts &= ~many;
        err = compile_once(m, facts);
    }
    return err;
}

/* The tables that outlive compilation, with offsets from the beginning of the block. */
static int keep_tables(struct making *m, uint32_t at, size_t size, const struct jit_frame *trampoline)
{
    uint32_t n = m->ir->n_funcs, n_lines = m->out.n_lines;
    struct jit_frame *frames = calloc(n + 1, sizeof(*frames));
    struct jit_line *lines = malloc((n_lines + 1) * sizeof(*lines));
    uint32_t *entry = malloc(n * sizeof(*entry));

    m->made->view = (struct jit_view){
        .size = size, .frames = frames, .n_funcs = n, .entry = entry, .lines = lines, .n_lines = n_lines};
    m->made->functions = malloc(n * sizeof(*m->made->functions));
    if (!frames || !lines || !entry || !m->made->functions)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++) {
        entry[i] = m->out.entry[i] + at;
        frames[i] = m->out.frames[i];
        frames[i].begin += at;
        frames[i].body += at;
        frames[i].end += at;
        frames[i].late += at;
    }
    frames[n] = *trampoline;
    for (uint32_t i = 0; i < n_lines; i++)
        lines[i] = (struct jit_line){m->out.lines[i].offset + at, m->out.lines[i].slot};
    return 0;
}

/* Bytes that nothing jumps to. */
static void fill(uint8_t *bytes, size_t from, size_t to, const uint8_t trap[4])
{
    for (; from < to; from++)
        bytes[from] = trap[from % 4];
}

static int place(struct making *m, struct jit *jit)
{
    uint8_t head[TRAMPOLINE_ROOM], *bytes;
    struct jit_frame frame = {0};
    size_t used = m->target->trampoline(head, sizeof(head), &frame);
    size_t at = (used + JITMEM_ALIGN - 1) / JITMEM_ALIGN * JITMEM_ALIGN, size = at + m->out.size;
    int err = keep_tables(m, (uint32_t)at, size, &frame);

    if (!err)
        err = jitmem_take(jit->mem, &m->made->block, size, JITMEM_ALIGN, m->log);
    if (err)
        return err;
    bytes = malloc(size);
    if (!bytes)
        return -ENOMEM;
    const uint8_t *address = jitmem_address(m->made->block);
    memcpy(bytes, head, used);
    fill(bytes, used, at, m->target->trap);
    err = m->target->write(&m->out, bytes + at, (uintptr_t)address + at);
    if (!err)
        err = jitmem_publish(m->made->block, bytes, size, m->log);
    free(bytes);
    if (err)
        return err;
    m->made->view.code = address;
    memcpy(&m->made->enter, &address, sizeof(address));
    for (uint32_t i = 0; i < m->ir->n_funcs; i++)
        m->made->functions[i] = address + m->made->view.entry[i];
    m->code->machine_code = address + at + m->out.tail_entry;
    return 0;
}

static void drop_made(struct jit_code *made)
{
    if (!made)
        return;
    jit_gdb_remove(made->gdb);
    jitmem_give(made->block);
    free((void *)made->view.frames);
    free((void *)made->view.lines);
    free((void *)made->view.entry);
    free(made->functions);
    jit_put(made->jit);
    free(made);
}

/* Whoever looks on learns of code before it runs for the first time. What that costs in failure is only their view. */
static void tell(struct making *m, struct jit *jit)
{
    if (jit->perf)
        jit_perf_add(jit->perf, m->code->prog, &m->made->view);
    if (jit->config.gdb)
        m->made->gdb = jit_gdb_add(m->code->prog, m->target, &m->made->view);
}

static int prepare(struct code *code, const struct facts *facts, const struct log *log)
{
    struct making m = {.code = code, .log = log};
    struct jit *jit = NULL;
    int err;

    if (code->opts.checked)
        return log_fail(log, -EINVAL, "program '%s': machine code checks nothing", code->prog->name);
    if (code->opts.jit)
        jit = jit_get(code->opts.jit);
    else if ((err = jit_new(&jit, NULL, log)))
        return err;
    m.made = calloc(1, sizeof(*m.made));
    m.target = jit->target;
    m.opts = choose(code, jit);
    err = m.made ? compile(&m, facts) : -ENOMEM;
    if (!err)
        err = place(&m, jit);
    if (!err)
        tell(&m, jit);
    drop_making(&m);
    if (err) {
        drop_made(m.made);
        jit_put(jit);
        return err == -ENOMEM
                   ? err
                   : log_fail(log, err, "program '%s': no machine code: %s", code->prog->name, strerror(-err));
    }
    m.made->jit = jit;
    code->opts.jit = NULL; /* the reference is in engine_data */
    code->engine_data = m.made;
    return 0;
}

static void release(struct code *code)
{
    drop_made(code->engine_data);
}

/* ---- Running ---- */

/* A callback may be called without end: it costs at least its own length, as in the interpreter. */
static bool charge(const struct code *code, uint32_t func, struct skep_env *env)
{
    const struct prog_func *f = &code->prog->funcs[func];

    if (env->frame)
        env->fuel -= f->end - f->start;
    if (env->fuel >= 0 || jit_refuel(env, env->fuel) >= 0)
        return true;
    jit_trapped(env, f->start);
    return false;
}

JITMEM_CALLER static uint64_t run(const struct code *code, uint32_t func, struct skep_env *env, const uint64_t args[5])
{
    const struct jit_code *made = code->engine_data;

    if (code->opts.count_insns && !charge(code, func, env))
        return 0;
    return made->enter(env, env_stack_low(env) + PROG_STACK_FRAME, args, made->functions[func]);
}

const struct engine jit_engine = {
    .name = "jit", .passes = CODE_OPT_FACTS | CODE_OPT_INLINE, .prepare = prepare, .release = release, .run = run};

bool jit_view(const struct code *code, struct jit_view *out)
{
    if (code->engine != &jit_engine)
        return false;
    *out = ((const struct jit_code *)code->engine_data)->view;
    return true;
}
