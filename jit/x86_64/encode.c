/*
 * The instruction forms. An opcode is one word: the byte, its map, its mandatory prefix and what the form does with
 * sizes and registers (the OP_ flags); emit() turns that word and the operands into prefixes, REX, opcode, ModRM, SIB,
 * displacement and immediate, and is the only place that does (vex() for the VEX forms). Encodings follow the Intel
 * Software Developer's Manual, volume 2.
 */
#include "jit/x86_64/encode.h"
#include "jit/x86_64/layout.h"

#include <errno.h>
#include <string.h>

#define OP_0F      0x100u
#define OP_0F38    0x200u
#define OP_0F3A    0x300u
#define OP_MAP     0x300u
#define OP_66      0x1000u /* mandatory prefixes, of which a form has one at most */
#define OP_F3      0x2000u
#define OP_F2      0x3000u
#define OP_PP      0x3000u  /* as VEX numbers them */
#define OP_SIZED   0x4000u  /* the opcode of size 1; the next one is that of the other sizes */
#define OP_DIGIT   0x8000u  /* the reg field extends the opcode */
#define OP_RM8     0x10000u /* rm is a byte, whatever the size */
#define OP_LOCK    0x20000u
#define OP_FIXED   0x40000u /* 64 bits without REX.W */
#define OP_MEM     0x80000u /* rm must be memory */
#define MAX_LENGTH 16

struct imm {
    uint64_t value;
    unsigned bytes;
};
static const struct imm none;

static bool is_size(unsigned size, unsigned least)
{
    return size >= least && (size == 1 || size == 2 || size == 4 || size == 8);
}

static bool is_byte(int64_t v)
{
    return v >= INT8_MIN && v <= INT8_MAX;
}

/* Makes v what the CPU sees of it in `size` bytes, sign-extended. */
static bool fit(unsigned size, int64_t *v)
{
    int64_t least = size == 1 ? INT8_MIN : size == 2 ? INT16_MIN : INT32_MIN;
    int64_t most = size == 1 ? UINT8_MAX : size == 2 ? UINT16_MAX : size == 4 ? UINT32_MAX : INT32_MAX;

    if (*v < least || *v > most)
        return false;
    *v = size == 1 ? (int8_t)*v : size == 2 ? (int16_t)*v : (int32_t)*v;
    return true;
}

/* Another way to say the same address, where that is shorter or the only one that has an encoding. */
static struct x86_rm shorten(struct x86_rm m)
{
    if (m.kind != X86_RM_MEM || m.index == X86_NONE || !is_size(m.scale, 1))
        return m;
    if (m.base == X86_NONE && m.scale <= 2) {
        m.base = m.index;
        m.index = m.scale == 2 ? m.index : X86_NONE;
        m.scale = 1;
    }
    if (m.scale == 1 && (m.index == X86_RSP || ((m.base & 7) == X86_RBP && !m.disp && m.index != X86_NONE))) {
        uint8_t base = m.base;

        m.base = m.index;
        m.index = base;
    }
    return m;
}

static bool is_good(uint32_t op, unsigned reg, const struct x86_rm *m)
{
    if (reg > X86_R15)
        return false;
    if (m->kind == X86_RM_REG)
        return m->base <= X86_R15 && !(op & OP_MEM);
    if (m->kind == X86_RM_LABEL)
        return true;
    return m->base <= X86_NONE && m->index <= X86_NONE && m->index != X86_RSP && is_size(m->scale, 1);
}

static uint8_t *put(uint8_t *p, uint64_t v, unsigned bytes)
{
    for (; bytes; bytes--, v >>= 8)
        *p++ = (uint8_t)v;
    return p;
}

