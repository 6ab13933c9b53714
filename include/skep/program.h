/*
 * Programs: loading them from instructions, and running them.
 *
 * A loaded program is immutable and may be run by any number of threads at once. Loading verifies: what the verifier
 * accepts runs unchecked, what it refuses does not load, and what it cannot judge yet (a feature that it does not know)
 * runs checked: each access is looked up before it is made, and a bad one ends the run with a trap that says where and
 * why. `checked` asks for that instead of verification. `unchecked` asks for neither: it is for programs that were
 * proved elsewhere, and a wrong one may do anything to the process.
 *
 * What was accepted becomes machine code where that can be made (x86_64, a system that allows it), else it is
 * interpreted, with the same results. What runs checked is interpreted. Machine code looks at instruction limits and
 * the stop flag only when loading asked for it (count_insns).
 */
#ifndef SKEP_PROGRAM_H
#define SKEP_PROGRAM_H

#include <skep/map.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Linux's numbers (BPF_PROG_TYPE_*). RAW is ours: r1 = memory, r2 = its length. */
enum skep_prog_type {
    SKEP_PROG_TYPE_RAW,
    SKEP_PROG_TYPE_SOCKET_FILTER,
    SKEP_PROG_TYPE_KPROBE,
    SKEP_PROG_TYPE_SCHED_CLS,
    SKEP_PROG_TYPE_SCHED_ACT,
    SKEP_PROG_TYPE_TRACEPOINT,
    SKEP_PROG_TYPE_XDP,
    SKEP_PROG_TYPE_PERF_EVENT,
    SKEP_PROG_TYPE_CGROUP_SKB,
    SKEP_PROG_TYPE_RAW_TRACEPOINT = 17,
    SKEP_PROG_TYPE_TRACING = 26,
    SKEP_PROG_TYPE_SYSCALL = 31,
};

/* ---- How programs are executed --------------------------------------------------------------------------------- */

/* Optimisations that can be switched off, each by itself. */
enum skep_opt {
    SKEP_OPT_FUSE = 1,    /* several instructions in one operation */
    SKEP_OPT_FACTS = 2,   /* use what the verifier proved */
    SKEP_OPT_INLINE = 4,  /* frequent helpers as operations */
    SKEP_OPT_SPECIAL = 8, /* interpreter: handlers for each choice of registers */
    /* JIT. */
    SKEP_OPT_PROMOTE = 1 << 8,   /* stack slots in registers */
    SKEP_OPT_WEBS = 1 << 9,      /* a register for each use of one of the eleven */
    SKEP_OPT_SIMPLIFY = 1 << 10, /* copies, constants, extensions, what nobody reads */
    SKEP_OPT_ROTATE = 1 << 11,   /* shifts that make a rotation */
    SKEP_OPT_ADDRESS = 1 << 12,  /* base + index * scale + displacement */
    SKEP_OPT_WIDE = 1 << 13,     /* bytes gathered by shifts in one load */
    SKEP_OPT_MEMORY = 1 << 14,   /* operations on memory */
    SKEP_OPT_SELECT = 1 << 15,   /* branches that pick a value, or ask for a range */
    SKEP_OPT_DIVIDE = 1 << 16,   /* division by constants, widening multiplication */
    SKEP_OPT_UNROLL = 1 << 17,   /* several turns of small loops at once */
    SKEP_OPT_ALLOC = 1 << 18,    /* registers over the whole function, not a block at a time */
    SKEP_OPT_LAYOUT = 1 << 19,   /* order of blocks */
};

struct skep_exec_opts {
    size_t sz;
    /* "interp", "jit"; NULL: machine code where there can be some, else the interpreter (the log's SKEP_LOG_INFO says
     * why). "jit" fails where there can be none: -EPERM for what was not verified, -EOPNOTSUPP for what is to be
     * checked or watched, or what the system says. Only the interpreter checks. */
    const char *engine;
    bool unchecked; /* neither verify nor check */
    /* Honour skep_run_opts.max_insns and .stop also in machine code, which otherwise looks at neither; the interpreter
     * always does. While a program holds a spin lock, machine code does not end. */
    bool count_insns;
    bool lenient;          /* malformed instructions do not refuse the program but trap when they are executed */
    uint32_t no_opts;      /* enum skep_opt, or-ed: optimisations that are off */
    bool checked;          /* do not verify, check at run time */
    uint32_t privilege;    /* enum skep_privilege: whose rules the verifier goes by */
    uint64_t verify_insns; /* instructions that the verifier processes before it gives up; 0: one million */
    /* What is accepted runs slowly and traps ("invariant") when registers or stack lie outside of what the verifier
     * explored before an instruction, which no accepted program ever should. */
    bool check_invariants;
    /* Machine code also of what nobody verified (unchecked): a wrong program may then do anything to the process. */
    bool jit_unverified;
};

