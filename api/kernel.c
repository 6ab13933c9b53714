/*
 * Objects in Linux. Load hands over what the object is by then; a handle's descriptor is borrowed from libbpf's object,
 * which lives as long as the instance, except that of a map to be reused, which is our own until then. Data sections
 * are mapped when a variable is first looked at; the mapping goes with the object.
 */
#include "api/kernel.h"
#include "vm/abi/map_types.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- Loading ---- */

static int *reused_fds(const struct skep_object *o)
{
    int *fds = malloc(((size_t)o->obj->n_maps + 1) * sizeof(*fds));
    for (uint32_t i = 0; fds && i < o->obj->n_maps; i++)
        fds[i] = o->maps[i].reused ? o->maps[i].fd : -1;
    return fds;
}

/* What becomes of a map's size is libbpf's to say (perf arrays have an entry a CPU, rings are whole pages). Instances
 * share definitions, so only the first writes them. */
static void adopt(struct skep_object *o, bool first)
{
    for (uint32_t i = 0; i < o->obj->n_maps; i++) {
        int fd = kernel_map_fd(o->kernel, i);
        if (o->maps[i].reused)
            close(o->maps[i].fd);
        o->maps[i].fd = fd;
        if (fd < 0)
            continue;
        o->maps[i].ops = &kernel_map;
        if (first)
            o->obj->maps[i].def.max_entries = kernel_map_max_entries(o->kernel, i);
    }
    for (uint32_t i = 0; i < o->obj->n_progs; i++) {
        o->progs[i].fd = kernel_prog_fd(o->kernel, i);
        if (o->progs[i].fd >= 0)
            o->progs[i].ops = &kernel_program;
    }
}

static int load_instance(struct skep_object *o, bool first, const struct log *log)
{
    int *reuse = reused_fds(o);
    if (!reuse)
        return log_fail(log, -ENOMEM, "out of memory");
    struct kernel_opts opts = {.btf_path = o->btf_path, .kconfig = o->kconfig, .pin_root = o->pin_root, .reuse = reuse};
    struct kernel_refusal why;
    int err = kernel_load(o->obj, &opts, log, &why, &o->kernel);
    free(reuse);
    if (!err)
        adopt(o, first);
    else
        kernel_report(o, err, &why, log);
    kernel_refusal_free(&why);
    return err;
}

/* Choices of execution are the userspace's; only what would make a difference is refused. */
static int load_there(struct skep_object *o, const struct log *log)
{
    if (o->exec.checked || o->exec.check_invariants || o->exec.lenient)
        return log_fail(log, -EOPNOTSUPP, "Linux runs what its verifier accepts, and cannot run it checked or lenient");
    if (o->exec.privilege == SKEP_UNPRIVILEGED || o->exec.verify_insns)
        return log_fail(
            log, -EOPNOTSUPP,
            "Linux's verifier goes by the rights of this process and by a bound of its own, which cannot be "
            "set for an object");
    return load_instance(o, true, log);
}

static int reuse_there(struct skep_map *map, const struct skep_map *other)
{
    int fd = fcntl(other->fd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return -errno;
    if (map->reused)
        close(map->fd);
    map->fd = fd;
    map->reused = true;
    return 0;
}

static int clone_there(struct skep_object *o, const struct skep_object *from, const struct log *log)
{
    int err = 0;
    for (uint32_t i = 0; i < o->obj->n_maps && !err; i++)
        if (from->maps[i].reused)
            err = reuse_there(&o->maps[i], &from->maps[i]);
    return err ? err : load_instance(o, false, log);
}

static size_t mapped_size(const struct skep_map *map)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return ((size_t)map->def->value_size + page - 1) / page * page;
}

static void unload_there(struct skep_object *o)
{
    for (uint32_t i = 0; i < o->obj->n_maps; i++) {
        if (o->maps[i].memory)
            munmap(o->maps[i].memory, mapped_size(&o->maps[i]));
        if (o->maps[i].reused && !o->kernel) /* never handed over */
            close(o->maps[i].fd);
    }
    kernel_close(o->kernel);
}

static int stats_there(const struct skep_program *prog, struct skep_program_stats *out)
{
    struct kernel_stats s;
    int err = kernel_prog_stats(prog->fd, &s);
    if (err)
        return err;
    out->id = s.id;
    out->run_cnt = s.run_cnt;
    out->run_time_ns = s.run_time_ns;
    out->recursion_misses = s.recursion_misses;
    out->verified_insns = s.verified_insns;
    return 0;
}

static struct skep_map *open_map(struct skep_vm *vm, const char *path, uint32_t id)
{
    struct skep_map *map = calloc(1, sizeof(*map));
    struct map_def *def = calloc(1, sizeof(*def));
    int fd = map && def ? kernel_map_open(path, id, def) : -ENOMEM;
    if (fd < 0) {
        free(map);
        free(def);
        return fail_null(fd);
    }
    *map = (struct skep_map){.ops = &kernel_map, .vm = vm_get(vm), .def = def, .fd = fd};
    return map;
}

static void close_map(struct skep_map *map)
{
    close(map->fd);
    free(map->def);
}

