/* A TCP congestion control made of programs. Linux's struct is found by name. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#ifndef SECTION
#define SECTION ".struct_ops"
#endif

struct sock;

struct tcp_congestion_ops {
    __u32 (*ssthresh)(struct sock *sk);
    void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
    __u32 (*undo_cwnd)(struct sock *sk);
    void (*init)(struct sock *sk);
    char name[16];
};

volatile __u64 inits, acks;

SEC("struct_ops/on_init") void BPF_PROG(on_init, struct sock *sk)
{
    (void)sk;
    __sync_fetch_and_add(&inits, 1);
}

SEC("struct_ops/on_loss") __u32 BPF_PROG(on_loss, struct sock *sk)
{
    (void)sk;
    return 2;
}

SEC("struct_ops/on_ack") void BPF_PROG(on_ack, struct sock *sk, __u32 ack, __u32 acked)
{
    (void)sk;
    (void)ack;
    (void)acked;
    __sync_fetch_and_add(&acks, 1);
}

SEC("struct_ops/on_undo") __u32 BPF_PROG(on_undo, struct sock *sk)
{
    (void)sk;
    return 10;
}

SEC(SECTION)
struct tcp_congestion_ops skep_cc = {
    .init = (void *)on_init,
    .ssthresh = (void *)on_loss,
    .cong_avoid = (void *)on_ack,
    .undo_cwnd = (void *)on_undo,
    .name = "skep_cc",
};

char _license[] SEC("license") = "GPL";
