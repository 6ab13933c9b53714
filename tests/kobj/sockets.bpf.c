/* Sockets cast to structures of the kernel: references go along, members are read through the target's types. */
#include "kobj.h"

char LICENSE[] SEC("license") = "GPL";

struct tcp_sock {
    unsigned int snd_cwnd;
    unsigned int srtt_us;
} KERNEL;
struct tcp6_sock;
struct udp6_sock;
struct tcp_timewait_sock;

static struct bpf_sock *find(struct __sk_buff *skb)
{
    struct bpf_sock_tuple tuple = {.ipv4 = {.saddr = 0x0200000a, .daddr = 0x0100000a, .sport = 0xe803, .dport = 0x5000}};

    return bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), -1, 0);
}

SEC("tc")
int ok_cast(struct __sk_buff *skb)
{
    struct bpf_sock *sk = find(skb);
    struct tcp_sock *tp;
    int got = 0;

    if (!sk)
        return 0;
    tp = (struct tcp_sock *)bpf_skc_to_tcp_sock(sk);
    if (tp)
        got = tp->snd_cwnd * 1000 + ((struct sock *)tp)->__sk_common.skc_family;
    if (bpf_skc_to_tcp6_sock(sk) || bpf_skc_to_udp6_sock(sk) || bpf_skc_to_tcp_timewait_sock(sk))
        got = -1;
    bpf_sk_release(sk);
    return got;
}

SEC("tc")
int ok_release_of_the_cast(struct __sk_buff *skb)
{
    struct bpf_sock *sk = find(skb);
    struct tcp_sock *tp;

    if (!sk)
        return 0;
    tp = (struct tcp_sock *)bpf_skc_to_tcp_sock(sk);
    if (!tp) {
        bpf_sk_release(sk);
        return 0;
    }
    bpf_sk_release(tp);
    return 1;
}

SEC("tc")
int ok_release_of_the_record(struct __sk_buff *skb)
{
    struct bpf_sock *sk = find(skb);
    struct bpf_tcp_sock *tp;

    if (!sk)
        return 0;
    tp = bpf_tcp_sock(sk);
    if (!tp) {
        bpf_sk_release(sk);
        return 0;
    }
    bpf_sk_release(tp);
    return 1;
}

SEC("tc")
int null_check_missing__cast(struct __sk_buff *skb)
{
    struct bpf_sock *sk = find(skb);
    int got;

    if (!sk)
        return 0;
    got = ((struct tcp_sock *)bpf_skc_to_tcp_sock(sk))->snd_cwnd;
    bpf_sk_release(sk);
    return got;
}

SEC("tc")
int reference_leak__cast(struct __sk_buff *skb)
{
    struct bpf_sock *sk = find(skb);
    struct tcp_sock *tp = sk ? (struct tcp_sock *)bpf_skc_to_tcp_sock(sk) : 0;

    return tp ? tp->snd_cwnd : 0;
}

SEC("tc")
int not_a_pointer__after_the_release(struct __sk_buff *skb)
{
    struct bpf_sock *sk = find(skb);
    struct tcp_sock *tp;

    if (!sk)
        return 0;
    tp = (struct tcp_sock *)bpf_skc_to_tcp_sock(sk);
    bpf_sk_release(sk);
    return tp ? tp->snd_cwnd : 0;
}

SEC("fentry/tcp_connect")
int BPF_PROG(ok_object, struct sock *sk)
{
    struct tcp_sock *tp = (struct tcp_sock *)bpf_skc_to_tcp_sock(sk);

    if (tp)
        out = tp->srtt_us;
    return 0;
}

SEC("fentry/tcp_connect")
int BPF_PROG(read_only_memory__object, struct sock *sk)
{
    struct tcp_sock *tp = (struct tcp_sock *)bpf_skc_to_tcp_sock(sk);

    if (tp)
        tp->srtt_us = 1;
    return 0;
}

SEC("fentry/wake_up_new_task")
int BPF_PROG(helper_argument__another_object, struct task_struct *task)
{
    struct tcp_sock *tp = (struct tcp_sock *)bpf_skc_to_tcp_sock(task);

    if (tp)
        out = tp->srtt_us;
    return 0;
}