/* ModRM, SIB and displacement. `trail`: bytes of the instruction that follow, from whose end a label is measured. */
static uint8_t *put_rm(struct x86_asm *a, uint8_t *p, unsigned reg, const struct x86_rm *m, unsigned trail)
{
    unsigned field = (reg & 7) << 3, mod, scale;

    if (m->kind == X86_RM_REG) {
        *p++ = (uint8_t)(0xc0 | field | (m->base & 7));
        return p;
    }
    if (m->kind == X86_RM_LABEL) {
        *p++ = (uint8_t)(field | 5);
        x86_patch_label(a, (size_t)(p - a->data), m->label, (int64_t)m->disp - 4 - trail);
        return put(p, 0, 4);
    }
    /* Base rbp or r13 without a displacement, and base none with one, share an encoding: the first needs a zero disp8.
     */
    if (m->base == X86_NONE)
        mod = 0;
    else if (!m->disp && (m->base & 7) != X86_RBP)
        mod = 0;
    else
        mod = is_byte(m->disp) ? 1 : 2;
    if (m->index == X86_NONE && m->base != X86_NONE && (m->base & 7) != X86_RSP) {
        *p++ = (uint8_t)(mod << 6 | field | (m->base & 7));
    } else {
        scale = m->scale == 8 ? 3 : m->scale == 4 ? 2 : m->scale == 2;
        *p++ = (uint8_t)(mod << 6 | field | 4);
        *p++ = (uint8_t)(scale << 6 | (m->index == X86_NONE ? 4u : m->index & 7u) << 3 |
                         (m->base == X86_NONE ? 5u : m->base & 7u));
    }
    if (mod == 1)
        return put(p, (uint8_t)m->disp, 1);
    return mod == 2 || m->base == X86_NONE ? put(p, (uint32_t)m->disp, 4) : p;
}

/* REX.X and REX.B, or their VEX counterparts. */
static unsigned high_bits(const struct x86_rm *m)
{
    return (m->index != X86_NONE && m->index > 7 ? 2u : 0) | (m->base != X86_NONE && m->base > 7 ? 1u : 0);
}

static void emit(struct x86_asm *a, uint32_t op, unsigned size, unsigned reg, struct x86_rm m, struct imm imm)
{
    static const uint8_t prefix[] = {0, 0x66, 0xf3, 0xf2};
    bool byte = (op & OP_SIZED) && size == 1;
    unsigned rex = 0;
    uint8_t *p;

    m = shorten(m);
    if (!is_size(size, op & (OP_SIZED | OP_RM8) ? 1 : 2) || !is_good(op, reg, &m)) {
        x86_fail(a, -EINVAL);
        return;
    }
    p = x86_room(a, MAX_LENGTH);
    if (!p)
        return;
    if (op & OP_LOCK)
        *p++ = 0xf0;
    if (size == 2)
        *p++ = 0x66;
    if (op & OP_PP)
        *p++ = prefix[(op & OP_PP) / OP_66];
    if (size == 8 && !(op & OP_FIXED))
        rex |= 0x48;
    if (reg > 7)
        rex |= 0x44;
    if (high_bits(&m))
        rex |= 0x40 | high_bits(&m);
    /* Without REX, byte registers 4 to 7 would be ah, ch, dh and bh. */
    if (byte && !(op & OP_DIGIT) && reg >= 4)
        rex |= 0x40;
    if ((byte || (op & OP_RM8)) && m.kind == X86_RM_REG && m.base >= 4)
        rex |= 0x40;
    if (rex)
        *p++ = (uint8_t)rex;
    if (op & OP_MAP)
        *p++ = 0x0f;
    if ((op & OP_MAP) > OP_0F)
        *p++ = (op & OP_MAP) == OP_0F38 ? 0x38 : 0x3a;
    *p++ = (uint8_t)(op | ((op & OP_SIZED) && size > 1 ? 1 : 0));
    p = put_rm(a, p, reg, &m, imm.bytes);
    p = put(p, imm.value, imm.bytes);
    x86_advance(a, p);
}

