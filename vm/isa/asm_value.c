/* What stands right of `rN =`: one function a kind. */
#include "vm/isa/asm_parse.h"

#include <string.h>

/* `(s8)r2`, after the parenthesis. */
static bool sign_extend(struct assembler *as, struct reg dst)
{
    const char *from = as->lx.at;
    struct reg src;

    for (unsigned op = ISA_MOVSX8_64; op <= ISA_MOVSX16_32; op++)
        if ((isa_rows[op].width == 32) == dst.narrow && lex_eat_word(&as->lx, isa_rows[op].text))
            return asm_want(as, ")") && asm_reg_like(as, dst.narrow, &src) &&
                   asm_emit(as, (enum isa_op)op, dst.number, src.number, 0, 0);
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
    if (!asm_want(as, "["))
        return false;
    lex_blanks(&as->lx);
    indirect = as->lx.at < as->lx.end && *as->lx.at == 'r';
    if (indirect) {
        if (!asm_reg_like(as, false, &base))
            return false;
        lex_eat(&as->lx, "+");
        lex_blanks(&as->lx);
        if (as->lx.at < as->lx.end && *as->lx.at != ']' && !asm_imm32(as, &imm))
            return false;
    } else if (!asm_imm32(as, &imm)) {
        return false;
    }
    op = asm_memory_op(ISA_LD_ABS_W, ISA_LD_IND_B, indirect ? ISA_FORM_LD_IND : ISA_FORM_LD_ABS, text);
    if (op == ISA_INVALID)
        return lex_fail_at(&as->lx, from, as->lx.line, "a packet load is of u8, u16 or u32");
    return asm_want(as, "]") && asm_emit(as, op, 0, base.number, 0, imm);
}

/* `(u32 *)(r1 + 4)` or `(u32 *)skb[14]`, after the star. */
static bool load(struct assembler *as, struct reg dst)
{
    const char *from = as->lx.at, *text;
    unsigned base;
    int16_t off;

    if (!asm_want(as, "(") || !asm_type(as, &text))
        return false;
    if (lex_eat_word(&as->lx, "skb"))
        return packet_load(as, dst, from, text);
    if (!asm_want(as, "(") || !asm_address(as, &base, &off) || !asm_want(as, ")"))
        return false;
    if (dst.narrow && (text[0] == 's' || !strcmp(text, "u64")))
        return lex_fail_at(&as->lx, from, as->lx.line, "a value of type %s needs an r register", text);
    return asm_emit(as, asm_memory_op(ISA_LDX_W, ISA_LDSX_B, ISA_FORM_LDX, text), dst.number, base, off, 0);
}

/* `load_acquire((u64 *)(r1 + 0))`, after the word. */
static bool load_acquire(struct assembler *as, struct reg dst)
{
    const char *from = as->lx.at, *text;
    enum isa_op op;
    unsigned base;
    int16_t off;

    if (!asm_want(as, "(") || !asm_typed_address(as, &text, &base, &off))
        return false;
    op = asm_memory_op(ISA_LOAD_ACQ_W, ISA_LOAD_ACQ_DW, ISA_FORM_LOAD_ACQ, text);
    if (op == ISA_INVALID || (dst.narrow && !strcmp(text, "u64")))
        return lex_fail_at(&as->lx, from, as->lx.line, "a load_acquire of %s cannot go to this register", text);
    return asm_want(as, ")") && asm_emit(as, op, dst.number, base, off, 0);
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

    if (!asm_want(as, "("))
        return false;
    lex_blanks(&as->lx);
    typed = as->lx.at < as->lx.end && *as->lx.at == '(';
    if (typed ? !asm_typed_address(as, &text, &base, &off) : !asm_address(as, &base, &off))
        return false;
    if (!asm_atomic_type(as, from, text))
        return false;
    if ((width && (width == 32) != !strcmp(text, "u32")) || (dst.narrow && strcmp(text, "u32")))
        return lex_fail_at(&as->lx, from, as->lx.line, "the widths of the operation and its operands differ");
    if (!asm_want(as, ",") || (compares && !(asm_value_reg(as, text, &zero) && asm_want(as, ","))) ||
        !asm_value_reg(as, text, &src))
        return false;
    if (compares ? dst.number || zero : dst.number != src)
        return lex_fail_at(&as->lx, from, as->lx.line, "%s",
                           compares ? "cmpxchg compares with r0 and gives r0"
                                    : "the old value goes to the register that the operand comes from");
    return asm_want(as, ")") && asm_emit(as, asm_of_width(op, !strcmp(text, "u32")), base, src, off, 0);
}

