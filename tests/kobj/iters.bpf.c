/* Open-coded iterators: what their loops may do, and how they may be handled. */
#include "kobj.h"

char LICENSE[] SEC("license") = "GPL";

struct bpf_iter_num {
    __u64 opaque[1];
};
struct bpf_iter_bits {
    __u64 opaque[2];
};
struct bpf_iter_task {
    __u64 opaque[3];
};

struct bpf_iter_task_vma {
    __u64 opaque[1];
};
struct vm_area_struct {
    unsigned long vm_start;
} KERNEL;

extern int bpf_iter_task_vma_new(struct bpf_iter_task_vma *it, struct task_struct *task, __u64 addr) __ksym;
extern struct vm_area_struct *bpf_iter_task_vma_next(struct bpf_iter_task_vma *it) __ksym;
extern void bpf_iter_task_vma_destroy(struct bpf_iter_task_vma *it) __ksym;
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;
extern int bpf_iter_bits_new(struct bpf_iter_bits *it, const __u64 *from, __u32 words) __ksym;
extern int *bpf_iter_bits_next(struct bpf_iter_bits *it) __ksym;
extern void bpf_iter_bits_destroy(struct bpf_iter_bits *it) __ksym;
extern int bpf_iter_task_new(struct bpf_iter_task *it, struct task_struct *task, unsigned int flags) __ksym;
extern struct task_struct *bpf_iter_task_next(struct bpf_iter_task *it) __ksym;
extern void bpf_iter_task_destroy(struct bpf_iter_task *it) __ksym;

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, int);
    __type(value, long[64]);
} values SEC(".maps");

long array[64];

SEC("tc")
int ok_sum(struct __sk_buff *skb)
{
    struct bpf_iter_num it;
    long sum = 0;
    int *i;

    bpf_iter_num_new(&it, 0, 10);
    while ((i = bpf_iter_num_next(&it)))
        sum += *i;
    bpf_iter_num_destroy(&it);
    return (int)sum;
}

SEC("tc")
int ok_many_rounds(struct __sk_buff *skb)
{
    struct bpf_iter_num it;
    long sum = 0;
    int *i;

    bpf_iter_num_new(&it, 0, 1000000);
    while ((i = bpf_iter_num_next(&it))) {
        if (!(*i & 3))
            continue;
        if (*i > 999000)
            break;
        sum += *i;
    }
    bpf_iter_num_destroy(&it);
    return (int)sum;
}

SEC("tc")
int ok_element_by_number(struct __sk_buff *skb)
{
    struct bpf_iter_num it;
    long sum = 0;
    int *i;

    bpf_iter_num_new(&it, 0, 100);
    while ((i = bpf_iter_num_next(&it))) {
        if (*i < 0 || *i >= 64)
            break;
        array[*i] = *i;
        sum += array[*i];
    }
    bpf_iter_num_destroy(&it);
    return (int)sum;
}

SEC("tc")
int map_value_out_of_bounds__element(struct __sk_buff *skb)
{
    struct bpf_iter_num it;
    int *i;

    bpf_iter_num_new(&it, 0, 10);
    while ((i = bpf_iter_num_next(&it))) {
        if (*i < 0 || *i > 400)
            break;
        array[*i] = 1;
    }
    bpf_iter_num_destroy(&it);
    return 0;
}

SEC("tc")
int ok_nested(struct __sk_buff *skb)
{
    struct bpf_iter_num a, b;
    int *i, *k, n = 0;

    bpf_iter_num_new(&a, 0, 10);
    while ((i = bpf_iter_num_next(&a))) {
        bpf_iter_num_new(&b, 0, *i);
        while ((k = bpf_iter_num_next(&b)))
            n += *k ^ *i;
        bpf_iter_num_destroy(&b);
    }
    bpf_iter_num_destroy(&a);
    return n;
}

static __attribute__((noinline)) int count(int from, int to)
{
    struct bpf_iter_num it;
    int *i, n = 0;

    bpf_iter_num_new(&it, from, to);
    while ((i = bpf_iter_num_next(&it)))
        n += *i & 1;
    bpf_iter_num_destroy(&it);
    return n;
}

SEC("tc")
int ok_in_a_function(struct __sk_buff *skb)
{
    return count(0, skb->len) + count(1, 5);
}

static __attribute__((noinline)) int *moved(struct bpf_iter_num *it)
{
    return bpf_iter_num_next(it);
}

SEC("tc")
int ok_moved_by_a_function(struct __sk_buff *skb)
{
    struct bpf_iter_num it;
    int *i, n = 0;

    bpf_iter_num_new(&it, 0, 20);
    while ((i = moved(&it)))
        n += *i;
    bpf_iter_num_destroy(&it);
    return n;
}

static long turn(__u64 i, void *ctx)
{
    return count(0, 4) == 100;
}

