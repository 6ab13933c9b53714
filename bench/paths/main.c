/*
 * bench-paths [-r ROUNDS] [-t THREADS] DIR [PATH...]
 * What an operation on a map, a helper or a call takes: each program of DIR/paths.bpf.o does one thing many times, its
 * twin everything but that, and the difference is what counts. Linux runs them by BPF_PROG_TEST_RUN, our engines by the
 * same of ours; a table in plain C does what it can. All are run in turn; the least CPU time of each counts. With -t
 * several threads run the same program at once, those of maps.bpf.c on keys of their own, and the CPU time of the
 * slowest counts. Exit status 1 when a program does not do what it should.
 */
#include "api/core/core.h"
#include "bench/paths/table.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <pthread.h>
#include <skep/buffer.h>
#include <skep/object.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PACKET = 64, MANY = 200, ONE = 20000 /* runs a sample */, MAX_THREADS = 4 };

/* Where a program runs. */
enum side { LINUX, TABLE, INTERP, JIT, SIDES };
static const char *const side_names[SIDES] = {"linux", "C table", "interp", "jit"};

struct path {
    const char *name, *says;
    const char *object;
    unsigned ops;  /* a run */
    unsigned runs; /* a sample */
    uint32_t result;
    bool call; /* a helper or a call is involved: half of Linux's time is the goal */
    table_fn table, table_none;
};

static const struct path paths[] = {
    {"hash_hit_8", "hash hit, 8-byte key", "paths", 64, MANY, 64, true, table_hit_8, table_none_8},
    {"hash_miss_8", "hash miss, 8-byte key", "paths", 64, MANY, 64, true, table_miss_8, table_none_8},
    {"hash_hit_64", "hash hit, 64-byte key", "paths", 64, MANY, 64, true, table_hit_64, table_none_64},
    {"hash_miss_64", "hash miss, 64-byte key", "paths", 64, MANY, 64, true, table_miss_64, table_none_64},
    {"hash_update_8", "hash update, 8-byte key", "paths", 64, MANY, 64, true, table_update_8, table_none_8},
    {"hash_hit_16", "hash hit, 16-byte key", "maps", 64, MANY, 64, true, NULL, NULL},
    {"hash_miss_16", "hash miss, 16-byte key", "maps", 64, MANY, 64, true, NULL, NULL},
    {"hash_update_16", "hash update, 16-byte key", "maps", 64, MANY, 64, true, NULL, NULL},
    {"hash_update_64", "hash update, 64-byte key", "maps", 64, MANY, 64, true, NULL, NULL},
    {"hash_new_8", "insert, delete, 8-byte key", "maps", 64, MANY, 64, true, NULL, NULL},
    {"hash_new_16", "insert, delete, 16-byte key", "maps", 64, MANY, 64, true, NULL, NULL},
    {"hash_new_64", "insert, delete, 64-byte key", "maps", 64, MANY, 64, true, NULL, NULL},
    {"percpu_hit_8", "per-CPU hash hit", "maps", 64, MANY, 64, true, NULL, NULL},
    {"lpm_1k", "longest of 1k prefixes", "maps", 64, MANY, 64, true, NULL, NULL},
    {"lpm_1m", "longest of 1M prefixes", "maps", 64, MANY, 64, true, NULL, NULL},
    {"queue_through", "queue push, pop", "maps", 64, MANY, 64, true, NULL, NULL},
    {"bloom_push", "filter push", "maps", 64, MANY, 64, true, NULL, NULL},
    {"bloom_peek", "filter peek", "maps", 64, MANY, 64, true, NULL, NULL},
    {"spin_lock", "spin lock, unlock", "maps", 64, MANY, 64, true, NULL, NULL},
    {"lru_hit_8", "LRU hit", "paths", 64, MANY, 64, true, NULL, NULL},
    {"lru_evict_8", "LRU update that evicts", "paths", 64, MANY, 64, true, NULL, NULL},
    {"ringbuf", "ring buffer reserve, submit", "paths", 64, MANY, 64, true, NULL, NULL},
    {"hash_of_maps", "hash of maps, then hash", "paths", 64, MANY, 64, true, NULL, NULL},
    {"array_add", "array lookup and increment", "paths", 64, MANY, 64, false, NULL, NULL},
    {"ktime", "ktime_get_ns", "paths", 64, MANY, 64, true, NULL, NULL},
    {"tail_call", "tail call, constant", "paths", 33, ONE, 1, true, NULL, NULL},
    {"local_call", "call of a local function", "paths", 64, MANY, 64, true, NULL, NULL},
    {"callback", "callback of bpf_loop", "callback", 64, MANY, 64, true, NULL, NULL},
    {"decide", "parse a SYN and decide", "paths", 1, ONE, 3, true, NULL, NULL},
};
enum { N_PATHS = sizeof(paths) / sizeof(paths[0]), N_OBJECTS = 3 };

