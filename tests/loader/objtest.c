/*
 * objtest: opens and links objects, shows what they are, and compares with expectations.
 *
 * `objtest [-q] OBJ...`: opens, links and shows each; -q: only those that fail.
 * `objtest -e SOURCE.c OBJ [BTF]`: compares with the expectations in the C source; BTF: types to relocate against.
 * `objtest -m N SEED OBJ...`: N damaged copies of each: truncated, bits and bytes changed, fields made extreme, pieces
 * moved; each must open and link, or fail with a message.
 * `objtest -x N SEED OBJ...`: the same, and every program of those that load is run, checked, for at most 20000
 * instructions. All end with "N passed, N failed, N skipped".
 */
#include "tests/loader/expect.h"

#include "loader/elf.h"
#include "vm/abi/map_types.h"
#include <errno.h>
#include <inttypes.h>
#include <skep/skep.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void collect(void *ctx, enum skep_log_level level, const char *text)
{
    buf_printf(ctx, "%c %s\n", "EWID"[level], text);
}

static void show_maps(const struct object *obj)
{
    for (uint32_t i = 0; i < obj->n_maps; i++) {
        const struct object_map *m = &obj->maps[i];
        const char *type = map_type_name(m->def.type);

        printf("  map %s: %s key %u value %u max %u flags 0x%x lock %d%s\n", m->def.name, type ? type : "?",
               m->def.key_size, m->def.value_size, m->def.max_entries, m->def.flags, m->def.spin_lock_off,
               m->def.inner ? " inner" : "");
        for (uint32_t j = 0; j < m->n_init; j++)
            printf("    [%u] = %s\n", m->init[j].key,
                   m->init[j].map >= 0 ? obj->maps[m->init[j].map].def.name : obj->progs[m->init[j].prog].name);
    }
}

static void show(const struct object *obj)
{
    printf("%s: license '%s' version %u\n", obj->name, obj->license, obj->kern_version);
    show_maps(obj);
    for (uint32_t i = 0; i < obj->n_vars; i++)
        printf("  var %s: %s+%u size %u type %u%s%s\n", obj->vars[i].name, obj->vars[i].section, obj->vars[i].off,
               obj->vars[i].size, obj->vars[i].btf_id, obj->vars[i].is_static ? " static" : "",
               obj->vars[i].weak ? " weak" : "");
    for (uint32_t i = 0; i < obj->n_progs; i++) {
        const struct object_prog *p = &obj->progs[i];
        const struct prog_type *t = prog_type_find(p->type);

        printf("  prog %s: section '%s' type %s target '%s' insns %u funcs %u lines %u poison %u\n", p->name,
               p->section, t ? t->name : "?", p->target, p->n_insns, p->prog ? p->prog->n_funcs : 0,
               p->prog ? p->prog->n_lines : 0, p->prog ? p->prog->n_poison : 0);
    }
    for (uint32_t i = 0; i < obj->n_relocs; i++)
        printf("  reloc %s+%u: %s %s %s %" PRIu64 "\n", obj->relocs[i].section, obj->relocs[i].insn,
               obj->relocs[i].kind, obj->relocs[i].symbol, obj->relocs[i].resolved ? "ok" : "unresolved",
               obj->relocs[i].value);
}

static char *read_text(const char *path, size_t *size)
{
    struct buf b = {0};
    char block[65536];
    FILE *f = fopen(path, "re");
    size_t n;

    if (!f) {
        perror(path);
        exit(2);
    }
    while ((n = fread(block, 1, sizeof(block), f)))
        buf_add(&b, block, n);
    fclose(f);
    buf_add(&b, "", 1);
    *size = b.len - 1;
    return b.data;
}

static int load(const char *path, const char *kconfig, const char *btf, const struct log *log, struct object **out)
{
    struct object_open_opts open = {.kconfig = kconfig};
    struct object_link_opts link = {.btf_path = btf};
    int err = object_open_file(path, &open, log, out);

    if (!err)
        err = object_link(*out, &link, log);
    if (err && *out) {
        object_free(*out);
        *out = NULL;
    }
    return err;
}

static int show_all(char **paths, int n, bool quiet)
{
    int failed = 0;

    for (int i = 0; i < n; i++) {
        struct buf said = {0};
        struct log log = {.fn = collect, .ctx = &said, .max = quiet ? SKEP_LOG_ERROR : SKEP_LOG_DEBUG};
        struct object *obj = NULL;
        int err = load(paths[i], NULL, NULL, &log, &obj);

        fputs(buf_text(&said), stdout);
        if (err)
            printf("FAIL %s: %d\n", paths[i], err);
        else if (!quiet)
            show(obj);
        failed += err != 0;
        object_free(obj);
        buf_free(&said);
    }
    printf("%d passed, %d failed, 0 skipped\n", n - failed, failed);
    return failed != 0;
}

