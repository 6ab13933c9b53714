/*
 * Which registers may still be read after each operation of level-0 code: a bit a register. Only what surely is not
 * read is called dead, also in programs that no verifier saw: a callee may read any register of its caller, a caller
 * the scratch registers of its callee, and what follows a helper call those that Linux would call clobbered.
 */
#include "vm/lower.h"
#include <stdlib.h>

enum { ALL = 0x7ff, SCRATCH = 0x3f, MAX_PASSES = 64 };

struct use {
    uint16_t reads, writes;
    bool jumps, falls;
};

static uint16_t bit(unsigned reg)
{
    return (uint16_t)(1u << reg);
}

static struct use use_of_form(const struct op *op)
{
    uint16_t d = bit(op->dst), s = bit(op->src);

    switch (isa_rows[op->kind].form) {
    case ISA_FORM_ALU_K:
        return (struct use){op->kind == ISA_MOV64_K || op->kind == ISA_MOV32_K ? 0 : d, d, false, true};
    case ISA_FORM_ALU_X:
        return (struct use){op->kind == ISA_MOV64_X || op->kind == ISA_MOV32_X ? s : d | s, d, false, true};
    case ISA_FORM_MOVSX:
    case ISA_FORM_LDX:
    case ISA_FORM_LOAD_ACQ: return (struct use){s, d, false, true};
    case ISA_FORM_NEG:
    case ISA_FORM_END: return (struct use){d, d, false, true};
    case ISA_FORM_JMP_K: return (struct use){d, 0, true, true};
    case ISA_FORM_JMP_X: return (struct use){d | s, 0, true, true};
    case ISA_FORM_ST: return (struct use){d, 0, false, true};
    case ISA_FORM_STX:
    case ISA_FORM_STORE_REL: return (struct use){d | s, 0, false, true};
    case ISA_FORM_ATOMIC: return (struct use){d | s | bit(0), 0, false, true};
    case ISA_FORM_GOTO_OFF:
    case ISA_FORM_GOTO_IMM: return (struct use){0, 0, true, false};
    case ISA_FORM_MAY_GOTO: return (struct use){0, 0, true, true};
    default: return (struct use){ALL, 0, false, true}; /* calls, packet loads */
    }
}

static struct use use_of(const struct op *op, uint16_t at_exit)
{
    switch (op->kind) {
    case ISA_EXIT: return (struct use){at_exit, 0, false, false};
    case OP_TRAP: return (struct use){0, 0, false, false};
    case OP_CONST_WIDE: return (struct use){0, bit(op->dst), false, true};
#define OP_PROBE(row, type) case OP_PROBE_##row:
#include "vm/ops.def"
    case OP_LDX_W_CTX: return (struct use){bit(op->src), bit(op->dst), false, true};
    case OP_CTX_DATA:
    case OP_CTX_DATA_END:
    case OP_CTX_DATA_META: return (struct use){0, bit(op->dst), false, true};
    case OP_ARENA_LOAD:
    case OP_ARENA_USER: return (struct use){bit(op->src), bit(op->dst), false, true};
    case OP_ARENA_STORE:
    case OP_ARENA_FETCH:
    case OP_ARENA_CMPXCHG: return (struct use){bit(op->dst) | bit(op->src) | bit(0), 0, false, true};
    case OP_CPU: return (struct use){0, bit(0), false, true};
    case OP_ARRAY_AT:
    case OP_PERCPU_ARRAY_AT: return (struct use){bit(op->src), bit(0), false, true};
    case OP_CALL_BODY: return (struct use){SCRATCH & ~1, bit(0), false, true};
    default: return op->kind < ISA_OP_COUNT ? use_of_form(op) : (struct use){ALL, 0, false, true};
    }
}

/* The entry's exit ends the run with r0 alone, unless the program calls its own entry. */
static bool calls_entry(const struct code *code)
{
    for (uint32_t i = 0; i < code->n_ops; i++)
        if (code->ops[i].kind == ISA_CALL_LOCAL && code->ops[i].target == 0)
            return true;
    return false;
}

uint16_t *code_live(const struct code *code)
{
    uint32_t n = code->n_ops, entry_end = code->n_funcs > 1 ? code->funcs[1].op : n;
    uint16_t *in = calloc((size_t)n + 2, sizeof(*in)), *out;
    uint16_t at_entry_exit = calls_entry(code) || code->n_funcs > 1 ? SCRATCH : 1;
    bool changed = true;

    if (!in)
        return NULL;
    for (unsigned pass = 0; changed && pass < MAX_PASSES; pass++) {
        changed = false;
        for (uint32_t i = n; i-- > 0;) {
            const struct op *op = &code->ops[i];
            struct use u = use_of(op, i < entry_end ? at_entry_exit : SCRATCH);
            uint16_t after = 0;
            if (u.falls)
                after |= in[i + (op->kind == OP_CONST_WIDE ? 2 : 1)];
            if (u.jumps)
                after |= in[op->target];
            after = (uint16_t)((after & ~u.writes) | u.reads);
            if (after != in[i]) {
                in[i] = after;
                changed = true;
            }
        }
    }
    out = calloc(n, sizeof(*out));
    for (uint32_t i = 0; out && i < n; i++) {
        struct use u = use_of(&code->ops[i], SCRATCH);
        out[i] = changed ? ALL : (uint16_t)((u.falls ? in[i + 1] : 0) | (u.jumps ? in[code->ops[i].target] : 0));
    }
    free(in);
    return out;
}