/* The forms with three operands. Always the long prefix: the short one has no room for these maps. */
static void vex(struct x86_asm *a, uint32_t op, unsigned size, unsigned reg, unsigned second, struct x86_rm m,
                struct imm imm)
{
    uint8_t *p;

    m = shorten(m);
    if ((size != 4 && size != 8) || second > X86_R15 || !is_good(op, reg, &m)) {
        x86_fail(a, -EINVAL);
        return;
    }
    p = x86_room(a, MAX_LENGTH);
    if (!p)
        return;
    *p++ = 0xc4;
    *p++ = (uint8_t)((((reg > 7 ? 4u : 0) | high_bits(&m)) ^ 7) << 5 | (op & OP_MAP) / OP_0F);
    *p++ = (uint8_t)((size == 8 ? 0x80 : 0) | (second ^ 15) << 3 | (op & OP_PP) / OP_66);
    *p++ = (uint8_t)op;
    p = put_rm(a, p, reg, &m, imm.bytes);
    p = put(p, imm.value, imm.bytes);
    x86_advance(a, p);
}

/* An opcode that holds its register in the three lowest bits. */
static void emit_short(struct x86_asm *a, uint32_t op, unsigned size, unsigned reg, struct imm imm)
{
    unsigned rex =
        (size == 8 && !(op & OP_FIXED) ? 0x48 : 0) | (reg > 7 ? 0x41 : 0) | (size == 1 && reg >= 4 ? 0x40 : 0);
    uint8_t *p;

    if (reg > X86_R15) {
        x86_fail(a, -EINVAL);
        return;
    }
    p = x86_room(a, MAX_LENGTH);
    if (!p)
        return;
    if (size == 2)
        *p++ = 0x66;
    if (rex)
        *p++ = (uint8_t)rex;
    if (op & OP_MAP)
        *p++ = 0x0f;
    *p++ = (uint8_t)((op & 0xff) | (reg & 7));
    p = put(p, imm.value, imm.bytes);
    x86_advance(a, p);
}

static struct imm imm_of(unsigned size, int64_t v)
{
    return (struct imm){(uint64_t)v, size < 4 ? size : 4};
}

static struct imm imm8(int64_t v)
{
    return (struct imm){(uint64_t)v, 1};
}

/* ---- moves ---- */

void x86_mov(struct x86_asm *a, unsigned size, enum x86_reg reg, struct x86_rm rm)
{
    emit(a, 0x8a | OP_SIZED, size, reg, rm, none);
}

void x86_mov_to(struct x86_asm *a, unsigned size, struct x86_rm rm, enum x86_reg reg)
{
    emit(a, 0x88 | OP_SIZED, size, reg, rm, none);
}

static void mov_reg_imm(struct x86_asm *a, unsigned size, enum x86_reg reg, int64_t imm)
{
    int64_t v = imm;

    if (size == 8 && imm >= 0 && imm <= UINT32_MAX)
        size = 4; /* which zeroes the rest */
    if (size == 8 && imm == (int32_t)imm)
        emit(a, 0xc7 | OP_DIGIT, 8, 0, x86_r(reg), imm_of(8, imm));
    else if (size == 8)
        x86_movabs(a, reg, (uint64_t)imm);
    else if (!is_size(size, 1) || !fit(size, &v))
        x86_fail(a, -EINVAL);
    else
        emit_short(a, size == 1 ? 0xb0 : 0xb8, size, reg, imm_of(size, v));
}

void x86_mov_imm(struct x86_asm *a, unsigned size, struct x86_rm rm, int64_t imm)
{
    if (rm.kind == X86_RM_REG)
        mov_reg_imm(a, size, rm.base, imm);
    else if (!fit(size, &imm))
        x86_fail(a, -EINVAL);
    else
        emit(a, 0xc6 | OP_SIZED | OP_DIGIT, size, 0, rm, imm_of(size, imm));
}

