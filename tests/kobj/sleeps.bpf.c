/* Kernel functions that may sleep, in global functions too: where the caller may not, nor may what it calls. */
#include "kobj.h"

char LICENSE[] SEC("license") = "GPL";

extern int bpf_copy_from_user_str(void *dst, __u32 dst__sz, const void *from, __u64 flags) __ksym;

__attribute__((noinline)) int reads(long from)
{
    char buf[16];

    return bpf_copy_from_user_str(buf, sizeof(buf), (void *)from, 0);
}

SEC("tc")
int helper_not_allowed__sleeps(struct __sk_buff *skb)
{
    char buf[16];

    return bpf_copy_from_user_str(buf, sizeof(buf), (void *)(long)skb->mark, 0);
}

SEC("tc")
int helper_not_allowed__sleeps_in_a_global_function(struct __sk_buff *skb)
{
    return reads(skb->mark);
}

SEC("syscall")
int ok_sleeps(void *ctx)
{
    char buf[16];

    return bpf_copy_from_user_str(buf, sizeof(buf), (void *)0x1000, 0) + reads(0x1000);
}

SEC("syscall")
int section_open__a_function_that_sleeps(void *ctx)
{
    bpf_rcu_read_lock();
    out = reads(0x1000);
    bpf_rcu_read_unlock();
    return 0;
}

SEC("syscall")
int section_open__a_global_function_while_preemption_is_off(void *ctx)
{
    bpf_preempt_disable();
    out = reads(0x1000);
    bpf_preempt_enable();
    return 0;
}
