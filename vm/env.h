/*
 * The environment of a run: everything that a running program may ask of the world, and everything that the run holds.
 * One environment serves one run at a time, on one thread, as one virtual CPU; its owner prepares it once and may run
 * it many times. Helpers get it as their first argument. Nothing of a run lives anywhere else.
 *
 * What the world says (clock, random, task, output) is set by the owner before a run and read by helpers; what the run
 * holds (references, locks, frames) is empty before and after each run.
 */
#ifndef VM_ENV_H
#define VM_ENV_H

#include "base/buf.h"
#include "vm/abi/trap.h"
#include "vm/clock.h"
#include "vm/code.h"
#include "vm/epoch.h"
#include "vm/sock.h"

/* A range of memory. `guest` is the address that programs use; it equals the host's address except for memory that the
 * owner placed at a recorded address. */
struct env_mem {
    uint64_t guest;
    unsigned char *host;
    uint64_t size;
    uint8_t access; /* ENV_READ | ENV_WRITE */
    uint8_t kind;   /* enum env_mem_kind */
    const char *name;
};

enum { ENV_READ = 1, ENV_WRITE = 2, ENV_DIRECT = 4 /* programs may load it themselves, not only through probe_read */ };

enum env_mem_kind {
    ENV_MEM_NONE,
    ENV_MEM_STACK,
    ENV_MEM_CTX,
    ENV_MEM_PACKET,
    ENV_MEM_MAP,
    ENV_MEM_RECORD,
    ENV_MEM_RAW,
    ENV_MEM_KERNEL,
    ENV_MEM_USER,
    ENV_MEM_DYNPTR, /* one that a helper made for a callback: helpers alone touch it */
};

/* What a run acquired and must release. */
struct env_ref {
    uint64_t addr;
    uint64_t size;                                              /* of memory that comes with it, 0 for none */
    void *owner;                                                /* the map, ... */
    void (*release)(struct skep_env *env, struct env_ref *ref); /* what a trap does */
};

enum {
    ENV_FIRST_REFS = 32,
    ENV_MAX_REFS = 1 << 16,
    ENV_MEM_CACHE = 4,
    ENV_MAX_MEMS = 64,
    ENV_WINDOWS = 64,
    ENV_MAX_INNER = 256
};

/* What checked code found out about the operations that share this window: an access of their size, in their way, may
 * be made at the address itself when address - base < limit. limit 0: nothing is known. */
struct env_window {
    uint64_t base, limit;
};

/* The packet of a run: a buffer with head and tail room. data and data_end move inside [buf, buf + cap). */
struct env_packet {
    unsigned char *buf;
    uint32_t cap;
    unsigned char *data, *data_end, *data_meta; /* data_meta NULL: there is none before data */
    unsigned char *mac, *net; /* what LD_ABS at SKF_LL_OFF and SKF_NET_OFF counts from; NULL: out of bounds */
    bool read_only;           /* for programs */
    uint32_t paged; /* bytes that follow data_end in the buffer and that only helpers reach, as Linux's fragments */
};

/* Where what a program says goes. Called on the run's thread. */
struct env_output {
    void *ctx;
    void *effect_ctx;
    void (*effect)(void *effect_ctx, const struct skep_effect *effect); /* what is sent (vm/effect.h); NULL: nobody */
    void (*printk)(void *ctx, const char *text, size_t len); /* bpf_trace_printk: one line, without newline added */
    /* bpf_perf_event_output when the map has no reader for this CPU: NULL gives -ENOENT as Linux does. */
};

struct env_task {
    uint32_t pid, tgid, uid, gid;
    char comm[16];
    uint64_t addr; /* what get_current_task returns */
    bool unread;   /* it is the thread that runs; env_task() reads the numbers and the name when somebody asks */
};

/* Time as programs see it. */
struct env_clock {
    bool fixed;           /* false: the host's clocks */
    uint64_t now;         /* ns since boot, when fixed */
    uint64_t step;        /* ns added by each reading, when fixed */
    int64_t realtime_off; /* added for wall-clock helpers, when fixed */
};

struct skep_env {
    /* The run. */
    const struct code *code; /* what runs now; changes with tail calls */
    struct trap trap;
    bool checked;
    uint32_t cpu;
    uint32_t tail_calls;
    uint32_t frame;          /* call depth, 0 in the entry */
    uint32_t first_frame;    /* that of the program which runs: not 0 after a tail call from a local function */
    uint64_t insn_budget;    /* instructions left when they are counted; UINT64_MAX: no limit */
    uint64_t insns_run;      /* taken from the budget so far */
    int64_t fuel;            /* the part of the budget that was taken and not yet used */
    uint32_t last_slot;      /* of the exit that ended the run */
    volatile uint32_t *stop; /* another thread sets it to end the run; NULL: none */
    struct epoch_slot *epoch;

