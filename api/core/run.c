/*
 * A run: take a virtual CPU with its environment, tell the environment what the world says, open the context, run, read
 * the results, give the CPU back. Between two runs an environment keeps nothing of the one before but its buffers.
 */
#include "api/core/core.h"
#include "verifier/contains.h"
#include "vm/abi/prog_types.h"
#include "vm/ctx/ctx.h"
#include "vm/epoch.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>

_Static_assert((int)SKEP_READ == (int)ENV_READ && (int)SKEP_WRITE == (int)ENV_WRITE, "access bits differ");

enum { RUN_FLAGS = SKEP_RUN_CPU | SKEP_RUN_NOWAIT | SKEP_RUN_IN_PLACE | SKEP_RUN_LINK };

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- The world ---- */

/* Which world is found, and who is the current task in it. */
static int enter_file(struct skep_env *env, const struct skep_world *world, const struct skep_vm *vm)
{
    const struct world *file = world->file ? (const struct world *)world->file : vm->world;
    const struct world_task *task = NULL;
    if (world->task && !file)
        return log_fail(&vm->log, -EINVAL, "task %u: this run has no world with tasks", world->task);
    if (world->task && !(task = world_task_by_pid(file, world->task)))
        return log_fail(&vm->log, -EINVAL, "task %u: the run's world has no task with this pid", world->task);
    world_enter(env, file, task);
    if (!sock_set_world(env, file ? file->socks : NULL, file ? file->n_socks : 0))
        return log_fail(&vm->log, -ENOMEM, "no memory for the world's sockets");
    if (!world->fix_task)
        world_take_task(env);
    if (world->cgroup_id)
        env->cgroup_id = world->cgroup_id;
    return 0;
}

static int set_world(struct skep_env *env, const struct skep_world *user, const struct skep_vm *vm)
{
    struct skep_world world;
    if (!opts_read(&world, sizeof(world), user))
        return -EINVAL;
    env->clock = (struct env_clock){
        .fixed = world.fix_time, .now = world.time, .step = world.time_step, .realtime_off = world.realtime_off};
    if (world.fix_seed)
        env->random = world.seed;
    else if (env->random_fixed) /* a sequence that somebody knows must not go on */
        env_seed(env);
    env->random_fixed = world.fix_seed;
    env->seed = world.cookie_seed;
    if (world.fix_task) {
        env->task = (struct env_task){.pid = world.pid, .tgid = world.tgid, .uid = world.uid, .gid = world.gid};
        memcpy(env->task.comm, world.comm, sizeof(env->task.comm));
        env->task.comm[sizeof(env->task.comm) - 1] = 0;
    } else {
        env->task = (struct env_task){.unread = true};
    }
    env->out = (struct env_output){
        .ctx = world.print_ctx, .printk = world.print, .effect_ctx = world.effect_ctx, .effect = world.effect};
    env->attach_cookie = world.attach_cookie;
    env->func_ip = world.func_ip;
    env->cgroup_id = world.cgroup_id;
    env->sysctl_name = world.sysctl_name;
    env->sysctl_value = world.sysctl_value;
    return enter_file(env, &world, vm);
}

static int lend_memory(struct skep_env *env, const struct skep_mem *mems, uint32_t n)
{
    if (n > ENV_MAX_MEMS / 2 || (n && !mems))
        return -EINVAL;
    for (uint32_t i = 0; i < n; i++) {
        const struct skep_mem *m = &mems[i];
        uint64_t addr = m->addr ? m->addr : (uintptr_t)m->host;
        if ((m->size && !m->host) || addr + m->size < addr || m->access & ~(SKEP_READ | SKEP_WRITE))
            return -EINVAL;
        env->mems[env->n_mems++] = (struct env_mem){.guest = addr,
                                                    .host = m->host,
                                                    .size = m->size,
                                                    .access = m->access | ENV_DIRECT,
                                                    .kind = ENV_MEM_RAW,
                                                    .name = m->name ? m->name : "memory of the host"};
    }
    return 0;
}

/* ---- Context ---- */

static struct ctx_io io_of(const struct skep_run_opts *o)
{
    return (struct ctx_io){.data_in = o->data_in,
                           .data_size_in = o->data_size_in,
                           .ctx_in = o->ctx_in,
                           .ctx_size_in = o->ctx_size_in,
                           .data_out = o->data_out,
                           .data_size_out = o->data_size_out,
                           .ctx_out = o->ctx_out,
                           .ctx_size_out = o->ctx_size_out,
                           .link = o->flags & SKEP_RUN_LINK};
}

/* ---- The report of a trap ---- */

static void copy_text(char *to, size_t room, const char *text)
{
    snprintf(to, room, "%s", text ? text : "");
}

