/*
 * Instructions as C initialisers, for programs that a host writes or generates itself:
 *
 *     const struct skep_insn insns[] = {
 *         SKEP_LDX_MEM(SKEP_W, SKEP_R0, SKEP_R1, 4),
 *         SKEP_ALU64_IMM(SKEP_ADD, SKEP_R0, 1),
 *         SKEP_EXIT_INSN(),
 *     };
 *
 * Encodings are those of RFC 9669. SKEP_LD_IMM64 and what is made of it fill two elements. Jump distances count from
 * the next element.
 */
#ifndef SKEP_INSN_H
#define SKEP_INSN_H

#include <skep/types.h>

enum { SKEP_R0, SKEP_R1, SKEP_R2, SKEP_R3, SKEP_R4, SKEP_R5, SKEP_R6, SKEP_R7, SKEP_R8, SKEP_R9, SKEP_R10 };

/* Sizes of memory accesses: 4, 2, 1 and 8 bytes. */
enum { SKEP_W = 0x00, SKEP_H = 0x08, SKEP_B = 0x10, SKEP_DW = 0x18 };

/* Arithmetic. */
enum {
    SKEP_ADD = 0x00,
    SKEP_SUB = 0x10,
    SKEP_MUL = 0x20,
    SKEP_DIV = 0x30,
    SKEP_OR = 0x40,
    SKEP_AND = 0x50,
    SKEP_LSH = 0x60,
    SKEP_RSH = 0x70,
    SKEP_MOD = 0x90,
    SKEP_XOR = 0xa0,
    SKEP_MOV = 0xb0,
    SKEP_ARSH = 0xc0,
};

/* Conditions: unsigned unless they begin with S. */
enum {
    SKEP_JEQ = 0x10,
    SKEP_JGT = 0x20,
    SKEP_JGE = 0x30,
    SKEP_JSET = 0x40,
    SKEP_JNE = 0x50,
    SKEP_JSGT = 0x60,
    SKEP_JSGE = 0x70,
    SKEP_JLT = 0xa0,
    SKEP_JLE = 0xb0,
    SKEP_JSLT = 0xc0,
    SKEP_JSLE = 0xd0,
};

/** Any instruction. */
#define SKEP_INSN(CODE, DST, SRC, OFF, IMM)                                                                            \
    ((struct skep_insn){.code = (CODE), .dst_reg = (DST), .src_reg = (SRC), .off = (OFF), .imm = (IMM)})

/** dst op= imm; dst op= src. The 32-bit forms clear the upper half. */
#define SKEP_ALU64_IMM(OP, DST, IMM) SKEP_INSN((OP) | 0x07, DST, 0, 0, IMM)
#define SKEP_ALU64_REG(OP, DST, SRC) SKEP_INSN((OP) | 0x0f, DST, SRC, 0, 0)
#define SKEP_ALU32_IMM(OP, DST, IMM) SKEP_INSN((OP) | 0x04, DST, 0, 0, IMM)
#define SKEP_ALU32_REG(OP, DST, SRC) SKEP_INSN((OP) | 0x0c, DST, SRC, 0, 0)
#define SKEP_MOV64_IMM(DST, IMM)     SKEP_ALU64_IMM(SKEP_MOV, DST, IMM)
#define SKEP_MOV64_REG(DST, SRC)     SKEP_ALU64_REG(SKEP_MOV, DST, SRC)

/** dst = *(size *)(src + off); *(size *)(dst + off) = src; *(size *)(dst + off) = imm. */
#define SKEP_LDX_MEM(SIZE, DST, SRC, OFF) SKEP_INSN((SIZE) | 0x61, DST, SRC, OFF, 0)
#define SKEP_STX_MEM(SIZE, DST, SRC, OFF) SKEP_INSN((SIZE) | 0x63, DST, SRC, OFF, 0)
#define SKEP_ST_MEM(SIZE, DST, OFF, IMM)  SKEP_INSN((SIZE) | 0x62, DST, 0, OFF, IMM)

/** lock *(size *)(dst + off) += src, SKEP_W or SKEP_DW. */
#define SKEP_ATOMIC_ADD(SIZE, DST, SRC, OFF) SKEP_INSN((SIZE) | 0xc3, DST, SRC, OFF, 0)

/** if dst op imm goto off; if dst op src goto off; goto off. */
#define SKEP_JMP_IMM(OP, DST, IMM, OFF)   SKEP_INSN((OP) | 0x05, DST, 0, OFF, IMM)
#define SKEP_JMP_REG(OP, DST, SRC, OFF)   SKEP_INSN((OP) | 0x0d, DST, SRC, OFF, 0)
#define SKEP_JMP32_IMM(OP, DST, IMM, OFF) SKEP_INSN((OP) | 0x06, DST, 0, OFF, IMM)
#define SKEP_JMP32_REG(OP, DST, SRC, OFF) SKEP_INSN((OP) | 0x0e, DST, SRC, OFF, 0)
#define SKEP_JA(OFF)                      SKEP_INSN(0x05, 0, 0, OFF, 0)

/** Calls helper ID; calls the function that begins OFF elements after the next one; returns r0. */
#define SKEP_CALL_HELPER(ID) SKEP_INSN(0x85, 0, 0, 0, ID)
#define SKEP_CALL_FUNC(OFF)  SKEP_INSN(0x85, 0, 1, 0, OFF)
#define SKEP_EXIT_INSN()     SKEP_INSN(0x95, 0, 0, 0, 0)

/** dst = 64-bit number; dst = map INDEX of skep_prog_load_opts.maps; dst = address OFF bytes into its one value; dst =
 *  address of a function of the program. Two elements each. */
#define SKEP_LD_WIDE(DST, SRC, LOW, HIGH)                                                                              \
    SKEP_INSN(0x18, DST, SRC, 0, (int32_t)(LOW)), SKEP_INSN(0, 0, 0, 0, (int32_t)(HIGH))
#define SKEP_LD_IMM64(DST, IMM)            SKEP_LD_WIDE(DST, 0, (uint64_t)(IMM), (uint64_t)(IMM) >> 32)
#define SKEP_LD_MAP(DST, INDEX)            SKEP_LD_WIDE(DST, 5, INDEX, 0)
#define SKEP_LD_MAP_VALUE(DST, INDEX, OFF) SKEP_LD_WIDE(DST, 6, INDEX, OFF)
#define SKEP_LD_FUNC(DST, OFF)             SKEP_LD_WIDE(DST, 4, OFF, 0)

#endif
