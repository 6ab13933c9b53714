/*
 * Attaching. A table says by program type which way is taken; the section name chooses within KPROBE and TRACING.
 * Whatever was begun when a later step fails is undone with the link (loader/kernel_link.c).
 */
#include "loader/kernel_link.h"
#include "vm/abi/prog_types.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/perf_event.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than Debian 12's headers. */
enum { TCX_INGRESS = 46, TCX_EGRESS = 47, NETKIT_PRIMARY = 54, NETKIT_PEER = 55 };
enum { XDP_SKB_MODE = 2, XDP_DRV_MODE = 4, XDP_HW_MODE = 8 };

static int missing(struct attaching *a, const char *text)
{
    buf_puts(a->why, text);
    return -EINVAL;
}

static const char *interface_name(uint32_t ifindex, char name[IF_NAMESIZE])
{
    if (!if_indextoname(ifindex, name))
        snprintf(name, IF_NAMESIZE, "%u", ifindex);
    return name;
}

/* ---- Interfaces ---- */

static int attach_xdp(struct attaching *a)
{
    const struct kernel_attach *h = a->how;
    char name[IF_NAMESIZE];
    if (!h->ifindex)
        return missing(a, "it takes an interface: `to eth0`");
    uint32_t flags = h->xdp_generic ? XDP_SKB_MODE : h->xdp_native ? XDP_DRV_MODE : h->xdp_offload ? XDP_HW_MODE : 0;
    LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = flags);
    a->link->fd = bpf_link_create(a->prog_fd, (int)h->ifindex, BPF_XDP, &opts);
    snprintf(a->link->text, sizeof(a->link->text), "xdp%s %s",
             h->xdp_generic   ? " (generic)"
             : h->xdp_native  ? " (native)"
             : h->xdp_offload ? " (offload)"
                              : "",
             interface_name(h->ifindex, name));
    return a->link->fd < 0 ? a->link->fd : 0;
}

static int attach_clsact(struct attaching *a, bool egress)
{
    struct kernel_link *l = a->link;
    char name[IF_NAMESIZE];
    l->ifindex = a->how->ifindex;
    l->point = egress ? BPF_TC_EGRESS : BPF_TC_INGRESS;
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)l->ifindex, .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
    int err = bpf_tc_hook_create(&hook);
    if (err && err != -EEXIST)
        return err;
    l->own_qdisc = !err;
    hook.attach_point = l->point;
    LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = a->prog_fd);
    err = bpf_tc_attach(&hook, &opts);
    if (err)
        return err;
    l->has_tc = true;
    l->handle = opts.handle;
    l->priority = opts.priority;
    snprintf(l->text, sizeof(l->text), "tc clsact/%s %s", egress ? "egress" : "ingress",
             interface_name(l->ifindex, name));
    return 0;
}

static int attach_tc(struct attaching *a)
{
    const struct kernel_attach *h = a->how;
    char name[IF_NAMESIZE];
    if (!h->ifindex)
        return missing(a, "it takes an interface: `to eth0`");
    bool egress = h->egress || strstr(h->section, "egress");
    if (h->clsact)
        return attach_clsact(a, egress);
    bool netkit = !strncmp(h->section, "netkit/", 7), peer = !strcmp(h->section, "netkit/peer");
    int type = netkit ? peer ? NETKIT_PEER : NETKIT_PRIMARY : egress ? TCX_EGRESS : TCX_INGRESS;
    a->link->fd = bpf_link_create(a->prog_fd, (int)h->ifindex, (enum bpf_attach_type)type, NULL);
    snprintf(a->link->text, sizeof(a->link->text), "%s %s",
             netkit   ? h->section
             : egress ? "tcx/egress"
                      : "tcx/ingress",
             interface_name(h->ifindex, name));
    /* Linux before 6.6 knows no such type of link. */
    if (a->link->fd == -EINVAL && !netkit)
        return attach_clsact(a, egress);
    return a->link->fd < 0 ? a->link->fd : 0;
}

