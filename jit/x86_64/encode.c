/*
 * The instructions, a function each: what they ask of their operands, and the shortest form that they have (form.h).
 */
#include "jit/x86_64/form.h"
#include "jit/x86_64/layout.h"

#include <errno.h>
#include <string.h>

static const struct x86_imm none;

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

static struct x86_imm imm_of(unsigned size, int64_t v)
{
    return (struct x86_imm){(uint64_t)v, size < 4 ? size : 4};
}

static struct x86_imm imm8(int64_t v)
{
    return (struct x86_imm){(uint64_t)v, 1};
}

/* ---- moves ---- */

void x86_mov(struct x86_asm *a, unsigned size, enum x86_reg reg, struct x86_rm rm)
{
    x86_form(a, 0x8a | OP_SIZED, size, reg, rm, none);
}

void x86_mov_to(struct x86_asm *a, unsigned size, struct x86_rm rm, enum x86_reg reg)
{
    x86_form(a, 0x88 | OP_SIZED, size, reg, rm, none);
}

static void mov_reg_imm(struct x86_asm *a, unsigned size, enum x86_reg reg, int64_t imm)
{
    int64_t v = imm;

    if (size == 8 && imm >= 0 && imm <= UINT32_MAX)
        size = 4; /* which zeroes the rest */
    if (size == 8 && imm == (int32_t)imm)
        x86_form(a, 0xc7 | OP_DIGIT, 8, 0, x86_r(reg), imm_of(8, imm));
    else if (size == 8)
        x86_movabs(a, reg, (uint64_t)imm);
    else if (!x86_is_size(size, 1) || !fit(size, &v))
        x86_fail(a, -EINVAL);
    else
        x86_form_short(a, size == 1 ? 0xb0 : 0xb8, size, reg, imm_of(size, v));
}

void x86_mov_imm(struct x86_asm *a, unsigned size, struct x86_rm rm, int64_t imm)
{
    if (rm.kind == X86_RM_REG)
        mov_reg_imm(a, size, rm.base, imm);
    else if (!fit(size, &imm))
        x86_fail(a, -EINVAL);
    else
        x86_form(a, 0xc6 | OP_SIZED | OP_DIGIT, size, 0, rm, imm_of(size, imm));
}

void x86_movabs(struct x86_asm *a, enum x86_reg reg, uint64_t imm)
{
    x86_form_short(a, 0xb8, 8, reg, (struct x86_imm){imm, 8});
}

void x86_movzx(struct x86_asm *a, unsigned from, enum x86_reg reg, struct x86_rm rm)
{
    if (from == 1)
        x86_form(a, 0xb6 | OP_0F | OP_RM8, 4, reg, rm, none);
    else if (from == 2)
        x86_form(a, 0xb7 | OP_0F, 4, reg, rm, none);
    else
        x86_mov(a, from, reg, rm);
}

void x86_movsx(struct x86_asm *a, unsigned to, unsigned from, enum x86_reg reg, struct x86_rm rm)
{
    if (from > to)
        x86_fail(a, -EINVAL);
    else if (from == to)
        x86_form(a, 0x8b, to, reg, rm, none);
    else if (from == 1)
        x86_form(a, 0xbe | OP_0F | OP_RM8, to, reg, rm, none);
    else if (from == 2)
        x86_form(a, 0xbf | OP_0F, to, reg, rm, none);
    else if (from == 4)
        x86_form(a, 0x63, to, reg, rm, none);
    else
        x86_fail(a, -EINVAL);
}

void x86_movbe(struct x86_asm *a, unsigned size, enum x86_reg reg, struct x86_rm mem)
{
    x86_form(a, 0xf0 | OP_0F38 | OP_MEM, size, reg, mem, none);
}

void x86_movbe_to(struct x86_asm *a, unsigned size, struct x86_rm mem, enum x86_reg reg)
{
    x86_form(a, 0xf1 | OP_0F38 | OP_MEM, size, reg, mem, none);
}

void x86_bswap(struct x86_asm *a, unsigned size, enum x86_reg reg)
{
    if (size != 4 && size != 8)
        x86_fail(a, -EINVAL);
    else
        x86_form_short(a, 0xc8 | OP_0F, size, reg, none);
}

void x86_lea(struct x86_asm *a, unsigned size, enum x86_reg reg, struct x86_rm mem)
{
    x86_form(a, 0x8d | OP_MEM, size, reg, mem, none);
}

void x86_xchg(struct x86_asm *a, unsigned size, struct x86_rm rm, enum x86_reg reg)
{
    x86_form(a, 0x86 | OP_SIZED, size, reg, rm, none);
}

