// What the feeds of captures, maps and contexts run: maps whose keys and values have every kind of type.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

enum mode { OFF, ON = 7 };

struct key {
    __u32 addr;
    __u16 ports[2];
    char name[8];
};

struct value {
    __u64 packets;
    signed char delta;
    _Bool seen;
    enum mode mode;
    union {
        __u32 whole;
        __u8 bytes[4];
    };
    int low : 3, high : 13;
    struct {
        double unused;
    } inner[2];
};

/* What worlds are built of, as far as a small target has it. */
struct list_head {
    struct list_head *next, *prev;
};

struct cred {
    __u32 uid, gid;
};

struct ns_common {
    __u32 inum;
};

struct pid_namespace {
    struct ns_common ns;
    __u32 level;
    struct pid_namespace *parent;
};

struct net {
    struct ns_common ns;
    __u64 net_cookie;
};

struct nsproxy {
    struct net *net_ns;
    struct pid_namespace *pid_ns_for_children;
};

struct upid {
    int nr;
    struct pid_namespace *ns;
};

struct pid {
    __u32 level;
    struct upid numbers[1];
};

struct dentry {
    struct dentry *d_parent;
    struct {
        __u32 hash, len;
        const unsigned char *name;
    } d_name;
};

struct path {
    void *mnt;
    struct dentry *dentry;
};

struct file {
    struct path f_path;
    void *private_data;
};

struct mm_struct {
    int map_count;
};

struct vm_area_struct {
    unsigned long vm_start, vm_end;
    struct mm_struct *vm_mm;
    struct file *vm_file;
};

struct task_struct {
    int pid, tgid;
    unsigned int flags : 4, more : 28;
    char comm[16];
    struct task_struct *real_parent, *parent, *group_leader;
    const struct cred *cred, *real_cred;
    struct list_head tasks;
    struct nsproxy *nsproxy;
    struct pid *thread_pid;
    struct mm_struct *mm;
    union {
        void *any;
        __u64 number;
    };
    __u8 mac[6];
    enum mode mode;
    struct value values[2];
};

struct task_struct *a_task;
struct vm_area_struct *an_area;

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16);
    __type(key, struct key);
    __type(value, struct value);
} table SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 4);
    __type(key, __u32);
    __type(value, struct value);
} percpu SEC(".maps");

__u64 bytes_seen;
const volatile __u32 limit = 100;

SEC("xdp")
int packets(struct xdp_md *ctx)
{
    __u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    __u32 slot = ctx->ingress_ifindex & 3;
    struct value *v = bpf_map_lookup_elem(&percpu, &slot);

    bytes_seen += end - data;
    if (v)
        v->packets++;
    if (data + 14 > end || end - data > limit)
        return XDP_DROP;
    data[0] ^= 1;
    return data[12] == 8 ? XDP_PASS : XDP_TX;
}

char _license[] SEC("license") = "GPL";
