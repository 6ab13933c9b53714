/*
 * Global functions are verified by themselves, once each, for any arguments that their prototype allows; a call checks
 * that its arguments are such, and knows of the result that it is a number. What a function that was not called on any
 * path does is nobody's concern, as in Linux.
 *
 * A prototype is read from the function's BTF when it is first needed: v->protos, one a function. What its calls may do
 * to their caller (move the packet, sleep) is found before exploration, over all that it may call: v->func_effects.
 */
#include "verifier/verifier.h"
#include "vm/btf/btf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAG_CTX = 1, TAG_TRUSTED = 2, TAG_UNTRUSTED = 4, TAG_NONNULL = 8, TAG_NULLABLE = 16, TAG_ARENA = 32 };

enum kind {
    NUMBER,
    CTX,
    MEMORY,
    MEMORY_OR_NULL,
    OBJECT, /* of the kernel's, trusted */
    OBJECT_OR_NULL,
    ANY_OBJECT, /* whatever the caller says is one: loads are probes */
    ANY_MEMORY, /* the same of numbers */
    IN_ARENA,   /* or any number */
};

struct global_proto {
    bool read;
    uint8_t n;
    struct {
        uint8_t kind;
        uint32_t size;
        uint32_t type; /* of an object, in the target's types */
    } args[5];
};

/* Types. */

static const struct btf_type *resolved(const struct btf *btf, uint32_t id, uint32_t *out)
{
    *out = btf_resolve(btf, id);
    return btf_type_at(btf, *out);
}

static bool is_number(const struct btf_type *t)
{
    return btf_kind(t) == BTF_INT || btf_kind(t) == BTF_ENUM || btf_kind(t) == BTF_ENUM64;
}

/* Does a chain of typedefs and modifiers go through a typedef of this name first? */
static bool is_typedef(const struct btf *btf, uint32_t id, const char *name)
{
    const struct btf_type *t = btf_type_at(btf, id);

    while (btf_kind(t) == BTF_CONST || btf_kind(t) == BTF_VOLATILE || btf_kind(t) == BTF_RESTRICT ||
           btf_kind(t) == BTF_TYPE_TAG)
        t = btf_type_at(btf, t->type);
    return btf_kind(t) == BTF_TYPEDEF && !strcmp(btf_str(btf, t->name_off), name);
}

/* Does a pointer to this type name the program's context? */
static bool names_ctx(const struct verifier *v, uint32_t to)
{
    const struct btf *btf = v->prog->btf;
    const struct prog_type *type = v->prog->type;
    const struct btf_type *t;
    uint32_t id;

    if (!type || !type->ctx)
        return false;
    if (type->id == PROG_TYPE_KPROBE && is_typedef(btf, to, "bpf_user_pt_regs_t"))
        return true;
    t = resolved(btf, to, &id);
    return btf_kind(t) == BTF_STRUCT && !strcmp(btf_name(btf, id), type->ctx->name);
}

/* What an argument that is said to be the context may point to, as far as its type goes. */
static bool may_be_ctx(const struct verifier *v, uint32_t to)
{
    const struct btf *btf = v->prog->btf;
    const struct prog_type *type = v->prog->type;
    const struct btf_type *t;
    bool regs, words, record;
    const char *name;
    uint32_t id;

    t = resolved(btf, to, &id);
    if (!type || !id || btf_kind(t) == BTF_VOID || names_ctx(v, to))
        return true;
    name = btf_name(btf, id);
    words = btf_kind(t) == BTF_INT && t->size == 8;
    regs = is_typedef(btf, to, "bpf_user_pt_regs_t") || (btf_kind(t) == BTF_STRUCT && !strcmp(name, "pt_regs"));
    record = btf_kind(t) == BTF_STRUCT && !strcmp(name, "bpf_raw_tracepoint_args");
    switch (type->id) {
    case PROG_TYPE_KPROBE:
    case PROG_TYPE_PERF_EVENT: return regs;
    case PROG_TYPE_RAW_TRACEPOINT:
    case PROG_TYPE_RAW_TRACEPOINT_WRITABLE:
    case PROG_TYPE_LSM:
    case PROG_TYPE_STRUCT_OPS: return words;
    case PROG_TYPE_TRACING:
        if (v->prog->attach_type == ATTACH_TRACE_RAW_TP)
            return words || record;
        if (v->prog->attach_type == ATTACH_TRACE_ITER)
            return btf_kind(t) == BTF_STRUCT && !strncmp(name, "bpf_iter__", 10);
        return words;
    case PROG_TYPE_TRACEPOINT:
    case PROG_TYPE_SYSCALL:
    case PROG_TYPE_EXT: return true;
    default: return false;
    }
}

