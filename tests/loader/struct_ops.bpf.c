// struct_ops: what stands in it is known by name; the rest of the object loads.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

// not: gcc
// expect-ops: table .struct_ops ops op=op
// expect-prog: op struct_ops 1
SEC("struct_ops/op") int op(void *ctx)
{
    return 1;
}

struct ops {
    int (*op)(void *ctx);
};

SEC(".struct_ops") struct ops table = { .op = (void *)op };

// result: other 2
SEC("xdp") int other(void *ctx)
{
    return 2;
}

char _license[] SEC("license") = "GPL";