static const char *const objects[N_OBJECTS] = {"paths", "callback", "maps"};

/* What one engine of ours, or Linux, has open. */
struct runs_in {
    struct bpf_object *linux_object[N_OBJECTS];
    struct skep_object *object[SIDES][N_OBJECTS];
    struct ring_buffer *linux_ring;
    struct skep_ring_buffer *ring[SIDES];
    unsigned char packets[MAX_THREADS][PACKET]; /* the last byte tells the thread */
    unsigned threads;
};

/* 0: not run there. Seconds a run, path and twin. */
struct least {
    double path, none;
};

static double cpu_time(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* A SYN to port 443, 64 bytes with Ethernet's header. */
static void make_packet(unsigned char *p)
{
    memset(p, 0, PACKET);
    p[12] = 8;    /* IPv4 */
    p[14] = 0x45; /* 20 bytes of header */
    p[17] = 50;   /* total length */
    p[22] = 64;   /* time to live */
    p[23] = 6;    /* TCP */
    p[36] = 1;    /* to port 443 */
    p[37] = 0xbb;
    p[46] = 0x60; /* 24 bytes of header */
    p[47] = 2;    /* SYN */
}

static int drop_record(void *ctx, void *data, size_t size)
{
    (void)ctx;
    (void)data;
    (void)size;
    return 0;
}

static bool run_linux(struct runs_in *w, unsigned object, const char *name, unsigned thread, unsigned runs,
                      uint32_t *result)
{
    struct bpf_program *prog = bpf_object__find_program_by_name(w->linux_object[object], name);
    struct bpf_test_run_opts opts;

    memset(&opts, 0, sizeof(opts));
    opts.sz = sizeof(opts);
    opts.data_in = w->packets[thread];
    opts.data_size_in = PACKET;
    opts.repeat = (int)runs;
    if (!prog || bpf_prog_test_run_opts(bpf_program__fd(prog), &opts))
        return false;
    *result = opts.retval;
    return true;
}

static bool run_ours(struct runs_in *w, enum side side, unsigned object, const char *name, unsigned thread,
                     unsigned runs, uint32_t *result)
{
    const struct skep_program *prog = skep_object__find_program_by_name(w->object[side][object], name);
    struct skep_trap trap = {.sz = sizeof(trap)};
    SKEP_OPTS(skep_run_opts, opts, .data_in = w->packets[thread], .data_size_in = PACKET, .repeat = (int)runs,
              .trap = &trap);

    if (!prog || skep_program__run(prog, &opts)) {
        fprintf(stderr, "bench-paths: %s: %s: %s\n", name, side_names[side], trap.kind ? trap.kind : "not run");
        return false;
    }
    *result = opts.retval;
    return true;
}

/* One thread's part of a sample. */
struct part {
    struct runs_in *w;
    enum side side;
    unsigned object, thread;
    const struct path *path;
    bool none;
    double time; /* seconds a run, below 0 when it went wrong */
};

static void *take_part(void *arg)
{
    struct part *p = arg;
    struct runs_in *w = p->w;
    const struct path *path = p->path;
    enum side side = p->side;
    unsigned object = p->object;
    bool none = p->none;
    char name[64];
    uint32_t result = path->result;
    bool good = true;
    double time;

    snprintf(name, sizeof(name), "%s%s", path->name, none ? "_none" : "");
    time = cpu_time();
    if (side == LINUX)
        good = run_linux(w, object, name, p->thread, path->runs, &result);
    else if (side == TABLE)
        result = (uint32_t)(none ? path->table_none : path->table)(path->runs);
    else
        good = run_ours(w, side, object, name, p->thread, path->runs, &result);
    time = (cpu_time() - time) / path->runs;
    if (good && result != path->result)
        fprintf(stderr, "bench-paths: %s: %s returns %u, not %u\n", name, side_names[side], result, path->result);
    p->time = good && result == path->result ? time : -1;
    return NULL;
}

/* One sample. @return seconds a run of the slowest thread, below 0 when one went wrong. */
static double sample(struct runs_in *w, enum side side, unsigned object, const struct path *path, bool none)
{
    struct part parts[MAX_THREADS];
    pthread_t threads[MAX_THREADS];
    unsigned n = side == TABLE ? 1 : w->threads, begun = 1;
    double time;

    for (unsigned i = 0; i < n; i++)
        parts[i] = (struct part){.w = w, .side = side, .object = object, .thread = i, .path = path, .none = none};
    while (begun < n && !pthread_create(&threads[begun], NULL, take_part, &parts[begun]))
        begun++;
    take_part(&parts[0]);
    time = parts[0].time;
    for (unsigned i = 1; i < begun; i++) {
        pthread_join(threads[i], NULL);
        if (time >= 0 && (parts[i].time > time || parts[i].time < 0))
            time = parts[i].time;
    }
    if (side == LINUX && w->linux_ring)
        ring_buffer__consume(w->linux_ring);
    else if (side > TABLE && w->ring[side])
        skep_ring_buffer__consume(w->ring[side]);
    return begun == n ? time : -1;
}

/* Is the path there, and run as it is meant to be: verified? */
static bool is_open(const struct runs_in *w, enum side side, unsigned object, const struct path *path)
{
    const struct skep_program *prog;

    if (side == LINUX)
        return w->linux_object[object] != NULL;
    if (side == TABLE)
        return path->table != NULL;
    if (!w->object[side][object])
        return false;
    prog = skep_object__find_program_by_name(w->object[side][object], path->name);
    return prog && prog->code && !prog->code->opts.checked;
}

static unsigned object_of(const struct path *path)
{
    unsigned i = 0;

    while (strcmp(objects[i], path->object))
        i++;
    return i;
}

static bool measure(struct runs_in *w, const struct path *path, unsigned rounds, struct least *least)
{
    unsigned object = object_of(path);
    bool good = true;

    memset(least, 0, SIDES * sizeof(*least));
    for (unsigned round = 0; round < rounds; round++)
        for (enum side side = LINUX; side < SIDES && good; side++) {
            double path_time, none_time;

            if (!is_open(w, side, object, path))
                continue;
            path_time = sample(w, side, object, path, false);
            none_time = sample(w, side, object, path, true);
            good = path_time >= 0 && none_time >= 0;
            if (!round || path_time < least[side].path)
                least[side].path = path_time;
            if (!round || none_time < least[side].none)
                least[side].none = none_time;
        }
    return good;
}

/* ns an operation; below 0: not measured. */
static double each(const struct least *least, const struct path *path)
{
    return least->path > 0 ? (least->path - least->none) * 1e9 / path->ops : -1;
}

static void print_ns(double ns)
{
    if (ns >= 0)
        printf(" %9.2f", ns);
    else
        printf(" %9s", "-");
}

static void print_ratio(double a, double b)
{
    if (a >= 0 && b > 0)
        printf(" %12.2f", a / b);
    else
        printf(" %12s", "-");
}

static void print_row(const struct path *path, const struct least *least)
{
    double linux_ns = each(&least[LINUX], path), table = each(&least[TABLE], path);

    printf("%-28s", path->says);
    for (enum side side = LINUX; side < SIDES; side++)
        print_ns(each(&least[side], path));
    print_ratio(each(&least[INTERP], path), linux_ns);
    print_ratio(each(&least[JIT], path), linux_ns);
    print_ratio(each(&least[JIT], path), table);
    printf(" %6s\n", path->call ? "0.50" : "1.00");
    fflush(stdout);
}

static void print_head(unsigned threads)
{
    printf("ns an operation, 64 a run, the run of an empty twin subtracted; - is not run there. Threads: %u.\n%-28s",
           threads, "path");
    for (enum side side = LINUX; side < SIDES; side++)
        printf(" %9s", side_names[side]);
    printf(" %12s %12s %12s %6s\n", "interp/linux", "jit/linux", "jit/C table", "goal");
}

/* ---- Opening ---- */

static int be_quiet(enum libbpf_print_level level, const char *format, va_list args)
{
    return level == LIBBPF_WARN && getenv("BENCH_DEBUG") ? vfprintf(stderr, format, args) : 0;
}

static void say(void *ctx, enum skep_log_level level, const char *text)
{
    (void)level;
    fprintf(stderr, "bench-paths: %s: %s\n", (const char *)ctx, text);
}

static void open_linux(struct runs_in *w, const char *dir)
{
    char path[512];

    libbpf_set_print(be_quiet);
    for (unsigned i = 0; i < N_OBJECTS; i++) {
        snprintf(path, sizeof(path), "%s/%s.bpf.o", dir, objects[i]);
        w->linux_object[i] = bpf_object__open(path);
        if (w->linux_object[i] && bpf_object__load(w->linux_object[i])) {
            printf("linux: %s: not loaded: %s\n", objects[i], strerror(errno));
            bpf_object__close(w->linux_object[i]);
            w->linux_object[i] = NULL;
        }
    }
    if (w->linux_object[0])
        w->linux_ring =
            ring_buffer__new(bpf_object__find_map_fd_by_name(w->linux_object[0], "ring"), drop_record, NULL, NULL);
}

static bool open_ours(struct runs_in *w, enum side side, const char *dir)
{
    SKEP_OPTS(skep_vm_opts, vm, .log = say, .log_ctx = (void *)side_names[side], .cpus = MAX_THREADS);
    SKEP_OPTS(skep_object_open_opts, opts, .vm_opts = &vm);
    SKEP_OPTS(skep_exec_opts, exec, .engine = side_names[side]);
    char path[512];

    for (unsigned i = 0; i < N_OBJECTS; i++) {
        struct skep_object *object;

        snprintf(path, sizeof(path), "%s/%s.bpf.o", dir, objects[i]);
        object = skep_object__open_file(path, &opts);
        if (!object || skep_object__load_opts(object, &exec)) {
            fprintf(stderr, "bench-paths: %s: %s: not loaded\n", side_names[side], objects[i]);
            skep_object__close(object);
            if (!i)
                return false;
            continue;
        }
        w->object[side][i] = object;
    }
    w->ring[side] =
        skep_ring_buffer__new(skep_object__find_map_by_name(w->object[side][0], "ring"), drop_record, NULL, NULL);
    return w->ring[side] != NULL;
}

/* ---- Filling ---- */

struct prefix {
    uint32_t len, addr;
};

/* Prefixes of 16 to 32 bits anywhere, and one that every address has. */
static bool fill_trie(struct runs_in *w, const char *name, unsigned n)
{
    enum { MAPS = 2 };
    struct prefix *keys = calloc(n, sizeof(*keys));
    uint64_t state = 88172645463325252, value = 1;
    bool good = keys != NULL;
    int fd = w->linux_object[MAPS] ? bpf_object__find_map_fd_by_name(w->linux_object[MAPS], name) : -1;

    for (unsigned i = 1; good && i < n; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        keys[i] = (struct prefix){16 + (uint32_t)(state >> 40) % 17, (uint32_t)state};
    }
    for (unsigned i = 0; good && fd >= 0 && i < n; i++)
        good = !bpf_map_update_elem(fd, &keys[i], &value, BPF_ANY);
    for (enum side side = INTERP; side < SIDES; side++) {
        struct skep_map *map =
            w->object[side][MAPS] ? skep_object__find_map_by_name(w->object[side][MAPS], name) : NULL;

        for (unsigned i = 0; good && map && i < n; i++)
            good = !skep_map__update_elem(map, &keys[i], sizeof(keys[i]), &value, sizeof(value), SKEP_ANY);
    }
    free(keys);
    if (!good)
        fprintf(stderr, "bench-paths: %s: cannot be filled\n", name);
    return good;
}

static bool fill(struct runs_in *w, enum side side, unsigned object)
{
    uint32_t result;

    if (side == LINUX)
        return !w->linux_object[object] || !bpf_object__find_program_by_name(w->linux_object[object], "fill") ||
               run_linux(w, object, "fill", 0, 1, &result);
    return !w->object[side][object] || !skep_object__find_program_by_name(w->object[side][object], "fill") ||
           run_ours(w, side, object, "fill", 0, 1, &result);
}

static bool open_all(struct runs_in *w, const char *dir)
{
    for (unsigned i = 0; i < MAX_THREADS; i++) {
        make_packet(w->packets[i]);
        w->packets[i][PACKET - 1] = (unsigned char)i;
    }
    table_fill();
    open_linux(w, dir);
    for (enum side side = LINUX; side < SIDES; side++) {
        if (side == TABLE || (side > TABLE && (!engine_find(side_names[side]) || !open_ours(w, side, dir))))
            continue;
        for (unsigned i = 0; i < N_OBJECTS; i++)
            if (!fill(w, side, i))
                return false;
    }
    return w->object[INTERP][0] != NULL;
}

static void close_all(struct runs_in *w)
{
    ring_buffer__free(w->linux_ring);
    for (unsigned i = 0; i < N_OBJECTS; i++) {
        bpf_object__close(w->linux_object[i]);
        for (enum side side = INTERP; side < SIDES; side++) {
            if (!i)
                skep_ring_buffer__free(w->ring[side]);
            skep_object__close(w->object[side][i]);
        }
    }
}

static bool wanted(const char *name, char *const *names)
{
    for (char *const *n = names; *n; n++)
        if (!strcmp(*n, name))
            return true;
    return !*names;
}

int main(int argc, char **argv)
{
    static struct runs_in w = {.threads = 1};
    unsigned rounds = 40;
    bool good;
    int c;

    while ((c = getopt(argc, argv, "r:t:")) != -1)
        if (c == 'r')
            rounds = (unsigned)strtoul(optarg, NULL, 10);
        else
            w.threads = c == 't' ? (unsigned)strtoul(optarg, NULL, 10) : 0;
    if (optind >= argc || !rounds || !w.threads || w.threads > MAX_THREADS) {
        fprintf(stderr, "usage: bench-paths [-r ROUNDS] [-t THREADS] DIR [PATH...]\n");
        return 2;
    }
    good = open_all(&w, argv[optind]) && (!wanted("lpm_1k", argv + optind + 1) || fill_trie(&w, "trie_1k", 1000)) &&
           (!wanted("lpm_1m", argv + optind + 1) || fill_trie(&w, "trie_1m", 1000000));
    if (good)
        print_head(w.threads);
    for (unsigned i = 0; good && i < N_PATHS; i++) {
        struct least least[SIDES];

        if (!wanted(paths[i].name, argv + optind + 1))
            continue;
        good = measure(&w, &paths[i], rounds, least);
        print_row(&paths[i], least);
    }
    close_all(&w);
    return good ? 0 : 1;
}