const struct object_backend kernel_backend = {.id = SKEP_BACKEND_KERNEL,
                                              .maps = &kernel_map,
                                              .load = load_there,
                                              .clone = clone_there,
                                              .reuse = reuse_there,
                                              .close = unload_there,
                                              .attach = kernel_link_attach_prog,
                                              .attach_struct_ops = kernel_link_attach_map,
                                              .stats = stats_there,
                                              .enable_stats = kernel_enable_stats,
                                              .open_map = open_map,
                                              .prog_maps = kernel_prog_maps};

/* ---- Maps ---- */

static int lookup(const struct skep_map *map, const void *key, void *value, uint64_t flags)
{
    return kernel_map_lookup(map->fd, key, value, flags);
}

static int update(const struct skep_map *map, const void *key, const void *value, uint64_t flags)
{
    return kernel_map_update(map->fd, key, value, flags);
}

static int delete_key(const struct skep_map *map, const void *key)
{
    return kernel_map_delete(map->fd, key);
}

static int lookup_and_delete(const struct skep_map *map, const void *key, void *value, uint64_t flags)
{
    return kernel_map_lookup_and_delete(map->fd, key, value, flags);
}

static int next_key(const struct skep_map *map, const void *key, void *next)
{
    return kernel_map_next_key(map->fd, key, next);
}

static int batch(const struct skep_map *map, const struct batch *b)
{
    switch (b->kind) {
    case BATCH_LOOKUP:
    case BATCH_TAKE:
        return kernel_map_lookup_batch(map->fd, b->kind == BATCH_TAKE, b->in, b->out, b->keys, b->values, b->count,
                                       b->elem_flags);
    case BATCH_UPDATE: return kernel_map_update_batch(map->fd, b->keys, b->values, b->count, b->elem_flags);
    case BATCH_DELETE: break;
    }
    return kernel_map_delete_batch(map->fd, b->keys, b->count, b->elem_flags);
}

static int freeze(struct skep_map *map)
{
    return kernel_map_freeze(map->fd);
}

static bool frozen(const struct skep_map *map)
{
    return map->object && object_map_is_constant(map_of(map));
}

/* Only what lives in Linux can be put into a map there. */
static int lives_here(const struct skep_map *map, const char *what, const char *name)
{
    return log_fail(&map->vm->log, -EINVAL, "%s '%s' lives in this process and cannot be put into map '%s' in Linux",
                    what, name, map->def->name);
}

static int set_program(struct skep_map *map, uint32_t index, struct skep_program *prog)
{
    if (!prog)
        return kernel_map_delete(map->fd, &index);
    if (!prog->ops)
        return -EINVAL;
    if (prog->ops != &kernel_program)
        return lives_here(map, "program", prog->name);
    return kernel_map_update(map->fd, &index, &prog->fd, 0);
}

static int set_inner(struct skep_map *map, const void *key, struct skep_map *inner, uint64_t flags)
{
    if (!inner)
        return kernel_map_delete(map->fd, key);
    if (!inner->ops)
        return -EINVAL;
    if (inner->ops != &kernel_map)
        return lives_here(map, "map", inner->def->name);
    return kernel_map_update(map->fd, key, &inner->fd, flags);
}

static uint32_t host_value_size(const struct skep_map *map)
{
    uint32_t size = map->def->value_size;
    return skep_map__is_percpu(map) ? (size + 7) / 8 * 8 * kernel_cpus() : size;
}

