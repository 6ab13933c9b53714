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

struct world_task {
    const char *name; /* for references and choice; NULL: none */
    uint32_t pid, tgid, uid, gid, ppid;
    bool has_ppid;
    char comm[16];
    uint64_t addr;                     /* of its task_struct; 0: none was made */
    const struct world_cgroup *cgroup; /* NULL: the file does not say */
    struct world_stack kernel, user;   /* what was recorded of its calls */
};

/* What a program gets in r1. */
struct world_context_item {
    unsigned char *data;
    uint32_t size;
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
    struct world_symbol *symbols; /* sorted by name */
    uint32_t n_symbols;
    struct world_variable *variables; /* sorted by name */
    uint32_t n_variables;
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

/**
 * Makes a world from a JSON text (docs/world.md describes it).
 * @param types  NULL: there are none, and what needs them is refused.
 * @return 0 and *out with one reference; -EINVAL with a message that names the place in the text; -ENOMEM, also for a
 * world that would take more than 256 MiB.
 */
int world_build(const char *text, size_t size, const struct world_types *types, const struct log *log,
                struct world **out);
struct world *world_get(struct world *world);
void world_put(struct world *world);

/** The task with this pid, or NULL. */
const struct world_task *world_task_by_pid(const struct world *world, uint32_t pid);
/** The task whose task_struct stands at this address, or NULL. */
const struct world_task *world_task_at(const struct world *world, uint64_t addr);
/** The task of this name or, in digits, this pid; NULL: there is none. */
const struct world_task *world_task_named(const struct world *world, const char *name);

/** The address of a symbol or variable. @return false: the world has none of this name. */
bool world_symbol(const struct world *world, const char *name, uint64_t *addr);

/** The variable of this name, or NULL. */
const struct world_variable *world_variable(const struct world *world, const char *name);
/** Where this CPU has what the address of a per-CPU variable (or of a part of one) stands for: the address of memory of
 *  the world, which is the kernel's: probes read it, programs do not. @return 0: no per-CPU variable stands there. */
uint64_t world_percpu(const struct world *world, uint64_t addr, uint32_t cpu);

/** The i-th context for programs of this section; NULL: there is none. */
const struct world_context_item *world_context(const struct world *world, const char *section, uint32_t i);

/** The run sees this world from now on (NULL: none), with this task as the current one (NULL: the file's). */
void world_enter(struct skep_env *env, const struct world *world, const struct world_task *task);
/** What helpers say of the current task becomes what its world says; addr alone is always the world's. */
void world_take_task(struct skep_env *env);

#endif
