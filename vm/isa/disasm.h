/*
 * The disassembler: instructions to the text that the kernel's log and bpftool write (`r0 = *(u32 *)(r1 +4)`,
 * `if r1 s> 0x5 goto pc+3`), with `ll` after wide immediates. Bytes that the text would not give back exactly, which
 * are unknown operations, reserved fields that are not zero and halves of wide loads, become `.insn`: whatever the
 * bytes, assembling the text gives them again (names need the assembler to know them too).
 */
#ifndef VM_ISA_DISASM_H
#define VM_ISA_DISASM_H

#include "base/buf.h"
#include <skep/types.h>

/* Names. Each may be NULL, and may return NULL for what has no name. */
struct disasm_opts {
    void *ctx;
    const char *(*helper)(void *ctx, uint32_t id); /* without "bpf_" */
    /* insn[0] and insn[1] refer to a map (src_reg says how); its name. */
    const char *(*map)(void *ctx, const struct skep_insn *insn);
    const char *(*func)(void *ctx, uint32_t slot); /* the function that begins at slot */
    const char *(*kfunc)(void *ctx, const struct skep_insn *insn);
};

/**
 * Adds the text of the instruction at insn, without a newline.
 *
 * @param left  slots from insn to the end of the program, at least 1.
 * @param slot  where insn stands in the program; only names of functions depend on it.
 * @return slots it took: 2 for a wide load, else 1.
 */
unsigned disasm_insn(const struct skep_insn *insn, size_t left, uint32_t slot, const struct disasm_opts *opts,
                     struct buf *out);

/** Adds the text of n slots, one instruction a line. */
void disasm_text(const struct skep_insn *insns, size_t n, const struct disasm_opts *opts, struct buf *out);

#endif
