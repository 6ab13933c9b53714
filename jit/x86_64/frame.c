/*
 * Around and behind the operations of a function.
 *
 * From the return address down: the callee-saved registers that the function writes, in the order of their numbers,
 * each pushed; then its slots, and room for a tail call. rsp is a multiple of 16 in the body of functions that call;
 * others take what they need, which is nothing for most. There is no frame pointer: jit_frame says how to unwind.
 */
#include "jit/runtime.h"
#include "jit/x86_64/lower.h"

#include <stddef.h>
#include <stdlib.h>

/* Registers in which r2 to r5 come that the function reads. */
static uint32_t params_used(const struct lower *l)
{
    uint32_t used = 0;

    for (unsigned i = IR_R1; i < IR_PARAMS; i++)
        if (l->alloc->params >> (i + 1) & 1)
            used |= 1u << x86_params[i];
    return used;
}

/* Is X86_TAILS wanted for anything else? */
static bool holds_tails(const struct lower *l)
{
    const struct jit_place *place = l->alloc->place;

    if (params_used(l) >> X86_TAILS & 1)
        return true;
    for (uint32_t v = 1; v <= IR_PARAMS; v++)
        if (l->alloc->params >> v & 1 && place[v].reg == X86_TAILS)
            return true;
    for (uint32_t k = 0; k < l->alloc->n_order; k++) {
        const struct ir_block *b = &l->f->blocks[l->alloc->order[k]];

        for (uint32_t i = 0; i < b->n; i++)
            if (b->ops[i].dst && place[b->ops[i].dst].reg == X86_TAILS)
                return true;
    }
    return false;
}

/* Are slots wanted around tail calls alone, and only where C has to decide on them? */
static bool is_late(const struct lower *l)
{
    const struct ir_func *f = l->f;

    for (uint32_t v = 1; v < f->n_vregs; v++)
        if (l->alloc->place[v].reg == JIT_NO_REG && l->alloc->place[v].slot != JIT_NO_SLOT)
            return false;
    for (uint32_t k = 0; k < l->alloc->n_order; k++) {
        const struct ir_block *b = &f->blocks[l->alloc->order[k]];

        for (uint32_t i = 0; i < b->n; i++)
            if (b->ops[i].kind == IR_RELOAD || b->ops[i].kind == IR_SPILL)
                return false;
    }
    for (uint32_t i = 0; i < l->alloc->n_saves; i++)
        if (!x86_tail_leaves(l, &l->alloc->saves[i]))
            return false;
    return true;
}

int x86_frame(struct lower *l)
{
    const struct ir_func *f = l->f;
    bool calls = false, tail = false, others = false;
    uint32_t pushed;

    for (uint32_t k = 0; k < l->alloc->n_order; k++) {
        const struct ir_block *b = &f->blocks[l->alloc->order[k]];

        for (uint32_t i = 0; i < b->n; i++) {
            calls |= (ir_kinds[b->ops[i].kind].what & IR_W_CALL) != 0;
            tail |= b->ops[i].kind == IR_TAIL_CALL;
            others |= ir_kinds[b->ops[i].kind].what & IR_W_CALL && b->ops[i].kind != IR_TAIL_CALL;
        }
    }
    l->counts_tails = !f->index && tail && !others && !holds_tails(l);
    if (l->alloc->n_slots > 1u << 20)
        return -E2BIG;
    l->saved = l->alloc->used & X86_CALLEE_SAVED;
    pushed = (uint32_t)__builtin_popcount(l->saved) * 8;
    l->frame = (l->alloc->n_slots + (tail ? 2 : 0)) * 8;
    if (calls && (l->frame + pushed + 8) % 16)
        l->frame += 8;
    l->late = 0;
    if (l->counts_tails && !pushed && is_late(l)) {
        l->late = l->frame;
        l->frame = 0;
    }
    l->depth = l->frame + pushed;
    return 0;
}

/* Which parameters are read before they are written, on some path: a bit each, from 0. */
static uint32_t live_params(const struct lower *l)
{
    struct ir_func *f = l->f;
    uint8_t *seen = calloc(f->n_blocks, 1);
    uint32_t *work = malloc(sizeof(*work) * ((size_t)f->n_blocks * IR_PARAMS + 1)), n = 0, live = 0;
    uint8_t *pending = malloc((size_t)f->n_blocks * IR_PARAMS + 1);

    if (!seen || !work || !pending) {
        l->a->err = l->a->err ? l->a->err : -ENOMEM;
        goto out;
    }
    work[n] = 0;
    pending[n++] = (1u << IR_PARAMS) - 1;
    seen[0] = (1u << IR_PARAMS) - 1;
    while (n) {
        struct ir_block *b = &f->blocks[work[--n]];
        uint8_t left = pending[n];

        for (uint32_t i = 0; i < b->n && left; i++) {
            uint32_t *uses[IR_MAX_USES];
            unsigned many = ir_uses(f, &b->ops[i], uses);

            for (unsigned k = 0; k < many; k++)
                if (*uses[k] <= IR_PARAMS && left >> (*uses[k] - 1) & 1)
                    live |= 1u << (*uses[k] - 1);
            if (b->ops[i].disp >= 1 && b->ops[i].disp <= IR_PARAMS) { /* by its slot */
                if (b->ops[i].kind == IR_RELOAD)
                    live |= left & 1u << (b->ops[i].disp - 1);
                else if (b->ops[i].kind == IR_SPILL)
                    left &= (uint8_t) ~(1u << (b->ops[i].disp - 1));
            }
            if (b->ops[i].dst && b->ops[i].dst <= IR_PARAMS)
                left &= (uint8_t) ~(1u << (b->ops[i].dst - 1));
        }
        for (unsigned s = 0; s < 2; s++) {
            uint8_t more;

            if (b->succ[s] == IR_NO_BLOCK)
                continue;
            more = left & (uint8_t)~seen[b->succ[s]];
            if (!more)
                continue;
            seen[b->succ[s]] |= more;
            work[n] = b->succ[s];
            pending[n++] = more;
        }
    }
out:
    free(seen);
    free(work);
    free(pending);
    return live;
}

