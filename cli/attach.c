/*
 * `skep attach`: an object is opened for Linux, its programs are attached to what their sections name or `to` says, and
 * stay so until Ctrl-C, --for, or for good with --pin. Every attachment that was made is undone when a later one fails.
 */
#include "cli/attach.h"
#include "vm/abi/prog_types.h"
#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A signal handler reaches nothing but a global. */
static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
    (void)sig;
    stopped = 1;
}

static void catch_signals(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND}; /* a second one kills */
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
        sigaction(signals[i], &action, NULL);
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- Which programs ---- */

static bool is_named(const struct attach_opts *o, const char *name)
{
    for (uint32_t i = 0; i < o->n_progs; i++)
        if (!strcmp(o->progs[i], name))
            return true;
    return !o->n_progs;
}

/* What is entered through a map, or run by hand, is loaded with the others and attached to nothing. */
static bool is_attachable(const struct skep_program *p)
{
    uint32_t type = skep_program__type(p);
    bool inner = type == PROG_TYPE_XDP && strchr(skep_program__section_name(p), '/');
    return skep_program__loaded(p) && type != PROG_TYPE_SYSCALL && type != PROG_TYPE_STRUCT_OPS && !inner;
}

static int choose(struct attach *a)
{
    struct skep_program *p;
    struct skep_map *m;
    bool tables = false;
    for (uint32_t i = 0; i < a->o->n_progs; i++) {
        int status = 0;
        p = cli_program(a->run.c, a->run.obj, a->o->progs[i], &status);
        if (!p)
            return status;
        skep_program__set_autoload(p, true);
    }
    skep_object__for_each_map(m, a->run.obj) tables |= skep_map__type(m) == SKEP_MAP_TYPE_PROG_ARRAY;
    skep_object__for_each_program(p, a->run.obj) if (!is_named(a->o, skep_program__name(p)) && !tables)
        skep_program__set_autoload(p, false);
    for (uint32_t i = 0; i < a->o->n_watch; i++)
        if (!skep_object__find_map_by_name(a->run.obj, a->o->watch[i]))
            return cli_usage(a->run.c, &cmd_attach, "--watch: there is no map '%s'", a->o->watch[i]);
    return 0;
}

/* ---- Attaching ---- */

static int keep(struct attach *a, struct skep_program *prog, struct skep_link *link)
{
    struct attached *more = realloc(a->all, (a->n + 1) * sizeof(*more));
    if (!more) {
        skep_link__destroy(link);
        return cli_fail(a->run.c, STATUS_REFUSED, "out of memory");
    }
    a->all = more;
    a->all[a->n++] = (struct attached){.prog = prog, .link = link};
    if (!a->run.c->json)
        printf("attached %s: %s\n", prog ? skep_program__name(prog) : "struct_ops", skep_link__text(link));
    return 0;
}

static bool is_at_interface(uint32_t type)
{
    return type == PROG_TYPE_XDP || type == PROG_TYPE_SCHED_CLS || type == PROG_TYPE_SCHED_ACT ||
           type == PROG_TYPE_SOCKET_FILTER;
}

static int attach_to(struct attach *a, struct skep_program *p, const char *to)
{
    const struct attach_opts *o = a->o;
    SKEP_OPTS(skep_attach_opts, opts, .xdp_flags = o->xdp_flags, .egress = o->egress, .clsact = o->clsact,
              .pid = (int32_t)o->pid, .freq = o->freq, .cookie = o->cookie);
    if (to && is_at_interface(skep_program__type(p))) {
        opts.ifindex = if_nametoindex(to);
        if (!opts.ifindex)
            return cli_fail(a->run.c, STATUS_REFUSED, "there is no interface '%s' (see `ip link`)", to);
    } else {
        opts.target = to;
    }
    struct skep_link *link = skep_program__attach(p, &opts);
    if (!link)
        return a->run.c->failed ? STATUS_REFUSED
                                : cli_fail(a->run.c, STATUS_REFUSED, "program '%s' cannot be attached: %s",
                                           skep_program__name(p), strerror(errno));
    return keep(a, p, link);
}

/* `to a,b` and `to a to b` are the same, except for files and functions, whose names may hold commas. */
static int attach_each(struct attach *a, struct skep_program *p)
{
    int status = 0;
    if (!a->o->n_to)
        return attach_to(a, p, NULL);
    for (uint32_t i = 0; i < a->o->n_to && !status; i++) {
        if (!is_at_interface(skep_program__type(p))) {
            status = attach_to(a, p, a->o->to[i]);
            continue;
        }
        char *list = strdup(a->o->to[i]), *save = NULL;
        for (char *name = list ? strtok_r(list, ",", &save) : NULL; name && !status; name = strtok_r(NULL, ",", &save))
            status = attach_to(a, p, name);
        free(list);
    }
    return status;
}