/* Privileged programs may see addresses, read their stack before they wrote it, and loop, as under Linux with CAP_BPF
 * and CAP_PERFMON. By default programs of objects are privileged and those of skep_prog_load() are not. */
enum skep_privilege { SKEP_PRIVILEGE_DEFAULT, SKEP_PRIVILEGED, SKEP_UNPRIVILEGED };

/* ---- Raw programs ---------------------------------------------------------------------------------------------- */

struct skep_prog_load_opts {
    size_t sz;
    struct skep_map *const *maps; /* what `r1 = map_idx[i]` refers to (src_reg 5, imm i; src_reg 6: its value) */
    uint32_t map_cnt;
    const struct skep_exec_opts *exec; /* NULL: verified, default engine */
    /* Raw programs: at least so many bytes stand where r1 points, whatever r2 says, and may be written. A run with less
     * data is refused unless it is checked. */
    uint32_t mem_size;
    bool mem_read_only;
};

/**
 * Loads a program from instructions.
 *
 * @param vm        where it runs; every map must be of the same vm. The program keeps a reference.
 * @param type      enum skep_prog_type.
 * @param name      for messages; NULL: "prog". Copied.
 * @param license   "GPL" where helpers ask for it; NULL: none. Copied.
 * @param insns     copied.
 * @return the program, to be given back with skep_program__free(). NULL with errno EINVAL (malformed: the vm's log
 * names the instruction; unknown type or engine; a map of another vm), EACCES (refused by the verifier: the log tells
 * why and where), E2BIG, ENOMEM.
 */
SKEP_API struct skep_program *skep_prog_load(struct skep_vm *vm, uint32_t type, const char *name, const char *license,
                                             const struct skep_insn *insns, size_t insn_cnt,
                                             const struct skep_prog_load_opts *opts);

/** An instruction of classic BPF, as in struct sock_filter. */
struct skep_cbpf_insn {
    uint16_t code;
    uint8_t jt, jf;
    uint32_t k;
};

/**
 * Loads a filter of classic BPF, translated as Linux translates them: a packet filter becomes a program of type
 * socket_filter (run it with SKEP_RUN_LINK for packets with their link-level header), a seccomp filter one of type RAW,
 * whose data_in is a struct seccomp_data of 64 bytes.
 *
 * @param name  for messages; NULL: "filter".
 * @return as skep_prog_load().
 */
SKEP_API struct skep_program *skep_prog_load_cbpf(struct skep_vm *vm, const char *name, bool seccomp,
                                                  const struct skep_cbpf_insn *insns, size_t insn_cnt,
                                                  const struct skep_exec_opts *exec);

/** Gives up a program of skep_prog_load(); nobody may be running it. NULL is fine. For a program of an object it does
 *  nothing. */
SKEP_API void skep_program__free(struct skep_program *prog);

/* ---- Running --------------------------------------------------------------------------------------------------- */

/** What the world says during a run. NULL in skep_run_opts: the host's clocks, random numbers and process. */
struct skep_world {
    size_t sz;
    bool fix_time;        /* clocks start at `time` and move by `time_step` with each reading */
    bool fix_seed;        /* random numbers are a sequence that `seed` determines, anew for each run */
    bool fix_task;        /* pid ... comm below instead of those of this process */
    uint64_t time;        /* ns since boot */
    uint64_t time_step;   /* ns */
    int64_t realtime_off; /* ns added for wall-clock time, when fix_time */
    uint64_t seed;
    uint64_t cookie_seed;         /* of the keys of SYN cookies: runs of one seed check what others made */
    uint32_t pid, tgid, uid, gid; /* pid: of the thread; tgid: of the process */
    char comm[16];
    uint64_t attach_cookie, func_ip; /* for bpf_get_attach_cookie(), bpf_get_func_ip() */
    /* bpf_trace_printk() and the like: one line without its newline, on the thread of the run. NULL: dropped. What
     * programs in Linux print goes to Linux's trace instead. */
    void (*print)(void *print_ctx, const char *text, size_t len);
    void *print_ctx;
    /* What the run sends, on its thread and while it runs; a redirect, when it has ended with that verdict. NULL: lost.
     * Of programs in Linux nothing is told. */
    void (*effect)(void *effect_ctx, const struct skep_effect *effect);
    void *effect_ctx;
    /* For cgroup_sysctl programs: "net/ipv4/ip_forward", and its value. Borrowed during the run; NULL: a name of no
     * meaning, no value. */
    const char *sysctl_name, *sysctl_value;
    uint64_t
        cgroup_id; /* the task's cgroup, a child of the root, which has number 1; CGROUP_ARRAYs hold such numbers */
    const struct skep_world_file *file; /* borrowed during the run; NULL: the vm's, if it has one */
    uint32_t task; /* pid of the file's task that is the current one; 0: the one that the file names, or its first */
};

