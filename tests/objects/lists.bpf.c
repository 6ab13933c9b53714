/* Lists of objects: what they return is said after `ok_..._is_`; what may not be, by the reason it is refused for. */
#include "objects.h"

struct item {
    long value;
    struct bpf_list_node node;
};
struct other {
    long value;
    struct bpf_list_node node;
};
struct slot {
    struct bpf_spin_lock lock;
    struct bpf_list_head items contains(item, node);
    long n;
};
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4);
    __type(key, int);
    __type(value, struct slot);
} slots SEC(".maps");

private(A) struct bpf_spin_lock lock;
private(A) struct bpf_list_head items contains(item, node);
private(B) struct bpf_spin_lock other_lock;
private(B) struct bpf_list_head others contains(other, node);

static struct item *made(long value)
{
    struct item *it = new (struct item);

    if (it)
        it->value = value;
    return it;
}

SEC("tc")
int ok_order_is_312(struct __sk_buff *skb)
{
    struct bpf_list_node *n;
    int out = 0;

    for (int i = 1; i <= 3; i++) {
        struct item *it = made(i);

        if (!it)
            return -1;
        bpf_spin_lock(&lock);
        if (i == 3)
            push_front(&items, &it->node);
        else
            push_back(&items, &it->node);
        bpf_spin_unlock(&lock);
    }
    for (int i = 0; i < 3; i++) {
        bpf_spin_lock(&lock);
        n = bpf_list_pop_front(&items);
        bpf_spin_unlock(&lock);
        if (!n)
            return -2;
        out = out * 10 + container(n, struct item, node)->value;
        drop(container(n, struct item, node));
    }
    bpf_spin_lock(&lock);
    n = bpf_list_pop_back(&items);
    bpf_spin_unlock(&lock);
    if (n) {
        drop(container(n, struct item, node));
        return -3;
    }
    return out;
}

SEC("tc")
int ok_value_is_79(struct __sk_buff *skb)
{
    struct slot fresh = {}, *s;
    struct bpf_list_node *n;
    int key = 1, out = -1;
    struct item *it;

    bpf_map_update_elem(&slots, &key, &fresh, 0);
    s = bpf_map_lookup_elem(&slots, &key);
    if (!s)
        return -2;
    for (int i = 7; i < 10; i += 2) {
        it = made(i);
        if (!it)
            return -3;
        bpf_spin_lock(&s->lock);
        push_back(&s->items, &it->node);
        it->value += 0; /* the list's, until the lock is given back */
        bpf_spin_unlock(&s->lock);
    }
    bpf_spin_lock(&s->lock);
    n = bpf_list_front(&s->items);
    if (n)
        out = container(n, struct item, node)->value * 10;
    n = bpf_list_back(&s->items);
    if (n)
        out += container(n, struct item, node)->value;
    bpf_spin_unlock(&s->lock);
    bpf_map_delete_elem(&slots, &key);
    return out;
}

/* What nobody takes back is freed with the map. */
SEC("tc")
int ok_left_is_0(struct __sk_buff *skb)
{
    struct item *it = made(1);

    if (!it)
        return -1;
    bpf_spin_lock(&lock);
    push_back(&items, &it->node);
    bpf_spin_unlock(&lock);
    return 0;
}

SEC("tc")
int lock_missing__push(struct __sk_buff *skb)
{
    struct item *it = made(1);

    if (it)
        push_back(&items, &it->node);
    return 0;
}

SEC("tc")
int lock_missing__another(struct __sk_buff *skb)
{
    struct item *it = made(1);

    if (!it)
        return 0;
    bpf_spin_lock(&other_lock);
    push_back(&items, &it->node);
    bpf_spin_unlock(&other_lock);
    return 0;
}

SEC("tc")
int special_field__of_another_list(struct __sk_buff *skb)
{
    struct other *o = new (struct other);
    struct item *it;

    if (o)
        drop(o);
    it = made(1);
    if (!it)
        return 0;
    bpf_spin_lock(&other_lock);
    push_back(&others, &it->node);
    bpf_spin_unlock(&other_lock);
    return 0;
}

SEC("tc")
int special_field__touched(struct __sk_buff *skb)
{
    struct item *it = made(1);

    if (!it)
        return 0;
    *(volatile __u64 *)&it->node = 0;
    drop(it);
    return 0;
}

SEC("tc")
int special_field__head_touched(struct __sk_buff *skb)
{
    return *(volatile __u64 *)&items;
}

SEC("tc")
int reference_leak__new(struct __sk_buff *skb)
{
    return made(1) != 0;
}

SEC("tc")
int null_check_missing__new(struct __sk_buff *skb)
{
    struct item *it = new (struct item);

    it->value = 1;
    drop(it);
    return 0;
}

SEC("tc")
int helper_argument__pushed_twice(struct __sk_buff *skb)
{
    struct item *it = made(1);

    if (!it)
        return 0;
    bpf_spin_lock(&lock);
    push_back(&items, &it->node);
    push_back(&items, &it->node);
    bpf_spin_unlock(&lock);
    return 0;
}

SEC("tc")
int not_a_pointer__after_unlock(struct __sk_buff *skb)
{
    struct item *it = made(1);

    if (!it)
        return 0;
    bpf_spin_lock(&lock);
    push_back(&items, &it->node);
    bpf_spin_unlock(&lock);
    return it->value;
}

SEC("tc")
int lock_held__new(struct __sk_buff *skb)
{
    struct item *it;

    bpf_spin_lock(&lock);
    it = new (struct item);
    bpf_spin_unlock(&lock);
    if (it)
        drop(it);
    return 0;
}

SEC("tc")
int helper_argument__moved(struct __sk_buff *skb)
{
    struct item *it = made(1);

    if (it)
        bpf_obj_drop_impl(&it->node, 0);
    return 0;
}