/* Prototypes. */

static enum reason tags_of(struct verifier *v, uint32_t func, unsigned arg, unsigned *tags)
{
    static const struct {
        const char *name;
        unsigned tag;
    } known[] = {{"ctx", TAG_CTX},         {"trusted", TAG_TRUSTED},   {"untrusted", TAG_UNTRUSTED},
                 {"nonnull", TAG_NONNULL}, {"nullable", TAG_NULLABLE}, {"arena", TAG_ARENA}};
    const struct btf *btf = v->prog->btf;

    *tags = 0;
    for (uint32_t id = 1; id < btf_count(btf); id++) {
        const struct btf_type *t = btf_type_at(btf, id);
        const char *name;
        unsigned i = 0;

        if (btf_kind(t) != BTF_DECL_TAG || t->type != func || btf_tag_component(t) != (int32_t)arg)
            continue;
        name = btf_str(btf, t->name_off);
        if (strncmp(name, "arg:", 4))
            continue;
        while (i < sizeof(known) / sizeof(known[0]) && strcmp(name + 4, known[i].name))
            i++;
        if (i == sizeof(known) / sizeof(known[0]))
            return refuse(v, REASON_global_prototype, "argument %u has the tag '%.64s', which is not known", arg + 1,
                          name);
        *tags |= known[i].tag;
    }
    return REASON_ok;
}

/* A type of the kernel's by the name of one of the program's. */
static enum reason kernel_type(struct verifier *v, unsigned i, uint32_t local, uint32_t *out)
{
    const char *name = btf_name(v->prog->btf, local);
    char cut[128];

    if (!v->prog->kernel_btf)
        return unsupported(v, "kernel objects without the target's types");
    if (btf_kind(btf_type_at(v->prog->btf, local)) != BTF_STRUCT)
        return refuse(v, REASON_global_prototype, "argument %u is tagged as a kernel object and points to no struct",
                      i + 1);
    snprintf(cut, sizeof(cut), "%.*s", (int)btf_essential_length(name), name);
    *out = btf_find(v->prog->kernel_btf, cut, BTF_STRUCT);
    if (!*out)
        return refuse(v, REASON_global_prototype,
                      "argument %u is tagged as a kernel object; the target has no struct %s", i + 1, cut);
    return REASON_ok;
}

static enum reason read_object(struct verifier *v, struct global_proto *p, unsigned i, uint32_t to, unsigned tags)
{
    const struct btf_type *t = btf_type_at(v->prog->btf, to);
    unsigned good = tags & TAG_TRUSTED ? TAG_TRUSTED | TAG_NULLABLE : TAG_UNTRUSTED;

    if (tags & ~good)
        return refuse(v, REASON_global_prototype, "argument %u has tags that do not go together", i + 1);
    if (tags & TAG_TRUSTED) {
        p->args[i].kind = tags & TAG_NULLABLE ? OBJECT_OR_NULL : OBJECT;
        return kernel_type(v, i, to, &p->args[i].type);
    }
    p->args[i].kind = ANY_OBJECT;
    if (btf_kind(t) != BTF_VOID && !is_number(t))
        return kernel_type(v, i, to, &p->args[i].type);
    p->args[i].kind = ANY_MEMORY;
    return REASON_ok;
}

static enum reason read_pointer(struct verifier *v, struct global_proto *p, unsigned i, uint32_t to, unsigned tags)
{
    const struct btf *btf = v->prog->btf;
    unsigned good = TAG_NONNULL;
    const struct btf_type *t;
    int64_t size;
    uint32_t id;

    t = resolved(btf, to, &id);
    if (tags & TAG_CTX || names_ctx(v, to)) {
        if (tags & TAG_CTX && !may_be_ctx(v, to))
            return refuse(v, REASON_global_prototype, "argument %u is tagged as the context, and its type is another",
                          i + 1);
        good = TAG_CTX;
        p->args[i].kind = CTX;
    } else if (btf_kind(t) == BTF_STRUCT && !strcmp(btf_name(btf, id), "bpf_dynptr")) {
        return unsupported(v, "dynptrs as arguments of global functions");
    } else if (tags & (TAG_TRUSTED | TAG_UNTRUSTED)) {
        return read_object(v, p, i, id, tags);
    } else if (tags & TAG_ARENA) {
        good = TAG_ARENA;
        p->args[i].kind = IN_ARENA;
    } else {
        size = btf_size(btf, id);
        if (size < 0 || size > INT32_MAX)
            return refuse(v, REASON_global_prototype, "argument %u points to a type without a size", i + 1);
        p->args[i].kind = tags & TAG_NONNULL ? MEMORY : MEMORY_OR_NULL;
        p->args[i].size = (uint32_t)size;
    }
    if (tags & ~good)
        return refuse(v, REASON_global_prototype, "argument %u has tags that do not go together", i + 1);
    return REASON_ok;
}

