/*
 * Programs made at random for the verifier. The generator keeps a rough model of what each register and stack slot
 * holds, so that most of what it writes makes sense: it checks bounds, masks, compares with NULL and with the packet's
 * end. Now and then it is careless by a little, and so programs pass or fail near the border. One seed is one program
 * for ever.
 *
 * All programs share the same maps (gen_maps) and are XDP, sched_cls or raw programs; their result is r0 and the
 * contents of the maps. A program whose result depends on addresses or on chance says so.
 */
#ifndef FUZZ_GEN_H
#define FUZZ_GEN_H

#include "vm/maps/map.h"
#include <skep/types.h>

struct prog_type;

enum { GEN_MAX_INSNS = 2048, GEN_PACKET = 96, GEN_RAW = 48 };
enum {
    GEN_ARRAY,
    GEN_HASH,
    GEN_ONE,
    GEN_RING,
    GEN_PERCPU,
    GEN_LOCK,      /* values begin with a spin lock */
    GEN_OUTER,     /* of two maps like gen_inner */
    GEN_TAILS,     /* of XDP programs: one, which returns GEN_TAIL_RESULT, at index 0 */
    GEN_TAILS_SKB, /* the same of sched_cls */
    GEN_MAPS
};
enum { GEN_PERCPU_VALUE = 32, GEN_LOCK_VALUE = 16, GEN_INNER_VALUE = 16, GEN_TAIL_RESULT = 2 };

extern const struct map_def gen_maps[GEN_MAPS], gen_inner;

struct gen_prog {
    const struct prog_type *type; /* NULL: raw, with GEN_RAW bytes of memory */
    bool raw_writable;
    bool unprivileged;
    struct skep_insn insns[GEN_MAX_INSNS]; /* maps stand in them as indices into gen_maps */
    uint32_t n;
    bool unsteady;  /* its result is not the same everywhere */
    bool raw_stack; /* it may read stack that it never wrote, which Linux does not clear */
    bool patient;   /* long explorations and runs of it are worth their time; most are loops going round */
};

void gen_make(uint64_t seed, struct gen_prog *out);
/* The program at index 0 of GEN_TAILS and GEN_TAILS_SKB. */
enum { GEN_TAIL_INSNS = 3 };
void gen_tail(struct skep_insn insns[GEN_TAIL_INSNS]);
/* The maps that a program names: a set of 1 << GEN_*. */
uint32_t gen_maps_named(const struct gen_prog *p);

/* A generator of numbers, of which many lie at the borders of the widths. */
uint64_t gen_draw(uint64_t *state);
uint64_t gen_number(uint64_t *state);

#endif