SEC("tc")
int ok_in_a_callback(struct __sk_buff *skb)
{
    bpf_loop(5, turn, NULL, 0);
    return 0;
}

SEC("tc")
int ok_minimum(struct __sk_buff *skb)
{
    struct bpf_iter_num it;
    int *i, least = 1000;

    bpf_iter_num_new(&it, 0, 50);
    while ((i = bpf_iter_num_next(&it))) {
        int x = array[*i & 63];

        if (x < least)
            least = x;
    }
    bpf_iter_num_destroy(&it);
    return least;
}

SEC("tc")
int ok_pointer_that_changes(struct __sk_buff *skb)
{
    struct bpf_iter_num it;
    long *p = array, sum = 0;
    int *i;

    bpf_iter_num_new(&it, 0, 10);
    while ((i = bpf_iter_num_next(&it))) {
        sum += *p;
        p = *i & 1 ? &array[1] : &array[2];
        asm volatile("" : "+r"(p));
    }
    bpf_iter_num_destroy(&it);
    return (int)sum;
}

SEC("tc")
int ok_two_at_once(struct __sk_buff *skb)
{
    struct bpf_iter_num a, b;
    int *i, *k, n = 0;

    bpf_iter_num_new(&a, 0, 8);
    bpf_iter_num_new(&b, 0, 6);
    while ((i = bpf_iter_num_next(&a)) && (k = bpf_iter_num_next(&b)))
        n += *i * *k;
    bpf_iter_num_destroy(&a);
    bpf_iter_num_destroy(&b);
    return n;
}

static long next_of(__u64 i, void *ctx)
{
    int *v = bpf_iter_num_next(ctx);

    return v ? *v > 5 : 1;
}

SEC("tc")
int ok_moved_by_a_callback(struct __sk_buff *skb)
{
    struct bpf_iter_num it;

    bpf_iter_num_new(&it, 0, 10);
    bpf_loop(20, next_of, &it, 0);
    bpf_iter_num_destroy(&it);
    return 1;
}

SEC("tc")
int ok_reference_that_is_kept(struct __sk_buff *skb)
{
    struct task_struct *t, *kept = NULL;
    struct bpf_iter_num it;
    int *i;

    bpf_iter_num_new(&it, 0, 10);
    while ((i = bpf_iter_num_next(&it))) {
        t = bpf_task_from_pid(*i);
        if (t && kept)
            bpf_task_release(t);
        else if (t)
            kept = t;
    }
    bpf_iter_num_destroy(&it);
    if (kept)
        bpf_task_release(kept);
    return 0;
}

SEC("tc")
int iterator__overwritten_by_a_helper(struct __sk_buff *skb)
{
    struct bpf_iter_num it;

    bpf_iter_num_new(&it, 0, 10);
    bpf_skb_load_bytes(skb, 0, &it, sizeof(it));
    bpf_iter_num_destroy(&it);
    return 0;
}

SEC("tc")
int map_value_out_of_bounds__on_a_later_round(struct __sk_buff *skb)
{
    unsigned int k = 0, on = 0;
    struct bpf_iter_num it;
    int *i;

    bpf_iter_num_new(&it, 0, 10);
    while ((i = bpf_iter_num_next(&it))) {
        if (on)
            array[k] = 1;
        if (*i == 3) {
            on = 1;
            k = 257;
        }
        asm volatile("" : "+r"(k), "+r"(on));
    }
    bpf_iter_num_destroy(&it);
    return 0;
}

SEC("tc")
int reference_leak__never_destroyed(struct __sk_buff *skb)
{
    struct bpf_iter_num it;

    bpf_iter_num_new(&it, 0, 3);
    return 0;
}

SEC("tc")
int reference_leak__on_one_path(struct __sk_buff *skb)
{
    struct bpf_iter_num it;
    int *i;

    bpf_iter_num_new(&it, 0, 3);
    while ((i = bpf_iter_num_next(&it)))
        if (skb->mark == *i)
            return 1;
    bpf_iter_num_destroy(&it);
    return 0;
}

SEC("tc")
int iterator__not_made(struct __sk_buff *skb)
{
    struct bpf_iter_num it;

    bpf_iter_num_destroy(&it);
    return 0;
}

SEC("tc")
int iterator__next_after_the_end(struct __sk_buff *skb)
{
    struct bpf_iter_num it;

    bpf_iter_num_new(&it, 0, 3);
    bpf_iter_num_destroy(&it);
    return bpf_iter_num_next(&it) != NULL;
}

SEC("tc")
int iterator__made_twice(struct __sk_buff *skb)
{
    struct bpf_iter_num it;

    bpf_iter_num_new(&it, 0, 3);
    bpf_iter_num_new(&it, 0, 3);
    bpf_iter_num_destroy(&it);
    return 0;
}

