// Values of enums: moved, renamed with a flavour, gone.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

// not: gcc clang-14
enum e { ONE = 1, TWO = 2, LOST = 3, MINUS = -1 };
enum large { LARGE = 0x100000000ull, SMALL = 1 };
#define PROG(name) SEC("xdp") int name(void *ctx)

// expect-reloc: enumval_exists e::ONE yes
// result: exist 0xb
PROG(exist)
{
    return bpf_core_enum_value_exists(enum e, ONE) << 0 | bpf_core_enum_value_exists(enum e, TWO) << 1 |
           bpf_core_enum_value_exists(enum e, LOST) << 2 | bpf_core_enum_value_exists(enum large, LARGE) << 3;
}
// result: one 10
PROG(one) { return bpf_core_enum_value(enum e, ONE); }
// result: two 20
PROG(two) { return bpf_core_enum_value(enum e, TWO); }
// result: minus -5
PROG(minus) { return bpf_core_enum_value(enum e, MINUS); }
// result: large_top 2
PROG(large_top) { return bpf_core_enum_value(enum large, LARGE) >> 32; }
// result: small 3
PROG(small) { return bpf_core_enum_value(enum large, SMALL); }
// trap: lost core_unresolved
// expect-warn: value 'LOST' is not in the target's 'enum e'
PROG(lost) { return bpf_core_enum_value(enum e, LOST); }

char _license[] SEC("license") = "GPL";
