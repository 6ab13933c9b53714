/*
 * Lowering to level 0: op i stands for slot i, for every slot, and one more op at the end traps what ran past it. What
 * an instruction names (a map, a helper, a function, a field of the context) is an address afterwards. What cannot be
 * resolved becomes OP_TRAP with its reason, never a failure: it may lie where no run comes.
 */
#include "vm/lower.h"
#include "vm/abi/kfuncs.h"
#include "vm/abi/prog_types.h"
#include "vm/arena_op.h"
#include "vm/maps/arena.h"
#include "vm/mock.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { HELPER_TAIL_CALL = 12 };

static int trap_op(struct code *code, struct op *op, enum trap_kind kind, const char *reason)
{
    struct prog_poison *why = ARENA_NEW(&code->arena, struct prog_poison);

    if (!why || !reason)
        return -ENOMEM;
    why->kind = kind;
    why->reason = reason;
    *op = (struct op){.kind = OP_TRAP, .imm = (uintptr_t)why};
    return 0;
}

#define TRAP_OP(code, op, kind, ...) trap_op(code, op, TRAP_##kind, arena_printf(&(code)->arena, __VA_ARGS__))

static int lower_map(struct code *code, struct op *op, const struct insn *insn)
{
    bool value = insn->op == ISA_LD_MAP_VALUE;
    uint32_t i = value ? (uint32_t)((uint64_t)insn->imm >> 32) : (uint32_t)insn->imm;
    struct map *map = code->maps[i];

    if (!map)
        return TRAP_OP(code, op, bad_insn, "map '%s' was not created", code->prog->maps[i]->name);
    op->kind = OP_CONST_WIDE;
    op->imm = (uintptr_t)map;
    if (value && map->def.type == MAP_TYPE_ARENA) {
        op->imm = map_arena_start(map) + (uint32_t)insn->imm;
    } else if (value) {
        char *base = map->ops->direct ? map->ops->direct(map) : NULL;
        if (!base)
            return TRAP_OP(code, op, bad_insn, "map '%s' has no value that an instruction may name", map->def.name);
        op->imm = (uintptr_t)(base + (uint32_t)insn->imm);
    }
    return 0;
}

/* A call of what the row says, or of what goes through mocks in its place. */
static int lower_call(struct code *code, struct op *op, const struct helper *helper)
{
    struct mock_set *mocks = code->prog->helpers ? code->prog->helpers->mocks : NULL;
    skep_helper_fn body = mock_wrap(mocks, helper);
    uint32_t i;

    if (helper->effects & EFFECT_ENGINE && helper->id == HELPER_TAIL_CALL) {
        op->kind = OP_TAIL_CALL;
    } else if (!body && helper->id >= KFUNC_FIRST_ID) {
        return TRAP_OP(code, op, kfunc_missing, "kernel function bpf_%s is not available here", helper->name);
    } else if (!body) {
        return TRAP_OP(code, op, helper_missing, "helper bpf_%s is not available here", helper->name);
    } else {
        op->kind = OP_CALL_BODY;
        op->imm = (uintptr_t)body;
    }
    for (i = 0; i < code->n_helpers && code->helpers[i] != helper; i++)
        ;
    if (i > UINT16_MAX)
        return TRAP_OP(code, op, helper_missing, "more than 65536 different helpers in one program");
    if (i == code->n_helpers)
        code->helpers[code->n_helpers++] = helper;
    op->aux = (uint16_t)i;
    return 0;
}

static int lower_helper(struct code *code, struct op *op, const struct insn *insn)
{
    const struct helper *helper = helper_for(
        code->prog->helpers, code->prog->type ? code->prog->type->id : PROG_TYPE_UNSPEC, (uint32_t)insn->imm);

    if (!helper)
        return TRAP_OP(code, op, helper_missing, "there is no helper %u", (uint32_t)insn->imm);
    return lower_call(code, op, helper);
}

