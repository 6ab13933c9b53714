/* What the files of the engine share: those who tell debuggers and profilers of code. */
#ifndef JIT_ENGINE_H
#define JIT_ENGINE_H

#include "jit/jit.h"

/* Tells perf of code: by a map of names, by a dump with lines. One for each struct jit; any thread. */
struct jit_perf;

/** @return 0; the error of what could not be opened, said. */
int jit_perf_new(struct jit_perf **out, const struct jit_config *config, const struct log *log);
void jit_perf_free(struct jit_perf *perf);
void jit_perf_add(struct jit_perf *perf, const struct prog *prog, const struct jit_view *view);

/** Tells debuggers of code, with its names, lines and frames. @return what jit_gdb_remove() wants; NULL: no memory. */
void *jit_gdb_add(const struct prog *prog, const struct jit_target *target, const struct jit_view *view);
/** Before the code goes. NULL does nothing. */
void jit_gdb_remove(void *entry);

/** The name of a function of a program, as debuggers and profilers show it. i == prog->n_funcs: the trampoline. */
void jit_symbol(const struct prog *prog, uint32_t i, char *out, size_t room);

#endif
