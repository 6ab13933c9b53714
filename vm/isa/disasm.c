/*
 * One function a form, and a judge, writable(), that says whether the text of an instruction would hold all its bytes.
 */
#include "vm/isa/disasm.h"
#include "vm/isa/isa.h"

/* Does every bit of the instruction show in its text? */
static bool writable(const struct skep_insn *insn, size_t left, enum isa_op op)
{
    const struct skep_insn *tail = insn + 1;

    if (!isa_fields_ok(insn, op))
        return false;
    if (!isa_is_wide(op))
        return true;
    if (left < 2 || tail->code || tail->dst_reg || tail->src_reg || tail->off)
        return false;
    return op == ISA_LD_IMM64 || op == ISA_LD_BTF_ID || op == ISA_LD_MAP_VALUE || op == ISA_LD_MAP_IDX_VALUE ||
           tail->imm == 0;
}

static void raw(const struct skep_insn *insn, struct buf *out)
{
    uint64_t bytes = insn->code | (uint64_t)insn->dst_reg << 8 | (uint64_t)insn->src_reg << 12 |
                     (uint64_t)(uint16_t)insn->off << 16 | (uint64_t)(uint32_t)insn->imm << 32;

    buf_printf(out, ".insn 0x%016llx", (unsigned long long)bytes);
}

/* The letter of the registers that an ALU operation or a jump works on. */
static char letter(enum isa_op op)
{
    return isa_rows[op].width == 32 ? 'w' : 'r';
}

static void fetch(const struct skep_insn *insn, enum isa_op op, struct buf *out)
{
    const struct isa_row *row = &isa_rows[op];
    const char *wide = row->width == 64 ? "64" : "";
    bool compares = op == ISA_ATOMIC_CMPXCHG64 || op == ISA_ATOMIC_CMPXCHG32;
    bool plain = compares || op == ISA_ATOMIC_XCHG64 || op == ISA_ATOMIC_XCHG32;

    /* The kernel writes the width of these into the name as well: atomic64_xchg, atomic64_fetch_add. */
    buf_printf(out, "r%u = atomic%s_%s((u%u *)(r%u %+d), %sr%u)", compares ? 0 : insn->src_reg, wide,
               plain ? row->text : row->text + sizeof("atomic_") - 1, row->width, insn->dst_reg, insn->off,
               compares ? "r0, " : "", insn->src_reg);
}

static void atomic(const struct skep_insn *insn, enum isa_op op, struct buf *out)
{
    const struct isa_row *row = &isa_rows[op];

    if (op >= ISA_ATOMIC_FETCH_ADD64)
        fetch(insn, op, out);
    else
        buf_printf(out, "lock *(u%u *)(r%u %+d) %s r%u", row->width, insn->dst_reg, insn->off, row->text,
                   insn->src_reg);
}

static void call(const struct skep_insn *insn, uint32_t slot, enum isa_op op, const struct disasm_opts *opts,
                 struct buf *out)
{
    const char *name = NULL;

    if (op == ISA_CALL_HELPER) {
        name = opts && opts->helper ? opts->helper(opts->ctx, (uint32_t)insn->imm) : NULL;
        buf_printf(out, name ? "call bpf_%s#%u" : "call %s%u", name ? name : "", (uint32_t)insn->imm);
    } else if (op == ISA_CALL_LOCAL) {
        name = opts && opts->func ? opts->func(opts->ctx, slot + 1 + (uint32_t)insn->imm) : NULL;
        buf_printf(out, name ? "call pc%+d#%s" : "call pc%+d", insn->imm, name);
    } else {
        name = opts && opts->kfunc ? opts->kfunc(opts->ctx, insn) : NULL;
        buf_printf(out, "call kfunc#%u", (uint32_t)insn->imm);
        if (insn->off)
            buf_printf(out, "[btf:%d]", insn->off);
        if (name)
            buf_printf(out, " ; %s", name);
    }
}

static void map_ref(const struct skep_insn *insn, enum isa_op op, const struct disasm_opts *opts, struct buf *out)
{
    bool by_index = op == ISA_LD_MAP_IDX || op == ISA_LD_MAP_IDX_VALUE;
    const char *name = opts && opts->map ? opts->map(opts->ctx, insn) : NULL;

    if (name)
        buf_printf(out, "r%u = map[%s]", insn->dst_reg, name);
    else
        buf_printf(out, "r%u = map[%s:%u]", insn->dst_reg, by_index ? "idx" : "id", (uint32_t)insn->imm);
    if (op == ISA_LD_MAP_VALUE || op == ISA_LD_MAP_IDX_VALUE)
        buf_printf(out, "[0]+%u", (uint32_t)insn[1].imm);
}

static void wide(const struct skep_insn *insn, uint32_t slot, enum isa_op op, const struct disasm_opts *opts,
                 struct buf *out)
{
    uint64_t imm = (uint32_t)insn->imm | (uint64_t)(uint32_t)insn[1].imm << 32;
    const char *name;