void x86_movabs(struct x86_asm *a, enum x86_reg reg, uint64_t imm)
{
    emit_short(a, 0xb8, 8, reg, (struct imm){imm, 8});
}

void x86_movzx(struct x86_asm *a, unsigned from, enum x86_reg reg, struct x86_rm rm)
{
    if (from == 1)
        emit(a, 0xb6 | OP_0F | OP_RM8, 4, reg, rm, none);
    else if (from == 2)
        emit(a, 0xb7 | OP_0F, 4, reg, rm, none);
    else
        x86_mov(a, from, reg, rm);
}

void x86_movsx(struct x86_asm *a, unsigned to, unsigned from, enum x86_reg reg, struct x86_rm rm)
{
    if (from > to)
        x86_fail(a, -EINVAL);
    else if (from == to)
        emit(a, 0x8b, to, reg, rm, none);
    else if (from == 1)
        emit(a, 0xbe | OP_0F | OP_RM8, to, reg, rm, none);
    else if (from == 2)
        emit(a, 0xbf | OP_0F, to, reg, rm, none);
    else if (from == 4)
        emit(a, 0x63, to, reg, rm, none);
    else
        x86_fail(a, -EINVAL);
}

void x86_movbe(struct x86_asm *a, unsigned size, enum x86_reg reg, struct x86_rm mem)
{
    emit(a, 0xf0 | OP_0F38 | OP_MEM, size, reg, mem, none);
}

void x86_movbe_to(struct x86_asm *a, unsigned size, struct x86_rm mem, enum x86_reg reg)
{
    emit(a, 0xf1 | OP_0F38 | OP_MEM, size, reg, mem, none);
}

void x86_bswap(struct x86_asm *a, unsigned size, enum x86_reg reg)
{
    if (size != 4 && size != 8)
        x86_fail(a, -EINVAL);
    else
        emit_short(a, 0xc8 | OP_0F, size, reg, none);
}

void x86_lea(struct x86_asm *a, unsigned size, enum x86_reg reg, struct x86_rm mem)
{
    emit(a, 0x8d | OP_MEM, size, reg, mem, none);
}

void x86_xchg(struct x86_asm *a, unsigned size, struct x86_rm rm, enum x86_reg reg)
{
    emit(a, 0x86 | OP_SIZED, size, reg, rm, none);
}

void x86_cmov(struct x86_asm *a, enum x86_cc cc, unsigned size, enum x86_reg reg, struct x86_rm rm)
{
    emit(a, (0x40 | (cc & 15u)) | OP_0F, size, reg, rm, none);
}

void x86_set(struct x86_asm *a, enum x86_cc cc, struct x86_rm rm)
{
    emit(a, (0x90 | (cc & 15u)) | OP_0F | OP_RM8 | OP_DIGIT, 1, 0, rm, none);
}

void x86_push(struct x86_asm *a, struct x86_rm rm)
{
    if (rm.kind == X86_RM_REG)
        emit_short(a, 0x50 | OP_FIXED, 8, rm.base, none);
    else
        emit(a, 0xff | OP_DIGIT | OP_FIXED, 8, 6, rm, none);
}

void x86_pop(struct x86_asm *a, struct x86_rm rm)
{
    if (rm.kind == X86_RM_REG)
        emit_short(a, 0x58 | OP_FIXED, 8, rm.base, none);
    else
        emit(a, 0x8f | OP_DIGIT | OP_FIXED, 8, 0, rm, none);
}

void x86_push_imm(struct x86_asm *a, int32_t imm)
{
    uint8_t *p = x86_room(a, MAX_LENGTH);

    if (!p)
        return;
    *p++ = is_byte(imm) ? 0x6a : 0x68;
    x86_advance(a, put(p, (uint32_t)imm, is_byte(imm) ? 1 : 4));
}

/* ---- arithmetic ---- */

