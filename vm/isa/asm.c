/*
 * One pass over the lines fills growing runs of instructions, labels and references; a second pass over the references
 * alone puts in the distances. Every parsing function returns false once something failed, and the reader holds the
 * first failure; the caller then drops everything.
 */
#include "vm/isa/asm.h"
#include "base/arena.h"
#include "base/buf.h"
#include "vm/isa/asm_lex.h"
#include "vm/isa/isa.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TEXT = 256 << 20 };

enum ref_kind { REF_OFF, REF_IMM, REF_CALL };

/* An instruction whose distance is that to a label (or, for REF_CALL, that may call a helper by name). */
struct ref {
    uint32_t slot, line;
    struct span name;
    char side; /* of a numeric label: 'b' before, 'f' after; 0: an ordinary label */
    uint8_t kind;
};

struct label {
    struct span name;
    uint32_t slot, line;
};

struct assembler {
    struct lex lx;
    const struct asm_opts *opts;
    struct buf insns, lines, labels, refs;
};

static const struct {
    const char *text;
    enum isa_op op; /* the first of its row's four: 64_K, 64_X, 32_K, 32_X */
} alu_ops[] =
    {
#define ISA_ALU(name, code, off, text, expr) {text, ISA_##name##64_K},
#include "vm/isa/isa.def"
},
  jmp_ops[] = {
#define ISA_JMP(name, code, text, expr) {text, ISA_##name##64_K},
#include "vm/isa/isa.def"
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
_Static_assert(ISA_ADD64_X == ISA_ADD64_K + 1 && ISA_ADD32_K == ISA_ADD64_K + 2 && ISA_ADD32_X == ISA_ADD64_K + 3,
               "a quad's operations follow one another as pick() counts");

static enum isa_op pick(enum isa_op first, bool narrow, bool by_register)
{
    return (enum isa_op)(first + (narrow ? 2 : 0) + (by_register ? 1 : 0));
}

static uint32_t slots(const struct assembler *as)
{
    return (uint32_t)(as->insns.len / sizeof(struct skep_insn));
}

static bool emit_raw(struct assembler *as, struct skep_insn insn)
{
    buf_add(&as->insns, &insn, sizeof(insn));
    buf_add(&as->lines, &as->lx.line, sizeof(as->lx.line));
    return true;
}

static bool emit(struct assembler *as, enum isa_op op, unsigned dst, unsigned src, int16_t off, int64_t imm)
{
    return emit_raw(as, isa_encode(op, (uint8_t)dst, (uint8_t)src, off, (int32_t)imm));
}

static bool emit_wide(struct assembler *as, enum isa_op op, unsigned dst, uint64_t imm)
{
    emit(as, op, dst, 0, 0, (int32_t)imm);
    return emit_raw(as, (struct skep_insn){.imm = (int32_t)(imm >> 32)});
}

/* Operands */

struct reg {
    unsigned number;
    bool narrow; /* written w */
};

static bool want(struct assembler *as, const char *chars)
{
    return lex_eat(&as->lx, chars) || lex_fail(&as->lx, "'%s' is needed here", chars);
}

/* Takes a register if one stands here. A word such as `r0x` or `w` is none; r11 and above are, and are refused. */
static bool try_reg(struct assembler *as, struct reg *out)
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

static bool reg(struct assembler *as, struct reg *out)
{
    return try_reg(as, out) || lex_fail(&as->lx, "a register is needed here");
}

/* A register that must be as wide as said: one operation does not mix r and w. */
static bool reg_like(struct assembler *as, bool narrow, struct reg *out)
{
    const char *from;

    lex_blanks(&as->lx);
    from = as->lx.at;
    if (!reg(as, out))
        return false;
    return out->narrow == narrow || lex_fail_at(&as->lx, from, as->lx.line, "the registers of one operation are all %s",
                                                narrow ? "w (32 bits)" : "r (64 bits)");
}

static bool wide_reg(struct assembler *as, unsigned *out)
{
    struct reg r;

    if (!reg_like(as, false, &r))
        return false;
    *out = r.number;
    return true;
}

static bool ranged(struct assembler *as, unsigned bits, bool is_signed, const char *what, int64_t *out)
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

static bool imm32(struct assembler *as, int64_t *out)
{
    return ranged(as, 32, false, "an immediate", out);
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
static bool address(struct assembler *as, unsigned *base, int16_t *off)
{
    int64_t value;

    if (!wide_reg(as, base) || !displacement(as, &value))
        return false;
    *off = (int16_t)value;
    return true;
}

static const char *const type_names[] = {"u8", "u16", "u32", "u64", "s8", "s16", "s32"};

/* `u32 *)`, after an opening parenthesis. */
static bool type(struct assembler *as, const char **out)
{
    for (size_t i = 0; i < COUNT(type_names); i++)
        if (lex_eat_word(&as->lx, type_names[i])) {
            *out = type_names[i];
            return want(as, "*") && want(as, ")");
        }
    return lex_fail(&as->lx, "a type is needed here: u8, u16, u32, u64, s8, s16 or s32");
}

/* `(u32 *)(r1 + 4)`. */
static bool typed_address(struct assembler *as, const char **text, unsigned *base, int16_t *off)
{
    return want(as, "(") && type(as, text) && want(as, "(") && address(as, base, off) && want(as, ")");
}

/* The operation of a form on a type, among ops from first to last. */
static enum isa_op memory_op(enum isa_op first, enum isa_op last, uint8_t form, const char *text)
{
    for (unsigned op = first; op <= last; op++)
        if (isa_rows[op].form == form && !strcmp(isa_rows[op].text, text))
            return (enum isa_op)op;
    return ISA_INVALID;
}

/* A w register may stand for the value only where 64 bits of it are neither read nor made. */
static bool value_reg(struct assembler *as, const char *text, unsigned *out)
{
    const char *from;
    struct reg r;

    lex_blanks(&as->lx);
    from = as->lx.at;
    if (!reg(as, &r))
        return false;
    *out = r.number;
    return !r.narrow || (text[0] == 'u' && strcmp(text, "u64")) ||
           lex_fail_at(&as->lx, from, as->lx.line, "a value of type %s needs an r register", text);
}

/* References to labels */

static bool refer(struct assembler *as, enum ref_kind kind, struct span name, char side)
{
    struct ref ref = {.slot = slots(as), .line = as->lx.line, .name = name, .side = side, .kind = kind};

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
static bool skip_symbol(struct assembler *as)
{
    struct lex *lx = &as->lx;

    if (!lex_eat(lx, "<"))
        return true;
    while (lx->at < lx->end && *lx->at != '\n' && *lx->at != '>')
        lx->at++;
    return want(as, ">");
}

/* `+3`, `pc-2`, `label`, `1f`: the distance, or 0 with a reference noted. */
static bool target(struct assembler *as, enum ref_kind kind, int64_t *out)
{
    const char *from;
    struct number n;
    struct span name;
    char side = 0;

    *out = 0;
    lex_blanks(&as->lx);
    from = as->lx.at;
    if (numeric_label(as, &name, &side))
        return refer(as, kind, name, side);
    lex_eat_word(&as->lx, "pc");
    if (lex_number(&as->lx, &n)) {
        unsigned bits = kind == REF_OFF ? 16 : 32;

        *out = number_value(n);
        if (!n.has_sign)
            return lex_fail_at(&as->lx, from, as->lx.line, "a target is a label or a distance with its sign: +3, -2");
        if (!number_fits(n, bits, true))
            return lex_fail_at(&as->lx, from, as->lx.line, "the distance does not fit in %u signed bits", bits);
        return skip_symbol(as);
    }
    as->lx.at = from;
    if (!lex_word(&as->lx, &name))
        return lex_fail(&as->lx, "a label or a distance is needed here");
    return refer(as, kind, name, 0);
}

/* Statements */

static bool jump(struct assembler *as, enum isa_op op)
{
    int64_t distance;
    bool by_imm = op == ISA_GOTOL;

    if (!target(as, by_imm ? REF_IMM : REF_OFF, &distance))
        return false;
    return emit(as, op, 0, 0, by_imm ? 0 : (int16_t)distance, by_imm ? distance : 0);
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

    if (!reg(as, &a) || !comparison(as, &op))
        return false;
    lex_blanks(&as->lx);
    by_register = as->lx.at < as->lx.end && (*as->lx.at == 'r' || *as->lx.at == 'w');
    if (by_register ? !reg_like(as, a.narrow, &b) : !imm32(as, &imm))
        return false;
    if (!lex_eat_word(&as->lx, "goto"))
        return lex_fail(&as->lx, "'goto' is needed here");
    if (!target(as, REF_OFF, &distance))
        return false;
    return emit(as, pick(op, a.narrow, by_register), a.number, b.number, (int16_t)distance, imm);
}

/* The rest of `call kfunc#12[btf:1]`. */
static bool call_kfunc(struct assembler *as)
{
    int64_t id, object = 0;

    if (!want(as, "#") || !imm32(as, &id))
        return false;
    if (lex_eat(&as->lx, "[") &&
        !(want(as, "btf") && want(as, ":") && ranged(as, 16, true, "a BTF object", &object) && want(as, "]")))
        return false;
    return emit(as, ISA_CALL_KFUNC, 0, 0, (int16_t)object, id);
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
        return n.has_sign ? emit(as, ISA_CALL_LOCAL, 0, 0, 0, value) && skip_symbol(as)
                          : emit(as, ISA_CALL_HELPER, 0, 0, 0, value);
    }
    lx->at = from;
    if (!lex_word(lx, &name))
        return lex_fail(lx, "a helper, a label or a distance is needed here");
    if (lx->at < lx->end && *lx->at == '#') { /* bpf_map_lookup_elem#1: the number is what counts */
        lx->at++;
        return imm32(as, &value) && emit(as, ISA_CALL_HELPER, 0, 0, 0, value);
    }
    return refer(as, REF_CALL, name, 0) && emit(as, ISA_CALL_LOCAL, 0, 0, 0, 0);
}

/* `*(u32 *)(r1 + 4) = r2` or `= 5`, after the star. */
static bool store(struct assembler *as)
{
    const char *from = as->lx.at, *text;
    unsigned base, src;
    int16_t off;
    int64_t imm;

    if (!typed_address(as, &text, &base, &off) || !want(as, "="))
        return false;
    if (text[0] == 's')
        return lex_fail_at(&as->lx, from, as->lx.line, "a store has no sign: its type is u8, u16, u32 or u64");
    lex_blanks(&as->lx);
    if (as->lx.at < as->lx.end && (*as->lx.at == 'r' || *as->lx.at == 'w'))
        return value_reg(as, text, &src) &&
               emit(as, memory_op(ISA_STX_W, ISA_STX_DW, ISA_FORM_STX, text), base, src, off, 0);
    return imm32(as, &imm) && emit(as, memory_op(ISA_ST_W, ISA_ST_DW, ISA_FORM_ST, text), base, 0, off, imm);
}

/* Atomics come in pairs: name64, name32. */
static enum isa_op of_width(enum isa_op wide, bool narrow)
{
    return (enum isa_op)(wide + narrow);
}

static bool atomic_type(struct assembler *as, const char *at, const char *text)
{
    return !strcmp(text, "u32") || !strcmp(text, "u64") ||
           lex_fail_at(&as->lx, at, as->lx.line, "an atomic operation is on u32 or u64");
}

/* `lock *(u64 *)(r1 + 0) += r2`, after the word. */
static bool lock(struct assembler *as)
{
    const char *from, *text;
    unsigned base, src;
    int16_t off;

    if (!want(as, "*"))
        return false;
    from = as->lx.at;
    if (!typed_address(as, &text, &base, &off) || !atomic_type(as, from, text))
        return false;
    for (unsigned op = ISA_ATOMIC_ADD64; op <= ISA_ATOMIC_XOR64; op += 2)
        if (lex_eat(&as->lx, isa_rows[op].text))
            return value_reg(as, text, &src) &&
                   emit(as, of_width((enum isa_op)op, !strcmp(text, "u32")), base, src, off, 0);
    return lex_fail(&as->lx, "an atomic operation is needed here: += |= &= ^=");
}

/* `store_release((u64 *)(r1 + 0), r2)`, after the word. */
static bool store_release(struct assembler *as)
{
    const char *from = as->lx.at, *text;
    unsigned base, src;
    enum isa_op op;
    int16_t off;

    if (!want(as, "(") || !typed_address(as, &text, &base, &off) || !want(as, ",") || !value_reg(as, text, &src))
        return false;
    op = memory_op(ISA_STORE_REL_W, ISA_STORE_REL_DW, ISA_FORM_STORE_REL, text);
    if (op == ISA_INVALID)
        return lex_fail_at(&as->lx, from, as->lx.line, "a store has no sign: its type is u8, u16, u32 or u64");
    return want(as, ")") && emit(as, op, base, src, off, 0);
}

/* What stands right of `rN =` */

/* `(s8)r2`, after the parenthesis. */
static bool sign_extend(struct assembler *as, struct reg dst)
{
    const char *from = as->lx.at;
    struct reg src;

    for (unsigned op = ISA_MOVSX8_64; op <= ISA_MOVSX16_32; op++)
        if ((isa_rows[op].width == 32) == dst.narrow && lex_eat_word(&as->lx, isa_rows[op].text))
            return want(as, ")") && reg_like(as, dst.narrow, &src) &&
                   emit(as, (enum isa_op)op, dst.number, src.number, 0, 0);
    return lex_fail_at(&as->lx, from, as->lx.line, "a sign extension is needed here: %s",
                       dst.narrow ? "(s8) or (s16)" : "(s8), (s16) or (s32)");
}

/* `skb[14]` or `skb[r1 + 2]`, after the word. */
static bool packet_load(struct assembler *as, struct reg dst, const char *from, const char *text)
{
    struct reg base = {0};
    int64_t imm = 0;
    enum isa_op op;
    bool indirect;

    if (dst.number || dst.narrow)
        return lex_fail_at(&as->lx, from, as->lx.line, "a packet load goes to r0");
    if (!want(as, "["))
        return false;
    lex_blanks(&as->lx);
    indirect = as->lx.at < as->lx.end && *as->lx.at == 'r';
    if (indirect) {
        if (!reg_like(as, false, &base))
            return false;
        lex_eat(&as->lx, "+");
        lex_blanks(&as->lx);
        if (as->lx.at < as->lx.end && *as->lx.at != ']' && !imm32(as, &imm))
            return false;
    } else if (!imm32(as, &imm)) {
        return false;
    }
    op = memory_op(ISA_LD_ABS_W, ISA_LD_IND_B, indirect ? ISA_FORM_LD_IND : ISA_FORM_LD_ABS, text);
    if (op == ISA_INVALID)
        return lex_fail_at(&as->lx, from, as->lx.line, "a packet load is of u8, u16 or u32");
    return want(as, "]") && emit(as, op, 0, base.number, 0, imm);
}

/* `(u32 *)(r1 + 4)` or `(u32 *)skb[14]`, after the star. */
static bool load(struct assembler *as, struct reg dst)
{
    const char *from = as->lx.at, *text;
    unsigned base;
    int16_t off;

    if (!want(as, "(") || !type(as, &text))
        return false;
    if (lex_eat_word(&as->lx, "skb"))
        return packet_load(as, dst, from, text);
    if (!want(as, "(") || !address(as, &base, &off) || !want(as, ")"))
        return false;
    if (dst.narrow && (text[0] == 's' || !strcmp(text, "u64")))
        return lex_fail_at(&as->lx, from, as->lx.line, "a value of type %s needs an r register", text);
    return emit(as, memory_op(ISA_LDX_W, ISA_LDSX_B, ISA_FORM_LDX, text), dst.number, base, off, 0);
}

/* `load_acquire((u64 *)(r1 + 0))`, after the word. */
static bool load_acquire(struct assembler *as, struct reg dst)
{
    const char *from = as->lx.at, *text;
    enum isa_op op;
    unsigned base;
    int16_t off;

    if (!want(as, "(") || !typed_address(as, &text, &base, &off))
        return false;
    op = memory_op(ISA_LOAD_ACQ_W, ISA_LOAD_ACQ_DW, ISA_FORM_LOAD_ACQ, text);
    if (op == ISA_INVALID || (dst.narrow && !strcmp(text, "u64")))
        return lex_fail_at(&as->lx, from, as->lx.line, "a load_acquire of %s cannot go to this register", text);
    return want(as, ")") && emit(as, op, dst.number, base, off, 0);
}

/* The fetching operation that a word names: the kernel writes atomic64_xchg, LLVM xchg_64 and xchg32_32. */
static enum isa_op fetch_op(struct span word, int *width)
{
    static const struct {
        const char *before, *after;
        int width;
    } forms[] = {{"atomic_", "", 0}, {"atomic64_", "", 64}, {"", "_64", 64},
                 {"", "32_32", 32},  {"", "_32", 32},       {"", "", 0}};

    for (unsigned op = ISA_ATOMIC_FETCH_ADD64; op <= ISA_ATOMIC_CMPXCHG64; op += 2) {
        const char *name = isa_rows[op].text;

        if (!strncmp(name, "atomic_", 7))
            name += 7;
        for (size_t i = 0; i < COUNT(forms); i++) {
            size_t before = strlen(forms[i].before), middle = strlen(name);

            if (word.len == before + middle + strlen(forms[i].after) && !memcmp(word.at, forms[i].before, before) &&
                !memcmp(word.at + before, name, middle) &&
                !memcmp(word.at + before + middle, forms[i].after, word.len - before - middle)) {
                *width = forms[i].width;
                return (enum isa_op)op;
            }
        }
    }
    return ISA_INVALID;
}

/* `((u64 *)(r1 + 0), r2)` or LLVM's `(r1 + 0, r2)`, after the word; cmpxchg has r0 before its last operand. */
static bool fetch(struct assembler *as, struct reg dst, enum isa_op op, int width)
{
    const char *from = as->lx.at, *text = width == 32 || (!width && dst.narrow) ? "u32" : "u64";
    bool compares = op == ISA_ATOMIC_CMPXCHG64, typed;
    unsigned base, src, zero = 0;
    int16_t off;

    if (!want(as, "("))
        return false;
    lex_blanks(&as->lx);
    typed = as->lx.at < as->lx.end && *as->lx.at == '(';
    if (typed ? !typed_address(as, &text, &base, &off) : !address(as, &base, &off))
        return false;
    if (!atomic_type(as, from, text))
        return false;
    if ((width && (width == 32) != !strcmp(text, "u32")) || (dst.narrow && strcmp(text, "u32")))
        return lex_fail_at(&as->lx, from, as->lx.line, "the widths of the operation and its operands differ");
    if (!want(as, ",") || (compares && !(value_reg(as, text, &zero) && want(as, ","))) || !value_reg(as, text, &src))
        return false;
    if (compares ? dst.number || zero : dst.number != src)
        return lex_fail_at(&as->lx, from, as->lx.line, "%s",
                           compares ? "cmpxchg compares with r0 and gives r0"
                                    : "the old value goes to the register that the operand comes from");
    return want(as, ")") && emit(as, of_width(op, !strcmp(text, "u32")), base, src, off, 0);
}

/* `addr_space_cast(r2, 0, 1)`, after the word. */
static bool cast(struct assembler *as, struct reg dst)
{
    const char *from = as->lx.at;
    int64_t to, space;
    unsigned src;

    if (!want(as, "(") || !wide_reg(as, &src) || !want(as, ",") || !ranged(as, 16, false, "an address space", &to) ||
        !want(as, ",") || !ranged(as, 16, false, "an address space", &space))
        return false;
    if (dst.narrow)
        return lex_fail_at(&as->lx, from, as->lx.line, "an address space cast needs r registers");
    return want(as, ")") && emit(as, ISA_ADDR_SPACE_CAST, dst.number, src, 0, (uint32_t)to << 16 | (uint32_t)space);
}

static bool find_map(struct assembler *as, struct span name, uint32_t *index)
{
    return as->opts && as->opts->map && as->opts->map(as->opts->ctx, name.at, name.len, index);
}

/* `map[name]`, `map[id:3][0]+4`, `map[idx:3]+4`, after the word. */
static bool map_ref(struct assembler *as, struct reg dst)
{
    struct lex *lx = &as->lx;
    int64_t number = 0, off = 0;
    bool by_index, of_value;
    struct span name;
    uint32_t index = 0;

    if (!want(as, "["))
        return false;
    by_index = lex_eat(lx, "idx:");
    if (by_index || lex_eat(lx, "id:") || lex_eat(lx, "fd:")) {
        if (!imm32(as, &number))
            return false;
    } else {
        if (!lex_word(lx, &name))
            return lex_fail(lx, "a map's name, or id:N, fd:N or idx:N is needed here");
        if (!find_map(as, name, &index))
            return lex_fail_at(lx, name.at, lx->line, "there is no map '%.*s'", (int)name.len, name.at);
        number = index;
        by_index = true;
    }
    if (!want(as, "]"))
        return false;
    of_value = lex_eat(lx, "[");
    if (of_value && !(want(as, "0") && want(as, "]")))
        return false;
    lex_blanks(lx);
    if (lx->at < lx->end && *lx->at == '+') {
        of_value = true;
        if (!ranged(as, 32, false, "an offset", &off))
            return false;
    }
    return emit_wide(as,
                     by_index   ? of_value ? ISA_LD_MAP_IDX_VALUE : ISA_LD_MAP_IDX
                     : of_value ? ISA_LD_MAP_VALUE
                                : ISA_LD_MAP_FD,
                     dst.number, (uint64_t)(uint32_t)off << 32 | (uint32_t)number);
}

/* `subprog[+3]` or `subprog[label]`, after the word. */
static bool subprog(struct assembler *as, struct reg dst)
{
    int64_t distance;

    return want(as, "[") && target(as, REF_IMM, &distance) && want(as, "]") &&
           emit_wide(as, ISA_LD_FUNC, dst.number, (uint32_t)distance);
}

/* `btf[id:5][btf:1]`, after the word. */
static bool btf_id(struct assembler *as, struct reg dst)
{
    int64_t id, object = 0;

    if (!want(as, "[") || !want(as, "id:") || !imm32(as, &id) || !want(as, "]"))
        return false;
    if (lex_eat(&as->lx, "[") && !(want(as, "btf:") && imm32(as, &object) && want(as, "]")))
        return false;
    return emit_wide(as, ISA_LD_BTF_ID, dst.number, (uint64_t)(uint32_t)object << 32 | (uint32_t)id);
}

static bool swap(struct assembler *as, struct reg dst, enum isa_op op)
{
    const char *from;
    struct reg src;

    lex_blanks(&as->lx);
    from = as->lx.at;
    if (!reg_like(as, dst.narrow, &src))
        return false;
    if (src.number != dst.number || dst.narrow)
        return lex_fail_at(&as->lx, from, as->lx.line, "a byte swap works on one r register");
    return emit(as, op, dst.number, 0, 0, 0);
}

/* `r1 = name ll`: a map, else the address of a function. */
static bool wide_name(struct assembler *as, struct reg dst, struct span name)
{
    uint32_t index;

    if (!lex_eat_word(&as->lx, "ll"))
        return lex_fail_at(&as->lx, name.at, as->lx.line,
                           "'%.*s' is no operand (a map or function needs 'll' behind it)", (int)name.len, name.at);
    if (find_map(as, name, &index))
        return emit_wide(as, ISA_LD_MAP_IDX, dst.number, index);
    return refer(as, REF_IMM, name, 0) && emit_wide(as, ISA_LD_FUNC, dst.number, 0);
}

static bool assign_word(struct assembler *as, struct reg dst)
{
    enum isa_op op;
    struct span word = {0};
    int width = 0;

    if (!lex_word(&as->lx, &word))
        return lex_fail(&as->lx, "a value is needed here");
    for (op = ISA_LE16; op <= ISA_BSWAP64; op++)
        if (span_is(word, isa_rows[op].text))
            return swap(as, dst, op);
    op = fetch_op(word, &width);
    if (op != ISA_INVALID)
        return fetch(as, dst, op, width);
    if (span_is(word, "load_acquire"))
        return load_acquire(as, dst);
    if (dst.narrow)
        return lex_fail_at(&as->lx, word.at, as->lx.line, "'%.*s' is no operand of 32 bits", (int)word.len, word.at);
    if (span_is(word, "addr_space_cast"))
        return cast(as, dst);
    lex_blanks(&as->lx);
    if (as->lx.at < as->lx.end && *as->lx.at == '[') {
        if (span_is(word, "map"))
            return map_ref(as, dst);
        if (span_is(word, "subprog"))
            return subprog(as, dst);
        if (span_is(word, "btf"))
            return btf_id(as, dst);
    }
    return wide_name(as, dst, word);
}

static bool assign_number(struct assembler *as, struct reg dst)
{
    struct lex *lx = &as->lx;
    const char *from;
    struct number n;

    lex_blanks(lx);
    from = lx->at;
    if (!lex_number(lx, &n))
        return lex_fail(lx, "a value is needed here");
    if (!dst.narrow && lex_eat_word(lx, "ll"))
        return number_fits(n, 64, false) ? emit_wide(as, ISA_LD_IMM64, dst.number, (uint64_t)number_value(n))
                                         : lex_fail_at(lx, from, lx->line, "the number does not fit in 64 bits");
    if (!number_fits(n, 32, false))
        return lex_fail_at(lx, from, lx->line, "an immediate does not fit in 32 bits%s",
                           dst.narrow ? "" : " (a wide one has 'll' behind it)");
    return emit(as, pick(ISA_MOV64_K, dst.narrow, false), dst.number, 0, 0, number_value(n));
}

/* What stands right of `rN =`. */
static bool assign(struct assembler *as, struct reg dst)
{
    struct lex *lx = &as->lx;
    const char *from;
    struct reg src;

    lex_blanks(lx);
    from = lx->at;
    if (lex_eat(lx, "("))
        return sign_extend(as, dst);
    if (lex_eat(lx, "*"))
        return load(as, dst);
    if (try_reg(as, &src)) {
        lx->at = from;
        return reg_like(as, dst.narrow, &src) &&
               emit(as, pick(ISA_MOV64_K, dst.narrow, true), dst.number, src.number, 0, 0);
    }
    if (lex_eat(lx, "-")) {
        if (try_reg(as, &src)) {
            if (src.number != dst.number || src.narrow != dst.narrow)
                return lex_fail_at(lx, from, lx->line, "a negation works on one register");
            return emit(as, dst.narrow ? ISA_NEG32 : ISA_NEG64, dst.number, 0, 0, 0);
        }
        lx->at = from;
    }
    if (lx->at < lx->end && (*lx->at == '-' || *lx->at == '+' || (*lx->at >= '0' && *lx->at <= '9')))
        return assign_number(as, dst);
    return assign_word(as, dst);
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
            return assign(as, dst);
        lex_blanks(lx);
        if (lx->at < lx->end && (*lx->at == 'r' || *lx->at == 'w'))
            return reg_like(as, dst.narrow, &src) &&
                   emit(as, pick(alu_ops[i].op, dst.narrow, true), dst.number, src.number, 0, 0);
        return imm32(as, &imm) && emit(as, pick(alu_ops[i].op, dst.narrow, false), dst.number, 0, 0, imm);
    }
    return lex_fail(lx, "an operator is needed here: = += -= *= /= %%= s/= s%%= |= &= ^= <<= >>= s>>=");
}

/* `.insn 0x...`, after the word. */
static bool raw(struct assembler *as)
{
    int64_t value;
    uint64_t v;

    if (!ranged(as, 64, false, "eight bytes as one number", &value))
        return false;
    v = (uint64_t)value;
    return emit_raw(as, (struct skep_insn){.code = (uint8_t)v,
                                           .dst_reg = v >> 8 & 15,
                                           .src_reg = v >> 12 & 15,
                                           .off = (int16_t)(v >> 16),
                                           .imm = (int32_t)(v >> 32)});
}

static bool instruction(struct assembler *as)
{
    struct lex *lx = &as->lx;
    struct reg r;

    if (lex_eat(lx, "*"))
        return store(as);
    if (try_reg(as, &r))
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
        return wide_reg(as, &to) && emit(as, ISA_CALL_REG, to, 0, 0, 0);
    }
    if (lex_eat_word(lx, "exit"))
        return emit(as, ISA_EXIT, 0, 0, 0, 0);
    if (lex_eat_word(lx, "lock"))
        return lock(as);
    if (lex_eat_word(lx, "store_release"))
        return store_release(as);
    if (lex_eat_word(lx, ".insn") || lex_eat_word(lx, ".8byte"))
        return raw(as);
    return lex_fail(lx, "this begins no instruction");
}

