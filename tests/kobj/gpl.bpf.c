/* Kernel objects are for programs whose license is compatible with the GPL. */
#include "kobj.h"

char LICENSE[] SEC("license") = "Proprietary";

SEC("fentry/tcp_connect")
int BPF_PROG(helper_gpl__object, struct sock *sk)
{
    out = sk->__sk_common.skc_family;
    return 0;
}

SEC("tc")
int helper_gpl__function(struct __sk_buff *skb)
{
    bpf_preempt_disable();
    bpf_preempt_enable();
    return 0;
}
