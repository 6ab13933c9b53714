// A static program cannot be found by name; libbpf refuses it and so do we.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

// expect-error: program 'prog' is static
SEC("xdp") static int __attribute__((used)) prog(void *ctx)
{
    return 1;
}

SEC("xdp") int other(void *ctx)
{
    return 2;
}

char _license[] SEC("license") = "GPL";