/* A socket of our own sees what comes and goes at an interface (all of them: 0), as tcpdump's does. */
static int open_packets(uint32_t ifindex)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, __builtin_bswap16(ETH_P_ALL));
    struct sockaddr_ll at = {
        .sll_family = AF_PACKET, .sll_protocol = __builtin_bswap16(ETH_P_ALL), .sll_ifindex = (int)ifindex};
    if (fd < 0)
        return -errno;
    if (ifindex && bind(fd, (struct sockaddr *)&at, sizeof(at))) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

static int attach_socket(struct attaching *a)
{
    struct kernel_link *l = a->link;
    char name[IF_NAMESIZE];
    int fd = a->how->fd;
    if (!fd) {
        fd = open_packets(a->how->ifindex);
        if (fd < 0)
            return fd;
        l->own_socket = true;
    }
    l->socket = fd;
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &a->prog_fd, sizeof(a->prog_fd)))
        return -errno;
    snprintf(l->text, sizeof(l->text), "socket filter %s",
             a->how->fd        ? "of a socket"
             : a->how->ifindex ? interface_name(a->how->ifindex, name)
                               : "all interfaces");
    return 0;
}

/* ---- Cgroups and namespaces ---- */

/* The descriptor that was given, or the path's. *own: to be closed again. */
static int open_target(const struct attaching *a, const char *otherwise, bool *own)
{
    const char *path = *a->how->target == '/' ? a->how->target : otherwise;
    *own = !a->how->fd;
    if (a->how->fd)
        return a->how->fd;
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    return fd < 0 && path ? -errno : fd;
}

static int attach_cgroup(struct attaching *a)
{
    bool own;
    int fd = open_target(a, NULL, &own);
    if (fd == -1 && !a->how->fd && *a->how->target != '/')
        return missing(a, "it takes a directory of cgroup v2: `to /sys/fs/cgroup/NAME`");
    if (fd < 0)
        return fd;
    int err = kernel_link_add(a, bpf_program__attach_cgroup(a->prog, fd));
    if (own)
        close(fd);
    snprintf(a->link->text, sizeof(a->link->text), "%s cgroup %s", a->how->section,
             *a->how->target == '/' ? a->how->target : "");
    return err;
}

static int attach_netns(struct attaching *a)
{
    bool own;
    int fd = open_target(a, "/proc/self/ns/net", &own);
    if (fd < 0)
        return fd;
    int err = kernel_link_add(a, bpf_program__attach_netns(a->prog, fd));
    if (own)
        close(fd);
    snprintf(a->link->text, sizeof(a->link->text), "%s of %s", a->how->section,
             *a->how->target == '/' ? a->how->target : "this network namespace");
    return err;
}

static int attach_sockmap(struct attaching *a)
{
    if (!a->how->fd)
        return missing(a, "it takes a map of sockets, which only a program of its own can give");
    struct kernel_link *l = a->link;
    l->attach_type = bpf_program__expected_attach_type(a->prog);
    int err = bpf_prog_attach(a->prog_fd, a->how->fd, l->attach_type, 0);
    if (err)
        return err;
    l->map_fd = fcntl(a->how->fd, F_DUPFD_CLOEXEC, 3);
    l->prog_fd = a->prog_fd;
    snprintf(l->text, sizeof(l->text), "%s of a map", a->how->section);
    return 0;
}

/* ---- Tracing ---- */

static int attach_tracepoint(struct attaching *a)
{
    char category[64];
    const char *slash = strchr(a->how->target, '/');
    if (!slash || slash - a->how->target >= (long)sizeof(category))
        return missing(a, "it takes a tracepoint: `to sched/sched_switch`");
    snprintf(category, sizeof(category), "%.*s", (int)(slash - a->how->target), a->how->target);
    LIBBPF_OPTS(bpf_tracepoint_opts, opts, .bpf_cookie = a->how->cookie);
    snprintf(a->link->text, sizeof(a->link->text), "tracepoint %s", a->how->target);
    return kernel_link_add(a, bpf_program__attach_tracepoint_opts(a->prog, category, slash + 1, &opts));
}

