// Global functions, each program with a call that is fine or not; what Linux says of each is what we must say.
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>

#define noinline __attribute__((noinline))
#define ctx_arg __attribute__((btf_decl_tag("arg:ctx")))
#define nonnull __attribute__((btf_decl_tag("arg:nonnull")))
#define nullable __attribute__((btf_decl_tag("arg:nullable")))
#define odd __attribute__((btf_decl_tag("arg:odd")))

struct pair {
    long a, b;
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 4);
    __type(key, int);
    __type(value, struct pair);
} pairs SEC(".maps");

struct value {
    struct bpf_spin_lock lock;
    int n;
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 4);
    __type(key, int);
    __type(value, struct value);
} locked SEC(".maps");

noinline int add(int a, int b)
{
    asm volatile("" : "+r"(a), "+r"(b));
    return a + b;
}

noinline int sum(struct pair *p)
{
    if (!p)
        return 0;
    p->a++;
    return p->a + p->b;
}

noinline int sum_unchecked(struct pair *p)
{
    return p->a + p->b;
}

noinline int sum_nonnull(struct pair *p nonnull)
{
    p->b = 4;
    return p->a + p->b;
}

noinline int beyond(struct pair *p nonnull)
{
    return *(&p->b + 1);
}

noinline int length(struct __sk_buff *skb)
{
    return skb->len;
}

noinline int length_tagged(void *skb ctx_arg)
{
    return ((struct __sk_buff *)skb)->len;
}

noinline int length_mistagged(struct pair *skb ctx_arg)
{
    return skb->a;
}

noinline int pull(struct __sk_buff *skb)
{
    return bpf_skb_pull_data(skb, 10);
}

noinline int pull_deeper(struct __sk_buff *skb)
{
    return pull(skb) + 1;
}

noinline int of_void(void *p)
{
    return p != 0;
}

noinline int of_odd(int *p odd)
{
    return p != 0;
}

noinline int of_nullable(int *p nullable)
{
    return p != 0;
}

noinline int tagged_number(int n nonnull)
{
    return n + 1;
}

noinline struct pair *gives_pointer(int n)
{
    return bpf_map_lookup_elem(&pairs, &n);
}

noinline int index_of(int n)
{
    return n & 3;
}

noinline int bad_inside(int n)
{
    char buf[8] = {};

    asm volatile("" : "+r"(n));
    return *(volatile char *)(buf + n);
}

noinline int calls_bad(int n)
{
    return bad_inside(n) + 1;
}

static noinline int static_user(int n)
{
    return add(n, 1) + add(n, 2);
}

static int step(int i, void *ctx)
{
    *(long *)ctx += add(i, 1);
    return 0;
}

noinline int loops(int n)
{
    long sum = 0;

    bpf_loop(n, step, &sum, 0);
    return sum;
}

noinline int locked_out(int n)
{
    asm volatile("" : "+r"(n));
    return n;
}

SEC("tc") int adds(struct __sk_buff *skb)
{
    return add(skb->len, 3) & 1;
}

SEC("tc") int of_stack(struct __sk_buff *skb)
{
    struct pair p = {.a = skb->len};

    return sum(&p) & 1;
}

SEC("tc") int of_stack_unwritten(struct __sk_buff *skb)
{
    struct pair p;

    return sum(&p) & 1;
}

SEC("tc") int of_null(struct __sk_buff *skb)
{
    return sum(0) & 1;
}

SEC("tc") int of_value_or_null(struct __sk_buff *skb)
{
    int zero = skb->len & 3;

    return sum(bpf_map_lookup_elem(&pairs, &zero)) & 1;
}

SEC("tc") int unchecked(struct __sk_buff *skb)
{
    struct pair p = {};

    return sum_unchecked(&p) & 1;
}

SEC("tc") int nonnull_ok(struct __sk_buff *skb)
{
    struct pair p = {};

    return sum_nonnull(&p) & 1;
}

