/*
 * Who may do what: which programs may call a helper, which maps a helper takes, and which fields of its context are for
 * some attach types alone. From helper_users.def, map_helpers.def and ctx_users.def.
 */
#ifndef VM_ABI_POLICY_H
#define VM_ABI_POLICY_H

#include "vm/abi/helpers.h"
#include "vm/abi/prog_types.h"

/** May a program of this type, made for this attach type, call Linux's helper of this number? `unprivileged`: without
 * any capability. */
bool policy_helper(const struct prog_type *type, uint32_t attach_type, bool unprivileged, uint32_t helper);

/** Do iterators over this (the target of a program of type TRACING for TRACE_ITER) call the helper besides? */
bool policy_iterator(const char *target, uint32_t helper);

/** May a program of this type, made for this attach type, touch the context at this offset? For what its layout allows
 * some attach types only. */
bool policy_ctx(const struct prog_type *type, uint32_t attach_type, uint32_t off, bool write);

/** Does the helper of this number take maps of this type? */
bool policy_map_helper(uint32_t map_type, uint32_t helper);

/** And from a program of this type, made for this attach type? */
bool policy_map_user(const struct prog_type *type, uint32_t attach_type, uint32_t map_type, uint32_t helper);

/** Does this helper read the value argument that it writes for maps of other types? */
bool policy_map_reads_value(uint32_t map_type, uint32_t helper);
enum map_finds { MAP_FINDS_VALUE, MAP_FINDS_SOCKET, MAP_FINDS_XDP_SOCKET };

/** What a lookup yields for programs: the value's address, or the socket that stands there; full ones are acquired. */
enum map_finds policy_map_finds(uint32_t map_type);

/** The kernel struct of a map of this type, which begins with a struct bpf_map; NULL: programs may not look at it. */
const char *policy_map_struct(uint32_t map_type);

/** May sleepable programs use maps of this type? */
bool policy_map_sleepable(uint32_t map_type);

#endif