static int attach_raw_tracepoint(struct attaching *a)
{
    if (!*a->how->target)
        return missing(a, "it takes a tracepoint: `to sched_switch`");
    snprintf(a->link->text, sizeof(a->link->text), "raw tracepoint %s", a->how->target);
    return kernel_link_add(a, bpf_program__attach_raw_tracepoint(a->prog, a->how->target));
}

/* tp_btf, fentry, fexit, LSM, iterators, freplace: load already bound them to what they watch. */
static int attach_bound(struct attaching *a)
{
    snprintf(a->link->text, sizeof(a->link->text), "%s", a->how->section);
    return kernel_link_add(a, bpf_program__attach(a->prog));
}

static bool begins(const char *text, const char *with)
{
    return !strncmp(text, with, strlen(with));
}

/* "PATH:FUNCTION+OFFSET" of a uprobe, "PATH:PROVIDER:NAME" of a USDT. The parts are cut in place. */
static int attach_uprobe(struct attaching *a, bool ret)
{
    char target[512], *colon, *plus, *end;
    uint64_t off = 0;
    if (snprintf(target, sizeof(target), "%s", a->how->target) >= (int)sizeof(target) ||
        !(colon = strrchr(target, ':')))
        return missing(a, "it takes a function of a file: `to /bin/program:function`");
    *colon++ = 0;
    plus = strchr(colon, '+');
    if (plus) {
        *plus++ = 0;
        off = strtoull(plus, &end, 0);
        if (!*plus || *end)
            return missing(a, "what follows + is no number");
    }
    bool number = begins(colon, "0x");
    if (number)
        off = strtoull(colon, &end, 16);
    LIBBPF_OPTS(bpf_uprobe_opts, opts, .retprobe = ret, .bpf_cookie = a->how->cookie,
                .func_name = number ? NULL : colon);
    snprintf(a->link->text, sizeof(a->link->text), "%s %s", ret ? "uretprobe" : "uprobe", a->how->target);
    return kernel_link_add(
        a, bpf_program__attach_uprobe_opts(a->prog, a->how->pid ? a->how->pid : -1, target, off, &opts));
}

static int attach_usdt(struct attaching *a)
{
    char target[512], *provider, *name;
    if (snprintf(target, sizeof(target), "%s", a->how->target) >= (int)sizeof(target) ||
        !(name = strrchr(target, ':')) || (*name++ = 0, !(provider = strrchr(target, ':'))))
        return missing(a, "it takes a tracepoint of a file: `to /bin/program:provider:name`");
    *provider++ = 0;
    LIBBPF_OPTS(bpf_usdt_opts, opts, .usdt_cookie = a->how->cookie);
    snprintf(a->link->text, sizeof(a->link->text), "usdt %s", a->how->target);
    return kernel_link_add(
        a, bpf_program__attach_usdt(a->prog, a->how->pid ? a->how->pid : -1, target, provider, name, &opts));
}

static int attach_kprobe(struct attaching *a, bool ret)
{
    char name[128];
    size_t len = strcspn(a->how->target, "+");
    if (!len || len >= sizeof(name))
        return missing(a, "it takes a function of the kernel: `to vfs_read`");
    snprintf(name, sizeof(name), "%.*s", (int)len, a->how->target);
    LIBBPF_OPTS(bpf_kprobe_opts, opts, .retprobe = ret, .bpf_cookie = a->how->cookie,
                .offset = a->how->target[len] ? strtoull(a->how->target + len + 1, NULL, 0) : 0);
    snprintf(a->link->text, sizeof(a->link->text), "%s %s", ret ? "kretprobe" : "kprobe", a->how->target);
    return kernel_link_add(a, bpf_program__attach_kprobe_opts(a->prog, name, &opts));
}

