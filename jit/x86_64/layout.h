/*
 * What the two files of the assembler share: encode.c makes bytes, layout.c keeps them, places jumps and alignments
 * between them and knows where everything comes to lie.
 */
#ifndef JIT_X86_64_LAYOUT_H
#define JIT_X86_64_LAYOUT_H

#include "jit/x86_64/encode.h"

/** Notes the first error. */
void x86_fail(struct x86_asm *a, int err);
/** Room for n more bytes. @return where they go, NULL when there is none or something failed before. */
uint8_t *x86_room(struct x86_asm *a, size_t n);
/** The bytes up to `end` are code now. */
static inline void x86_advance(struct x86_asm *a, const uint8_t *end)
{
    a->len = (size_t)(end - a->data);
}
/** The 4 bytes at `at` (of a->data) become the distance from themselves to the label, plus `add`. */
void x86_patch_label(struct x86_asm *a, size_t at, uint32_t label, int64_t add);
/** The 4 bytes at `at` become the distance from the byte after them to an address. */
void x86_patch_address(struct x86_asm *a, size_t at, uint64_t target);

#endif
