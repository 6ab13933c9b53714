/*
 * What feeds share. The mutator works on whole instructions half of the time: bytes changed at random rarely decode.
 */
#include "fuzz/feed/feed.h"
#include "vm/isa/isa.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void feed_wrong(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fputs("feed: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    abort();
}

static void keep(void *ctx, enum skep_log_level level, const char *text)
{
    struct buf *said = ctx;

    (void)level;
    buf_clear(said);
    buf_puts(said, text);
}

struct log feed_log(struct buf *said)
{
    return (struct log){.fn = keep, .ctx = said, .max = SKEP_LOG_DEBUG};
}

void feed_take(const uint8_t **data, size_t *size, void *out, size_t n)
{
    size_t have = *size < n ? *size : n;

    memset(out, 0, n);
    if (have)
        memcpy(out, *data, have);
    *data += have;
    *size -= have;
}

static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static uint32_t below(uint64_t *state, uint32_t n)
{
    return (uint32_t)(draw(state) % n);
}

static int32_t number(uint64_t *state)
{
    static const int32_t known[] = {0,   1,    -1, 2, 4, 7, 8, -8, 16, 64, -512, 512, 0x7fffffff, -0x7fffffff - 1,
                                    255, 65535};

    return below(state, 4) ? known[below(state, sizeof(known) / sizeof(known[0]))] : (int32_t)draw(state);
}

/* Of the fields that an operation does not use, those are cleared that must be. */
static struct skep_insn tidied(struct skep_insn was, enum isa_op op)
{
    struct skep_insn insn = was;

    for (unsigned clear = 1; clear < 16 && !isa_fields_ok(&insn, op); clear++)
        insn = isa_encode(op, clear & 8 ? 0 : was.dst_reg, clear & 2 ? 0 : was.src_reg, clear & 4 ? 0 : was.off,
                          clear & 1 ? 0 : was.imm);
    return insn;
}

/* Near the borders of small things, which is where a check may be wrong by one. */
static int16_t displacement(uint64_t *random, bool frame)
{
    static const int16_t borders[] = {0, 9, 12, 13, 16, 20, 24, 64, 96, 256};

    if (frame)
        return (int16_t)(below(random, 8) ? -(int)below(random, 24) : -504 - (int)below(random, 24));
    if (!below(random, 12))
        return (int16_t)draw(random);
    return (int16_t)(borders[below(random, sizeof(borders) / sizeof(borders[0]))] + (int)below(random, 12) - 10);
}

unsigned feed_insn(uint64_t *random, struct skep_insn insns[2])
{
    enum isa_op op = (enum isa_op)(1 + below(random, ISA_OP_COUNT - 1));
    enum isa_form form = isa_rows[op].form;
    bool jumps = form == ISA_FORM_JMP_K || form == ISA_FORM_JMP_X || op == ISA_JA;
    uint8_t dst = (uint8_t)below(random, 10), src = (uint8_t)below(random, 11), base = (uint8_t)(6 + below(random, 5));

    insns[1] = (struct skep_insn){0};
    if (!below(random, 8)) { /* an address, moved */
        insns[0] = isa_encode(below(random, 2) ? ISA_MOV64_X : ISA_ADD64_K, dst % 6, 0, 0, 0);
        if (isa_decode(&insns[0]) == ISA_MOV64_X)
            insns[0].src_reg = base;
        else
            insns[0].imm = displacement(random, below(random, 2));
        return 1;
    }
    if (!below(random, 10)) {
        insns[0] = isa_encode(ISA_CALL_HELPER, 0, 0, 0, (int32_t)below(random, below(random, 2) ? 16 : 212));
        return 1;
    }
    if (!below(random, 10)) {
        insns[0] =
            isa_encode(below(random, 2) ? ISA_LD_MAP_IDX : ISA_LD_MAP_IDX_VALUE, 1, 0, 0, (int32_t)below(random, 4));
        insns[1].imm = isa_decode(&insns[0]) == ISA_LD_MAP_IDX ? 0 : displacement(random, false);
        return 2;
    }
    if (isa_access_size(op) && !below(random, 3)) { /* what is accessed is one of the addresses that stay */
        bool loads = form == ISA_FORM_LDX || form == ISA_FORM_LOAD_ACQ;

        dst = loads ? dst : base;
        src = loads ? base : src;
    }
    insns[0] = isa_encode(op, dst, src,
                          jumps ? (int16_t)((int)below(random, 12) - 4)
                                : displacement(random, (isa_access_size(op) && (dst == 10 || src == 10))),
                          number(random));
    if (!isa_fields_ok(&insns[0], op) && below(random, 16)) /* fields that it does not use are zero */
        insns[0] = tidied(insns[0], op);
    return isa_is_wide(op) ? 2 : 1;
}

size_t feed_mutate_insns(uint8_t *data, size_t size, size_t max, unsigned seed, size_t header)
{
    uint64_t state = seed * 0xd1342543de82ef95 + 7;
    struct skep_insn insns[2];
    size_t n = size > header ? (size - header) / sizeof(insns[0]) : 0, at, bytes;

    if (size < header || n < 2 || below(&state, 2))
        return LLVMFuzzerMutate(data, size, max);
    at = header + below(&state, (uint32_t)n) * sizeof(insns[0]);
    bytes = feed_insn(&state, insns) * sizeof(insns[0]);
    if (below(&state, 2) && size + bytes <= max) { /* between two others */
        memmove(data + at + bytes, data + at, size - at);
        size += bytes;
    }
    if (bytes > size - at)
        bytes = size - at;
    memcpy(data + at, insns, bytes);
    return size;
}
