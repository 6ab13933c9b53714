/*
 * A vm's virtual CPUs are a pool: cpus[i].busy is 1 exactly while some run owns CPU i, and only its owner touches
 * cpus[i].env. A run that finds none free counts itself in `waiters` before it looks again; who gives a CPU back frees
 * it before it looks at `waiters`. One of the two therefore sees the other (both are sequentially consistent).
 */
#include "api/core/core.h"
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_CPUS = 4096, MAX_HELPERS = 65536 };

/* The public kinds are frozen, the tables' own may change. */
#define KIND(name) [SKEP_##name] = name
static const uint8_t arg_kinds[] = {
    KIND(ARG_NONE),
    KIND(ARG_ANYTHING),
    KIND(ARG_CTX),
    KIND(ARG_MAP),
    KIND(ARG_MAP_KEY),
    KIND(ARG_MAP_VALUE),
    KIND(ARG_MAP_VALUE_UNINIT),
    KIND(ARG_MEM),
    KIND(ARG_MEM_OR_NULL),
    KIND(ARG_MEM_UNINIT),
    KIND(ARG_MEM_RDWR),
    KIND(ARG_SIZE),
    KIND(ARG_SIZE_OR_ZERO),
    KIND(ARG_CONST_SIZE_OR_ZERO),
    KIND(ARG_CONST_STR),
    KIND(ARG_STR),
    KIND(ARG_INT_PTR),
    KIND(ARG_LONG_PTR),
    KIND(ARG_FUNC),
};
static const uint8_t ret_kinds[] = {KIND(RET_INT), KIND(RET_VOID), KIND(RET_MAP_VALUE_OR_NULL)};
#undef KIND

const char *skep_version_string(void)
{
    return SKEP_VERSION;
}

bool opts_read(void *known, size_t known_sz, const void *opts)
{
    memset(known, 0, known_sz);
    if (!opts) {
        memcpy(known, &known_sz, sizeof(size_t));
        return true;
    }
    size_t sz;
    memcpy(&sz, opts, sizeof(sz));
    if (sz < sizeof(size_t))
        return false;
    for (size_t i = known_sz; i < sz; i++)
        if (((const unsigned char *)opts)[i])
            return false;
    memcpy(known, opts, sz < known_sz ? sz : known_sz);
    return true;
}

void opts_write(void *opts, const void *known, size_t known_sz)
{
    if (!opts)
        return;
    size_t sz;
    memcpy(&sz, opts, sizeof(sz));
    if (sz > known_sz)
        sz = known_sz;
    memcpy((char *)opts + sizeof(size_t), (const char *)known + sizeof(size_t), sz - sizeof(size_t));
}

void *fail_null(int err)
{
    errno = -err;
    return NULL;
}

/* ---- Helpers of the host ---- */

static bool is_mem(unsigned kind)
{
    return kind >= SKEP_ARG_MEM && kind <= SKEP_ARG_MEM_RDWR;
}

static bool is_size(unsigned kind)
{
    return kind == SKEP_ARG_SIZE || kind == SKEP_ARG_SIZE_OR_ZERO;
}

static bool is_of_map(unsigned kind)
{
    return kind >= SKEP_ARG_MAP_KEY && kind <= SKEP_ARG_MAP_VALUE_UNINIT;
}

/* Memory and its size stand side by side, keys and values after their map, and no argument after a missing one. */
static int check_helper(const struct skep_helper_def *h, const struct log *log)
{
    bool has_map = false, ended = false;
    if (!h->fn || !h->name || !*h->name)
        return log_fail(log, -EINVAL, "helper %u has no %s", h->id, h->fn ? "name" : "function");
    if (h->ret > SKEP_RET_MAP_VALUE_OR_NULL)
        return log_fail(log, -EINVAL, "helper '%s': unknown return kind %u", h->name, h->ret);
    if (h->effects & ~SKEP_HELPER_CALLS_BACK)
        return log_fail(log, -EINVAL, "helper '%s': unknown effects 0x%x", h->name, h->effects);
    for (int i = 0; i < 5; i++) {
        unsigned kind = h->arg[i], next = i < 4 ? h->arg[i + 1] : SKEP_ARG_NONE,
                 prev = i ? h->arg[i - 1] : SKEP_ARG_NONE;
        if (kind > SKEP_ARG_FUNC)
            return log_fail(log, -EINVAL, "helper '%s': argument %d has unknown kind %u", h->name, i + 1, kind);
        if (kind != SKEP_ARG_NONE && ended)
            return log_fail(log, -EINVAL, "helper '%s': argument %d follows a missing one", h->name, i + 1);
        if (is_mem(kind) && !is_size(next))
            return log_fail(log, -EINVAL, "helper '%s': memory argument %d has no size after it", h->name, i + 1);
        if (is_size(kind) && !is_mem(prev))
            return log_fail(log, -EINVAL, "helper '%s': size argument %d has no memory before it", h->name, i + 1);
        if (is_of_map(kind) && !has_map)
            return log_fail(log, -EINVAL, "helper '%s': argument %d needs a map argument before it", h->name, i + 1);
        has_map |= kind == SKEP_ARG_MAP;
        ended |= kind == SKEP_ARG_NONE;
    }
    if (h->ret == SKEP_RET_MAP_VALUE_OR_NULL && !has_map)
        return log_fail(log, -EINVAL, "helper '%s' returns a map value but takes no map", h->name);
    return 0;
}

