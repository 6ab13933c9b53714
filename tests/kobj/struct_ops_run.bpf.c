/* Methods that run.sh runs on a socket of a world, which it leaves as it was. */
#include "kobj.h"

char LICENSE[] SEC("license") = "GPL";

struct tcp_sock {
    unsigned int snd_cwnd, snd_ssthresh, snd_cwnd_cnt;
} KERNEL;
struct tcp_congestion_ops {
    void (*cong_avoid)(struct sock *sk, unsigned int ack, unsigned int acked);
    unsigned int (*ssthresh)(struct sock *sk);
    unsigned int (*undo_cwnd)(struct sock *sk);
    unsigned int (*min_tso_segs)(struct sock *sk);
    char name[16];
} KERNEL;

extern unsigned int tcp_reno_ssthresh(struct sock *sk) __ksym;
extern unsigned int tcp_slow_start(struct tcp_sock *tp, unsigned int acked) __ksym;
extern void tcp_cong_avoid_ai(struct tcp_sock *tp, unsigned int w, unsigned int acked) __ksym;

SEC("struct_ops/ssthresh")
unsigned int BPF_PROG(ok_half, struct sock *sk)
{
    return tcp_reno_ssthresh(sk);
}

SEC("struct_ops/undo_cwnd")
unsigned int BPF_PROG(ok_written, struct sock *sk)
{
    struct tcp_sock *tp = (struct tcp_sock *)sk;
    unsigned int before = tp->snd_cwnd, left;

    tp->snd_cwnd = 40;
    left = tcp_slow_start(tp, 10);
    return before * 10000 + tp->snd_cwnd * 100 + left;
}

SEC("struct_ops/min_tso_segs")
unsigned int BPF_PROG(ok_advanced, struct sock *sk)
{
    struct tcp_sock *tp = (struct tcp_sock *)sk;

    tcp_cong_avoid_ai(tp, 4, 10);
    return tp->snd_cwnd * 100 + tp->snd_cwnd_cnt;
}

SEC(".struct_ops")
struct tcp_congestion_ops control = {
    .ssthresh = (void *)ok_half,
    .undo_cwnd = (void *)ok_written,
    .min_tso_segs = (void *)ok_advanced,
    .name = "skep_kobj",
};
