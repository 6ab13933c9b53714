/* Counts system calls by process. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

/* /sys/kernel/tracing/events/raw_syscalls/sys_enter/format */
struct sys_enter {
    __u64 common;
    long id;
    unsigned long args[6];
};

struct process {
    __u32 pid;
    char comm[16];
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, struct process);
    __type(value, __u64);
} calls SEC(".maps");

const volatile char only[16]; /* processes of this name; empty: all */

SEC("tp/raw_syscalls/sys_enter") int count(struct sys_enter *ctx)
{
    struct process p = {.pid = bpf_get_current_pid_tgid() >> 32};
    __u64 none = 0;

    (void)ctx;
    bpf_get_current_comm(p.comm, sizeof(p.comm));
    for (int i = 0; i < (int)sizeof(only) && only[0]; i++) {
        if (p.comm[i] != only[i])
            return 0;
        if (!only[i])
            break;
    }
    bpf_map_update_elem(&calls, &p, &none, BPF_NOEXIST);
    __u64 *n = bpf_map_lookup_elem(&calls, &p);
    if (n)
        __sync_fetch_and_add(n, 1);
    return 0;
}

char _license[] SEC("license") = "GPL";