static void report(const struct skep_env *env, struct skep_trap *user)
{
    struct skep_trap t = {0};
    const struct trap *trap = &env->trap;
    const struct prog *prog = env->code->prog;
    t.kind = trap_name(trap->kind);
    t.text = trap_text(trap->kind);
    t.insn = trap->insn;
    t.addr = trap->addr;
    t.size = trap->size;
    copy_text(t.detail, sizeof(t.detail), trap->text);
    copy_text(t.prog, sizeof(t.prog), prog->name);
    const struct prog_func *func = prog_func_at(prog, trap->insn);
    copy_text(t.func, sizeof(t.func), func ? func->name : NULL);
    const struct prog_line *line = prog_line_at(prog, trap->insn);
    if (line) {
        copy_text(t.file, sizeof(t.file), line->file);
        copy_text(t.source, sizeof(t.source), line->text);
        t.line = line->line;
        t.col = line->col;
    }
    opts_write(user, &t, sizeof(t));
}

/* ---- Mocks, and who looks on ---- */

static void tell_call(void *ctx, struct skep_env *env, const struct mock_call *call)
{
    const struct skep_run_opts *o = ctx;
    struct skep_call told = {.sz = sizeof(told), .name = call->helper->name, .ret = call->ret, .mocked = call->mocked};
    (void)env;
    for (unsigned i = 0; i < 5; i++) {
        if (call->helper->arg[i] != ARG_NONE || call->helper->effects & EFFECT_VARIADIC)
            told.arg_cnt = i + 1;
        told.args[i] = call->args[i];
        told.mem_size[i] = mock_arg_mem(call, i);
        told.mem[i] = told.mem_size[i] ? (const void *)(uintptr_t)call->args[i] : NULL;
        if (call->helper->arg[i] == ARG_MAP && !told.map)
            told.map = ((const struct map *)(uintptr_t)call->args[i])->def.name;
    }
    o->on_call(o->call_ctx, &told);
}

/* hosts: room for o->mock_cnt of them. */
static int begin_mocks(struct skep_env *env, const struct skep_vm *vm, struct skep_run_opts *o, struct mock_host *hosts)
{
    if (o->mock_cnt && !vm->mockable)
        return log_fail(&vm->log, -EINVAL, "mocks are for vms that are mockable (skep_vm_opts.mockable)");
    for (uint32_t i = 0; i < o->mock_cnt; i++) {
        const char *name = o->mocks[i].name;
        if (!name || !o->mocks[i].fn)
            return log_fail(&vm->log, -EINVAL, "mock %u has no %s", i, name ? "function" : "name");
        hosts[i] = (struct mock_host){.name = strncmp(name, "bpf_", 4) ? name : name + 4, .fn = o->mocks[i].fn};
    }
    return mock_begin(env, hosts, o->mock_cnt, o->on_call ? tell_call : NULL, o);
}

/* ---- Running ---- */

static int run(struct skep_env *env, const struct code *code, const struct explored *explored, struct skep_run_opts *o)
{
    uint64_t repeat = o->repeat > 1 ? o->repeat : 1;
    uint64_t insns = 0, start = now_ns();
    uint64_t arg1 = (uintptr_t)env->ctx, arg2 = code->prog->type ? 0 : env->ctx_size;
    struct invariants invariants;
    int err = 0;
    if (explored && !explored_unfit(explored))
        invariants_watch(&invariants, explored, code->prog, env);
    for (uint64_t i = 0; i < repeat && !err; i++) {
        if (i && env->stop && *env->stop) { /* what counts nothing would never look */
            env_trap(env, TRAP_stopped, 0, 0, "after %llu runs", (unsigned long long)i);
            env->trap.insn = 0;
            err = -EFAULT;
            break;
        }
        env->insn_budget = o->max_insns ? o->max_insns : UINT64_MAX;
        err = env_run(env, code, arg1, arg2, &o->r0);
        insns += env->insns_run;
    }
    env->on_insn = NULL;
    uint64_t each = (now_ns() - start) / repeat;
    if (!err)
        err = run_later(env, code, o);
    o->duration = each > UINT32_MAX ? UINT32_MAX : (uint32_t)each;
    o->insns_run = insns;
    o->retval = (uint32_t)o->r0;
    o->redirect_ifindex = env->redirect.ifindex;
    o->time_end = env->clock.now;
    return err;
}

static int iterate(struct skep_env *env, const struct code *code, struct skep_run_opts *o, struct buf *text,
                   const struct log *log)
{
    uint64_t start = now_ns(), each;
    int err = run_iterator(env, code, o, text, log);
    each = now_ns() - start;
    o->duration = each > UINT32_MAX ? UINT32_MAX : (uint32_t)each;
    o->retval = (uint32_t)o->r0;
    o->time_end = env->clock.now;
    return err;
}

/* What an iterator wrote is its data. */
static int give_text(struct ctx_io *io, const struct buf *text)
{
    uint32_t room = io->data_size_out, len = (uint32_t)text->len;
    io->data_size_out = len;
    if (!io->data_out)
        return 0;
    memcpy(io->data_out, buf_text(text), len < room ? len : room);
    return len > room ? -ENOSPC : 0;
}

