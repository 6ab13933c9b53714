/* What the passes of lowering share; nothing outside vm/ needs it. */
#ifndef VM_LOWER_H
#define VM_LOWER_H

#include "vm/code.h"

/** Frees code whatever stage of making it has reached. */
void code_destroy(struct code *code);

/** A byte an op: does anything come to it from elsewhere than the op before it? @return malloc'd; NULL: out of memory.
 */
unsigned char *code_leaders(const struct code *code);

/** Turns calls of frequent helpers of level-0 code into operations, one for one. @return 0 or -ENOMEM. */
int code_inline(struct code *code);

/** Rewrites code->ops with fused operations. Level 0 before, fewer ops after; slots, targets and
 *  functions follow. @return 0 or -ENOMEM with the code as it was. */
int code_fuse(struct code *code);

/** Registers that may be read after each op of level-0 code, one bit each. @return malloc'd; NULL: out of memory. */
uint16_t *code_live(const struct code *code);

#endif