/* The operations by their number, which other numbers have no place in. */
static uint32_t alu_op(struct x86_asm *a, enum x86_alu op)
{
    if ((unsigned)op > X86_CMP)
        x86_fail(a, -EINVAL);
    return (op & 7u) << 3;
}

void x86_alu(struct x86_asm *a, enum x86_alu op, unsigned size, enum x86_reg reg, struct x86_rm rm)
{
    emit(a, alu_op(a, op) | 2 | OP_SIZED, size, reg, rm, none);
}

void x86_alu_to(struct x86_asm *a, enum x86_alu op, unsigned size, struct x86_rm rm, enum x86_reg reg)
{
    emit(a, alu_op(a, op) | OP_SIZED, size, reg, rm, none);
}

/* al, ax, eax and rax have opcodes without ModRM, a byte shorter when the immediate has its full length. */
static void emit_acc(struct x86_asm *a, uint32_t op, unsigned size, int64_t imm)
{
    uint8_t *p = x86_room(a, MAX_LENGTH);

    if (!p)
        return;
    if (size == 2)
        *p++ = 0x66;
    if (size == 8)
        *p++ = 0x48;
    *p++ = (uint8_t)(op | (size > 1));
    x86_advance(a, put(p, (uint64_t)imm, imm_of(size, imm).bytes));
}

static void alu_imm(struct x86_asm *a, unsigned op, uint32_t lock, unsigned size, struct x86_rm rm, int64_t imm)
{
    if (op > X86_CMP || !is_size(size, 1) || !fit(size, &imm))
        x86_fail(a, -EINVAL);
    else if (size > 1 && is_byte(imm))
        emit(a, 0x83 | OP_DIGIT | lock, size, op, rm, imm8(imm));
    else if (rm.kind == X86_RM_REG && rm.base == X86_RAX && !lock)
        emit_acc(a, op << 3 | 4, size, imm);
    else
        emit(a, 0x80 | OP_SIZED | OP_DIGIT | lock, size, op, rm, imm_of(size, imm));
}

void x86_alu_imm(struct x86_asm *a, enum x86_alu op, unsigned size, struct x86_rm rm, int64_t imm)
{
    alu_imm(a, op, 0, size, rm, imm);
}

void x86_test(struct x86_asm *a, unsigned size, struct x86_rm rm, enum x86_reg reg)
{
    emit(a, 0x84 | OP_SIZED, size, reg, rm, none);
}

void x86_test_imm(struct x86_asm *a, unsigned size, struct x86_rm rm, int64_t imm)
{
    if (!is_size(size, 1) || !fit(size, &imm))
        x86_fail(a, -EINVAL);
    else if (rm.kind == X86_RM_REG && rm.base == X86_RAX)
        emit_acc(a, 0xa8, size, imm);
    else
        emit(a, 0xf6 | OP_SIZED | OP_DIGIT, size, 0, rm, imm_of(size, imm));
}

void x86_unary(struct x86_asm *a, enum x86_unary op, unsigned size, struct x86_rm rm)
{
    static const struct {
        uint8_t op, digit;
    } row[] = {
        [X86_NOT] = {0xf6, 2}, [X86_NEG] = {0xf6, 3},  [X86_MUL] = {0xf6, 4}, [X86_IMUL] = {0xf6, 5},
        [X86_DIV] = {0xf6, 6}, [X86_IDIV] = {0xf6, 7}, [X86_INC] = {0xfe, 0}, [X86_DEC] = {0xfe, 1},
    };

    if ((unsigned)op >= sizeof(row) / sizeof(row[0]))
        x86_fail(a, -EINVAL);
    else
        emit(a, row[op].op | OP_SIZED | OP_DIGIT, size, row[op].digit, rm, none);
}

void x86_imul(struct x86_asm *a, unsigned size, enum x86_reg reg, struct x86_rm rm)
{
    emit(a, 0xaf | OP_0F, size, reg, rm, none);
}