/* What r1 is to point to, where the caller gives nothing and the run's world has something. */
static int world_gives(struct skep_env *env, const struct skep_program *prog, const struct skep_run_opts *o,
                       struct ctx_io *io)
{
    const char *section = prog->code->prog->section;
    const struct world_context_item *item;
    if (io->ctx_in || !env->world || !world_context(env->world, section, 0))
        return o->context ? log_fail(&prog->vm->log, -EINVAL, "context %u: this run's world has none for '%s'",
                                     o->context, section)
                          : 0;
    item = world_context(env->world, section, o->context);
    if (!item)
        return log_fail(&prog->vm->log, -EINVAL, "context %u: this run's world has less for '%s'", o->context, section);
    io->ctx_in = item->data;
    io->ctx_size_in = item->size;
    if (item->sysctl_name)
        env->sysctl_name = item->sysctl_name;
    if (item->sysctl_value)
        env->sysctl_value = item->sysctl_value;
    return 0;
}

static int run_in_ctx(struct skep_env *env, const struct skep_program *prog, struct skep_run_opts *o)
{
    const struct code *code = prog->code;
    const struct prog_type *type = code->prog->type;
    struct ctx_io io = io_of(o);
    bool in_place = o->flags & SKEP_RUN_IN_PLACE;
    if ((in_place && type) || (io.link && (!type || type->id != PROG_TYPE_SOCKET_FILTER)))
        return -EINVAL;
    if (in_place)
        ctx_borrow(env, (void *)o->data_in, o->data_size_in);
    int err = in_place ? 0 : world_gives(env, prog, o, &io);
    if (err)
        return err;
    err = in_place ? 0 : ctx_open(env, type, &io, &prog->vm->log);
    if (err)
        return err;
    err = lend_memory(env, o->mems, o->mem_cnt);
    bool iterates = type && type->id == PROG_TYPE_TRACING && code->prog->attach_type == ATTACH_TRACE_ITER && !o->ctx_in;
    struct buf text = {0};
    if (!err && env->ctx_size < code->ctx_needed)
        err = log_fail(&prog->vm->log, -EINVAL, "program '%s' uses %u bytes of its %s and this run has %u", prog->name,
                       code->ctx_needed, type ? "context" : "memory", env->ctx_size);

    /* The code that the trap names stays while this section is open, even when a tail call left it. */
    struct epoch_slot *slot = NULL;
    if (!err && o->trap && !(slot = epoch_enter()))
        err = -ENOMEM;
    if (!err) {
        err = iterates ? iterate(env, code, o, &text, &prog->vm->log) : run(env, code, prog->explored, o);
        if (err == -EFAULT && o->trap)
            report(env, o->trap);
    }
    if (slot)
        epoch_exit(slot);
    int closed = 0;
    if (in_place)
        ctx_return(env);
    else
        closed = ctx_close(env, type, &io, o->r0);
    if (iterates && !err && !closed)
        closed = give_text(&io, &text);
    buf_free(&text);
    o->data_size_out = in_place ? o->data_size_in : io.data_size_out;
    o->ctx_size_out = io.ctx_size_out;
    o->hook_result = io.result;
    return err ? err : closed;
}

static int run_here(const struct skep_program *prog, struct skep_run_opts *o)
{
    enum { MAX_MOCKS = 256 };
    struct mock_host hosts[MAX_MOCKS];
    if (o->flags & ~RUN_FLAGS || o->mock_cnt > MAX_MOCKS || (o->mock_cnt && !o->mocks))
        return -EINVAL;
    uint32_t cpu = o->flags & SKEP_RUN_CPU ? o->cpu : UINT32_MAX;
    if (cpu != UINT32_MAX && cpu >= prog->vm->n_cpus)
        return -EINVAL;
    int err = 0;
    struct skep_env *env = vm_take_cpu(prog->vm, cpu, o->flags & SKEP_RUN_NOWAIT, &err);
    if (!env)
        return err;
    env->n_mems = 0;
    env->stop = o->stop;
    env->user = o->user;
    env->trap.kind = TRAP_none;
    err = set_world(env, o->world, prog->vm);
    if (!err)
        err = begin_mocks(env, prog->vm, o, hosts);
    if (!err)
        err = run_in_ctx(env, prog, o);
    vm_give_cpu(prog->vm, env);
    return err;
}

static int no_fd(const struct skep_program *prog)
{
    (void)prog;
    return -EOPNOTSUPP;
}

static const char *engine_here(const struct skep_program *prog)
{
    return prog->code->engine->name;
}

const struct program_backend user_program = {.run = run_here, .fd = no_fd, .engine = engine_here};

int skep_program__run(const struct skep_program *prog, struct skep_run_opts *user)
{
    struct skep_run_opts o;
    if (!prog || !opts_read(&o, sizeof(o), user) || o.repeat < 0 || (o.trap && o.trap->sz < sizeof(size_t)))
        return -EINVAL;
    if (!prog->ops)
        return -ENOENT;
    int err = prog->ops->run(prog, &o);
    if (!err || err == -EFAULT || err == -ENOSPC)
        opts_write(user, &o, sizeof(o));
    return err;
}

int skep_program__fd(const struct skep_program *prog)
{
    return prog && prog->ops ? prog->ops->fd(prog) : -EINVAL;
}
