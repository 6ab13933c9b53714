/*
 * The world that a run finds: tasks, cgroups, structures of the kernel, memory of processes, made from one JSON text
 * and a target's BTF. A world never changes once world_build() has made it, and any number of runs on any number of
 * threads share it; what a run changes of it (memory that is written, how often a mock was called) is the run's own.
 *
 * Structures stand in memory of the world at addresses as the kernel has them (0xffff8881...): `mems` is every piece of
 * it, sorted by guest address and without overlap, as env->world_mems wants it. Between pieces there is a gap, so that
 * what reads past a structure finds nothing.
 */
#ifndef VM_WORLD_WORLD_H
#define VM_WORLD_WORLD_H

#include "base/json.h"
#include "vm/btf/btf.h"
#include "vm/env.h"
#include "vm/net.h"

/* A cgroup of version 2. */
struct world_cgroup {
    const char *path; /* "/a/b"; "/": the root */
    uint64_t id;
    uint32_t level;                    /* the root's is 0 */
    const struct world_cgroup *parent; /* NULL: it is the root */
    uint64_t addr;                     /* of its struct cgroup; 0: none was made */
    const struct json *members;        /* of struct cgroup, as the file has them */
};

/* Return addresses, the innermost first. */
struct world_stack {
    uint64_t *ips;
    uint32_t n;
};

enum world_ns_kind {
    WORLD_NS_PID,
    WORLD_NS_NET,
    WORLD_NS_UTS,
    WORLD_NS_MNT,
    WORLD_NS_IPC,
    WORLD_NS_USER,
    WORLD_NS_CGROUP,
    WORLD_NS_TIME,
    WORLD_NS_KINDS
};

struct world_ns {
    const char *name;
    uint32_t kind;      /* enum world_ns_kind */
    uint32_t inum, dev; /* dev: of the file system that shows it; 0: the file does not say */
    uint64_t cookie;    /* net: what bpf_get_netns_cookie() says */
    const struct world_ns *parent;
    uint32_t level; /* the outermost one's is 0 */
    uint64_t addr;  /* of its structure; 0: none was made */
};

/* An area of a process's memory. */
struct world_vma {
    uint64_t start, end;
    uint64_t addr; /* of its vm_area_struct */
};

struct world_task {
    const char *name; /* for references and choice; NULL: none */
    uint32_t pid, tgid, uid, gid, ppid;
    bool has_ppid;
    char comm[16];
    uint64_t addr;                             /* of its task_struct; 0: none was made */
    const struct world_cgroup *cgroup;         /* NULL: the file does not say */
    struct world_stack kernel, user;           /* what was recorded of its calls */
    const struct world_ns *ns[WORLD_NS_KINDS]; /* NULL: the file does not say */
    uint32_t ns_pid, ns_tgid;                  /* its numbers in its own namespace of pids */
    uint64_t regs;                             /* of its struct pt_regs; 0: none */
    struct world_vma *vmas;                    /* by address */
    uint32_t n_vmas;
    const struct env_mem *mems; /* memory of its process alone, by address */
    uint32_t n_mems;
};

/* What a program gets in r1. */
struct world_context_item {
    unsigned char *data;
    uint32_t size;
    const char *sysctl_name, *sysctl_value; /* of cgroup/sysctl; NULL: not said */
};

struct world_context {
    const char *section; /* as SEC() has it */
    struct world_context_item *items;
    uint32_t n;
};

/* What a mock says at one call. */
struct world_mock_step {
    bool real; /* nothing: the helper itself is called */
    uint64_t ret;
    unsigned char *out; /* into memory that the helper fills; out_size 0: zeroes */
    size_t out_size;
    uint32_t out_arg; /* 1 to 5; 0: the first that is written */
};

/* What stands in place of a helper or kernel function. Calls count from 1 in each run. */
struct world_mock {
    const char *name; /* without "bpf_" */
    struct world_mock_step *steps;
    uint32_t n_steps;   /* one a call; the last one stays */
    uint32_t nth, from; /* nth: at this call alone; from: from this one on; 0: at all */
};

/* What reading a counter of perf gives: struct bpf_perf_event_value. */
struct world_reading {
    uint64_t counter, enabled, running;
};

struct world_counter {
    uint32_t id;                  /* for counting how often a run read it; below n_counters of the world */
    uint32_t cpu;                 /* that it counts on alone; UINT32_MAX: on all */
    struct world_reading *values; /* one a reading; the last one stays */
    uint32_t n;                   /* 0: there is no event */
};

/* Behind a PERF_EVENT_ARRAY, from index 0 on. */
struct world_counters {
    const char *map;
    struct world_counter *counters;
    uint32_t n;
};

/* struct perf_branch_entry. */
struct world_branch {
    uint64_t from, to;
    uint64_t mispred : 1, predicted : 1, in_tx : 1, abort : 1, cycles : 16, type : 4, rest : 40;
};

/* What IMA measured of an inode or a file. */
struct world_hash {
    uint64_t addr;
    uint32_t algorithm, size; /* enum hash_algo, bytes */
    unsigned char bytes[64];
};

/* An address of the kernel by name. */
struct world_symbol {
    const char *name;
    uint64_t addr;
};

