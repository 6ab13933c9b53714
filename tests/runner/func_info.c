/*
 * Three types: 1 int, 2 a function's prototype int (void), and from 3 on a static function each.
 */
#include "tests/runner/func_info.h"
#include "vm/isa/isa.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAX_FUNCS = 256, TAIL_CALL = 12 };

static int by_number(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* Where functions begin, in order, each once; 0 when nobody asks. */
static uint32_t find_starts(const struct skep_insn *insns, uint32_t n, uint32_t *starts)
{
    uint32_t count = 1, kept = 1;
    bool asked = false;

    starts[0] = 0;
    for (uint32_t i = 0; i < n; i++) {
        enum isa_op op = isa_decode(&insns[i]);

        if ((op == ISA_CALL_LOCAL || op == ISA_LD_FUNC) && count < MAX_FUNCS)
            starts[count++] = i + 1 + (uint32_t)insns[i].imm;
        asked |= op == ISA_LD_FUNC || (op == ISA_CALL_HELPER && insns[i].imm == TAIL_CALL);
        i += isa_is_wide(op);
    }
    qsort(starts, count, sizeof(*starts), by_number);
    for (uint32_t i = 1; i < count; i++)
        if (starts[i] != starts[kept - 1])
            starts[kept++] = starts[i];
    return asked ? kept : 0;
}

int func_info_load(const struct skep_insn *insns, uint32_t n, struct func_info *out)
{
    static const char strings[] = "\0int\0f";
    const uint32_t types[] = {1, BTF_KIND_INT << 24, 4, 32 | BTF_INT_SIGNED << 24, 0, BTF_KIND_FUNC_PROTO << 24, 1};
    uint32_t starts[MAX_FUNCS];
    struct btf_header h = {.magic = BTF_MAGIC, .version = 1, .hdr_len = sizeof(h), .str_len = sizeof(strings)};
    struct buf all = {0};
    union bpf_attr attr;
    long fd;

    *out = (struct func_info){.btf = -1, .n = find_starts(insns, n, starts)};
    if (!out->n)
        return 0;
    h.type_len = h.str_off = (uint32_t)(sizeof(types) + out->n * 3 * sizeof(uint32_t));
    buf_add(&all, &h, sizeof(h));
    buf_add(&all, types, sizeof(types));
    for (uint32_t i = 0; i < out->n; i++) {
        const uint32_t func[] = {5, BTF_KIND_FUNC << 24 | BTF_FUNC_STATIC, 2};
        const struct bpf_func_info record = {.insn_off = starts[i], .type_id = 3 + i};

        buf_add(&all, func, sizeof(func));
        buf_add(&out->records, &record, sizeof(record));
    }
    buf_add(&all, strings, sizeof(strings));
    memset(&attr, 0, sizeof(attr));
    attr.btf = (uintptr_t)all.data;
    attr.btf_size = (uint32_t)all.len;
    fd = all.failed || out->records.failed ? -1 : syscall(SYS_bpf, BPF_BTF_LOAD, &attr, sizeof(attr));
    buf_free(&all);
    if (fd < 0) {
        buf_free(&out->records);
        return -errno;
    }
    out->btf = (int)fd;
    return 0;
}
