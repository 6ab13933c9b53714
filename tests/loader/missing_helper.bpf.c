// A helper that is not there is a warning at load, and traps by name only when it is reached.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

// not: gcc
static long (*no_such)(void) = (void *)4711;
volatile int never;

// expect-warn: helper number 4711 does not exist
// result: not_reached 1
SEC("xdp") int not_reached(void *ctx)
{
    return never ? no_such() : 1;
}

// trap: reached helper_missing
SEC("xdp") int reached(void *ctx)
{
    return no_such();
}

char _license[] SEC("license") = "GPL";
