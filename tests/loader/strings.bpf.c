// String literals land in .rodata.str1.1, a section without BTF.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

// not: gcc
// expect-map: .rodata.str1.1 array 4 14 1 0x80
volatile int which = 1;

static __attribute__((noinline)) const char *pick(int i)
{
    return i ? "first" : "another";
}

// result: letter 105
SEC("xdp") int letter(void *ctx)
{
    return pick(which)[1];
}

char _license[] SEC("license") = "GPL";