/* A variable of the kernel that the target's types name. */
struct world_variable {
    const char *name;
    uint32_t type; /* of its value, in the target's types */
    bool percpu;
    uint64_t addr;   /* as symbols have it; per CPU: what world_percpu() takes, and nothing stands there itself */
    uint64_t size;   /* of one value */
    uint64_t *cpus;  /* where CPUs have their own */
    uint32_t n_cpus; /* so many, from CPU 0 on */
    uint64_t shared; /* where the other CPUs have theirs */
};

struct world {
    uint32_t refs; /* atomic */
    struct arena arena;
    struct btf *btf; /* the target's types; NULL: nothing asked for them */
    struct env_mem *mems;
    uint32_t n_mems;
    struct world_task *tasks;
    uint32_t n_tasks;
    const struct world_task *current; /* NULL: the file has no tasks */
    struct net net;
    bool has_net;             /* the file has one of its sections */
    const struct sock *socks; /* every run has copies of its own */
    uint32_t n_socks;
    struct world_cgroup *cgroups;
    uint32_t n_cgroups;
    struct world_ns *namespaces;
    uint32_t n_namespaces;
    struct world_symbol *symbols; /* sorted by name */
    uint32_t n_symbols;
    struct world_variable *variables; /* sorted by name */
    uint32_t n_variables;
    struct world_counters *perf_maps;
    uint32_t n_perf_maps, n_counters;
    struct world_counter prog_counter; /* of a perf_event program's own event */
    struct world_branch *branches;     /* the latest first */
    uint32_t n_branches;
    struct world_hash *hashes;
    uint32_t n_hashes;
    struct world_context *contexts;
    uint32_t n_contexts;
    struct world_mock *mocks;
    uint32_t n_mocks;
};

/* Where the types of the target come from, when something asks for them. */
struct world_types {
    /* @return 0 and *out, which becomes the world's; a negative errno, said. */
    int (*load)(void *ctx, const struct log *log, struct btf **out);
    void *ctx;
};

/* A context that stands outside of the text, as JSON of its own. */
struct world_extra {
    const char *section, *text;
    size_t size;
};

/**
 * Makes a world from a JSON text (docs/world.md describes it).
 * @param extra  a context more, for programs of a section, in the place of those that the text has for it; NULL: none.
 * @param types  NULL: there are none, and what needs them is refused.
 * @return 0 and *out with one reference; -EINVAL with a message that names the place in the text; -ENOMEM, also for a
 * world that would take more than 256 MiB.
 */
int world_build(const char *text, size_t size, const struct world_extra *extra, const struct world_types *types,
                const struct log *log, struct world **out);
struct world *world_get(struct world *world);
void world_put(struct world *world);

/** The task with this pid, or NULL. */
const struct world_task *world_task_by_pid(const struct world *world, uint32_t pid);
/** The task whose task_struct stands at this address, or NULL. */
const struct world_task *world_task_at(const struct world *world, uint64_t addr);
/** The task of this name or, in digits, this pid; NULL: there is none. */
const struct world_task *world_task_named(const struct world *world, const char *name);

/** Where these bytes of the world stand: of the kernel and of what every process has; of this task's process alone.
 * NULL: not there, or not in one piece. */
const void *world_memory_at(const struct world *world, uint64_t addr, uint64_t size);
const void *world_task_memory(const struct world_task *task, uint64_t addr, uint64_t size);

/** Does a structure of this type of the world begin at this address? */
bool world_is_object_of(const struct world *world, uint64_t addr, const char *type);

/** The area of the task that holds this address, or NULL. */
const struct world_vma *world_vma_at(const struct world_task *task, uint64_t addr);
/** The cgroup of this number, or of this structure; NULL: there is none. */
const struct world_cgroup *world_cgroup_by_id(const struct world *world, uint64_t id);
const struct world_cgroup *world_cgroup_at(const struct world *world, uint64_t addr);
/** Its ancestor on this level, itself included; NULL: it is not so deep, or there is none. */
const struct world_cgroup *world_cgroup_above(const struct world_cgroup *cgroup, uint32_t level);

/** The address of a symbol or variable. @return false: the world has none of this name. */
bool world_symbol(const struct world *world, const char *name, uint64_t *addr);

/** The variable of this name, or NULL. */
const struct world_variable *world_variable(const struct world *world, const char *name);
/** Where this CPU has what the address of a per-CPU variable (or of a part of one) stands for: the address of memory of
 *  the world, which is the kernel's: probes read it, programs do not. @return 0: no per-CPU variable stands there. */
uint64_t world_percpu(const struct world *world, uint64_t addr, uint32_t cpu);

/** The event at this index of the map of this name; NULL: there is none. */
const struct world_counter *world_counter(const struct world *world, const char *map, uint32_t index);
/** What was measured of the inode or file at this address; NULL: nothing. */
const struct world_hash *world_hash(const struct world *world, uint64_t addr);

/** The i-th context for programs of this section; NULL: there is none. */
const struct world_context_item *world_context(const struct world *world, const char *section, uint32_t i);

/** The run sees this world from now on (NULL: none), with this task as the current one (NULL: the file's). */
void world_enter(struct skep_env *env, const struct world *world, const struct world_task *task);
/** What helpers say of the current task becomes what its world says; addr alone is always the world's. */
void world_take_task(struct skep_env *env);

#endif
