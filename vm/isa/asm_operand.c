/* Operands, and the instructions and references that statements make of them. */
#include "vm/isa/asm_parse.h"

#include <string.h>

uint32_t asm_slots(const struct assembler *as)
{
    return (uint32_t)(as->insns.len / sizeof(struct skep_insn));
}

bool asm_emit_raw(struct assembler *as, struct skep_insn insn)
{
    buf_add(&as->insns, &insn, sizeof(insn));
    buf_add(&as->lines, &as->lx.line, sizeof(as->lx.line));
    return true;
}

bool asm_emit(struct assembler *as, enum isa_op op, unsigned dst, unsigned src, int16_t off, int64_t imm)
{
    return asm_emit_raw(as, isa_encode(op, (uint8_t)dst, (uint8_t)src, off, (int32_t)imm));
}

bool asm_emit_wide(struct assembler *as, enum isa_op op, unsigned dst, uint64_t imm)
{
    asm_emit(as, op, dst, 0, 0, (int32_t)imm);
    return asm_emit_raw(as, (struct skep_insn){.imm = (int32_t)(imm >> 32)});
}

bool asm_want(struct assembler *as, const char *chars)
{
    return lex_eat(&as->lx, chars) || lex_fail(&as->lx, "'%s' is needed here", chars);
}

/* Takes a register if one stands here. A word such as `r0x` or `w` is none; r11 and above are, and are refused. */
bool asm_try_reg(struct assembler *as, struct reg *out)
{
    struct lex *lx = &as->lx;
    const char *from;
    struct span word;
    unsigned n = 0;

    lex_blanks(lx);
    from = lx->at;
    if (!lex_word(lx, &word))
        return false;
    if (word.len < 2 || word.len > 4 || (word.at[0] != 'r' && word.at[0] != 'w'))
        return lx->at = from, false;
    for (size_t i = 1; i < word.len; i++) {
        if (word.at[i] < '0' || word.at[i] > '9')
            return lx->at = from, false;
        n = n * 10 + (unsigned)(word.at[i] - '0');
    }
    if (n > 10 || (word.len > 2 && word.at[1] == '0')) {
        lx->at = from;
        return lex_fail(lx, "there is no register %.*s: registers are r0 to r10 and w0 to w10", (int)word.len, word.at);
    }
    *out = (struct reg){n, word.at[0] == 'w'};
    return true;
}

bool asm_reg(struct assembler *as, struct reg *out)
{
    return asm_try_reg(as, out) || lex_fail(&as->lx, "a register is needed here");
}

/* A register that must be as wide as said: one operation does not mix r and w. */
bool asm_reg_like(struct assembler *as, bool narrow, struct reg *out)
{
    const char *from;

    lex_blanks(&as->lx);
    from = as->lx.at;
    if (!asm_reg(as, out))
        return false;
    return out->narrow == narrow || lex_fail_at(&as->lx, from, as->lx.line, "the registers of one operation are all %s",
                                                narrow ? "w (32 bits)" : "r (64 bits)");
}

bool asm_wide_reg(struct assembler *as, unsigned *out)
{
    struct reg r;

    if (!asm_reg_like(as, false, &r))
        return false;
    *out = r.number;
    return true;
}

bool asm_ranged(struct assembler *as, unsigned bits, bool is_signed, const char *what, int64_t *out)
{
    const char *from;
    struct number n;

    lex_blanks(&as->lx);
    from = as->lx.at;
    if (!lex_number(&as->lx, &n))
        return lex_fail(&as->lx, "%s is needed here", what);
    *out = number_value(n);
    return number_fits(n, bits, is_signed) ||
           lex_fail_at(&as->lx, from, as->lx.line, "%s does not fit in %u bits", what, bits);
}

bool asm_imm32(struct assembler *as, int64_t *out)
{
    return asm_ranged(as, 32, false, "an immediate", out);
}

/* `+ 4`, `-8`, `+ -8` or nothing. */
static bool displacement(struct assembler *as, int64_t *out)
{
    struct lex *lx = &as->lx;
    const char *from;
    struct number n = {0};

    *out = 0;
    lex_blanks(lx);
    from = lx->at;
    if (lx->at == lx->end || (*lx->at != '+' && *lx->at != '-'))
        return true;
    if (!lex_number(lx, &n)) {
        bool minus = *lx->at == '-';

        lx->at++;
        if (!lex_number(lx, &n))
            return lex_fail(lx, "an offset is needed here");
        n.negative ^= minus;
    }
    *out = number_value(n);
    return number_fits(n, 16, true) ||
           lex_fail_at(lx, from, lx->line, "the offset does not fit in 16 signed bits: -32768 to 32767");
}

