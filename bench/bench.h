/*
 * The benchmark's parts: the programs (bench/progs, native code linked in, bytecode read from files), the kernel as one
 * of the ways to run them, and a profile of what they execute. A way to run is a function that takes the memory at one
 * fixed place and returns what the program returned.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <skep/types.h>
#include <stdbool.h>
#include <stdio.h>

typedef uint64_t (*bench_native_fn)(void *mem, uint64_t len);

struct bench_prog {
    const char *name, *kind;
    uint32_t size; /* of its memory */
    bench_native_fn native;
    void (*fill)(unsigned char *, uint64_t); /* NULL: random bytes are its input */
    struct skep_insn *insns;                 /* as clang compiled them */
    uint32_t n_insns;
    struct skep_insn *kernel_insns; /* the same with may_goto in loops */
    uint32_t n_kernel_insns;
};

/* Memory that native code, our engines and the kernel share: an arena of the kernel's where it has them. */
struct bench_memory {
    unsigned char *base;
    uint32_t size;
    int arena; /* the map's descriptor; -1: plain memory, and the kernel cannot run programs on it */
    const char *why_not;
};

/** Takes memory for all programs. @return false when there is none. */
bool bench_memory_open(struct bench_memory *memory, uint32_t size);
void bench_memory_close(struct bench_memory *memory);

/** Loads a program into the kernel. @return its descriptor; -1 when the kernel refuses it, with its last words in why.
 */
int bench_kernel_load(const struct bench_prog *prog, const struct bench_memory *memory, char *why, size_t room);
/** Runs it once on len bytes of the memory. @return false when the kernel would not. */
bool bench_kernel_run(int fd, uint64_t len, uint32_t *retval);

/** Counts what the programs execute, one step at a time and apart from any engine, and prints the operations, pairs and
 *  triples that stand highest, each program weighing the same. */
void bench_profile(FILE *out, const struct bench_prog *progs, unsigned n, unsigned char *mem,
                   void (*prepare)(const struct bench_prog *prog, unsigned char *mem));

#endif
