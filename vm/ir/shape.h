/* Which operands a kind of operation has: what ir_uses(), ir_check() and ir_print() go by. */
#ifndef VM_IR_SHAPE_H
#define VM_IR_SHAPE_H

#include "vm/ir/ir.h"

/** A set of IR_S_*. */
static inline unsigned ir_shape(enum ir_kind kind)
{
    return ir_kinds[kind].shape;
}

#endif
