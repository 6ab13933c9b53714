/*
 * The helper table, made from helpers.def, and the prototypes that a host gives its own helpers in. Checked execution
 * tests arguments by these kinds before a body runs, and the verifier will prove them; bodies test nothing that the row
 * already says.
 */
#ifndef VM_ABI_HELPERS_H
#define VM_ABI_HELPERS_H

#include <skep/types.h>
#include <stdbool.h>

/* Kinds of arguments. MEM kinds are followed by the SIZE argument that bounds them, as in Linux. */
enum arg_kind {
    ARG_NONE,               /* no such argument */
    ARG_ANYTHING,           /* any value */
    ARG_CTX,                /* the program's context */
    ARG_MAP,                /* a map */
    ARG_MAP_KEY,            /* readable, key_size of the map argument */
    ARG_MAP_VALUE,          /* readable, value_size of the map argument */
    ARG_MAP_VALUE_UNINIT,   /* writable, value_size of the map argument */
    ARG_MEM,                /* readable; the next argument is its size */
    ARG_MEM_OR_NULL,        /* the same, or NULL with size 0 */
    ARG_MEM_UNINIT,         /* writable; the next argument is its size */
    ARG_MEM_UNINIT_OR_NULL, /* the same, or NULL with size 0 */
    ARG_MEM_RDWR,           /* readable and writable; the next argument is its size */
    ARG_SIZE,               /* size of the memory before it, at least 1 */
    ARG_SIZE_OR_ZERO,       /* size of the memory before it */
    ARG_CONST_SIZE_OR_ZERO, /* a size that must be a constant: bounds what the helper returns */
    ARG_CONST_STR,          /* a NUL-terminated string in read-only memory */
    ARG_STR,                /* the same, any memory (host helpers) */
    ARG_SHORT_PTR,          /* 2 bytes, writable */
    ARG_INT_PTR,            /* 4 bytes, writable */
    ARG_LONG_PTR,           /* 8 bytes, writable */
    ARG_RINGBUF_MEM,        /* a record from ringbuf_reserve */
    ARG_SPIN_LOCK,          /* a struct bpf_spin_lock inside a map value */
    ARG_FUNC,               /* a function of the program */
    ARG_STACK_OR_NULL,      /* stack memory or NULL */
    ARG_BTF_ID,             /* a kernel pointer (tasks and the like) */
    ARG_PERCPU,             /* the address of a variable that each CPU has */
    ARG_SOCK,               /* a socket, whether the program sees it as such or as a kernel object */
    ARG_SOCK_OR_NULL,       /* the same, or NULL */
    ARG_SOCK_COMMON,        /* a socket that the program sees as such */
    ARG_SOCKET,             /* a full one */
    ARG_SOCKET_OR_NULL,     /* the same, or NULL */
    ARG_CTX_OR_NULL,        /* the program's context, or NULL */
    ARG_IPV4_HDR,           /* 20 bytes, readable */
    ARG_IPV6_HDR,           /* 40 bytes, readable */
    ARG_TCP_HDR,            /* 20 bytes, readable */
    ARG_DYNPTR,             /* a dynptr on the stack */
    ARG_DYNPTR_RECORD,      /* one of a ring buffer's record, which is released */
    ARG_DYNPTR_NEW,         /* room for one, of memory */
    ARG_DYNPTR_NEW_RECORD,  /* room for one, of a ring buffer's record */
    ARG_MEM_RDWR_OR_NULL,   /* readable and writable, the next argument is its size; or NULL, whatever that says */
    ARG_TWO_LONGS,          /* 16 bytes, writable */
    ARG_THREE_LONGS,        /* 24 bytes, writable */
    ARG_MAP_VALUE_OR_NULL,  /* as MAP_VALUE, or NULL */
    ARG_BTF_ID_OR_NULL,     /* as BTF_ID, or NULL */
    ARG_ZERO,               /* 0: the helper has no way to say that it does not know a flag */
    ARG_TIMER,              /* a struct bpf_timer in a map's value */
    ARG_KPTR,               /* a pointer to an object, in a map's value or in an object */
    ARG_KPTR_VALUE,         /* what is to stand there: an object that the program owns, or NULL */
};

