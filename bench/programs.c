/* The programs of both sets: their native code by name, their bytecode from files, their input from one generator. */
#include "bench/bench.h"

#include <stdlib.h>

#define PROG(name, kind, size)                                                                                         \
    uint64_t bench_##name(void *mem, uint64_t len);                                                                    \
    uint64_t bench_vec_##name(void *mem, uint64_t len);                                                                \
    void fill_##name(unsigned char *mem, uint64_t len) __attribute__((weak));
#include "bench/progs.def"
#define PROG(name, kind, size)                                                                                         \
    uint64_t bench_##name(void *mem, uint64_t len);                                                                    \
    uint64_t bench_vec_##name(void *mem, uint64_t len);                                                                \
    void fill_##name(unsigned char *mem, uint64_t len) __attribute__((weak));
#include "bench/progs2.def"

#define PROG(name, kind, size) {#name, kind, size, bench_##name, bench_vec_##name, fill_##name, NULL, 0, NULL, 0},
static struct bench_prog first[] = {
#include "bench/progs.def"
};
#define PROG(name, kind, size) {#name, kind, size, bench_##name, bench_vec_##name, fill_##name, NULL, 0, NULL, 0},
static struct bench_prog second[] = {
#include "bench/progs2.def"
};

const struct bench_set bench_sets[BENCH_SETS] = {
    {first, sizeof(first) / sizeof(first[0])},
    {second, sizeof(second) / sizeof(second[0])},
};

static struct skep_insn *read_insns(const char *dir, const char *name, const char *suffix, uint32_t *n)
{
    char path[512];
    struct skep_insn *insns = NULL;
    FILE *file;
    long size = 0;

    snprintf(path, sizeof(path), "%s/%s%s", dir, name, suffix);
    file = fopen(path, "rb");
    if (file && !fseek(file, 0, SEEK_END) && (size = ftell(file)) > 0 && size % 8 == 0 &&
        (insns = malloc((size_t)size))) {
        rewind(file);
        if (fread(insns, 1, (size_t)size, file) != (size_t)size) {
            free(insns);
            insns = NULL;
        }
    }
    if (file)
        fclose(file);
    if (!insns)
        fprintf(stderr, "bench: %s: not a file of instructions\n", path);
    *n = (uint32_t)(size / 8);
    return insns;
}

bool bench_read(const struct bench_set *set, const char *dir)
{
    for (struct bench_prog *p = set->progs; p < set->progs + set->n; p++) {
        p->insns = read_insns(dir, p->name, ".bin", &p->n_insns);
        p->kernel_insns = read_insns(dir, p->name, ".kernel.bin", &p->n_kernel_insns);
        if (!p->insns || !p->kernel_insns)
            return false;
    }
    return true;
}

void bench_free(const struct bench_set *set)
{
    for (struct bench_prog *p = set->progs; p < set->progs + set->n; p++) {
        free(p->insns);
        free(p->kernel_insns);
    }
}

uint32_t bench_largest(void)
{
    uint32_t size = 0;

    for (unsigned s = 0; s < BENCH_SETS; s++)
        for (unsigned i = 0; i < bench_sets[s].n; i++)
            size = bench_sets[s].progs[i].size > size ? bench_sets[s].progs[i].size : size;
    return size;
}

static void fill_random(unsigned char *mem, uint32_t size)
{
    uint64_t x = 88172645463325252u;

    for (uint32_t i = 0; i < size; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        mem[i] = (unsigned char)(x >> 32);
    }
}

void bench_prepare(const struct bench_prog *prog, unsigned char *mem)
{
    fill_random(mem, prog->size);
    if (prog->fill)
        prog->fill(mem, prog->size);
}
