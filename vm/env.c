/*
 * The life of a run. Between runs an environment holds nothing: no reference, no lock, no noted inner map, no window.
 * env_run() is the only place that begins and ends a run; whatever the outcome, what the run acquired is released
 * there, in the reverse order, before the epoch is left.
 */
#include "vm/env.h"
#include "vm/ctx/ctx.h"
#include "vm/mock.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void env_seed(struct skep_env *env)
{
    if (getrandom(&env->random, sizeof(env->random), GRND_NONBLOCK) != sizeof(env->random))
        env->random = (uint64_t)time(NULL) ^ (uintptr_t)env;
}

struct skep_env *env_new(void)
{
    struct skep_env *env = calloc(1, sizeof(*env));

    if (!env || !env_ref_room(env)) {
        free(env);
        return NULL;
    }
    env->n_cpus = 1;
    env->insn_budget = UINT64_MAX;
    env->task.unread = true;
    env_seed(env);
    return env;
}

const struct env_task *env_task(struct skep_env *env)
{
    struct env_task *task = &env->task;

    if (task->unread) {
        task->pid = (uint32_t)syscall(SYS_gettid);
        task->tgid = (uint32_t)getpid();
        task->uid = getuid();
        task->gid = getgid();
        prctl(PR_GET_NAME, task->comm);
        task->unread = false;
    }
    return task;
}

static void drop_own_mems(struct skep_env *env)
{
    while (env->n_own_mems)
        free(env->own_mems[--env->n_own_mems].host);
    free(env->own_mems);
    env->own_mems = NULL;
}

void env_free(struct skep_env *env)
{
    if (!env)
        return;
    drop_own_mems(env);
    ctx_drop(env);
    sock_drop(env);
    mock_drop(env);
    free(env->counter_reads);
    buf_free(&env->scratch);
    buf_free(&env->iter_bits);
    free(env->refs);
    free(env);
}

uint64_t env_trap(struct skep_env *env, enum trap_kind kind, uint64_t addr, uint32_t size, const char *fmt, ...)
{
    va_list ap;

    if (env->trap.kind != TRAP_none)
        return 0;
    env->trap.kind = kind;
    env->trap.insn = UINT32_MAX; /* the engine knows */
    env->trap.addr = addr;
    env->trap.size = size;
    va_start(ap, fmt);
    vsnprintf(env->trap.text, sizeof(env->trap.text), fmt, ap);
    va_end(ap);
    return 0;
}

bool env_ref_room(struct skep_env *env)
{
    uint32_t cap = env->cap_refs ? 2 * env->cap_refs : ENV_FIRST_REFS;
    struct env_ref *more;

    if (env->n_refs < env->cap_refs)
        return true;
    more = cap <= ENV_MAX_REFS ? realloc(env->refs, cap * sizeof(*more)) : NULL;
    if (!more)
        return false;
    env->refs = more;
    env->cap_refs = cap;
    return true;
}

bool env_ref_add(struct skep_env *env, struct env_ref ref)
{
    if (!env_ref_room(env))
        return false;
    env->refs[env->n_refs++] = ref;
    return true;
}

struct env_ref *env_ref_find(struct skep_env *env, uint64_t addr)
{
    for (uint32_t i = env->n_refs; i-- > 0;)
        if (env->refs[i].addr == addr)
            return &env->refs[i];
    return NULL;
}

void env_ref_drop(struct skep_env *env, struct env_ref *ref)
{
    struct env_ref *last = &env->refs[--env->n_refs];

    /* Only checked accesses remember memory of this kind. */
    if (ref->size && env->checked)
        env_forget_mem(env);
    if (ref != last)
        memmove(ref, ref + 1, (size_t)(last - ref) * sizeof(*ref));
}

/* A lock that a dying run holds must not stay held: others would wait for ever. */
static void release_all(struct skep_env *env)
{
    if (env->spin_lock) {
        __atomic_store_n((uint32_t *)env->spin_lock, 0, __ATOMIC_RELEASE);
        env->spin_lock = NULL;
    }
    env->in_tree = false;
    while (env->n_refs) {
        struct env_ref ref = env->refs[--env->n_refs];
        if (ref.release)
            ref.release(env, &ref);
    }
    drop_own_mems(env);
    env->iter_bits.len = 0;
}

static void check_leaks(struct skep_env *env)
{
    if (env->spin_lock)
        env_trap(env, TRAP_reference_leak, (uintptr_t)env->spin_lock, 0, "the program ended with a spin lock held");
    else if (env->n_refs)
        env_trap(env, TRAP_reference_leak, env->refs[0].addr, 0,
                 "%u reference%s acquired and not released; the first is 0x%llx", env->n_refs,
                 env->n_refs == 1 ? "" : "s", (unsigned long long)env->refs[0].addr);
}

static void begin(struct skep_env *env, const struct code *code)
{
    env->code = code;
    env->checked = code->opts.checked;
    env->trap.kind = TRAP_none;
    env->trap.text[0] = 0;
    env->tail_calls = 0;
    env->frame = env->first_frame = 0;
    env->n_inner = 0;
    env->insns_run = 0;
    env->fuel = 0;
    if (env->n_counter_reads)
        memset(env->counter_reads, 0, env->n_counter_reads * sizeof(*env->counter_reads));
    if (env->checked)
        env_forget_mem(env);
    else /* helpers search, too, and what the last run saw may be gone */
        for (unsigned i = 0; i < ENV_MEM_CACHE; i++)
            env->cache[i].size = 0;
}

