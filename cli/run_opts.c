/* The arguments of `skep run`: bpftool's words for data and contexts, options for the world and the execution. */
#include "cli/run.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct parse {
    struct args a;
    struct run_opts *o;
    bool bad, has_tgid;
};

/* "--name VALUE" or "name VALUE" into a string. */
static bool text_option(struct parse *p, const char *name, const char **out)
{
    const char *v = name[0] == '-' ? args_option(&p->a, name, &p->bad) : args_word(&p->a, name, &p->bad);
    if (v)
        *out = v;
    return v || p->bad;
}

static bool number_option(struct parse *p, const char *name, uint64_t max, uint64_t *out)
{
    const char *v = NULL;
    if (!text_option(p, name, &v))
        return false;
    if (!p->bad)
        p->bad = !args_number(&p->a, name, v, max, out);
    return true;
}

static bool number32_option(struct parse *p, const char *name, uint32_t *out, bool *given)
{
    uint64_t v = 0;
    if (!number_option(p, name, UINT32_MAX, &v))
        return false;
    *out = (uint32_t)v;
    *given = true;
    return true;
}

static bool list_option(struct parse *p, const char *name, const char **list, uint32_t *n)
{
    const char *v = NULL;
    if (!text_option(p, name, &v))
        return false;
    if (v)
        list[(*n)++] = v;
    return true;
}

static bool is_words(struct parse *p)
{
    struct run_opts *o = p->o;
    return text_option(p, "data_in", &o->data_in) || text_option(p, "data_out", &o->data_out) ||
           text_option(p, "ctx_in", &o->ctx_in) || text_option(p, "ctx_out", &o->ctx_out) ||
           text_option(p, "pcap_in", &o->pcap_in) || text_option(p, "pcap_out", &o->pcap_out) ||
           text_option(p, "type", &o->type) || text_option(p, "prog", &o->prog) ||
           number_option(p, "repeat", INT32_MAX, &o->repeat) || number_option(p, "ctx_size", UINT32_MAX, &o->ctx_size);
}

static bool is_time(struct parse *p)
{
    struct skep_world *w = &p->o->world;
    const char *v = NULL;
    if (number_option(p, "--time-step", UINT64_MAX, &w->time_step) ||
        number_option(p, "--pass-time", UINT64_MAX, &p->o->pass_time))
        return true;
    if (!text_option(p, "--time", &v))
        return false;
    if (!v)
        return true;
    p->o->time_pcap = !strcmp(v, "pcap");
    w->fix_time = p->o->time_pcap || strcmp(v, "now");
    if (w->fix_time && !p->o->time_pcap)
        p->bad = !args_number(&p->a, "--time", v, UINT64_MAX, &w->time);
    return true;
}

static bool is_world(struct parse *p)
{
    struct skep_world *w = &p->o->world;
    const char *comm = NULL;
    if (number_option(p, "--seed", UINT64_MAX, &w->seed))
        return w->fix_seed = true;
    if (text_option(p, "--comm", &comm)) {
        if (comm)
            snprintf(w->comm, sizeof(w->comm), "%s", comm);
        return w->fix_task = true;
    }
    return is_time(p) || number32_option(p, "--pid", &w->pid, &w->fix_task) ||
           number32_option(p, "--tgid", &w->tgid, &p->has_tgid) || number32_option(p, "--uid", &w->uid, &w->fix_task) ||
           number32_option(p, "--gid", &w->gid, &w->fix_task) ||
           number_option(p, "--cookie", UINT64_MAX, &w->attach_cookie) ||
           number_option(p, "--func-ip", UINT64_MAX, &w->func_ip) ||
           number_option(p, "--cgroup", UINT64_MAX, &w->cgroup_id) ||
           number_option(p, "--ifindex", INT32_MAX, &p->o->ifindex);
}

static bool is_opt(struct parse *p, const char *name, bool off)
{
    const char *v = NULL;
    uint32_t bits = 0;
    if (!text_option(p, name, &v) || !v)
        return p->bad;
    if (!opts_find(v, &bits)) {
        cli_usage(p->a.c, p->a.cmd, "%s: there is no optimisation '%s' (" OPTS_NAMES ")", name, v);
        return p->bad = true;
    }
    p->o->exec.no_opts = off ? p->o->exec.no_opts | bits : p->o->exec.no_opts & ~bits;
    return true;
}