/** Memory that the host lends to a run. */
struct skep_mem {
    void *host;    /* where it is */
    uint64_t addr; /* where programs find it; 0: at its own address */
    uint64_t size;
    unsigned access;  /* enum skep_access, or-ed */
    const char *name; /* for trap reports; borrowed during the run; NULL: "memory of the host" */
};

/** Why a run ended before its exit. All strings are NUL-terminated. */
struct skep_trap {
    size_t sz;
    const char *kind;   /* "mem_out_of_bounds": a name of vm/abi/traps.def; static */
    const char *text;   /* what that means; static */
    char detail[232];   /* what was needed and what lies near; may be empty */
    char prog[64];      /* the program that ran: another one than was started, after tail calls */
    char func[128];     /* the function of the program */
    char file[256];     /* source file; empty when there is no line information */
    char source[256];   /* the source line */
    uint32_t line, col; /* of the source; 0: unknown */
    uint32_t insn;      /* index of the instruction in 8-byte slots */
    uint64_t addr;      /* memory traps: the address ... */
    uint32_t size;      /* ... and how many bytes of it */
};

enum {
    SKEP_RUN_CPU = 1,    /* run on virtual CPU opts->cpu (waits until it is free); else on any free one */
    SKEP_RUN_NOWAIT = 2, /* -EBUSY instead of waiting for a CPU */
    SKEP_RUN_LINK = 8, /* socket_filter: the packet begins with its link-level header, as on a packet socket, and may be
                        * any bytes */
    SKEP_RUN_IN_PLACE = 4, /* raw programs: r1 is data_in itself, which must be writable, not a copy */
};

/** What a run does in a helper's place. Its arguments are the helper's, memory as addresses of this process; it must
 * give what the helper could have given (0 or a value of the map for map_lookup_elem, a length within the room ...),
 * since the verifier relies on that. skep_env__call_helper() calls the helper itself. */
struct skep_mock {
    const char *name; /* "ktime_get_ns", with or without "bpf_" */
    skep_helper_fn fn;
};

/** A call that a program made, valid while it is being told. */
struct skep_call {
    size_t sz;
    const char *name; /* of the helper, without "bpf_", or of the kernel function */
    uint32_t arg_cnt;
    uint64_t args[5];
    uint64_t ret;
    bool mocked;
    const char *map; /* name of the map that an argument is; NULL: none */
    /* Memory that an argument points to, as it is after the call; NULL: the argument is no memory. */
    const void *mem[5];
    uint32_t mem_size[5];
};

