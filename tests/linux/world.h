/*
 * What one program of Linux's verifier suite needs around it: the maps that the suite creates, what it puts into them,
 * and the programs of its program arrays; noted once, then made anew for every way of running. And the kernel beside
 * it, which is asked about the same bytes.
 */
#ifndef TESTS_LINUX_WORLD_H
#define TESTS_LINUX_WORLD_H

#include "vm/facts.h"
#include "vm/maps/map.h"
#include "vm/prog.h"

enum { WORLD_MAPS = 64, WORLD_ELEMS = 16, WORLD_PROGS = 16, WORLD_INSNS = 8 };

struct world_prog {
    struct skep_insn insns[WORLD_INSNS];
    uint32_t n;
};

/* An element with a four-byte key: bytes, or a program of the world. */
struct world_elem {
    uint32_t map, key;
    int prog; /* -1: bytes */
    unsigned char value[64];
};

struct world {
    struct map_def maps[WORLD_MAPS], inner;
    uint32_t n_maps;
    struct world_elem elems[WORLD_ELEMS];
    uint32_t n_elems;
    struct world_prog progs[WORLD_PROGS];
    uint32_t n_progs;
};

/** Does Linux's BPF_PROG_TEST_RUN take packet bytes for this type? */
bool world_runs(const struct prog_type *type);

/**
 * Runs an accepted program on these bytes in every way of running that we have.
 * @param expected  what it must return; NULL: anything.
 * @return true; false with what went otherwise in why.
 */
bool world_run(const struct world *w, struct prog *prog, const struct facts *facts, const void *data, uint32_t size,
               const uint32_t *expected, char *why, size_t why_size);

/* The running kernel. */
enum oracle_verdict { ORACLE_UNKNOWN, ORACLE_ACCEPT, ORACLE_REFUSE };

struct oracle_map {
    uint32_t type, key, value, max, flags, inner_fd, btf_fd, btf_key, btf_value;
    const char *name;
};

struct oracle_prog {
    uint32_t type, attach_type, flags, attach_btf_id, prog_btf_fd;
    const void *insns;
    uint32_t n_insns;
    const void *func_info;
    uint32_t n_func_info, func_info_size;
};

/* Descriptors, or -1. */
int oracle_map(const struct oracle_map *m);
int oracle_update(int fd, const void *key, const void *value, uint64_t flags);
int oracle_btf(const void *data, uint32_t size);
int oracle_simple_prog(uint32_t type, const void *insns, uint32_t n);

/** Gives up every capability but CAP_BPF and CAP_NET_ADMIN, or takes them back. With CAP_BPF alone programs may not see
 *  pointers and are guarded against speculation, as unprivileged ones are. */
bool oracle_drop_capabilities(bool drop);

/** Loads a program and lets go of it. last: the last line of the log that says why; processed: instructions. EPERM and
 *  the like before the verifier ran leave the verdict unknown. */
enum oracle_verdict oracle_judge(const struct oracle_prog *p, char *last, size_t size, uint64_t *processed);

#endif
