// A value that the extern's type cannot hold is refused.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

// not: gcc
// kconfig: CONFIG_T_SMALL=300
// expect-error: extern 'CONFIG_T_SMALL': the value 300 of the given kconfig does not fit into 1 bytes
extern unsigned char CONFIG_T_SMALL __kconfig;

SEC("xdp") int prog(void *ctx)
{
    return CONFIG_T_SMALL;
}

char _license[] SEC("license") = "GPL";
