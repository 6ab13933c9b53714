/*
 * Context layouts, made from ctx.def. Fields of a layout stand in rising order and do not overlap, so that one search
 * finds the field that an offset lies in.
 */
#include "vm/abi/ctx.h"
#include <stddef.h>

enum {
#if defined(__aarch64__)
    PT_REGS_SIZE = 34 * 8, /* struct user_pt_regs: 31 registers, sp, pc, pstate */
#else
    PT_REGS_SIZE = 21 * 8, /* x86_64's struct pt_regs */
#endif
    MAX_ARGS = 12, /* MAX_BPF_FUNC_ARGS */
};

#define ACCESS__ 0
#define ACCESS_C (CTX_READ | CTX_READ_CAPABLE)
#define ACCESS_D (CTX_READ | CTX_WRITE | CTX_WRITE_CAPABLE)
#define ACCESS_R CTX_READ
#define ACCESS_W (CTX_READ | CTX_WRITE)

#define NARROW_WHOLE  0
#define NARROW_PARTS  1
#define NARROW_WPARTS 1
#define NARROW_WORDS  1
#define NARROW_HALVES 2
#define NARROW_HEAD   1
#define NARROW_PORT   1

#define BEGINS_WHOLE(size)  size
#define BEGINS_PARTS(size)  size
#define BEGINS_WPARTS(size) size
#define BEGINS_WORDS(size)  size
#define BEGINS_HALVES(size) size
#define BEGINS_HEAD(size)   1
#define BEGINS_PORT(size)   2

#define UNIT_WHOLE(size)  size
#define UNIT_PARTS(size)  size
#define UNIT_WPARTS(size) 1
#define UNIT_WORDS(size)  4
#define UNIT_HALVES(size) size
#define UNIT_HEAD(size)   size
#define UNIT_PORT(size)   size

#define FIELD_OF(called, at, bytes, what, parts, may)                                                                  \
    {.name = called,                                                                                                   \
     .off = at,                                                                                                        \
     .size = bytes,                                                                                                    \
     .kind = CTX_##what,                                                                                               \
     .access = ACCESS_##may,                                                                                           \
     .narrow = NARROW_##parts,                                                                                         \
     .begins = BEGINS_##parts(bytes),                                                                                  \
     .unit = UNIT_##parts(bytes)},

#define LAYOUT(symbol, called, bytes, packets)                                                                         \
    const struct ctx_layout ctx_##symbol = {.name = called,                                                            \
                                            .size = bytes,                                                             \
                                            .fields = fields_##symbol,                                                 \
                                            .n_fields = sizeof(fields_##symbol) / sizeof(fields_##symbol[0]),          \
                                            .packet = packets,                                                         \
                                            .access = CTX_READ};

static const struct ctx_field fields_skb_filter[] = {
#define SKB_FIELD(name, off, size, kind, parts, filter, cgroup, lwt, tc, sk, flow)                                     \
    FIELD_OF(name, off, size, kind, parts, filter)
#include "vm/abi/ctx.def"
};
static const struct ctx_field fields_skb_cgroup[] = {
#define SKB_FIELD(name, off, size, kind, parts, filter, cgroup, lwt, tc, sk, flow)                                     \
    FIELD_OF(name, off, size, kind, parts, cgroup)
#include "vm/abi/ctx.def"
};
static const struct ctx_field fields_skb_lwt[] = {
#define SKB_FIELD(name, off, size, kind, parts, filter, cgroup, lwt, tc, sk, flow)                                     \
    FIELD_OF(name, off, size, kind, parts, lwt)
#include "vm/abi/ctx.def"
};
static const struct ctx_field fields_skb_tc[] = {
#define SKB_FIELD(name, off, size, kind, parts, filter, cgroup, lwt, tc, sk, flow)                                     \
    FIELD_OF(name, off, size, kind, parts, tc)
#include "vm/abi/ctx.def"
};
static const struct ctx_field fields_skb_sk[] = {
#define SKB_FIELD(name, off, size, kind, parts, filter, cgroup, lwt, tc, sk, flow)                                     \
    FIELD_OF(name, off, size, kind, parts, sk)
#include "vm/abi/ctx.def"
};
static const struct ctx_field fields_skb_flow[] = {
#define SKB_FIELD(name, off, size, kind, parts, filter, cgroup, lwt, tc, sk, flow)                                     \
    FIELD_OF(name, off, size, kind, parts, flow)
#include "vm/abi/ctx.def"
};

LAYOUT(skb_filter, "__sk_buff", 192, CTX_PACKET_YIELDED)
LAYOUT(skb_cgroup, "__sk_buff", 192, CTX_PACKET_YIELDED)
LAYOUT(skb_lwt, "__sk_buff", 192, CTX_PACKET_YIELDED)
LAYOUT(skb_tc, "__sk_buff", 192, CTX_PACKET_YIELDED)
LAYOUT(skb_sk, "__sk_buff", 192, CTX_PACKET_YIELDED)
LAYOUT(skb_flow, "__sk_buff", 192, CTX_PACKET_YIELDED)

#define BEGIN(symbol)                            static const struct ctx_field fields_##symbol[] = {
#define FIELD(name, off, size, kind, parts, may) FIELD_OF(name, off, size, kind, parts, may)
#define END(symbol, name, size, packets)                                                                               \
    }                                                                                                                  \
    ;                                                                                                                  \
    LAYOUT(symbol, name, size, CTX_##packets)
#define PLAIN_CTX(symbol, called, bytes, may)                                                                          \
    const struct ctx_layout ctx_##symbol = {.name = called, .size = bytes, .access = ACCESS_##may};
#include "vm/abi/ctx.def"

const struct ctx_field *ctx_field_at(const struct ctx_layout *layout, uint32_t off)
{
    uint32_t low = 0, high = layout->n_fields;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        const struct ctx_field *f = &layout->fields[mid];

        if (off < f->off)
            high = mid;
        else if (off >= (uint32_t)f->off + f->size)
            low = mid + 1;
        else
            return f;
    }
    return NULL;
}

bool ctx_field_allows(const struct ctx_field *field, uint32_t off, uint32_t size, unsigned access)
{
    if ((field->access & access) != access || !size || off < field->off)
        return false;
    if (size > field->size || off - field->off > field->size - size || off % size)
        return false;
    if (!(access & CTX_WRITE) && field->narrow)
        return size >= field->narrow && off - field->off < field->begins;
    return size % field->unit == 0 && (off - field->off) % field->unit == 0;
}
