/* What an error of Linux's means on this machine, and what mends it: asked of the system, not guessed, where it tells.
 */
#include "loader/kernel.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINUX_ENOTSUPP = 524 }; /* no libc has a name for it */

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

/* Section names of what is called by patched functions. */
static bool patches(const char *doing)
{
    static const char *const starts[] = {"fentry", "fexit", "fmod_ret", "lsm", "freplace"};
    for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++)
        if (!strncmp(doing, starts[i], strlen(starts[i])))
            return true;
    return false;
}

static void no_patching(struct buf *out)
{
    buf_puts(out, "\n      = this kernel does not patch its functions for programs (CONFIG_FUNCTION_TRACER, "
                  "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS, CONFIG_BPF_LSM); raw tracepoints, tp_btf and tracepoints "
                  "may do");
}

static void permission(const char *doing, struct buf *out)
{
    enum { NET_ADMIN = 12, SYS_ADMIN = 21, PERFMON = 38, BPF = 39 };
    char line[128];
    if (!has_capability(SYS_ADMIN) && !(has_capability(BPF) && has_capability(PERFMON) && has_capability(NET_ADMIN))) {
        buf_puts(out,
                 "\n      = this process lacks CAP_BPF, CAP_PERFMON (tracing) or CAP_NET_ADMIN (packets): run it as "
                 "root, or give it these");
        return;
    }
    if (patches(doing)) {
        no_patching(out);
        return;
    }
    first_line("/sys/kernel/security/lockdown", line, sizeof(line));
    if (strstr(line, "[confidentiality]") || strstr(line, "[integrity]"))
        buf_printf(out,
                   "\n      = the kernel is locked down (%s): programs that read its memory are refused until it is "
                   "booted without Secure Boot or with lockdown=none",
                   line);
    struct rlimit lock;
    if (!getrlimit(RLIMIT_MEMLOCK, &lock) && lock.rlim_cur != RLIM_INFINITY)
        buf_printf(
            out,
            "\n      = locked memory is limited to %llu KiB, which Linux before 5.11 counts maps against: `ulimit "
            "-l unlimited`",
            (unsigned long long)lock.rlim_cur / 1024);
    buf_puts(out, "\n      = in a container, its seccomp filter or user namespace may forbid bpf(2)");
}

static void types(struct buf *out)
{
    if (access("/sys/kernel/btf/vmlinux", R_OK))
        buf_puts(out,
                 "\n      = this kernel tells no types (/sys/kernel/btf/vmlinux is missing: CONFIG_DEBUG_INFO_BTF); "
                 "give them with --btf FILE");
}

void kernel_explain(int err, const char *doing, struct buf *out)
{
    switch (-err) {
    case EPERM:
    case EACCES: permission(doing, out); break;
    case ENOSYS: buf_puts(out, "\n      = this kernel has no bpf(2) (CONFIG_BPF_SYSCALL)"); break;
    case ESRCH:
    case ENOENT: types(out); break;
    case ENOMEM: buf_puts(out, "\n      = Linux has not enough memory for it; make the maps smaller"); break;
    case E2BIG: buf_puts(out, "\n      = too many instructions or entries for this kernel"); break;
    case EBUSY:
        buf_puts(out, "\n      = another program is attached there, or the kernel's own rules forbid it now");
        break;
    case EOPNOTSUPP:
    case LINUX_ENOTSUPP:
        if (patches(doing))
            no_patching(out);
        else
            buf_puts(out, "\n      = this kernel, or the device's driver, does not have it");
        break;
    case EINVAL:
        if (strstr(doing, "kprobe") && access("/sys/bus/event_source/devices/kprobe", F_OK))
            buf_puts(out, "\n      = this kernel has no kprobes (CONFIG_KPROBES)");
        types(out);
        break;
    default: break;
    }
}