static enum reason read_args(struct verifier *v, struct global_proto *p, uint32_t func, const struct btf_type *proto)
{
    const struct btf *btf = v->prog->btf;
    enum reason reason = REASON_ok;

    p->n = (uint8_t)btf_vlen(proto);
    for (unsigned i = 0; i < p->n && !reason; i++) {
        uint32_t id;
        const struct btf_type *t = resolved(btf, btf_params(proto)[i].type, &id);
        unsigned tags;

        reason = tags_of(v, func, i, &tags);
        if (reason)
            break;
        if (btf_kind(t) == BTF_PTR)
            reason = read_pointer(v, p, i, t->type, tags);
        else if (tags)
            reason = refuse(v, REASON_global_prototype, "argument %u has a tag of pointers and is none", i + 1);
        else if (!is_number(t))
            reason = refuse(v, REASON_global_prototype, "argument %u is neither a number nor a pointer", i + 1);
        else
            p->args[i].kind = NUMBER;
    }
    return reason;
}

static enum reason proto_of(struct verifier *v, uint32_t func, const struct global_proto **out)
{
    const struct prog_func *f = &v->prog->funcs[func];
    const struct btf *btf = v->prog->btf;
    const struct btf_type *t, *ret;
    struct global_proto *p;
    enum reason reason;
    uint32_t id;

    if (!v->protos)
        v->protos = calloc(v->prog->n_funcs, sizeof(*v->protos));
    if (!v->protos)
        return REASON_out_of_memory;
    *out = p = &v->protos[func];
    if (p->read)
        return REASON_ok;
    t = btf && f->btf_id ? btf_type_at(btf, f->btf_id) : NULL;
    t = t && btf_kind(t) == BTF_FUNC ? btf_type_at(btf, t->type) : NULL;
    if (!t || btf_kind(t) != BTF_FUNC_PROTO)
        return refuse(v, REASON_global_prototype, "nothing is known of the types of '%s'", f->name);
    if (btf_vlen(t) > 5)
        return refuse(v, REASON_global_prototype, "'%s' has %u arguments; 5 are allowed", f->name, btf_vlen(t));
    ret = resolved(btf, t->type, &id);
    if (!is_number(ret))
        return refuse(v, REASON_global_prototype, "'%s' does not return a number", f->name);
    reason = read_args(v, p, f->btf_id, t);
    p->read = !reason;
    return reason;
}

/* Calls. */

static enum reason pass_memory(struct verifier *v, struct state *s, unsigned reg, uint32_t size, bool or_null)
{
    struct access a = {.insn = s->insn, .reg = reg, .size = size, .helper = true, .zero_size_ok = true};
    struct reg r = *state_reg(s, reg);
    enum reason reason;

    if (reg_is_const(&r) && !r.s.t.value && or_null)
        return REASON_ok;
    if (r.flags & REG_MAYBE_NULL && !or_null)
        return refuse(v, REASON_null_check_missing, "argument %u (r%u) is a %s and must not be NULL", reg, reg,
                      reg_kind_name(&r));
    if (r.kind == REG_SCALAR || r.kind == REG_CTX || r.kind == REG_MAP || r.kind == REG_FUNC ||
        r.kind == REG_PACKET_END)
        return refuse(v, REASON_helper_argument, "argument %u (r%u) is a %s where memory of %u bytes is needed", reg,
                      reg, reg_kind_name(&r), size);
    if (r.kind == REG_KERNEL)
        return unsupported(v, "sockets and kernel pointers");
    r.flags &= (uint8_t)~REG_MAYBE_NULL;
    reason = mem_check(v, s, &r, &a);
    a.write = true;
    if (!reason)
        reason = mem_check(v, s, &r, &a);
    if (reason || r.kind != REG_STACK)
        return reason;
    stack_escapes(v, s, &r, &a);
    return stack_write_unknown(v, s, &r, &a) ? REASON_ok : REASON_out_of_memory;
}

