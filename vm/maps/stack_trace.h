/* What bpf_get_stackid() does to a STACK_TRACE map. */
#ifndef VM_MAPS_STACK_TRACE_H
#define VM_MAPS_STACK_TRACE_H

#include "vm/maps/map.h"

/** Stores a stack of size bytes (a multiple of 8, at most the map's value) under the number that it hashes to.
 *  @param fast_compare  an equal hash is the same stack.
 *  @param reuse         another stack of that number gives way.
 *  @return the number; -EEXIST, -ENOMEM (max_entries stacks are there). Any thread. */
int64_t stack_trace_put(struct map *map, const void *data, uint32_t size, bool fast_compare, bool reuse);

#endif
