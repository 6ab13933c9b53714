/*
 * Where code comes to lie. `data` holds the bytes between items; item i stands before data[item[i].at], and items are
 * in that order. A label is a place in data and the number of items before it: items and labels bound at one place keep
 * the order in which they came. Item i.shift is the room that items 0..i take together, so that the final offset of a
 * place is its offset in data plus the shift of the last item before it.
 *
 * Jumps start short; each pass lengthens those that do not reach, and a jump once long stays long, so that passes end.
 * They are few (a lengthened jump seldom pushes another over), and bounded: after PASSES all jumps become long.
 */
#include "jit/x86_64/layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CODE  (256u << 20)
#define MAX_ALIGN 4096u
#define MAX_NOP   9
#define PASSES    12
#define UNBOUND   UINT32_MAX
#define ADDRESS   UINT32_MAX /* a patch that has a target instead of a label */

enum kind { JMP, JCC, CALL, ALIGN };

struct x86_item {
    uint32_t at;
    uint32_t arg; /* label; ALIGN: the most bytes */
    uint32_t shift;
    uint16_t size; /* as laid out */
    uint8_t kind;
    uint8_t cc; /* JCC: the condition; ALIGN: log2 */
};

struct x86_place {
    uint32_t at; /* UNBOUND at first */
    uint32_t items;
    bool used;
};

struct x86_patch {
    uint32_t at;
    uint32_t items;
    uint32_t label;
    union {
        uint64_t target;
        int64_t add;
    };
};

void x86_init(struct x86_asm *a, size_t limit)
{
    *a = (struct x86_asm){.limit = limit && limit < MAX_CODE ? limit : MAX_CODE};
}

void x86_reset(struct x86_asm *a)
{
    a->len = a->size = 0;
    a->items = a->labels = a->patches = 0;
    a->err = 0;
    a->finished = false;
}

void x86_free(struct x86_asm *a)
{
    size_t limit = a->limit;

    free(a->data);
    free(a->item);
    free(a->place);
    free(a->patch);
    x86_init(a, limit);
}

void x86_fail(struct x86_asm *a, int err)
{
    if (!a->err)
        a->err = err;
}

/* Makes room for one more in an array. The count of each is bounded by the bytes that its members stand for, except
 * labels, which may be as many as bytes. */
static bool grow(struct x86_asm *a, void **array, uint32_t count, uint32_t *cap, size_t size)
{
    uint32_t more = *cap ? *cap * 2 : 64;
    void *p;

    if (a->err)
        return false;
    if (a->finished || count >= MAX_CODE) {
        x86_fail(a, a->finished ? -EINVAL : -E2BIG);
        return false;
    }
    if (count < *cap)
        return true;
    p = realloc(*array, more * size);
    if (!p) {
        x86_fail(a, -ENOMEM);
        return false;
    }
    *array = p;
    *cap = more;
    return true;
}

uint8_t *x86_room(struct x86_asm *a, size_t n)
{
    size_t cap = a->cap ? a->cap : 1024;
    uint8_t *p;

    if (a->err)
        return NULL;
    if (a->finished || a->len > a->limit || n > MAX_CODE) {
        x86_fail(a, a->finished ? -EINVAL : -E2BIG);
        return NULL;
    }
    if (a->data && a->cap - a->len >= n)
        return a->data + a->len;
    while (cap - a->len < n)
        cap *= 2;
    p = realloc(a->data, cap);
    if (!p) {
        x86_fail(a, -ENOMEM);
        return NULL;
    }
    a->data = p;
    a->cap = cap;
    return p + a->len;
}

uint32_t x86_label(struct x86_asm *a)
{
    if (!grow(a, (void **)&a->place, a->labels, &a->label_cap, sizeof(*a->place)))
        return 0;
    a->place[a->labels] = (struct x86_place){.at = UNBOUND};
    return a->labels++;
}

void x86_bind(struct x86_asm *a, uint32_t label)
{
    if (a->err)
        return;
    if (label >= a->labels || a->place[label].at != UNBOUND || a->finished) {
        x86_fail(a, -EINVAL);
        return;
    }
    a->place[label].at = (uint32_t)a->len;
    a->place[label].items = a->items;
}

