// What the target lacks: harmless where the code is dead, a trap with its reason where it is reached.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

// not: gcc
#define CORE __attribute__((preserve_access_index))
struct s { int there; int gone; void *changed; int arr[4]; } CORE;
struct absent { int x; } CORE;
struct twice { int a, b; } CORE;
#define PROG(name) SEC("xdp") int name(void *ctx)
#define OFF(type, field) ((long)__builtin_preserve_access_index(&((type *)0)->field))

// expect-reloc: field_byte_offset s.gone no
// expect-warn: field 'gone' is not in the target's 'struct s'
// trap: gone core_unresolved
PROG(gone) { return OFF(struct s, gone); }
// expect-warn: field 'changed' of the target's 'struct s' has a type that does not fit
// trap: changed core_unresolved
PROG(changed) { return OFF(struct s, changed); }
// expect-warn: index 3 lies outside of the target's 'int[2]'
// trap: element core_unresolved
PROG(element) { return OFF(struct s, arr[3]); }
// expect-warn: no type 'struct absent' in the target's BTF
// trap: type core_unresolved
PROG(type) { return OFF(struct absent, x); }
// expect-warn: of the target's BTF lead to different places or values (0 and 4)
// trap: ambiguous core_unresolved
PROG(ambiguous) { return OFF(struct twice, a); }
// result: agreed 8
PROG(agreed) { return OFF(struct twice, b); }
// result: dead 4
PROG(dead)
{
    struct s *s = 0;

    if (bpf_core_field_exists(s->gone))
        return OFF(struct s, gone);
    return OFF(struct s, there);
}

char _license[] SEC("license") = "GPL";