static int attach_ksyscall(struct attaching *a, bool ret)
{
    LIBBPF_OPTS(bpf_ksyscall_opts, opts, .retprobe = ret, .bpf_cookie = a->how->cookie);
    if (!*a->how->target)
        return missing(a, "it takes a system call: `to openat`");
    snprintf(a->link->text, sizeof(a->link->text), "%s %s", ret ? "kretsyscall" : "ksyscall", a->how->target);
    return kernel_link_add(a, bpf_program__attach_ksyscall(a->prog, a->how->target, &opts));
}

static int attach_kprobe_multi(struct attaching *a, bool ret)
{
    LIBBPF_OPTS(bpf_kprobe_multi_opts, opts, .retprobe = ret);
    snprintf(a->link->text, sizeof(a->link->text), "%s", a->how->section);
    return kernel_link_add(a, bpf_program__attach_kprobe_multi_opts(a->prog, a->how->target, &opts));
}

static int attach_probe(struct attaching *a)
{
    const char *s = a->how->section;
    if (begins(s, "uprobe.multi") || begins(s, "uretprobe.multi") || begins(s, "uprobe.session") ||
        begins(s, "kprobe.session"))
        return missing(a, "libbpf 1.1 has no way to attach it; name one function with SEC(\"uprobe\")");
    if (begins(s, "uprobe") || begins(s, "uretprobe"))
        return attach_uprobe(a, s[1] == 'r');
    if (begins(s, "usdt"))
        return attach_usdt(a);
    if (begins(s, "ksyscall") || begins(s, "kretsyscall"))
        return attach_ksyscall(a, begins(s, "kret"));
    if (begins(s, "kprobe.multi") || begins(s, "kretprobe.multi"))
        return attach_kprobe_multi(a, begins(s, "kret"));
    return attach_kprobe(a, begins(s, "kret"));
}

/* ---- Sampling ---- */

