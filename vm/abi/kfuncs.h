/*
 * Kernel functions, from kfuncs.def. `call` is how engines, checked execution and mocks see one: as a helper, whose
 * number is above all of Linux's; the rest is what the verifier asks for.
 */
#ifndef VM_ABI_KFUNCS_H
#define VM_ABI_KFUNCS_H

#include "vm/abi/helpers.h"

enum { KFUNC_FIRST_ID = 1 << 20 }; /* of kfunc->call.id */

enum kfunc_arg_kind {
    KARG_NONE,
    KARG_NUM,
    KARG_CONST,
    KARG_PTR,         /* a kernel struct, of the type that is named */
    KARG_PTR_OR_NULL, /* the same, or NULL */
    KARG_MEM,         /* readable; the next argument is its size */
    KARG_MEM_OR_NULL,
    KARG_MEM_OUT, /* writable, so many bytes as `size` says */
    KARG_SIZE,
    KARG_CTX,
    KARG_ANY,   /* a pointer of any kind */
    KARG_LOCAL, /* what the program allocated and owns */
    KARG_LOCAL_PERCPU,
    KARG_COUNTED, /* an object with a bpf_refcount */
    KARG_LIST_HEAD,
    KARG_LIST_NODE,
    KARG_RB_ROOT,
    KARG_RB_NODE,
    KARG_RB_NODE_NEW, /* of an object that the program owns */
    KARG_WQ,
    KARG_FUNC,   /* a function of the program */
    KARG_UNUSED, /* Linux's verifier fills it in, or does not look at it */
    KARG_ITER,   /* an iterator on the stack, of the type that is named */
    KARG_DYNPTR,
    KARG_DYNPTR_NEW,
    KARG_CONST_SIZE, /* a constant, of the memory before it */
    KARG_MAP,        /* a map */
};

enum kfunc_ret_kind { KRET_VOID, KRET_INT, KRET_PTR, KRET_LOCAL, KRET_NODE, KRET_MEM, KRET_SLICE };

enum kfunc_flag {
    KFUNC_ACQUIRE = 1,
    KFUNC_RELEASE = 2,
    KFUNC_RET_NULL = 4,
    KFUNC_TRUSTED = 8, /* takes pointers that are trusted */
    KFUNC_RCU = 16,    /* or protected by RCU */
    KFUNC_SLEEPS = 32,
    KFUNC_DESTRUCTIVE = 64,
    KFUNC_RCU_PROTECTED = 128, /* for sections of RCU alone */
    KFUNC_HELD = 256,          /* a run's environment knows the reference that the result holds */
    KFUNC_UNDER_LOCK = 512,    /* may be called while a spin lock is held */
    KFUNC_CALLS_BACK = 1024,   /* calls a function of the program before it returns */
};

/* What the verifier does besides. */
enum kfunc_special {
    KFUNC_PLAIN,
    KFUNC_RCU_LOCK,
    KFUNC_RCU_UNLOCK,
    KFUNC_PREEMPT_OFF,
    KFUNC_PREEMPT_ON,
    KFUNC_CAST_KERN_CTX,
    KFUNC_RDONLY_CAST,
    KFUNC_ITER_NEW,
    KFUNC_ITER_NEXT,
    KFUNC_ITER_DESTROY,
    KFUNC_DYNPTR_SKB,
    KFUNC_DYNPTR_XDP,
    KFUNC_DYNPTR_CLONE,
    KFUNC_SLICE,
    KFUNC_SLICE_RDWR,
    KFUNC_IRQ_SAVE,
    KFUNC_IRQ_RESTORE,
    KFUNC_THROW,
    KFUNC_OBJECT_NEW,
    KFUNC_OBJECT_NEW_PERCPU,
    KFUNC_OBJECT_SHARE,
    KFUNC_NODE_ADD, /* argument 2's reference is the list's or tree's from now on */
};

/* What lies on the stack for functions of its own alone: a struct bpf_iter_<name>, or the flags of interrupts. */
struct iter_type {
    const char *name, *what;
    uint8_t bytes;
};

struct kfunc_arg {
    uint8_t kind; /* enum kfunc_arg_kind */
    uint8_t size; /* MEM_OUT */
    const char *type;
};

struct kfunc {
    const char *name;
    struct helper call; /* body NULL: missing */
    struct kfunc_arg arg[5];
    uint8_t ret;      /* enum kfunc_ret_kind */
    uint8_t ret_size; /* MEM: bytes, read-only */
    const char *ret_type;
    uint8_t special; /* enum kfunc_special */
    uint16_t flags;  /* enum kfunc_flag */
    uint64_t users;  /* a bit a program type */
};

/** @return NULL: no such function is known. */
const struct kfunc *kfunc_find(const char *name);

/** The iterator type of an ITER argument's row. */
const struct iter_type *iter_type_find(const char *name);

#endif
