// Loads and stores whose offset moves, and whose size follows the target's field where that keeps the value.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

// not: gcc
struct m {
    unsigned shrinks;
    unsigned char grows;
    void *ptr;
    int sign;
    int same;
    unsigned arr[4];
    short stored;
} __attribute__((preserve_access_index));

__attribute__((aligned(8))) unsigned char bytes[64] = {0, 0, 0, 0, 0, 0, 0, 0, 0x34, 0x12, 0xff, 0xff, 0x78, 0x56, 0x34, 0x12,
                           1, 0, 0, 0, 0, 0, 0, 0, 0xf9, 0xff, 0xff, 0xff, 9,    0,    0,    0,
                           5, 0, 6, 0, 7, 0, 8, 0, 0,    0,    0,    0,    0,    0,    0,    0};
#define PROG(name) SEC("xdp") int name(void *ctx)
#define P ((struct m *)bytes)

// result: shrinks 0x1234
PROG(shrinks) { return P->shrinks; }
// result: grows 0x12345678
PROG(grows) { return P->grows; }
// result: ptr 1
PROG(ptr) { return (long)P->ptr; }
// result: same -7
PROG(same) { return P->same; }
// result: element 7
PROG(element) { return P->arr[2]; }
// result: stored 0x1239
PROG(stored)
{
    P->stored = 5;
    P->shrinks = 0x1234 + P->stored;
    return P->shrinks;
}
// trap: sign core_unresolved
// expect-warn: the access of 4 bytes would become one of 8, which only pointers and unsigned integers allow
PROG(sign) { return P->sign; }

char _license[] SEC("license") = "GPL";
