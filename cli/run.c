/*
 * `skep run`: an object is opened, its variables set, loaded, its maps filled; then a program runs once, or over the
 * packets of a file, and what came of it is shown. In JSON, "events" is an open array while programs run, since events
 * are shown as they come; trace lines are kept aside and follow it.
 */
#include "cli/run.h"
#include "vm/abi/map_types.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* A signal handler reaches nothing but a global. */
static volatile uint32_t stop_flag;

static void on_interrupt(int sig)
{
    (void)sig;
    stop_flag = 1;
}

volatile uint32_t *run_stop_flag(void)
{
    return &stop_flag;
}

/* The first Ctrl-C ends the run, the second the process. */
static void catch_interrupt(void)
{
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
}

/* ---- One run ---- */

enum { MAX_TRACE = 64 << 20 };

static void on_print(void *ctx, const char *text, size_t len)
{
    struct run *r = ctx;
    while (len && text[len - 1] == '\n')
        len--;
    if (!r->c->json) {
        printf("trace: %.*s\n", (int)len, text);
    } else if (r->trace.len < MAX_TRACE) {
        buf_add(&r->trace, text, strnlen(text, len));
        buf_putc(&r->trace, 0);
    }
}

int run_once(struct run *r, struct skep_run_opts *opts, uint64_t time)
{
    struct skep_world world = r->o->world;
    world.print = on_print;
    world.print_ctx = r;
    if (!r->o->pcap_in && !r->o->ctx_size) { /* of many inputs the verdicts are counted */
        world.effect = effects_add;
        world.effect_ctx = r;
    }
    if (r->ctx_world && !r->o->kernel)
        world.file = r->ctx_world;
    world.sysctl_name = r->sysctl_name;
    world.sysctl_value = r->sysctl_value;
    world.time = time != UINT64_MAX ? time : r->runs ? r->time : world.time;
    world.cookie_seed = world.seed;
    world.seed += r->runs * 0x9e3779b97f4a7c15; /* runs of one command differ from one another */
    r->runs++;
    opts->world = &world;
    opts->stop = run_stop_flag();
    opts->max_insns = r->o->max_insns;
    opts->pass_time = r->o->pass_time;
    if (r->link)
        opts->flags |= SKEP_RUN_LINK;
    if (r->o->calls) {
        opts->on_call = calls_on;
        opts->call_ctx = r;
    }
    if (r->o->has_cpu) {
        opts->flags |= SKEP_RUN_CPU;
        opts->cpu = (uint32_t)r->o->cpu;
    }
    int err = skep_program__run(r->prog, opts);
    if (r->events)
        events_show(r->events);
    opts->world = NULL;
    r->time = opts->time_end;
    return err;
}

/* ---- Showing what came of it ---- */

static bool to_stdout(const char *file)
{
    return file && !strcmp(file, "-");
}

/* Bytes on standard output are not to be mixed with text. */
static void print_result(FILE *to, const struct skep_run_opts *o, const char *verdict)
{
    fprintf(to, "Return value: %u", o->retval);
    if (verdict)
        fprintf(to, " (%s)", verdict);
    fprintf(to, ", duration%s: %uns", o->repeat > 1 ? " (average)" : "", o->duration);
    if (o->hook_result)
        fprintf(to, ", the caller gets %d", o->hook_result);
    if (o->redirect_ifindex)
        fprintf(to, ", redirected to interface %u", o->redirect_ifindex);
    if (o->later_cnt)
        fprintf(to, ", then %u function%s that were put off", o->later_cnt, o->later_cnt == 1 ? "" : "s");
    fputc('\n', to);
}

static void show_result(struct run *r, const struct skep_run_opts *o)
{
    struct cli *c = r->c;
    const char *verdict = skep_prog_type_verdict(skep_program__type(r->prog), o->retval);
    if (!c->json) {
        print_result(to_stdout(r->o->data_out) || to_stdout(r->o->ctx_out) ? stderr : stdout, o, verdict);
        return;
    }
    json_u64_at(&c->w, "retval", o->retval);
    json_name(&c->w, "r0");
    json_hex(&c->w, o->r0);
    if (verdict)
        json_str_at(&c->w, "verdict", verdict);
    json_u64_at(&c->w, "repeat", o->repeat > 1 ? (uint64_t)o->repeat : 1);
    json_u64_at(&c->w, "duration", o->duration);
    if (o->hook_result)
        json_i64_at(&c->w, "hook_result", o->hook_result);
    if (o->redirect_ifindex)
        json_u64_at(&c->w, "redirect_ifindex", o->redirect_ifindex);
    if (o->later_cnt)
        json_u64_at(&c->w, "later", o->later_cnt);
}

