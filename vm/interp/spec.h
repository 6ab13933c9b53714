/*
 * Which operations have handlers of their own for every choice of registers, so that registers are constant places on
 * the machine's stack instead of operands that are decoded: processors forward such places without latency.
 *
 * SPEC_X(m): m(kind, suffix of the row, body) for operations over dst and src; SPEC_K: over dst and imm.
 * EACH_REG(m, ...): m(register, ...) for r0 to r9; EACH_PAIR(m, ...): m(dst, src, ...) for dst r0 to r9, src r0 to r10.
 */
#ifndef VM_INTERP_SPEC_H
#define VM_INTERP_SPEC_H

#define EACH_REG(m, ...)                                                                                               \
    m(0, __VA_ARGS__) m(1, __VA_ARGS__) m(2, __VA_ARGS__) m(3, __VA_ARGS__) m(4, __VA_ARGS__) m(5, __VA_ARGS__)        \
        m(6, __VA_ARGS__) m(7, __VA_ARGS__) m(8, __VA_ARGS__) m(9, __VA_ARGS__)
#define EACH_SRC(d, m, ...)                                                                                            \
    m(d, 0, __VA_ARGS__) m(d, 1, __VA_ARGS__) m(d, 2, __VA_ARGS__) m(d, 3, __VA_ARGS__) m(d, 4, __VA_ARGS__)           \
        m(d, 5, __VA_ARGS__) m(d, 6, __VA_ARGS__) m(d, 7, __VA_ARGS__) m(d, 8, __VA_ARGS__) m(d, 9, __VA_ARGS__)       \
            m(d, 10, __VA_ARGS__)
#define EACH_PAIR(m, ...)                                                                                              \
    EACH_SRC(0, m, __VA_ARGS__)                                                                                        \
    EACH_SRC(1, m, __VA_ARGS__) EACH_SRC(2, m, __VA_ARGS__) EACH_SRC(3, m, __VA_ARGS__) EACH_SRC(4, m, __VA_ARGS__)    \
        EACH_SRC(5, m, __VA_ARGS__) EACH_SRC(6, m, __VA_ARGS__) EACH_SRC(7, m, __VA_ARGS__)                            \
            EACH_SRC(8, m, __VA_ARGS__) EACH_SRC(9, m, __VA_ARGS__) EACH_SRC(10, m, __VA_ARGS__)

/* Arithmetic: m(row, bits). */
#define SPEC_ALU(m)                                                                                                    \
    m(ADD, 64) m(SUB, 64) m(MUL, 64) m(OR, 64) m(AND, 64) m(XOR, 64) m(MOV, 64) m(LSH, 64) m(RSH, 64) m(ARSH, 64)      \
        m(ADD, 32) m(SUB, 32) m(MUL, 32) m(OR, 32) m(AND, 32) m(XOR, 32) m(MOV, 32) m(LSH, 32) m(RSH, 32)
#define SPEC_JMP(m)                                                                                                    \
    m(JEQ, 64) m(JNE, 64) m(JGT, 64) m(JLE, 64) m(JGE, 64) m(JLT, 64) m(JSGT, 64) m(JSLE, 64) m(JSGE, 64) m(JSLT, 64)  \
        m(JEQ, 32) m(JNE, 32) m(JGT, 32) m(JLE, 32) m(JGE, 32) m(JLT, 32)
#define SPEC_LDX(m) m(LDX_B, uint8_t) m(LDX_H, uint16_t) m(LDX_W, uint32_t) m(LDX_DW, uint64_t)
#define SPEC_STX(m) m(STX_B, uint8_t) m(STX_H, uint16_t) m(STX_W, uint32_t) m(STX_DW, uint64_t)

enum spec_x {
#define ROW(n, bits) SPEC_##n##bits##_X,
    SPEC_ALU(ROW) SPEC_JMP(ROW)
#undef ROW
#define ROW(n, type) SPEC_##n,
        SPEC_LDX(ROW) SPEC_STX(ROW)
#undef ROW
            SPEC_X_COUNT
};

enum spec_k {
#define ROW(n, bits) SPEC_##n##bits##_K,
    SPEC_ALU(ROW) SPEC_JMP(ROW)
#undef ROW
        SPEC_K_COUNT
};

#endif
