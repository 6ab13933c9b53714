/*
 * Abstract states. A `struct state` stands for all machine states that one path may be in before the instruction at
 * `insn`: what is known of each register and stack byte of each frame, which references and locks are held. Frames are
 * shared between states by reference count until one of them writes (state_frame_mut); everything a state points to
 * comes from the pool of the verification, and goes back to it.
 *
 * A register that holds a pointer stands for base + off + s, where `kind` and what follows say what base is, off is the
 * constant part and s what is known of the rest. A scalar's `id` links copies of one value: registers with one id hold
 * values that differ by their `off`.
 */
#ifndef VERIFIER_STATE_H
#define VERIFIER_STATE_H

#include "verifier/scalar.h"
#include "vm/prog.h"

enum { REGS = 11, SLOT = 8, MAX_SLOTS = PROG_STACK_FRAME / SLOT };

enum reg_kind {
    REG_NONE, /* nothing was written to it */
    REG_SCALAR,
    REG_CTX,
    REG_STACK, /* frame says whose */
    REG_MAP,   /* a map itself */
    REG_MAP_VALUE,
    REG_MAP_KEY,
    REG_PACKET, /* size: bytes proved to be there from the base on, for this id */
    REG_PACKET_META,
    REG_PACKET_END,
    REG_MEM,         /* size bytes that a helper or the host gave */
    REG_FUNC,        /* a function of the program */
    REG_SOCK_COMMON, /* sockets as programs see them: in any state, full, TCP, XDP */
    REG_SOCKET,
    REG_TCP_SOCK,
    REG_XDP_SOCK,
    REG_FLOW_KEYS, /* a struct bpf_flow_keys */
    REG_BTF,       /* a kernel object: type id `size` of `btf`; trust says how far it is to be believed */
    REG_DYNPTR,    /* in stack slots half of a dynptr; in registers the address of one that a callback was handed */
    REG_ITER,      /* in stack slots alone: part of an iterator */
    REG_BUFFER,    /* memory of what an iterator is at: as long as it turns out to be */
    REG_ARENA,     /* the lower half of an address in the program's arena, or any other number */
    REG_KERNEL,    /* a pointer into the kernel that is not modelled: it may be compared, and no more */
    REG_KIND_COUNT
};

enum reg_flag {
    REG_MAYBE_NULL = 1,
    REG_READ_ONLY = 2,
    REG_RECORD = 4,      /* MEM: a ring buffer record */
    REG_LINK_OFF = 8,    /* scalar: off is the difference to the others of its id */
    REG_AT_END = 16,     /* PACKET: was found to be at or past the end */
    REG_BEYOND_END = 32, /* PACKET: was found to be past the end */
    REG_FIRST = 64,      /* DYNPTR, ITER: the part at the lowest address */
    REG_OF_PACKET = 128, /* MEM: a slice of the packet, which goes where pointers into it go */
};

/* Of pointers to kernel objects: what Linux says by modifiers of the register's type. Of MEM: it lies in the kernel, so
 * that loads from it are probes; TRUSTED: its size is known, UNTRUSTED: it may be anything. */
enum reg_trust {
    TRUST_TRUSTED = 1,   /* valid as long as the program has it */
    TRUST_RCU = 2,       /* valid as long as the section protected by RCU lasts */
    TRUST_UNTRUSTED = 4, /* may be anything: loads are probes, and that is all it is good for */
    TRUST_USER = 8,      /* an address of user space */
    TRUST_PERCPU = 16,   /* an offset into each CPU's own memory */
    TRUST_ALLOC = 32,    /* the program allocated it; its type is one of the program's own */
    TRUST_BORROWED = 64, /* a list or tree of the program owns it (Linux's NON_OWN_REF) */
};

struct reg {
    uint8_t kind;  /* enum reg_kind */
    uint8_t flags; /* enum reg_flag */
    uint8_t frame; /* STACK */
    uint8_t trust; /* enum reg_trust */
    int32_t off;
    uint32_t id;      /* 0: none. Null checks, packet ranges and scalar links go by it */
    uint32_t ref;     /* the reference that keeps it alive; 0: none */
    uint32_t size;    /* MEM: bytes; PACKET: proved range; FUNC: index of the function; BTF: type id */
    uint32_t map_uid; /* which lookup an inner map came from; 0 for maps named in the program. MEM: which dynptr it is a
                         slice of */
    union {
        const struct map_def *map;    /* MAP, MAP_VALUE, MAP_KEY */
        const struct btf *btf;        /* BTF: whose type it is */
        const struct iter_type *iter; /* ITER */
    };
    struct scalar s;
};

/* What a stack byte holds. */
enum slot_type { SLOT_INVALID, SLOT_SPILL, SLOT_MISC, SLOT_ZERO, SLOT_DYNPTR, SLOT_ITER };