static bool is_jit(struct parse *p)
{
    struct run_opts *o = p->o;
    if (args_switch(&p->a, "--harden"))
        o->vm.harden = true;
    else if (args_switch(&p->a, "--perf-map"))
        o->vm.perf_map = true;
    else if (args_switch(&p->a, "--jit-unverified"))
        o->exec.jit_unverified = o->exec.unchecked = true, o->exec.checked = false;
    else
        return text_option(p, "--jitdump", &o->vm.jitdump) || text_option(p, "--engine", &o->exec.engine);
    return true;
}

static bool is_exec(struct parse *p)
{
    struct run_opts *o = p->o;
    if (args_switch(&p->a, "--checked"))
        o->exec.checked = true, o->exec.unchecked = false;
    else if (args_switch(&p->a, "--unchecked"))
        o->exec.unchecked = true, o->exec.checked = false;
    else if (args_switch(&p->a, "--unprivileged"))
        o->exec.privilege = SKEP_UNPRIVILEGED;
    else if (args_switch(&p->a, "--check-invariants"))
        o->exec.check_invariants = o->verify_raw = true;
    else if (args_switch(&p->a, "--verify"))
        o->verify_raw = true;
    else if (args_switch(&p->a, "--lenient"))
        o->exec.lenient = true;
    else if (number_option(p, "--max-insns", UINT64_MAX, &o->max_insns))
        o->has_max = true;
    else
        return is_opt(p, "--opt", false) || is_opt(p, "--no-opt", true) || is_jit(p);
    return true;
}

static bool is_rest(struct parse *p)
{
    struct run_opts *o = p->o;
    if (args_switch(&p->a, "--dump-maps"))
        return o->dump_maps = true;
    if (args_switch(&p->a, "--calls"))
        return o->calls = o->vm.mockable = true;
    if (args_switch(&p->a, "--kernel"))
        return o->kernel = true;
    if (number_option(p, "--cpu", 4095, &o->cpu))
        return o->has_cpu = true;
    return number_option(p, "--cpus", 4096, &o->cpus) || list_option(p, "--set", o->sets, &o->n_sets) ||
           list_option(p, "--map", o->maps, &o->n_maps) || list_option(p, "--event", o->events, &o->n_events) ||
           text_option(p, "--btf", &o->btf) || text_option(p, "--ctx", &o->ctx) ||
           text_option(p, "--pin-dir", &o->pin_dir) || text_option(p, "--maps-from", &o->maps_from) ||
           text_option(p, "--maps-to", &o->maps_to) || text_option(p, "--kconfig", &o->kconfig) ||
           text_option(p, "--world", &o->world_file) || text_option(p, "--task", &o->task) ||
           text_option(p, "--iter-map", &o->iter_map) || text_option(p, "--mem", &o->mem) ||
           number_option(p, "--packets", UINT64_MAX, &o->packets);
}

/* "--raw FILE" names the file, "run FILE --raw" does too. */
static bool is_raw(struct parse *p)
{
    if (args_switch(&p->a, "--raw"))
        return p->o->raw = true;
    if (args_switch(&p->a, "--cbpf"))
        return p->o->cbpf = true;
    return args_switch(&p->a, "--seccomp") && (p->o->seccomp = true);
}

static int take_name(struct parse *p)
{
    const char *arg = p->a.argv[p->a.at];
    if (arg[0] == '-' && arg[1])
        return cli_usage(p->a.c, p->a.cmd, "unknown option '%s'", arg);
    if (!p->o->object)
        p->o->object = arg;
    else if (!p->o->prog && !p->o->raw)
        p->o->prog = arg;
    else
        return cli_usage(p->a.c, p->a.cmd, "'%s' is one word too many", arg);
    p->a.at++;
    return 0;
}

