/* Stacks that the world recorded, and a variable of the kernel. */
#include "kernel.h"

struct {
    __uint(type, BPF_MAP_TYPE_STACK_TRACE);
    __uint(max_entries, 4);
    __uint(key_size, 4);
    __uint(value_size, 80);
} stacks SEC(".maps");

extern const void counter __ksym __attribute__((weak));
__s64 got[4];
__u64 ips[4], value;
int same;

enum { USER = 256 };

SEC("kprobe/do_work")
int stack(void *ctx)
{
    __u64 own[10];
    long id;

    got[0] = bpf_get_stack(ctx, own, sizeof(own), 0);
    if (got[0] == 24) {
        ips[0] = own[0];
        ips[1] = own[1];
        ips[2] = own[2];
    }
    got[1] = bpf_get_stack(ctx, own, sizeof(own), USER);
    ips[3] = own[0];
    got[2] = bpf_get_stack(ctx, own, sizeof(own), 3);
    got[3] = bpf_get_stackid(ctx, &stacks, USER | 1);
    id = bpf_get_stackid(ctx, &stacks, 1);
    same = id >= 0 && id == bpf_get_stackid(ctx, &stacks, 1);
    bpf_probe_read_kernel(&value, sizeof(value), &counter);
    return 0;
}
