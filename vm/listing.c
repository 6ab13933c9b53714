/*
 * From decoded slots back to bytes and text. A decoded instruction has lost nothing but the form in which it named a
 * map (by index from here on) and where a jump's distance stood; both are made again from the operation's row.
 */
#include "vm/listing.h"
#include "vm/btf/btf.h"
#include "vm/isa/disasm.h"
#include <string.h>

static int32_t distance(const struct insn *insn, uint32_t slot)
{
    return (int32_t)(insn->target - slot - 1);
}

static struct skep_insn encode_one(const struct prog *prog, uint32_t slot)
{
    const struct insn *insn = &prog->insns[slot];
    enum isa_op op = insn->op;
    int32_t off = insn->off, imm = (int32_t)insn->imm;
    switch (isa_rows[op].form) {
    case ISA_FORM_JMP_K:
    case ISA_FORM_JMP_X:
    case ISA_FORM_GOTO_OFF:
    case ISA_FORM_MAY_GOTO: off = distance(insn, slot); break;
    case ISA_FORM_GOTO_IMM: imm = distance(insn, slot); break;
    default:
        if (op == ISA_CALL_LOCAL)
            imm = distance(insn, slot);
        break;
    }
    return isa_encode(op, insn->dst, insn->src, (int16_t)off, imm);
}

static void encode_wide(const struct prog *prog, uint32_t slot, struct skep_insn out[2])
{
    const struct insn *insn = &prog->insns[slot];
    uint64_t imm = (uint64_t)insn->imm;
    enum isa_op op = insn->op;
    switch (op) {
    case ISA_LD_MAP_FD: op = ISA_LD_MAP_IDX; break;
    case ISA_LD_MAP_VALUE:
    case ISA_LD_MAP_IDX_VALUE:
        op = ISA_LD_MAP_IDX_VALUE;
        imm = imm >> 32 | imm << 32;
        break;
    case ISA_LD_FUNC: imm = (uint32_t)distance(insn, slot); break;
    default: break;
    }
    out[0] = isa_encode(op, insn->dst, insn->src, 0, (int32_t)imm);
    out[1] = (struct skep_insn){.imm = (int32_t)(imm >> 32)};
}

unsigned listing_encode(const struct prog *prog, uint32_t slot, struct skep_insn out[2])
{
    bool wide = slot + 1 < prog->n_insns && prog->insns[slot + 1].wide_tail;
    out[0] = out[1] = (struct skep_insn){0};
    if (prog->insns[slot].poisoned)
        return wide ? 2 : 1;
    if (wide)
        encode_wide(prog, slot, out);
    else
        out[0] = encode_one(prog, slot);
    return wide ? 2 : 1;
}

/* ---- Names ---- */

static const char *helper_of(void *ctx, uint32_t id)
{
    const struct prog *prog = ctx;
    const struct helper *h = helper_set_find(prog->helpers, id);
    return h ? h->name : NULL;
}

static const char *map_of(void *ctx, const struct skep_insn *insn)
{
    const struct prog *prog = ctx;
    return (uint32_t)insn->imm < prog->n_maps ? prog->maps[insn->imm]->name : NULL;
}

static const char *func_of(void *ctx, uint32_t slot)
{
    const struct prog *prog = ctx;
    const struct prog_func *f = slot < prog->n_insns ? prog_func_at(prog, slot) : NULL;
    return f && f->start == slot ? f->name : NULL;
}

static const char *kfunc_of(void *ctx, const struct skep_insn *insn)
{
    const struct prog *prog = ctx;
    return (uint32_t)insn->imm < prog->n_externs ? prog->externs[insn->imm].name : NULL;
}

unsigned listing_insn(const struct prog *prog, uint32_t slot, struct buf *out)
{
    struct disasm_opts opts = {
        .ctx = (void *)prog, .helper = helper_of, .map = map_of, .func = func_of, .kfunc = kfunc_of};
    struct skep_insn insn[2];
    unsigned n = listing_encode(prog, slot, insn);
    if (prog->insns[slot].poisoned) {
        const struct prog_poison *p = &prog->poison[prog->insns[slot].imm];
        buf_printf(out, "trap %s: %s", trap_name(p->kind), p->reason);
    } else {
        disasm_insn(insn, n, slot, &opts, out);
    }
    return n;
}

void listing_func(const struct prog *prog, const struct prog_func *func, struct buf *out)
{
    const struct btf_type *t = prog->btf && func->btf_id ? btf_type_at(prog->btf, func->btf_id) : NULL;
    if (!t || btf_kind(t) != BTF_FUNC || btf_kind(btf_type_at(prog->btf, t->type)) != BTF_FUNC_PROTO) {
        buf_puts(out, func->name);
        return;
    }
    const struct btf_type *proto = btf_type_at(prog->btf, t->type);
    const struct btf_param *params = btf_params(proto);
    btf_type_text(prog->btf, proto->type, out);
    buf_printf(out, " %s(", func->name);
    for (unsigned i = 0; i < btf_vlen(proto); i++) {
        buf_puts(out, i ? ", " : "");
        btf_type_text(prog->btf, params[i].type, out);
        const char *name = btf_str(prog->btf, params[i].name_off);
        if (*name)
            buf_printf(out, "%s%s", out->data[out->len - 1] == '*' ? "" : " ", name);
    }
    buf_puts(out, btf_vlen(proto) ? ")" : "void)");
}
