/*
 * The JIT as others see it: an engine, and the home of what it makes. A `struct jit` holds the memory of machine code
 * and tells debuggers and profilers of it; whoever makes code gives one to code_lower() (code_opts.jit), or code makes
 * one for itself. It is reference counted by its code, so that its maker may go first.
 */
#ifndef JIT_JIT_H
#define JIT_JIT_H

#include "base/log.h"
#include "jit/memory.h"
#include "jit/target.h"
#include "vm/code.h"

enum { JIT_FUEL_UNDER_LOCK = 1 << 12 };

extern const struct engine jit_engine;

/* What code_opts.no_ir may say besides IR_OPT_*. */
enum { JIT_NO_ALLOC = 1 << 16, JIT_NO_LAYOUT = 1 << 17, JIT_NO_ALL = IR_OPT_ALL | JIT_NO_ALLOC | JIT_NO_LAYOUT };

struct jit;

struct jit_config {
    bool harden;         /* constants of programs blinded, code at random addresses, see jitmem_opts */
    bool plain;          /* nothing that some CPUs lack, though this one may have it */
    size_t limit;        /* bytes of code memory; 0: the usual */
    bool perf_map;       /* names in /tmp/perf-PID.map */
    const char *jitdump; /* a directory for jit-PID.dump; NULL: none. Copied */
    bool gdb;            /* told to debuggers */
};

/**
 * @param config  NULL: all zero.
 * @return 0; -EOPNOTSUPP: no machine code is made for this machine; what jitmem_new() says. The log says why.
 */
int jit_new(struct jit **out, const struct jit_config *config, const struct log *log);
struct jit *jit_get(struct jit *jit);
void jit_put(struct jit *jit);

/** What its code memory holds. */
struct jitmem_usage jit_usage(struct jit *jit);

/* What became of a program; valid as long as the code. */
struct jit_view {
    const uint8_t *code; /* where it runs */
    size_t size;
    const struct jit_frame *frames; /* one a function, then the trampoline's; offsets in code */
    uint32_t n_funcs;
    const uint32_t *entry; /* offset of each function */
    const struct jit_line *lines;
    uint32_t n_lines;
};

/** @return false: the code is another engine's. */
bool jit_view(const struct code *code, struct jit_view *out);

#endif