/* Eight bytes of stack. Bytes of type SPILL hold the low bytes of reg: always the upper end of the array's indices,
 * since type[i] is byte i and a spill of n bytes covers bytes 0 to n - 1. */
struct slot {
    uint8_t type[SLOT];
    struct reg reg;
};

/* Slots of a frame, a few at a time: frames share them until one writes. */
enum { CHUNK_SLOTS = 4, MAX_CHUNKS = MAX_SLOTS / CHUNK_SLOTS };

struct chunk {
    uint32_t shared; /* frames that hold it */
    struct slot slots[CHUNK_SLOTS];
};

struct frame {
    uint32_t shared;   /* states that hold it */
    uint32_t callsite; /* slot of the call instruction; UINT32_MAX for the entry */
    uint32_t func;     /* index into prog->funcs */
    uint32_t inst;     /* of the function: uses.c */
    uint32_t rounds;   /* how often its current call has called back on this path */
    bool callback;     /* a helper called it, as often as it likes: callback.c */
    bool async;        /* the outermost: it was put off, and runs by itself */
    uint16_t n_slots;  /* slots with a record; slot i covers [-8 (i + 1), -8 i) from r10; further ones are INVALID */
    struct reg regs[REGS];
    struct chunk *chunks[MAX_CHUNKS]; /* those of n_slots; what is in them beyond it is zero */
};

/** Slot i, which must be below n_slots. */
static inline const struct slot *frame_slot(const struct frame *f, unsigned i)
{
    return &f->chunks[i / CHUNK_SLOTS]->slots[i % CHUNK_SLOTS];
}

/** The same for writing, of those that state_slots_mut() made the frame's own. */
static inline struct slot *frame_slot_own(struct frame *f, unsigned i)
{
    return &f->chunks[i / CHUNK_SLOTS]->slots[i % CHUNK_SLOTS];
}

/* One executed instruction, for walking back. */
struct step_record {
    uint32_t insn;
    uint16_t stack; /* STEP_STACK | frame << 6 | slot: it accessed this slot; or what else it did */
    uint16_t links; /* 1 + index into the history's link sets: a branch that refined linked scalars; 0: none */
};

enum {
    STEP_STACK = 1 << 15,
    STEP_LEAVES = 1 << 14,  /* a call that ended its function */
    STEP_ENTERS = 1 << 13,  /* a helper's call that went on in a callback */
    STEP_RETURNS = 1 << 12, /* the exit of a callback */
    STEP_OVER = 1 << 11,    /* a call that did not go on in its function */
};

/* Registers and spilled slots that were linked when a branch refined them: bit masks a frame. */
struct link_set {
    uint16_t regs[PROG_MAX_FRAMES];
    uint64_t slots[PROG_MAX_FRAMES];
};

struct history {
    struct step_record *steps;
    uint32_t n, cap;
    struct link_set *links;
    uint32_t n_links, cap_links;
};

/* What a path holds and must give back, in the order in which it was taken. States share it until one changes it. */
enum ref_kind {
    REF_OBJECT, /* what the environment of a run knows of (env_ref): records, sockets, ... */
    REF_KERNEL, /* kernel objects, which a run need not give back */
    REF_ITER,   /* iterators */
    REF_IRQ,    /* flags that are to be restored, the last first */
};

struct ref {
    uint32_t id;
    uint32_t kind; /* enum ref_kind */
};

struct refs {
    uint32_t shared; /* states that hold it */
    uint32_t cap;    /* a power of two */
    struct ref at[];
};

struct checkpoint;

struct state {
    uint32_t insn; /* about to be executed */
    uint32_t n_frames;
    struct frame *frames[PROG_MAX_FRAMES];
    struct refs *refs; /* NULL: none were ever taken */
    uint32_t n_refs;
    bool locked; /* a spin lock is held: that of the value or object with this id, of this map, or of these types */
    uint32_t lock_id;
    const void *lock_of;
    bool sleeps;         /* what runs may sleep though the program may not: a work queue's function */
    bool rcu;            /* inside bpf_rcu_read_lock() */
    uint8_t preempt_off; /* how often bpf_preempt_disable() holds */
    uint32_t may_goto_depth;
    uint32_t callback_depth;   /* callbacks that were entered on this path */
    struct checkpoint *parent; /* the last saved state on this path */
    struct history past;       /* since parent */
    uint32_t jumps;            /* jumps, calls and exits since parent */
    size_t trace_at;           /* how much of the log was there when the path forked off (trace.c) */
    struct state *next;        /* worklist and free list */
    struct state *kept;        /* the copy of the last step's state that was kept for watching (contains.c) */
};