/* Bytes that came out: into a file, or, in JSON, into the output. */
static int give_out(struct run *r, const char *file, const char *name, const char *size_name, const void *data,
                    uint32_t size)
{
    struct cli *c = r->c;
    if (c->json) {
        json_u64_at(&c->w, size_name, size);
        if (!file || to_stdout(file))
            json_bytes_at(&c->w, name, data, size);
    }
    return file && !(c->json && to_stdout(file)) ? file_write(c, file, data, size) : 0;
}

/* What an iterator wrote is text. */
static int show_text(struct run *r, const struct skep_run_opts *o)
{
    uint32_t len = o->data_size_out;
    if (r->o->data_out)
        return file_write(r->c, r->o->data_out, o->data_out, len);
    if (r->c->json) {
        json_name(&r->c->w, "text");
        json_string_n(&r->c->w, o->data_out, len);
    } else {
        fwrite(o->data_out, 1, len, stdout);
    }
    return 0;
}

static bool iterates(const struct run *r)
{
    return !strncmp(skep_program__section_name(r->prog), "iter", 4) && !r->o->ctx_in && !r->o->kernel;
}

static int show_outputs(struct run *r, const struct skep_run_opts *o, bool has_data, bool has_ctx)
{
    int status = 0;
    if (has_data)
        status = give_out(r, r->o->data_out, "data_out", "data_size_out", o->data_out, o->data_size_out);
    if (!status && has_ctx)
        status = give_out(r, r->o->ctx_out, "ctx_out", "ctx_size_out", o->ctx_out, o->ctx_size_out);
    if (!status && has_ctx && r->c->json)
        ctx_show(r, o->ctx_out, o->ctx_size_out);
    return status;
}

static void show_trace(struct run *r)
{
    struct cli *c = r->c;
    calls_show(r);
    if (!c->json || !r->trace.len)
        return;
    json_name(&c->w, "trace");
    json_array_begin(&c->w);
    for (const char *p = r->trace.data; p < r->trace.data + r->trace.len; p += strlen(p) + 1)
        json_string(&c->w, p);
    json_array_end(&c->w);
}

/* ---- Contexts ---- */

static bool is_skb(uint32_t type)
{
    enum { SOCKET_FILTER = 1, SCHED_CLS = 3, SCHED_ACT = 4, CGROUP_SKB = 8, LWT_IN = 10, LWT_OUT = 11, LWT_XMIT = 12 };
    return type == SOCKET_FILTER || type == SCHED_CLS || type == SCHED_ACT || type == CGROUP_SKB || type == LWT_IN ||
           type == LWT_OUT || type == LWT_XMIT;
}

static void put32(struct buf *ctx, size_t at, uint32_t v)
{
    if (!ctx->failed)
        memcpy(ctx->data + at, &v, sizeof(v));
}

/* --ifindex without ctx_in is the smallest context that names the interface. */
static int make_ctx(struct run *r, uint32_t data_size)
{
    enum { XDP_MD = 24, XDP_DATA_END = 4, XDP_INGRESS = 12, SKB_INGRESS = 36, SKB_IFINDEX = 40, SKB_LEN = 44 };
    uint32_t type = skep_program__type(r->prog);
    if (!r->o->ifindex || r->o->ctx_in || r->o->ctx)
        return 0;
    buf_clear(&r->ctx_in);
    if (type == SKEP_PROG_TYPE_XDP) {
        buf_grow(&r->ctx_in, XDP_MD);
        put32(&r->ctx_in, XDP_DATA_END, data_size);
        put32(&r->ctx_in, XDP_INGRESS, (uint32_t)r->o->ifindex);
    } else if (is_skb(type)) {
        buf_grow(&r->ctx_in, SKB_LEN);
        put32(&r->ctx_in, SKB_INGRESS, (uint32_t)r->o->ifindex);
        put32(&r->ctx_in, SKB_IFINDEX, (uint32_t)r->o->ifindex);
    } else {
        return cli_fail(r->c, STATUS_USAGE, "--ifindex is for programs that see packets; '%s' is of type %s",
                        skep_program__name(r->prog), skep_prog_type_str(type));
    }
    return 0;
}