static const struct {
    const char *name;
    uint32_t type;
    uint64_t config;
} events[] = {
    {"cpu-clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK},
    {"task-clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK},
    {"page-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS},
    {"context-switches", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES},
    {"cpu-migrations", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS},
    {"cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
    {"instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
    {"cache-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES},
    {"branch-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES},
};

/* Clocks are sampled so many times a second, what happens rarely each time. */
static int open_event(size_t event, uint64_t freq, int pid, int cpu)
{
    struct perf_event_attr attr;
    memset(&attr, 0, sizeof(attr));
    attr.size = sizeof(attr);
    attr.type = events[event].type;
    attr.config = events[event].config;
    bool rare = attr.type == PERF_TYPE_SOFTWARE && attr.config != PERF_COUNT_SW_CPU_CLOCK &&
                attr.config != PERF_COUNT_SW_TASK_CLOCK;
    attr.freq = !rare;
    attr.sample_freq = rare ? 1 : freq ? freq : 99;
    int fd = (int)syscall(SYS_perf_event_open, &attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int attach_event(struct attaching *a, size_t event, int pid, int cpu)
{
    LIBBPF_OPTS(bpf_perf_event_opts, opts, .bpf_cookie = a->how->cookie);
    int fd = open_event(event, a->how->freq, pid, cpu);
    if (fd < 0)
        return fd;
    int err = kernel_link_add(a, bpf_program__attach_perf_event_opts(a->prog, fd, &opts));
    if (err)
        close(fd); /* else it is the link's */
    return err;
}

static int attach_perf(struct attaching *a)
{
    const char *name = *a->how->target ? a->how->target : "cpu-clock";
    size_t event = 0, n = sizeof(events) / sizeof(*events);
    while (event < n && strcmp(events[event].name, name))
        event++;
    if (event == n)
        return missing(a, "it takes an event: cpu-clock, task-clock, page-faults, context-switches, cpu-migrations, "
                          "cycles, instructions, cache-misses or branch-misses");
    snprintf(a->link->text, sizeof(a->link->text), "perf event %s", name);
    if (a->how->pid)
        return attach_event(a, event, a->how->pid, -1);
    int cpus = libbpf_num_possible_cpus(), err = 0, done = 0;
    for (int cpu = 0; cpu < cpus; cpu++) {
        int failed = attach_event(a, event, -1, cpu);
        done += !failed;
        if (failed && failed != -ENODEV) /* a CPU that is off */
            err = failed;
    }
    return done ? 0 : err;
}

/* ---- The table ---- */

static int attach_none(struct attaching *a)
{
    buf_puts(a->why, "programs of this type are attached to nothing: run it (`skep run --kernel`)");
    return -EOPNOTSUPP;
}

static const struct {
    uint32_t type;
    int (*attach)(struct attaching *a);
} ways[] = {
    {PROG_TYPE_XDP, attach_xdp},
    {PROG_TYPE_SCHED_CLS, attach_tc},
    {PROG_TYPE_SCHED_ACT, attach_tc},
    {PROG_TYPE_SOCKET_FILTER, attach_socket},
    {PROG_TYPE_TRACEPOINT, attach_tracepoint},
    {PROG_TYPE_RAW_TRACEPOINT, attach_raw_tracepoint},
    {PROG_TYPE_RAW_TRACEPOINT_WRITABLE, attach_raw_tracepoint},
    {PROG_TYPE_KPROBE, attach_probe},
    {PROG_TYPE_PERF_EVENT, attach_perf},
    {PROG_TYPE_CGROUP_SKB, attach_cgroup},
    {PROG_TYPE_CGROUP_SOCK, attach_cgroup},
    {PROG_TYPE_CGROUP_SOCK_ADDR, attach_cgroup},
    {PROG_TYPE_CGROUP_DEVICE, attach_cgroup},
    {PROG_TYPE_CGROUP_SYSCTL, attach_cgroup},
    {PROG_TYPE_CGROUP_SOCKOPT, attach_cgroup},
    {PROG_TYPE_SOCK_OPS, attach_cgroup},
    {PROG_TYPE_SK_LOOKUP, attach_netns},
    {PROG_TYPE_FLOW_DISSECTOR, attach_netns},
    {PROG_TYPE_SK_SKB, attach_sockmap},
    {PROG_TYPE_SK_MSG, attach_sockmap},
    {PROG_TYPE_SYSCALL, attach_none},
};

static int attach(struct attaching *a)
{
    uint32_t type = bpf_program__type(a->prog);
    if (type == PROG_TYPE_XDP && bpf_program__expected_attach_type(a->prog) != BPF_XDP &&
        bpf_program__expected_attach_type(a->prog))
        return missing(a, "it runs where a DEVMAP or CPUMAP holds it, not at an interface");
    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
        if (ways[i].type == type)
            return ways[i].attach(a);
    return attach_bound(a);
}

int kernel_attach(const struct kernel_object *k, uint32_t prog, const struct kernel_attach *how, const struct log *log,
                  struct kernel_link **out)
{
    struct buf said = {0}, why = {0};
    struct attaching a = {.prog = kernel_bpf_prog(k, prog),
                          .prog_fd = kernel_prog_fd(k, prog),
                          .how = how,
                          .link = kernel_link_new(),
                          .why = &why};
    if (!a.link)
        return log_fail(log, -ENOMEM, "out of memory");
    kernel_listen(&said);
    int err = attach(&a);
    kernel_listen_end();
    if (err) {
        err = kernel_not_attached(bpf_program__name(a.prog), how->section, err, &why, &said, log);
        kernel_link_free(a.link);
    } else {
        *out = a.link;
    }
    buf_free(&said);
    buf_free(&why);
    return err;
}
