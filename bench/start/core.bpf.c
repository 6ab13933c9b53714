/* A tracing program of ordinary size with fields of the kernel's types: to start it, the kernel's BTF has to be read.
 */
#include <linux/bpf.h>
#include <linux/ptrace.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

struct task_struct {
    int pid, tgid, exit_code;
    struct task_struct *real_parent;
    char comm[16];
} __attribute__((preserve_access_index));

struct event {
    __u32 pid, parent;
    int exit_code;
    char comm[16];
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, __u32);
    __type(value, __u64);
} counts SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 1 << 16);
} events SEC(".maps");

const volatile __u32 wanted = 0;

SEC("kprobe/do_exit")
int on_exit(struct pt_regs *ctx)
{
    struct task_struct *task = (void *)bpf_get_current_task();
    __u32 pid = bpf_get_current_pid_tgid() >> 32;
    __u64 one = 1, *count;
    struct event *event;

    (void)ctx;
    if (wanted && pid != wanted)
        return 0;
    count = bpf_map_lookup_elem(&counts, &pid);
    if (count)
        __sync_fetch_and_add(count, 1);
    else
        bpf_map_update_elem(&counts, &pid, &one, BPF_ANY);
    event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
    if (!event)
        return 0;
    event->pid = pid;
    event->parent = BPF_CORE_READ(task, real_parent, tgid);
    event->exit_code = BPF_CORE_READ(task, exit_code);
    bpf_get_current_comm(event->comm, sizeof(event->comm));
    bpf_ringbuf_submit(event, 0);
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
