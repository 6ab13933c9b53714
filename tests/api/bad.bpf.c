/* A program that no verifier takes, for how refusals are told. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp") int bad(struct xdp_md *ctx)
{
    unsigned char *p = (void *)(long)ctx->data;

    return p[3] + 1; /* nobody looked whether it is there */
}

char _license[] SEC("license") = "GPL";
