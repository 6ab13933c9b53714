/*
 * What an error of Linux's means on this machine, and what mends it: asked of the system, not guessed, where it tells.
 * A row says of sections that begin so what they need and where to look; an option of the kernel's that is not set is
 * the whole answer.
 */
#include "loader/kernel.h"
#include "loader/load.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zlib.h>

enum { LINUX_ENOTSUPP = 524 }; /* no libc has a name for it */

static void say(struct buf *out, const char *text)
{
    buf_printf(out, "\n      = %s", text);
}

/* The first line of a file of the system; "" when it cannot be read. */
static void first_line(const char *path, char *out, size_t room)
{
    FILE *f = fopen(path, "re");
    *out = 0;
    if (!f)
        return;
    if (!fgets(out, (int)room, f))
        *out = 0;
    out[strcspn(out, "\n")] = 0;
    fclose(f);
}

/* ---- What the system tells of itself ---- */

/* CAP_SYS_ADMIN, CAP_PERFMON and CAP_BPF of this process. */
static bool has_capability(unsigned cap)
{
    char line[128];
    unsigned long long mask = 0;
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "CapEff: %llx", &mask) == 1)
            break;
    if (f)
        fclose(f);
    return mask >> cap & 1;
}

/* Is this option of the kernel's off? A kernel that does not tell its configuration has no options that are off. */
static bool is_off(const char *option, size_t len)
{
    char path[KCONFIG_PATH], line[4096];
    gzFile f = load_kconfig_open(path);
    bool on = !f;
    while (f && !on && gzgets(f, line, sizeof(line)))
        on = !strncmp(line, "CONFIG_", 7) && !strncmp(line + 7, option, len) && line[7 + len] == '=';
    if (f)
        gzclose(f);
    return !on;
}

/* Names those of a list that are off. */
static bool name_off(const char *options, struct buf *out)
{
    bool any = false;
    for (const char *p = options; p && *p;) {
        size_t len = strcspn(p, " ");
        if (is_off(p, len)) {
            buf_printf(out, "%sCONFIG_%.*s", any ? ", " : "\n      = this kernel was built without ", (int)len, p);
            any = true;
        }
        p += len + (p[len] == ' ');
    }
    return any;
}

static bool no_tracefs(void)
{
    return access("/sys/kernel/tracing/events", F_OK) && access("/sys/kernel/debug/tracing/events", F_OK);
}

static bool no_bpf_lsm(void)
{
    char line[256];
    first_line("/sys/kernel/security/lsm", line, sizeof(line));
    return *line && !strstr(line, "bpf");
}

static bool no_types(void)
{
    return access("/sys/kernel/btf/vmlinux", R_OK);
}

/* ---- By section ---- */

enum { PERM = 1, MISSING = 2, INVALID = 4, UNSUPPORTED = 8, BAD_FD = 16, ANY = 31 };

static unsigned kind_of(int err)
{
    switch (-err) {
    case EPERM:
    case EACCES: return PERM;
    case ENOENT:
    case ESRCH:
    case ENODEV: return MISSING;
    case EINVAL: return INVALID;
    case EOPNOTSUPP:
    case LINUX_ENOTSUPP: return UNSUPPORTED;
    case EBADF: return BAD_FD;
    default: return 0;
    }
}

#define PATCHING                                                                                                       \
    "this kernel is built to have its functions patched and yet does not let programs do it (a security policy, or "   \
    "the host of a virtual machine); raw tracepoints, tp_btf and tracepoints may do"
#define NO_TYPES                                                                                                       \
    "this kernel tells no types (/sys/kernel/btf/vmlinux is missing: CONFIG_DEBUG_INFO_BTF); give them with --btf FILE"
#define NO_NAME  "this kernel has no function or type of that name (`bpftool btf dump file /sys/kernel/btf/vmlinux`)"
#define A_CGROUP "it takes a directory of cgroup v2 (`mount -t cgroup2`): `to /sys/fs/cgroup/NAME`"

