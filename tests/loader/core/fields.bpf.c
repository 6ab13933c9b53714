// Every kind of field relocation, against types (fields.target.c) whose members moved, grew, shrank and changed their sign.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

// not: gcc
#define CORE __attribute__((preserve_access_index))

struct inner { int x, y; } CORE;
struct s {
    unsigned a;
    int i;
    union {
        long long deep;
        struct inner in;
    };
    int arr[4];
    int mat[2][3];
    struct inner many[2];
    void *ptr;
    char name[16];
    int gone;
    unsigned gone_sign;
    void *other;
    struct { int only; } wrap;
    int flex[];
} CORE;
struct s___old { int renamed; } CORE;
struct s___v2 { int a; } CORE;
struct absent { int x; } CORE;

#define OFF(field) ((long)__builtin_preserve_access_index(&((struct s *)0)->field))
#define PROG(name) SEC("xdp") int name(void *ctx)

// expect-reloc: field_byte_offset s.a yes
// result: off_a 8
PROG(off_a) { return OFF(a); }
// result: off_i 16
PROG(off_i) { return OFF(i); }
// result: off_deep 40
PROG(off_deep) { return OFF(deep); }
// result: off_in_x 32
PROG(off_in_x) { return OFF(in.x); }
// result: off_in_y 28
PROG(off_in_y) { return OFF(in.y); }
// result: off_arr 56
PROG(off_arr) { return OFF(arr[2]); }
// result: off_mat 116
PROG(off_mat) { return OFF(mat[1][2]); }
// result: off_many 140
PROG(off_many) { return OFF(many[1].y); }
// result: off_name 155
PROG(off_name) { return OFF(name[3]); }
// result: off_only 176
PROG(off_only) { return OFF(wrap.only); }
// result: off_flex 204
PROG(off_flex) { return OFF(flex[5]); }
// result: off_flavour 8
PROG(off_flavour) { return (long)__builtin_preserve_access_index(&((struct s___v2 *)0)->a); }
// result: off_second 192
PROG(off_second) { return (long)__builtin_preserve_access_index(&((struct s *)0)[1].a); }

// result: sizes 2081204
PROG(sizes)
{
    struct s *s = 0;

    // 2, 8, 12, 4: of a, i, arr, arr[0]
    return bpf_core_field_size(s->a) * 1000000 + bpf_core_field_size(s->i) * 10000 +
           bpf_core_field_size(s->arr) * 100 + bpf_core_field_size(s->arr[0]);
}

// result: exists 59
PROG(exists)
{
    struct s *s = 0;
    struct s___old *old = 0;
    struct absent *absent = 0;

    return bpf_core_field_exists(s->a) << 0 | bpf_core_field_exists(s->deep) << 1 |
           bpf_core_field_exists(s->gone) << 2 | bpf_core_field_exists(s->arr[2]) << 3 |
           bpf_core_field_exists(s->name) << 4 | bpf_core_field_exists(s->flex[100]) << 5 |
           bpf_core_field_exists(s->arr[3]) << 6 | bpf_core_field_exists(s->other) << 7 |
           bpf_core_field_exists(old->renamed) << 8 | bpf_core_field_exists(absent->x) << 9;
}

#define INFO(field, kind) __builtin_preserve_field_info(((struct s *)0)->field, kind)
// result: signs 6
PROG(signs)
{
    return INFO(a, BPF_FIELD_SIGNED) | INFO(i, BPF_FIELD_SIGNED) << 1 | INFO(gone_sign, BPF_FIELD_SIGNED) << 2;
}

// result: shifts 4848
PROG(shifts) { return INFO(a, BPF_FIELD_LSHIFT_U64) * 100 + INFO(a, BPF_FIELD_RSHIFT_U64); }

char _license[] SEC("license") = "GPL";