static int attach_struct_ops(struct attach *a)
{
    const char *name;
    int status = 0;
    for (uint32_t i = 0; !status && (name = skep_object__struct_ops_name(a->run.obj, i)); i++) {
        struct skep_link *link = skep_object__attach_struct_ops(a->run.obj, name);
        status = link ? keep(a, NULL, link) : STATUS_REFUSED;
    }
    return status;
}

static int attach_all(struct attach *a)
{
    struct skep_program *p;
    int status = 0;
    skep_object__for_each_program(p, a->run.obj) if (!status && is_named(a->o, skep_program__name(p)) &&
                                                     (a->o->n_progs ? skep_program__loaded(p) : is_attachable(p)))
        status = attach_each(a, p);
    if (!status && !a->o->n_progs)
        status = attach_struct_ops(a);
    if (!status && !a->n)
        status = cli_fail(a->run.c, STATUS_REFUSED, "%s: there is nothing to attach", a->run.o->object);
    fflush(stdout);
    return status;
}

/* ---- Pinning ---- */

static void pin_path(const struct attach *a, uint32_t i, struct buf *path)
{
    unsigned same = 0;
    for (uint32_t k = 0; k < i; k++)
        same += a->all[k].prog == a->all[i].prog;
    buf_printf(path, "%s/%s", a->o->pin, a->all[i].prog ? skep_program__name(a->all[i].prog) : "struct_ops");
    if (same)
        buf_printf(path, "_%u", same);
}

static int pin_one(struct attach *a, uint32_t i)
{
    struct buf path = {0};
    pin_path(a, i, &path);
    int err = skep_link__pin(a->all[i].link, buf_text(&path));
    if (err == -EOPNOTSUPP)
        cli_fail(a->run.c, STATUS_REFUSED, "%s cannot be pinned: it is no link of Linux's and ends with this process",
                 skep_link__text(a->all[i].link));
    else if (err)
        cli_fail(a->run.c, STATUS_REFUSED, "%s: cannot be pinned: %s%s", buf_text(&path), strerror(-err),
                 err == -EINVAL || err == -EPERM ? "; it must lie on a bpffs (mount -t bpf bpf DIR)" : "");
    else if (!a->run.c->json)
        printf("pinned %s; `rm %s` detaches it\n", buf_text(&path), buf_text(&path));
    buf_free(&path);
    return err ? STATUS_REFUSED : 0;
}

static int pin_all(struct attach *a)
{
    int status = 0;
    uint32_t done = 0;
    bool made = !mkdir(a->o->pin, 0700);
    while (done < a->n && !status)
        status = pin_one(a, done++);
    if (!status)
        return 0;
    for (uint32_t i = 0; i + 1 < done; i++) {
        struct buf path = {0};
        pin_path(a, i, &path);
        unlink(buf_text(&path));
        buf_free(&path);
    }
    if (made)
        rmdir(a->o->pin);
    return status;
}

/* ---- The wait ---- */

static bool is_iterator(const struct attached *one)
{
    return one->prog && !strncmp(skep_program__section_name(one->prog), "iter", 4);
}

/* An iterator has said everything when it was read; who has nothing else attached need not wait. */
static int read_iterators(struct attach *a, bool *only)
{
    int status = 0;
    *only = true;
    for (uint32_t i = 0; i < a->n && !status; i++) {
        if (is_iterator(&a->all[i]))
            status = attach_show_iter(a, &a->all[i]);
        else
            *only = false;
    }
    return status;
}

static void wait_for_end(struct attach *a)
{
    uint64_t begin = now_ms(), next = begin + a->o->interval;
    while (!stopped) {
        uint64_t now = now_ms(), end = a->o->seconds ? begin + a->o->seconds * 1000 : UINT64_MAX;
        if (now >= end)
            break;
        uint64_t until = next < end ? next : end;
        if (until > now)
            attach_show_wait(a, (int)(until - now));
        if (now_ms() >= next) {
            attach_show_state(a);
            next = now_ms() + (a->o->interval ? a->o->interval : 1000);
        }
    }
}

static int stay(struct attach *a)
{
    bool any = false, only = false;
    int status = 0;
    for (uint32_t i = 0; i < a->n; i++)
        any |= is_iterator(&a->all[i]);
    if (any)
        status = read_iterators(a, &only);
    if (!status && !only)
        wait_for_end(a);
    attach_show_end(a);
    return status ? status : state_save(a->run.c, a->run.obj, a->run.o->maps_to);
}

/* ---- From object to programs at work ---- */

/* The device's driver gets the programs when they are loaded. */
static int offload(const struct attach *a)
{
    const char *name = a->o->n_to == 1 ? a->o->to[0] : "";
    uint32_t ifindex = if_nametoindex(name);
    struct skep_program *p;
    struct skep_map *m;
    if (a->o->n_to != 1 || strchr(name, ','))
        return cli_usage(a->run.c, &cmd_attach, "--offload takes one interface, whose driver has to run the program");
    if (!ifindex)
        return cli_fail(a->run.c, STATUS_REFUSED, "there is no interface '%s' (see `ip link`)", name);
    skep_object__for_each_program(p, a->run.obj) skep_program__set_ifindex(p, ifindex);
    skep_object__for_each_map(m, a->run.obj) skep_map__set_ifindex(m, ifindex);
    return 0;
}