static int expect(const char *source, const char *path, const char *btf)
{
    struct buf said = {0}, kconfig = {0};
    struct log log = {.fn = collect, .ctx = &said, .max = SKEP_LOG_WARN};
    struct counts counts = {0};
    struct outcome o = {.path = path, .btf = btf};
    char name[32], rest[512];
    const char *text;
    size_t size;

    o.source = text = read_text(source, &size);
    while (expect_next(&text, name, rest))
        if (!strcmp(name, "kconfig"))
            buf_printf(&kconfig, "%s\n", rest);
    o.err = load(path, buf_text(&kconfig), btf, &log, &o.obj);
    o.messages = buf_text(&said);
    expect_all(&o, &counts);
    object_free(o.obj);
    free((char *)o.source);
    buf_free(&said);
    buf_free(&kconfig);
    printf("%u passed, %u failed, 0 skipped\n", counts.passed, counts.failed);
    return counts.failed != 0;
}

/* ---- Damage ---- */

static uint64_t next_random(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15;
    uint64_t z = *state;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* Where the loader looks: the file's sections but for .debug ones, which are most of its bytes. */
struct place {
    size_t off, size;
};

static unsigned find_places(const char *bytes, size_t size, struct place *places, unsigned max)
{
    struct arena arena = {0};
    struct elf elf;
    unsigned n = 0;

    if (!elf_read(&arena, bytes, size, NULL, &elf))
        for (uint32_t i = 1; i < elf.n_sections && n < max; i++) {
            const struct elf_section *s = &elf.sections[i];

            if (s->data && s->size && !strstr(s->name, ".debug"))
                places[n++] = (struct place){(size_t)(s->data - elf.image), s->size};
        }
    arena_free(&arena);
    return n;
}

static size_t damage(unsigned char *p, size_t size, const struct place *places, unsigned n_places, uint64_t *r)
{
    static const uint64_t extremes[] = {
        0, 1, 7, 8, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff, -1ull};
    unsigned changes = 1 + next_random(r) % 4;
    /* The headers of the sections are at the end in what clang writes, and small, so they get their share. */
    size_t tail = size > 4096 ? 4096 : size;

    if (next_random(r) % 8 == 0)
        return next_random(r) % (size + 1);
    for (unsigned i = 0; i < changes; i++) {
        uint64_t where = next_random(r) % 8, at;

        if (where > 2 && n_places) {
            const struct place *place = &places[next_random(r) % n_places];

            at = place->off + next_random(r) % place->size;
        } else {
            at = where == 0   ? next_random(r) % 64
                 : where == 1 ? size - 1 - next_random(r) % tail
                              : next_random(r) % size;
        }
        if (at >= size)
            continue;
        switch (next_random(r) % 4) {
        case 0: p[at] ^= (unsigned char)(1u << next_random(r) % 8); break;
        case 1: p[at] = (unsigned char)next_random(r); break;
        case 2: {
            size_t width = 1u << next_random(r) % 4;
            uint64_t v = extremes[next_random(r) % (sizeof(extremes) / sizeof(extremes[0]))];

            at &= ~(uint64_t)(width - 1);
            memcpy(p + at, &v, width <= size - at ? width : size - at);
            break;
        }
        default: {
            /* A piece of the file over another one: offsets and ids that are right elsewhere. */
            size_t n = 1 + next_random(r) % 32, from = next_random(r) % size;

            n = n < size - at ? n : size - at;
            n = n < size - from ? n : size - from;
            memmove(p + at, p + from, n);
        }
        }
    }
    return size;
}

static int link_one(const void *bytes, size_t size, const char *path, struct buf *said)
{
    struct log log = {.fn = collect, .ctx = said, .max = SKEP_LOG_ERROR};
    struct object_link_opts link = {0};
    struct object *obj = NULL;
    int err = object_open_mem(bytes, size, path, NULL, &log, &obj);

    if (!err) {
        link.target = obj->btf; /* the kernel's would take longer than all the rest */
        err = object_link(obj, &link, &log);
    }
    object_free(obj);
    return err;
}

/* What came of the runs. */
struct runs {
    unsigned done, trapped;
};

static void run_programs(struct skep_object *obj, struct runs *runs)
{
    unsigned char bytes[128] = {0x45}, out[256];
    struct skep_program *prog;

    skep_object__for_each_program(prog, obj)
    {
        struct skep_trap trap = {.sz = sizeof(trap)};
        int err;
        SKEP_OPTS(skep_run_opts, opts, .data_in = bytes, .data_size_in = 64, .max_insns = 20000, .trap = &trap);

        if (!skep_program__loaded(prog))
            continue;
        opts.data_out = out;
        opts.data_size_out = sizeof(out);
        err = skep_program__run(prog, &opts);
        runs->done += !err;
        runs->trapped += err == -EFAULT;
        if (err != -EINVAL)
            continue;
        opts = (struct skep_run_opts){
            .sz = sizeof(opts), .ctx_in = bytes, .ctx_size_in = 64, .max_insns = 20000, .trap = &trap};
        err = skep_program__run(prog, &opts);
        runs->done += !err;
        runs->trapped += err == -EFAULT;
    }
}

/* Checked: what a program that is wrong on purpose does at run time is what is looked at. */
static int load_checked(struct skep_object *obj)
{
    SKEP_OPTS(skep_exec_opts, exec, .checked = true);

    return skep_object__load_opts(obj, &exec);
}

static int run_one(const void *bytes, size_t size, struct buf *said, struct runs *runs)
{
    SKEP_OPTS(skep_vm_opts, vm, .log = collect, .log_ctx = said);
    SKEP_OPTS(skep_object_open_opts, open, .object_name = "damaged", .vm_opts = &vm);
    struct skep_object *obj = skep_object__open_mem(bytes, size, &open);
    int err = obj ? load_checked(obj) : -errno;

    if (!err)
        run_programs(obj, runs);
    skep_object__close(obj);
    return err;
}

static int damage_all(unsigned n, uint64_t seed, bool run, char **paths, int n_paths)
{
    unsigned loaded = 0, refused = 0, silent = 0;
    struct runs runs = {0};
    double slowest = 0;

    for (int i = 0; i < n_paths; i++) {
        size_t size;
        char *bytes = read_text(paths[i], &size);
        struct place places[256];
        unsigned n_places = find_places(bytes, size, places, 256);

        for (unsigned j = 0; j < n; j++) {
            uint64_t r = seed + (uint64_t)i * 1000003 + j;
            /* A block of exactly its size, so that a sanitizer sees the first byte past it. */
            unsigned char *copy = malloc(size);
            struct buf said = {0};
            size_t left;
            struct timespec a, b;
            double took;
            int err;

            if (!copy)
                abort();
            memcpy(copy, bytes, size);
            clock_gettime(CLOCK_MONOTONIC, &a);
            left = damage(copy, size, places, n_places, &r);
            err = run ? run_one(copy, left, &said, &runs) : link_one(copy, left, paths[i], &said);
            clock_gettime(CLOCK_MONOTONIC, &b);
            took = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
            if (took > slowest)
                slowest = took;
            loaded += !err;
            refused += err != 0;
            if (err && !*buf_text(&said)) {
                printf("%s: seed %" PRIu64 ": error %d without a message\n", paths[i], seed + (uint64_t)i * 1000003 + j,
                       err);
                silent++;
            }
            buf_free(&said);
            free(copy);
        }
        free(bytes);
    }
    if (run)
        printf("runs: %u ended, %u trapped\n", runs.done, runs.trapped);
    printf("damaged: %u load, %u are refused; the slowest took %.3f s\n", loaded, refused, slowest);
    printf("%u passed, %u failed, 0 skipped\n", loaded + refused - silent, silent);
    return silent != 0;
}

int main(int argc, char **argv)
{
    if (argc > 3 && !strcmp(argv[1], "-e"))
        return expect(argv[2], argv[3], argc > 4 ? argv[4] : NULL);
    if (argc > 4 && (!strcmp(argv[1], "-m") || !strcmp(argv[1], "-x")))
        return damage_all((unsigned)strtoul(argv[2], NULL, 0), strtoull(argv[3], NULL, 0), argv[1][1] == 'x', argv + 4,
                          argc - 4);
    if (argc > 1 && !strcmp(argv[1], "-q"))
        return show_all(argv + 2, argc - 2, true);
    if (argc > 1)
        return show_all(argv + 1, argc - 1, false);
    fprintf(stderr, "usage: objtest [-q] OBJ... | -e SOURCE.c OBJ [BTF] | -m|-x N SEED OBJ...\n");
    return 2;
}
