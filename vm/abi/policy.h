/*
 * Who may do what: which programs may call a helper, and which maps a helper takes. From helper_users.def and
 * map_helpers.def.
 */
#ifndef VM_ABI_POLICY_H
#define VM_ABI_POLICY_H

#include "vm/abi/helpers.h"
#include "vm/abi/prog_types.h"

/** May a program of this type, made for this attach type, call Linux's helper of this number? `unprivileged`: without
 * any capability. */
bool policy_helper(const struct prog_type *type, uint32_t attach_type, bool unprivileged, uint32_t helper);

/** Does the helper of this number take maps of this type? */
bool policy_map_helper(uint32_t map_type, uint32_t helper);

#endif
