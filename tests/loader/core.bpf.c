// CO-RE against the running kernel: what is there is resolved, what is not becomes a trap in code that may be dead.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

// not: gcc
struct task_struct { int pid; int tgid; } __attribute__((preserve_access_index));
struct task_struct___other { int skep_no_such_field; } __attribute__((preserve_access_index));
struct skep_no_such_type { int x; } __attribute__((preserve_access_index));

volatile long where;

// needs-btf: yes
// expect-reloc: field_byte_offset task_struct yes
// result: offsets_differ 1
SEC("xdp") int offsets_differ(void *ctx)
{
    struct task_struct *t = 0;
    long pid = (long)__builtin_preserve_access_index(&t->pid), tgid = (long)__builtin_preserve_access_index(&t->tgid);

    return tgid == pid + 4 && pid > 8;
}

// expect-reloc: field_exists task_struct yes
// result: exists 5
SEC("xdp") int exists(void *ctx)
{
    struct task_struct *t = 0;
    struct task_struct___other *o = 0;

    return bpf_core_field_exists(t->pid) + 2 * bpf_core_field_exists(o->skep_no_such_field) +
           4 * bpf_core_type_exists(struct task_struct) + 8 * bpf_core_type_exists(struct skep_no_such_type);
}

// expect-warn: reaching it traps
// result: dead_code 2
SEC("xdp") int dead_code(void *ctx)
{
    struct task_struct___other *o = (void *)where;

    if (bpf_core_field_exists(o->skep_no_such_field))
        return (int)(long)__builtin_preserve_access_index(&o->skep_no_such_field);
    return 2;
}

// trap: live_code core_unresolved
SEC("xdp") int live_code(void *ctx)
{
    struct task_struct___other *o = (void *)where;

    return (int)(long)__builtin_preserve_access_index(&o->skep_no_such_field);
}

char _license[] SEC("license") = "GPL";