/* A kernel function: a row of the table, or what a mock stands for. */
static int lower_kfunc(struct code *code, struct op *op, const struct insn *insn)
{
    bool named = (uint64_t)insn->imm < code->prog->n_externs;
    const char *name = named ? code->prog->externs[insn->imm].name : NULL;
    struct mock_set *mocks = code->prog->helpers ? code->prog->helpers->mocks : NULL;
    const struct helper *helper;

    if (!named)
        return TRAP_OP(code, op, kfunc_missing, "kernel function (BTF id %d) is not available here", (int)insn->imm);
    if (code->prog->externs[insn->imm].kfunc)
        return lower_call(code, op, &code->prog->externs[insn->imm].kfunc->call);
    helper = mocks ? mock_kfunc(mocks, name) : NULL;
    if (!helper)
        return TRAP_OP(code, op, kfunc_missing, "kernel function '%s' is not available here", name);
    return lower_call(code, op, helper);
}
/* A mock may stand for what is not there. @return true: it does. */
static bool lower_mocked(struct code *code, struct op *op, const struct insn *insn)
{
    const struct prog_poison *poison = &code->prog->poison[insn->imm];
    struct mock_set *mocks = code->prog->helpers ? code->prog->helpers->mocks : NULL;
    const struct helper *helper = NULL;

    if (!mocks)
        return false;
    if (insn->op == ISA_CALL_HELPER && poison->kind == TRAP_helper_missing)
        helper = helper_find(poison->helper);
    else if (insn->op == ISA_CALL_KFUNC && poison->function)
        helper = mock_kfunc(mocks, poison->function);
    return helper && mock_wrap(mocks, helper) && !lower_call(code, op, helper);
}

static uint32_t func_index(const struct prog *prog, uint32_t slot)
{
    return (uint32_t)(prog_func_at(prog, slot) - prog->funcs);
}

static bool is_load(unsigned op)
{
    return op >= ISA_LDX_W && op <= ISA_LDSX_B;
}
_Static_assert(OP_PROBE_LDSX_B - OP_PROBE_LDX_W == ISA_LDSX_B - ISA_LDX_W, "probes stand in the order of the loads");

/* May a program that nothing was proved of come by pointers to kernel objects? Linux has its loads through them yield 0
 * where they lead nowhere. */
static bool may_probe(const struct prog *prog)
{
    if (prog->type && prog->type->traits & PROG_TYPED_ARGS)
        return true;
    for (uint32_t i = 0; i < prog->n_insns; i++) {
        const struct insn *insn = &prog->insns[i];
        const struct helper *h;

        if (insn->poisoned || insn->wide_tail)
            continue;
        if (insn->op == ISA_LD_BTF_ID || insn->op == ISA_CALL_KFUNC)
            return true;
        h = insn->op == ISA_CALL_HELPER ? helper_set_find(prog->helpers, (uint32_t)insn->imm) : NULL;
        if (h && helper_names_kernel_object(h))
            return true;
    }
    return false;
}

/* A 4-byte load that may be one of a packet pointer field. With facts it is known which; without, it is found out at
 * run time, in programs whose context has such fields. */
static void lower_load_w(struct code *code, struct op *op, const struct fact *fact)
{
    const struct ctx_layout *layout = code->prog->type ? code->prog->type->ctx : NULL;
    const struct ctx_field *field;

    if (!layout || layout->packet != CTX_PACKET_YIELDED || op->src == 10)
        return;
    if (!fact || fact->mem == FACT_MEM_ANY) {
        op->kind = OP_LDX_W_CTX;
        return;
    }
    if (fact->mem != FACT_MEM_CTX || !(field = ctx_field_at(layout, fact->ctx_off)) || field->off != fact->ctx_off)
        return;
    if (field->kind == CTX_PACKET)
        op->kind = OP_CTX_DATA;
    else if (field->kind == CTX_PACKET_END)
        op->kind = OP_CTX_DATA_END;
    else if (field->kind == CTX_PACKET_META)
        op->kind = OP_CTX_DATA_META;
}

/* Does this operation work on the arena? Where nothing was proved, all may that do not name the stack. */
static bool is_arena(const struct insn *insn, const struct fact *proved)
{
    enum isa_form form = isa_rows[insn->op].form;

    if (proved)
        return proved->arena;
    return (form == ISA_FORM_LDX || form == ISA_FORM_LOAD_ACQ ? insn->src : insn->dst) != 10;
}

/* Arithmetic that Linux does in 32 bits on pointers into the arena: whatever is a row of four. */
static bool is_arithmetic(unsigned op)
{
    return isa_rows[op].form == ISA_FORM_ALU_K || isa_rows[op].form == ISA_FORM_ALU_X;
}