/* Engines charge a run at its back edges and calls, against fuel; only now and then is the budget itself looked at. */
bool env_refuel(struct skep_env *env)
{
    enum { PART = 1 << 14 };

    if (env->stop && *env->stop) {
        env_trap(env, TRAP_stopped, 0, 0, "after about %llu instructions", (unsigned long long)env->insns_run);
        return false;
    }
    while (env->fuel < 0) {
        uint64_t part = env->insn_budget < PART ? env->insn_budget : PART;
        if (!part) {
            env_trap(env, TRAP_insn_limit, 0, 0, "after about %llu instructions", (unsigned long long)env->insns_run);
            return false;
        }
        if (env->insn_budget != UINT64_MAX)
            env->insn_budget -= part;
        env->insns_run += part;
        env->fuel += (int64_t)part;
    }
    return true;
}

static void return_fuel(struct skep_env *env)
{
    if (env->fuel <= 0)
        return;
    if (env->insn_budget != UINT64_MAX)
        env->insn_budget += (uint64_t)env->fuel;
    env->insns_run -= (uint64_t)env->fuel;
    env->fuel = 0;
}

/* An exception left all frames: its cookie is what the run returns, or what the program's callback makes of it. */
static uint64_t catch (struct skep_env *env)
{
    const struct code *code = env->code;
    const uint64_t args[5] = {env->trap.addr};

    env->trap = (struct trap){.kind = TRAP_none};
    if (!code->prog->exception_cb)
        return args[0];
    env->frame = env->first_frame = 0;
    return code->engine->run(code, code->prog->exception_cb, env, args);
}

static int run(struct skep_env *env, const struct code *code, uint32_t func, const uint64_t args[5], uint64_t *retval)
{
    uint64_t result;

    begin(env, code);
    env->epoch = epoch_enter();
    if (!env->epoch) {
        env_trap(env, TRAP_no_memory, 0, 0, "no memory to enter the epoch");
        env->trap.insn = 0;
        return -EFAULT;
    }
    result = code->engine->run(code, func, env, args);
    if (env->trap.kind == TRAP_exception)
        result = catch (env);
    if (env->checked && env->trap.kind == TRAP_none)
        check_leaks(env);
    if (env->trap.kind != TRAP_none && env->trap.insn == UINT32_MAX)
        env->trap.insn = env->last_slot;
    return_fuel(env);
    release_all(env);
    epoch_exit(env->epoch);
    env->epoch = NULL;
    if (env->trap.kind != TRAP_none)
        return -EFAULT;
    *retval = result;
    return 0;
}

int env_run(struct skep_env *env, const struct code *code, uint64_t arg1, uint64_t arg2, uint64_t *retval)
{
    const uint64_t args[5] = {arg1, arg2};

    return run(env, code, 0, args, retval);
}

int env_run_func(struct skep_env *env, const struct code *code, uint32_t func, const uint64_t args[5],
                 uint32_t key_size, uint64_t *retval)
{
    int err;

    if (env->n_mems == ENV_MAX_MEMS)
        return -ENOMEM;
    env->mems[env->n_mems++] = (struct env_mem){.guest = args[1],
                                                .host = (unsigned char *)(uintptr_t)args[1],
                                                .size = key_size,
                                                .access = ENV_READ | ENV_DIRECT,
                                                .kind = ENV_MEM_MAP,
                                                .name = "map key"};
    err = run(env, code, func, args, retval);
    env->n_mems--;
    return err;
}

uint64_t env_call(struct skep_env *env, uint64_t func, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    const struct code *code = env->code;
    const struct code_func *f = (const struct code_func *)(uintptr_t)func;
    const uint64_t args[5] = {a1, a2, a3, a4, a5};
    uint64_t index = (func - (uintptr_t)code->funcs) / sizeof(*f), result;
    uint32_t first = env->first_frame;

    if (env->trap.kind != TRAP_none)
        return 0;
    if (func < (uintptr_t)code->funcs || index >= code->n_funcs || func != (uintptr_t)&code->funcs[index])
        return env_trap(env, TRAP_bad_call, func, 0, "callback 0x%llx is no function of the program",
                        (unsigned long long)func);
    if (!env_has_frame(env))
        return env_trap(env, TRAP_stack_overflow, 0, 0, "callback '%s' would be frame %u",
                        code->prog->funcs[index].name, env->frame - first + 2);
    env->frame++;
    result = code->engine->run(code, (uint32_t)index, env, args);
    if (env->trap.kind != TRAP_none)
        return result;
    env->frame--;
    env->first_frame = first;
    env->code = code; /* it may have ended in another program */
    return result;
}

uint64_t env_ktime(struct skep_env *env)
{
    if (env->clock.fixed) {
        uint64_t now = env->clock.now;
        env->clock.now += env->clock.step;
        return now;
    }
    return fast_clock_read(&env->host_clock);
}

uint64_t env_now(struct skep_env *env)
{
    return env->clock.fixed ? env->clock.now : fast_clock_read(&env->host_clock);
}

uint64_t env_realtime(struct skep_env *env)
{
    struct timespec ts;

    if (env->clock.fixed)
        return env_ktime(env) + (uint64_t)env->clock.realtime_off;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* splitmix64: every state is as good as another, so that any seed will do. */
uint64_t env_random(struct skep_env *env)
{
    uint64_t z = env->random += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}
