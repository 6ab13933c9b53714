/* Which operands a kind of operation has: what ir_uses(), ir_check() and ir_print() go by. */
#ifndef VM_IR_SHAPE_H
#define VM_IR_SHAPE_H

#include "vm/ir/ir.h"

enum ir_shape {
    IR_S_DST = 1,
    IR_S_DST_OR_NONE = 2,
    IR_S_A = 4,
    IR_S_A_OR_IMM = 8, /* a, unless IR_IMM */
    IR_S_B = 16,       /* B: register, constant or memory */
    IR_S_B_REG = 32,
    IR_S_MEM = 64, /* M */
    IR_S_PICK = 128,
    IR_S_ARGS = 256,
    IR_S_CC = 512,
    IR_S_SIZE = 1024,
};

/** A set of IR_S_*. */
unsigned ir_shape(enum ir_kind kind);

#endif
