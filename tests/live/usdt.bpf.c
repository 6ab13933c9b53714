/* Static tracepoints of `skepwork`: their argument and the cookie of the attachment. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/usdt.bpf.h>

volatile __u64 hits, sum, cookies;

SEC("usdt") int on_point(struct pt_regs *ctx)
{
    long n = 0;

    bpf_usdt_arg(ctx, 0, &n);
    __sync_fetch_and_add(&hits, 1);
    __sync_fetch_and_add(&sum, n);
    __sync_fetch_and_add(&cookies, bpf_usdt_cookie(ctx));
    return 0;
}

SEC("uprobe.multi") int on_many(struct pt_regs *ctx)
{
    (void)ctx;
    return 0;
}

char _license[] SEC("license") = "GPL";