int run_context(struct run *r, struct skep_run_opts *opts)
{
    int status = make_ctx(r, opts->data_size_in);
    opts->ctx_in = r->ctx_in.len ? r->ctx_in.data : NULL;
    opts->ctx_size_in = (uint32_t)r->ctx_in.len;
    return status;
}

/* ---- A single run ---- */

static int refused(struct run *r, int err)
{
    if (r->c->failed)
        return STATUS_REFUSED;
    return cli_fail(r->c, STATUS_REFUSED, "program '%s' cannot be run on this input: %s", skep_program__name(r->prog),
                    strerror(-err));
}

static int run_data(struct run *r, const struct buf *data, void *data_out, void *ctx_out)
{
    struct skep_trap trap = {.sz = sizeof(trap)};
    SKEP_OPTS(skep_run_opts, opts, .data_in = data->data, .data_size_in = (uint32_t)data->len, .data_out = data_out,
              .ctx_out = ctx_out, .trap = &trap, .repeat = (int)r->o->repeat);
    opts.data_size_out = data_out ? (uint32_t)data->len + (iterates(r) ? CLI_MAX_TEXT : CLI_OUT_ROOM) : 0;
    if (r->o->iter_map && !(opts.iter_map = skep_object__find_map_by_name(r->obj, r->o->iter_map)))
        return cli_usage(r->c, &cmd_run, "--iter-map: there is no map '%s'", r->o->iter_map);
    int status = run_context(r, &opts);
    opts.ctx_size_out = ctx_out ? opts.ctx_size_in + CLI_OUT_ROOM : 0;
    if (status)
        return status;
    if (r->c->json) {
        json_name(&r->c->w, "events");
        json_array_begin(&r->c->w);
    }
    int err = run_once(r, &opts, UINT64_MAX);
    if (r->c->json)
        json_array_end(&r->c->w);
    show_trace(r);
    effects_show(r);
    if (err == -EFAULT) {
        trap_show(r, &trap, NULL);
        return STATUS_REFUSED;
    }
    if (err)
        return refused(r, err);
    if (iterates(r) && (status = show_text(r, &opts)))
        return status;
    show_result(r, &opts);
    return show_outputs(r, &opts, data_out && !iterates(r), ctx_out);
}

static int run_single(struct run *r)
{
    struct buf data = {0};
    void *data_out = NULL, *ctx_out = NULL;
    int status = r->o->data_in ? file_read(r->c, r->o->data_in, CLI_MAX_DATA, &data) : 0;
    bool wants_data = r->o->data_out || (r->c->json && data.len) || iterates(r),
         wants_ctx = r->o->ctx_out || (r->c->json && (r->o->ctx_in || r->o->ctx));
    if (!status && wants_data)
        data_out = malloc(data.len + (iterates(r) ? CLI_MAX_TEXT : CLI_OUT_ROOM));
    if (!status && wants_ctx)
        ctx_out = malloc(r->ctx_in.len + CLI_OUT_ROOM);
    if (!status && ((wants_data && !data_out) || (wants_ctx && !ctx_out)))
        status = cli_fail(r->c, STATUS_USAGE, "out of memory");
    if (!status)
        status = run_data(r, &data, data_out, ctx_out);
    free(data_out);
    free(ctx_out);
    buf_free(&data);
    return status;
}

/* ---- From object to program ---- */

static int set_type(struct cli *c, struct skep_program *prog, const char *name)
{
    int type = skep_prog_type_by_name(name);
    if (type < 0)
        return cli_usage(c, &cmd_run, "there is no program type '%s'", name);
    return skep_program__set_type(prog, (uint32_t)type) ? cli_fail(c, STATUS_REFUSED, "type %s does not fit", name) : 0;
}

static int set_variables(struct run *r)
{
    int status = 0;
    for (uint32_t i = 0; i < r->o->n_sets && !status; i++)
        status = cli_set(r->c, &cmd_run, r->obj, r->o->sets[i]);
    return status;
}

