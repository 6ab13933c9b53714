/* Maps, test runs, statistics and readers of Linux, by descriptor. Results are 0 or a negative errno, as Linux gave it.
 */
#include "loader/kernel.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int result(int err)
{
    return err < 0 ? err : 0;
}

int kernel_map_lookup(int fd, const void *key, void *value, uint64_t flags)
{
    return result(bpf_map_lookup_elem_flags(fd, key, value, flags));
}

int kernel_map_update(int fd, const void *key, const void *value, uint64_t flags)
{
    return result(bpf_map_update_elem(fd, key, value, flags));
}

int kernel_map_delete(int fd, const void *key)
{
    return result(bpf_map_delete_elem(fd, key));
}

int kernel_map_lookup_and_delete(int fd, const void *key, void *value, uint64_t flags)
{
    return result(bpf_map_lookup_and_delete_elem_flags(fd, key, value, flags));
}

int kernel_map_next_key(int fd, const void *key, void *next)
{
    return result(bpf_map_get_next_key(fd, key, next));
}

int kernel_map_freeze(int fd)
{
    return result(bpf_map_freeze(fd));
}

int kernel_map_lookup_batch(int fd, bool take, const void *in, void *out, void *keys, void *values, uint32_t *count,
                            uint64_t elem_flags)
{
    LIBBPF_OPTS(bpf_map_batch_opts, opts, .elem_flags = elem_flags);
    return result(take ? bpf_map_lookup_and_delete_batch(fd, (void *)in, out, keys, values, count, &opts)
                       : bpf_map_lookup_batch(fd, (void *)in, out, keys, values, count, &opts));
}

int kernel_map_update_batch(int fd, const void *keys, const void *values, uint32_t *count, uint64_t elem_flags)
{
    LIBBPF_OPTS(bpf_map_batch_opts, opts, .elem_flags = elem_flags);
    return result(bpf_map_update_batch(fd, keys, values, count, &opts));
}

int kernel_map_delete_batch(int fd, const void *keys, uint32_t *count, uint64_t elem_flags)
{
    LIBBPF_OPTS(bpf_map_batch_opts, opts, .elem_flags = elem_flags);
    return result(bpf_map_delete_batch(fd, keys, count, &opts));
}

int kernel_map_open(const char *path, uint32_t id, struct map_def *def)
{
    struct bpf_map_info info;
    uint32_t len = sizeof(info);
    memset(&info, 0, sizeof(info));
    int fd = path ? bpf_obj_get(path) : bpf_map_get_fd_by_id(id);
    if (fd < 0)
        return fd;
    int err = bpf_obj_get_info_by_fd(fd, &info, &len); /* a pinned program or link has another length, but no error */
    if (!err && !info.type)
        err = -EINVAL;
    if (err) {
        close(fd);
        return err;
    }
    *def = (struct map_def){.type = info.type,
                            .key_size = info.key_size,
                            .value_size = info.value_size,
                            .max_entries = info.max_entries,
                            .flags = info.map_flags,
                            .extra = info.map_extra,
                            .spin_lock_off = -1};
    snprintf(def->name, sizeof(def->name), "%s", info.name);
    return fd;
}

static int prog_info(uint32_t id, struct bpf_prog_info *info, uint32_t *ids, uint32_t room)
{
    uint32_t len = sizeof(*info);
    int fd = bpf_prog_get_fd_by_id(id);
    if (fd < 0)
        return fd;
    memset(info, 0, sizeof(*info));
    info->map_ids = (uint64_t)(uintptr_t)ids;
    info->nr_map_ids = room;
    int err = bpf_obj_get_info_by_fd(fd, info, &len);
    close(fd);
    return err;
}

int kernel_prog_maps(const char *prog, uint32_t *ids, uint32_t room)
{
    struct bpf_prog_info info;
    char *end;
    uint32_t id = (uint32_t)strtoul(prog, &end, 0), found = *prog && !*end ? id : 0;
    for (id = 0; !found && !bpf_prog_get_next_id(id, &id);)
        if (!prog_info(id, &info, NULL, 0) && !strncmp(info.name, prog, sizeof(info.name) - 1))
            found = id;
    for (; id && found && !bpf_prog_get_next_id(id, &id);) /* the youngest has the largest number */
        if (!prog_info(id, &info, NULL, 0) && !strncmp(info.name, prog, sizeof(info.name) - 1))
            found = id;
    int err = found ? prog_info(found, &info, ids, room) : -ENOENT;
    return err ? err : (int)(info.nr_map_ids < room ? info.nr_map_ids : room);
}

