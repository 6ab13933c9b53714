/* Pointers to objects in maps: names as in lists.bpf.c. */
#include "objects.h"

struct thing {
    long value;
};
struct holder {
    long value;
    struct thing __kptr_tag *inner;
};
struct value {
    struct thing __kptr_tag *mine;
    struct thing __kptr_tag *two[2];
    struct holder __kptr_tag *deep;
    struct thing __kptr_percpu *each;
    long plain;
};
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, int);
    __type(value, struct value);
} map SEC(".maps");

static struct value *at(void)
{
    int key = 0;

    return bpf_map_lookup_elem(&map, &key);
}

static struct thing *made(long value)
{
    struct thing *t = new (struct thing);

    if (t)
        t->value = value;
    return t;
}

SEC("tc")
int ok_exchange_is_12(struct __sk_buff *skb)
{
    struct value *v = at();
    struct thing *t, *old;
    int out;

    if (!v || !(t = made(1)))
        return -1;
    old = bpf_kptr_xchg(&v->mine, t);
    if (old)
        drop(old);
    if (!(t = made(2)))
        return -2;
    old = bpf_kptr_xchg(&v->mine, t);
    if (!old)
        return -3;
    out = old->value * 10;
    drop(old);
    t = bpf_kptr_xchg(&v->mine, 0);
    if (!t)
        return -4;
    out += t->value;
    drop(t);
    return out;
}

/* Read where it stands: programs that do not sleep are protected. */
SEC("tc")
int ok_load_is_5(struct __sk_buff *skb)
{
    struct value *v = at();
    struct thing *t, *old;

    if (!v || !(t = made(5)))
        return -1;
    old = bpf_kptr_xchg(&v->two[1], t);
    if (old)
        drop(old);
    t = v->two[1];
    return t ? t->value : -2;
}

SEC("tc")
int ok_deep_is_9(struct __sk_buff *skb)
{
    struct value *v = at();
    struct holder *h, *oldh;
    struct thing *t, *old;
    int out = -1;

    if (!v || !(h = new (struct holder)))
        return -1;
    t = made(9);
    if (t) {
        old = bpf_kptr_xchg(&h->inner, t);
        if (old)
            drop(old);
    }
    oldh = bpf_kptr_xchg(&v->deep, h);
    if (oldh)
        drop(oldh);
    h = bpf_kptr_xchg(&v->deep, 0);
    if (!h)
        return -2;
    t = bpf_kptr_xchg(&h->inner, 0);
    if (t) {
        out = t->value;
        drop(t);
    }
    drop(h);
    return out;
}

/* An update of the value lets go of what it holds. */
SEC("tc")
int ok_updated_is_1(struct __sk_buff *skb)
{
    struct value fresh = {.plain = 3}, *v = at();
    struct thing *t, *old;
    int key = 0;

    if (!v || !(t = made(5)))
        return -1;
    old = bpf_kptr_xchg(&v->mine, t);
    if (old)
        drop(old);
    bpf_map_update_elem(&map, &key, &fresh, 0);
    return v->mine == 0 && v->plain == 3;
}

SEC("tc")
int ok_percpu_is_6(struct __sk_buff *skb)
{
    struct value *v = at();
    struct thing __kptr_percpu *p, *old;

    if (!v)
        return -1;
    p = bpf_percpu_obj_new_impl(__builtin_btf_type_id(*(struct thing *)0, 0), 0);
    if (!p)
        return -2;
    old = bpf_kptr_xchg(&v->each, p);
    if (old)
        bpf_percpu_obj_drop_impl((void *)old, 0);
    old = bpf_kptr_xchg(&v->each, 0);
    if (!old)
        return -3;
    bpf_percpu_obj_drop_impl((void *)old, 0);
    return 6;
}

SEC("tc")
int special_field__stored(struct __sk_buff *skb)
{
    struct value *v = at();

    if (v)
        *(volatile long *)&v->mine = 0;
    return 0;
}

SEC("tc")
int special_field__half(struct __sk_buff *skb)
{
    struct value *v = at();

    return v ? *(volatile int *)&v->mine : 0;
}

SEC("tc")
int kptr__of_another_type(struct __sk_buff *skb)
{
    struct value *v = at();
    struct thing *t = made(1);

    if (!v) {
        if (t)
            drop(t);
        return 0;
    }
    if (t) {
        t = bpf_kptr_xchg(&v->deep, (struct holder *)t);
        if (t)
            drop(t);
    }
    return 0;
}

SEC("tc")
int reference_leak__exchanged(struct __sk_buff *skb)
{
    struct value *v = at();

    return v ? bpf_kptr_xchg(&v->mine, 0) != 0 : 0;
}

SEC("tc")
int special_field__no_kptr(struct __sk_buff *skb)
{
    struct value *v = at();
    void *old;

    if (v) {
        old = bpf_kptr_xchg(&v->plain, 0);
        if (old)
            drop(old);
    }
    return 0;
}

SEC("tc")
int helper_argument__dropped(struct __sk_buff *skb)
{
    struct value *v = at();
    struct thing *t = v ? v->mine : 0;

    if (t)
        drop(t);
    return 0;
}
