/*
 * What `make bench-compile` measures: how long programs take from decoded instructions to machine code in its place,
 * for the programs of both sets, and for made ones of some shapes and many sizes.
 */
#ifndef BENCH_COMPILE_H
#define BENCH_COMPILE_H

#include <skep/types.h>
#include <stdint.h>

/* A shape writes a program of about `size` instructions to where room for size + SHAPE_SLACK is.
 * @return how many it wrote. */
enum { SHAPE_SLACK = 4096 };
struct shape {
    const char *name, *what;
    uint32_t (*make)(struct skep_insn *out, uint32_t size);
};
extern const struct shape shapes[];
extern const unsigned n_shapes;

#endif
