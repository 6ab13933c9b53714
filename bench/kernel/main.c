/*
 * What it costs to open, load and close an object for Linux through us, beside plain libbpf doing the same:
 *
 *     bench-kernel [-r ROUNDS] [-t OBJECT] OBJECT...
 *
 * Both take turns in one run, so that whatever else the machine does meets both; the ratio is that of medians of CPU
 * time (what libbpf and the kernel's verifier take is in both). Exit status 1 when the geometric mean or any object is
 * over the limit.
 *
 * -t: an object that is linked against the kernel's types (CO-RE). It is also loaded here, types read, linked, verified
 * and compiled; beside it stands what libbpf needs before it can link at all: the object opened and the kernel's types
 * read. It must not take longer.
 */
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <math.h>
#include <skep/skep.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 31, MAX_ROUNDS = 1001 };
static const double limit = 1.2;

static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
    (void)level;
    (void)fmt;
    (void)ap;
    return 0;
}

static void silent(void *ctx, enum skep_log_level level, const char *text)
{
    (void)ctx;
    (void)level;
    (void)text;
}

/* Maps are pinned by neither. @return 0, or why it was not loaded. */
static int by_libbpf(const char *path)
{
    struct bpf_object *o = bpf_object__open_file(path, NULL);
    struct bpf_map *map;
    int err = o ? 0 : -errno;
    if (o)
        bpf_object__for_each_map(map, o) bpf_map__set_pin_path(map, NULL);
    if (!err)
        err = bpf_object__load(o);
    bpf_object__close(o);
    return err;
}

static int by_skep(const char *path, uint32_t backend)
{
    SKEP_OPTS(skep_vm_opts, vm, .cpus = 1, .log = silent);
    SKEP_OPTS(skep_object_open_opts, opts, .vm_opts = &vm, .backend = backend);
    struct skep_object *o = skep_object__open_file(path, &opts);
    int err = o ? skep_object__load(o) : -errno;
    skep_object__close(o);
    return err;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *times, int n)
{
    qsort(times, (size_t)n, sizeof(*times), by_value);
    return times[n / 2];
}

static int for_linux(const char *path)
{
    return by_skep(path, SKEP_BACKEND_KERNEL);
}

static int for_here(const char *path)
{
    return by_skep(path, SKEP_BACKEND_USER);
}

static int types_by_libbpf(const char *path)
{
    struct bpf_object *o = bpf_object__open_file(path, NULL);
    struct btf *types = btf__load_vmlinux_btf();
    int err = o && types ? 0 : -errno;
    btf__free(types);
    bpf_object__close(o);
    return err;
}

struct medians {
    double theirs, ours;
};

/* Both in turns. */
static struct medians measure(int (*theirs)(const char *), int (*ours)(const char *), const char *path, int rounds)
{
    static double a[MAX_ROUNDS], b[MAX_ROUNDS];
    for (int i = 0; i < rounds; i++) {
        double begin = cpu_us();
        theirs(path);
        double between = cpu_us();
        ours(path);
        a[i] = between - begin;
        b[i] = cpu_us() - between;
    }
    return (struct medians){median(a, rounds), median(b, rounds)};
}

/* @return the ratio; 0: Linux does not take it */
static double compare(const char *path, int rounds)
{
    const char *name = strrchr(path, '/');
    int err = by_libbpf(path);
    name = name ? name + 1 : path;
    if (err || for_linux(path)) {
        printf("%-28s not loaded: %s\n", name, strerror(err ? -err : errno));
        return 0;
    }
    struct medians m = measure(by_libbpf, for_linux, path, rounds);
    double ratio = m.ours / m.theirs;
    printf("%-28s libbpf %8.0f us, skep %8.0f us, ratio %.3f%s\n", name, m.theirs, m.ours, ratio,
           ratio > limit ? " OVER" : "");
    return ratio;
}

/* @return false: it takes longer than it may */
static bool compare_types(const char *path, int rounds)
{
    int err = types_by_libbpf(path);
    if (err || for_here(path))
        return printf("types of the kernel: not read: %s\n", strerror(err ? -err : errno)), true;
    struct medians m = measure(types_by_libbpf, for_here, path, rounds);
    printf(
        "opening and reading the kernel's types: libbpf %.0f us; that, linking, verifying and compiling: skep %.0f us, "
        "ratio %.3f, limit 1\n",
        m.theirs, m.ours, m.ours / m.theirs);
    return m.ours <= m.theirs;
}

int main(int argc, char **argv)
{
    int first, rounds = ROUNDS, n = 0, over = 0, opt;
    const char *types = NULL;
    double sum = 0, worst = 0;
    while ((opt = getopt(argc, argv, "r:t:")) != -1) {
        if (opt == 'r')
            rounds = atoi(optarg);
        else if (opt == 't')
            types = optarg;
        else
            rounds = 0;
    }
    first = optind;
    if (first >= argc || rounds < 1 || rounds > MAX_ROUNDS)
        return fprintf(stderr, "usage: %s [-r ROUNDS] [-t OBJECT] OBJECT...\n", argv[0]), 2;
    libbpf_set_print(quiet);
    for (int i = first; i < argc; i++) {
        double ratio = compare(argv[i], rounds);
        if (ratio <= 0)
            continue;
        n++;
        sum += log(ratio);
        worst = ratio > worst ? ratio : worst;
        over += ratio > limit;
    }
    if (types && !compare_types(types, rounds))
        over++;
    if (!n)
        return puts("bench-kernel: Linux takes no program here"), over ? 1 : 0;
    printf(
        "opening and loading for Linux, over plain libbpf: geometric mean %.3f, worst %.3f, limit %.1f (%d objects)\n",
        exp(sum / n), worst, limit, n);
    return over ? 1 : 0;
}