static bool any_shared(const struct jit_place *place)
{
    for (unsigned i = 1; i <= IR_PARAMS; i++)
        for (unsigned k = 1; k < i; k++)
            if (place[i].reg == place[k].reg &&
                (place[i].reg != JIT_NO_REG || (place[i].slot == place[k].slot && place[i].slot != JIT_NO_SLOT)))
                return true;
    return false;
}

/* Parameters go where the function wants them. Two of them may share a place when one is not read as it came. */
static void take_params(struct lower *l)
{
    const struct jit_place *place = l->alloc->place;
    struct jit_move moves[IR_PARAMS], todo[2 * IR_PARAMS];
    uint32_t live = (1u << IR_PARAMS) - 1;
    unsigned n = 0;

    if (any_shared(place))
        live = live_params(l);
    for (unsigned i = 0; i < IR_PARAMS; i++) {
        if (!(live >> i & 1))
            continue;
        if (place[i + 1].reg != JIT_NO_REG)
            moves[n++] = (struct jit_move){.dst = place[i + 1].reg, .src = x86_params[i]};
        else if (place[i + 1].slot != JIT_NO_SLOT)
            x86_mov_to(l->a, 8, x86_slot(l, place[i + 1].slot), x86_params[i]);
    }
    n = jit_moves(moves, n, X86_SCRATCH, todo);
    for (unsigned i = 0; i < n; i++)
        x86_move(l, todo[i].dst, todo[i].src);
}

/* The bytes below fp that the program may read before it writes them. */
static void clear_stack(struct lower *l)
{
    static const uint8_t pxor[] = {0x66, 0x0f, 0xef, 0xc0};
    uint32_t left = (l->f->frame_clear + 7) / 8 * 8;
    int32_t at = -(int32_t)left;

    if (left >= 16)
        x86_bytes(l->a, pxor, sizeof(pxor));
    for (; left >= 16; left -= 16, at += 16) {
        /* movups [rax + at], xmm0 */
        bool near = at >= INT8_MIN;
        uint8_t movups[] = {
            0x0f, 0x11, near ? 0x40 : 0x80, (uint8_t)at, (uint8_t)(at >> 8), (uint8_t)(at >> 16), (uint8_t)(at >> 24)};

        x86_bytes(l->a, movups, near ? 4 : 7);
    }
    if (left)
        x86_mov_imm(l->a, 8, x86_at(X86_FP, at), 0);
}
_Static_assert(X86_FP == X86_RAX, "clear_stack() writes through rax");

/* After a tail call r2 to r5 are 0, as far as anybody asks. */
static void enter_by_tail(struct lower *l, uint32_t used)
{
    x86_bind(l->a, l->tail_label);
    for (; used; used &= used - 1) {
        enum x86_reg r = (enum x86_reg)__builtin_ctz(used);

        x86_alu(l->a, X86_XOR, 4, r, x86_r(r));
    }
}

void x86_enter_first(struct lower *l)
{
    uint32_t used = params_used(l), on = x86_label(l->a);

    if (!l->counts_tails) {
        enter_by_tail(l, used);
        x86_bind(l->a, l->func_label);
    } else if (used) {
        enter_by_tail(l, used);
        x86_jmp(l->a, on);
        x86_bind(l->a, l->func_label);
        x86_mov(l->a, 4, X86_TAILS, x86_at(X86_ENV, (int32_t)offsetof(struct skep_env, tail_calls)));
    } else {
        x86_bind(l->a, l->func_label);
        x86_mov(l->a, 4, X86_TAILS, x86_at(X86_ENV, (int32_t)offsetof(struct skep_env, tail_calls)));
        enter_by_tail(l, used);
    }
    x86_bind(l->a, on);
}

void x86_prologue(struct lower *l)
{
    for (uint32_t left = l->saved; left; left &= left - 1)
        x86_push(l->a, x86_r((enum x86_reg)__builtin_ctz(left)));
    if (l->frame)
        x86_alu_imm(l->a, X86_SUB, 8, x86_r(X86_RSP), l->frame);
    clear_stack(l);
    take_params(l);
}