void x86_imul_imm(struct x86_asm *a, unsigned size, enum x86_reg reg, struct x86_rm rm, int64_t imm)
{
    if (!is_size(size, 2) || !fit(size, &imm))
        x86_fail(a, -EINVAL);
    else if (is_byte(imm))
        emit(a, 0x6b, size, reg, rm, imm8(imm));
    else
        emit(a, 0x69, size, reg, rm, imm_of(size, imm));
}

void x86_mulx(struct x86_asm *a, unsigned size, enum x86_reg hi, enum x86_reg lo, struct x86_rm rm)
{
    vex(a, 0xf6 | OP_0F38 | OP_F2, size, hi, lo, rm, none);
}

void x86_andn(struct x86_asm *a, unsigned size, enum x86_reg reg, enum x86_reg src, struct x86_rm rm)
{
    vex(a, 0xf2 | OP_0F38, size, reg, src, rm, none);
}

/* ---- shifts and bits ---- */

static bool is_shift(unsigned op)
{
    return op <= X86_SHR || op == X86_SAR;
}

void x86_shift(struct x86_asm *a, enum x86_shift op, unsigned size, struct x86_rm rm, uint8_t count)
{
    if (!is_shift(op))
        x86_fail(a, -EINVAL);
    else if (count == 1)
        emit(a, 0xd0 | OP_SIZED | OP_DIGIT, size, op, rm, none);
    else
        emit(a, 0xc0 | OP_SIZED | OP_DIGIT, size, op, rm, imm8(count));
}

void x86_shift_cl(struct x86_asm *a, enum x86_shift op, unsigned size, struct x86_rm rm)
{
    if (!is_shift(op))
        x86_fail(a, -EINVAL);
    else
        emit(a, 0xd2 | OP_SIZED | OP_DIGIT, size, op, rm, none);
}

void x86_shiftx(struct x86_asm *a, enum x86_shiftx op, unsigned size, enum x86_reg reg, struct x86_rm rm,
                enum x86_reg count)
{
    static const uint32_t row[] = {[X86_SHLX] = OP_66, [X86_SHRX] = OP_F2, [X86_SARX] = OP_F3};

    if ((unsigned)op >= sizeof(row) / sizeof(row[0]))
        x86_fail(a, -EINVAL);
    else
        vex(a, 0xf7 | OP_0F38 | row[op], size, reg, count, rm, none);
}

void x86_rorx(struct x86_asm *a, unsigned size, enum x86_reg reg, struct x86_rm rm, uint8_t count)
{
    vex(a, 0xf0 | OP_0F3A | OP_F2, size, reg, 0, rm, imm8(count));
}

void x86_shld(struct x86_asm *a, unsigned size, struct x86_rm rm, enum x86_reg reg, uint8_t count)
{
    emit(a, 0xa4 | OP_0F, size, reg, rm, imm8(count));
}

void x86_shrd(struct x86_asm *a, unsigned size, struct x86_rm rm, enum x86_reg reg, uint8_t count)
{
    emit(a, 0xac | OP_0F, size, reg, rm, imm8(count));
}

void x86_bit_imm(struct x86_asm *a, enum x86_bit op, unsigned size, struct x86_rm rm, uint8_t bit)
{
    if (op < X86_BT || op > X86_BTC)
        x86_fail(a, -EINVAL);
    else
        emit(a, 0xba | OP_0F | OP_DIGIT, size, op, rm, imm8(bit));
}

void x86_bit(struct x86_asm *a, enum x86_bit op, unsigned size, struct x86_rm rm, enum x86_reg bit)
{
    if (op < X86_BT || op > X86_BTC)
        x86_fail(a, -EINVAL);
    else
        emit(a, (0x83 | (uint32_t)op << 3) | OP_0F, size, bit, rm, none);
}