SEC("tc")
int iterator__of_another_type(struct __sk_buff *skb)
{
    struct bpf_iter_bits it;

    bpf_iter_num_new((void *)&it, 0, 3);
    bpf_iter_bits_destroy(&it);
    return 0;
}

SEC("tc")
int iterator__read(struct __sk_buff *skb)
{
    struct bpf_iter_num it;
    int n;

    bpf_iter_num_new(&it, 0, 3);
    n = *(volatile int *)&it;
    bpf_iter_num_destroy(&it);
    return n;
}

SEC("tc")
int iterator__overwritten(struct __sk_buff *skb)
{
    struct bpf_iter_num it;

    bpf_iter_num_new(&it, 0, 3);
    *(volatile int *)&it = 7;
    bpf_iter_num_destroy(&it);
    return 0;
}

SEC("tc")
int helper_argument__not_on_the_stack(struct __sk_buff *skb)
{
    bpf_iter_num_new((void *)array, 0, 3);
    return 0;
}

SEC("tc")
int not_a_pointer__what_it_yielded_after_its_end(struct __sk_buff *skb)
{
    struct bpf_iter_num it;
    int *i;

    bpf_iter_num_new(&it, 0, 3);
    i = bpf_iter_num_next(&it);
    bpf_iter_num_destroy(&it);
    return i ? *i : 0;
}

SEC("tc")
int not_a_pointer__what_may_be_null(struct __sk_buff *skb)
{
    struct bpf_iter_num it;
    int n;

    bpf_iter_num_new(&it, 0, 3);
    n = *bpf_iter_num_next(&it);
    bpf_iter_num_destroy(&it);
    return n;
}

SEC("tc")
int read_only_memory__what_it_yields(struct __sk_buff *skb)
{
    struct bpf_iter_num it;
    int *i;

    bpf_iter_num_new(&it, 0, 3);
    i = bpf_iter_num_next(&it);
    if (i)
        *i = 5;
    bpf_iter_num_destroy(&it);
    return 0;
}

SEC("tc")
int infinite_loop__beside_the_iterator(struct __sk_buff *skb)
{
    struct bpf_iter_num it;

    bpf_iter_num_new(&it, 0, 3);
    bpf_iter_num_next(&it);
    for (;;)
        asm volatile("");
    bpf_iter_num_destroy(&it);
    return 0;
}

SEC("tc")
int ok_bits(struct __sk_buff *skb)
{
    struct bpf_iter_bits it;
    __u64 words[2] = {0x11, 0x8000000000000001ull};
    int *i, n = 0;

    bpf_iter_bits_new(&it, words, 2);
    while ((i = bpf_iter_bits_next(&it)))
        n += *i;
    bpf_iter_bits_destroy(&it);
    return n;
}

SEC("tc")
int ok_bits_of_one_word(struct __sk_buff *skb)
{
    struct bpf_iter_bits it;
    __u64 word = 0xf0;
    int *i, n = 0;

    if (bpf_iter_bits_new(&it, &word, 0) != -22)
        n = 1000;
    bpf_iter_bits_destroy(&it);
    bpf_iter_bits_new(&it, &word, 1);
    while ((i = bpf_iter_bits_next(&it)))
        n += *i;
    bpf_iter_bits_destroy(&it);
    return n;
}

SEC("tc")
int ok_tasks(struct __sk_buff *skb)
{
    struct bpf_iter_task it;
    struct task_struct *t;
    int n = 0;

    bpf_iter_task_new(&it, NULL, 0);
    while ((t = bpf_iter_task_next(&it)))
        n += t->pid;
    bpf_iter_task_destroy(&it);
    return n;
}

SEC("tc")
int ok_threads(struct __sk_buff *skb)
{
    struct bpf_iter_task it;
    struct task_struct *t;
    int n = 0;

    bpf_iter_task_new(&it, NULL, 1);
    while ((t = bpf_iter_task_next(&it)))
        n += t->pid;
    bpf_iter_task_destroy(&it);
    return n;
}

SEC("tc")
int ok_areas(struct __sk_buff *skb)
{
    struct bpf_iter_task_vma it;
    struct task_struct *t = bpf_task_from_pid(5);
    struct vm_area_struct *area;
    int n = 0;

    if (!t)
        return 0;
    bpf_iter_task_vma_new(&it, t, 0x1800);
    while ((area = bpf_iter_task_vma_next(&it)))
        n += (area->vm_start >> 12 == 2) ? area->vm_start + 1 : 1;
    bpf_iter_task_vma_destroy(&it);
    bpf_task_release(t);
    return n;
}