void x86_epilogue(struct lower *l)
{
    if (l->frame)
        x86_alu_imm(l->a, X86_ADD, 8, x86_r(X86_RSP), l->frame);
    for (uint32_t left = l->saved; left;) {
        unsigned r = 31u - (unsigned)__builtin_clz(left);

        x86_pop(l->a, x86_r((enum x86_reg)r));
        left &= ~(1u << r);
    }
}

void x86_lower_exit(struct lower *l, const struct ir_op *op)
{
    x86_get_into(l, 8, X86_RAX, op->a);
    x86_epilogue(l);
    x86_plain(l->a, X86_RET);
}

static void leave(struct lower *l)
{
    if (!l->leaves)
        return;
    x86_bind(l->a, l->leave);
    x86_epilogue(l);
    x86_plain(l->a, X86_RET);
}

/* Those of tail calls come last: the frame is another there, if it is late. */
void x86_stubs(struct lower *l)
{
    for (uint32_t i = 0; i < l->n_stubs && !l->a->err; i++) {
        const struct x86_stub stub = l->stubs[i];

        if (stub.kind < X86_STUB_TAIL)
            x86_stub_flow(l, &stub);
        else if (stub.kind > X86_STUB_TAIL)
            x86_stub_divide(l, &stub);
    }
    leave(l);
    l->late_label = x86_label(l->a);
    x86_bind(l->a, l->late_label);
    for (uint32_t i = 0; i < l->n_stubs && !l->a->err; i++) {
        const struct x86_stub stub = l->stubs[i];

        if (stub.kind == X86_STUB_TAIL)
            x86_stub_flow(l, &stub);
    }
    l->n_stubs = 0;
}

/* r11 and the flags are all that POLL's callers do not keep. Their rsp is of any alignment. */
void x86_refuel(struct lower *l)
{
    static const uint8_t kept[] = {X86_RAX, X86_RCX, X86_RDX, X86_RSI, X86_RDI, X86_R8, X86_R9, X86_R10, X86_RBP};
    enum { KEPT = sizeof(kept) };

    x86_bind(l->a, l->refuel_label);
    for (unsigned i = 0; i < KEPT; i++)
        x86_push(l->a, x86_r(kept[i]));
    x86_mov(l->a, 8, X86_RBP, x86_r(X86_RSP));
    x86_alu_imm(l->a, X86_AND, 8, x86_r(X86_RSP), -16);
    x86_mov(l->a, 8, X86_RDI, x86_at(X86_RBP, 8 * (KEPT + 1)));
    x86_mov(l->a, 8, X86_RSI, x86_r(X86_R11));
    x86_call_c(l, (uintptr_t)jit_refuel);
    x86_mov(l->a, 8, X86_R11, x86_r(X86_RAX));
    x86_mov(l->a, 8, X86_RSP, x86_r(X86_RBP));
    for (unsigned i = KEPT; i-- > 0;)
        x86_pop(l->a, x86_r(kept[i]));
    x86_plain(l->a, X86_RET);
}

void x86_describe(const struct lower *l, struct jit_frame *frame)
{
    int32_t at = -8;

    frame->size = l->depth;
    frame->late = l->late ? l->late_label : frame->end;
    frame->late_size = l->late;
    frame->n_saved = 0;
    for (uint32_t left = l->saved; left; left &= left - 1) {
        frame->saved[frame->n_saved].reg = (uint8_t)__builtin_ctz(left);
        frame->saved[frame->n_saved++].at = at -= 8;
    }
}

/* uint64_t enter(env, fp, args, function). Functions keep what C wants kept. */
size_t x86_trampoline(void *bytes, size_t room, struct jit_frame *frame)
{
    struct x86_asm a;
    size_t size = 0, body = 0;

    x86_init(&a, room);
    x86_push(&a, x86_r(X86_RBP));
    body = a.len;
    x86_mov(&a, 8, X86_RAX, x86_r(X86_RSI));
    x86_mov(&a, 8, X86_R11, x86_r(X86_RCX));
    x86_mov(&a, 8, X86_RSI, x86_at(X86_RDX, 0));
    x86_mov(&a, 8, X86_RCX, x86_at(X86_RDX, 16));
    x86_mov(&a, 8, X86_R8, x86_at(X86_RDX, 24));
    x86_mov(&a, 8, X86_R9, x86_at(X86_RDX, 32));
    x86_mov(&a, 8, X86_RDX, x86_at(X86_RDX, 8));
    x86_call_rm(&a, x86_r(X86_R11));
    x86_pop(&a, x86_r(X86_RBP));
    x86_plain(&a, X86_RET);
    if (!x86_finish(&a) && a.size <= room && !x86_write(&a, bytes, 0)) {
        size = a.size;
        *frame = (struct jit_frame){.begin = 0,
                                    .body = (uint32_t)body,
                                    .end = (uint32_t)size,
                                    .size = 8,
                                    .saved = {{.reg = X86_RBP, .at = -16}},
                                    .n_saved = 1};
    }
    x86_free(&a);
    return size;
}
