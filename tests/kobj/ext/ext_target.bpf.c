/* What ext.bpf.c extends. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct pair {
    int a, b;
};

__attribute__((noinline)) int length_of(struct __sk_buff *skb)
{
    return skb->len;
}

__attribute__((noinline)) int sum(int a, struct pair *p)
{
    return p ? a + p->a + p->b : a;
}

static __attribute__((noinline)) int hidden(int a)
{
    asm volatile("%0 += 1" : "+r"(a));
    return a;
}

SEC("tc")
int ext_target(struct __sk_buff *skb)
{
    struct pair p = {1, 2};

    return length_of(skb) + sum(1, &p) + hidden(3);
}
