/* The instructions of a linked program as text: names of maps, helpers and functions in place of their numbers. */
#ifndef VM_LISTING_H
#define VM_LISTING_H

#include "base/buf.h"
#include "vm/prog.h"

/** Encodes the instruction at a slot again. @return slots it takes, 1 or 2. */
unsigned listing_encode(const struct prog *prog, uint32_t slot, struct skep_insn out[2]);

/** Adds the text of the instruction at a slot; for what could not be resolved, the reason. @return slots it takes. */
unsigned listing_insn(const struct prog *prog, uint32_t slot, struct buf *out);

/** Adds the prototype of a function, or its name when there are no types. */
void listing_func(const struct prog *prog, const struct prog_func *func, struct buf *out);

#endif
