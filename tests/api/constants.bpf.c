/* A program that is wrong unless the verifier knows what stands in .rodata. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

const volatile __u32 mode = 1;

SEC("xdp") int guarded(struct xdp_md *ctx)
{
    unsigned char *data = (void *)(long)ctx->data;
    return mode == 2 ? data[5000] : XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