static enum reason pass(struct verifier *v, struct state *s, const struct global_proto *p, unsigned i)
{
    const struct reg *r = state_reg(s, i + 1);

    if (p->args[i].kind == ANY_OBJECT || p->args[i].kind == ANY_MEMORY) { /* nothing is taken for granted of it */
        if (r->kind == REG_STACK)
            stack_escapes_whole(v, s, r);
        return REASON_ok;
    }
    if (r->kind == REG_NONE)
        return refuse(v, REASON_uninitialized_register, "argument %u (r%u) was not written on this path", i + 1, i + 1);
    switch (p->args[i].kind) {
    case NUMBER:
        if (r->kind != REG_SCALAR)
            return refuse(v, REASON_helper_argument, "argument %u (r%u) is a %s where a number is needed", i + 1, i + 1,
                          reg_kind_name(r));
        return REASON_ok;
    case CTX:
        if (r->kind != REG_CTX)
            return refuse(v, REASON_helper_argument, "argument %u (r%u) is a %s where the context is needed", i + 1,
                          i + 1, reg_kind_name(r));
        if (r->off || !scalar_is_const(&r->s) || r->s.t.value)
            return refuse(v, REASON_ctx_modified, "argument %u (r%u) is the context moved by %d", i + 1, i + 1, r->off);
        return REASON_ok;
    case IN_ARENA:
        if (r->kind != REG_SCALAR && r->kind != REG_ARENA)
            return refuse(v, REASON_helper_argument, "argument %u (r%u) is a %s where an arena pointer is needed",
                          i + 1, i + 1, reg_kind_name(r));
        return REASON_ok;
    case MEMORY: return pass_memory(v, s, i + 1, p->args[i].size, false);
    case OBJECT_OR_NULL:
        if (reg_is_const(r) && !r->s.t.value)
            return precision_mark_reg(v, s, i + 1);
        /* fall through */
    case OBJECT:
        return btf_ptr_takes(v, btf_name(v->prog->kernel_btf, p->args[i].type), "a global function", i + 1, r,
                             p->args[i].kind == OBJECT_OR_NULL);
    default: return pass_memory(v, s, i + 1, p->args[i].size, true);
    }
}

enum reason global_call(struct verifier *v, struct state *s, uint32_t func)
{
    const char *name = v->prog->funcs[func].name;
    const struct global_proto *p;
    struct frame *f;
    enum reason reason;

    if (s->locked)
        return refuse(v, REASON_lock_held, "the global function '%s' is called while a spin lock is held", name);
    if (v->func_effects[func] & EFFECT_SLEEPS && !v->prog->sleepable)
        return refuse(v, REASON_helper_not_allowed, "the global function '%s' may sleep and this program may not",
                      name);
    reason = v->func_effects[func] & EFFECT_SLEEPS
                 ? kfunc_sections_end(v, s, "a global function that may sleep is called")
                 : REASON_ok;
    if (!reason && v->func_effects[func] & EFFECT_THROWS)
        reason = kfunc_may_throw(v, s);
    if (!reason)
        reason = proto_of(v, func, &p);
    for (unsigned i = 0; !reason && i < p->n; i++)
        reason = pass(v, s, p, i);
    if (reason)
        return reason;
    if (v->func_effects[func] & EFFECT_CHANGES_PACKET && !call_forget_packet(v, s))
        return REASON_out_of_memory;
    v->called[func] = true;
    f = state_frame_mut(&v->pool, s, s->n_frames - 1);
    if (!f)
        return REASON_out_of_memory;
    memset(f->regs, 0, 6 * sizeof(f->regs[0]));
    f->regs[0] = reg_unknown();
    s->past.steps[s->past.n - 1].stack = STEP_OVER;
    s->insn++;
    return REASON_ok;
}

/* Verification of each. */

enum reason global_arguments(struct verifier *v, uint32_t func, struct state *s)
{
    const struct global_proto *p;
    enum reason reason = proto_of(v, func, &p);

