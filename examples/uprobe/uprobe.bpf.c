/* Looks at a function of a program while it runs: how often it is called, and a histogram of its first argument. */
#include <linux/bpf.h>
#include <linux/ptrace.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

enum { SLOTS = 16 };

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, SLOTS); /* of 2^n up to 2^(n+1) - 1 */
    __type(key, __u32);
    __type(value, __u64);
} histogram SEC(".maps");

volatile __u64 calls, sum;

SEC("uprobe") int on_call(struct pt_regs *ctx)
{
    __u64 size = PT_REGS_PARM1(ctx);
    __u32 slot = 0;

    __sync_fetch_and_add(&calls, 1);
    __sync_fetch_and_add(&sum, size);
    for (int i = 1; i < SLOTS; i++)
        if (size >> i)
            slot = i;
    __u64 *n = bpf_map_lookup_elem(&histogram, &slot);
    if (n)
        __sync_fetch_and_add(n, 1);
    return 0;
}

char _license[] SEC("license") = "GPL";
