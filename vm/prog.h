/*
 * A program: decoded, relocated, checked for form; immutable once made and shared by any number of instances, facts and
 * code. Indices are Linux's: one record an 8-byte slot, a two-slot load has its meaning in the first and ISA_INVALID
 * with wide_tail in the second. What the object left open stands in side tables by index: maps (definitions only; an
 * instance binds the maps), externs and poison (what could not be resolved, with its reason).
 */
#ifndef VM_PROG_H
#define VM_PROG_H

#include "base/arena.h"
#include "base/log.h"
#include "vm/abi/helpers.h"
#include "vm/abi/prog_types.h"
#include "vm/abi/trap.h"
#include "vm/isa/isa.h"
#include "vm/maps/map.h"

struct btf;

enum { PROG_MAX_FRAMES = 8, PROG_STACK_FRAME = 512, PROG_MAX_TAIL_CALLS = 33, PROG_MAX_INSNS = 1000000 };
enum { PROG_MAX_MAY_GOTO = 8 * 1024 * 1024 /* BPF_MAX_LOOPS, for each frame of each program */ };
/* Frames at once: a program that a local function calls as its tail takes that function's frame, and has as many below
 * it as any program. */
enum { PROG_MAX_DEPTH = PROG_MAX_FRAMES + PROG_MAX_TAIL_CALLS * (PROG_MAX_FRAMES - 1) };

/* One slot. */
struct insn {
    uint16_t op; /* enum isa_op */
    uint8_t dst, src;
    int32_t off;       /* memory displacement */
    uint32_t target;   /* jumps, local calls, LD_FUNC: absolute slot */
    uint8_t poisoned;  /* executing it traps: imm is an index into prog->poison */
    uint8_t wide_tail; /* the second slot of a two-slot load */
    uint16_t pad;
    int64_t imm; /* immediate, sign-extended; LD_IMM64: all 64 bits (externs resolved to addresses included);
                    LD_MAP_FD: index into prog->maps; LD_MAP_VALUE: index << 32 | offset into the value;
                    CALL_HELPER: helper number; CALL_KFUNC: index into prog->externs */
};

struct prog_func {
    const char *name;
    uint32_t start, end; /* slots [start, end) */
    uint32_t btf_id;     /* of its FUNC in prog->btf; 0: none */
    bool global;         /* verified by itself, as Linux does with global functions */
};

struct prog_line {
    uint32_t insn;           /* the first slot of this line */
    const char *file, *text; /* never NULL, may be "" */
    uint32_t line, col;
};

struct prog_poison {
    enum trap_kind kind;  /* helper_missing, kfunc_missing, core_unresolved */
    const char *reason;   /* "helper bpf_sock_hash_update is not available", with what would mend it */
    uint32_t helper;      /* helper_missing: its number; 0: not told */
    const char *function; /* kfunc_missing, of a call: its name; NULL: not told */
};

/* A two-slot load of the address of a kernel variable whose type the target tells: its value is the address, 0 where
 * nobody tells it. */
struct prog_ksym {
    const char *name;
    uint32_t insn;   /* slot */
    uint32_t btf_id; /* of its VAR in the target's types */
    int32_t off;     /* into the variable */
};

struct kfunc;

struct prog_extern {
    const char *name; /* of the kernel function */
    uint32_t btf_id;  /* in the object's BTF */
    bool weak;
    const struct kfunc *kfunc; /* NULL: none that is known, or the target has none */
};

