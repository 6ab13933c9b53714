/*
 * Worlds from files: tasks, cgroups, structures of the kernel, memory of processes, for the programs that ask for them.
 *
 * A world is made from JSON (docs/world.md describes it), in the layout of a target's types, and never changes
 * afterwards: any number of vms and of runs on any number of threads may share one. A vm's world (skep_vm_opts.world)
 * is what its runs see unless they name another one (skep_world.file).
 */
#ifndef SKEP_WORLD_H
#define SKEP_WORLD_H

#include <skep/types.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

struct skep_world_file;

struct skep_world_open_opts {
    size_t sz;
    const char *btf_custom_path; /* types of the target (BTF, or ELF with a .BTF section); NULL: the running kernel's */
    const char *name;            /* of the file, for messages of open_mem(); NULL: "world" */
    skep_log_fn log;             /* says what is wrong with the file, and where; NULL: silent */
    void *log_ctx;
    enum skep_log_level log_level;
    /* A context more, as JSON text of its own that may go afterwards: for programs of this section ("cgroup/connect4"),
     * in the place of those that the world has for it. Both or neither. */
    const char *section, *context;
    size_t context_size;
};

/* A context of a world: the bytes that r1 points to. */
struct skep_context {
    size_t sz;
    const void *data;
    uint32_t size;
    const char *sysctl_name, *sysctl_value; /* of cgroup/sysctl programs (struct skep_world); NULL: not said */
};

/**
 * Reads a world. Types are loaded when something in it asks for them.
 * @return to be given back with skep_world__free(). NULL with errno EINVAL (damaged, or not a world: the log names line
 * and member), ENOMEM (it would take more than 256 MiB), or the system's (ENOENT ...).
 */
SKEP_API struct skep_world_file *skep_world__open_file(const char *path, const struct skep_world_open_opts *opts);
/** The same from text in memory, which may go afterwards. */
SKEP_API struct skep_world_file *skep_world__open_mem(const void *text, size_t size,
                                                      const struct skep_world_open_opts *opts);
/** Gives the caller's reference back: vms keep their own, a run that names it must have ended. NULL is fine. */
SKEP_API void skep_world__free(struct skep_world_file *file);

/** How many tasks it has. */
SKEP_API uint32_t skep_world__task_cnt(const struct skep_world_file *file);
/** Is there a task with this pid? */
SKEP_API bool skep_world__has_task(const struct skep_world_file *file, uint32_t pid);
/** How many contexts it has for programs of this section ("kprobe/do_exit"). */
SKEP_API uint32_t skep_world__context_cnt(const struct skep_world_file *file, const char *section);
/** The i-th of them, from 0: *out is the world's, until it is freed. @return 0; -ENOENT: there are not so many;
 * -EINVAL. */
SKEP_API int skep_world__context(const struct skep_world_file *file, const char *section, uint32_t i,
                                 struct skep_context *out);
/** The pid of the task of this name ("&" or "name" in the file), or of this number as text. @return -ENOENT: there is
 * none. */
SKEP_API int64_t skep_world__find_task(const struct skep_world_file *file, const char *name);

#ifdef __cplusplus
}
#endif

#endif
