/*
 * Linux, through libbpf. loader/kernel*.c are the only files that include its bpf API; they are left out where libbpf
 * is not installed, with api/kernel*.c, which call them. What comes here has been read by our own reader before:
 * libbpf's does not survive every damaged object.
 *
 * A `struct kernel_object` is one instance in Linux: the maps and programs of an object by its indices, as descriptors
 * that live until kernel_close(). Nothing here knows the public API.
 */
#ifndef LOADER_KERNEL_H
#define LOADER_KERNEL_H

#include "base/buf.h"
#include "loader/object.h"

struct kernel_object;

struct kernel_opts {
    const char *btf_path, *kconfig, *pin_root; /* NULL: the running kernel's, the system's, nowhere */
    const int *reuse;                          /* by map: a descriptor to share; -1: none */
};

/* Why Linux did not take an object. */
struct kernel_refusal {
    int32_t prog;    /* the program that was refused, by index; -1: something before that */
    struct buf log;  /* what the verifier said of it */
    struct buf said; /* libbpf's warnings */
};

void kernel_refusal_free(struct kernel_refusal *why);

/** Loads an object as it is now, changes between open and load included. @return 0 and *out; a negative errno and *why,
 *  which is to be freed in any case. */
int kernel_load(const struct object *obj, const struct kernel_opts *opts, const struct log *log,
                struct kernel_refusal *why, struct kernel_object **out);
void kernel_close(struct kernel_object *k);

/** -1: not created, not loaded. */
int kernel_map_fd(const struct kernel_object *k, uint32_t map);
uint32_t kernel_map_max_entries(const struct kernel_object *k, uint32_t map);
int kernel_prog_fd(const struct kernel_object *k, uint32_t prog);
/** CPUs that per-CPU values are kept for. */
uint32_t kernel_cpus(void);

/** What an errno of Linux's means here, and what to do; "" for nothing to add. */
void kernel_explain(int err, const char *doing, struct buf *out);

/* ---- Maps, by descriptor ---- */

int kernel_map_lookup(int fd, const void *key, void *value, uint64_t flags);
int kernel_map_update(int fd, const void *key, const void *value, uint64_t flags);
int kernel_map_delete(int fd, const void *key);
int kernel_map_lookup_and_delete(int fd, const void *key, void *value, uint64_t flags);
int kernel_map_next_key(int fd, const void *key, void *next);
int kernel_map_freeze(int fd);
int kernel_map_lookup_batch(int fd, bool take, const void *in, void *out, void *keys, void *values, uint32_t *count,
                            uint64_t elem_flags);
int kernel_map_update_batch(int fd, const void *keys, const void *values, uint32_t *count, uint64_t elem_flags);
int kernel_map_delete_batch(int fd, const void *keys, uint32_t *count, uint64_t elem_flags);
/** Opens a map that lives already: by its pinned path, or (NULL) by its number. @return a descriptor, and what it is in
 *  *def (its name cut to Linux's 15 characters); or a negative errno. */
int kernel_map_open(const char *path, uint32_t id, struct map_def *def);
/** The maps of a program that is loaded: named by its number, or by its name (the youngest of that name).
 *  @return how many numbers stand in ids, at most room; -ENOENT. */
int kernel_prog_maps(const char *prog, uint32_t *ids, uint32_t room);

/* ---- Programs ---- */

struct kernel_run {
    const void *data_in, *ctx_in;
    void *data_out, *ctx_out;
    uint32_t data_size_in, ctx_size_in, data_size_out, ctx_size_out; /* out sizes: room, then length */
    uint32_t retval, duration;
    int repeat;
};
int kernel_test_run(int fd, struct kernel_run *run);

struct kernel_stats {
    uint32_t id;
    uint64_t run_cnt, run_time_ns, recursion_misses, verified_insns;
};
int kernel_prog_stats(int fd, struct kernel_stats *out);

/* ---- Readers ---- */

struct kernel_ring;
struct kernel_perf;
typedef int (*kernel_record_fn)(void *ctx, void *data, size_t size);
typedef void (*kernel_sample_fn)(void *ctx, int cpu, void *data, uint32_t size);
typedef void (*kernel_lost_fn)(void *ctx, int cpu, unsigned long long count);

/** rb NULL: a new one. @return it, or NULL with errno. */
struct kernel_user_ring;
struct kernel_user_ring *kernel_user_ring_new(int fd);
void *kernel_user_ring_reserve(struct kernel_user_ring *rb, uint32_t size);
void *kernel_user_ring_reserve_blocking(struct kernel_user_ring *rb, uint32_t size, int timeout_ms);
void kernel_user_ring_commit(struct kernel_user_ring *rb, void *sample, bool discard);
void kernel_user_ring_free(struct kernel_user_ring *rb);

struct kernel_ring *kernel_ring_add(struct kernel_ring *rb, int fd, kernel_record_fn fn, void *ctx);
int kernel_ring_poll(struct kernel_ring *rb, int timeout_ms);
int kernel_ring_consume(struct kernel_ring *rb);
int kernel_ring_fd(const struct kernel_ring *rb);
void kernel_ring_free(struct kernel_ring *rb);

struct kernel_perf *kernel_perf_new(int fd, size_t pages, kernel_sample_fn sample, kernel_lost_fn lost, void *ctx);
int kernel_perf_poll(struct kernel_perf *pb, int timeout_ms);
int kernel_perf_consume(struct kernel_perf *pb);
int kernel_perf_fd(const struct kernel_perf *pb);
size_t kernel_perf_count(const struct kernel_perf *pb);
void kernel_perf_free(struct kernel_perf *pb);

/** Counts and times of every program of the system, until the descriptor is closed. */
int kernel_enable_stats(void);

/* ---- Attaching ---- */

struct kernel_attach {
    const char *section, *target; /* the program's section; what follows its type there, or what stands in its place */
    uint32_t ifindex;
    uint32_t xdp_generic : 1, xdp_native : 1, xdp_offload : 1, egress : 1, clsact : 1;
    int32_t pid, fd;
    uint64_t freq, cookie;
};

struct kernel_link;
/** Attaches a loaded program. @return 0 and *out; a negative errno, said. */
int kernel_attach(const struct kernel_object *k, uint32_t prog, const struct kernel_attach *how, const struct log *log,
                  struct kernel_link **out);
int kernel_attach_struct_ops(const struct kernel_object *k, const char *map, const struct log *log,
                             struct kernel_link **out);
const char *kernel_link_text(const struct kernel_link *link);
int kernel_link_fd(const struct kernel_link *link); /* -1: none of Linux's links */
int kernel_link_pin(struct kernel_link *link, const char *path);
int kernel_link_open_iter(const struct kernel_link *link);
int kernel_link_free(struct kernel_link *link);

/* ---- For the other files of loader/kernel*.c ---- */

/* libbpf speaks to one function of the whole process. Between begin and end it speaks to a buffer: one thread at a
 * time, whose words alone are taken; other threads' go where they went before. */
void kernel_listen(struct buf *heard);
void kernel_listen_end(void);

struct bpf_object;
struct bpf_program;
/** The file as libbpf 1.1 understands its struct_ops, to be freed; NULL: it does as it is. */
void *kernel_older_image(const struct object *obj);
/** Between libbpf's open and load. */
int kernel_prepare_struct_ops(struct bpf_object *bpf, const struct object *obj);
struct bpf_object *kernel_bpf(const struct kernel_object *k);
struct bpf_program *kernel_bpf_prog(const struct kernel_object *k, uint32_t prog);

#endif