    /* The context: what r1 points to. ctx_layout NULL: raw. */
    void *ctx;
    uint32_t ctx_size; /* what the program may see of it */
    const struct ctx_layout *ctx_layout;
    struct env_packet packet;
    struct skb *skb;             /* what only the skb helpers know (vm/ctx/skb.h); NULL: the context is no skb */
    struct sock *sk;             /* the socket that the context is about; NULL: none */
    struct ctx_store *ctx_store; /* the contexts' buffers, kept between runs; ctx_drop() gives them back */

    /* What it holds. */
    struct env_ref *refs;
    uint32_t n_refs, cap_refs;
    void *spin_lock;              /* held, or NULL */
    bool in_tree;                 /* it is at a tree, whose callback runs */
    const struct timer *in_timer; /* whose callback runs; NULL: none's */

    /* Memory besides stack, context, packet and maps: raw memory, records, kernel and user memory. */
    struct env_mem mems[ENV_MAX_MEMS];
    uint32_t n_mems;
    struct env_mem cache[ENV_MEM_CACHE]; /* map values seen last by env_find_mem */
    uint32_t cache_next;
    struct env_window windows[ENV_WINDOWS]; /* emptied, as the cache is, when the packet moves or memory goes */
    struct map
        *inner[ENV_MAX_INNER]; /* maps that lookups in maps of maps gave this run, the last ENV_MAX_INNER of them */
    uint32_t n_inner;          /* how many were ever noted in this run */
    const struct env_mem *world_mems; /* more of them, sorted by guest, borrowed */
    uint32_t n_world_mems;
    const struct env_mem *task_mems; /* the same of the current task's process alone */
    uint32_t n_task_mems;
    struct env_mem *own_mems; /* copies of those that this run wrote to, until it ends; the world's stay as they are */
    uint32_t n_own_mems;
    const struct world *world;        /* where they come from (vm/world/world.h), and more; NULL: there is none */
    const struct world_task *current; /* NULL: the world has no tasks */

    /* The world. */
    struct sock *socks; /* the run's own copies (vm/sock.h) */
    uint32_t n_socks, cap_socks;
    struct sock_object *sock_objects; /* what programs cast (vm/sock_object.c) */
    uint32_t n_sock_objects;
    unsigned char shown_map[MAP_OBJECT_ROOM]; /* the map that was last looked at, as the kernel has it */
    const struct net *net;                    /* interfaces, routes, neighbours (vm/net.h), borrowed; NULL: none */
    const char *sysctl_name, *sysctl_value;   /* borrowed; NULL: none */
    struct env_clock clock;
    struct fast_clock host_clock; /* what env_ktime() reads when the clock is not fixed */
    uint64_t random;              /* state of the generator */
    bool random_fixed;            /* seeded: the sequence repeats */
    uint64_t seed;                /* of the keys of SYN cookies */
    struct env_task task;
    uint32_t n_cpus;
    struct env_output out;
    uint64_t attach_cookie, func_ip;
    uint64_t cgroup_id, netns_cookie, socket_cookie;
    int32_t retval;           /* what bpf_get_retval and bpf_set_retval speak of */
    struct mock_state *mocks; /* what calls that go through vm/mock.h find; NULL: nothing */
    void *user;               /* the host's, for its own helpers */
    struct buf scratch;       /* for formatting */
    uint32_t *counter_reads;  /* how often this run read each counter of the world (vm/helpers/counter.c) */
    uint32_t n_counter_reads;
    struct buf iter_bits; /* words that iterators of bits go through (vm/helpers/kfunc_iter.c), until the run ends */
    struct buf *seq;      /* what bpf_seq_printf() writes to; NULL: the program is no iterator */

    /* Sees each instruction of traced code before it is done; NULL: nobody. regs: r0..r10. It may end the run with
     * env_trap(). */
    void (*on_insn)(struct skep_env *env, void *ctx, uint32_t slot, const uint64_t *regs);
    void *on_insn_ctx;

    /* Redirects and the like, read by whoever ran it. */
    struct {
        const char *what; /* the helper's name; NULL: nowhere */
        uint32_t ifindex;
        uint64_t flags;
        struct map *map;
        uint64_t key;
        uint64_t socket;     /* its cookie */
        uint32_t hop_family; /* redirect_neigh: of the next hop that the program named; 0: its route's */
        uint32_t hop[4];
    } redirect;

    /* The stack: PROG_MAX_DEPTH frames, the entry's on top; what is never reached costs no memory. */
    _Alignas(16) unsigned char stack[PROG_MAX_DEPTH * PROG_STACK_FRAME];
};

/** An environment with the host's clocks and random, CPU 0 of 1, pid and comm of this process. NULL: out of memory. */
struct skep_env *env_new(void);
void env_free(struct skep_env *env);

/**
 * Runs code's entry once with r1 = arg1 and r2 = arg2. Enters the epoch, zeroes what must be, runs, and whatever the
 * outcome releases what the run holds.
 * @return 0 and *retval; -EFAULT when env->trap says why it ended.
 */
int env_run(struct skep_env *env, const struct code *code, uint64_t arg1, uint64_t arg2, uint64_t *retval);

/** The same, from function `func` of the code on: a callback that was put off. key: readable memory among its
 * arguments, as long as it runs (args[1] may lie in it). */
