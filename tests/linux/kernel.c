/*
 * The machine that kernel.h promises to Linux's suite: blocks of memory that know their size, packets, and programs
 * that run on an engine of ours. The state is the test program's own and belongs to its one thread: the chosen engine,
 * one environment for all runs, and the text printed since the driver last looked.
 */
#include "tests/linux/kernel.h"

#include "base/buf.h"
#include "jit/jit.h"
#include "tests/linux/suite.h"
#include "vm/interp/interp.h"
#include <time.h>

static struct {
    struct code_opts opts;
    const struct engine *engine;
    struct skep_env *env;
    struct buf text;
    enum trap_kind trapped;
} machine;

/* Printing. */

void kernel_print(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(&machine.text, fmt, ap);
    va_end(ap);
}

static void log_text(void *ctx, enum skep_log_level level, const char *text)
{
    (void)ctx;
    (void)level;
    kernel_print("%s ", text);
}

const char *kernel_text(void)
{
    return buf_text(&machine.text);
}

void kernel_forget_text(void)
{
    buf_clear(&machine.text);
    machine.trapped = TRAP_none;
}

enum trap_kind kernel_trapped(void)
{
    return machine.trapped;
}

/* Memory. */

struct block {
    size_t size;
    _Alignas(16) unsigned char bytes[];
};

static struct block *block_of(const void *bytes)
{
    return (struct block *)((uintptr_t)bytes - offsetof(struct block, bytes));
}

void *kzalloc(size_t size, int flags)
{
    struct block *block = calloc(1, sizeof(*block) + size);

    (void)flags;
    if (!block)
        return NULL;
    block->size = size;
    return block->bytes;
}

void *kmalloc(size_t size, int flags)
{
    return kzalloc(size, flags);
}

void *kcalloc(size_t count, size_t size, int flags)
{
    size_t bytes;

    return __builtin_mul_overflow(count, size, &bytes) ? NULL : kzalloc(bytes, flags);
}

void *kmalloc_array(size_t count, size_t size, int flags)
{
    return kcalloc(count, size, flags);
}

void kfree(const void *bytes)
{
    if (bytes)
        free(block_of(bytes));
}

size_t ksize(const void *bytes)
{
    return bytes ? block_of(bytes)->size : 0;
}

/* Numbers and time. */

void prandom_seed_state(struct rnd_state *state, u64 seed)
{
    state->x = seed * 2 + 1;
}

u32 prandom_u32_state(struct rnd_state *state)
{
    state->x = state->x * 6364136223846793005u + 1442695040888963407u;
    return state->x >> 32;
}

u64 ktime_get_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000000000u + (u64)t.tv_nsec;
}

/* Packets: one linear buffer behind the header. */

struct sk_buff *alloc_skb(unsigned size, int flags)
{
    struct sk_buff *skb = kzalloc(sizeof(*skb) + size, flags);

    if (!skb)
        return NULL;
    skb->data = (u8 *)(skb + 1);
    skb->room = size;
    return skb;
}

void *__skb_put_data(struct sk_buff *skb, const void *data, unsigned len)
{
    u8 *at = skb->data + skb->len;

    BUG_ON(len > skb->room - skb->len);
    memcpy(at, data, len);
    skb->len += len;
    return at;
}

void kfree_skb(struct sk_buff *skb)
{
    kfree(skb);
}

/* The eBPF tests have no packets in fragments; a classic test that wants one is told that there is no memory. */
struct page *alloc_page(int flags)
{
    (void)flags;
    return NULL;
}

void __free_page(struct page *page)
{
    (void)page;
}

void *kmap(struct page *page)
{
    return page;
}

void kunmap(struct page *page)
{
    (void)page;
}

void skb_add_rx_frag(struct sk_buff *skb, int i, struct page *page, int off, int size, unsigned truesize)
{
    (void)i, (void)page, (void)off;
    skb->len += (u32)size;
    skb->data_len += (u32)size;
    skb->truesize += truesize;
}

/* Programs. */

void kernel_use_engine(const struct code_opts *opts)
{
    machine.opts = *opts;
    machine.engine = opts->engine && !strcmp(opts->engine, "jit") ? &jit_engine : &interp_engine;
}

struct code *kernel_lower(const struct prog_spec *spec, struct map *const *maps)
{
    struct log log = {.fn = log_text, .max = SKEP_LOG_WARN};
    struct prog *prog;
    struct code *code;
    int err;

    /* Lenient: the suite passes no verifier, and some of its programs end in instructions that are never reached. */
    err = prog_new(spec, true, &log, &prog);
    if (err)
        return NULL;
    err = code_lower(prog, NULL, maps, &machine.opts, machine.engine, &log, &code);
    prog_put(prog);
    return err ? NULL : code;
}

uint64_t kernel_run(const struct code *code, void *ctx, size_t size)
{
    struct skep_env *env = machine.env;
    uint64_t r0 = 0;

    if (!env && !(env = machine.env = env_new())) {
        kernel_print("no memory for an environment ");
        machine.trapped = TRAP_no_memory;
        return 0;
    }
    env->checked = code->opts.checked;
    env->ctx = ctx;
    env->ctx_size = (uint32_t)size;
    env->ctx_layout = NULL;
    if (env_run(env, code, (uintptr_t)ctx, size, &r0)) {
        if (!machine.trapped)
            kernel_print("trap: %s at %u: %s ", trap_name(env->trap.kind), env->trap.insn, env->trap.text);
        machine.trapped = machine.trapped ? machine.trapped : env->trap.kind;
    }
    return r0;
}

void kernel_free(void)
{
    env_free(machine.env);
    machine.env = NULL;
    buf_free(&machine.text);
}

struct bpf_prog *bpf_prog_alloc(unsigned size, int flags)
{
    struct bpf_prog *prog = kzalloc(size, flags);

    if (!prog)
        return NULL;
    prog->aux = kzalloc(sizeof(*prog->aux), flags);
    if (!prog->aux) {
        kfree(prog);
        return NULL;
    }
    return prog;
}

void bpf_prog_free(struct bpf_prog *prog)
{
    if (prog->code)
        code_put(prog->code);
    kfree(prog->aux);
    kfree(prog);
}

struct bpf_prog *bpf_prog_select_runtime(struct bpf_prog *prog, int *err)
{
    struct prog_spec spec = {
        .name = "test",
        .insns = (const struct skep_insn *)prog->insnsi,
        .n_insns = prog->len,
    };

    prog->code = kernel_lower(&spec, NULL);
    *err = prog->code ? 0 : -EINVAL;
    if (*err) { /* the suite forgets the program then */
        bpf_prog_free(prog);
        return NULL;
    }
    return prog;
}

u32 bpf_prog_run(const struct bpf_prog *prog, const void *ctx)
{
    return (u32)kernel_run(prog->code, (void *)ctx, ksize(ctx));
}

/* Classic filters are refused: the driver skips those tests before they come here. */
int bpf_prog_create(struct bpf_prog **out, struct sock_fprog_kern *filter)
{
    (void)out;
    (void)filter;
    return -EOPNOTSUPP;
}

void bpf_prog_destroy(struct bpf_prog *prog)
{
    bpf_prog_free(prog);
}
