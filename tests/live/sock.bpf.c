/* What a process in a cgroup does with its sockets, as the hooks of the cgroup see it. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

volatile __u64 active, passive, connects, binds, creates, setsockopts, devices;

SEC("sockops") int on_op(struct bpf_sock_ops *op)
{
    if (op->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB)
        __sync_fetch_and_add(&active, 1);
    if (op->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
        __sync_fetch_and_add(&passive, 1);
    return 1;
}

SEC("cgroup/connect4") int on_connect(struct bpf_sock_addr *ctx)
{
    (void)ctx;
    __sync_fetch_and_add(&connects, 1);
    return 1;
}

SEC("cgroup/bind4") int on_bind(struct bpf_sock_addr *ctx)
{
    (void)ctx;
    __sync_fetch_and_add(&binds, 1);
    return 1;
}

SEC("cgroup/sock_create") int on_create(struct bpf_sock *ctx)
{
    (void)ctx;
    __sync_fetch_and_add(&creates, 1);
    return 1;
}

SEC("cgroup/setsockopt") int on_setsockopt(struct bpf_sockopt *ctx)
{
    (void)ctx;
    __sync_fetch_and_add(&setsockopts, 1);
    return 1;
}

SEC("cgroup/sysctl") int on_sysctl(struct bpf_sysctl *ctx)
{
    (void)ctx;
    return 1;
}

SEC("cgroup/dev") int on_device(struct bpf_cgroup_dev_ctx *ctx)
{
    (void)ctx;
    __sync_fetch_and_add(&devices, 1);
    return 1;
}

char _license[] SEC("license") = "GPL";
