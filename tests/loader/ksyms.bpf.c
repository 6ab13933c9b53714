// Kernel symbols: addresses of variables, kernel functions, and what is not there.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

// not: gcc clang-14
extern const void skep_no_such_variable __ksym __weak;
extern const void skep_no_such_strong __ksym;
extern int skep_no_such_function(int x) __ksym __weak;
extern int skep_strong_function(int x) __ksym;

// expect-reloc: extern skep_no_such_variable no
// result: weak_is_null 3
SEC("xdp") int weak_is_null(void *ctx)
{
    return (&skep_no_such_variable ? 0 : 1) + (skep_no_such_function ? 0 : 2);
}

// expect-warn: kernel variable 'skep_no_such_strong' is not available
// trap: strong_traps ksym_missing
SEC("xdp") int strong_traps(void *ctx)
{
    return (int)(long)&skep_no_such_strong;
}

// expect-warn: kernel function 'skep_strong_function' is not available
// trap: call_traps kfunc_missing
SEC("xdp") int call_traps(void *ctx)
{
    return skep_strong_function(1);
}

// result: guarded 4
SEC("xdp") int guarded(void *ctx)
{
    if (skep_no_such_function)
        return skep_no_such_function(1);
    return 4;
}

char _license[] SEC("license") = "GPL";
