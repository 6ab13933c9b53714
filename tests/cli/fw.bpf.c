/* A small firewall: what the tests of the command line run over packets. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum level { QUIET, NORMAL, LOUD };

struct stat {
    __u64 packets, bytes;
};

struct event {
    __u32 saddr;
    __u16 port;
    char why[8];
};

struct cfg {
    int offset;
    struct {
        unsigned low : 3, high : 5;
    } bits;
    __u16 ports[4];
    char name[8];
    enum level level;
};

const volatile __u16 blocked = 80;
volatile struct cfg cfg = {.ports = {80}, .level = NORMAL};
volatile __u64 runs;
const struct event *unused __attribute__((unused)); /* puts the type into BTF */

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 5);
    __type(key, __u32);
    __type(value, struct stat);
} counts SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 64);
    __uint(pinning, LIBBPF_PIN_BY_NAME);
    __type(key, __u32);
    __type(value, __u64);
} seen SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 65536);
} events SEC(".maps");

static void tell(__u32 saddr)
{
    struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
    if (!e)
        return;
    e->saddr = saddr;
    e->port = blocked;
    __builtin_memcpy(e->why, "blocked", 8);
    bpf_ringbuf_submit(e, 0);
}

static __always_inline int verdict(void *data, void *end)
{
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    struct tcphdr *tcp = (void *)(ip + 1);
    __u64 one = 1, *n;
    if ((void *)(eth + 1) > end)
        return XDP_ABORTED;
    if (eth->h_proto != bpf_htons(ETH_P_IP))
        return XDP_PASS;
    if ((void *)(ip + 1) > end)
        return XDP_DROP;
    n = bpf_map_lookup_elem(&seen, &ip->saddr);
    if (n)
        __sync_fetch_and_add(n, 1);
    else
        bpf_map_update_elem(&seen, &ip->saddr, &one, BPF_ANY);
    if (ip->protocol != IPPROTO_TCP)
        return XDP_PASS;
    if ((void *)(tcp + 1) > end)
        return XDP_DROP;
    if (tcp->dest != bpf_htons(blocked))
        return XDP_PASS;
    tell(ip->saddr);
    if (cfg.level == LOUD)
        bpf_printk("port %d is blocked", blocked);
    return XDP_DROP;
}

SEC("xdp") int firewall(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    int v = verdict(data, end);
    __u32 key = v;
    struct stat *s = bpf_map_lookup_elem(&counts, &key);
    if (s) {
        s->packets++;
        s->bytes += end - data;
    }
    runs++;
    return v;
}

/* Reads where no packet reaches. */
SEC("xdp") int curious(struct xdp_md *ctx)
{
    unsigned char *data = (void *)(long)ctx->data;
    return data[3000] + cfg.offset;
}

/* Swaps the addresses and sends the packet back. */
SEC("xdp") int mirror(struct xdp_md *ctx)
{
    unsigned char *data = (void *)(long)ctx->data, mac[6];
    if (data + ETH_HLEN > (unsigned char *)(long)ctx->data_end)
        return XDP_DROP;
    __builtin_memcpy(mac, data, 6);
    __builtin_memcpy(data, data + 6, 6);
    __builtin_memcpy(data + 6, mac, 6);
    return XDP_TX;
}

/* What the run's world says. */
SEC("xdp") int world(struct xdp_md *ctx)
{
    char comm[16];
    bpf_get_current_comm(comm, sizeof(comm));
    bpf_printk("pid %d tgid %d", (int)bpf_get_current_pid_tgid(), (int)(bpf_get_current_pid_tgid() >> 32));
    bpf_printk("comm %s cpu %d", comm, bpf_get_smp_processor_id());
    bpf_printk("time %llu ifindex %d", bpf_ktime_get_ns(), ctx->ingress_ifindex);
    return bpf_get_prandom_u32() & 0xffff;
}

/* Never ends. */
SEC("xdp") int endless(struct xdp_md *ctx)
{
    while (cfg.offset < 1000000000)
        cfg.offset = 0;
    return 0;
}

SEC("kprobe/do_nothing") int probe(void *ctx)
{
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