SEC("tc") int nonnull_of_maybe(struct __sk_buff *skb)
{
    int zero = skb->len & 3;

    return sum_nonnull(bpf_map_lookup_elem(&pairs, &zero)) & 1;
}

SEC("tc") int reads_beyond(struct __sk_buff *skb)
{
    struct pair p = {};

    return beyond(&p) & 1;
}

SEC("tc") int too_small(struct __sk_buff *skb)
{
    long x = skb->len;

    return sum((struct pair *)&x) & 1;
}

SEC("tc") int with_ctx(struct __sk_buff *skb)
{
    return length(skb) & 1;
}

SEC("tc") int with_tagged_ctx(struct __sk_buff *skb)
{
    return length_tagged(skb) & 1;
}

SEC("tc") int with_mistagged_ctx(struct __sk_buff *skb)
{
    return length_mistagged((void *)skb) & 1;
}

SEC("tc") int ctx_is_stack(struct __sk_buff *skb)
{
    struct __sk_buff other = {};

    return length(&other) & 1;
}

SEC("xdp") int ctx_of_another(struct xdp_md *xdp)
{
    return length((void *)xdp) & 1;
}

SEC("tc") int ctx_as_number(struct __sk_buff *skb)
{
    return add((long)skb, 3) & 1;
}

SEC("tc") int packet_is_void(struct __sk_buff *skb)
{
    unsigned char *p = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

    if (p + 1 > end)
        return 0;
    pull_deeper(skb);
    return *p & 1;
}

SEC("tc") int packet_stays(struct __sk_buff *skb)
{
    unsigned char *p = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

    if (p + 1 > end)
        return 0;
    return (length(skb) + *p) & 1;
}

SEC("tc") int packet_as_memory(struct __sk_buff *skb)
{
    struct pair *p = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

    if (p + 1 > end)
        return 0;
    return sum(p) & 1;
}

SEC("xdp") int xdp_packet_as_memory(struct xdp_md *xdp)
{
    struct pair *p = (void *)(long)xdp->data, *end = (void *)(long)xdp->data_end;

    if (p + 1 > end)
        return 0;
    return sum(p) & 1;
}

SEC("tc") int calls_void(struct __sk_buff *skb)
{
    int x = 0;

    return of_void(&x) & 1;
}

SEC("tc") int calls_odd(struct __sk_buff *skb)
{
    int x = 0;

    return of_odd(&x) & 1;
}

SEC("tc") int calls_nullable(struct __sk_buff *skb)
{
    int x = 0;

    return of_nullable(&x) & 1;
}

SEC("tc") int calls_tagged_number(struct __sk_buff *skb)
{
    return tagged_number(skb->len) & 1;
}

SEC("tc") int calls_pointer_giver(struct __sk_buff *skb)
{
    return gives_pointer(1) != 0;
}

SEC("tc") int result_is_any(struct __sk_buff *skb)
{
    struct pair p[4] = {};

    return ((volatile struct pair *)p)[index_of(skb->len)].a & 1;
}

SEC("tc") int bad_when_called(struct __sk_buff *skb)
{
    return bad_inside(1) & 1;
}

SEC("tc") int bad_when_called_deeper(struct __sk_buff *skb)
{
    return calls_bad(1) & 1;
}

SEC("tc") int bad_and_never_called(struct __sk_buff *skb)
{
    return 0;
}

SEC("tc") int through_static(struct __sk_buff *skb)
{
    return static_user(skb->len) & 1;
}

SEC("tc") int with_loop(struct __sk_buff *skb)
{
    return loops(5) & 1;
}

SEC("tc") int under_lock(struct __sk_buff *skb)
{
    int zero = 0;
    struct value *v = bpf_map_lookup_elem(&locked, &zero);

    if (!v)
        return 0;
    bpf_spin_lock(&v->lock);
    v->n = locked_out(3);
    bpf_spin_unlock(&v->lock);
    return 0;
}

SEC("tc") int map_key_as_memory(struct __sk_buff *skb)
{
    return sum((struct pair *)&pairs) & 1;
}

char _license[] SEC("license") = "GPL";
