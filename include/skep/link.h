/*
 * Attaching programs of Linux's backend to what runs them, and what Linux counts of them.
 *
 * A link is one attachment. skep_link__destroy() ends it, except where it was pinned: then it lives until its file
 * goes. Attachments that are no links of Linux's (tc by clsact, a socket's filter, perf events of old kernels) end with
 * skep_link__destroy() and cannot be pinned.
 */
#ifndef SKEP_LINK_H
#define SKEP_LINK_H

#include <skep/object.h>

#ifdef __cplusplus
extern "C" {
#endif

struct skep_link;

/* How an XDP program is attached; none: the driver's way where it has one, else the generic one. */
enum { SKEP_XDP_GENERIC = 1, SKEP_XDP_NATIVE = 2, SKEP_XDP_OFFLOAD = 4 };

/** Where a program is attached. What the section name says need not be said again. */
struct skep_attach_opts {
    size_t sz;
    /* In place of what follows the type in the section name: "sched/sched_switch", "vfs_read", "/bin/x:function",
     * "/bin/x:provider:name" ... NULL: the section's. */
    const char *target;
    uint32_t ifindex;   /* XDP, tc: the interface */
    uint32_t xdp_flags; /* SKEP_XDP_* */
    bool egress;        /* tc, where the section says neither: not on ingress */
    bool clsact;        /* tc: by a qdisc even where Linux has tcx */
    int32_t pid;        /* uprobes, perf events: of this process alone; 0: of all */
    uint64_t freq;      /* perf events: samples a second; 0: 99 */
    uint64_t cookie;    /* bpf_get_attach_cookie() */
    int32_t fd;         /* cgroups: the directory; sk_lookup: the network namespace; socket filters: the socket;
                           sockmap programs: the map. 0: none */
};

/** Attaches a loaded program. @return NULL with errno: EOPNOTSUPP (a program of this process; a type that is attached
 * to nothing), EINVAL (what it is to be attached to is not said, or there is no such thing), or Linux's. The vm's log
 * says why and what to do. */
SKEP_API struct skep_link *skep_program__attach(struct skep_program *prog, const struct skep_attach_opts *opts);
/** Registers the object's struct_ops map of this name with Linux. */
SKEP_API struct skep_link *skep_object__attach_struct_ops(struct skep_object *obj, const char *map_name);
/** "tcx/ingress eth0": what it is attached by, and to. */
SKEP_API const char *skep_link__text(const struct skep_link *link);
/** The link's descriptor; -1: it is none of Linux's links. */
SKEP_API int skep_link__fd(const struct skep_link *link);
/** Keeps it attached when it is destroyed, by a file on a bpffs. -EOPNOTSUPP: it is none of Linux's links. */
SKEP_API int skep_link__pin(struct skep_link *link, const char *path);
/** Ends the attachment (unless it is pinned) and frees the link. NULL is fine. */
SKEP_API int skep_link__destroy(struct skep_link *link);
/** An iterator's link: opens the text that its program writes. @return a descriptor to read. */
SKEP_API int skep_link__open_iter(const struct skep_link *link);

/** What Linux counts of a program. Times only while statistics are on. */
struct skep_program_stats {
    size_t sz;
    uint32_t id;
    uint64_t run_cnt, run_time_ns, recursion_misses, verified_insns;
};
SKEP_API int skep_program__stats(const struct skep_program *prog, struct skep_program_stats *out);
/** Turns statistics of the running kernel on until the descriptor is closed. @return it, or a negative errno. */
SKEP_API int skep_enable_stats(void);

#ifdef __cplusplus
}
#endif

#endif
