/*
 * Objects that programs allocate (bpf_obj_new() and its like). They live in maps between runs and travel with them from
 * instance to instance, so that there is one heap a process, as there is one clock of epochs. An object begins with a
 * head that only the host sees: what it is, so that whoever finds it in a map can free what it holds.
 *
 * Memory that was taken stays the heap's, so that looking an address up is safe while others allocate; an object that
 * was given back is used again once no run can still see it.
 */
#ifndef VM_HEAP_H
#define VM_HEAP_H

#include "vm/fields.h"

enum { OBJECT_MAX = 4096 - 8 /* bytes of one, as in Linux; those that each CPU has may take more together */ };

struct object {
    const struct fields *fields; /* its special fields; NULL: it has none */
    struct object *next;         /* of those that wait for something */
    uint32_t state;              /* atomic: enum object_state */
    uint32_t size;               /* what the program may touch; of one CPU's where there are more */
    uint32_t cpus;               /* 0: it is one; else how many of `size`, each rounded up to 8 */
    uint32_t type;               /* in the BTF of whoever made it */
};

enum object_state { OBJECT_FREE, OBJECT_LIVE, OBJECT_DYING /* dropped; runs may still look at it */ };

static inline unsigned char *object_mem(struct object *o)
{
    return (unsigned char *)(o + 1);
}

/** A new object, zeroed. cpus 0: one; else one for each of so many CPUs. @return NULL: out of memory, or more than
 *  map_set_limit() allows. */
struct object *heap_take(uint32_t size, uint32_t cpus, const struct fields *fields, uint32_t type);
/** Gives an object back that nothing refers to: its memory is used again after an epoch. */
void heap_give(struct object *o);
/** The object, not free, that holds this address, which a run found where programs keep such; NULL: none. */
struct object *heap_find(uint64_t addr);
/** The same, whose memory begins there. */
struct object *heap_at(uint64_t addr);
/** How many are in use; for tests. */
uint64_t heap_count(void);

#endif
