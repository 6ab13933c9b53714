// Relocations of whole types: there or not, their size, their ids, and whether ours is a part of theirs.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

// not: gcc clang-14
struct one { int a; void *p; };
struct one___sign { unsigned a; };
struct one___more { int b; };
struct one___flavour { int a; };
struct absent { int a; };
union u { int a; };
typedef int word;
typedef int gone;
typedef int (*fn)(int, struct one *);
typedef int (*fn___args)(int);
enum e { E1, E2 };
#define PROG(name) SEC("xdp") int name(void *ctx)

// expect-reloc: type_exists one yes
// result: exist 0x4f5
PROG(exist)
{
    return bpf_core_type_exists(struct one) << 0 | bpf_core_type_exists(struct absent) << 1 |
           bpf_core_type_exists(union u) << 2 | bpf_core_type_exists(gone) << 3 | bpf_core_type_exists(word) << 4 |
           bpf_core_type_exists(fn) << 5 | bpf_core_type_exists(struct one___flavour) << 6 |
           bpf_core_type_exists(enum e) << 7 | bpf_core_type_exists(fn___args) << 8 | 1 << 10;
}

// result: sizes 24081004
PROG(sizes)
{
    return bpf_core_type_size(struct one) * 1000000 + bpf_core_type_size(word) * 10000 +
           bpf_core_type_size(struct absent) * 100000 + bpf_core_type_size(enum e) + 1000;
}

// result: matches 0x71
PROG(matches)
{
    return bpf_core_type_matches(struct one) << 0 | bpf_core_type_matches(struct one___sign) << 1 |
           bpf_core_type_matches(struct one___more) << 2 | bpf_core_type_matches(struct absent) << 3 |
           bpf_core_type_matches(struct one___flavour) << 4 | bpf_core_type_matches(fn) << 5 |
           bpf_core_type_matches(enum e) << 6 | bpf_core_type_matches(word) << 7;
}

// result: ids 1
PROG(ids)
{
    return bpf_core_type_id_local(struct one) > 0 && bpf_core_type_id_kernel(struct one) > 0 &&
           bpf_core_type_id_local(struct absent) > 0 && bpf_core_type_id_kernel(struct absent) == 0;
}

char _license[] SEC("license") = "GPL";
