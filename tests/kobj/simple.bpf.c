/* Strings, sets of CPUs, interrupts that are off, exceptions. */
#include "kobj.h"

char LICENSE[] SEC("license") = "GPL";

extern int bpf_strcmp(const char *a, const char *b) __ksym;
extern int bpf_strcasecmp(const char *a, const char *b) __ksym;
extern int bpf_strchr(const char *s, char c) __ksym;
extern int bpf_strnchr(const char *s, __u64 n, char c) __ksym;
extern int bpf_strchrnul(const char *s, char c) __ksym;
extern int bpf_strrchr(const char *s, char c) __ksym;
extern int bpf_strlen(const char *s) __ksym;
extern int bpf_strnlen(const char *s, __u64 n) __ksym;
extern int bpf_strspn(const char *s, const char *accept) __ksym;
extern int bpf_strcspn(const char *s, const char *reject) __ksym;
extern int bpf_strstr(const char *a, const char *b) __ksym;
extern int bpf_strnstr(const char *a, const char *b, __u64 n) __ksym;
extern void bpf_local_irq_save(unsigned long *flags) __ksym;
extern void bpf_local_irq_restore(unsigned long *flags) __ksym;
extern void bpf_throw(__u64 cookie) __ksym;
extern int bpf_copy_from_user_str(void *dst, __u32 dst__sz, const void *from, __u64 flags) __ksym;

struct cpumask {
    unsigned long bits[1];
} KERNEL;
struct bpf_cpumask {
    struct cpumask cpumask;
} KERNEL;
extern struct bpf_cpumask *bpf_cpumask_create(void) __ksym;
extern struct bpf_cpumask *bpf_cpumask_acquire(struct bpf_cpumask *m) __ksym;
extern void bpf_cpumask_release(struct bpf_cpumask *m) __ksym;
extern __u32 bpf_cpumask_first(const struct cpumask *m) __ksym;
extern __u32 bpf_cpumask_first_zero(const struct cpumask *m) __ksym;
extern void bpf_cpumask_set_cpu(__u32 cpu, struct bpf_cpumask *m) __ksym;
extern void bpf_cpumask_clear_cpu(__u32 cpu, struct bpf_cpumask *m) __ksym;
extern bool bpf_cpumask_test_cpu(__u32 cpu, const struct cpumask *m) __ksym;
extern bool bpf_cpumask_test_and_set_cpu(__u32 cpu, struct bpf_cpumask *m) __ksym;
extern void bpf_cpumask_setall(struct bpf_cpumask *m) __ksym;
extern bool bpf_cpumask_and(struct bpf_cpumask *d, const struct cpumask *a, const struct cpumask *b) __ksym;
extern bool bpf_cpumask_equal(const struct cpumask *a, const struct cpumask *b) __ksym;
extern bool bpf_cpumask_empty(const struct cpumask *m) __ksym;
extern bool bpf_cpumask_full(const struct cpumask *m) __ksym;
extern void bpf_cpumask_copy(struct bpf_cpumask *d, const struct cpumask *m) __ksym;
extern __u32 bpf_cpumask_weight(const struct cpumask *m) __ksym;

char text[] = "one two three", word[] = "two", upper[] = "TWO", vowels[] = "eon";

SEC("tc")
int ok_strings(struct __sk_buff *skb)
{
    int n = 0;

    n += bpf_strcmp(text, word) == -1 ? 1 : 1000000;
    n += bpf_strcasecmp(word, upper) == 0 ? 2 : 1000000;
    n += bpf_strchr(text, 't') == 4 ? 4 : 1000000;
    n += bpf_strchr(text, 'x') == -2 ? 8 : 1000000;
    n += bpf_strnchr(text, 4, 't') == -2 ? 16 : 1000000;
    n += bpf_strchrnul(text, 'x') == 13 ? 32 : 1000000;
    n += bpf_strrchr(text, 't') == 8 ? 64 : 1000000;
    n += bpf_strlen(text) == 13 ? 128 : 1000000;
    n += bpf_strnlen(text, 5) == 5 ? 256 : 1000000;
    n += bpf_strspn(text, vowels) == 3 ? 512 : 1000000;
    n += bpf_strcspn(text, word) == 0 ? 1024 : 1000000;
    n += bpf_strstr(text, word) == 4 ? 2048 : 1000000;
    n += bpf_strnstr(text, word, 6) == -2 ? 4096 : 1000000;
    n += bpf_strnstr(text, word, 7) == 4 ? 8192 : 1000000;
    n += bpf_strlen((void *)0x1000) == -34 ? 16384 : 1000000;
    return n;
}

