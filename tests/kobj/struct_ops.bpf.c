/* Methods of struct_ops: their arguments, what they may write and return. */
#include "kobj.h"

char LICENSE[] SEC("license") = "GPL";

struct bpf_dummy_ops_state {
    int val;
} KERNEL;
struct bpf_dummy_ops {
    int (*test_1)(struct bpf_dummy_ops_state *cb);
    int (*test_2)(struct bpf_dummy_ops_state *cb, int a1, unsigned short a2, char a3, unsigned long a4);
    int (*test_sleepable)(struct bpf_dummy_ops_state *cb);
} KERNEL;
struct inet_sock {
    struct sock sk;
} KERNEL;
struct inet_connection_sock {
    struct inet_sock icsk_inet;
    unsigned long icsk_ca_priv[13];
} KERNEL;
struct tcp_sock {
    struct inet_connection_sock inet_conn;
    unsigned int snd_cwnd, snd_ssthresh, snd_una;
} KERNEL;
struct tcp_congestion_ops {
    void (*init)(struct sock *sk);
    void (*release)(struct sock *sk);
    unsigned int (*ssthresh)(struct sock *sk);
    void (*cong_avoid)(struct sock *sk, unsigned int ack, unsigned int acked);
    void (*set_state)(struct sock *sk, unsigned char new_state);
    unsigned int (*undo_cwnd)(struct sock *sk);
    unsigned int (*sndbuf_expand)(struct sock *sk);
    unsigned int (*min_tso_segs)(struct sock *sk);
    char name[16];
} KERNEL;

SEC("struct_ops/test_1")
int BPF_PROG(null_check_missing__state, struct bpf_dummy_ops_state *state)
{
    state->val = 1;
    return 0;
}

SEC("struct_ops/test_2")
int BPF_PROG(ok_state, struct bpf_dummy_ops_state *state, int a1, unsigned short a2)
{
    state->val = a1 + a2;
    return state->val * 2;
}

SEC("struct_ops/init")
void BPF_PROG(ok_init, struct sock *sk)
{
    struct tcp_sock *tp = (struct tcp_sock *)sk;

    tp->snd_cwnd = 10;
    tp->inet_conn.icsk_ca_priv[3] = bpf_ktime_get_ns();
}

SEC("struct_ops/release")
void BPF_PROG(helper_not_allowed__options_at_the_end, struct sock *sk)
{
    char name[16] = "reno";

    bpf_setsockopt(sk, 6, 13, name, sizeof(name));
}

SEC("struct_ops/ssthresh")
unsigned int BPF_PROG(ok_options, struct sock *sk)
{
    char name[16];

    return bpf_getsockopt(sk, 6, 13, name, sizeof(name));
}

SEC("struct_ops/cong_avoid")
void BPF_PROG(read_only_memory__another_member, struct sock *sk, unsigned int ack, unsigned int acked)
{
    ((struct tcp_sock *)sk)->snd_una = ack;
}

SEC("struct_ops/set_state")
void BPF_PROG(ctx_access__no_such_argument, struct sock *sk, unsigned char state, int more)
{
    out = more;
}

SEC("struct_ops/undo_cwnd")
unsigned int BPF_PROG(read_only_memory__past_a_member, struct sock *sk)
{
    *(unsigned long *)&((struct tcp_sock *)sk)->snd_cwnd = 1;
    return 0;
}

SEC("struct_ops/sndbuf_expand")
unsigned int BPF_PROG(uninitialized_register__returned, struct sock *sk)
{
    asm volatile("exit");
    __builtin_unreachable();
}

SEC("struct_ops/min_tso_segs")
unsigned int BPF_PROG(ok_read, struct sock *sk)
{
    return sk->__sk_common.skc_family + ((struct tcp_sock *)sk)->snd_una;
}

SEC(".struct_ops")
struct bpf_dummy_ops dummy = {
    .test_1 = (void *)null_check_missing__state,
    .test_2 = (void *)ok_state,
};

SEC(".struct_ops")
struct tcp_congestion_ops control = {
    .init = (void *)ok_init,
    .release = (void *)helper_not_allowed__options_at_the_end,
    .ssthresh = (void *)ok_options,
    .cong_avoid = (void *)read_only_memory__another_member,
    .set_state = (void *)ctx_access__no_such_argument,
    .undo_cwnd = (void *)read_only_memory__past_a_member,
    .sndbuf_expand = (void *)uninitialized_register__returned,
    .min_tso_segs = (void *)ok_read,
    .name = "skep_kobj",
};