/* `addr_space_cast(r2, 0, 1)`, after the word. */
static bool cast(struct assembler *as, struct reg dst)
{
    const char *from = as->lx.at;
    int64_t to, space;
    unsigned src;

    if (!asm_want(as, "(") || !asm_wide_reg(as, &src) || !asm_want(as, ",") ||
        !asm_ranged(as, 16, false, "an address space", &to) || !asm_want(as, ",") ||
        !asm_ranged(as, 16, false, "an address space", &space))
        return false;
    if (dst.narrow)
        return lex_fail_at(&as->lx, from, as->lx.line, "an address space cast needs r registers");
    return asm_want(as, ")") &&
           asm_emit(as, ISA_ADDR_SPACE_CAST, dst.number, src, 0, (uint32_t)to << 16 | (uint32_t)space);
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

    if (!asm_want(as, "["))
        return false;
    by_index = lex_eat(lx, "idx:");
    if (by_index || lex_eat(lx, "id:") || lex_eat(lx, "fd:")) {
        if (!asm_imm32(as, &number))
            return false;
    } else {
        if (!lex_word(lx, &name))
            return lex_fail(lx, "a map's name, or id:N, fd:N or idx:N is needed here");
        if (!find_map(as, name, &index))
            return lex_fail_at(lx, name.at, lx->line, "there is no map '%.*s'", (int)name.len, name.at);
        number = index;
        by_index = true;
    }
    if (!asm_want(as, "]"))
        return false;
    of_value = lex_eat(lx, "[");
    if (of_value && !(asm_want(as, "0") && asm_want(as, "]")))
        return false;
    lex_blanks(lx);
    if (lx->at < lx->end && *lx->at == '+') {
        of_value = true;
        if (!asm_ranged(as, 32, false, "an offset", &off))
            return false;
    }
    return asm_emit_wide(as,
                         by_index   ? of_value ? ISA_LD_MAP_IDX_VALUE : ISA_LD_MAP_IDX
                         : of_value ? ISA_LD_MAP_VALUE
                                    : ISA_LD_MAP_FD,
                         dst.number, (uint64_t)(uint32_t)off << 32 | (uint32_t)number);
}

/* `subprog[+3]` or `subprog[label]`, after the word. */
static bool subprog(struct assembler *as, struct reg dst)
{
    int64_t distance;

    return asm_want(as, "[") && asm_target(as, REF_IMM, &distance) && asm_want(as, "]") &&
           asm_emit_wide(as, ISA_LD_FUNC, dst.number, (uint32_t)distance);
}

/* `btf[id:5][btf:1]`, after the word. */
static bool btf_id(struct assembler *as, struct reg dst)
{
    int64_t id, object = 0;

    if (!asm_want(as, "[") || !asm_want(as, "id:") || !asm_imm32(as, &id) || !asm_want(as, "]"))
        return false;
    if (lex_eat(&as->lx, "[") && !(asm_want(as, "btf:") && asm_imm32(as, &object) && asm_want(as, "]")))
        return false;
    return asm_emit_wide(as, ISA_LD_BTF_ID, dst.number, (uint64_t)(uint32_t)object << 32 | (uint32_t)id);
}

static bool swap(struct assembler *as, struct reg dst, enum isa_op op)
{
    const char *from;
    struct reg src;

    lex_blanks(&as->lx);
    from = as->lx.at;
    if (!asm_reg_like(as, dst.narrow, &src))
        return false;
    if (src.number != dst.number || dst.narrow)
        return lex_fail_at(&as->lx, from, as->lx.line, "a byte swap works on one r register");
    return asm_emit(as, op, dst.number, 0, 0, 0);
}

/* `r1 = name ll`: a map, else the address of a function. */
static bool wide_name(struct assembler *as, struct reg dst, struct span name)
{
    uint32_t index;

    if (!lex_eat_word(&as->lx, "ll"))
        return lex_fail_at(&as->lx, name.at, as->lx.line,
                           "'%.*s' is no operand (a map or function needs 'll' behind it)", (int)name.len, name.at);
    if (find_map(as, name, &index))
        return asm_emit_wide(as, ISA_LD_MAP_IDX, dst.number, index);
    return asm_refer(as, REF_IMM, name, 0) && asm_emit_wide(as, ISA_LD_FUNC, dst.number, 0);
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
    if (!dst.narrow && (lex_eat_word(lx, "ll") || as->said_wide))
        return number_fits(n, 64, false) ? asm_emit_wide(as, ISA_LD_IMM64, dst.number, (uint64_t)number_value(n))
                                         : lex_fail_at(lx, from, lx->line, "the number does not fit in 64 bits");
    if (!number_fits(n, 32, false))
        return lex_fail_at(lx, from, lx->line, "an immediate does not fit in 32 bits%s",
                           dst.narrow ? "" : " (a wide one has 'll' behind it)");
    return asm_emit(as, asm_pick(ISA_MOV64_K, dst.narrow, false), dst.number, 0, 0, number_value(n));
}

bool asm_value(struct assembler *as, struct reg dst)
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
    if (asm_try_reg(as, &src)) {
        lx->at = from;
        return asm_reg_like(as, dst.narrow, &src) &&
               asm_emit(as, asm_pick(ISA_MOV64_K, dst.narrow, true), dst.number, src.number, 0, 0);
    }
    if (lex_eat(lx, "-")) {
        if (asm_try_reg(as, &src)) {
            if (src.number != dst.number || src.narrow != dst.narrow)
                return lex_fail_at(lx, from, lx->line, "a negation works on one register");
            return asm_emit(as, dst.narrow ? ISA_NEG32 : ISA_NEG64, dst.number, 0, 0, 0);
        }
        lx->at = from;
    }
    if (lx->at < lx->end && (*lx->at == '-' || *lx->at == '+' || (*lx->at >= '0' && *lx->at <= '9')))
        return assign_number(as, dst);
    return assign_word(as, dst);
}