static int prepare(struct run *r)
{
    struct cli *c = r->c;
    int status = 0;
    r->prog = cli_program(c, r->obj, r->o->prog, &status);
    if (!r->prog)
        return status;
    if (r->o->type && (status = set_type(c, r->prog, r->o->type)))
        return status;
    cli_choose(r->obj, r->prog);
    if ((status = set_variables(r)))
        return status;
    int err = skep_object__load_opts(r->obj, &r->o->exec);
    int refused = err == -EACCES ? STATUS_REFUSED : cli_status(err);
    if (err)
        return c->failed ? refused : cli_fail(c, refused, "%s: cannot be loaded: %s", r->o->object, strerror(-err));
    if (r->o->pin_dir && (status = pins_load(c, r->obj, r->o->pin_dir)))
        return status;
    if ((status = state_load(c, r->obj, r->o->maps_from)))
        return status;
    for (uint32_t i = 0; i < r->o->n_maps && !status; i++)
        status = maps_fill(c, r->obj, r->o->maps[i]);
    if (!status && r->o->ctx)
        status = ctx_read(r);
    if (!status && r->o->ctx_in)
        status = file_read(c, r->o->ctx_in, CLI_MAX_DATA, &r->ctx_in);
    if (!status && !(r->events = events_open(r)))
        status = c->failed ? STATUS_USAGE : cli_fail(c, STATUS_USAGE, "out of memory");
    return status;
}

/* An iterator goes over those of its world by itself. */
static uint32_t world_contexts(const struct run *r)
{
    const char *section = skep_program__section_name(r->prog);
    return r->o->vm.world && !r->o->ctx_in && strncmp(section, "iter", 4)
               ? skep_world__context_cnt(r->o->vm.world, section)
               : 0;
}

static int run_object(struct run *r)
{
    struct cli *c = r->c;
    int status = prepare(r);
    if (status)
        return status;
    if (c->json) {
        const char *type = skep_prog_type_str(skep_program__type(r->prog));
        json_str_at(&c->w, "program", skep_program__name(r->prog));
        json_str_at(&c->w, "type", type ? type : "unknown");
        json_str_at(&c->w, "engine", skep_program__engine(r->prog));
    }
    catch_interrupt();
    uint32_t contexts = world_contexts(r);
    bool walk = r->o->pcap_in || r->o->ctx_size || contexts > 1;
    status = r->o->pcap_in    ? pcap_run(r)
             : contexts > 1   ? contexts_run(r, contexts)
             : r->o->ctx_size ? records_run(r)
                              : run_single(r);
    if (walk)
        show_trace(r);
    if (r->o->dump_maps && status != STATUS_USAGE)
        maps_dump(c, r->obj);
    if (r->o->maps_to && status != STATUS_USAGE) {
        int saved = state_save(c, r->obj, r->o->maps_to);
        status = status ? status : saved;
    }
    if (r->o->pin_dir) {
        int saved = pins_save(c, r->obj, r->o->pin_dir);
        status = status ? status : saved;
    }
    return status;
}

static int open_and_run(struct cli *c, const struct run_opts *o)
{
    struct run r = {.c = c, .o = o};
    struct buf kconfig = {0};
    int status = o->kconfig ? file_read(c, o->kconfig, 4 << 20, &kconfig) : 0;
    SKEP_OPTS(skep_object_open_opts, opts, .backend = o->kernel ? SKEP_BACKEND_KERNEL : SKEP_BACKEND_USER,
              .vm_opts = &o->vm, .btf_custom_path = o->btf, .kconfig = kconfig.len ? kconfig.data : NULL);
    if (!status)
        r.obj = cli_open(c, o->object, &opts, &status);
    if (r.obj)
        status = run_object(&r);
    events_close(r.events);
    skep_object__close(r.obj);
    buf_free(&kconfig);
    skep_world__free(r.ctx_world);
    buf_free(&r.ctx_in);
    buf_free(&r.effects);
    arena_free(&r.arena);
    buf_free(&r.calls);
    buf_free(&r.trace);
    return status;
}

static int run_run(struct cli *c, int argc, char **argv)
{
    struct run_opts o = {0};
    int status = run_parse(c, &o, argc, argv);
    if (!status)
        status = world_open(c, &o);
    if (!status)
        status = o.cbpf ? cbpf_run(c, &o) : o.raw ? raw_run(c, &o) : open_and_run(c, &o);
    run_opts_free(&o);
    return status;
}