struct cgroup_subsys_state {
    struct cgroup *cgroup;
} KERNEL;
struct cgroup {
    struct cgroup_subsys_state self;
    int level;
} KERNEL;
struct bpf_iter_css {
    __u64 opaque[3];
};
struct bpf_iter_css_task {
    __u64 opaque[1];
};
extern int bpf_iter_css_new(struct bpf_iter_css *it, struct cgroup_subsys_state *from, unsigned int flags) __ksym;
extern struct cgroup_subsys_state *bpf_iter_css_next(struct bpf_iter_css *it) __ksym;
extern void bpf_iter_css_destroy(struct bpf_iter_css *it) __ksym;
extern struct cgroup *bpf_cgroup_from_id(__u64 id) __ksym;
extern struct cgroup *bpf_cgroup_ancestor(struct cgroup *group, int level) __ksym;
extern void bpf_cgroup_release(struct cgroup *group) __ksym;
extern long bpf_task_under_cgroup(struct task_struct *task, struct cgroup *group) __ksym;

static __attribute__((noinline)) long levels(struct cgroup *group, int order)
{
    struct cgroup_subsys_state *css;
    struct bpf_iter_css it;
    long n = 0;

    bpf_iter_css_new(&it, &group->self, order);
    while ((css = bpf_iter_css_next(&it)))
        n = n * 10 + css->cgroup->level + 1;
    bpf_iter_css_destroy(&it);
    return n;
}

/* Groups 1, 1/2, 1/2/3, 1/4: before and after what is below, and upwards from 3. */
SEC("tc")
int ok_groups(struct __sk_buff *skb)
{
    struct cgroup *group = bpf_cgroup_from_id(1), *low;
    long n;

    if (!group)
        return -1;
    n = levels(group, 2) * 10000 + levels(group, 3);
    bpf_cgroup_release(group);
    low = bpf_cgroup_from_id(3);
    if (!low)
        return -2;
    n += levels(low, 4) * 100000000;
    group = bpf_cgroup_ancestor(low, 1);
    if (group) {
        struct task_struct *task = bpf_task_from_pid(7);

        if (task) {
            n += bpf_task_under_cgroup(task, group) * 100000000000;
            bpf_task_release(task);
        }
        bpf_cgroup_release(group);
    }
    bpf_cgroup_release(low);
    out = n;
    return n == 132112323221 ? 71 : 0;
}

SEC("syscall")
int ok_tasks_in_a_section(void *ctx)
{
    struct bpf_iter_task it;
    struct task_struct *t;
    int n = 0;

    bpf_rcu_read_lock();
    bpf_iter_task_new(&it, NULL, 0);
    while ((t = bpf_iter_task_next(&it)))
        n += t->pid;
    bpf_iter_task_destroy(&it);
    bpf_rcu_read_unlock();
    return n;
}

SEC("syscall")
int section_missing__tasks(void *ctx)
{
    struct bpf_iter_task it;

    bpf_iter_task_new(&it, NULL, 0);
    bpf_iter_task_destroy(&it);
    return 0;
}

SEC("syscall")
int section_missing__left_meanwhile(void *ctx)
{
    struct bpf_iter_task it;

    bpf_rcu_read_lock();
    bpf_iter_task_new(&it, NULL, 0);
    bpf_rcu_read_unlock();
    bpf_iter_task_next(&it);
    bpf_iter_task_destroy(&it);
    return 0;
}

SEC("syscall")
int untrusted_pointer__task_after_the_section(void *ctx)
{
    struct bpf_iter_task it;
    struct task_struct *t, *kept = NULL;

    bpf_rcu_read_lock();
    bpf_iter_task_new(&it, NULL, 0);
    t = bpf_iter_task_next(&it);
    if (t) {
        bpf_iter_task_destroy(&it);
        bpf_rcu_read_unlock();
        kept = bpf_task_acquire(t);
        if (kept)
            bpf_task_release(kept);
        return 0;
    }
    bpf_iter_task_destroy(&it);
    bpf_rcu_read_unlock();
    return 0;
}

SEC("tc")
int ok_task_acquired(struct __sk_buff *skb)
{
    struct bpf_iter_task it;
    struct task_struct *t, *kept;

    bpf_iter_task_new(&it, NULL, 1);
    while ((t = bpf_iter_task_next(&it))) {
        kept = bpf_task_acquire(t);
        if (kept)
            bpf_task_release(kept);
    }
    bpf_iter_task_destroy(&it);
    return 0;
}

SEC("tc")
int reference_leak__task_in_each_round(struct __sk_buff *skb)
{
    struct bpf_iter_task it;
    struct task_struct *t, *kept = NULL;

    bpf_iter_task_new(&it, NULL, 1);
    while ((t = bpf_iter_task_next(&it))) {
        kept = bpf_task_acquire(t);
        if (kept)
            break;
    }
    bpf_iter_task_destroy(&it);
    return 0;
}
