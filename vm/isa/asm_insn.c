/* Statements: one function a kind, chosen by how the line begins. */
#include "vm/isa/asm_parse.h"

#include <string.h>

/* Operators, and the first of their row's four operations: 64_K, 64_X, 32_K, 32_X. */
struct quad {
    const char *text;
    enum isa_op op;
};

static const struct quad alu_ops[] = {
#define ISA_ALU(name, code, off, text, expr) {text, ISA_##name##64_K},
#include "vm/isa/isa.def"
};

static const struct quad jmp_ops[] = {
#define ISA_JMP(name, code, text, expr) {text, ISA_##name##64_K},
#include "vm/isa/isa.def"
};

static bool jump(struct assembler *as, enum isa_op op)
{
    int64_t distance;
    bool by_imm = op == ISA_GOTOL;

    if (!asm_target(as, by_imm ? REF_IMM : REF_OFF, &distance))
        return false;
    return asm_emit(as, op, 0, 0, by_imm ? 0 : (int16_t)distance, by_imm ? distance : 0);
}

static bool comparison(struct assembler *as, enum isa_op *out)
{
    struct lex *lx = &as->lx;
    size_t longest = 0;

    lex_blanks(lx);
    for (size_t i = 0; i < COUNT(jmp_ops); i++) {
        size_t len = strlen(jmp_ops[i].text);

        if (len > longest && (size_t)(lx->end - lx->at) >= len && !memcmp(lx->at, jmp_ops[i].text, len)) {
            longest = len;
            *out = jmp_ops[i].op;
        }
    }
    lx->at += longest;
    return longest || lex_fail(lx, "a comparison is needed here: == != > >= < <= s> s>= s< s<= &");
}

/* `if r1 s> 5 goto label`. */
static bool conditional(struct assembler *as)
{
    struct reg a, b = {0};
    int64_t imm = 0, distance;
    enum isa_op op = ISA_INVALID;
    bool by_register;

    if (!asm_reg(as, &a) || !comparison(as, &op))
        return false;
    lex_blanks(&as->lx);
    by_register = as->lx.at < as->lx.end && (*as->lx.at == 'r' || *as->lx.at == 'w');
    if (by_register ? !asm_reg_like(as, a.narrow, &b) : !asm_imm32(as, &imm))
        return false;
    if (!lex_eat_word(&as->lx, "goto"))
        return lex_fail(&as->lx, "'goto' is needed here");
    if (!asm_target(as, REF_OFF, &distance))
        return false;
    return asm_emit(as, asm_pick(op, a.narrow, by_register), a.number, b.number, (int16_t)distance, imm);
}

/* The rest of `call kfunc#12[btf:1]`. */
static bool call_kfunc(struct assembler *as)
{
    int64_t id, object = 0;

    if (!asm_want(as, "#") || !asm_imm32(as, &id))
        return false;
    if (lex_eat(&as->lx, "[") && !(asm_want(as, "btf") && asm_want(as, ":") &&
                                   asm_ranged(as, 16, true, "a BTF object", &object) && asm_want(as, "]")))
        return false;
    return asm_emit(as, ISA_CALL_KFUNC, 0, 0, (int16_t)object, id);
}

static bool call(struct assembler *as)
{
    struct lex *lx = &as->lx;
    const char *from;
    struct number n;
    struct span name;
    int64_t value;

    lex_blanks(lx);
    from = lx->at;
    if (lex_eat(lx, "kernel-function") || lex_eat_word(lx, "kfunc"))
        return call_kfunc(as);
    lex_eat_word(lx, "pc");
    /* A number with a sign is a distance (llvm-objdump writes local calls so), one without a helper. */
    if (lex_number(lx, &n)) {
        value = number_value(n);
        if (!number_fits(n, 32, n.has_sign))
            return lex_fail_at(lx, from, lx->line, "the %s does not fit in 32 bits",
                               n.has_sign ? "distance" : "helper's number");
        return n.has_sign ? asm_emit(as, ISA_CALL_LOCAL, 0, 0, 0, value) && asm_skip_symbol(as)
                          : asm_emit(as, ISA_CALL_HELPER, 0, 0, 0, value);
    }
    lx->at = from;
    if (!lex_word(lx, &name))
        return lex_fail(lx, "a helper, a label or a distance is needed here");
    if (lx->at < lx->end && *lx->at == '#') { /* bpf_map_lookup_elem#1: the number is what counts */
        lx->at++;
        return asm_imm32(as, &value) && asm_emit(as, ISA_CALL_HELPER, 0, 0, 0, value);
    }
    return asm_refer(as, REF_CALL, name, 0) && asm_emit(as, ISA_CALL_LOCAL, 0, 0, 0, 0);
}

