/*
 * The benchmark's parts: the programs of two sets (native code linked in, bytecode read from files), the ways to run
 * them, the kernel as one of these, the table, and a profile of what the programs execute. A way to run takes the
 * memory at one fixed place and returns what the program returned.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "vm/code.h"
#include <skep/types.h>
#include <stdbool.h>
#include <stdio.h>

typedef uint64_t (*bench_native_fn)(void *mem, uint64_t len);

struct bench_prog {
    const char *name, *kind;
    uint32_t size; /* of its memory */
    bench_native_fn native, vector;
    void (*fill)(unsigned char *, uint64_t); /* NULL: random bytes are its input */
    struct skep_insn *insns;                 /* as clang compiled them */
    uint32_t n_insns;
    struct skep_insn *kernel_insns; /* the same with may_goto in loops */
    uint32_t n_kernel_insns;
};

struct bench_set {
    struct bench_prog *progs;
    unsigned n;
};

enum { BENCH_SETS = 2 };
extern const struct bench_set bench_sets[BENCH_SETS];

/** Reads the bytecode of a set. @return false when a file is missing. */
bool bench_read(const struct bench_set *set, const char *dir);
void bench_free(const struct bench_set *set);
/** Bytes of the largest memory. */
uint32_t bench_largest(void);
/** Makes a program's input. */
void bench_prepare(const struct bench_prog *prog, unsigned char *mem);

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

/* The tables that can be printed; each shows the ways that belong to it. */
enum bench_table { BENCH_MAIN = 1, BENCH_INTERP = 2, BENCH_OPTS = 4, BENCH_COUNT = 8 };

struct bench_way {
    const char *name;
    enum { BENCH_NATIVE, BENCH_VECTOR, BENCH_KERNEL, BENCH_OURS } how;
    unsigned tables;
    const char *engine;
    struct code_opts opts;
    bool harden;
};

enum { BENCH_MAX_WAYS = 32, BENCH_REFERENCE = 0 /* the way that ratios are over */ };
extern const struct bench_way bench_ways[];
extern const unsigned bench_n_ways;
/** The way with this name. */
unsigned bench_way_named(const char *name);

struct bench_result {
    double least, median; /* CPU seconds a run; 0: not run this way */
    double compile;       /* least CPU seconds of lowering and whatever the engine does then; 0: nothing is compiled */
    size_t code_size;     /* bytes of machine code; 0: none */
};

struct bench_settings {
    enum bench_table table;
    unsigned rounds, warm; /* samples are their product */
    struct jit *jit[2];    /* where machine code goes, plain and hardened; NULL: there can be none */
};

/** Does this way belong to the table, and can its engine work here? */
bool bench_way_is_shown(const struct bench_way *way, const struct bench_settings *settings);

/** Runs one program in all ways of the table, interleaved; results has bench_n_ways entries. Each run starts from the
 *  same memory. @return false when a way of ours did not open, or a run returned or left in memory something else than
 *  native code. */
bool bench_measure(const struct bench_prog *prog, const struct bench_memory *memory, struct skep_env *env,
                   const struct bench_settings *settings, struct bench_result *results);

/** Counts what the programs execute, one step at a time and apart from any engine, and prints the operations, pairs and
 *  triples that stand highest, each program weighing the same. */
void bench_profile(FILE *out, const struct bench_prog *progs, unsigned n, unsigned char *mem,
                   void (*prepare)(const struct bench_prog *prog, unsigned char *mem));

#endif