    if (reason)
        return reason;
    if (func && func == v->prog->exception_cb && (p->n != 1 || p->args[0].kind != NUMBER))
        return refuse(v, REASON_exception, "'%s', an exception callback, takes one number and nothing else",
                      v->prog->funcs[func].name);
    memset(&s->frames[0]->regs[1], 0, 5 * sizeof(s->frames[0]->regs[0]));
    for (unsigned i = 0; i < p->n; i++) {
        struct reg *r = &s->frames[0]->regs[i + 1];

        *r = (struct reg){.s = scalar_const(0)};
        switch (p->args[i].kind) {
        case NUMBER:
        case IN_ARENA: *r = reg_unknown(); break;
        case CTX: r->kind = REG_CTX; break;
        case ANY_MEMORY:
            *r = (struct reg){.kind = REG_MEM, .flags = REG_READ_ONLY, .trust = TRUST_UNTRUSTED, .s = scalar_const(0)};
            break;
        case OBJECT:
        case OBJECT_OR_NULL:
        case ANY_OBJECT:
            *r = (struct reg){.kind = REG_BTF,
                              .flags = p->args[i].kind == OBJECT_OR_NULL ? REG_MAYBE_NULL : 0,
                              .trust = p->args[i].kind == ANY_OBJECT ? TRUST_UNTRUSTED : TRUST_TRUSTED,
                              .id = ++v->next_id,
                              .size = p->args[i].type,
                              .btf = v->prog->kernel_btf,
                              .s = scalar_const(0)};
            break;
        default:
            r->kind = REG_MEM;
            r->size = p->args[i].size;
            if (p->args[i].kind == MEMORY_OR_NULL) {
                r->flags = REG_MAYBE_NULL;
                r->id = ++v->next_id;
            }
            break;
        }
    }
    return REASON_ok;
}

static enum reason begin(struct verifier *v, uint32_t func)
{
    enum reason reason;
    struct state *s = state_new(&v->pool);

    if (!s || !state_push_frame(&v->pool, s, func, UINT32_MAX) || !uses_enter(v, s, &s->frames[0]->inst))
        return REASON_out_of_memory;
    reason = global_arguments(v, func, s);
    if (reason) {
        state_free(&v->pool, s);
        return reason;
    }
    s->insn = v->prog->funcs[func].start;
    v->work = s;
    v->n_work = 1;
    return REASON_ok;
}

enum reason global_verify_called(struct verifier *v, uint32_t *insn)
{
    enum reason reason = REASON_ok;
    bool again = true;

    if (v->prog->exception_cb) /* is presumed to be called */
        v->called[v->prog->exception_cb] = true;
    while (again && !reason) {
        again = false;
        for (uint32_t f = 1; f < v->prog->n_funcs && !reason; f++) {
            if (!v->called[f])
                continue;
            v->called[f] = false;
            if (v->func_done[f])
                continue;
            v->func_done[f] = again = true;
            *insn = v->prog->funcs[f].start;
            reason = begin(v, f);
            if (!reason)
                reason = explore(v, insn);
        }
    }
    return reason;
}

uint32_t global_called_at(const struct verifier *v, const struct insn *insn)
{
    for (uint32_t f = 1; f < v->prog->n_funcs && insn->op == ISA_CALL_LOCAL && !insn->poisoned; f++)
        if (v->prog->funcs[f].start == insn->target)
            return v->prog->funcs[f].global ? f : 0;
    return 0;
}

/* What a function does, and all that it may call. */
bool global_init(struct verifier *v)
{
    const struct prog *p = v->prog;
    bool changed = true;

    v->func_effects = calloc(p->n_funcs + 1, sizeof(*v->func_effects));
    v->called = calloc(2 * (size_t)p->n_funcs + 1, sizeof(*v->called));
    if (!v->func_effects || !v->called)
        return false;
    v->func_done = v->called + p->n_funcs;
    while (changed) {
        changed = false;
        for (uint32_t f = 0; f < p->n_funcs; f++)
            for (uint32_t i = p->funcs[f].start; i < p->funcs[f].end; i++) {
                const struct insn *insn = insn_at(v, i);
                const struct helper *h;
                uint32_t effects = v->func_effects[f];

                if (insn->poisoned)
                    continue;
                if (insn->op == ISA_CALL_KFUNC)
                    effects |= kfunc_effects(kfunc_at(v, i));
                if (insn->op == ISA_CALL_HELPER && (h = helper_set_find(p->helpers, (uint32_t)insn->imm)))
                    effects |= h->effects;
                for (uint32_t c = 0; (insn->op == ISA_CALL_LOCAL || insn->op == ISA_LD_FUNC) && c < p->n_funcs; c++)
                    if (p->funcs[c].start == insn->target)
                        effects |= v->func_effects[c];
                changed |= effects != v->func_effects[f];
                v->func_effects[f] = effects;
            }
    }
    return true;
}

void global_free(struct verifier *v)
{
    free(v->protos);
    free(v->func_effects);
    free(v->called);
}
