/* The running kernel's types, for tests that compare tables with them. kernel_btf is NULL where there are none. */
#ifndef TESTS_UNIT_KERNEL_BTF_H
#define TESTS_UNIT_KERNEL_BTF_H

#include "base/buf.h"
#include "vm/btf/btf.h"
#include <stdio.h>

static struct btf *kernel_btf;

static int load_btf(void **state)
{
    struct buf b = {0};
    char chunk[65536];
    size_t n;
    FILE *f = fopen("/sys/kernel/btf/vmlinux", "rb");

    (void)state;
    if (!f)
        return 0;
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        buf_add(&b, chunk, n);
    fclose(f);
    if (!b.failed && b.len && btf_parse(b.data, b.len, NULL, false, NULL, &kernel_btf))
        kernel_btf = NULL;
    buf_free(&b);
    return 0;
}

static int drop_btf(void **state)
{
    (void)state;
    if (kernel_btf)
        btf_free(kernel_btf);
    return 0;
}

#endif
