/* Exception callbacks: what they may be, and what they make of a cookie. libbpf 1.1 does not know them, so that Linux is
 * asked by newer ones alone. */
#include "kobj.h"

char LICENSE[] SEC("license") = "GPL";

extern void bpf_throw(__u64 cookie) __ksym;

#define CATCH(name) __attribute__((btf_decl_tag("exception_callback:" #name)))

__attribute__((noinline)) int caught(__u64 cookie)
{
    return cookie + 1000;
}

__attribute__((noinline)) int caught_with_two(__u64 cookie, int more)
{
    return cookie + more;
}

__attribute__((noinline)) int caught_badly(__u64 cookie)
{
    return cookie;
}

static __attribute__((noinline)) int deeper(struct __sk_buff *skb)
{
    if (skb->len > 4)
        bpf_throw(64);
    return 7;
}

SEC("tc") CATCH(caught)
int ok_caught(struct __sk_buff *skb)
{
    return deeper(skb);
}

SEC("tc") CATCH(caught)
int ok_not_thrown(struct __sk_buff *skb)
{
    if (skb->len > 100000)
        bpf_throw(1);
    return 7;
}

SEC("tc") CATCH(caught_with_two)
int exception__two_arguments(struct __sk_buff *skb)
{
    return deeper(skb);
}

SEC("tc") CATCH(caught)
int exception__called(struct __sk_buff *skb)
{
    return deeper(skb) + caught(1);
}

SEC("cgroup_skb/egress") CATCH(caught_badly)
int return_value__of_the_callback(struct __sk_buff *skb)
{
    if (skb->len)
        bpf_throw(1);
    return 1;
}
