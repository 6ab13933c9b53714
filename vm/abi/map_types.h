/* Map type numbers, from map_types.def: MAP_TYPE_HASH and so on. Ours, since a system's linux/bpf.h may be older. */
#ifndef VM_ABI_MAP_TYPES_H
#define VM_ABI_MAP_TYPES_H

enum map_type_id {
#define MAP_TYPE(id, name, text, ops, key, value, flags) MAP_TYPE_##name = id,
#include "vm/abi/map_types.def"
    MAP_TYPE_COUNT
};

/** "hash", as bpftool writes it; NULL for an unknown number. */
const char *map_type_name(unsigned id);
/** The inverse; 0 for none. */
unsigned map_type_by_name(const char *name);

#endif
