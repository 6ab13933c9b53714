/*
 * x86-64 machine code, byte by byte: one function for each form of instruction, no choice of instructions. Where
 * several encodings mean the same (disp8 or disp32, imm8 or imm32, short or near jumps), the shortest is taken; none of
 * them differs in flags or in the registers that it writes.
 *
 * A `struct x86_asm` gathers code in two steps. While instructions are added, jumps to labels and alignments take no
 * room: they are `items`, noted at their place between the bytes. x86_finish() lays them out, each jump short where its
 * target is near enough, and from then on `size` and the places of labels are final; x86_write() produces the bytes for
 * the address where they will run. The first thing that goes wrong (an operand that no encoding has, more than `limit`
 * bytes, no memory) stays in `err`, additions after it do nothing, and x86_finish() returns it: callers look once.
 *
 * Sizes are operand sizes in bytes: 1, 2, 4 or 8. As everywhere on x86-64, writing 4 bytes of a register zeroes its
 * upper half, writing 1 or 2 leaves the rest. The registers ah, ch, dh and bh do not exist here.
 */
#ifndef JIT_X86_64_ENCODE_H
#define JIT_X86_64_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum x86_reg {
    X86_RAX,
    X86_RCX,
    X86_RDX,
    X86_RBX,
    X86_RSP,
    X86_RBP,
    X86_RSI,
    X86_RDI,
    X86_R8,
    X86_R9,
    X86_R10,
    X86_R11,
    X86_R12,
    X86_R13,
    X86_R14,
    X86_R15,
    X86_NONE, /* no base, no index */
};

/** Conditions, by their number in the opcode: a condition and its negation differ in the lowest bit. */
enum x86_cc {
    X86_O,
    X86_NO,
    X86_B,
    X86_AE,
    X86_E,
    X86_NE,
    X86_BE,
    X86_A,
    X86_S,
    X86_NS,
    X86_P,
    X86_NP,
    X86_L,
    X86_GE,
    X86_LE,
    X86_G,
};
_Static_assert((X86_E ^ 1) == X86_NE && (X86_L ^ 1) == X86_GE, "a condition and its negation differ in the lowest bit");

enum x86_alu { X86_ADD, X86_OR, X86_ADC, X86_SBB, X86_AND, X86_SUB, X86_XOR, X86_CMP };
enum x86_shift { X86_ROL, X86_ROR, X86_RCL, X86_RCR, X86_SHL, X86_SHR, X86_SAR = 7 };
enum x86_bit { X86_BT = 4, X86_BTS, X86_BTR, X86_BTC };
/** MUL, IMUL: rdx:rax = rax * rm (size 1: ax = al * rm). DIV, IDIV: rax, rdx = quotient, remainder of rdx:rax / rm. */
enum x86_unary { X86_NOT, X86_NEG, X86_MUL, X86_IMUL, X86_DIV, X86_IDIV, X86_INC, X86_DEC };
enum x86_scan { X86_POPCNT, X86_TZCNT, X86_LZCNT, X86_BSF, X86_BSR };
enum x86_shiftx { X86_SHLX, X86_SHRX, X86_SARX };
/** What has no operands. CWD, CDQ, CQO: the sign of rax, in 2, 4 or 8 bytes, into rdx. */
enum x86_plain {
    X86_RET,
    X86_LEAVE,
    X86_CWD,
    X86_CDQ,
    X86_CQO,
    X86_INT3,
    X86_UD2,
    X86_PAUSE,
    X86_MFENCE,
    X86_LFENCE,
    X86_SFENCE,
    X86_ENDBR64,
    X86_RDTSC,
    X86_PLAIN_COUNT,
};

/** An operand that may be a register or memory. Made by x86_r(), x86_at(), x86_indexed() and x86_in(). */
struct x86_rm {
    uint8_t kind; /* enum x86_rm_kind */
    uint8_t base; /* the register itself, or the base */
    uint8_t index;
    uint8_t scale; /* 1, 2, 4 or 8 */
    int32_t disp;
    uint32_t label;
};
enum x86_rm_kind { X86_RM_REG, X86_RM_MEM, X86_RM_LABEL };

static inline struct x86_rm x86_r(enum x86_reg r)
{
    return (struct x86_rm){X86_RM_REG, (uint8_t)r, X86_NONE, 1, 0, 0};
}
/** [base + disp]; base X86_NONE: the address is disp itself, sign-extended. */
static inline struct x86_rm x86_at(enum x86_reg base, int32_t disp)
{
    return (struct x86_rm){X86_RM_MEM, (uint8_t)base, X86_NONE, 1, disp, 0};
}
/** [base + index * scale + disp]; base may be X86_NONE. rsp cannot be scaled; at scale 1 it changes place with base. */
static inline struct x86_rm x86_indexed(enum x86_reg base, enum x86_reg index, unsigned scale, int32_t disp)
{
    return (struct x86_rm){X86_RM_MEM, (uint8_t)base, (uint8_t)index, (uint8_t)scale, disp, 0};
}
/** What stands at a label of the same code, disp bytes further: constants, or an address for x86_lea(). */
static inline struct x86_rm x86_in(uint32_t label, int32_t disp)
{
    return (struct x86_rm){X86_RM_LABEL, X86_NONE, X86_NONE, 1, disp, label};
}

