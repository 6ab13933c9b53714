/*
 * Code: a program (and its facts, if there are any) made executable for one instance: maps, helpers and context fields
 * resolved to addresses. Immutable after lowering; run by any number of threads; freed an epoch after its last
 * reference goes. Level 0 keeps one operation a slot, registers as themselves and the stack in memory. Above it each
 * optimisation is a pass that rewrites ops and can be switched off by itself (enum code_opt).
 */
#ifndef VM_CODE_H
#define VM_CODE_H

#include "vm/facts.h"
#include "vm/maps/map.h"
#include "vm/prog.h"

struct skep_env;
struct code;
struct jit;

enum code_opt {
    CODE_OPT_FUSE = 1 << 0,    /* several instructions into one operation */
    CODE_OPT_FACTS = 1 << 1,   /* use facts */
    CODE_OPT_INLINE = 1 << 2,  /* frequent helpers as operations (array lookup, clock, cpu) */
    CODE_OPT_SPECIAL = 1 << 3, /* interpreter: handlers for each choice of registers */
    CODE_OPT_ALL = 15,
};

struct code_opts {
    bool checked;       /* every access is looked up before it is made */
    uint32_t opts;      /* CODE_OPT_* */
    bool count_insns;   /* engines that do not always count: honour env's instruction budget also when unchecked */
    bool traced;        /* env->on_insn sees every instruction; implies checked, and opts 0 */
    const char *engine; /* its name */
    /* For engines that compile. */
    uint32_t no_ir;  /* optimisations that are off: IR_OPT_* and JIT_NO_* */
    struct jit *jit; /* where machine code goes; NULL: to a place of its own */
};

/* An engine makes code runnable and runs it. */
struct engine {
    const char *name;
    uint32_t passes; /* CODE_OPT_*: what lowering may do for it; the rest is left out */
    /* Prepares code->engine_data; called once at the end of lowering. facts are NULL when there are none, or they are
     * not to be used. 0 or a negative errno. */
    int (*prepare)(struct code *code, const struct facts *facts, const struct log *log);
    void (*release)(struct code *code);
    /* Runs from function func (0: the entry) with arguments in r1..r5. @return r0; env->trap says whether it is one. */
    uint64_t (*run)(const struct code *code, uint32_t func, struct skep_env *env, const uint64_t args[5]);
};

/* What an operation may be: the instructions themselves, and beyond them what vm/ops.def names. */
enum op_kind {
    OP_FIRST = ISA_OP_COUNT - 1,
#define OP(name, text) OP_##name,
#include "vm/ops.def"
    OP_KIND_COUNT
};

/* One operation. */
struct op {
    uint16_t kind; /* enum isa_op or enum op_kind */
    uint16_t dst, src, aux;
    int32_t off;
    uint32_t target; /* jumps and local calls: index of an op */
    uint64_t imm;    /* resolved: a map's address, a value's address, a helper's body ... */
};

/* What a function pointer is at run time: the address of one of these in code->funcs. */
struct code_func {
    const struct code *code;
    uint32_t op;          /* where it begins */
    uint32_t stack_depth; /* bytes of its frame that it may touch, a multiple of 8, at most 512 */
    uint32_t clear_depth; /* as many of them are zeroed on entry: 0 where none is read before it is written */
};

struct code {
    uint32_t id;   /* as its creator numbers programs; what a host reads from a PROG_ARRAY */
    uint32_t refs; /* atomic */
    /* Bytes that the context must have, or the memory of a program without a type: what an unchecked program touches
     * was proved for so many. Its creator's, 0 at first; enforced where runs begin and at tail calls. */
    uint32_t ctx_needed;
    struct prog *prog;
    struct map *arena_map; /* that its instructions name; NULL: none. One of maps */
    struct map **maps;     /* the instance's maps in prog->maps order, with references; NULL entries where unused */
    struct op *ops;
    uint32_t *slot;                /* the slot that each op came from */
    uint32_t n_ops;                /* the last is a trap, for control that ran past the last instruction */
    const struct helper **helpers; /* those that it calls; op.aux is an index */
    uint32_t n_helpers;
    struct arena arena;      /* ops and what they refer to */
    struct code_func *funcs; /* in prog->funcs order */
    uint32_t n_funcs;
    const struct engine *engine;
    void *engine_data;
    const void *machine_code; /* where function 0 begins, for other machine code to jump to; NULL: there is none */
    struct code_opts opts;
};

/**
 * Lowers a program for an instance.
 *
 * @param prog   takes a reference.
 * @param facts  read during the call only; NULL: nothing was proved.
 * @param maps   prog->n_maps maps; takes references.
 * @return 0 and *out with one reference; -ENOMEM, -EINVAL.
 */
int code_lower(struct prog *prog, const struct facts *facts, struct map *const *maps, const struct code_opts *opts,
               const struct engine *engine, const struct log *log, struct code **out);

/** Takes a reference. @return NULL when code is being freed. */
struct code *code_get(struct code *code);
/** Gives a reference back; the last one frees it after an epoch. */
void code_put(struct code *code);

/** How a PROG_ARRAY holds code: takes and gives references, refuses what is dying. */
extern const struct map_elem_ops code_elem_ops;

#endif
