/* What Linux knows of single hooks beyond their types, from hooks.def. Arguments count from 0 here. */
#ifndef VM_ABI_HOOKS_H
#define VM_ABI_HOOKS_H

#include <stdbool.h>

enum hook_arg {
    HOOK_ARG_PLAIN, /* as its type says */
    HOOK_ARG_NULLABLE,
    HOOK_ARG_ERRORS, /* may be the number of an error */
};

/** Of a tracepoint with BTF. */
enum hook_arg hook_tracepoint_arg(const char *name, unsigned arg);

enum hook_iter_arg { HOOK_ITER_NONE, HOOK_ITER_OBJECT, HOOK_ITER_PLAIN, HOOK_ITER_BYTES, HOOK_ITER_CONST_BYTES };

/** Of an iterator. NONE: as its type says. */
enum hook_iter_arg hook_iter_arg(const char *name, unsigned arg);

enum hook_lsm { HOOK_LSM_SLEEPS = 1, HOOK_LSM_UNTRUSTED = 2, HOOK_LSM_BOOL = 4, HOOK_LSM_DISABLED = 8 };

/** Of an LSM hook: a set of enum hook_lsm. */
unsigned hook_lsm(const char *name);

enum hook_kind { HOOK_OTHER, HOOK_FUNCTION, HOOK_ITERATOR, HOOK_LSM };

/** May programs at this hook call a helper (by its name, without "bpf_") that their type may call? */
bool hook_may_call(const char *helper, enum hook_kind kind, const char *target);

#endif