/* `r1 + 4)`, after an opening parenthesis. */
bool asm_address(struct assembler *as, unsigned *base, int16_t *off)
{
    int64_t value;

    if (!asm_wide_reg(as, base) || !displacement(as, &value))
        return false;
    *off = (int16_t)value;
    return true;
}

static const char *const type_names[] = {"u8", "u16", "u32", "u64", "s8", "s16", "s32"};

/* `u32 *)`, after an opening parenthesis. */
bool asm_type(struct assembler *as, const char **out)
{
    for (size_t i = 0; i < COUNT(type_names); i++)
        if (lex_eat_word(&as->lx, type_names[i])) {
            *out = type_names[i];
            return asm_want(as, "*") && asm_want(as, ")");
        }
    return lex_fail(&as->lx, "a type is needed here: u8, u16, u32, u64, s8, s16 or s32");
}

/* `(u32 *)(r1 + 4)`. */
bool asm_typed_address(struct assembler *as, const char **text, unsigned *base, int16_t *off)
{
    return asm_want(as, "(") && asm_type(as, text) && asm_want(as, "(") && asm_address(as, base, off) &&
           asm_want(as, ")");
}

/* The operation of a form on a type, among ops from first to last. */
enum isa_op asm_memory_op(enum isa_op first, enum isa_op last, uint8_t form, const char *text)
{
    for (unsigned op = first; op <= last; op++)
        if (isa_rows[op].form == form && !strcmp(isa_rows[op].text, text))
            return (enum isa_op)op;
    return ISA_INVALID;
}

/* A w register may stand for the value only where 64 bits of it are neither read nor made. */
bool asm_value_reg(struct assembler *as, const char *text, unsigned *out)
{
    const char *from;
    struct reg r;

    lex_blanks(&as->lx);
    from = as->lx.at;
    if (!asm_reg(as, &r))
        return false;
    *out = r.number;
    return !r.narrow || (text[0] == 'u' && strcmp(text, "u64")) ||
           lex_fail_at(&as->lx, from, as->lx.line, "a value of type %s needs an r register", text);
}

bool asm_refer(struct assembler *as, enum ref_kind kind, struct span name, char side)
{
    struct ref ref = {.slot = asm_slots(as), .line = as->lx.line, .name = name, .side = side, .kind = kind};

    buf_add(&as->refs, &ref, sizeof(ref));
    return true;
}

/* `1b` or `1f`. */
static bool numeric_label(struct assembler *as, struct span *name, char *side)
{
    struct lex *lx = &as->lx;
    const char *from, *p;

    lex_blanks(lx);
    for (from = p = lx->at; p < lx->end && *p >= '0' && *p <= '9'; p++)
        ;
    if (p == from || p == lx->end || (*p != 'b' && *p != 'f'))
        return false;
    *name = (struct span){from, (size_t)(p - from)};
    *side = *p;
    lx->at = p + 1;
    return true;
}

/* What llvm-objdump writes behind a target: `<main+0x20>`. */
bool asm_skip_symbol(struct assembler *as)
{
    struct lex *lx = &as->lx;

    if (!lex_eat(lx, "<"))
        return true;
    while (lx->at < lx->end && *lx->at != '\n' && *lx->at != '>')
        lx->at++;
    return asm_want(as, ">");
}

/* `+3`, `pc-2`, `label`, `1f`: the distance, or 0 with a reference noted. */
bool asm_target(struct assembler *as, enum ref_kind kind, int64_t *out)
{
    const char *from;
    struct number n;
    struct span name;
    char side = 0;

    *out = 0;
    lex_blanks(&as->lx);
    from = as->lx.at;
    if (numeric_label(as, &name, &side))
        return asm_refer(as, kind, name, side);
    lex_eat_word(&as->lx, "pc");
    if (lex_number(&as->lx, &n)) {
        unsigned bits = kind == REF_OFF ? 16 : 32;

        *out = number_value(n);
        if (!n.has_sign)
            return lex_fail_at(&as->lx, from, as->lx.line, "a target is a label or a distance with its sign: +3, -2");
        if (!number_fits(n, bits, true))
            return lex_fail_at(&as->lx, from, as->lx.line, "the distance does not fit in %u signed bits", bits);
        return asm_skip_symbol(as);
    }
    as->lx.at = from;
    if (!lex_word(&as->lx, &name))
        return lex_fail(&as->lx, "a label or a distance is needed here");
    return asm_refer(as, kind, name, 0);
}

/* Atomics come in pairs: name64, name32. */
enum isa_op asm_of_width(enum isa_op wide, bool narrow)
{
    return (enum isa_op)(wide + narrow);
}

bool asm_atomic_type(struct assembler *as, const char *at, const char *text)
{
    return !strcmp(text, "u32") || !strcmp(text, "u64") ||
           lex_fail_at(&as->lx, at, as->lx.line, "an atomic operation is on u32 or u64");
}
