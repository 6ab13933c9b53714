/*
 * Operations that have a handler for every choice of registers, so that a register is a constant place in the machine
 * instead of an operand to decode: processors forward such places without latency, which a chain of dependent
 * operations, and so most bytecode, lives on. Jumps with two registers are not among them: nothing waits for a jump.
 *
 * PAIR_ALU(m), SINGLE_ALU(m), SINGLE_JMP(m): m(row of isa.def, bits). PAIR_LDX(m), PAIR_STX(m): m(row, type).
 * PAIR_RRR(m), PAIR_RRK(m), SINGLE_STEP(m), PAIR_FUSED(m): the same for the families of vm/ops.def, whose third
 * register, where there is one, is decoded. EACH_REG(m, ...): m(reg, ...) for r0 to r9. EACH_PAIR(m, ...): m(dst, src,
 * ...) for r0 to r9. EACH_BASE(m, ...): m(reg, base, ...) for r0 to r9 and r0 to r10.
 */
#ifndef VM_INTERP_SPECIAL_H
#define VM_INTERP_SPECIAL_H

#define EACH_REG(m, ...)                                                                                               \
    m(0, __VA_ARGS__) m(1, __VA_ARGS__) m(2, __VA_ARGS__) m(3, __VA_ARGS__) m(4, __VA_ARGS__) m(5, __VA_ARGS__)        \
        m(6, __VA_ARGS__) m(7, __VA_ARGS__) m(8, __VA_ARGS__) m(9, __VA_ARGS__)
#define EACH_OTHER(d, m, ...)                                                                                          \
    m(d, 0, __VA_ARGS__) m(d, 1, __VA_ARGS__) m(d, 2, __VA_ARGS__) m(d, 3, __VA_ARGS__) m(d, 4, __VA_ARGS__)           \
        m(d, 5, __VA_ARGS__) m(d, 6, __VA_ARGS__) m(d, 7, __VA_ARGS__) m(d, 8, __VA_ARGS__) m(d, 9, __VA_ARGS__)
/* clang-format off: it pulls another row up each time */
#define EACH_PAIR(m, ...)                                                                                              \
    EACH_OTHER(0, m, __VA_ARGS__)                                                                                      \
    EACH_OTHER(1, m, __VA_ARGS__)                                                                                      \
    EACH_OTHER(2, m, __VA_ARGS__)                                                                                      \
    EACH_OTHER(3, m, __VA_ARGS__)                                                                                      \
    EACH_OTHER(4, m, __VA_ARGS__)                                                                                      \
    EACH_OTHER(5, m, __VA_ARGS__)                                                                                      \
    EACH_OTHER(6, m, __VA_ARGS__)                                                                                      \
    EACH_OTHER(7, m, __VA_ARGS__)                                                                                      \
    EACH_OTHER(8, m, __VA_ARGS__)                                                                                      \
    EACH_OTHER(9, m, __VA_ARGS__)
#define WITH_BASE(d, m, ...) m(d, 10, __VA_ARGS__)
#define EACH_BASE(m, ...)                                                                                              \
    EACH_PAIR(m, __VA_ARGS__)                                                                                          \
    WITH_BASE(0, m, __VA_ARGS__)                                                                                       \
    WITH_BASE(1, m, __VA_ARGS__)                                                                                       \
    WITH_BASE(2, m, __VA_ARGS__)                                                                                       \
    WITH_BASE(3, m, __VA_ARGS__)                                                                                       \
    WITH_BASE(4, m, __VA_ARGS__)                                                                                       \
    WITH_BASE(5, m, __VA_ARGS__)                                                                                       \
    WITH_BASE(6, m, __VA_ARGS__)                                                                                       \
    WITH_BASE(7, m, __VA_ARGS__)                                                                                       \
    WITH_BASE(8, m, __VA_ARGS__)                                                                                       \
    WITH_BASE(9, m, __VA_ARGS__)
/* clang-format on */

#define PAIR_ALU(m)                                                                                                    \
    m(ADD, 64) m(SUB, 64) m(MUL, 64) m(OR, 64) m(AND, 64) m(XOR, 64) m(MOV, 64) m(ADD, 32) m(SUB, 32) m(MUL, 32)       \
        m(OR, 32) m(AND, 32) m(XOR, 32) m(MOV, 32)
#define PAIR_LDX(m)   m(LDX_B, uint8_t) m(LDX_H, uint16_t) m(LDX_W, uint32_t) m(LDX_DW, uint64_t)
#define PAIR_STX(m)   m(STX_B, uint8_t) m(STX_H, uint16_t) m(STX_W, uint32_t) m(STX_DW, uint64_t)
#define SINGLE_ALU(m) PAIR_ALU(m) m(LSH, 64) m(RSH, 64) m(ARSH, 64) m(LSH, 32) m(RSH, 32) m(ARSH, 32)
#define SINGLE_JMP(m)                                                                                                  \
    m(JEQ, 64) m(JNE, 64) m(JGT, 64) m(JLE, 64) m(JGE, 64) m(JLT, 64) m(JSGT, 64) m(JSLE, 64) m(JSGE, 64) m(JSLT, 64)  \
        m(JEQ, 32) m(JNE, 32) m(JGT, 32) m(JLE, 32) m(JGE, 32) m(JLT, 32) m(JSET, 64)
#define PAIR_RRR(m) m(ADD, 64) m(XOR, 64) m(MUL, 64) m(ADD, 32) m(XOR, 32) m(OR, 32)
#define PAIR_RRK(m)                                                                                                    \
    m(ADD, 64) m(AND, 64) m(LSH, 64) m(RSH, 64) m(MUL, 64) m(ADD, 32) m(AND, 32) m(LSH, 32) m(RSH, 32) m(XOR, 32)
#define PAIR_FUSED(m) m(LEA) m(ROL64) m(ROL32) m(ADD2) m(MOV2)
#define SINGLE_STEP(m)                                                                                                 \
    m(JEQ, 64, K) m(JNE, 64, K) m(JLT, 64, K) m(JLT, 64, X) m(JNE, 64, X) m(JLE, 64, X) m(JGT, 64, X) m(JEQ, 32, K)    \
        m(JNE, 32, K) m(JLT, 32, K) m(JLT, 32, X) m(JNE, 32, X)

enum special_pair {
#define ROW(n, bits) PAIR_##n##bits##_X,
    PAIR_ALU(ROW)
#undef ROW
#define ROW(n, type) PAIR_##n,
        PAIR_LDX(ROW) PAIR_STX(ROW)
#undef ROW
#define ROW(n, type) PAIR_##n##_INDEX,
            PAIR_LDX(ROW)
#undef ROW
#define ROW(n, bits) PAIR_##n##bits##_RRR,
                PAIR_RRR(ROW)
#undef ROW
#define ROW(n, bits) PAIR_##n##bits##_RRK,
                    PAIR_RRK(ROW)
#undef ROW
#define ROW(n) PAIR_##n,
                        PAIR_FUSED(ROW)
#undef ROW
                            PAIR_COUNT
};

enum special_single {
#define ROW(n, bits) SINGLE_##n##bits##_K,
    SINGLE_ALU(ROW) SINGLE_JMP(ROW)
#undef ROW
#define ROW(n, bits, source) SINGLE_STEP_##n##bits##_##source,
        SINGLE_STEP(ROW)
#undef ROW
            SINGLE_COUNT
};

#endif