    switch (op) {
    case ISA_LD_IMM64: buf_printf(out, "r%u = 0x%llx ll", insn->dst_reg, (unsigned long long)imm); break;
    case ISA_LD_BTF_ID:
        buf_printf(out, "r%u = btf[id:%u]", insn->dst_reg, (uint32_t)insn->imm);
        if (insn[1].imm)
            buf_printf(out, "[btf:%u]", (uint32_t)insn[1].imm);
        break;
    case ISA_LD_FUNC:
        name = opts && opts->func ? opts->func(opts->ctx, slot + 1 + (uint32_t)insn->imm) : NULL;
        buf_printf(out, name ? "r%u = subprog[%+d] ; %s" : "r%u = subprog[%+d]", insn->dst_reg, insn->imm, name);
        break;
    default: map_ref(insn, op, opts, out); break;
    }
}

/* Forms that need nothing but the row and the fields. */
static void simple(const struct skep_insn *insn, enum isa_op op, struct buf *out)
{
    const struct isa_row *row = &isa_rows[op];
    unsigned dst = insn->dst_reg, src = insn->src_reg;
    char r = letter(op);

    switch (row->form) {
    case ISA_FORM_ALU_K: buf_printf(out, "%c%u %s %d", r, dst, row->text, insn->imm); break;
    case ISA_FORM_ALU_X: buf_printf(out, "%c%u %s %c%u", r, dst, row->text, r, src); break;
    case ISA_FORM_MOVSX: buf_printf(out, "%c%u = (%s)%c%u", r, dst, row->text, r, src); break;
    case ISA_FORM_NEG: buf_printf(out, "%c%u = -%c%u", r, dst, r, dst); break;
    case ISA_FORM_END: buf_printf(out, "r%u = %s r%u", dst, row->text, dst); break;
    case ISA_FORM_JMP_K:
        buf_printf(out, "if %c%u %s 0x%x goto pc%+d", r, dst, row->text, (uint32_t)insn->imm, insn->off);
        break;
    case ISA_FORM_JMP_X: buf_printf(out, "if %c%u %s %c%u goto pc%+d", r, dst, row->text, r, src, insn->off); break;
    case ISA_FORM_LDX: buf_printf(out, "r%u = *(%s *)(r%u %+d)", dst, row->text, src, insn->off); break;
    case ISA_FORM_ST: buf_printf(out, "*(%s *)(r%u %+d) = %d", row->text, dst, insn->off, insn->imm); break;
    case ISA_FORM_STX: buf_printf(out, "*(%s *)(r%u %+d) = r%u", row->text, dst, insn->off, src); break;
    case ISA_FORM_LOAD_ACQ:
        buf_printf(out, "r%u = load_acquire((%s *)(r%u %+d))", dst, row->text, src, insn->off);
        break;
    case ISA_FORM_STORE_REL:
        buf_printf(out, "store_release((%s *)(r%u %+d), r%u)", row->text, dst, insn->off, src);
        break;
    case ISA_FORM_LD_ABS: buf_printf(out, "r0 = *(%s *)skb[%d]", row->text, insn->imm); break;
    case ISA_FORM_LD_IND: buf_printf(out, "r0 = *(%s *)skb[r%u + %d]", row->text, src, insn->imm); break;
    case ISA_FORM_GOTO_OFF: buf_printf(out, "goto pc%+d", insn->off); break;
    case ISA_FORM_GOTO_IMM: buf_printf(out, "gotol pc%+d", insn->imm); break;
    case ISA_FORM_MAY_GOTO: buf_printf(out, "may_goto pc%+d", insn->off); break;
    case ISA_FORM_CALL_REG: buf_printf(out, "callx r%u", dst); break;
    case ISA_FORM_CAST:
        buf_printf(out, "r%u = addr_space_cast(r%u, %u, %u)", dst, src, (uint32_t)insn->imm >> 16, insn->imm & 0xffff);
        break;
    default: buf_puts(out, "exit"); break;
    }
}

unsigned disasm_insn(const struct skep_insn *insn, size_t left, uint32_t slot, const struct disasm_opts *opts,
                     struct buf *out)
{
    enum isa_op op = isa_decode(insn);

    if (!writable(insn, left, op)) {
        raw(insn, out);
        return 1;
    }
    switch (isa_rows[op].form) {
    case ISA_FORM_ATOMIC: atomic(insn, op, out); return 1;
    case ISA_FORM_CALL: call(insn, slot, op, opts, out); return 1;
    case ISA_FORM_LDIMM: wide(insn, slot, op, opts, out); return 2;
    default: simple(insn, op, out); return 1;
    }
}

void disasm_text(const struct skep_insn *insns, size_t n, const struct disasm_opts *opts, struct buf *out)
{
    for (size_t i = 0; i < n && !out->failed;) {
        i += disasm_insn(insns + i, n - i, (uint32_t)i, opts, out);
        buf_putc(out, '\n');
    }
}
