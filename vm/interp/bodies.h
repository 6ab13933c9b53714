/* What the loops are made of: the rows' expressions, atomics, plain loads and stores. */
#ifndef VM_INTERP_BODIES_H
#define VM_INTERP_BODIES_H

#include "vm/isa/atomics.h"
#include "vm/isa/bodies.h"
#include <string.h>

#define LOAD(type, p)                                                                                                  \
    ({                                                                                                                 \
        type v_;                                                                                                       \
        memcpy(&v_, (const void *)(p), sizeof(v_));                                                                    \
        (uint64_t) v_;                                                                                                 \
    })
#define STORE(type, p, value)                                                                                          \
    do {                                                                                                               \
        type v_ = (type)(value);                                                                                       \
        memcpy((void *)(p), &v_, sizeof(v_));                                                                          \
    } while (0)

#endif
