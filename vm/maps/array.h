/* The elements below ARRAY, PERCPU_ARRAY, PROG_ARRAY and ARRAY_OF_MAPS; the latter two hold one pointer in each. */
#ifndef VM_MAPS_ARRAY_H
#define VM_MAPS_ARRAY_H

#include "vm/maps/map.h"

struct array {
    unsigned char *values;
    uint32_t n, stride; /* elements, and the bytes from one to the next */
    uint64_t block;     /* bytes of one CPU's values */
    uint64_t size;      /* of all */
};

static inline unsigned char *array_at(const struct array *a, uint32_t i)
{
    return a->values + (uint64_t)i * a->stride;
}

int array_check(const struct map_def *def, const struct log *log);
int array_create(struct map *map, const struct log *log);
void array_destroy(struct map *map);
int array_next_key(struct map *map, const void *key, void *next);

#endif