SEC("syscall")
int ok_masks(void *ctx)
{
    struct bpf_cpumask *a = bpf_cpumask_create(), *b;
    int n = 0;

    if (!a)
        return -1;
    b = bpf_cpumask_create();
    if (!b) {
        bpf_cpumask_release(a);
        return -1;
    }
    n += bpf_cpumask_empty((void *)a) ? 1 : 1000;
    bpf_cpumask_set_cpu(0, a);
    n += bpf_cpumask_test_cpu(0, (void *)a) ? 2 : 1000;
    n += bpf_cpumask_first((void *)a) == 0 ? 4 : 1000;
    bpf_cpumask_copy(b, (void *)a);
    n += bpf_cpumask_equal((void *)a, (void *)b) ? 8 : 1000;
    n += bpf_cpumask_test_and_set_cpu(0, b) ? 16 : 1000;
    bpf_cpumask_clear_cpu(0, b);
    n += bpf_cpumask_and(b, (void *)a, (void *)b) ? 1000 : 32;
    bpf_cpumask_setall(b);
    n += bpf_cpumask_full((void *)b) ? 64 : 1000;
    n += bpf_cpumask_weight((void *)a) == 1 ? 128 : 1000;
    bpf_cpumask_release(b);
    bpf_cpumask_release(a);
    return n;
}

SEC("syscall")
int reference_leak__mask(void *ctx)
{
    struct bpf_cpumask *a = bpf_cpumask_create();

    return a != NULL;
}

SEC("tc")
int helper_not_allowed__mask(struct __sk_buff *skb)
{
    struct bpf_cpumask *a = bpf_cpumask_create();

    if (a)
        bpf_cpumask_release(a);
    return 0;
}

SEC("tc")
int ok_interrupts(struct __sk_buff *skb)
{
    unsigned long a, b;

    bpf_local_irq_save(&a);
    bpf_local_irq_save(&b);
    bpf_local_irq_restore(&b);
    bpf_local_irq_restore(&a);
    return 5;
}

SEC("tc")
int section_closed__interrupts_out_of_order(struct __sk_buff *skb)
{
    unsigned long a, b;

    bpf_local_irq_save(&a);
    bpf_local_irq_save(&b);
    bpf_local_irq_restore(&a);
    bpf_local_irq_restore(&b);
    return 0;
}

SEC("tc")
int section_open__interrupts_at_the_end(struct __sk_buff *skb)
{
    unsigned long a;

    bpf_local_irq_save(&a);
    return 0;
}

SEC("tc")
int iterator__interrupts_not_saved(struct __sk_buff *skb)
{
    unsigned long a = 0;

    bpf_local_irq_restore(&a);
    return 0;
}

SEC("tc")
int iterator__flags_read(struct __sk_buff *skb)
{
    unsigned long a;
    int n;

    bpf_local_irq_save(&a);
    n = *(volatile int *)&a;
    bpf_local_irq_restore(&a);
    return n;
}

SEC("syscall")
int section_open__sleeps_with_interrupts_off(void *ctx)
{
    unsigned long a;
    char buf[8];

    bpf_local_irq_save(&a);
    out = bpf_copy_from_user_str(buf, sizeof(buf), NULL, 0);
    bpf_local_irq_restore(&a);
    return 0;
}

static __attribute__((noinline)) int deeper(struct __sk_buff *skb)
{
    if (skb->len > 4)
        bpf_throw(64);
    return 7;
}

SEC("tc")
int ok_thrown(struct __sk_buff *skb)
{
    out = 1;
    return deeper(skb) + 1;
}

static long turn(__u64 i, void *ctx)
{
    if (i == 3)
        bpf_throw(i + 30);
    return 0;
}

SEC("tc")
int exception__in_a_callback(struct __sk_buff *skb)
{
    bpf_loop(10, turn, NULL, 0);
    return 1;
}

__attribute__((noinline)) int throws(int n)
{
    if (n > 5)
        bpf_throw(n);
    return n;
}

static long turn_global(__u64 i, void *ctx)
{
    return throws((int)i) > 100;
}

SEC("tc")
int exception__in_a_function_of_a_callback(struct __sk_buff *skb)
{
    bpf_loop(10, turn_global, NULL, 0);
    return 1;
}

SEC("tc")
int ok_thrown_by_a_global_function(struct __sk_buff *skb)
{
    return throws(skb->len) + 1;
}

SEC("tc")
int reference_leak__thrown(struct __sk_buff *skb)
{
    struct task_struct *t = bpf_task_from_pid(1);

    if (t)
        bpf_throw(1);
    return 0;
}

SEC("tc")
int section_open__thrown(struct __sk_buff *skb)
{
    bpf_rcu_read_lock();
    bpf_throw(1);
    bpf_rcu_read_unlock();
    return 0;
}

SEC("cgroup_skb/egress")
int return_value__thrown(struct __sk_buff *skb)
{
    if (skb->len)
        bpf_throw(64);
    return 1;
}

SEC("cgroup_skb/egress")
int ok_thrown_in_range(struct __sk_buff *skb)
{
    if (skb->len)
        bpf_throw(1);
    return 0;
}

SEC("tc")
int ok_what_follows_is_not_reached(struct __sk_buff *skb)
{
    bpf_throw(2);
    return *(volatile int *)0;
}