struct x86_item;
struct x86_place;
struct x86_patch;

struct x86_asm {
    uint8_t *data; /* the bytes between the items */
    size_t len, cap, limit;
    struct x86_item *item; /* jumps to labels, alignments; in their order */
    uint32_t items, item_cap;
    struct x86_place *place; /* of labels */
    uint32_t labels, label_cap;
    struct x86_patch *patch; /* displacements that x86_write() fills in */
    uint32_t patches, patch_cap;
    size_t size; /* of the finished code */
    int err;     /* the first error, negative; 0 while there is none */
    bool finished;
};

/** limit: the most bytes that the code may have (0, or more than 256 MiB: 256 MiB). */
void x86_init(struct x86_asm *a, size_t limit);
/** Makes it empty again, and keeps its memory. */
void x86_reset(struct x86_asm *a);
void x86_free(struct x86_asm *a);

/** A new label, bound to no place yet. Labels are numbered from 0. */
uint32_t x86_label(struct x86_asm *a);
/** Binds a label to the place that the next instruction takes; once for each label. */
void x86_bind(struct x86_asm *a, uint32_t label);

/** Lays the code out. @return 0; -EINVAL: an operand without encoding, or a label that is used and not bound; -E2BIG:
 * past the limit; -ENOMEM. */
int x86_finish(struct x86_asm *a);
/** Where a label is, in bytes from the beginning of the finished code. */
size_t x86_offset(const struct x86_asm *a, uint32_t label);
/** Writes the finished code, a->size bytes, to `out`, as it has to be to run at `run_at` (which must be aligned as the
 * largest x86_align() asked). @return 0; -ERANGE: x86_call_to() or x86_jmp_to() cannot reach its target from there. */
int x86_write(const struct x86_asm *a, void *out, uint64_t run_at);

/* Moves. x86_mov: reg = rm. x86_mov_to: rm = reg. */
void x86_mov(struct x86_asm *a, unsigned size, enum x86_reg reg, struct x86_rm rm);
void x86_mov_to(struct x86_asm *a, unsigned size, struct x86_rm rm, enum x86_reg reg);
/** rm = imm. Memory of 8 bytes takes what 32 bits can sign-extend to, a register anything. */
void x86_mov_imm(struct x86_asm *a, unsigned size, struct x86_rm rm, int64_t imm);
/** reg = imm in an instruction that is always 10 bytes, the last 8 of which are imm. */
void x86_movabs(struct x86_asm *a, enum x86_reg reg, uint64_t imm);
/** reg = rm, `from` bytes zero-extended to 64 bits. */
void x86_movzx(struct x86_asm *a, unsigned from, enum x86_reg reg, struct x86_rm rm);
/** reg = rm, `from` bytes sign-extended to `to` bytes (2, 4 or 8, not less than from). */
void x86_movsx(struct x86_asm *a, unsigned to, unsigned from, enum x86_reg reg, struct x86_rm rm);
/** Memory with its bytes in reverse. Sizes 2, 4, 8. CPU feature MOVBE. */
void x86_movbe(struct x86_asm *a, unsigned size, enum x86_reg reg, struct x86_rm mem);
void x86_movbe_to(struct x86_asm *a, unsigned size, struct x86_rm mem, enum x86_reg reg);
/** Sizes 4, 8. */
void x86_bswap(struct x86_asm *a, unsigned size, enum x86_reg reg);
/** reg = address of mem. Sizes 2, 4, 8. */
void x86_lea(struct x86_asm *a, unsigned size, enum x86_reg reg, struct x86_rm mem);
/** With memory it is atomic (locked by itself). */
void x86_xchg(struct x86_asm *a, unsigned size, struct x86_rm rm, enum x86_reg reg);
/** reg = rm when cc holds. Sizes 2, 4, 8; size 4 zeroes the upper half in either case. */
void x86_cmov(struct x86_asm *a, enum x86_cc cc, unsigned size, enum x86_reg reg, struct x86_rm rm);
/** One byte: 1 when cc holds, else 0. */
void x86_set(struct x86_asm *a, enum x86_cc cc, struct x86_rm rm);
void x86_push(struct x86_asm *a, struct x86_rm rm);
void x86_pop(struct x86_asm *a, struct x86_rm rm);
void x86_push_imm(struct x86_asm *a, int32_t imm);

/* Arithmetic. An immediate is good when `size` bytes can hold it, signed or unsigned; at size 8 when 32 bits can
 * sign-extend to it. */
