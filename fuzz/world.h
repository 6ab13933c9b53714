/*
 * What programs run in on our side: their maps, and the programs that they end in.
 */
#ifndef FUZZ_WORLD_H
#define FUZZ_WORLD_H

#include "fuzz/vfuzz.h"
#include "vm/code.h"

struct world {
    struct map *maps[GEN_MAPS], *inner[2];
};

int world_make(struct world *w);
/** Of one that world_make() failed to make, too. */
void world_free(struct world *w);
/** Fills the maps of a set. @return false: something failed. */
bool world_reset(struct world *w, uint32_t named, const struct input *in);
/** What one run leaves in the ring another must not find. Code that was lowered before has another one. */
bool world_fresh_ring(struct world *w);
/** Puts what programs end in into the maps for them, as code of the same kind. */
bool world_set_tails(struct world *w, uint32_t named, const struct code_opts *opts, const struct engine *engine);
void world_read(struct world *w, uint32_t named, struct result *out);

#endif