/* fact: what may be used to be faster; proved: what is known of the slot, whether or not it may. probes: the slot loads
 * through a pointer to a kernel object, or may do so. */
static int lower_one(struct code *code, uint32_t slot, const struct fact *fact, const struct fact *proved, bool probes)
{
    const struct prog *prog = code->prog;
    const struct insn *insn = &prog->insns[slot];
    struct op *op = &code->ops[slot];

    *op = (struct op){.kind = insn->op,
                      .dst = insn->dst,
                      .src = insn->src,
                      .off = insn->off,
                      .target = insn->target,
                      .imm = (uint64_t)insn->imm};
    if (insn->poisoned) {
        if (!lower_mocked(code, op, insn))
            *op = (struct op){.kind = OP_TRAP, .imm = (uintptr_t)&prog->poison[insn->imm]};
        return 0;
    }
    if (insn->wide_tail)
        return trap_op(code, op, TRAP_bad_jump, "second slot of ld_imm64");
    if (code->arena_map && isa_access_size((enum isa_op)insn->op) && is_arena(insn, proved))
        return arena_lower(code, op, insn, !proved);
    if (proved && proved->arena && isa_rows[insn->op].width == 64 && is_arithmetic(insn->op)) {
        op->kind = (uint16_t)(insn->op + (ISA_ADD32_K - ISA_ADD64_K));
        return 0;
    }
    if (probes && is_load(insn->op) && insn->src != 10) {
        op->kind = (uint16_t)(OP_PROBE_LDX_W + insn->op - ISA_LDX_W);
        return 0;
    }
    switch (insn->op) {
    case ISA_LD_IMM64: op->kind = OP_CONST_WIDE; return 0;
    case ISA_LD_MAP_FD:
    case ISA_LD_MAP_VALUE: return lower_map(code, op, insn);
    case ISA_LD_FUNC:
        op->kind = OP_CONST_WIDE;
        op->imm = (uintptr_t)&code->funcs[func_index(prog, insn->target)];
        return 0;
    case ISA_LD_BTF_ID:
        return TRAP_OP(code, op, kfunc_missing, "kernel variable (BTF id %d) has no address here", (int)insn->imm);
    case ISA_CALL_HELPER: return lower_helper(code, op, insn);
    case ISA_CALL_LOCAL: op->imm = func_index(prog, insn->target); return 0;
    case ISA_CALL_KFUNC: return lower_kfunc(code, op, insn);
    case ISA_ADDR_SPACE_CAST:
        if (code->arena_map)
            return arena_lower_cast(code, op, insn), 0;
        return TRAP_OP(code, op, address_space, "cast to address space %d", (int)(insn->imm >> 16));
    case ISA_LDX_W: lower_load_w(code, op, fact); return 0;
    case ISA_INVALID: return TRAP_OP(code, op, bad_insn, "unknown opcode");
    default: return 0;
    }
}

/*
 * Bytes of its frame that a function may touch. Accesses at r10 + constant say so themselves; as soon as the address
 * itself goes anywhere else, all of the frame may be touched.
 */
static uint32_t stack_depth(const struct prog *prog, const struct prog_func *func)
{
    int32_t low = 0;

    for (uint32_t i = func->start; i < func->end; i++) {
        const struct insn *insn = &prog->insns[i];
        enum isa_form form = isa_rows[insn->op].form;
        bool base_dst = insn->dst == 10, base_src = insn->src == 10;
        if (insn->poisoned || insn->wide_tail || (!base_dst && !base_src))
            continue;
        if (form == ISA_FORM_LDX || form == ISA_FORM_LOAD_ACQ)
            base_dst = false; /* the other operand is no use of the value of r10 */
        else if (form == ISA_FORM_LDIMM)
            continue;
        else if ((form != ISA_FORM_ST && form != ISA_FORM_STX && form != ISA_FORM_STORE_REL &&
                  form != ISA_FORM_ATOMIC) ||
                 (base_src && form != ISA_FORM_ST))
            return PROG_STACK_FRAME;
        if ((base_dst || base_src) && insn->off < low)
            low = insn->off;
    }
    return low < -PROG_STACK_FRAME ? PROG_STACK_FRAME : ((uint32_t)-low + 7) & ~7u;
}