static int add_helpers(struct skep_vm *vm, const struct skep_helper_def *defs, uint32_t n)
{
    if (n > MAX_HELPERS)
        return log_fail(&vm->log, -E2BIG, "%u helpers are more than %d", n, MAX_HELPERS);
    struct helper *own = arena_array(&vm->arena, n, sizeof(*own));
    if (!own)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++) {
        int err = check_helper(&defs[i], &vm->log);
        if (err)
            return err;
        for (uint32_t j = 0; j < i; j++)
            if (defs[j].id == defs[i].id)
                return log_fail(&vm->log, -EINVAL, "helpers '%s' and '%s' have the same number %u", defs[j].name,
                                defs[i].name, defs[i].id);
        own[i] = (struct helper){.id = defs[i].id,
                                 .body = defs[i].fn,
                                 .ret = ret_kinds[defs[i].ret],
                                 .effects = defs[i].effects & SKEP_HELPER_CALLS_BACK ? EFFECT_CALLS_BACK : 0};
        for (int k = 0; k < 5; k++)
            own[i].arg[k] = arg_kinds[defs[i].arg[k]];
        own[i].name = arena_strdup(&vm->arena, defs[i].name);
        if (!own[i].name)
            return -ENOMEM;
    }
    vm->helpers.own = own;
    vm->helpers.n_own = n;
    return 0;
}

bool skep_vm__has_helper(const struct skep_vm *vm, const char *name)
{
    if (!strncmp(name, "bpf_", 4))
        name += 4;
    for (uint32_t i = 0; i < vm->helpers.n_own; i++)
        if (!strcmp(vm->helpers.own[i].name, name))
            return true;
    const struct helper *h = vm->helpers.own_only ? NULL : helper_by_name(name);
    return h && (h->body || (h->effects & EFFECT_ENGINE));
}

/* ---- The vm ---- */

static uint32_t online_cpus(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > MAX_CPUS ? MAX_CPUS : (uint32_t)n;
}

static void destroy(struct skep_vm *vm)
{
    for (uint32_t i = 0; vm->cpus && i < vm->n_cpus; i++)
        if (vm->cpus[i].env)
            env_free(vm->cpus[i].env);
    free(vm->cpus);
    jit_put(vm->jit);
    mock_set_free(vm->helpers.mocks);
    world_put(vm->world);
    arena_free(&vm->arena);
    pthread_cond_destroy(&vm->freed);
    pthread_mutex_destroy(&vm->lock);
    free(vm);
}

struct skep_vm *skep_vm__new(const struct skep_vm_opts *user)
{
    struct skep_vm_opts opts;
    if (!opts_read(&opts, sizeof(opts), user) || opts.cpus > MAX_CPUS || (opts.helper_cnt && !opts.helpers))
        return fail_null(-EINVAL);
    struct skep_vm *vm = calloc(1, sizeof(*vm));
    if (!vm)
        return fail_null(-ENOMEM);
    atomic_init(&vm->refs, 1);
    pthread_mutex_init(&vm->lock, NULL);
    pthread_cond_init(&vm->freed, NULL);
    vm->log = (struct log){.fn = opts.log, .ctx = opts.log_ctx, .max = opts.log_level};
    vm->world = opts.world ? world_get((struct world *)opts.world) : NULL;
    vm->n_cpus = opts.cpus ? opts.cpus : online_cpus();
    vm->helpers.own_only = opts.helpers_only;
    vm->jit_config = (struct jit_config){
        .harden = opts.harden, .limit = opts.code_limit, .perf_map = opts.perf_map, .gdb = opts.gdb};
    bool named = !opts.jitdump || (vm->jit_config.jitdump = arena_strdup(&vm->arena, opts.jitdump));