static bool use(struct x86_asm *a, uint32_t label)
{
    if (label >= a->labels) {
        x86_fail(a, -EINVAL);
        return false;
    }
    a->place[label].used = true;
    return true;
}

static void add_item(struct x86_asm *a, struct x86_item item)
{
    if (a->err || (item.kind != ALIGN && !use(a, item.arg)) || !x86_room(a, 0))
        return;
    if (!grow(a, (void **)&a->item, a->items, &a->item_cap, sizeof(*a->item)))
        return;
    item.at = (uint32_t)a->len;
    a->item[a->items++] = item;
}

void x86_jmp(struct x86_asm *a, uint32_t label)
{
    add_item(a, (struct x86_item){.kind = JMP, .arg = label, .size = 2});
}

void x86_jcc(struct x86_asm *a, enum x86_cc cc, uint32_t label)
{
    add_item(a, (struct x86_item){.kind = JCC, .arg = label, .size = 2, .cc = (uint8_t)(cc & 15)});
}

void x86_call(struct x86_asm *a, uint32_t label)
{
    add_item(a, (struct x86_item){.kind = CALL, .arg = label, .size = 5});
}

void x86_align(struct x86_asm *a, unsigned align, unsigned max)
{
    if (!align || align > MAX_ALIGN || (align & (align - 1)))
        x86_fail(a, -EINVAL);
    else
        add_item(a, (struct x86_item){.kind = ALIGN, .arg = max, .cc = (uint8_t)__builtin_ctz(align)});
}

void x86_bytes(struct x86_asm *a, const void *from, size_t n)
{
    uint8_t *p = x86_room(a, n);

    if (!p || !n)
        return;
    memcpy(p, from, n);
    x86_advance(a, p + n);
}

/* The forms that the manual recommends. */
static void put_nops(uint8_t *p, size_t n)
{
    static const uint8_t nop[MAX_NOP][MAX_NOP] = {
        {0x90},
        {0x66, 0x90},
        {0x0f, 0x1f, 0x00},
        {0x0f, 0x1f, 0x40, 0x00},
        {0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00},
        {0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
        {0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00},
    };

    while (n) {
        size_t k = n < MAX_NOP ? n : MAX_NOP;

        memcpy(p, nop[k - 1], k);
        p += k;
        n -= k;
    }
}

void x86_nop(struct x86_asm *a, size_t n)
{
    uint8_t *p = x86_room(a, n);

    if (!p)
        return;
    put_nops(p, n);
    x86_advance(a, p + n);
}

static void add_patch(struct x86_asm *a, size_t at, struct x86_patch patch)
{
    if (!grow(a, (void **)&a->patch, a->patches, &a->patch_cap, sizeof(*a->patch)))
        return;
    patch.at = (uint32_t)at;
    patch.items = a->items;
    a->patch[a->patches++] = patch;
}

void x86_patch_label(struct x86_asm *a, size_t at, uint32_t label, int64_t add)
{
    if (use(a, label))
        add_patch(a, at, (struct x86_patch){.label = label, .add = add});
}

void x86_patch_address(struct x86_asm *a, size_t at, uint64_t target)
{
    add_patch(a, at, (struct x86_patch){.label = ADDRESS, .target = target});
}

/* ---- layout ---- */

static int64_t shift_before(const struct x86_asm *a, uint32_t items)
{
    return items ? a->item[items - 1].shift : 0;
}

static int64_t offset_of(const struct x86_asm *a, uint32_t label)
{
    return (int64_t)a->place[label].at + shift_before(a, a->place[label].items);
}

static int64_t item_end(const struct x86_asm *a, uint32_t i)
{
    return (int64_t)a->item[i].at + a->item[i].shift;
}

/* From the end of the jump, as the CPU counts. */
static int64_t distance(const struct x86_asm *a, uint32_t i)
{
    return offset_of(a, a->item[i].arg) - item_end(a, i);
}

static uint16_t padding(const struct x86_item *it, int64_t at)
{
    uint32_t pad = (uint32_t)-at & ((1u << it->cc) - 1);

    return pad <= it->arg ? (uint16_t)pad : 0;
}

/* Places everything by the sizes that jumps have now. */
static bool place(struct x86_asm *a)
{
    int64_t shift = 0;

    for (uint32_t i = 0; i < a->items; i++) {
        struct x86_item *it = &a->item[i];

        if (it->kind == ALIGN)
            it->size = padding(it, it->at + shift);
        shift += it->size;
        if (it->at + shift > (int64_t)a->limit)
            return false;
        it->shift = (uint32_t)shift;
    }
    a->size = a->len + (size_t)shift;
    return a->size <= a->limit;
}

static bool lengthen(struct x86_asm *a, bool all)
{
    bool more = false;

    for (uint32_t i = 0; i < a->items; i++) {
        struct x86_item *it = &a->item[i];
        int64_t d;

        if (it->kind > JCC || it->size > 2)
            continue;
        d = distance(a, i);
        if (!all && d >= INT8_MIN && d <= INT8_MAX)
            continue;
        it->size = it->kind == JMP ? 5 : 6;
        more = true;
    }
    return more;
}

int x86_finish(struct x86_asm *a)
{
    if (a->finished)
        x86_fail(a, -EINVAL);
    for (uint32_t i = 0; i < a->labels && !a->err; i++)
        if (a->place[i].used && a->place[i].at == UNBOUND)
            x86_fail(a, -EINVAL);
    if (a->err)
        return a->err;
    for (int pass = 1;; pass++) {
        if (!place(a)) {
            x86_fail(a, -E2BIG);
            return a->err;
        }
        if (!lengthen(a, pass == PASSES))
            break;
    }
    a->finished = true;
    return 0;
}

size_t x86_offset(const struct x86_asm *a, uint32_t label)
{
    return (size_t)offset_of(a, label);
}

/* ---- writing ---- */

static void put32(uint8_t *p, int64_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)((uint64_t)v >> 8 * i);
}

