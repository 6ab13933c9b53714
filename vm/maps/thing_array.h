/*
 * Arrays of things: PROG_ARRAY and ARRAY_OF_MAPS. Element i is an atomic pointer to a thing, with a reference that the
 * map took, or NULL. A thing that is taken out is given back at once; it is the thing's own business to outlive the
 * runs that still see it (map_elem_ops).
 */
#ifndef VM_MAPS_THING_ARRAY_H
#define VM_MAPS_THING_ARRAY_H

#include "vm/maps/map.h"

int thing_array_set(struct map *map, const void *key, void *thing, uint64_t flags);
int thing_array_remove(struct map *map, const void *key);
int thing_array_host_lookup(struct map *map, const void *key, void *value, uint64_t flags);
/** The thing, under an epoch. */
void *thing_array_lookup(struct map *map, const void *key, uint32_t cpu);
void thing_array_clear(struct map *map);
void thing_array_destroy(struct map *map);

#endif