/** reg op= rm (X86_CMP: flags only). */
void x86_alu(struct x86_asm *a, enum x86_alu op, unsigned size, enum x86_reg reg, struct x86_rm rm);
/** rm op= reg. */
void x86_alu_to(struct x86_asm *a, enum x86_alu op, unsigned size, struct x86_rm rm, enum x86_reg reg);
/** rm op= imm. */
void x86_alu_imm(struct x86_asm *a, enum x86_alu op, unsigned size, struct x86_rm rm, int64_t imm);
/** Flags of rm & reg. */
void x86_test(struct x86_asm *a, unsigned size, struct x86_rm rm, enum x86_reg reg);
void x86_test_imm(struct x86_asm *a, unsigned size, struct x86_rm rm, int64_t imm);
/** rm = op rm; or, for the multiplications and divisions, as said at their enum. */
void x86_unary(struct x86_asm *a, enum x86_unary op, unsigned size, struct x86_rm rm);
/** reg *= rm. Sizes 2, 4, 8. */
void x86_imul(struct x86_asm *a, unsigned size, enum x86_reg reg, struct x86_rm rm);
/** reg = rm * imm. Sizes 2, 4, 8. */
void x86_imul_imm(struct x86_asm *a, unsigned size, enum x86_reg reg, struct x86_rm rm, int64_t imm);
/** hi:lo = rdx * rm, no flags; hi wins when both are the same register. Sizes 4, 8. CPU feature BMI2. */
void x86_mulx(struct x86_asm *a, unsigned size, enum x86_reg hi, enum x86_reg lo, struct x86_rm rm);
/** reg = ~src & rm. Sizes 4, 8. CPU feature BMI1. */
void x86_andn(struct x86_asm *a, unsigned size, enum x86_reg reg, enum x86_reg src, struct x86_rm rm);

/* Shifts and bits. The CPU takes counts modulo 32, modulo 64 at size 8. */
void x86_shift(struct x86_asm *a, enum x86_shift op, unsigned size, struct x86_rm rm, uint8_t count);
/** By cl. */
void x86_shift_cl(struct x86_asm *a, enum x86_shift op, unsigned size, struct x86_rm rm);
/** reg = rm shifted by `count`, no flags. Sizes 4, 8. CPU feature BMI2. */
void x86_shiftx(struct x86_asm *a, enum x86_shiftx op, unsigned size, enum x86_reg reg, struct x86_rm rm,
                enum x86_reg count);
/** reg = rm rotated right, no flags. Sizes 4, 8. CPU feature BMI2. */
void x86_rorx(struct x86_asm *a, unsigned size, enum x86_reg reg, struct x86_rm rm, uint8_t count);
/** rm shifted left (shld) or right (shrd), the bits that come in taken from reg. Sizes 2, 4, 8. */
void x86_shld(struct x86_asm *a, unsigned size, struct x86_rm rm, enum x86_reg reg, uint8_t count);
void x86_shrd(struct x86_asm *a, unsigned size, struct x86_rm rm, enum x86_reg reg, uint8_t count);
/** The carry flag becomes bit `bit` of rm. Sizes 2, 4, 8. */
void x86_bit_imm(struct x86_asm *a, enum x86_bit op, unsigned size, struct x86_rm rm, uint8_t bit);
/** The same by register; with memory the bit may lie far from rm, as the CPU has it. */
void x86_bit(struct x86_asm *a, enum x86_bit op, unsigned size, struct x86_rm rm, enum x86_reg bit);
/** Sizes 2, 4, 8. CPU features POPCNT; BMI1 for TZCNT; LZCNT. */
void x86_scan(struct x86_asm *a, enum x86_scan op, unsigned size, enum x86_reg reg, struct x86_rm rm);

/* Atomics on memory. */
void x86_lock_alu(struct x86_asm *a, enum x86_alu op, unsigned size, struct x86_rm mem, enum x86_reg reg);
void x86_lock_alu_imm(struct x86_asm *a, enum x86_alu op, unsigned size, struct x86_rm mem, int64_t imm);
/** mem += reg; reg = what mem was. */
void x86_lock_xadd(struct x86_asm *a, unsigned size, struct x86_rm mem, enum x86_reg reg);
/** mem == rax: mem = reg, ZF set. Otherwise rax = mem. */
void x86_lock_cmpxchg(struct x86_asm *a, unsigned size, struct x86_rm mem, enum x86_reg reg);

/* Control. */
void x86_jmp(struct x86_asm *a, uint32_t label);
void x86_jcc(struct x86_asm *a, enum x86_cc cc, uint32_t label);
void x86_call(struct x86_asm *a, uint32_t label);
/** To where rm says. */
void x86_jmp_rm(struct x86_asm *a, struct x86_rm rm);
void x86_call_rm(struct x86_asm *a, struct x86_rm rm);
/** To an address outside this code, within 2 GiB of it. */
void x86_jmp_to(struct x86_asm *a, uint64_t target);
void x86_call_to(struct x86_asm *a, uint64_t target);
void x86_plain(struct x86_asm *a, enum x86_plain op);

/** n bytes of nops, as few instructions as possible. */
void x86_nop(struct x86_asm *a, size_t n);
/** Nops up to the next multiple of `align` (a power of two up to 4096), none when it would take more than `max` bytes.
 */
void x86_align(struct x86_asm *a, unsigned align, unsigned max);
/** Bytes as they are: constants. */
void x86_bytes(struct x86_asm *a, const void *p, size_t n);

#endif
