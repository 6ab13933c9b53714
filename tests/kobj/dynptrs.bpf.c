/* Dynptrs of packets, and the kernel functions that follow dynptrs of any kind. */
#include "kobj.h"

char LICENSE[] SEC("license") = "GPL";

struct bpf_dynptr;
extern int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags, struct bpf_dynptr *ptr) __ksym;
extern int bpf_dynptr_from_xdp(struct xdp_md *xdp, __u64 flags, struct bpf_dynptr *ptr) __ksym;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *p, __u32 offset, void *buffer, __u32 size) __ksym;
extern void *bpf_dynptr_slice_rdwr(const struct bpf_dynptr *p, __u32 offset, void *buffer, __u32 size) __ksym;
extern int bpf_dynptr_adjust(const struct bpf_dynptr *p, __u32 start, __u32 end) __ksym;
extern bool bpf_dynptr_is_null(const struct bpf_dynptr *p) __ksym;
extern bool bpf_dynptr_is_rdonly(const struct bpf_dynptr *p) __ksym;
extern __u32 bpf_dynptr_size(const struct bpf_dynptr *p) __ksym;
extern int bpf_dynptr_clone(const struct bpf_dynptr *p, struct bpf_dynptr *clone) __ksym;
extern int bpf_dynptr_copy(struct bpf_dynptr *to, __u32 to_off, struct bpf_dynptr *from, __u32 from_off, __u32 size) __ksym;
extern int bpf_dynptr_memset(struct bpf_dynptr *p, __u32 offset, __u32 size, __u8 value) __ksym;

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
} ring SEC(".maps");

char scratch[64];

SEC("tc")
int ok_read(struct __sk_buff *skb)
{
    struct bpf_dynptr p;
    char buf[14];
    const char *eth;

    if (bpf_dynptr_from_skb(skb, 0, &p))
        return -1;
    eth = bpf_dynptr_slice(&p, 0, buf, sizeof(buf));
    return eth ? eth[12] * 2 + (int)bpf_dynptr_size(&p) : -2;
}

SEC("tc")
int ok_written(struct __sk_buff *skb)
{
    struct bpf_dynptr p;
    char buf[14];
    char *eth;

    bpf_dynptr_from_skb(skb, 0, &p);
    eth = bpf_dynptr_slice_rdwr(&p, 0, buf, sizeof(buf));
    if (!eth)
        return -2;
    eth[0] = 9;
    eth[13] ^= 1;
    return eth[0] + eth[5];
}

SEC("xdp")
int ok_xdp(struct xdp_md *xdp)
{
    struct bpf_dynptr p;
    char *eth, t;

    bpf_dynptr_from_xdp(xdp, 0, &p);
    eth = bpf_dynptr_slice_rdwr(&p, 6, NULL, 6);
    if (!eth)
        return XDP_DROP;
    t = eth[0];
    eth[0] = eth[5];
    eth[5] = t;
    return bpf_dynptr_write(&p, 0, scratch, 6, 0) ? XDP_ABORTED : XDP_TX;
}

SEC("tc")
int ok_arithmetic(struct __sk_buff *skb)
{
    struct bpf_dynptr p, q;
    char b = 0;
    int n = 0;

    bpf_dynptr_from_skb(skb, 0, &p);
    n += bpf_dynptr_clone(&p, &q) ? 1000 : 1;
    n += bpf_dynptr_adjust(&q, 2, 10) ? 1000 : 2;
    n += bpf_dynptr_adjust(&q, 9, 3) == -22 ? 4 : 1000;
    n += bpf_dynptr_adjust(&q, 0, 9) == -34 ? 8 : 1000;
    n += bpf_dynptr_size(&q) == 8 ? 16 : 1000;
    n += bpf_dynptr_is_null(&q) ? 1000 : 32;
    n += bpf_dynptr_is_rdonly(&q) ? 1000 : 64;
    n += bpf_dynptr_read(&b, 1, &q, 3, 0) ? 1000 : b;
    n += bpf_dynptr_read(&b, 1, &q, 8, 0) == -7 ? 128 : 1000;
    n += bpf_dynptr_data(&q, 0, 1) ? 1000 : 256;
    n += bpf_dynptr_slice(&q, 7, NULL, 2) ? 1000 : 512;
    return n;
}

SEC("cgroup_skb/egress")
int ok_read_only(struct __sk_buff *skb)
{
    struct bpf_dynptr p;

    bpf_dynptr_from_skb(skb, 0, &p);
    return bpf_dynptr_is_rdonly(&p) && bpf_dynptr_write(&p, 0, scratch, 1, 0) == -22;
}

SEC("tc")
int ok_wrong_flags(struct __sk_buff *skb)
{
    struct bpf_dynptr p;

    return bpf_dynptr_from_skb(skb, 1, &p) == -22 && bpf_dynptr_is_null(&p) ? 77 : 0;
}

SEC("tc")
int ok_copied(struct __sk_buff *skb)
{
    struct bpf_dynptr p, q;

    bpf_dynptr_from_skb(skb, 0, &p);
    bpf_dynptr_from_mem(scratch, sizeof(scratch), 0, &q);
    if (bpf_dynptr_copy(&q, 4, &p, 0, 8) || bpf_dynptr_memset(&q, 5, 2, 'x') || bpf_dynptr_copy(&p, 0, &q, 4, 8))
        return -1;
    return scratch[4] + scratch[5] + scratch[11];
}

