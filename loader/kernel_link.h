/*
 * What attaching in Linux needs inside loader/kernel*.c. A link holds what must be undone: libbpf's links, a descriptor
 * of a link of Linux's that libbpf 1.1 has no call for, a filter under a qdisc, a socket.
 */
#ifndef LOADER_KERNEL_LINK_H
#define LOADER_KERNEL_LINK_H

#include "loader/kernel.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

struct kernel_link {
    char text[160];
    struct bpf_link **links; /* libbpf's */
    uint32_t n_links;
    int fd;     /* a link of Linux's that libbpf does not hold; -1: none */
    int socket; /* a socket with the program as its filter; -1: none */
    bool own_socket, pinned;
    bool has_tc, own_qdisc; /* a filter under clsact; and the qdisc is ours */
    uint32_t ifindex;
    enum bpf_tc_attach_point point;
    uint32_t handle, priority;
    int map_fd, prog_fd; /* of a map of sockets that holds the program; -1: none */
    enum bpf_attach_type attach_type;
};

struct attaching {
    struct bpf_program *prog;
    int prog_fd;
    const struct kernel_attach *how;
    struct kernel_link *link;
    struct buf *why; /* what is missing, when it is not Linux that says no */
};

/** A link that holds nothing yet. @return NULL: no memory. */
struct kernel_link *kernel_link_new(void);
/** Gives it a link of libbpf's, or (NULL) libbpf's errno back. */
int kernel_link_add(struct attaching *a, struct bpf_link *link);
/** Says that and why something is not attached. @return err. */
int kernel_not_attached(const char *name, const char *section, int err, const struct buf *why, const struct buf *said,
                        const struct log *log);

#endif