/* `name:`, `1:`, and llvm-objdump's `0000000000000000 <name>:`. */
static bool label(struct assembler *as)
{
    struct lex *lx = &as->lx;
    struct label found = {.slot = slots(as), .line = lx->line};
    const char *from, *p;

    lex_blanks(lx);
    from = p = lx->at;
    if (!lex_word(lx, &found.name)) {
        while (p < lx->end && ((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'f')))
            p++;
        found.name = (struct span){from, (size_t)(p - from)};
        lx->at = p;
        if (found.name.len && lex_eat(lx, "<") && lex_word(lx, &found.name) && !lex_eat(lx, ">"))
            found.name.len = 0;
    }
    if (!found.name.len || !lex_eat(lx, ":"))
        return lx->at = from, false;
    buf_add(&as->labels, &found, sizeof(found));
    return true;
}

/* bpftool and the kernel write the code byte before the text: `(b7) r0 = 7`. */
static void skip_code(struct assembler *as)
{
    struct lex *lx = &as->lx;
    const char *p = lx->at;

    if (lx->end - p >= 4 && p[0] == '(' && p[3] == ')')
        lx->at += 4;
}

static bool line(struct assembler *as)
{
    while (!lex_line_ends(&as->lx) && label(as))
        ;
    if (as->lx.err)
        return false;
    skip_code(as);
    if (lex_line_ends(&as->lx))
        return true;
    if (!instruction(as))
        return false;
    return lex_line_ends(&as->lx) || lex_fail(&as->lx, "nothing more is expected on this line");
}

