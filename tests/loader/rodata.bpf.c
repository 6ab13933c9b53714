// Constants: read-only for programs, and strings that need no BTF of their own.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

// not: gcc
// expect-map: rodata.rodata array 4 12 1 0x480
// expect-var: tunable .rodata 4
const volatile int tunable = 8;
const volatile struct { short a, b; int c; } cfg = { 1, 2, 3 };

// result: reads 14
SEC("xdp") int reads(void *ctx)
{
    return tunable + cfg.a + cfg.b + cfg.c;
}

// trap: writes mem_read_only
SEC("xdp") int writes(void *ctx)
{
    *(volatile int *)&tunable = 1;
    return 0;
}

char _license[] SEC("license") = "GPL";
