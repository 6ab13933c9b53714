/*
 * What `skep world record` writes, and what it is made of. Everything is read from this machine as it is now; what this
 * user may not see is left out.
 */
#ifndef CLI_RECORD_H
#define CLI_RECORD_H

#include "cli/cli.h"

enum { RECORD_NS_KINDS = 8 };

/* A namespace that was met. */
struct record_ns {
    unsigned kind;
    uint32_t inum, parent; /* parent 0: none that can be seen */
    uint32_t dev;
};

struct record_nss {
    struct record_ns *all;
    size_t n, cap;
};

/* What one process has of them. */
struct record_of {
    uint32_t inum[RECORD_NS_KINDS]; /* 0: it cannot be seen */
    uint32_t pid, tgid;             /* its numbers in its own namespace of pids; 0: not known */
};

/** Reads the namespaces of a process into the list. @return false: no memory. */
bool record_namespaces(struct record_nss *list, uint32_t pid, struct record_of *of);
/** A line of /proc/PID/status that says numbers of namespaces. */
void record_status_line(const char *line, struct record_of *of);
/** Writes the section `namespaces`, parents first, and a task's members. */
void record_write_namespaces(const struct record_nss *list, struct json_writer *w);
void record_write_task(const struct record_of *of, struct json_writer *w);

/** Writes the sections `interfaces`, `routes`, `neighbours` and `sockets` of the network namespace that this process is
 *  in. What the kernel does not tell is left out. */
void record_write_net(struct json_writer *w);

#endif
