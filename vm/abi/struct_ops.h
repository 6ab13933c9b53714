/* What Linux knows of structs of operations beyond their types, from struct_ops.def. `ops` is the struct's name. */
#ifndef VM_ABI_STRUCT_OPS_H
#define VM_ABI_STRUCT_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What arguments that point to a struct of this type are taken for: itself, where no row says otherwise. */
const char *struct_ops_seen_as(const char *ops, const char *type);

enum struct_ops_how { STRUCT_OPS_MEMBER, STRUCT_OPS_WITHIN, STRUCT_OPS_WALKED };

struct struct_ops_store {
    const char *ops, *type, *part; /* part: as btf_find_place() has it */
    enum struct_ops_how how;
};

/** What methods write to. @return how many rows there are, of all structs. */
size_t struct_ops_stores(const struct struct_ops_store **rows);

/** May this method be a program? */
bool struct_ops_has(const char *ops, const char *method);
/** May it sleep? */
bool struct_ops_sleeps(const char *ops, const char *method);
/** May it call this helper of Linux's, as far as programs of type struct_ops may? */
bool struct_ops_calls(const char *ops, const char *method, uint32_t helper);

#endif
