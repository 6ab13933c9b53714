/*
 * .BTF.ext with CO-RE: local types, their .BTF.ext and the target's types, one after the other, each with its length in
 * four bytes before it (target's: what is left; nothing left: the local ones). Every relocation is applied to code of
 * every kind of instruction that can carry one.
 */
#include "fuzz/feed/feed.h"
#include "loader/btf_ext.h"

#include <string.h>

enum { CODE = 12, MOST_RELOS = 200 };

static const struct skep_insn carriers[CODE] = {
    {.code = 0xb7, .dst_reg = 1, .imm = 4},
    {.code = 0x61, .dst_reg = 1, .src_reg = 2, .off = 4},
    {.code = 0x18, .dst_reg = 3, .imm = 4},
    {0},
    {.code = 0x63, .dst_reg = 1, .src_reg = 2},
    {.code = 0x62, .dst_reg = 1, .imm = 1},
    {.code = 0x79, .dst_reg = 1, .src_reg = 2, .off = 8},
    {.code = 0x07, .dst_reg = 1, .imm = 8},
    {.code = 0x69, .dst_reg = 1, .src_reg = 2, .off = 2},
    {.code = 0x85, .imm = 1},
    {.code = 0x71, .dst_reg = 1, .src_reg = 2},
    {.code = 0x95},
};

/* A block of its own, so that a sanitizer sees the first byte past it. */
static struct btf *take_btf(const uint8_t **data, size_t *size, size_t n, const struct log *log)
{
    struct btf *btf = NULL;

    n = n < *size ? n : *size;
    if (btf_parse(*data, n, NULL, false, log, &btf))
        btf = NULL;
    *data += n;
    *size -= n;
    return btf;
}

static void relocate(struct arena *arena, const struct btf_ext *ext, const struct btf *local, const struct btf *target,
                     const struct log *log)
{
    struct core_ctx *core = core_new(arena, local, target);
    unsigned left = MOST_RELOS;

    for (uint32_t s = 0; core && s < ext->n_sections; s++)
        for (uint32_t r = 0; r < ext->sections[s].n_relos && left; r++, left--)
            for (uint32_t at = 0; at < CODE; at++) {
                struct skep_insn insns[CODE];
                struct core_result res = {0};

                memcpy(insns, carriers, sizeof(insns));
                if (!core_relocate(core, &ext->sections[s].relos[r], insns, CODE, at, log, &res) &&
                    (!res.spec || (!res.resolved && !res.reason)))
                    feed_wrong("a relocation says nothing of what became of it");
            }
    core_free(core);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct btf_ext *ext = NULL;
    struct btf *local, *target = NULL;
    struct arena arena = {0};
    struct buf said = {0};
    struct log log = feed_log(&said);
    uint32_t n;

    feed_take(&data, &size, &n, sizeof(n));
    local = take_btf(&data, &size, n, &log);
    feed_take(&data, &size, &n, sizeof(n));
    n = n < size ? n : (uint32_t)size;
    if (local && !btf_ext_parse(&arena, data, n, local, &log, &ext)) {
        data += n;
        size -= n;
        target = size ? take_btf(&data, &size, size, &log) : NULL;
        relocate(&arena, ext, local, target ? target : local, &log);
    }
    btf_free(target);
    btf_free(local);
    arena_free(&arena);
    buf_free(&said);
    return 0;
}
