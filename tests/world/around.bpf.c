/* Programs that ask about what surrounds a task: namespaces, registers, areas, files, counters, packets. */
#include "kernel.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct ns_common {
    unsigned int inum;
};
struct net {
    struct ns_common ns;
    __u64 net_cookie;
};
struct pid_namespace {
    unsigned int level;
};
struct nsproxy {
    struct net *net_ns;
    struct pid_namespace *pid_ns_for_children;
};
struct upid {
    int nr;
};
struct pid {
    unsigned int level;
    struct upid numbers[];
};
struct task_struct___around {
    struct nsproxy *nsproxy;
    struct pid *thread_pid;
    struct mm_struct___around *mm;
};
struct mm_struct___around {
    int map_count;
};
struct qstr {
    const unsigned char *name;
};
struct dentry {
    struct qstr d_name;
    struct dentry *d_parent;
};
struct path {
    struct dentry *dentry;
};
struct inode;
struct file {
    struct path f_path;
    struct inode *f_inode;
};
struct vm_area_struct {
    unsigned long vm_start;
    struct file *vm_file;
};
struct pt_regs {
    unsigned long ip, sp;
};
struct socket {
    short type;
};
struct linux_binprm {
    struct file *file;
};
struct rq {
    unsigned int nr_running;
};
struct xdp_buff {
    void *data;
};
struct bpf_iter__task_file {
    struct bpf_iter_meta *meta;
    struct task_struct *task;
    __u32 fd;
    struct file *file;
};
#pragma clang attribute pop

struct {
    __uint(type, 4); /* BPF_MAP_TYPE_PERF_EVENT_ARRAY */
    __uint(max_entries, 4);
    __type(key, int);
    __type(value, int);
} counters SEC(".maps");

struct pair {
    __u32 pid, tgid;
};
struct reading {
    __u64 counter, enabled, running;
};
struct branch {
    __u64 from, to, rest;
};

long got[12];
char text[64];

SEC("tp/x/names")
int names(void *ctx)
{
    struct task_struct___around *t = (void *)bpf_get_current_task();
    struct pair p;

    got[0] = bpf_get_ns_current_pid_tgid(4, 777, (void *)&p, sizeof(p));
    got[1] = p.pid;
    got[2] = p.tgid;
    got[3] = bpf_get_ns_current_pid_tgid(4, 1, (void *)&p, sizeof(p));
    got[4] = BPF_CORE_READ(t, nsproxy, net_ns, ns.inum);
    got[5] = BPF_CORE_READ(t, thread_pid, level);
    got[6] = BPF_CORE_READ(t, thread_pid, numbers[1].nr);
    got[7] = bpf_get_current_ancestor_cgroup_id(1);
    got[8] = bpf_get_current_ancestor_cgroup_id(3);
    got[9] = BPF_CORE_READ(t, mm, map_count);
    return 0;
}

SEC("cgroup/sock_create")
int cookies(void *ctx)
{
    got[0] = bpf_get_netns_cookie(ctx);
    got[1] = bpf_get_netns_cookie(0);
    return 1;
}

static long area(struct task_struct *task, struct vm_area_struct *vma, long *seen)
{
    seen[0] = vma->vm_start;
    if (vma->vm_file)
        bpf_probe_read_kernel_str(text, sizeof(text), vma->vm_file->f_path.dentry->d_name.name);
    return 0;
}

SEC("fentry/vfs_truncate")
int areas(__u64 *ctx)
{
    struct task_struct *t = bpf_get_current_task_btf();
    struct pt_regs *regs = (void *)bpf_task_pt_regs(t);
    long seen[1] = {0};

    got[0] = bpf_find_vma(t, 0x401234, area, seen, 0);
    got[1] = seen[0];
    got[2] = bpf_find_vma(t, 0x402000, area, seen, 0);
    got[3] = bpf_find_vma(t, 0x401234, area, seen, 1);
    got[4] = regs->ip;
    got[5] = regs->sp;
    got[6] = bpf_d_path((void *)ctx[0], text, sizeof(text));
    got[7] = bpf_d_path((void *)ctx[0], text + 32, 2);
    got[8] = bpf_d_path((void *)ctx[0], text, 0);
    return 0;
}