/* Frames and states of one verification, which go together. Allocation fails by returning NULL and setting `failed`. */
struct pool {
    struct state *free_states;
    struct frame *free_frames;  /* linked through chunks[0] */
    struct chunk *free_chunks;  /* linked through their first slot */
    struct refs *free_refs[32]; /* by the logarithm of cap; linked through their first bytes */
    struct slab *slabs;         /* where all of them lie */
    unsigned char *at, *end;    /* what the newest has left */
    size_t bytes, peak, limit;
    bool failed;
};

struct state *state_new(struct pool *pool);
/** Gives back all that was ever taken from the pool, in use or not; histories are apart, and their owners'. */
void pool_free(struct pool *pool);
/** A copy that shares all frames; the history since the parent is copied, the parent's is shared. */
struct state *state_copy(struct pool *pool, const struct state *from);
void state_free(struct pool *pool, struct state *s);
/** Shares from's frames with `to`, which has none, without history. */
void state_share(struct state *to, const struct state *from);
void state_release_frames(struct pool *pool, struct state *s);

/** Pushes a fresh frame. @return false: out of memory. */
bool state_push_frame(struct pool *pool, struct state *s, uint32_t func, uint32_t callsite);
void state_pop_frame(struct pool *pool, struct state *s);

/** The frame for writing (made unshared), NULL when out of memory. */
struct frame *state_frame_mut(struct pool *pool, struct state *s, uint32_t frame);
/** The frame for writing with at least n_slots slot records, of which those from `first` on may be written. */
struct frame *state_slots_mut(struct pool *pool, struct state *s, uint32_t frame, uint32_t first, uint32_t n_slots);

static inline const struct frame *state_top(const struct state *s)
{
    return s->frames[s->n_frames - 1];
}

static inline const struct reg *state_reg(const struct state *s, unsigned r)
{
    return &s->frames[s->n_frames - 1]->regs[r];
}

/** A register of the top frame, for writing. NULL when out of memory. */
struct reg *state_reg_mut(struct pool *pool, struct state *s, unsigned r);

bool history_add(struct history *h, struct step_record step, const struct link_set *links);
bool history_copy(struct history *to, const struct history *from);
void history_free(struct history *h);

/** Calls fn on every register and every spilled register of every frame that `want` likes, for writing. */
typedef bool (*reg_want)(const struct reg *r, const void *ctx);
typedef void (*reg_change)(struct reg *r, const void *ctx);
bool state_change_regs(struct pool *pool, struct state *s, reg_want want, reg_change change, const void *ctx);

/** Notes that the path holds this from now on. @return false: out of memory. */
bool state_hold(struct pool *pool, struct state *s, uint32_t id, enum ref_kind kind);
/** The last of this kind, 0: there is none; how many there are of others. */
uint32_t state_last_ref(const struct state *s, enum ref_kind kind);
uint32_t state_refs_but(const struct state *s, enum ref_kind kind);
bool state_has_ref(const struct state *s, uint32_t id);
/** The path holds it no more, if it did; the others keep their order. @return false: out of memory. */
bool state_drop_ref(struct pool *pool, struct state *s, uint32_t id);

static inline struct reg reg_scalar(struct scalar v)
{
    return (struct reg){.kind = REG_SCALAR, .s = v};
}

static inline struct reg reg_const(uint64_t v)
{
    return reg_scalar(scalar_const(v));
}

static inline struct reg reg_unknown(void)
{
    return reg_scalar(scalar_unknown());
}

static inline bool reg_is_pointer(const struct reg *r)
{
    return r->kind > REG_SCALAR;
}

static inline bool reg_is_socket(const struct reg *r)
{
    return r->kind >= REG_SOCK_COMMON && r->kind <= REG_XDP_SOCK;
}

static inline bool reg_is_const(const struct reg *r)
{
    return r->kind == REG_SCALAR && scalar_is_const(&r->s);
}

/** Is the slot's low part a spilled register? (Byte 0 holds its lowest byte.) */
static inline bool slot_is_spill(const struct slot *slot)
{
    return slot->type[0] == SLOT_SPILL;
}

static inline bool slot_is_dynptr(const struct slot *slot)
{
    return slot->type[0] == SLOT_DYNPTR;
}

static inline bool slot_is_iter(const struct slot *slot)
{
    return slot->type[0] == SLOT_ITER;
}

/** Is any byte left of an iterator? */
static inline bool slot_has_iter(const struct slot *slot)
{
    for (unsigned i = 0; i < SLOT; i++)
        if (slot->type[i] == SLOT_ITER)
            return true;
    return false;
}

/** Bytes of the register that the slot holds, 0 for no spill. */
static inline unsigned slot_spill_size(const struct slot *slot)
{
    unsigned n = 0;

    while (n < SLOT && slot->type[n] == SLOT_SPILL)
        n++;
    return n;
}

#endif
