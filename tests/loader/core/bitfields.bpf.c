// Bitfields read from bytes laid out as the target (bitfields.target.c) has them.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

// not: gcc
struct bits {
    unsigned u3 : 3;
    int s5 : 5;
    unsigned long long wide : 40;
    unsigned plain;
    int sign;
} __attribute__((preserve_access_index));

// u3 = 0x1a5 (9 bits at bit 7), s5 = -3 (12 bits at bit 16), wide = 0x123456789 (at 8), plain = 0x77 (8 bits), sign = -2
__attribute__((aligned(8))) unsigned char bytes[32] = {0x80, 0xd2, 0xfd, 0xff, 0, 0, 0, 0, 0x89, 0x67, 0x45, 0x23, 0x01, 0, 0, 0,
                           0x77, 0,    0xfe, 0xff};
#define PROG(name) SEC("xdp") int name(void *ctx)
#define P ((struct bits *)bytes)

// result: u3 0x1a5
PROG(u3) { return BPF_CORE_READ_BITFIELD(P, u3); }
// result: s5 -3
PROG(s5) { return BPF_CORE_READ_BITFIELD(P, s5); }
// result: wide 0x23456789
PROG(wide) { return BPF_CORE_READ_BITFIELD(P, wide); }
// result: wide_top 1
PROG(wide_top) { return BPF_CORE_READ_BITFIELD(P, wide) >> 32; }
// result: plain 0x77
PROG(plain) { return BPF_CORE_READ_BITFIELD(P, plain); }
// result: sign -2
PROG(sign) { return BPF_CORE_READ_BITFIELD(P, sign); }

char _license[] SEC("license") = "GPL";