    size_t size = vm->n_cpus * sizeof(struct vm_cpu);
    vm->cpus = aligned_alloc(_Alignof(struct vm_cpu), size);
    int err = vm->cpus && named ? 0 : -ENOMEM;
    if (!err) {
        memset(vm->cpus, 0, size);
        err = add_helpers(vm, opts.helpers, opts.helper_cnt);
    }
    if (!err && (opts.mockable || (vm->world && vm->world->n_mocks))) {
        vm->helpers.mocks = mock_set_new(opts.mockable, vm->world);
        vm->mockable = opts.mockable;
        err = vm->helpers.mocks ? 0 : -ENOMEM;
    }
    if (err) {
        destroy(vm);
        return fail_null(err);
    }
    return vm;
}

struct skep_vm *vm_get(struct skep_vm *vm)
{
    atomic_fetch_add_explicit(&vm->refs, 1, memory_order_relaxed);
    return vm;
}

uint32_t vm_next_id(struct skep_vm *vm)
{
    return atomic_fetch_add_explicit(&vm->ids, 1, memory_order_relaxed) + 1;
}

void skep_vm__free(struct skep_vm *vm)
{
    if (vm && atomic_fetch_sub_explicit(&vm->refs, 1, memory_order_acq_rel) == 1)
        destroy(vm);
}

uint32_t skep_vm__cpus(const struct skep_vm *vm)
{
    return vm->n_cpus;
}

/* ---- The pool of virtual CPUs ---- */

static bool try_cpu(struct vm_cpu *cpu)
{
    unsigned idle = 0;
    return !atomic_load_explicit(&cpu->busy, memory_order_relaxed) &&
           atomic_compare_exchange_strong(&cpu->busy, &idle, 1);
}

/* Begins at the CPU of the machine that we run on, so that threads seldom meet and warm caches stay in use. */
static struct vm_cpu *try_take(struct skep_vm *vm, uint32_t wanted)
{
    if (wanted != UINT32_MAX)
        return try_cpu(&vm->cpus[wanted]) ? &vm->cpus[wanted] : NULL;
    int here = vm->n_cpus > 1 ? sched_getcpu() : 0;
    uint32_t first = here < 0 ? 0 : (uint32_t)here % vm->n_cpus;
    for (uint32_t i = 0; i < vm->n_cpus; i++) {
        struct vm_cpu *cpu = &vm->cpus[first + i < vm->n_cpus ? first + i : first + i - vm->n_cpus];
        if (try_cpu(cpu))
            return cpu;
    }
    return NULL;
}

static struct vm_cpu *wait_for(struct skep_vm *vm, uint32_t wanted)
{
    struct vm_cpu *cpu;
    pthread_mutex_lock(&vm->lock);
    atomic_fetch_add(&vm->waiters, 1);
    while (!(cpu = try_take(vm, wanted)))
        pthread_cond_wait(&vm->freed, &vm->lock);
    atomic_fetch_sub(&vm->waiters, 1);
    pthread_mutex_unlock(&vm->lock);
    return cpu;
}

static void release(struct skep_vm *vm, struct vm_cpu *cpu)
{
    atomic_store(&cpu->busy, 0);
    if (atomic_load(&vm->waiters)) {
        pthread_mutex_lock(&vm->lock);
        pthread_cond_broadcast(&vm->freed);
        pthread_mutex_unlock(&vm->lock);
    }
}

struct skep_env *vm_take_cpu(struct skep_vm *vm, uint32_t wanted, bool nowait, int *err)
{
    struct vm_cpu *cpu = try_take(vm, wanted);
    if (!cpu) {
        if (nowait) {
            *err = -EBUSY;
            return NULL;
        }
        cpu = wait_for(vm, wanted);
    }
    if (!cpu->env) {
        cpu->env = env_new();
        if (!cpu->env) {
            release(vm, cpu);
            *err = -ENOMEM;
            return NULL;
        }
        cpu->env->cpu = cpu - vm->cpus;
        cpu->env->n_cpus = vm->n_cpus;
    }
    return cpu->env;
}

void vm_give_cpu(struct skep_vm *vm, struct skep_env *env)
{
    release(vm, &vm->cpus[env->cpu]);
}