int env_run_func(struct skep_env *env, const struct code *code, uint32_t func, const uint64_t args[5],
                 uint32_t key_size, uint64_t *retval);

/** Calls back into the running program: func is what a function pointer argument held. Its trap is env->trap; a helper
 *  that calls back looks at it after each call and returns at once when one is set. */
uint64_t env_call(struct skep_env *env, uint64_t func, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5);

/** Notes a trap, unless one stands already. The engine fills in the instruction. @return 0, for helpers to return. */
uint64_t env_trap(struct skep_env *env, enum trap_kind kind, uint64_t addr, uint32_t size, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/**
 * Where this memory stands, if the program may touch all of it in this way.
 * @param access ENV_READ or ENV_WRITE or both.
 * @return the host's address; NULL when it may not (env_trap_mem() then says why).
 */
void *env_find_mem(struct skep_env *env, uint64_t addr, uint64_t size, unsigned access);

/** Notes the trap that fits a refused access: out of bounds, read-only, null pointer, with what lies near. */
uint64_t env_trap_mem(struct skep_env *env, uint64_t addr, uint64_t size, unsigned access);

/** Memory that probe_read and the like may copy from: kernel or user memory of the world, and whatever the program
 * itself may touch. NULL: -EFAULT for the helper. */
const void *env_probe(struct skep_env *env, uint64_t addr, uint64_t size, enum env_mem_kind kind);

/** Memory of the world's processes for this run to write: the run's own copy of the piece that holds all of it, made
 * when it is first asked for. NULL: there is none, or it is read-only, or memory is short. */
unsigned char *env_write_user(struct skep_env *env, uint64_t addr, uint64_t size);

/** What programs read where the kernel has this map's struct bpf_map. @return false: the target's types are not known.
 */
bool env_show_map(struct skep_env *env, const struct map *map, void *to, uint32_t size);

/** Does the address lie in a structure of the run's world? */
bool env_is_kernel(const struct skep_env *env, uint64_t addr);

/** May bpf_spin_lock take this address: the lock of a map value, or 4 aligned bytes that the program may write? */
bool env_is_lock(struct skep_env *env, uint64_t addr);

/** As env_find_mem(); when the memory stands where the program thinks it stands, also fills in the window, so that the
 *  next access of this size and kind nearby needs no search. */
void *env_find_window(struct skep_env *env, uint64_t addr, uint32_t size, unsigned access, struct env_window *window);

/** Is [addr, addr + size) in the context, and a field that yields a packet pointer? Then *value is the pointer. */
bool env_ctx_packet(const struct skep_env *env, uint64_t addr, uint32_t size, uint64_t *value);

/** Tests the arguments of a helper by its row in checked mode. Memory that stands elsewhere than the program thinks is
 *  replaced by the host's address. @return false with a trap noted. */
bool env_check_args(struct skep_env *env, const struct helper *helper, uint64_t args[5]);
/** What checked execution remembers of a helper's result: inner maps that the program may name from now on. */
void env_note_result(struct skep_env *env, const struct helper *helper, const uint64_t args[5], uint64_t result);

/** The map of the program in one of whose values this address lies, and that value; NULL: none. */
struct map *env_find_value(struct skep_env *env, uint64_t addr, void **value);

/** Is this the address of a map that the program may name (its own maps, and maps inside its maps)? */
struct map *env_find_map(struct skep_env *env, uint64_t addr);

/** Notes that a resource was acquired. @return false when there are too many (the helper then fails as for no memory).
 */
bool env_ref_add(struct skep_env *env, struct env_ref ref);
/** Is there room for one more in env->refs, after making some? */
bool env_ref_room(struct skep_env *env);
/** The reference with this address, or NULL. */
struct env_ref *env_ref_find(struct skep_env *env, uint64_t addr);
void env_ref_drop(struct skep_env *env, struct env_ref *ref);

/** Empties the cache of regions; whoever moves the packet or frees memory calls it. */
void env_forget_mem(struct skep_env *env);

/** Takes another part of the budget as fuel, once that went below 0; notices the stop flag. @return false with a trap.
 */
bool env_refuel(struct skep_env *env);

/** May the program that runs push another frame? */
static inline bool env_has_frame(const struct skep_env *env)
{
    return env->frame - env->first_frame + 1 < PROG_MAX_FRAMES;
}

/** The lowest address of the frames that are in use; the highest is the end of env->stack. */
static inline uint64_t env_stack_low(const struct skep_env *env)
{
    return (uintptr_t)env->stack + (PROG_MAX_DEPTH - 1 - env->frame) * (uint64_t)PROG_STACK_FRAME;
}

/** The run's task. */
const struct env_task *env_task(struct skep_env *env);

/* The world's clocks (ns), and 64 random bits. */
uint64_t env_ktime(struct skep_env *env);
/** The first, which a fixed clock does not take for a reading. */
uint64_t env_now(struct skep_env *env);
uint64_t env_realtime(struct skep_env *env);
uint64_t env_random(struct skep_env *env);
/** Begins a sequence of random numbers that nobody knows. */
void env_seed(struct skep_env *env);

#endif