SEC("lsm.s/bprm_committed_creds")
int exec(__u64 *ctx)
{
    struct linux_binprm *bprm = (void *)ctx[0];
    struct file *file = bprm->file;

    got[0] = bpf_bprm_opts_set(bprm, 1);
    got[1] = bpf_bprm_opts_set(bprm, 2);
    got[2] = bpf_ima_file_hash(file, text, 8);
    got[3] = bpf_ima_inode_hash(file->f_inode, text + 8, 8);
    got[4] = bpf_copy_from_user_task(&got[6], 4, (void *)0x7000, bpf_get_current_task_btf(), 0);
    got[5] = bpf_copy_from_user_task(&got[7], 4, (void *)0x7000, bpf_get_current_task_btf(), 1);
    return 0;
}

SEC("iter/task_file")
int files(struct bpf_iter__task_file *ctx)
{
    struct file *file = ctx->file;
    struct socket *sock;

    if (!file)
        return 0;
    sock = bpf_sock_from_file(file);
    got[ctx->fd & 1] = sock ? sock->type : -1;
    got[2] += bpf_d_path(&file->f_path, text, sizeof(text));
    return 0;
}

SEC("perf_event")
int counted(void *ctx)
{
    struct reading r;
    struct branch b[4] = {};

    got[0] = bpf_perf_event_read(&counters, 0);
    got[1] = bpf_perf_event_read(&counters, 0);
    got[2] = bpf_perf_event_read(&counters, 1);
    got[3] = bpf_perf_event_read(&counters, 4);
    got[4] = bpf_perf_event_read_value(&counters, 2, (void *)&r, sizeof(r));
    got[5] = r.running;
    got[6] = bpf_perf_event_read_value(&counters, 3, (void *)&r, sizeof(r));
    got[7] = bpf_perf_prog_read_value(ctx, (void *)&r, sizeof(r));
    got[8] = r.counter;
    got[9] = bpf_read_branch_records(ctx, b, sizeof(b), 0);
    got[10] = b[1].to;
    got[11] = bpf_read_branch_records(ctx, 0, 0, 1);
    return 0;
}

SEC("tp_btf/net_dev_queue")
int packet(__u64 *ctx)
{
    long sample = 5;

    got[0] = bpf_skb_output((void *)ctx[0], &counters, 0xffffffffULL | 4ULL << 32, &sample, sizeof(sample));
    got[1] = bpf_skb_output((void *)ctx[0], &counters, 0xffffffffULL | 9ULL << 32, &sample, sizeof(sample));
    return 0;
}

SEC("tp/x/others")
int others(void *ctx)
{
    struct branch b[4];

    got[0] = bpf_get_branch_snapshot(b, sizeof(b), 0);
    got[1] = bpf_get_branch_snapshot(b, sizeof(b), 1);
    got[2] = bpf_perf_event_read(&counters, 0xffffffffULL);
    return 0;
}

/* A value by its type, in one line. */
struct btf_ptr {
    void *ptr;
    __u32 type_id, flags;
};
struct timespec64 {
    __s64 tv_sec;
    long tv_nsec;
};

SEC("tp/x/shown")
int shown(void *ctx)
{
    struct timespec64 ts = {.tv_sec = -3, .tv_nsec = 7};
    struct btf_ptr p = {.ptr = &ts, .type_id = bpf_core_type_id_kernel(struct timespec64)};

    got[0] = bpf_snprintf_btf(text, sizeof(text), &p, sizeof(p), 1);
    return 0;
}

/* struct bpf_fib_lookup */
struct fib {
    __u8 family, l4;
    __u16 ports[2], len;
    __u32 ifindex, tos, src[4], dst[4], table;
    __u8 smac[6], dmac[6];
};

SEC("xdp")
int route(void *ctx)
{
    struct fib p = {.family = 2, .ifindex = 2, .dst = {0x01004e0a}}; /* 10.78.0.1 */

    got[0] = bpf_fib_lookup(ctx, (void *)&p, sizeof(p), 16);
    got[1] = p.tos + 2;
    got[2] = p.ifindex;
    got[3] = p.family;
    got[4] = p.dst[0] & 0xff;
    got[5] = p.smac[5];
    return 2;
}