static const struct hint {
    const char *starts; /* of the section name */
    unsigned kinds;
    bool (*when)(void);
    const char *options, *text;
} hints[] = {
    {"kprobe.multi", ANY, NULL, "FPROBE KPROBES", "/sys/kernel/tracing/available_filter_functions lists them"},
    {"kretprobe.multi", ANY, NULL, "FPROBE KPROBES", "/sys/kernel/tracing/available_filter_functions lists them"},
    {"kprobe", ANY, NULL, "KPROBES KPROBE_EVENTS", "/proc/kallsyms lists functions; some may not be probed"},
    {"kretprobe", ANY, NULL, "KPROBES KPROBE_EVENTS", "/proc/kallsyms lists functions; some may not be probed"},
    {"ksyscall", ANY, NULL, "KPROBES KPROBE_EVENTS", "system calls are named as in syscalls(2)"},
    {"kretsyscall", ANY, NULL, "KPROBES KPROBE_EVENTS", "system calls are named as in syscalls(2)"},
    {"uprobe", MISSING, NULL, "UPROBE_EVENTS", "`nm FILE` and `nm -D FILE` list functions; else `to FILE:0xOFFSET`"},
    {"uretprobe", MISSING, NULL, "UPROBE_EVENTS", "`nm FILE` and `nm -D FILE` list functions; else `to FILE:0xOFFSET`"},
    {"usdt", MISSING, NULL, "UPROBE_EVENTS", "`readelf -n FILE` lists the static tracepoints of a file"},
    {"tp/", MISSING, no_tracefs, NULL, "there is no tracefs: mount -t tracefs tracefs /sys/kernel/tracing"},
    {"tracepoint/", MISSING, no_tracefs, NULL, "there is no tracefs: mount -t tracefs tracefs /sys/kernel/tracing"},
    {"tp/", MISSING, NULL, "TRACEPOINTS", "/sys/kernel/tracing/available_events lists tracepoints"},
    {"tracepoint/", MISSING, NULL, "TRACEPOINTS", "/sys/kernel/tracing/available_events lists tracepoints"},
    {"raw_tp", MISSING, NULL, "TRACEPOINTS", "/sys/kernel/tracing/available_events lists tracepoints, behind a colon"},
    {"raw_tracepoint", MISSING, NULL, "TRACEPOINTS",
     "/sys/kernel/tracing/available_events lists tracepoints, behind a colon"},
    {"lsm", ANY, no_bpf_lsm, "BPF_LSM", "bpf is not among the kernel's security modules: boot it with lsm=...,bpf"},
    {"lsm", PERM | UNSUPPORTED, NULL, "BPF_LSM FUNCTION_TRACER DYNAMIC_FTRACE_WITH_DIRECT_CALLS", PATCHING},
    {"fentry", PERM | UNSUPPORTED, NULL, "FUNCTION_TRACER DYNAMIC_FTRACE_WITH_DIRECT_CALLS", PATCHING},
    {"fexit", PERM | UNSUPPORTED, NULL, "FUNCTION_TRACER DYNAMIC_FTRACE_WITH_DIRECT_CALLS", PATCHING},
    {"fmod_ret", PERM | UNSUPPORTED, NULL, "FUNCTION_TRACER DYNAMIC_FTRACE_WITH_DIRECT_CALLS", PATCHING},
    {"freplace", PERM | UNSUPPORTED, NULL, "FUNCTION_TRACER DYNAMIC_FTRACE_WITH_DIRECT_CALLS", PATCHING},
    {"", MISSING | INVALID, no_types, NULL, NO_TYPES},
    {"fentry", MISSING, NULL, NULL, NO_NAME},
    {"fexit", MISSING, NULL, NULL, NO_NAME},
    {"fmod_ret", MISSING, NULL, NULL, NO_NAME},
    {"tp_btf", MISSING, NULL, NULL, NO_NAME},
    {"lsm", MISSING, NULL, NULL, NO_NAME},
    {"iter", MISSING, NULL, NULL, NO_NAME},
    {"netkit", ANY, NULL, "NETKIT", "it takes a netkit device (`ip link add type netkit`)"},
    {"cgroup", BAD_FD, NULL, "CGROUP_BPF", A_CGROUP},
    {"sockops", BAD_FD, NULL, "CGROUP_BPF", A_CGROUP},
    {"perf_event", MISSING | UNSUPPORTED, NULL, "PERF_EVENTS",
     "this processor, or virtual machine, does not count that; cpu-clock and task-clock are always there"},
    {"struct_ops", UNSUPPORTED, NULL, NULL,
     "this kernel has no such struct that programs may fill, or fills it already"},
};

