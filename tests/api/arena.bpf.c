/* What test_api_arena.c runs: a list that lives in an arena, variables there, pages that come and go. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define __arena __attribute__((address_space(1)))

struct {
    __uint(type, 33 /* BPF_MAP_TYPE_ARENA */);
    __uint(map_flags, 1 << 10 /* BPF_F_MMAPABLE */);
    __uint(max_entries, 100);
    enum { arena_start = 1ull << 44 } map_extra; /* __ulong() of newer headers */
} arena SEC(".maps");

extern void __arena *bpf_arena_alloc_pages(void *map, void __arena *addr, __u32 page_cnt, int node_id,
                                           __u64 flags) __ksym __weak;
extern void bpf_arena_free_pages(void *map, void __arena *ptr, __u32 page_cnt) __ksym __weak;
extern int bpf_arena_reserve_pages(void *map, void __arena *ptr, __u32 page_cnt) __ksym __weak;

struct node {
    struct node __arena *next;
    __u64 value;
};

int __arena counter = 41;
int __arena zero;
struct node __arena *__arena head;

volatile __u64 addr, other, sum, old;
volatile long err;

SEC("syscall")
int build(void *ctx)
{
    struct node __arena *n = bpf_arena_alloc_pages(&arena, 0, 1, -1, 0);

    if (!n)
        return 1;
    addr = (__u64)n;
    for (int i = 0; i < 10; i++) {
        n[i].value = i;
        n[i].next = head;
        head = &n[i];
    }
    counter++;
    zero += counter;
    return 0;
}

SEC("syscall")
int walk(void *ctx)
{
    struct node __arena *n = head;
    __u64 all = 0;

    for (int i = 0; i < 100 && n; i++, n = n->next)
        all += n->value;
    sum = all;
    return 0;
}

SEC("syscall")
int atomics(void *ctx)
{
    struct node __arena *n = head;

    if (!n)
        return 1;
    old = __sync_fetch_and_add(&n->value, 100);
    __sync_val_compare_and_swap(&n->value, 109, 7);
    sum = n->value;
    return 0;
}

SEC("syscall")
int pages(void *ctx)
{
    volatile char __arena *at = (volatile char __arena *)bpf_arena_alloc_pages(&arena, (void __arena *)addr, 1, -1, 0);

    if (at) /* it is taken */
        return 1;
    bpf_arena_free_pages(&arena, (void __arena *)addr, 1);
    at = (volatile char __arena *)bpf_arena_alloc_pages(&arena, (void __arena *)addr, 1, -1, 0);
    if (!at || *at)
        return 2;
    at[4095] = 3;
    at[4096] = 4; /* gone: the next page is not there */
    other = at[4095] + at[4096];
    err = bpf_arena_reserve_pages(&arena, (void __arena *)addr, 1);
    if (bpf_arena_reserve_pages(&arena, (void __arena *)(addr + 4096), 1))
        return 3;
    if (bpf_arena_alloc_pages(&arena, (void __arena *)(addr + 4096), 1, -1, 0))
        return 4;
    if (bpf_arena_alloc_pages(&arena, 0, 101, -1, 0))
        return 5;
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