/** How to run a program, and what came of it; the shape of libbpf's bpf_test_run_opts. */
struct skep_run_opts {
    size_t sz;
    const void *data_in; /* packet bytes, or a raw program's memory; copied (see SKEP_RUN_IN_PLACE) */
    void *data_out;      /* NULL: not wanted */
    uint32_t data_size_in;
    uint32_t data_size_out; /* in: room at data_out; out: length of the data, also when it did not fit */
    const void
        *ctx_in;   /* context: struct xdp_md, __sk_buff, pt_regs, raw record ...; NULL: all zero, or made from data */
    void *ctx_out; /* NULL: not wanted */
    uint32_t ctx_size_in;
    uint32_t ctx_size_out; /* like data_size_out */
    uint32_t retval;       /* out: r0, 32 bits, as bpf(2) gives it */
    int repeat;            /* runs; 0 counts as 1. The packet stays as the run before left it, as in Linux */
    uint32_t duration;     /* out: ns a run */
    uint32_t flags;        /* SKEP_RUN_* */
    uint32_t cpu;          /* with SKEP_RUN_CPU */
    uint64_t r0;           /* out: all of r0 */
    /* About how many instructions a run may execute; 0: no limit. Runs are charged at backward jumps and calls, so that
     * code without them costs nothing. Machine code does so when skep_exec_opts.count_insns was asked for. */
    uint64_t max_insns;
    uint64_t insns_run;      /* out: what was charged, all repetitions; 0 where nothing is counted */
    volatile uint32_t *stop; /* set non-zero by another thread to end the run with the trap `stopped`; NULL: none.
                                Looked at where instructions are counted, and between repetitions */
    const struct skep_world *world; /* NULL: the host's */
    const struct skep_mem *mems;    /* further memory that the program may touch */
    uint32_t mem_cnt;
    void *user;             /* for the host's helpers: skep_env__user() */
    struct skep_trap *trap; /* out, when -EFAULT is returned, its sz set before; NULL: not wanted */
    uint64_t time_end;      /* out: the clock of a world with fix_time after the last run */
    int32_t hook_result;    /* out: what a cgroup hook's caller gets: 0, -EPERM or what the program set (getsockopt and
                               setsockopt: 1 as well, when the kernel's own work is skipped); 0 for other types */
    uint32_t context; /* without ctx_in: which of the contexts that the run's world has for the program's section */
    /* Iterators (SEC("iter/...")) without ctx_in run once for each object and once at the end, over the world's tasks
     * or cgroups, the elements of iter_map, or the contexts that the world has; data_out is the text that they wrote.
     */
    const struct skep_map *iter_map;
    const struct skep_mock *mocks; /* -EINVAL unless the vm is mockable; borrowed */
    uint32_t mock_cnt;
    /* Told of each call of a helper, on the thread that runs, after it was made; of the vm's mocked ones alone unless
     * it is mockable. What ends the run or enters another program is not told. */
    void (*on_call)(void *call_ctx, const struct skep_call *call);
    void *call_ctx;
    uint32_t redirect_ifindex; /* out: where bpf_redirect() sends the packet, or bpf_redirect_map() through a DEVMAP; 0:
                                  nowhere else, and in Linux */
    /* Functions that programs put off (bpf_timer, bpf_wq, task work) in the maps that this program uses, whoever did:
     * work runs once the last run has ended, and then timers that are due within so many nanoseconds of the run's
     * clock, the earliest first and each at its own time; what these start, too. One that traps ends that, with
     * -EFAULT. */
    uint64_t pass_time;
    uint32_t later_cnt; /* out: how many of them ran */
};

/**
 * Runs a program, with the meaning of BPF_PROG_TEST_RUN.
 *
 * @param opts  in and out; NULL: no data, no context.
 * @return 0; -EFAULT: the run trapped (opts->trap says why); -EINVAL: data or context do not fit the program type,
 * unknown flags, a CPU that the vm does not have; -ENOSPC: data_out or ctx_out were too short and hold what fits;
 *         -EBUSY; -ENOMEM; -ENOENT: the program is not loaded; -EOPNOTSUPP: programs in Linux, of a type that it has no
 *         test run for, or with options that it cannot honour (the vm's log names them).
 *
 * A helper may run further programs; each run takes a CPU of its own.
 */
SKEP_API int skep_program__run(const struct skep_program *prog, struct skep_run_opts *opts);

/** A program in Linux: its descriptor, which stays the object's. -EOPNOTSUPP: a program of this process; -EINVAL: not
 *  loaded. */
SKEP_API int skep_program__fd(const struct skep_program *prog);

/* ---- What a program is ----------------------------------------------------------------------------------------- */

SKEP_API const char *skep_program__name(const struct skep_program *prog); /* never NULL */
SKEP_API uint32_t skep_program__type(const struct skep_program *prog);    /* enum skep_prog_type */
/** "interp", "jit": what runs it. NULL: it is not loaded. */
SKEP_API const char *skep_program__engine(const struct skep_program *prog);
/** Instructions in 8-byte slots, subprograms included. */
SKEP_API size_t skep_program__insn_cnt(const struct skep_program *prog);
/** "xdp", as bpftool writes it; "raw" for 0; NULL for a number that Linux does not have. */
SKEP_API const char *skep_prog_type_str(uint32_t type);
/** The inverse. @return the type, or -EINVAL. */
SKEP_API int skep_prog_type_by_name(const char *name);
/** "XDP_PASS": what a return value means to this type; NULL: nothing in particular. */
SKEP_API const char *skep_prog_type_verdict(uint32_t type, uint32_t retval);

#ifdef __cplusplus
}
#endif

#endif