int kernel_test_run(int fd, struct kernel_run *r)
{
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = r->data_in, .data_size_in = r->data_size_in,
                .data_out = r->data_out, .data_size_out = r->data_size_out, .ctx_in = r->ctx_in,
                .ctx_size_in = r->ctx_size_in, .ctx_out = r->ctx_out, .ctx_size_out = r->ctx_size_out,
                .repeat = r->repeat);
    int err = bpf_prog_test_run_opts(fd, &opts);
    if (err && err != -ENOSPC)
        return err;
    r->retval = opts.retval;
    r->duration = opts.duration;
    r->data_size_out = opts.data_size_out;
    r->ctx_size_out = opts.ctx_size_out;
    return err;
}

int kernel_prog_stats(int fd, struct kernel_stats *out)
{
    /* Debian 12's struct has recursion_misses and verified_insns; what an older Linux does not fill stays zero. */
    struct bpf_prog_info info;
    uint32_t len = sizeof(info);
    memset(&info, 0, sizeof(info));
    int err = bpf_obj_get_info_by_fd(fd, &info, &len);
    if (err)
        return result(err);
    *out = (struct kernel_stats){.id = info.id,
                                 .run_cnt = info.run_cnt,
                                 .run_time_ns = info.run_time_ns,
                                 .recursion_misses = info.recursion_misses,
                                 .verified_insns = info.verified_insns};
    return 0;
}

int kernel_enable_stats(void)
{
    return bpf_enable_stats(BPF_STATS_RUN_TIME);
}

/* ---- Readers: the types are libbpf's under names of ours ---- */

static struct ring_buffer *ring(const struct kernel_ring *rb)
{
    return (struct ring_buffer *)rb;
}

struct kernel_ring *kernel_ring_add(struct kernel_ring *rb, int fd, kernel_record_fn fn, void *ctx)
{
    if (!rb)
        return (struct kernel_ring *)ring_buffer__new(fd, fn, ctx, NULL);
    int err = ring_buffer__add(ring(rb), fd, fn, ctx);
    if (err)
        errno = -err;
    return err ? NULL : rb;
}

int kernel_ring_poll(struct kernel_ring *rb, int timeout_ms)
{
    return ring_buffer__poll(ring(rb), timeout_ms);
}

int kernel_ring_consume(struct kernel_ring *rb)
{
    return ring_buffer__consume(ring(rb));
}

int kernel_ring_fd(const struct kernel_ring *rb)
{
    return ring_buffer__epoll_fd(ring(rb));
}

void kernel_ring_free(struct kernel_ring *rb)
{
    ring_buffer__free(ring(rb));
}

static struct perf_buffer *perf(const struct kernel_perf *pb)
{
    return (struct perf_buffer *)pb;
}

struct kernel_perf *kernel_perf_new(int fd, size_t pages, kernel_sample_fn sample, kernel_lost_fn lost, void *ctx)
{
    return (struct kernel_perf *)perf_buffer__new(fd, pages, sample, lost, ctx, NULL);
}

int kernel_perf_poll(struct kernel_perf *pb, int timeout_ms)
{
    return perf_buffer__poll(perf(pb), timeout_ms);
}

int kernel_perf_consume(struct kernel_perf *pb)
{
    return perf_buffer__consume(perf(pb));
}

int kernel_perf_fd(const struct kernel_perf *pb)
{
    return perf_buffer__epoll_fd(perf(pb));
}

size_t kernel_perf_count(const struct kernel_perf *pb)
{
    return perf_buffer__buffer_cnt(perf(pb));
}

void kernel_perf_free(struct kernel_perf *pb)
{
    perf_buffer__free(perf(pb));
}

static struct user_ring_buffer *user_ring(const struct kernel_user_ring *rb)
{
    return (struct user_ring_buffer *)rb;
}

struct kernel_user_ring *kernel_user_ring_new(int fd)
{
    return (struct kernel_user_ring *)user_ring_buffer__new(fd, NULL);
}

void *kernel_user_ring_reserve(struct kernel_user_ring *rb, uint32_t size)
{
    return user_ring_buffer__reserve(user_ring(rb), size);
}

void *kernel_user_ring_reserve_blocking(struct kernel_user_ring *rb, uint32_t size, int timeout_ms)
{
    return user_ring_buffer__reserve_blocking(user_ring(rb), size, timeout_ms);
}

void kernel_user_ring_commit(struct kernel_user_ring *rb, void *sample, bool discard)
{
    if (discard)
        user_ring_buffer__discard(user_ring(rb), sample);
    else
        user_ring_buffer__submit(user_ring(rb), sample);
}

void kernel_user_ring_free(struct kernel_user_ring *rb)
{
    user_ring_buffer__free(user_ring(rb));
}