static void *direct(const struct skep_map *map)
{
    struct skep_map *m = (struct skep_map *)map;
    void *memory = __atomic_load_n(&m->memory, __ATOMIC_ACQUIRE), *none = NULL;
    if (memory || !map->object || !map_of(map)->internal)
        return memory;
    int access = frozen(map) ? PROT_READ : PROT_READ | PROT_WRITE;
    memory = mmap(NULL, mapped_size(map), access, MAP_SHARED, map->fd, 0);
    if (memory == MAP_FAILED)
        return NULL;
    if (!__atomic_compare_exchange_n(&m->memory, &none, memory, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        munmap(memory, mapped_size(map)); /* another thread was first */
        memory = none;
    }
    return memory;
}

static int map_fd(const struct skep_map *map)
{
    return map->fd;
}

/* ---- Readers ---- */

struct ring_reader {
    struct skep_ring_buffer public;
    struct kernel_ring *rb; /* NULL until the first map */
};

static struct ring_reader *ring_of(const struct skep_ring_buffer *rb)
{
    return (struct ring_reader *)rb;
}

static int add_ring(struct skep_ring_buffer *rb, struct skep_map *map, skep_ring_buffer_sample_fn fn, void *ctx)
{
    if (map->ops != &kernel_map)
        return -EINVAL;
    struct kernel_ring *with = kernel_ring_add(ring_of(rb)->rb, map->fd, fn, ctx);
    if (!with)
        return -errno;
    ring_of(rb)->rb = with;
    return 0;
}

static int poll_ring(struct skep_ring_buffer *rb, int timeout_ms)
{
    return kernel_ring_poll(ring_of(rb)->rb, timeout_ms);
}

static int consume_ring(struct skep_ring_buffer *rb)
{
    return kernel_ring_consume(ring_of(rb)->rb);
}

static int ring_fd(const struct skep_ring_buffer *rb)
{
    return kernel_ring_fd(ring_of(rb)->rb);
}

static void free_ring(struct skep_ring_buffer *rb)
{
    kernel_ring_free(ring_of(rb)->rb);
    free(rb);
}

static struct skep_ring_buffer *ring_reader(void)
{
    static const struct ring_backend ops = {
        .add = add_ring, .poll = poll_ring, .consume = consume_ring, .epoll_fd = ring_fd, .free = free_ring};
    struct ring_reader *r = calloc(1, sizeof(*r));
    if (!r)
        return fail_null(-ENOMEM);
    r->public.ops = &ops;
    return &r->public;
}

struct perf_reader {
    struct skep_perf_buffer public;
    struct kernel_perf *pb;
    skep_perf_buffer_sample_fn sample;
    skep_perf_buffer_lost_fn lost;
    void *ctx;
};

static struct perf_reader *perf_of(const struct skep_perf_buffer *pb)
{
    return (struct perf_reader *)pb;
}

static void on_sample(void *ctx, int cpu, void *data, uint32_t size)
{
    struct perf_reader *r = ctx;
    r->sample(r->ctx, cpu, data, size);
}

static void on_lost(void *ctx, int cpu, unsigned long long count)
{
    struct perf_reader *r = ctx;
    if (r->lost)
        r->lost(r->ctx, cpu, count);
}

static int poll_perf(struct skep_perf_buffer *pb, int timeout_ms)
{
    return kernel_perf_poll(perf_of(pb)->pb, timeout_ms);
}

static int consume_perf(struct skep_perf_buffer *pb)
{
    return kernel_perf_consume(perf_of(pb)->pb);
}

static int perf_fd(const struct skep_perf_buffer *pb)
{
    return kernel_perf_fd(perf_of(pb)->pb);
}

static size_t count_perf(const struct skep_perf_buffer *pb)
{
    return kernel_perf_count(perf_of(pb)->pb);
}

static void free_perf(struct skep_perf_buffer *pb)
{
    kernel_perf_free(perf_of(pb)->pb);
    free(pb);
}

static struct skep_perf_buffer *perf_reader(struct skep_map *map, size_t pages, skep_perf_buffer_sample_fn sample,
                                            skep_perf_buffer_lost_fn lost, void *ctx)
{
    static const struct perf_backend ops = {
        .poll = poll_perf, .consume = consume_perf, .epoll_fd = perf_fd, .count = count_perf, .free = free_perf};
    struct perf_reader *r = calloc(1, sizeof(*r));
    if (!r)
        return fail_null(-ENOMEM);
    *r = (struct perf_reader){.public = {.ops = &ops}, .sample = sample, .lost = lost, .ctx = ctx};
    r->pb = kernel_perf_new(map->fd, pages, on_sample, on_lost, r);
    if (r->pb)
        return &r->public;
    int err = -errno;
    free(r);
    return fail_null(err);
}

/* ---- Producers ---- */

struct producer {
    struct skep_user_ring_buffer public;
    struct kernel_user_ring *rb;
};

static struct kernel_user_ring *ring_in(const struct skep_user_ring_buffer *rb)
{
    return ((const struct producer *)rb)->rb;
}

static void *reserve(struct skep_user_ring_buffer *rb, uint32_t size)
{
    return kernel_user_ring_reserve(ring_in(rb), size);
}

static void *reserve_blocking(struct skep_user_ring_buffer *rb, uint32_t size, int timeout_ms)
{
    return kernel_user_ring_reserve_blocking(ring_in(rb), size, timeout_ms);
}

static void commit(struct skep_user_ring_buffer *rb, void *sample, bool discard)
{
    kernel_user_ring_commit(ring_in(rb), sample, discard);
}

static void free_producer(struct skep_user_ring_buffer *rb)
{
    kernel_user_ring_free(ring_in(rb));
    free(rb);
}

static struct skep_user_ring_buffer *user_ring(struct skep_map *map)
{
    static const struct user_ring_backend ops = {
        .reserve = reserve, .reserve_blocking = reserve_blocking, .commit = commit, .free = free_producer};
    struct producer *p = malloc(sizeof(*p));
    if (!p)
        return fail_null(-ENOMEM);
    *p = (struct producer){.public = {.ops = &ops}, .rb = kernel_user_ring_new(map->fd)};
    if (p->rb)
        return &p->public;
    int err = -errno;
    free(p);
    return fail_null(err);
}

const struct map_backend kernel_map = {
    .lookup = lookup,
    .update = update,
    .delete_key = delete_key,
    .lookup_and_delete = lookup_and_delete,
    .next_key = next_key,
    .batch = batch,
    .freeze = freeze,
    .frozen = frozen,
    .set_program = set_program,
    .set_inner = set_inner,
    .host_value_size = host_value_size,
    .direct = direct,
    .ring_reader = ring_reader,
    .perf_reader = perf_reader,
    .user_ring = user_ring,
    .fd = map_fd,
    .release = close_map,
};
