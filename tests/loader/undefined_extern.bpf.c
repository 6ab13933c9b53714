// An extern that is neither __ksym nor __kconfig has to be linked in first.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

// expect-error: extern 'elsewhere'
extern int elsewhere;

SEC("xdp") int prog(void *ctx)
{
    return elsewhere;
}

char _license[] SEC("license") = "GPL";
