/* What promotion found out of a frame, between who follows its address (promote.c) and who makes registers (slots.c).
 */
#ifndef VM_IR_PROMOTE_H
#define VM_IR_PROMOTE_H

#include "vm/ir/build.h"

enum { FRAME = PROG_STACK_FRAME, MAX_SLOTS = 256 };

/* A range of bytes that is loaded or stored at once. */
struct slot {
    uint16_t at;  /* from the frame's lowest byte */
    uint8_t size; /* 1, 2, 4, 8 */
    uint8_t bit;  /* its number among those that overlap others, while these are judged */
    bool stays;   /* in memory */
    bool shared;  /* bytes of it belong to other slots, too */
    uint32_t reg; /* what it becomes */
};

struct promoter {
    struct builder *b;
    struct ir_func *f;
    struct knowledge known;
    bool all;               /* the address went where nobody can follow */
    uint8_t escaped[FRAME]; /* by byte, from the lowest: others may touch it */
    uint8_t pinned[FRAME];  /* it is accessed in another way than by loads and stores */
    struct slot slots[MAX_SLOTS];
    uint32_t n;
    uint16_t index[FRAME][4]; /* the slot, plus one, that begins here and has 1 << this bytes */
};

/** The slot that this operation loads or stores, or NULL. */
struct slot *promote_slot(struct promoter *p, const struct ir_op *op);
/** Makes registers of the slots that can be. @return 0 or -ENOMEM. */
int promote_slots(struct promoter *p);

#endif
