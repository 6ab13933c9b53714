/*
 * Linux's lib/test_bpf.c, compiled as it stands (SUITE_FILE is its path in the unpacked package), and a view of its
 * tables. Everything that is named `static` over there is within reach here, and only here.
 */
#include SUITE_FILE

#include "tests/linux/suite.h"

_Static_assert(sizeof(struct skep_insn) == sizeof(struct bpf_insn), "one instruction, two names");
_Static_assert(SUITE_TAIL_MARKER == TAIL_CALL_MARKER && SUITE_TAIL_NULL == TAIL_CALL_NULL &&
                   SUITE_TAIL_INVALID == TAIL_CALL_INVALID && SUITE_RUNS == MAX_TESTRUNS,
               "what the driver relocates is what the suite marks");

unsigned suite_count(void)
{
    return ARRAY_SIZE(tests);
}

const char *suite_name(unsigned i)
{
    return tests[i].descr;
}

bool suite_is_ebpf(unsigned i)
{
    return (tests[i].aux & TEST_TYPE_MASK) == INTERNAL;
}

/* The order of Linux's own loop: fill, generate, forget the generated instructions, run, release. */
enum suite_outcome suite_run(unsigned i)
{
    struct bpf_test *test = &tests[i];
    struct bpf_prog *prog;
    int err = 0, failures;

    if (!suite_is_ebpf(i))
        return SUITE_SKIPPED;
    if (test->fill_helper && test->fill_helper(test) < 0) {
        kernel_print("could not be filled in");
        return SUITE_FAILED;
    }
    prog = generate_filter(i, &err);
    if (test->fill_helper) {
        kfree(test->u.ptr.insns);
        test->u.ptr.insns = NULL;
    }
    if (!prog)
        return err ? SUITE_FAILED : SUITE_PASSED;
    failures = run_one(prog, test);
    release_filter(prog, i);
    return failures || kernel_trapped() ? SUITE_FAILED : SUITE_PASSED;
}

unsigned suite_tail_count(void)
{
    return ARRAY_SIZE(tail_call_tests);
}

static unsigned tail_length(const struct bpf_insn *insns)
{
    unsigned n = 0;

    while (n < MAX_INSNS && insns[n].code)
        n += insns[n].code == (BPF_LD | BPF_DW | BPF_IMM) ? 2 : 1;
    return n;
}

struct suite_tail suite_tail(unsigned i)
{
    const struct tail_call_test *test = &tail_call_tests[i];

    return (struct suite_tail){
        .name = test->descr,
        .insns = (const struct skep_insn *)test->insns,
        .n_insns = tail_length(test->insns),
        .needs_state = test->flags & FLAG_NEED_STATE,
        .result_in_state = test->flags & FLAG_RESULT_IN_STATE,
        .result = test->result,
    };
}

/* The suite wrote it for the kernel's calling convention, which is ours without the environment. */
static u64 call_test_func(struct skep_env *env, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5)
{
    (void)env;
    return bpf_test_func(a1, a2, a3, a4, a5);
}

skep_helper_fn suite_test_func(void)
{
    return call_test_func;
}