/* @return something was said */
static bool by_section(int err, const char *doing, struct buf *out)
{
    unsigned kind = kind_of(err);
    for (size_t i = 0; i < sizeof(hints) / sizeof(*hints); i++) {
        const struct hint *h = &hints[i];
        if (!(h->kinds & kind) || strncmp(doing, h->starts, strlen(h->starts)))
            continue;
        if (name_off(h->options, out))
            return true;
        if (h->when && !h->when())
            continue;
        say(out, h->text);
        return true;
    }
    return false;
}

/* ---- By error ---- */

static bool lacks_capabilities(void)
{
    enum { NET_ADMIN = 12, SYS_ADMIN = 21, PERFMON = 38, BPF = 39 };
    return !has_capability(SYS_ADMIN) && !(has_capability(BPF) && has_capability(PERFMON) && has_capability(NET_ADMIN));
}

static bool locked_down(struct buf *out)
{
    char line[128];
    first_line("/sys/kernel/security/lockdown", line, sizeof(line));
    if (!strstr(line, "[confidentiality]") && !strstr(line, "[integrity]"))
        return false;
    buf_printf(out,
               "\n      = the kernel is locked down (%s): programs that read its memory are refused until it is booted "
               "without Secure Boot or with lockdown=none",
               line);
    return true;
}

/* Linux before 5.11 counts maps and programs against it. */
static void memory_limit(struct buf *out)
{
    struct rlimit lock;
    if (!getrlimit(RLIMIT_MEMLOCK, &lock) && lock.rlim_cur != RLIM_INFINITY)
        buf_printf(
            out,
            "\n      = locked memory is limited to %llu KiB, which Linux before 5.11 counts maps against: `ulimit "
            "-l unlimited`",
            (unsigned long long)lock.rlim_cur / 1024);
}

static void permission(int err, const char *doing, struct buf *out)
{
    if (lacks_capabilities()) {
        say(out,
            "this process lacks CAP_BPF, CAP_PERFMON (tracing) or CAP_NET_ADMIN (packets): run it as root, or give "
            "it these");
        return;
    }
    if (locked_down(out) || by_section(err, doing, out))
        return;
    memory_limit(out);
    say(out, "in a container, its seccomp filter or user namespace may forbid bpf(2)");
}

void kernel_explain(int err, const char *doing, struct buf *out)
{
    switch (-err) {
    case EPERM:
    case EACCES: permission(err, doing, out); break;
    case ENOSYS: say(out, "this kernel has no bpf(2) (CONFIG_BPF_SYSCALL)"); break;
    case ENOMEM:
        say(out, "Linux has not enough memory for it; make the maps smaller");
        memory_limit(out);
        break;
    case E2BIG: say(out, "too many instructions or entries for this kernel"); break;
    case EBUSY: say(out, "another program is attached there, or the kernel's own rules forbid it now"); break;
    case EOPNOTSUPP:
    case LINUX_ENOTSUPP:
        if (!by_section(err, doing, out))
            say(out, "this kernel, or the device's driver, does not have it");
        break;
    default: by_section(err, doing, out); break;
    }
}
