/* Programs of hooks and of the network, for tests of the command line. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

char _license[] SEC("license") = "GPL";

/* Connections to port 80 go to 127.0.0.1:8080. */
SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
    if (ctx->user_port != bpf_htons(80))
        return 0;
    ctx->user_ip4 = bpf_htonl(0x7f000001);
    ctx->user_port = bpf_htons(8080);
    return 1;
}

SEC("cgroup/sysctl")
int sysctl(struct bpf_sysctl *ctx)
{
    char name[32] = {}, value[8] = {}, two[2] = "2";

    if (bpf_sysctl_get_name(ctx, name, sizeof(name), BPF_F_SYSCTL_BASE_NAME) != 10 || name[0] != 'i')
        return 0;
    if (bpf_sysctl_get_current_value(ctx, value, sizeof(value)) != 1 || value[0] != '0')
        return 0;
    return bpf_sysctl_set_new_value(ctx, two, 1) == 0;
}

/* Twice to interface 7, once there for good. */
SEC("tc")
int mirror(struct __sk_buff *skb)
{
    bpf_clone_redirect(skb, 7, 0);
    return bpf_redirect(9, BPF_F_INGRESS);
}

/* To the neighbour that the first byte behind the headers says: a hop that is named, else the packet's way. */
SEC("tc")
int neigh(struct __sk_buff *skb)
{
    struct bpf_redir_neigh hop = {.nh_family = 2, .ipv4_nh = bpf_htonl(0x0a010001)};
    unsigned char last = 0;

    bpf_skb_load_bytes(skb, 33, &last, 1);
    return last == 2 ? bpf_redirect_neigh(2, &hop, sizeof(hop), 0) : bpf_redirect_neigh(2, 0, 0, 0);
}

/* The next hop and its address, from the world. */
SEC("xdp")
int route(struct xdp_md *ctx)
{
    struct bpf_fib_lookup p = {.family = 2, .ifindex = 1, .ipv4_dst = bpf_htonl(0x0a020304)};

    return bpf_fib_lookup(ctx, &p, sizeof(p), 0) == 0 && p.ifindex == 2 && p.dmac[5] == 0xc1 && p.smac[5] == 0x0b
               ? XDP_PASS
               : XDP_DROP;
}

/* Bytes 14 to 78 of the packet are the parameters, byte 0 the flags. */
SEC("xdp")
int fib(struct xdp_md *ctx)
{
    unsigned char *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    struct bpf_fib_lookup p;
    long ret;

    if (data + 14 + sizeof(p) > end)
        return 99;
    __builtin_memcpy(&p, data + 14, sizeof(p));
    ret = bpf_fib_lookup(ctx, &p, sizeof(p), data[0]);
    __builtin_memcpy(data + 14, &p, sizeof(p));
    return ret;
}

/* Is somebody listening? */
SEC("tc")
int listening(struct __sk_buff *skb)
{
    struct bpf_sock_tuple t = {.ipv4 = {.daddr = bpf_htonl(0x0a000001), .dport = bpf_htons(80)}};
    struct bpf_sock *sk = bpf_skc_lookup_tcp(skb, &t, sizeof(t.ipv4), BPF_F_CURRENT_NETNS, 0);
    int state = -1;

    if (sk) {
        state = sk->state;
        bpf_sk_release(sk);
    }
    return state;
}

SEC("sk_msg")
int first_byte(struct sk_msg_md *msg)
{
    unsigned char *data = msg->data;

    if ((void *)(data + 1) > msg->data_end || *data != 'G')
        return SK_DROP;
    return bpf_msg_push_data(msg, 0, 2, 0) ? SK_DROP : SK_PASS;
}
