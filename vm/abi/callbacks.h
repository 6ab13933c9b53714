/*
 * What helpers hand to the functions of the program that they call, made from callbacks.def.
 */
#ifndef VM_ABI_CALLBACKS_H
#define VM_ABI_CALLBACKS_H

#include "vm/abi/helpers.h"

/* What a register of the callback holds when it begins. */
enum callback_gets {
    GETS_NOTHING,
    GETS_NUMBER,     /* any */
    GETS_CALLERS_R3, /* what the program passed the helper there */
    GETS_CALLERS_R4,
    GETS_TASK,      /* a struct task_struct of the kernel */
    GETS_AREA,      /* a struct vm_area_struct */
    GETS_MAP,       /* the helper's map */
    GETS_MAP_KEY,   /* a key of it, to be read */
    GETS_MAP_VALUE, /* and the value */
    GETS_DYNPTR,    /* a dynptr of memory, which only helpers follow */
    GETS_NODE,      /* of the tree that argument 1 is the root of */
};

enum {
    CALLBACK_SYNC = 1,
    CALLBACK_LATER = 2,
    CALLBACK_SLEEPS = 4,
    CALLBACK_BOUND_SHIFT = 4, /* above: the number of the argument that bounds how often */
};

struct callback {
    uint8_t when, gets[5];
};

/** @return NULL: this helper calls nothing back, or it is not known how. */
const struct callback *callback_find(const struct helper *helper);

#endif