void x86_cmov(struct x86_asm *a, enum x86_cc cc, unsigned size, enum x86_reg reg, struct x86_rm rm)
{
    x86_form(a, (0x40 | (cc & 15u)) | OP_0F, size, reg, rm, none);
}

void x86_set(struct x86_asm *a, enum x86_cc cc, struct x86_rm rm)
{
    x86_form(a, (0x90 | (cc & 15u)) | OP_0F | OP_RM8 | OP_DIGIT, 1, 0, rm, none);
}

void x86_push(struct x86_asm *a, struct x86_rm rm)
{
    if (rm.kind == X86_RM_REG)
        x86_form_short(a, 0x50 | OP_FIXED, 8, rm.base, none);
    else
        x86_form(a, 0xff | OP_DIGIT | OP_FIXED, 8, 6, rm, none);
}

void x86_pop(struct x86_asm *a, struct x86_rm rm)
{
    if (rm.kind == X86_RM_REG)
        x86_form_short(a, 0x58 | OP_FIXED, 8, rm.base, none);
    else
        x86_form(a, 0x8f | OP_DIGIT | OP_FIXED, 8, 0, rm, none);
}

void x86_push_imm(struct x86_asm *a, int32_t imm)
{
    uint8_t *p = x86_room(a, MAX_LENGTH);

    if (!p)
        return;
    *p++ = x86_is_byte(imm) ? 0x6a : 0x68;
    x86_advance(a, x86_put_bytes(p, (uint32_t)imm, x86_is_byte(imm) ? 1 : 4));
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
    x86_form(a, alu_op(a, op) | 2 | OP_SIZED, size, reg, rm, none);
}

void x86_alu_to(struct x86_asm *a, enum x86_alu op, unsigned size, struct x86_rm rm, enum x86_reg reg)
{
    x86_form(a, alu_op(a, op) | OP_SIZED, size, reg, rm, none);
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
    x86_advance(a, x86_put_bytes(p, (uint64_t)imm, imm_of(size, imm).bytes));
}

static void alu_imm(struct x86_asm *a, unsigned op, uint32_t lock, unsigned size, struct x86_rm rm, int64_t imm)
{
    if (op > X86_CMP || !x86_is_size(size, 1) || !fit(size, &imm))
        x86_fail(a, -EINVAL);
    else if (size > 1 && x86_is_byte(imm))
        x86_form(a, 0x83 | OP_DIGIT | lock, size, op, rm, imm8(imm));
    else if (rm.kind == X86_RM_REG && rm.base == X86_RAX && !lock)
        emit_acc(a, op << 3 | 4, size, imm);
    else
        x86_form(a, 0x80 | OP_SIZED | OP_DIGIT | lock, size, op, rm, imm_of(size, imm));
}

void x86_alu_imm(struct x86_asm *a, enum x86_alu op, unsigned size, struct x86_rm rm, int64_t imm)
{
    alu_imm(a, op, 0, size, rm, imm);
}

void x86_test(struct x86_asm *a, unsigned size, struct x86_rm rm, enum x86_reg reg)
{
    x86_form(a, 0x84 | OP_SIZED, size, reg, rm, none);
}

void x86_test_imm(struct x86_asm *a, unsigned size, struct x86_rm rm, int64_t imm)
{
    if (!x86_is_size(size, 1) || !fit(size, &imm))
        x86_fail(a, -EINVAL);
    else if (rm.kind == X86_RM_REG && rm.base == X86_RAX)
        emit_acc(a, 0xa8, size, imm);
    else
        x86_form(a, 0xf6 | OP_SIZED | OP_DIGIT, size, 0, rm, imm_of(size, imm));
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
        x86_form(a, row[op].op | OP_SIZED | OP_DIGIT, size, row[op].digit, rm, none);
}

void x86_imul(struct x86_asm *a, unsigned size, enum x86_reg reg, struct x86_rm rm)
{
    x86_form(a, 0xaf | OP_0F, size, reg, rm, none);
}

void x86_imul_imm(struct x86_asm *a, unsigned size, enum x86_reg reg, struct x86_rm rm, int64_t imm)
{
    if (!x86_is_size(size, 2) || !fit(size, &imm))
        x86_fail(a, -EINVAL);
    else if (x86_is_byte(imm))
        x86_form(a, 0x6b, size, reg, rm, imm8(imm));
    else
        x86_form(a, 0x69, size, reg, rm, imm_of(size, imm));
}

void x86_mulx(struct x86_asm *a, unsigned size, enum x86_reg hi, enum x86_reg lo, struct x86_rm rm)
{
    x86_form_vex(a, 0xf6 | OP_0F38 | OP_F2, size, hi, lo, rm, none);
}

