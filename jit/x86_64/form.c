/*
 * One instruction: the word that says its form and the operands become prefixes, REX, opcode, ModRM, SIB, displacement
 * and immediate; x86_form() is the only place that does (x86_form_vex() for the VEX forms). Encodings follow the Intel
 * Software Developer's Manual, volume 2.
 */
#include "jit/x86_64/form.h"
#include "jit/x86_64/layout.h"

#include <errno.h>

/* Another way to say the same address, where that is shorter or the only one that has an encoding. */
static struct x86_rm shorten(struct x86_rm m)
{
    if (m.kind != X86_RM_MEM || m.index == X86_NONE || !x86_is_size(m.scale, 1))
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
    return m->base <= X86_NONE && m->index <= X86_NONE && m->index != X86_RSP && x86_is_size(m->scale, 1);
}

uint8_t *x86_put_bytes(uint8_t *p, uint64_t v, unsigned bytes)
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
        return x86_put_bytes(p, 0, 4);
    }
    /* Base rbp or r13 without a displacement, and base none with one, share an encoding: the first needs a zero disp8.
     */
    if (m->base == X86_NONE)
        mod = 0;
    else if (!m->disp && (m->base & 7) != X86_RBP)
        mod = 0;
    else
        mod = x86_is_byte(m->disp) ? 1 : 2;
    if (m->index == X86_NONE && m->base != X86_NONE && (m->base & 7) != X86_RSP) {
        *p++ = (uint8_t)(mod << 6 | field | (m->base & 7));
    } else {
        scale = m->scale == 8 ? 3 : m->scale == 4 ? 2 : m->scale == 2;
        *p++ = (uint8_t)(mod << 6 | field | 4);
        *p++ = (uint8_t)(scale << 6 | (m->index == X86_NONE ? 4u : m->index & 7u) << 3 |
                         (m->base == X86_NONE ? 5u : m->base & 7u));
    }
    if (mod == 1)
        return x86_put_bytes(p, (uint8_t)m->disp, 1);
    return mod == 2 || m->base == X86_NONE ? x86_put_bytes(p, (uint32_t)m->disp, 4) : p;
}

/* REX.X and REX.B, or their VEX counterparts. */
static unsigned high_bits(const struct x86_rm *m)
{
    return (m->index != X86_NONE && m->index > 7 ? 2u : 0) | (m->base != X86_NONE && m->base > 7 ? 1u : 0);
}

void x86_form(struct x86_asm *a, uint32_t op, unsigned size, unsigned reg, struct x86_rm m, struct x86_imm imm)
{
    static const uint8_t prefix[] = {0, 0x66, 0xf3, 0xf2};
    bool byte = (op & OP_SIZED) && size == 1;
    unsigned rex = 0;
    uint8_t *p;

    m = shorten(m);
    if (!x86_is_size(size, op & (OP_SIZED | OP_RM8) ? 1 : 2) || !is_good(op, reg, &m)) {
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
    p = x86_put_bytes(p, imm.value, imm.bytes);
    x86_advance(a, p);
}

/* The forms with three operands. Always the long prefix: the short one has no room for these maps. */
void x86_form_vex(struct x86_asm *a, uint32_t op, unsigned size, unsigned reg, unsigned second, struct x86_rm m,
                  struct x86_imm imm)
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
    p = x86_put_bytes(p, imm.value, imm.bytes);
    x86_advance(a, p);
}

/* An opcode that holds its register in the three lowest bits. */
void x86_form_short(struct x86_asm *a, uint32_t op, unsigned size, unsigned reg, struct x86_imm imm)
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
    p = x86_put_bytes(p, imm.value, imm.bytes);
    x86_advance(a, p);
}