/* Labels */

static int by_name(const void *va, const void *vb)
{
    const struct label *a = va, *b = vb;
    int order = memcmp(a->name.at, b->name.at, a->name.len < b->name.len ? a->name.len : b->name.len);

    if (!order)
        order = (a->name.len > b->name.len) - (a->name.len < b->name.len);
    return order ? order : (a->slot > b->slot) - (a->slot < b->slot);
}

static bool is_numeric(struct span name)
{
    return name.at[0] >= '0' && name.at[0] <= '9';
}

static bool same_name(const struct label *l, struct span name)
{
    return l->name.len == name.len && !memcmp(l->name.at, name.at, name.len);
}

/* The label that a reference means, in labels sorted by name and slot. */
static const struct label *find_label(const struct label *labels, size_t n, const struct ref *ref)
{
    struct label key = {.name = ref->name, .slot = ref->side ? ref->slot : UINT32_MAX};
    size_t low = 0, high = n;

    while (low < high) { /* to the first that lies after the key */
        size_t mid = low + (high - low) / 2;

        if (by_name(&labels[mid], &key) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    if (ref->side == 'f')
        return low < n && same_name(&labels[low], ref->name) ? &labels[low] : NULL;
    return low > 0 && same_name(&labels[low - 1], ref->name) ? &labels[low - 1] : NULL;
}

static bool resolve(struct assembler *as, const struct ref *ref, const struct label *to)
{
    struct skep_insn *insn = (struct skep_insn *)(void *)as->insns.data + ref->slot;
    struct span name = ref->name;
    uint32_t id;
    int64_t distance;

    if (!to) {
        bool prefixed = name.len > 4 && !memcmp(name.at, "bpf_", 4);

        if (ref->kind == REF_CALL && as->opts && as->opts->helper &&
            as->opts->helper(as->opts->ctx, name.at + (prefixed ? 4 : 0), name.len - (prefixed ? 4 : 0), &id)) {
            *insn = isa_encode(ISA_CALL_HELPER, 0, 0, 0, (int32_t)id);
            return true;
        }
        return lex_fail_at(&as->lx, name.at, ref->line, "there is no %s '%.*s'",
                           ref->kind == REF_CALL ? "label or helper" : "label", (int)name.len, name.at);
    }
    distance = (int64_t)to->slot - ref->slot - 1;
    if (ref->kind != REF_OFF) {
        insn->imm = (int32_t)distance;
        return true;
    }
    if (distance != (int16_t)distance)
        return lex_fail_at(&as->lx, name.at, ref->line, "the label is %lld instructions away: more than 16 bits hold",
                           (long long)distance);
    insn->off = (int16_t)distance;
    return true;
}

static bool resolve_all(struct assembler *as)
{
    const struct ref *refs = (const void *)as->refs.data;
    size_t n_refs = as->refs.len / sizeof(*refs), n = as->labels.len / sizeof(struct label);
    struct label *sorted = malloc(as->labels.len + 1);
    bool ok = sorted != NULL;

    if (!ok) {
        as->lx.err = log_fail(as->lx.log, -ENOMEM, "out of memory");
        return false;
    }
    if (n) {
        memcpy(sorted, as->labels.data, as->labels.len);
        qsort(sorted, n, sizeof(*sorted), by_name);
    }
    for (size_t i = 1; i < n && ok; i++)
        if (same_name(&sorted[i - 1], sorted[i].name) && !is_numeric(sorted[i].name))
            ok = lex_fail_at(&as->lx, sorted[i].name.at, sorted[i].line, "label '%.*s' stands on line %u as well",
                             (int)sorted[i].name.len, sorted[i].name.at, sorted[i - 1].line);
    for (size_t i = 0; i < n_refs && ok; i++)
        ok = resolve(as, &refs[i], find_label(sorted, n, &refs[i]));
    free(sorted);
    return ok;
}

/* Gives the labels' names, which point into the text, memory of their own behind the array. */
static struct asm_label *own_labels(const struct buf *labels, uint32_t *count)
{
    const struct label *from = (const void *)labels->data;
    size_t n = labels->len / sizeof(*from), bytes = 0;
    struct asm_label *own;
    char *names;

    for (size_t i = 0; i < n; i++)
        bytes += from[i].name.len + 1;
    own = malloc(n * sizeof(*own) + bytes + 1);
    if (!own)
        return NULL;
    names = (char *)(own + n);
    for (size_t i = 0; i < n; i++) {
        own[i] = (struct asm_label){.name = names, .slot = from[i].slot, .line = from[i].line};
        memcpy(names, from[i].name.at, from[i].name.len);
        names[from[i].name.len] = 0;
        names += from[i].name.len + 1;
    }
    *count = (uint32_t)n;
    return own;
}

static int finish(struct assembler *as, struct asm_out *out)
{
    if (as->insns.failed || as->lines.failed || as->labels.failed || as->refs.failed)
        return log_fail(as->lx.log, -ENOMEM, "out of memory");
    if (!resolve_all(as))
        return as->lx.err;
    out->labels = own_labels(&as->labels, &out->n_labels);
    if (!out->labels)
        return log_fail(as->lx.log, -ENOMEM, "out of memory");
    out->n_insns = slots(as);
    out->insns = (struct skep_insn *)(void *)as->insns.data;
    out->lines = (uint32_t *)(void *)as->lines.data;
    as->insns.data = as->lines.data = NULL;
    return 0;
}

int asm_text(const char *text, size_t len, const struct asm_opts *opts, const struct log *log, struct asm_out *out)
{
    struct assembler as = {.lx = {.at = text, .end = text + len, .text = text, .line = 1, .log = log}, .opts = opts};
    int err;

    *out = (struct asm_out){0};
    if (len > MAX_TEXT)
        return log_fail(log, -E2BIG, "the text is longer than 256 MiB");
    do {
        line(&as);
    } while (!as.lx.err && lex_next_line(&as.lx));
    err = as.lx.err ? as.lx.err : finish(&as, out);
    buf_free(&as.insns);
    buf_free(&as.lines);
    buf_free(&as.labels);
    buf_free(&as.refs);
    return err;
}

void asm_free(struct asm_out *out)
{
    free(out->insns);
    free(out->lines);
    free(out->labels);
    *out = (struct asm_out){0};
}
