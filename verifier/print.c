/*
 * States as text, in the shape of Linux's verifier log, so that tools which read that read ours.
 */
#include "verifier/print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Small numbers are decimal, large ones hexadecimal. */
static void print_signed(struct buf *out, int64_t n)
{
    buf_printf(out, n >= INT16_MIN && n <= INT16_MAX ? "%" PRId64 : "%#" PRIx64, n);
}

static void print_unsigned(struct buf *out, uint64_t n)
{
    buf_printf(out, n <= UINT16_MAX ? "%" PRIu64 : "%#" PRIx64, n);
}

/* "smin=smin32=0": bounds of one side that are alike share a number, those that say nothing are left out. Lower bounds
 * stand at even indices, upper ones at odd. */
struct bound {
    const char *name;
    bool is_signed, silent;
    int64_t value;
};

static bool is_negative(const struct bound *b)
{
    return b->is_signed && b->value < 0;
}

static void print_bounds(struct buf *out, const struct scalar *s, const char **sep)
{
    struct bound all[] = {
        {"smin", true, s->r.smin == INT64_MIN, s->r.smin},
        {"smax", true, s->r.smax == INT64_MAX, s->r.smax},
        {"umin", false, s->r.umin == 0, (int64_t)s->r.umin},
        {"umax", false, s->r.umax == UINT64_MAX, (int64_t)s->r.umax},
        {"smin32", true, s->w.smin == INT32_MIN, s->w.smin},
        {"smax32", true, s->w.smax == INT32_MAX, s->w.smax},
        {"umin32", false, s->w.umin == 0, s->w.umin},
        {"umax32", false, s->w.umax == UINT32_MAX, s->w.umax},
    };
    const unsigned n = sizeof(all) / sizeof(all[0]);

    for (unsigned i = 0; i < n; i++) {
        if (all[i].silent)
            continue;
        buf_printf(out, "%s%s=", *sep, all[i].name);
        *sep = ",";
        for (unsigned k = i + 2; k < n; k += 2) {
            if (all[k].silent || all[k].value != all[i].value || is_negative(&all[k]) != is_negative(&all[i]))
                continue;
            all[k].silent = true;
            buf_printf(out, "%s=", all[k].name);
        }
        if (all[i].is_signed)
            print_signed(out, all[i].value);
        else
            print_unsigned(out, (uint64_t)all[i].value);
    }
}

static void print_scalar(struct buf *out, const struct reg *r)
{
    const char *sep = "";

    if (scalar_is_const(&r->s)) {
        print_signed(out, (int64_t)r->s.t.value);
        return;
    }
    buf_puts(out, "scalar(");
    if (r->id) {
        buf_printf(out, "id=%u", r->id);
        if (r->flags & REG_LINK_OFF)
            buf_printf(out, "%+d", r->off);
        sep = ",";
    }
    print_bounds(out, &r->s, &sep);
    if (r->s.t.mask != UINT64_MAX)
        buf_printf(out, "%svar_off=(0x%" PRIx64 "; 0x%" PRIx64 ")", sep, r->s.t.value, r->s.t.mask);
    buf_puts(out, ")");
}