const struct command cmd_run = {
    .name = "run",
    .run = run_run,
    .usage = "OBJ [PROG] [WORD VALUE]... [OPTION]... | run --raw FILE [--mem FILE]",
    .summary = "run a program on packets, contexts or memory",
    .help =
        "Runs program PROG (needed when there are several) with the meaning of BPF_PROG_TEST_RUN. FILE may be `-` for\n"
        "standard input, or hex:00ff... for the bytes themselves.\n"
        "\n"
        "  data_in FILE, data_out FILE   the packet, and what became of it\n"
        "  ctx_in FILE, ctx_out FILE     the context: struct xdp_md, struct __sk_buff, pt_regs, a raw record ...\n"
        "  --ctx TEXT|FILE               the context as JSON by its fields' names: '{\"user_ip4\": \"10.0.0.1\"}'\n"
        "  ctx_size N                    ctx_in holds many contexts of N bytes: run once for each\n"
        "  pcap_in FILE, pcap_out FILE   run over each packet of a capture; write the ones that passed\n"
        "  repeat N                      run N times, report the average\n"
        "  type TYPE                     as another program type, by bpftool's names\n"
        "\n"
        "  --set VAR=VALUE               global variable before load; VAR may be a.b[2]\n"
        "  --map NAME=FILE.json          fill a map\n"
        "  --maps-from X, --maps-to X    carry all maps: X is a file, a folder of pinned maps, or linux:PROG\n"
        "  --dump-maps                   print the maps afterwards\n"
        "  --event [MAP=]TYPE            type of the events of a ring or perf buffer\n"
        "  --pin-dir DIR                 keep pinned maps as files there (else pinning is ignored)\n"
        "  --btf FILE, --kconfig FILE    types and CONFIG_ lines of the target\n"
        "\n"
        "  --kernel                      in Linux: its verifier, its BPF_PROG_TEST_RUN, its maps\n"
        "  --cpus N, --cpu N             virtual CPUs (1), and the one to run on\n"
        "  --time NS|now|pcap            the clock, ns since boot; pcap: of each packet. --time-step NS a reading\n"
        "  --pass-time NS                time that passes after each run: timers that are due by then fire\n"
        "  --seed N                      random numbers that repeat\n"
        "  --pid, --tgid, --uid, --gid N, --comm TEXT    the task\n"
        "  --world FILE, --task NAME     tasks, structures, memory from JSON (docs/world.md); the current task\n"
        "  --iter-map MAP                whose elements an iterator goes over\n"
        "  --calls                       tell of each call of a helper, with its arguments\n"
        "  --ifindex N                   the interface that packets came in by\n"
        "  --cgroup N                    the task's cgroup, as CGROUP_ARRAY maps hold it\n"
        "  --cookie N, --func-ip N       what bpf_get_attach_cookie() and bpf_get_func_ip() say\n"
        "  --packets N                   stop after so many packets or contexts\n"
        "\n"
        "  --max-insns N                 instructions a run may execute (default 1000000000; 0: no limit, and machine\n"
        "                                code does not count, which Ctrl-C then does not end)\n"
        "  --checked, --unchecked        do not verify: check every access, or trust the program. Default: verify;\n"
        "                                what is accepted runs unchecked, what cannot be judged yet runs checked\n"
        "  --unprivileged                verify by the rules for programs of users without capabilities\n"
        "  --check-invariants            what is accepted runs watched: outside what the verifier explored it traps\n"
        "  --lenient                     malformed instructions trap when executed instead of refusing the program\n"
        "  --engine interp|jit           default: machine code for what is verified, where there can be some\n"
        "  --jit-unverified              machine code, and neither verification nor checks\n"
        "  --harden                      constants of programs hidden, code at random places\n"
        "  --perf-map, --jitdump DIR     names in /tmp/perf-PID.map; code and lines in DIR/jit-PID.dump\n"
        "  --no-opt NAME, --opt NAME     optimisations off or on: fuse, facts, inline, special, promote, webs,\n"
        "                                simplify, rotate, address, wide, memory, select, divide, unroll, alloc, layout,\n"
        "                                all\n"
        "\n"
        "  --cbpf FILE                   classic BPF: the text of `tcpdump -ddd`, over data_in or pcap_in, packets with\n"
        "                                their link-level header. --seccomp: a filter of system calls, over the 64 bytes\n"
        "                                of struct seccomp_data\n"
        "  --raw FILE [--mem FILE]       8-byte instructions; r1 = copy of the memory, r2 = its length; prints r0.\n"
        "                                Checked, unless --verify or --engine jit asks for the verifier\n",
};