static void write_item(const struct x86_asm *a, uint32_t i, uint8_t *p)
{
    const struct x86_item *it = &a->item[i];

    if (it->kind == ALIGN) {
        put_nops(p, it->size);
    } else if (it->size == 2) {
        p[0] = it->kind == JMP ? 0xeb : (uint8_t)(0x70 | it->cc);
        p[1] = (uint8_t)distance(a, i);
    } else {
        if (it->kind == JCC)
            *p++ = 0x0f;
        *p++ = it->kind == JMP ? 0xe9 : it->kind == CALL ? 0xe8 : (uint8_t)(0x80 | it->cc);
        put32(p, distance(a, i));
    }
}

static int write_patch(const struct x86_asm *a, const struct x86_patch *patch, uint8_t *out, uint64_t run_at)
{
    int64_t at = (int64_t)patch->at + shift_before(a, patch->items), v;

    if (patch->label == ADDRESS)
        v = (int64_t)(patch->target - (run_at + (uint64_t)at + 4));
    else
        v = offset_of(a, patch->label) + patch->add - at;
    if (v != (int32_t)v)
        return -ERANGE;
    put32(out + at, v);
    return 0;
}

int x86_write(const struct x86_asm *a, void *to, uint64_t run_at)
{
    uint8_t *out = to;
    size_t done = 0, at = 0;

    if (!a->finished)
        return -EINVAL;
    for (uint32_t i = 0; i < a->items; i++) {
        size_t n = a->item[i].at - done;

        if (n)
            memcpy(out + at, a->data + done, n);
        at += n;
        done += n;
        write_item(a, i, out + at);
        at += a->item[i].size;
    }
    if (a->len > done)
        memcpy(out + at, a->data + done, a->len - done);
    for (uint32_t i = 0; i < a->patches; i++) {
        int err = write_patch(a, &a->patch[i], out, run_at);

        if (err)
            return err;
    }
    return 0;
}