enum ret_kind {
    RET_INT,
    RET_VOID,
    RET_MAP_VALUE_OR_NULL,   /* value_size of the map argument (for map-in-map: an inner map) */
    RET_RINGBUF_MEM_OR_NULL, /* a record, as long as the CONST_SIZE argument says */
    RET_DYNPTR_MEM_OR_NULL,  /* part of a dynptr's memory, as long as the CONST_SIZE argument says */
    RET_BTF_ID,
    RET_BTF_ID_OR_NULL,
    RET_PERCPU, /* where a CPU has the variable that the PERCPU argument is */
    RET_PERCPU_OR_NULL,
    RET_SOCKET_OR_NULL,
    RET_SOCK_COMMON_OR_NULL,
    RET_TCP_SOCK_OR_NULL,
    RET_LENGTH,       /* INT: at most what the last size argument allows, or an error number */
    RET_CPU,          /* INT: the number of a CPU */
    RET_MAP_VALUE,    /* as MAP_VALUE_OR_NULL, and always there */
    RET_KPTR_OR_NULL, /* what stood in the KPTR argument */
};

enum helper_effect {
    EFFECT_CHANGES_PACKET = 1, /* pointers into the packet are void afterwards */
    EFFECT_ACQUIRES = 2,       /* the result must be released */
    EFFECT_RELEASES = 4,       /* argument 1 is released */
    EFFECT_SLEEPS = 8,         /* only in sleepable programs */
    EFFECT_GPL = 16,           /* only in programs with a GPL-compatible license */
    EFFECT_CALLS_BACK = 32,    /* calls a function of the program through env */
    EFFECT_ENGINE = 64,        /* done by the engines themselves, there is no body */
    EFFECT_PACKET_MEM = 128,   /* memory arguments may lie in the packet (Linux's pkt_access) */
    EFFECT_LOCKS = 256,        /* takes the spin lock that argument 1 names */
    EFFECT_UNLOCKS = 512,      /* gives it back */
    EFFECT_WRITES_MAP = 1024,  /* changes the elements of its map */
    EFFECT_VARIADIC = 2048,    /* reads all five arguments, whatever the row names */
    EFFECT_CASTS = 8192,       /* the result is argument 1 seen as something else: it shares its reference */
    EFFECT_VALUE_MEM = 16384,  /* argument 1 is memory of a map's value */
    EFFECT_UNDER_LOCK = 32768, /* may be called while a spin lock is held */
    EFFECT_FILLS = 4096,       /* writes every byte of memory that it is given to write, whatever happens */
};

struct helper {
    uint32_t id;
    const char *name;    /* without "bpf_" */
    skep_helper_fn body; /* NULL: missing, or done by the engine (EFFECT_ENGINE) */
    uint8_t ret;         /* enum ret_kind */
    uint8_t arg[5];      /* enum arg_kind */
    uint16_t effects;
    uint8_t map_type; /* what the map argument must be, 0: any type that has the operation */
};

/** Linux's helper with this number, also when its body is missing. @return NULL: Linux 6.18 has no such number. */
const struct helper *helper_find(uint32_t id);
/** The helper of this name, without "bpf_"; NULL: Linux 6.18 has none. */
const struct helper *helper_by_name(const char *name);

/* A host's own helpers stand before the table's. Immutable once programs were lowered with it. */
struct helper_set {
    const struct helper *own;
    uint32_t n_own;
    struct mock_set *mocks; /* what calls go through (vm/mock.h); NULL: nothing */
    bool own_only;          /* the table is not consulted: a sandbox that offers nothing but the host's functions */
};

/** What a program calls by this number under this set (NULL: the table alone). @return NULL when there is none. */
const struct helper *helper_set_find(const struct helper_set *set, uint32_t id);

/** As helper_set_find(), for a program of this type: some types know a helper by other arguments. */
const struct helper *helper_for(const struct helper_set *set, uint32_t prog_type, uint32_t id);
/** The kernel struct that argument `arg` (from 1; 0: the result) points to, where its kind is BTF_ID; NULL: none is
 * named. */
const char *helper_kernel_type(const struct helper *helper, unsigned arg);
/** Does it go by the target's types: take or give pointers to kernel objects, or show their values? */
bool helper_names_kernel_object(const struct helper *helper);
/** Is it Linux's own, and not a host's? */
bool helper_is_linux(const struct helper *helper);

#endif
