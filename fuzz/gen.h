/*
 * Programs made at random for the verifier. The generator keeps a rough model of what each register and stack slot
 * holds, so that most of what it writes makes sense: it checks bounds, masks, compares with NULL and with the packet's
 * end. Now and then it is careless by a little, and so programs pass or fail near the border. One seed is one program
 * for ever.
 *
 * All programs share the same maps (gen_maps) and are XDP or sched_cls programs; their result is r0 and the contents of
 * the maps. A program whose result depends on addresses or on chance says so.
 */
#ifndef FUZZ_GEN_H
#define FUZZ_GEN_H

#include "vm/maps/map.h"
#include <skep/types.h>

struct prog_type;

enum { GEN_MAX_INSNS = 2048, GEN_MAPS = 4, GEN_PACKET = 96 };
enum { GEN_ARRAY, GEN_HASH, GEN_ONE, GEN_RING };

extern const struct map_def gen_maps[GEN_MAPS];

struct gen_prog {
    const struct prog_type *type;
    struct skep_insn insns[GEN_MAX_INSNS]; /* maps stand in them as indices into gen_maps */
    uint32_t n;
    bool unsteady;  /* its result is not the same everywhere */
    bool raw_stack; /* it may read stack that it never wrote, which Linux does not clear */
    bool patient;   /* long explorations and runs of it are worth their time; most are loops going round */
};

void gen_make(uint64_t seed, struct gen_prog *out);
/* Does the program name this map? */
bool gen_names_map(const struct gen_prog *p, unsigned map);

/* A generator of numbers, of which many lie at the borders of the widths. */
uint64_t gen_draw(uint64_t *state);
uint64_t gen_number(uint64_t *state);

#endif