struct prog {
    uint32_t refs;              /* atomic */
    struct arena arena;         /* everything below lives here */
    const char *name, *section; /* never NULL */
    const char *file;           /* the object's name as given, "" for raw programs */
    const struct prog_type *type;
    uint32_t attach_type;
    const char *attach_target; /* "" for none */
    const char *license;       /* "" for none */
    bool sleepable;
    struct insn *insns;
    uint32_t n_insns;
    struct prog_func *funcs; /* sorted by start; the first is the entry, at slot 0 */
    uint32_t n_funcs;
    uint32_t exception_cb;         /* index of the function that makes an exception's cookie a result; 0: it is one */
    const struct prog_line *lines; /* sorted by insn */
    uint32_t n_lines;
    const struct map_def *const *maps; /* what each map reference means; prog->maps[i] is the object's i-th map */
    uint32_t n_maps;
    const struct prog_poison *poison;
    uint32_t n_poison;
    const struct prog_extern *externs;
    uint32_t n_externs;
    const struct prog_ksym *ksyms; /* sorted by insn */
    uint32_t n_ksyms;
    const struct btf *btf;            /* the object's types, borrowed with a reference; NULL: none */
    const struct field_table *fields; /* special fields of those types, held as they are; NULL: none are known */
    void *btf_owner;                  /* opaque holder of btf and fields */
    void (*put_btf)(void *owner);
    const struct btf *kernel_btf;     /* the target's types, where the program needs them and they are there; as btf */
    void *kernel_owner;               /* its holder, given to put_btf */
    const struct helper_set *helpers; /* borrowed; NULL: the table alone. Must outlive the program */
};

/** What prog_new() makes a program from; everything is copied. Map references stand in the instructions as
 *  src_reg = BPF_PSEUDO_MAP_IDX (imm = index) or BPF_PSEUDO_MAP_IDX_VALUE (imm = index, next imm = offset); kfunc calls
 * as src_reg = 2 with imm = index into externs. Poisoned slots are listed with their reason. */
struct prog_spec {
    const char *name, *section, *file, *license, *attach_target;
    const struct prog_type *type; /* NULL: raw, r1 = memory, r2 = its length */
    uint32_t attach_type;
    bool sleepable;
    const struct skep_insn *insns;
    uint32_t n_insns;
    const struct prog_func *funcs; /* may be empty: found by following local calls */
    uint32_t n_funcs;
    uint32_t exception_cb; /* index into funcs, 0: none */
    const struct prog_line *lines;
    uint32_t n_lines;
    const struct map_def *const *maps;
    uint32_t n_maps;
    const struct prog_poison *poison; /* parallel to poison_at */
    const uint32_t *poison_at;        /* slots */
    uint32_t n_poison;
    const struct prog_extern *externs;
    uint32_t n_externs;
    const struct prog_ksym *ksyms; /* sorted by insn */
    uint32_t n_ksyms;
    const struct btf *btf;
    const struct field_table *fields;
    void *btf_owner;
    void (*put_btf)(void *owner);
    const struct btf *kernel_btf;
    void *kernel_owner;
    const struct helper_set *helpers;
};

/**
 * Decodes and checks form: known operations, reserved fields zero, registers in range, jump targets inside their
 * function and not in the middle of a two-slot load, local calls to function starts, the last instruction of each
 * function an exit or a jump, no write to r10. Each failure names the instruction. With `lenient` set, what is
 * malformed becomes an operation that traps when it is executed instead (for running hand-made bytes under checked
 * execution).
 * @return 0 and *out with one reference; -EINVAL, -E2BIG, -ENOMEM.
 */
int prog_new(const struct prog_spec *spec, bool lenient, const struct log *log, struct prog **out);
struct prog *prog_get(struct prog *prog);
void prog_put(struct prog *prog);

/** Which of prog->maps this definition is; -1: none (that of an inner map). */
int32_t prog_map_index(const struct prog *prog, const struct map_def *map);
/** The line that covers this slot, or NULL. */
const struct prog_line *prog_line_at(const struct prog *prog, uint32_t insn);
/** The kernel variable whose address this slot loads, or NULL. */
const struct prog_ksym *prog_ksym_at(const struct prog *prog, uint32_t insn);
/** The function that holds this slot. */
const struct prog_func *prog_func_at(const struct prog *prog, uint32_t insn);

#endif