SEC("tc")
int ok_record(struct __sk_buff *skb)
{
    struct bpf_dynptr p, q;
    char *at;

    bpf_ringbuf_reserve_dynptr(&ring, 32, 0, &p);
    bpf_dynptr_clone(&p, &q);
    at = bpf_dynptr_slice_rdwr(&q, 0, NULL, 8);
    if (at)
        at[0] = 1;
    bpf_ringbuf_submit_dynptr(&q, 0);
    return 0;
}

SEC("tc")
int not_a_pointer__slice_after_the_record(struct __sk_buff *skb)
{
    struct bpf_dynptr p, q;
    char *at;

    bpf_ringbuf_reserve_dynptr(&ring, 32, 0, &p);
    bpf_dynptr_clone(&p, &q);
    at = bpf_dynptr_slice_rdwr(&q, 0, NULL, 8);
    bpf_ringbuf_submit_dynptr(&p, 0);
    return at ? at[0] : 0;
}

SEC("tc")
int dynptr__clone_after_the_record(struct __sk_buff *skb)
{
    struct bpf_dynptr p, q;

    bpf_ringbuf_reserve_dynptr(&ring, 32, 0, &p);
    bpf_dynptr_clone(&p, &q);
    bpf_ringbuf_submit_dynptr(&p, 0);
    return (int)bpf_dynptr_size(&q);
}

SEC("tc")
int reference_leak__clone(struct __sk_buff *skb)
{
    struct bpf_dynptr p, q;

    bpf_ringbuf_reserve_dynptr(&ring, 32, 0, &p);
    bpf_dynptr_clone(&p, &q);
    return 0;
}

SEC("tc")
int not_a_pointer__slice_after_a_pull(struct __sk_buff *skb)
{
    struct bpf_dynptr p;
    char *eth;

    bpf_dynptr_from_skb(skb, 0, &p);
    eth = bpf_dynptr_slice(&p, 0, NULL, 14);
    bpf_skb_pull_data(skb, skb->len);
    return eth ? eth[0] : 0;
}

SEC("tc")
int not_a_pointer__slice_after_a_write(struct __sk_buff *skb)
{
    struct bpf_dynptr p;
    char *eth;

    bpf_dynptr_from_skb(skb, 0, &p);
    eth = bpf_dynptr_slice(&p, 0, NULL, 14);
    bpf_dynptr_write(&p, 0, scratch, 6, 0);
    return eth ? eth[0] : 0;
}

SEC("xdp")
int ok_slice_after_a_write_of_memory(struct xdp_md *xdp)
{
    struct bpf_dynptr p, q;
    char *eth;

    bpf_dynptr_from_xdp(xdp, 0, &p);
    bpf_dynptr_from_mem(scratch, sizeof(scratch), 0, &q);
    eth = bpf_dynptr_slice(&p, 0, NULL, 14);
    bpf_dynptr_write(&q, 0, scratch + 8, 6, 0);
    return eth && eth[0] == 7 ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int not_a_pointer__slice_after_the_head_moved(struct xdp_md *xdp)
{
    struct bpf_dynptr p;
    char *eth;

    bpf_dynptr_from_xdp(xdp, 0, &p);
    eth = bpf_dynptr_slice(&p, 0, NULL, 14);
    bpf_xdp_adjust_head(xdp, -4);
    return eth ? eth[0] & 1 : 0;
}

SEC("tc")
int read_only_memory__slice(struct __sk_buff *skb)
{
    struct bpf_dynptr p;
    char *eth;

    bpf_dynptr_from_skb(skb, 0, &p);
    eth = bpf_dynptr_slice(&p, 0, NULL, 14);
    if (eth)
        eth[0] = 1;
    return 0;
}

SEC("tc")
int null_check_missing__slice(struct __sk_buff *skb)
{
    struct bpf_dynptr p;

    bpf_dynptr_from_skb(skb, 0, &p);
    return *(char *)bpf_dynptr_slice(&p, 0, NULL, 14);
}

SEC("tc")
int mem_out_of_bounds__slice(struct __sk_buff *skb)
{
    struct bpf_dynptr p;
    char *eth;

    bpf_dynptr_from_skb(skb, 0, &p);
    eth = bpf_dynptr_slice(&p, 0, NULL, 14);
    return eth ? eth[14] : 0;
}

SEC("tc")
int helper_size__not_constant(struct __sk_buff *skb)
{
    struct bpf_dynptr p;
    char *eth;

    bpf_dynptr_from_skb(skb, 0, &p);
    eth = bpf_dynptr_slice(&p, 0, NULL, skb->len & 7);
    return eth != NULL;
}

SEC("tc")
int map_value_out_of_bounds__buffer_too_small(struct __sk_buff *skb)
{
    struct bpf_dynptr p;
    char *eth;

    bpf_dynptr_from_skb(skb, 0, &p);
    eth = bpf_dynptr_slice(&p, 0, scratch, sizeof(scratch) + 1000);
    return eth != NULL;
}

SEC("cgroup_skb/egress")
int packet_access__slice_to_write(struct __sk_buff *skb)
{
    struct bpf_dynptr p;

    bpf_dynptr_from_skb(skb, 0, &p);
    return bpf_dynptr_slice_rdwr(&p, 0, NULL, 14) != NULL;
}

SEC("tc")
int dynptr__not_made(struct __sk_buff *skb)
{
    struct bpf_dynptr p;

    return (int)bpf_dynptr_size(&p);
}

SEC("tc")
int helper_argument__not_the_context(struct __sk_buff *skb)
{
    struct bpf_dynptr p;

    return bpf_dynptr_from_skb((void *)scratch, 0, &p);
}

SEC("xdp")
int helper_not_allowed__skb_in_xdp(struct xdp_md *xdp)
{
    struct bpf_dynptr p;

    return bpf_dynptr_from_skb((void *)xdp, 0, &p) & 1;
}