void x86_andn(struct x86_asm *a, unsigned size, enum x86_reg reg, enum x86_reg src, struct x86_rm rm)
{
    x86_form_vex(a, 0xf2 | OP_0F38, size, reg, src, rm, none);
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
        x86_form(a, 0xd0 | OP_SIZED | OP_DIGIT, size, op, rm, none);
    else
        x86_form(a, 0xc0 | OP_SIZED | OP_DIGIT, size, op, rm, imm8(count));
}

void x86_shift_cl(struct x86_asm *a, enum x86_shift op, unsigned size, struct x86_rm rm)
{
    if (!is_shift(op))
        x86_fail(a, -EINVAL);
    else
        x86_form(a, 0xd2 | OP_SIZED | OP_DIGIT, size, op, rm, none);
}

void x86_shiftx(struct x86_asm *a, enum x86_shiftx op, unsigned size, enum x86_reg reg, struct x86_rm rm,
                enum x86_reg count)
{
    static const uint32_t row[] = {[X86_SHLX] = OP_66, [X86_SHRX] = OP_F2, [X86_SARX] = OP_F3};

    if ((unsigned)op >= sizeof(row) / sizeof(row[0]))
        x86_fail(a, -EINVAL);
    else
        x86_form_vex(a, 0xf7 | OP_0F38 | row[op], size, reg, count, rm, none);
}

void x86_rorx(struct x86_asm *a, unsigned size, enum x86_reg reg, struct x86_rm rm, uint8_t count)
{
    x86_form_vex(a, 0xf0 | OP_0F3A | OP_F2, size, reg, 0, rm, imm8(count));
}

void x86_shld(struct x86_asm *a, unsigned size, struct x86_rm rm, enum x86_reg reg, uint8_t count)
{
    x86_form(a, 0xa4 | OP_0F, size, reg, rm, imm8(count));
}

void x86_shrd(struct x86_asm *a, unsigned size, struct x86_rm rm, enum x86_reg reg, uint8_t count)
{
    x86_form(a, 0xac | OP_0F, size, reg, rm, imm8(count));
}

void x86_bit_imm(struct x86_asm *a, enum x86_bit op, unsigned size, struct x86_rm rm, uint8_t bit)
{
    if (op < X86_BT || op > X86_BTC)
        x86_fail(a, -EINVAL);
    else
        x86_form(a, 0xba | OP_0F | OP_DIGIT, size, op, rm, imm8(bit));
}

void x86_bit(struct x86_asm *a, enum x86_bit op, unsigned size, struct x86_rm rm, enum x86_reg bit)
{
    if (op < X86_BT || op > X86_BTC)
        x86_fail(a, -EINVAL);
    else
        x86_form(a, (0x83 | (uint32_t)op << 3) | OP_0F, size, bit, rm, none);
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
        x86_form(a, row[op] | OP_0F, size, reg, rm, none);
}

/* ---- atomics ---- */

void x86_lock_alu(struct x86_asm *a, enum x86_alu op, unsigned size, struct x86_rm mem, enum x86_reg reg)
{
    if (op == X86_CMP)
        x86_fail(a, -EINVAL);
    else
        x86_form(a, alu_op(a, op) | OP_SIZED | OP_LOCK | OP_MEM, size, reg, mem, none);
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
    x86_form(a, 0xc0 | OP_0F | OP_SIZED | OP_LOCK | OP_MEM, size, reg, mem, none);
}

void x86_lock_cmpxchg(struct x86_asm *a, unsigned size, struct x86_rm mem, enum x86_reg reg)
{
    x86_form(a, 0xb0 | OP_0F | OP_SIZED | OP_LOCK | OP_MEM, size, reg, mem, none);
}

/* ---- control; jumps to labels are in layout.c ---- */

void x86_jmp_rm(struct x86_asm *a, struct x86_rm rm)
{
    x86_form(a, 0xff | OP_DIGIT | OP_FIXED, 8, 4, rm, none);
}

void x86_call_rm(struct x86_asm *a, struct x86_rm rm)
{
    x86_form(a, 0xff | OP_DIGIT | OP_FIXED, 8, 2, rm, none);
}

static void jump_to(struct x86_asm *a, uint8_t op, uint64_t target)
{
    uint8_t *p = x86_room(a, MAX_LENGTH);

    if (!p)
        return;
    *p++ = op;
    x86_patch_address(a, (size_t)(p - a->data), target);
    x86_advance(a, x86_put_bytes(p, 0, 4));
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
