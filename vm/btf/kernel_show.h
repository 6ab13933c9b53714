/*
 * Values as Linux shows them through their types: what bpf_snprintf_btf() and bpf_seq_printf_btf() write, to the last
 * space, Linux's own turns included (elements of arrays of pointers are all the first one; what stands inside an array
 * of structs has no names).
 */
#ifndef VM_BTF_KERNEL_SHOW_H
#define VM_BTF_KERNEL_SHOW_H

#include "vm/btf/btf.h"

enum {
    KERNEL_SHOW_COMPACT = 1, /* BTF_F_COMPACT: in one line */
    KERNEL_SHOW_NONAME = 2,  /* BTF_F_NONAME */
    KERNEL_SHOW_PTR_RAW = 4, /* BTF_F_PTR_RAW: addresses as they are */
    KERNEL_SHOW_ZERO = 8,    /* BTF_F_ZERO: also what is zero */
    KERNEL_SHOW_ALL = 15
};

struct kernel_show_to {
    /* Copies so many bytes (32 at most) that stand at an address. @return false: they are not there. */
    bool (*read)(void *ctx, uint64_t addr, void *to, uint32_t size);
    void (*put)(void *ctx, const char *text, size_t len);
    void *ctx;
};

/**
 * Shows the value of type id at an address.
 * @return 0; -EFAULT when a part of it is not there (what is, was shown); -EINVAL for what has no size; -E2BIG when it
 * has more than a million parts, at which Linux would be busy for long.
 */
int kernel_show(const struct btf *btf, uint32_t id, uint64_t addr, unsigned flags, const struct kernel_show_to *to);

#endif