void x86_scan(struct x86_asm *a, enum x86_scan op, unsigned size, enum x86_reg reg, struct x86_rm rm)
{
    static const uint32_t row[] = {
        [X86_POPCNT] = 0xb8 | OP_F3,
        [X86_TZCNT] = 0xbc | OP_F3,
        [X86_LZCNT] = 0xbd | OP_F3,
        [X86_BSF] = 0xbc,
        [X86_BSR] = 0xbd,
    };

    if ((unsigned)op >= sizeof(row) / sizeof(row[0]))
        x86_fail(a, -EINVAL);
    else
        emit(a, row[op] | OP_0F, size, reg, rm, none);
}

/* ---- atomics ---- */

void x86_lock_alu(struct x86_asm *a, enum x86_alu op, unsigned size, struct x86_rm mem, enum x86_reg reg)
{
    if (op == X86_CMP)
        x86_fail(a, -EINVAL);
    else
        emit(a, alu_op(a, op) | OP_SIZED | OP_LOCK | OP_MEM, size, reg, mem, none);
}

void x86_lock_alu_imm(struct x86_asm *a, enum x86_alu op, unsigned size, struct x86_rm mem, int64_t imm)
{
    if (op == X86_CMP)
        x86_fail(a, -EINVAL);
    else
        alu_imm(a, op, OP_LOCK | OP_MEM, size, mem, imm);
}

void x86_lock_xadd(struct x86_asm *a, unsigned size, struct x86_rm mem, enum x86_reg reg)
{
    emit(a, 0xc0 | OP_0F | OP_SIZED | OP_LOCK | OP_MEM, size, reg, mem, none);
}

void x86_lock_cmpxchg(struct x86_asm *a, unsigned size, struct x86_rm mem, enum x86_reg reg)
{
    emit(a, 0xb0 | OP_0F | OP_SIZED | OP_LOCK | OP_MEM, size, reg, mem, none);
}

/* ---- control; jumps to labels are in layout.c ---- */

void x86_jmp_rm(struct x86_asm *a, struct x86_rm rm)
{
    emit(a, 0xff | OP_DIGIT | OP_FIXED, 8, 4, rm, none);
}

void x86_call_rm(struct x86_asm *a, struct x86_rm rm)
{
    emit(a, 0xff | OP_DIGIT | OP_FIXED, 8, 2, rm, none);
}

static void jump_to(struct x86_asm *a, uint8_t op, uint64_t target)
{
    uint8_t *p = x86_room(a, MAX_LENGTH);

    if (!p)
        return;
    *p++ = op;
    x86_patch_address(a, (size_t)(p - a->data), target);
    x86_advance(a, put(p, 0, 4));
}

void x86_jmp_to(struct x86_asm *a, uint64_t target)
{
    jump_to(a, 0xe9, target);
}

void x86_call_to(struct x86_asm *a, uint64_t target)
{
    jump_to(a, 0xe8, target);
}

void x86_plain(struct x86_asm *a, enum x86_plain op)
{
    static const char *const row[X86_PLAIN_COUNT] = {
        [X86_RET] = "\xc3",
        [X86_LEAVE] = "\xc9",
        [X86_CWD] = "\x66\x99",
        [X86_CDQ] = "\x99",
        [X86_CQO] = "\x48\x99",
        [X86_INT3] = "\xcc",
        [X86_UD2] = "\x0f\x0b",
        [X86_PAUSE] = "\xf3\x90",
        [X86_MFENCE] = "\x0f\xae\xf0",
        [X86_LFENCE] = "\x0f\xae\xe8",
        [X86_SFENCE] = "\x0f\xae\xf8",
        [X86_ENDBR64] = "\xf3\x0f\x1e\xfa",
        [X86_RDTSC] = "\x0f\x31",
    };

    if ((unsigned)op >= X86_PLAIN_COUNT)
        x86_fail(a, -EINVAL);
    else
        x86_bytes(a, row[op], strlen(row[op]));
}
