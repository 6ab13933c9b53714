/* Timers and work queues: names as in lists.bpf.c; what runs later counts in `ran`. */
#include "objects.h"

struct value {
    long ran;
    struct bpf_timer timer;
    long after;
};
struct work {
    long ran;
    struct bpf_wq wq;
};
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 2);
    __type(key, int);
    __type(value, struct value);
} timers SEC(".maps"), more SEC(".maps");
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 2);
    __type(key, int);
    __type(value, struct work);
} works SEC(".maps");

long ran, last_key, last_time;

static int tick(void *map, int *key, struct value *v)
{
    v->ran++;
    ran++;
    last_key = *key;
    last_time = bpf_ktime_get_ns();
    return 0;
}

static int again(void *map, int *key, struct value *v)
{
    ran++;
    bpf_timer_start(&v->timer, 1000, 0);
    return 0;
}

static struct value *at(int key)
{
    return bpf_map_lookup_elem(&timers, &key);
}

/* It is there already when the program ran before. */
static int fails(long err)
{
    return err && err != -16;
}

SEC("tc")
int ok_start_is_0(struct __sk_buff *skb)
{
    struct value *v = at(1);

    if (!v || fails(bpf_timer_init(&v->timer, &timers, 1)))
        return -1;
    bpf_timer_set_callback(&v->timer, tick);
    return bpf_timer_start(&v->timer, 5000, 0);
}

SEC("tc")
int ok_periodic_is_0(struct __sk_buff *skb)
{
    struct value *v = at(0);

    if (!v || fails(bpf_timer_init(&v->timer, &timers, 1)))
        return -1;
    bpf_timer_set_callback(&v->timer, again);
    return bpf_timer_start(&v->timer, 1000, 0);
}

SEC("tc")
int ok_cancel_is_10(struct __sk_buff *skb)
{
    struct value *v = at(0);
    int out;

    if (!v)
        return -1;
    bpf_timer_init(&v->timer, &timers, 1);
    bpf_timer_set_callback(&v->timer, tick);
    bpf_timer_start(&v->timer, 1000000000, 0);
    out = bpf_timer_cancel(&v->timer) * 10;
    return out + bpf_timer_cancel(&v->timer);
}

SEC("tc")
int ok_errors_is_2216(struct __sk_buff *skb)
{
    struct value *v = at(0);
    int out;

    if (!v)
        return -1;
    out = -bpf_timer_start(&v->timer, 0, 0) * 100; /* nothing was made ready */
    bpf_timer_init(&v->timer, &timers, 1);
    return out - bpf_timer_init(&v->timer, &timers, 1);
}

static int worked(void *map, int *key, void *value)
{
    ran += 100;
    last_key = *key;
    return 0;
}

SEC("tc")
int ok_work_is_0(struct __sk_buff *skb)
{
    struct work fresh = {}, *w;
    int key = 7;

    bpf_map_update_elem(&works, &key, &fresh, 0);
    w = bpf_map_lookup_elem(&works, &key);
    if (!w || bpf_wq_init(&w->wq, &works, 0) || bpf_wq_set_callback_impl(&w->wq, worked, 0, 0))
        return -1;
    return bpf_wq_start(&w->wq, 0);
}

SEC("tc")
int special_field__of_another_map(struct __sk_buff *skb)
{
    struct value *v = at(0);

    return v ? bpf_timer_init(&v->timer, &more, 1) : 0;
}

SEC("tc")
int special_field__moved(struct __sk_buff *skb)
{
    struct value *v = at(0);

    return v ? bpf_timer_cancel((void *)&v->timer + 8) : 0;
}

SEC("tc")
int special_field__read(struct __sk_buff *skb)
{
    struct value *v = at(0);

    return v ? *(volatile int *)&v->timer : 0;
}

static int returns_one(void *map, int *key, struct value *v)
{
    return 1;
}

SEC("tc")
int callback_return__one(struct __sk_buff *skb)
{
    struct value *v = at(0);

    return v ? bpf_timer_set_callback(&v->timer, returns_one) : 0;
}
