/* Names of map types. */
#include "vm/abi/map_types.h"

#include <stddef.h>
#include <string.h>

static const char *const names[MAP_TYPE_COUNT] = {
#define MAP_TYPE(id, name, text, ops, key, value, flags) [id] = text,
#include "vm/abi/map_types.def"
};

const char *map_type_name(unsigned id)
{
    return id < MAP_TYPE_COUNT ? names[id] : NULL;
}

unsigned map_type_by_name(const char *name)
{
    for (unsigned id = 1; id < MAP_TYPE_COUNT; id++)
        if (!strcmp(names[id], name))
            return id;
    return 0;
}