/* `*(u32 *)(r1 + 4) = r2` or `= 5`, after the star. */
static bool store(struct assembler *as)
{
    const char *from = as->lx.at, *text;
    unsigned base, src;
    int16_t off;
    int64_t imm;

    if (!asm_typed_address(as, &text, &base, &off) || !asm_want(as, "="))
        return false;
    if (text[0] == 's')
        return lex_fail_at(&as->lx, from, as->lx.line, "a store has no sign: its type is u8, u16, u32 or u64");
    lex_blanks(&as->lx);
    if (as->lx.at < as->lx.end && (*as->lx.at == 'r' || *as->lx.at == 'w'))
        return asm_value_reg(as, text, &src) &&
               asm_emit(as, asm_memory_op(ISA_STX_W, ISA_STX_DW, ISA_FORM_STX, text), base, src, off, 0);
    return asm_imm32(as, &imm) &&
           asm_emit(as, asm_memory_op(ISA_ST_W, ISA_ST_DW, ISA_FORM_ST, text), base, 0, off, imm);
}

/* `lock *(u64 *)(r1 + 0) += r2`, after the word. */
static bool lock(struct assembler *as)
{
    const char *from, *text;
    unsigned base, src;
    int16_t off;

    if (!asm_want(as, "*"))
        return false;
    from = as->lx.at;
    if (!asm_typed_address(as, &text, &base, &off) || !asm_atomic_type(as, from, text))
        return false;
    for (unsigned op = ISA_ATOMIC_ADD64; op <= ISA_ATOMIC_XOR64; op += 2)
        if (lex_eat(&as->lx, isa_rows[op].text))
            return asm_value_reg(as, text, &src) &&
                   asm_emit(as, asm_of_width((enum isa_op)op, !strcmp(text, "u32")), base, src, off, 0);
    return lex_fail(&as->lx, "an atomic operation is needed here: += |= &= ^=");
}

/* `store_release((u64 *)(r1 + 0), r2)`, after the word. */
static bool store_release(struct assembler *as)
{
    const char *from = as->lx.at, *text;
    unsigned base, src;
    enum isa_op op;
    int16_t off;

    if (!asm_want(as, "(") || !asm_typed_address(as, &text, &base, &off) || !asm_want(as, ",") ||
        !asm_value_reg(as, text, &src))
        return false;
    op = asm_memory_op(ISA_STORE_REL_W, ISA_STORE_REL_DW, ISA_FORM_STORE_REL, text);
    if (op == ISA_INVALID)
        return lex_fail_at(&as->lx, from, as->lx.line, "a store has no sign: its type is u8, u16, u32 or u64");
    return asm_want(as, ")") && asm_emit(as, op, base, src, off, 0);
}

/* `r1 += r2`, after the register. */
static bool arithmetic(struct assembler *as, struct reg dst)
{
    struct lex *lx = &as->lx;
    struct reg src;
    int64_t imm;

    for (size_t i = 0; i < COUNT(alu_ops); i++) {
        if (!lex_eat(lx, alu_ops[i].text))
            continue;
        if (alu_ops[i].op == ISA_MOV64_K)
            return asm_value(as, dst);
        lex_blanks(lx);
        if (lx->at < lx->end && (*lx->at == 'r' || *lx->at == 'w'))
            return asm_reg_like(as, dst.narrow, &src) &&
                   asm_emit(as, asm_pick(alu_ops[i].op, dst.narrow, true), dst.number, src.number, 0, 0);
        return asm_imm32(as, &imm) && asm_emit(as, asm_pick(alu_ops[i].op, dst.narrow, false), dst.number, 0, 0, imm);
    }
    return lex_fail(lx, "an operator is needed here: = += -= *= /= %%= s/= s%%= |= &= ^= <<= >>= s>>=");
}

/* `.insn 0x...`, after the word. */
static bool raw(struct assembler *as)
{
    int64_t value;
    uint64_t v;

    if (!asm_ranged(as, 64, false, "eight bytes as one number", &value))
        return false;
    v = (uint64_t)value;
    return asm_emit_raw(as, (struct skep_insn){.code = (uint8_t)v,
                                               .dst_reg = v >> 8 & 15,
                                               .src_reg = v >> 12 & 15,
                                               .off = (int16_t)(v >> 16),
                                               .imm = (int32_t)(v >> 32)});
}

bool asm_instruction(struct assembler *as)
{
    struct lex *lx = &as->lx;
    struct reg r;

    if (lex_eat(lx, "*"))
        return store(as);
    if (asm_try_reg(as, &r))
        return arithmetic(as, r);
    if (lex_eat_word(lx, "if"))
        return conditional(as);
    if (lex_eat_word(lx, "goto"))
        return jump(as, ISA_JA);
    if (lex_eat_word(lx, "gotol"))
        return jump(as, ISA_GOTOL);
    if (lex_eat_word(lx, "may_goto"))
        return jump(as, ISA_MAY_GOTO);
    if (lex_eat_word(lx, "call"))
        return call(as);
    if (lex_eat_word(lx, "callx")) {
        unsigned to;
        return asm_wide_reg(as, &to) && asm_emit(as, ISA_CALL_REG, to, 0, 0, 0);
    }
    if (lex_eat_word(lx, "exit"))
        return asm_emit(as, ISA_EXIT, 0, 0, 0, 0);
    if (lex_eat_word(lx, "lock"))
        return lock(as);
    if (lex_eat_word(lx, "store_release"))
        return store_release(as);
    if (lex_eat_word(lx, ".insn") || lex_eat_word(lx, ".8byte"))
        return raw(as);
    return lex_fail(lx, "this begins no instruction");
}