static int prepare(struct attach *a)
{
    struct cli *c = a->run.c;
    const struct run_opts *r = a->run.o;
    int status = choose(a);
    if (!status && a->o->xdp_flags & SKEP_XDP_OFFLOAD)
        status = offload(a);
    for (uint32_t i = 0; i < r->n_sets && !status; i++)
        status = cli_set(c, &cmd_attach, a->run.obj, r->sets[i]);
    if (status)
        return status;
    int err = skep_object__load(a->run.obj);
    if (err && a->o->xdp_flags & SKEP_XDP_OFFLOAD)
        cli_warn(c,
                 "--offload loads the program for %s, whose driver has to run it; --native and --generic leave it to "
                 "the processor",
                 a->o->to[0]);
    if (err)
        return c->failed ? STATUS_REFUSED
                         : cli_fail(c, STATUS_REFUSED, "%s: cannot be loaded: %s", r->object, strerror(-err));
    status = state_load(c, a->run.obj, r->maps_from);
    for (uint32_t i = 0; i < r->n_maps && !status; i++)
        status = maps_fill(c, a->run.obj, r->maps[i]);
    return status;
}

static int work(struct attach *a)
{
    int status = prepare(a);
    if (!status)
        catch_signals();
    if (!status && !a->o->pin)
        status = attach_show_begin(a);
    if (status)
        return status;
    status = attach_all(a);
    if (!status && a->o->pin)
        return pin_all(a);
    if (!status)
        return stay(a);
    if (a->run.c->json && !a->o->pin)
        json_array_end(&a->run.c->w);
    return status;
}

static void release(struct attach *a)
{
    while (a->n)
        skep_link__destroy(a->all[--a->n].link);
    free(a->all);
    events_close(a->run.events);
    skep_object__close(a->run.obj);
    int fds[] = {a->stats, a->trace, a->epoll};
    for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    buf_free(&a->run.trace);
}

static int run_attach(struct cli *c, int argc, char **argv)
{
    struct attach_opts o = {0};
    struct attach a = {.run = {.c = c, .o = &o.run}, .o = &o, .stats = -1, .trace = -1, .epoll = -1};
    struct buf kconfig = {0};
    int status = attach_parse(c, &o, argc, argv);
    if (!status && o.run.kconfig)
        status = file_read(c, o.run.kconfig, 4 << 20, &kconfig);
    if (!status) {
        SKEP_OPTS(skep_vm_opts, vm, .cpus = 1, .log = cli_on_log, .log_ctx = c, .log_level = c->level);
        SKEP_OPTS(skep_object_open_opts, opts, .vm_opts = &vm, .btf_custom_path = o.run.btf,
                  .kconfig = kconfig.len ? kconfig.data : NULL, .backend = SKEP_BACKEND_KERNEL,
                  .pin_root_path = o.pin_maps);
        a.run.obj = cli_open(c, o.run.object, &opts, &status);
    }
    if (a.run.obj)
        status = work(&a);
    release(&a);
    attach_opts_free(&o);
    buf_free(&kconfig);
    return status;
}

const struct command cmd_attach = {
    .name = "attach",
    .run = run_attach,
    .usage = "OBJ [PROG...] [to WHAT]... [OPTION]...",
    .summary = "put programs to work in Linux, and watch them",
    .help =
        "Loads the object into Linux and attaches its programs (or those that are named) to what their section names\n"
        "say, or to WHAT: an interface (or several, a,b), a tracepoint, a function of the kernel, FILE:FUNCTION,\n"
        "FILE:PROVIDER:NAME, a cgroup's directory, a perf event. Shows events and what the programs print until Ctrl-C,\n"
        "then how often each ran; then everything is detached.\n"
        "\n"
        "  --generic, --native, --offload    XDP: the way in\n"
        "  --ingress, --egress, --clsact     tc, where the section does not say; by a qdisc instead of tcx\n"
        "  --pid N                           uprobes, perf events: of this process alone\n"
        "  --freq N, --cookie N              samples a second (99); for bpf_get_attach_cookie()\n"
        "  --watch MAP, --interval MS        show a map every so often (1000), on a terminal in place\n"
        "  --for SECONDS                     detach by itself\n"
        "  --pin DIR                         leave the programs attached, as files of a bpffs\n"
        "  --pin-maps DIR                    where maps that ask for pinning are found or made\n"
        "  --maps-from X, --maps-to X        carry all maps: X is a file, a folder of pinned maps, or linux:PROG\n"
        "  --set VAR=VALUE, --map NAME=FILE, --event [MAP=]TYPE, --dump-maps, --btf FILE, --kconfig FILE\n"
        "                                    as for `skep run`\n",
};
