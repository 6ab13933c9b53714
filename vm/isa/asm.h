/*
 * The assembler: eBPF assembly text to instructions. It takes what clang's integrated assembler takes and what
 * llvm-objdump, the kernel's log and bpftool print, one instruction a line:
 *
 *     r0 = 7            w1 += w2          r0 s/= r1         r1 = (s8)r2       r1 = bswap32 r1    r1 = -r1
 *     r0 = *(u32 *)(r1 + 4)               *(u64 *)(r10 - 8) = r1              *(u8 *)(r1 +0) = 255
 *     lock *(u64 *)(r1 + 0) += r2         r2 = atomic_fetch_add((u64 *)(r1 + 0), r2)
 *     r2 = xchg_64(r1 + 0, r2)            r0 = cmpxchg_64(r1 + 0, r0, r2)
 *     r0 = load_acquire((u64 *)(r1 + 0))  store_release((u64 *)(r1 + 0), r2)
 *     if r1 s> 5 goto +3                  if w1 & 0x7 goto label              goto pc+1          gotol label
 *     may_goto label    call 1            call bpf_map_lookup_elem            call label         call pc+3
 *     call kfunc#12     callx r1          exit              r0 = *(u8 *)skb[14]
 *     r1 = 0x123 ll     r1 = name ll      r1 = map[name]    r1 = map[id:3][0]+4
 *     r1 = subprog[label]                 r1 = addr_space_cast(r2, 0, 1)      .insn 0x00000007000000b7
 *
 * A label is `name:`, or `1:` with references `1b` and `1f`. `;`, `#` and `//` begin a comment. `.insn` takes the eight
 * bytes as one number, the first byte lowest. An immediate of 32 bits may be written signed or unsigned.
 */
#ifndef VM_ISA_ASM_H
#define VM_ISA_ASM_H

#include "base/log.h"
#include <skep/types.h>
#include <stdbool.h>

/* What names mean. Each is asked with a name of len bytes, not NUL-terminated; NULL: no such names. */
struct asm_opts {
    void *ctx;
    /* The number of a helper; the name is without "bpf_". */
    bool (*helper)(void *ctx, const char *name, size_t len, uint32_t *id);
    /* The index of a map: the reference becomes BPF_PSEUDO_MAP_IDX or BPF_PSEUDO_MAP_IDX_VALUE. */
    bool (*map)(void *ctx, const char *name, size_t len, uint32_t *index);
};

struct asm_label {
    const char *name; /* NUL-terminated */
    uint32_t slot;    /* of the instruction that follows it; n_insns when none does */
    uint32_t line;
};

struct asm_out {
    struct skep_insn *insns;
    uint32_t *lines; /* the line, from 1, of each slot */
    uint32_t n_insns;
    struct asm_label *labels; /* in the order of the text */
    uint32_t n_labels;
};

/**
 * Assembles a text.
 *
 * @param text  len bytes; need not end in NUL or a newline.
 * @param opts  NULL: no names.
 * @return 0 and *out, which is the caller's to give to asm_free(); -EINVAL with line, column and a caret in the
 * message, -E2BIG (a text of more than 256 MiB), -ENOMEM; *out is then empty.
 */
int asm_text(const char *text, size_t len, const struct asm_opts *opts, const struct log *log, struct asm_out *out);

void asm_free(struct asm_out *out);

#endif