static int check_opts(struct cli *c, struct run_opts *o)
{
    if (!o->object)
        return cli_usage(c, &cmd_run, "%s is missing", o->raw || o->cbpf ? "a file of instructions" : "an object");
    if (o->ctx && (o->ctx_in || o->raw || o->cbpf))
        return cli_usage(c, &cmd_run, "--ctx goes with a program of an object, and without ctx_in");
    if (o->seccomp && !o->cbpf)
        return cli_usage(c, &cmd_run, "--seccomp goes with --cbpf");
    if (o->cbpf && (o->raw || o->kernel || o->type || o->ctx_in || o->n_sets || o->n_maps || o->pin_dir ||
                    o->maps_from || o->maps_to || o->dump_maps))
        return cli_usage(c, &cmd_run, "filters have no type, maps, variables or contexts, and run here alone");
    if (o->seccomp && (o->pcap_in || o->data_out))
        return cli_usage(c, &cmd_run, "seccomp filters look at no packets");
    if (o->cpu >= o->cpus && !o->kernel)
        return cli_usage(c, &cmd_run, "--cpu %llu needs --cpus %llu or more", (unsigned long long)o->cpu,
                         (unsigned long long)o->cpu + 1);
    if (o->mem && !o->raw)
        return cli_usage(c, &cmd_run, "--mem goes with --raw; programs of an object take data_in");
    if (o->world_file && o->kernel)
        return cli_usage(c, &cmd_run, "--world is for runs in userspace; Linux has its own");
    if (o->calls && o->kernel)
        return cli_usage(c, &cmd_run, "--calls is for runs in userspace; Linux tells of no calls");
    if (o->task && !o->world_file)
        return cli_usage(c, &cmd_run, "--task chooses among the tasks of --world FILE");
    if (o->raw && o->kernel)
        return cli_usage(c, &cmd_run, "--kernel goes with an object; raw programs run here alone");
    if (o->raw && (o->pcap_in || o->n_sets || o->n_maps || o->pin_dir || o->maps_from || o->maps_to || o->dump_maps))
        return cli_usage(c, &cmd_run, "raw programs have no maps, no variables and no packets");
    if (o->pcap_in && (o->data_in || o->data_out))
        return cli_usage(c, &cmd_run, "pcap_in and data_in or data_out exclude each other");
    if (o->pcap_out && !o->pcap_in)
        return cli_usage(c, &cmd_run, "pcap_out needs pcap_in");
    if (o->ctx_size && (!o->ctx_in || o->data_in || o->data_out || o->ctx_out || o->pcap_in || o->raw))
        return cli_usage(c, &cmd_run,
                         "ctx_size cuts ctx_in into contexts of so many bytes, and goes with nothing else");
    if (o->time_pcap && !o->pcap_in)
        return cli_usage(c, &cmd_run, "--time pcap needs pcap_in");
    if (o->pcap_in && o->ctx_out)
        return cli_usage(c, &cmd_run, "ctx_out does not go with pcap_in");
    return 0;
}

/* A bound that no program meant to end reaches; what has none would only be noticed by its user. */
enum { DEFAULT_MAX_INSNS = 1000000000 };

/* What no option says of the task is this process's. */
static void own_task(struct skep_world *w)
{
    w->pid = (uint32_t)getpid();
    w->uid = getuid();
    w->gid = getgid();
    snprintf(w->comm, sizeof(w->comm), "skep");
}

int run_parse(struct cli *c, struct run_opts *o, int argc, char **argv)
{
    struct parse p = {.a = {.c = c, .cmd = &cmd_run, .argc = argc, .argv = argv}, .o = o};
    size_t room = (size_t)argc + 1;
    o->cpus = 1;
    o->world.sz = sizeof(o->world);
    o->exec.sz = sizeof(o->exec);
    o->vm =
        (struct skep_vm_opts){.sz = sizeof(o->vm), .gdb = true, .log = cli_on_log, .log_ctx = c, .log_level = c->level};
    own_task(&o->world);
    o->sets = calloc(room, sizeof(*o->sets));
    o->maps = calloc(room, sizeof(*o->maps));
    o->events = calloc(room, sizeof(*o->events));
    if (!o->sets || !o->maps || !o->events)
        return cli_fail(c, STATUS_USAGE, "out of memory");
    while (p.a.at < argc) {
        if (args_global(&p.a) || is_raw(&p) || is_words(&p) || is_world(&p) || is_exec(&p) || is_rest(&p)) {
            if (p.bad)
                return STATUS_USAGE;
            continue;
        }
        int status = take_name(&p);
        if (status)
            return status;
    }
    if (!p.has_tgid)
        o->world.tgid = o->world.pid;
    o->world.fix_task |= p.has_tgid;
    if (!o->has_max)
        o->max_insns = DEFAULT_MAX_INSNS;
    o->exec.count_insns = o->max_insns; /* what does not count cannot be interrupted */
    if (!o->cpus)
        return cli_usage(c, &cmd_run, "--cpus: at least one");
    o->vm.cpus = (uint32_t)o->cpus;
    return check_opts(c, o);
}

void run_opts_free(struct run_opts *o)
{
    free(o->sets);
    free(o->maps);
    free(o->events);
    skep_world__free(o->vm.world);
}