void reg_print(struct buf *out, const struct reg *r, uint32_t current_frame)
{
    static const char *const names[REG_KIND_COUNT] = {
        [REG_NONE] = "?",
        [REG_CTX] = "ctx",
        [REG_STACK] = "fp",
        [REG_MAP] = "map_ptr",
        [REG_MAP_VALUE] = "map_value",
        [REG_MAP_KEY] = "map_key",
        [REG_PACKET] = "pkt",
        [REG_PACKET_META] = "pkt_meta",
        [REG_PACKET_END] = "pkt_end",
        [REG_MEM] = "mem",
        [REG_FUNC] = "func",
        [REG_SOCK_COMMON] = "sock_common",
        [REG_SOCKET] = "sock",
        [REG_TCP_SOCK] = "tcp_sock",
        [REG_XDP_SOCK] = "xdp_sock",
        [REG_FLOW_KEYS] = "flow_keys",
        [REG_BTF] = "ptr_",
        [REG_BUFFER] = "buf",
        [REG_DYNPTR] = "dynptr_ptr",
        [REG_ARENA] = "arena",
        [REG_KERNEL] = "ptr_",
    };
    const char *sep = "";

    if (r->kind == REG_SCALAR) {
        print_scalar(out, r);
        return;
    }
    if (r->kind == REG_STACK && scalar_is_const(&r->s)) {
        if (r->frame != current_frame)
            buf_printf(out, "fp[%u]", r->frame);
        else
            buf_puts(out, "fp");
        print_signed(out, r->off + (int64_t)r->s.t.value);
        return;
    }
    buf_printf(out, "%s%s%s(",
               r->flags & REG_RECORD      ? "ringbuf_"
               : r->flags & REG_READ_ONLY ? "rdonly_"
                                          : "",
               names[r->kind], r->flags & REG_MAYBE_NULL ? "_or_null" : "");
#define FIELD(...) (buf_puts(out, sep), buf_printf(out, __VA_ARGS__), sep = ",")
    if (r->id)
        FIELD("id=%u", r->id);
    if (r->ref)
        FIELD("ref_obj_id=%u", r->ref);
    if (r->kind != REG_BTF && r->map)
        FIELD("map=%s,ks=%u,vs=%u", r->map->name, r->map->key_size, r->map->value_size);
    if (r->off)
        FIELD("off=%d", r->off);
    if (r->kind == REG_PACKET || r->kind == REG_PACKET_META) {
        if (r->flags & (REG_AT_END | REG_BEYOND_END))
            FIELD("r=%d", r->flags & REG_BEYOND_END ? -1 : -2);
        else
            FIELD("r=%u", r->size);
    }
    if (r->kind == REG_MEM)
        FIELD("sz=%u", r->size);
    if (scalar_is_const(&r->s)) {
        if (r->s.t.value)
            FIELD("imm=%#" PRIx64, r->s.t.value);
    } else {
        print_bounds(out, &r->s, &sep);
        FIELD("var_off=(0x%" PRIx64 "; 0x%" PRIx64 ")", r->s.t.value, r->s.t.mask);
    }
#undef FIELD
    buf_puts(out, ")");
}

static void print_slot(struct buf *out, const struct slot *slot, unsigned i, uint32_t current_frame)
{
    char types[SLOT + 1] = {0};
    bool any = false;

    for (unsigned b = 0; b < SLOT; b++) {
        types[b] = "?rm0di"[slot->type[b]];
        any |= slot->type[b] != SLOT_INVALID;
    }
    if (!any)
        return;
    buf_printf(out, " fp-%u=", (i + 1) * SLOT);
    if (slot_spill_size(slot) == SLOT) {
        reg_print(out, &slot->reg, current_frame);
        return;
    }
    if (slot_is_spill(slot)) { /* the spill's bytes are the upper ones as Linux writes them */
        for (unsigned b = SLOT; b-- > slot_spill_size(slot);)
            buf_putc(out, types[b]);
        reg_print(out, &slot->reg, current_frame);
        return;
    }
    for (unsigned b = 0; b < SLOT; b++)
        buf_putc(out, types[SLOT - 1 - b]);
}

void state_print(struct buf *out, const struct state *s)
{
    uint32_t f = s->n_frames - 1;
    const struct frame *top = s->frames[f];

    if (f)
        buf_printf(out, " frame%u:", f);
    for (unsigned r = 0; r < REGS; r++) {
        if (top->regs[r].kind == REG_NONE)
            continue;
        buf_printf(out, " R%u=", r);
        reg_print(out, &top->regs[r], f);
    }
    for (unsigned i = 0; i < top->n_slots; i++)
        print_slot(out, frame_slot(top, i), i, f);
    for (uint32_t i = 0; i < s->n_refs; i++)
        buf_printf(out, "%s%u", i ? "," : " refs=", s->refs->at[i].id);
    if (top->callback)
        buf_puts(out, " cb");
}

void state_print_change(struct buf *out, const struct state *before, const struct state *after, uint16_t touched)
{
    uint32_t f = after->n_frames - 1;
    const struct frame *was = before->frames[f], *now = after->frames[f];
    struct buf all = {0};

    if (before->n_frames != after->n_frames)
        return;
    for (unsigned r = 0; r < REGS; r++) {
        if (now->regs[r].kind == REG_NONE ||
            (!(touched >> r & 1) && !memcmp(&was->regs[r], &now->regs[r], sizeof(struct reg))))
            continue;
        buf_printf(&all, " R%u=", r);
        reg_print(&all, &now->regs[r], f);
    }
    for (unsigned i = 0; i < now->n_slots; i++)
        if (i >= was->n_slots || memcmp(frame_slot(was, i), frame_slot(now, i), sizeof(struct slot)))
            print_slot(&all, frame_slot(now, i), i, f);
    for (uint32_t i = 0; i < after->n_refs; i++)
        buf_printf(&all, "%s%u", i ? "," : " refs=", after->refs->at[i].id);
    if (all.len && f)
        buf_printf(out, " frame%u:", f);
    buf_puts(out, buf_text(&all));
    buf_free(&all);
}
