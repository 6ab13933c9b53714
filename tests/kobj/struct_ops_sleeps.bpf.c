/* Methods that may sleep, apart: libbpf 1.1 does not know their sections, and refuses the object. */
#include "kobj.h"

char LICENSE[] SEC("license") = "GPL";

struct bpf_dummy_ops_state {
    int val;
} KERNEL;
struct bpf_dummy_ops {
    int (*test_1)(struct bpf_dummy_ops_state *cb);
    int (*test_sleepable)(struct bpf_dummy_ops_state *cb);
} KERNEL;

SEC("struct_ops.s/test_sleepable")
int BPF_PROG(ok_sleeps, struct bpf_dummy_ops_state *state)
{
    return 0;
}

SEC("struct_ops.s/test_1")
int BPF_PROG(hook__may_not_sleep, struct bpf_dummy_ops_state *state)
{
    return 0;
}

SEC(".struct_ops")
struct bpf_dummy_ops dummy = {
    .test_1 = (void *)hook__may_not_sleep,
    .test_sleepable = (void *)ok_sleeps,
};
