// Global data sections become maps with their initial contents; every way of naming a variable reaches it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

// expect-map: globals.data array 4 24 1 0x400
// expect-map: .data.custom array 4 8 1
// expect-map: .rodata.extra array 4 4 1 0x480
// expect-var: initialised .data 4
// expect-var: zeroed .bss 4
// expect-var: in_custom .data.custom 8
// expect-var: hidden .data 4
// expect-data: initialised 05000000
// expect-data: in_custom 2a00000000000000
// expect-data: text 6162630000000000
// expect-reloc: data initialised yes
int initialised = 5;
char text[8] = "abc";
int zeroed;
static volatile int local_data = 6;
static volatile int local_zero[4];
__attribute__((visibility("hidden"))) int hidden = 3;
__attribute__((weak)) int weak = 9;
long in_custom SEC(".data.custom") = 42;
const volatile int extra SEC(".rodata.extra") = 11;

// result: sum 76
SEC("xdp") int sum(void *ctx)
{
    local_zero[2] += 1;
    zeroed += 2;
    local_data += local_zero[2];
    return initialised + zeroed + local_data + hidden + weak + (int)in_custom + extra - 3;
}

// result: at_end 99
SEC("xdp") int at_end(void *ctx)
{
    return text[2];
}

// result: keeps 7
SEC("xdp") int keeps(void *ctx)
{
    local_data++;
    return local_data;
}

char _license[] SEC("license") = "GPL";
