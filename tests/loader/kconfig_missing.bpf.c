// A strong extern without a value is refused when the object is loaded, with what would mend it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

// not: gcc
// expect-error: extern 'CONFIG_SKEP_NO_SUCH_OPTION' (.kconfig): neither
extern int CONFIG_SKEP_NO_SUCH_OPTION __kconfig;

SEC("xdp") int prog(void *ctx)
{
    return CONFIG_SKEP_NO_SUCH_OPTION;
}

char _license[] SEC("license") = "GPL";
