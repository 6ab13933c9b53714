/* Extensions of the functions of ext_target: run.sh names it as what they extend. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct pair {
    int a, b;
};

char LICENSE[] SEC("license") = "GPL";

SEC("freplace/length_of")
int ok_length(struct __sk_buff *skb)
{
    return skb->len + skb->ifindex;
}

SEC("freplace/sum")
int ok_sum(int a, struct pair *p)
{
    return a;
}

SEC("freplace/sum")
int hook__other_count(int a)
{
    return a;
}

enum few { ONE, TWO };

SEC("freplace/sum")
enum few hook__other_result(int a, struct pair *p)
{
    return a ? ONE : TWO;
}

SEC("freplace/sum")
long ok_wider_result(int a, struct pair *p)
{
    return a;
}

SEC("freplace/sum")
int hook__other_struct(int a, struct __sk_buff *p)
{
    return a;
}

SEC("freplace/hidden")
int hook__static(int a)
{
    return a;
}

SEC("freplace/no_such")
int hook__no_such(int a)
{
    return a;
}

SEC("freplace/length_of")
int hook__moves_the_packet(struct __sk_buff *skb)
{
    return bpf_skb_pull_data(skb, 1);
}

SEC("freplace/length_of")
int ctx_access__no_field(struct __sk_buff *skb)
{
    return *(int *)((char *)skb + 4096);
}

SEC("freplace/ext_target")
int ok_whole_program(struct __sk_buff *skb)
{
    return 77;
}
