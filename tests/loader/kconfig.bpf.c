// Externs of .kconfig: given values win, every type, weak ones are 0.
#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

// not: gcc
// kconfig: CONFIG_T_BOOL=y
// kconfig: CONFIG_T_OFF=n
// kconfig: CONFIG_T_TRI=m
// kconfig: CONFIG_T_CHAR=m
// kconfig: CONFIG_T_INT=-5
// kconfig: CONFIG_T_LONG=0x1122334455667788
// kconfig: CONFIG_T_SHORT=65535
// kconfig: CONFIG_T_STR="hello"
// kconfig: CONFIG_T_CUT="0123456789"
// kconfig: LINUX_KERNEL_VERSION=0x60c05
extern bool CONFIG_T_BOOL __kconfig;
extern bool CONFIG_T_OFF __kconfig;
extern enum libbpf_tristate CONFIG_T_TRI __kconfig;
extern char CONFIG_T_CHAR __kconfig;
extern int CONFIG_T_INT __kconfig;
extern unsigned long long CONFIG_T_LONG __kconfig;
extern unsigned short CONFIG_T_SHORT __kconfig;
extern char CONFIG_T_STR[8] __kconfig;
extern char CONFIG_T_CUT[4] __kconfig;
extern int CONFIG_T_ABSENT __kconfig __weak;
extern int LINUX_KERNEL_VERSION __kconfig;
extern bool LINUX_HAS_BPF_COOKIE __kconfig;
extern int LINUX_NO_SUCH_THING __kconfig __weak;

// expect-map: kconfig.kconfig array 4 46 1 0x480
// expect-var: CONFIG_T_LONG .kconfig 8
// expect-data: CONFIG_T_BOOL 01
// expect-data: CONFIG_T_OFF 00
// expect-data: CONFIG_T_TRI 02000000
// expect-data: CONFIG_T_CHAR 6d
// expect-data: CONFIG_T_INT fbffffff
// expect-data: CONFIG_T_LONG 8877665544332211
// expect-data: CONFIG_T_SHORT ffff
// expect-data: CONFIG_T_STR 68656c6c6f000000
// expect-data: CONFIG_T_CUT 30313200
// expect-data: CONFIG_T_ABSENT 00000000
// expect-data: LINUX_KERNEL_VERSION 050c0600
// expect-data: LINUX_HAS_BPF_COOKIE 01
// expect-warn: 'CONFIG_T_CUT': 10 characters
// result: all 124
SEC("xdp") int all(void *ctx)
{
    int r = CONFIG_T_BOOL + CONFIG_T_OFF + CONFIG_T_TRI + CONFIG_T_INT + CONFIG_T_ABSENT + LINUX_NO_SUCH_THING;

    return r + (CONFIG_T_SHORT == 65535) + (CONFIG_T_LONG >> 56) + CONFIG_T_STR[1] + LINUX_HAS_BPF_COOKIE +
           (LINUX_KERNEL_VERSION == 0x60c05) + (CONFIG_T_CHAR == 'm') + CONFIG_T_CUT[3] + 4;
}

char _license[] SEC("license") = "GPL";
