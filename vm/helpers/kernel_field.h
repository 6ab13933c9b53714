/* How bodies read members of kernel structures: by name, through the target's types, as probes do. */
#ifndef VM_HELPERS_KERNEL_FIELD_H
#define VM_HELPERS_KERNEL_FIELD_H

#include "vm/env.h"

/** A member of at most 8 bytes, and no bitfield, of the struct at this address.
 *  @return false: the target's types or that memory are not there. */
bool kernel_field(struct skep_env *env, uint64_t addr, const char *type, const char *member, uint64_t *value);
/** Where a member stands in its struct. @return false: the target has none. */
bool kernel_offset(struct skep_env *env, const char *type, const char *member, uint64_t *off);

#endif
