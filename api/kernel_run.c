/*
 * BPF_PROG_TEST_RUN behind skep_program__run(). What a run in userspace can be told and Linux cannot (its clock, random
 * numbers, task, memory) is refused by name, since leaving it out would change what the run returns; what only bounds a
 * run (stop, max_insns) has no need there, because what Linux accepts ends. Output of bpf_trace_printk() goes where
 * Linux's goes: to its trace, not to world->print.
 */
#include "api/kernel.h"
#include "vm/abi/prog_types.h"
#include <errno.h>
#include <sched.h>

static int refuse(const struct skep_program *prog, const char *what)
{
    return log_fail(&prog->vm->log, -EOPNOTSUPP, "program '%s' runs in Linux, which has no way to %s", prog->name,
                    what);
}

static int check_world(const struct skep_program *prog, const struct skep_world *user)
{
    struct skep_world w;
    if (!opts_read(&w, sizeof(w), user))
        return -EINVAL;
    if (w.fix_time)
        return refuse(prog, "set the clock of a run");
    if (w.fix_seed)
        return refuse(prog, "make the random numbers of a run repeat");
    if (w.fix_task)
        return refuse(prog, "pretend another task");
    if (w.cgroup_id)
        return refuse(prog, "put a run into another cgroup");
    if (w.attach_cookie || w.func_ip)
        return refuse(prog, "set a cookie or an address for a test run");
    if (w.file || w.task)
        return refuse(prog, "give a run tasks or memory from a file");
    return 0;
}

static int check_opts(const struct skep_program *prog, const struct skep_run_opts *o)
{
    if (prog->vm->world)
        return refuse(prog, "give a run tasks or memory from a file");
    if (o->mock_cnt || o->on_call)
        return refuse(prog, "mock or watch what a program calls");
    if (o->pass_time)
        return refuse(prog, "let time pass for timers");
    if (o->mem_cnt)
        return refuse(prog, "lend memory of this process to a program");
    if (o->flags & SKEP_RUN_IN_PLACE || o->flags & ~(uint32_t)(SKEP_RUN_CPU | SKEP_RUN_NOWAIT))
        return -EINVAL;
    return o->world ? check_world(prog, o->world) : 0;
}

/* On the CPU that was asked for, as this thread: where Linux is asked to run a raw tracepoint on another one, it runs
 * as whatever that one does just then. */
static int on_cpu(const struct skep_program *prog, struct kernel_run *run, uint32_t cpu)
{
    cpu_set_t before, one;
    if (cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof(before), &before))
        return -EINVAL;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof(one), &one))
        return -EINVAL;
    int err = kernel_test_run(prog->fd, run);
    sched_setaffinity(0, sizeof(before), &before);
    return err;
}

/* Raw tracepoints and programs of type syscall take no data and no repetition. */
static bool takes_repeat(uint32_t type)
{
    return type != PROG_TYPE_RAW_TRACEPOINT && type != PROG_TYPE_SYSCALL && type != PROG_TYPE_TRACING;
}

static int run_times(const struct skep_program *prog, struct kernel_run *run, const struct skep_run_opts *o)
{
    int times = !takes_repeat(prog->type) && o->repeat > 1 ? o->repeat : 1, err = 0;
    struct kernel_run first = *run;
    for (int i = 0; i < times && !err; i++) {
        *run = first;
        err = o->flags & SKEP_RUN_CPU ? on_cpu(prog, run, o->cpu) : kernel_test_run(prog->fd, run);
    }
    return err;
}

static int explain(const struct skep_program *prog, int err, const struct skep_run_opts *o)
{
    const struct log *log = &prog->vm->log;
    const char *type = skep_prog_type_str(prog->type);
    if (err == -ENOTSUPP || err == -EOPNOTSUPP)
        return log_fail(log, -EOPNOTSUPP, "program '%s': Linux has no test run for programs of type %s; attach it",
                        prog->name, type ? type : "?");
    if (err == -EINVAL && o->data_size_in < 14 && (prog->type == PROG_TYPE_XDP || prog->type == PROG_TYPE_SCHED_CLS))
        return log_fail(log, err, "program '%s': Linux runs it on packets of 14 bytes and more, not on %u", prog->name,
                        o->data_size_in);
    if (err == -EPERM || err == -EACCES) {
        struct buf text = {0};
        kernel_explain(err, "test run", &text);
        log_fail(log, err, "program '%s': Linux does not let this process run it%s", prog->name, buf_text(&text));
        buf_free(&text);
    }
    return err;
}

static int run_there(const struct skep_program *prog, struct skep_run_opts *o)
{
    int err = check_opts(prog, o);
    if (err)
        return err;
    /* Their test runs call functions of Linux's own, with arguments of their own. */
    if (prog->type == PROG_TYPE_TRACING || prog->type == PROG_TYPE_STRUCT_OPS)
        return explain(prog, -EOPNOTSUPP, o);
    struct kernel_run run = {.data_in = o->data_in,
                             .data_out = o->data_out,
                             .ctx_in = o->ctx_in,
                             .ctx_out = o->ctx_out,
                             .data_size_in = o->data_size_in,
                             .data_size_out = o->data_out ? o->data_size_out : 0,
                             .ctx_size_in = o->ctx_size_in,
                             .ctx_size_out = o->ctx_out ? o->ctx_size_out : 0,
                             .repeat = takes_repeat(prog->type) ? o->repeat : 0};
    err = run_times(prog, &run, o);
    if (err && err != -ENOSPC)
        return explain(prog, err, o);
    o->retval = run.retval;
    o->r0 = run.retval;
    o->duration = run.duration;
    o->data_size_out = run.data_size_out;
    o->ctx_size_out = run.ctx_size_out;
    o->insns_run = 0;
    o->hook_result = 0;
    o->redirect_ifindex = 0;
    return err;
}

static int prog_fd(const struct skep_program *prog)
{
    return prog->fd;
}

static const char *engine_there(const struct skep_program *prog)
{
    (void)prog;
    return "linux";
}

const struct program_backend kernel_program = {.run = run_there, .fd = prog_fd, .engine = engine_there};