/* A function that may run on into the next one uses that one's frame needs as well. */
static void find_depths(struct code *code, bool clears)
{
    const struct prog *prog = code->prog;

    for (uint32_t i = prog->n_funcs; i-- > 0;) {
        const struct prog_func *f = &prog->funcs[i];
        const struct insn *last = &prog->insns[f->end - 1];
        struct code_func *cf = &code->funcs[i];
        *cf = (struct code_func){.code = code, .op = f->start, .stack_depth = stack_depth(prog, f)};
        if (!last->poisoned && last->op != ISA_EXIT && last->op != ISA_JA && last->op != ISA_GOTOL &&
            i + 1 < prog->n_funcs)
            if (cf[1].stack_depth > cf->stack_depth)
                cf->stack_depth = cf[1].stack_depth;
        cf->clear_depth = clears ? cf->stack_depth : 0;
    }
}

/* What engines and lowering may use of the facts: all or nothing. */
static const struct facts *usable(const struct code *code, const struct facts *facts)
{
    return facts && facts->n_insns >= code->prog->n_insns && code->opts.opts & CODE_OPT_FACTS ? facts : NULL;
}

static int lower_all(struct code *code, const struct facts *proved, const struct facts *facts)
{
    const struct prog *prog = code->prog;
    struct arena *a = &code->arena;
    uint32_t calls = 0;
    bool probes = !proved && may_probe(prog);
    int err = 0;

    code->arena_map = arena_of_code(code);
    for (uint32_t i = 0; i < prog->n_insns; i++)
        calls += prog->insns[i].op == ISA_CALL_HELPER || prog->insns[i].op == ISA_CALL_KFUNC;
    code->n_ops = prog->n_insns + 1;
    code->n_funcs = prog->n_funcs;
    code->ops = ARENA_ARRAY(a, struct op, code->n_ops);
    code->slot = ARENA_ARRAY(a, uint32_t, code->n_ops);
    code->funcs = ARENA_ARRAY(a, struct code_func, code->n_funcs);
    code->helpers = ARENA_ARRAY(a, const struct helper *, calls < UINT16_MAX ? calls : UINT16_MAX + 1);
    if (!code->ops || !code->slot || !code->funcs || !code->helpers)
        return -ENOMEM;
    find_depths(code, !facts || facts->reads_unwritten_stack);
    for (uint32_t i = 0; i < prog->n_insns && !err; i++) {
        code->slot[i] = i;
        err = lower_one(code, i, facts ? &facts->insns[i] : NULL, proved ? &proved->insns[i] : NULL,
                        probes || (proved && proved->insns[i].mem == FACT_MEM_KERNEL));
    }
    code->slot[prog->n_insns] = prog->n_insns - 1;
    if (!err)
        err = trap_op(code, &code->ops[prog->n_insns], TRAP_bad_jump, "control ran past the last instruction");
    if (!err && code->opts.opts & CODE_OPT_INLINE)
        err = code_inline(code);
    if (!err && code->opts.opts & CODE_OPT_FUSE)
        err = code_fuse(code);
    return err;
}

int code_lower(struct prog *prog, const struct facts *facts, struct map *const *maps, const struct code_opts *opts,
               const struct engine *engine, const struct log *log, struct code **out)
{
    struct code *code = calloc(1, sizeof(*code));
    int err = -ENOMEM;

    if (!code)
        return -ENOMEM;
    code->refs = 1;
    code->prog = prog_get(prog);
    code->opts = *opts;
    if (opts->traced) {
        code->opts.checked = true;
        code->opts.opts = 0;
    }
    code->opts.opts &= engine->passes;
    code->maps = ARENA_ARRAY(&code->arena, struct map *, prog->n_maps);
    if (code->maps) {
        for (uint32_t i = 0; i < prog->n_maps; i++)
            code->maps[i] = maps[i] ? map_get(maps[i]) : NULL;
        const struct facts *proved = facts && facts->n_insns >= prog->n_insns ? facts : NULL;

        err = lower_all(code, proved, facts = usable(code, facts));
    }
    if (!err) {
        code->engine = engine;
        err = engine->prepare(code, facts, log);
    }
    if (err) {
        code_destroy(code);
        return err == -ENOMEM ? log_fail(log, err, "program '%s': out of memory", prog->name) : err;
    }
    *out = code;
    return 0;
}
