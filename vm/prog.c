/*
 * Making a program: bytes are decoded slot by slot into prog->insns, then functions are bounded, then jumps resolved.
 * What is wrong with the form of a slot is one of `enum form`; `spoil` is the only place that decides what that means:
 * a failure that names the instruction, or, when lenient, a poisoned slot. A poisoned slot never falls through and
 * never jumps, so later passes need not look at it. Until prog_new() returns nobody else sees the program.
 */
#include "vm/prog.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum form {
    FORM_UNKNOWN,
    FORM_RESERVED,
    FORM_REGISTER,
    FORM_WIDE,
    FORM_FRAME_POINTER,
    FORM_MAP,
    FORM_MAP_VALUE,
    FORM_JUMP_RANGE,
    FORM_JUMP_MIDDLE,
    FORM_CALL_RANGE,
    FORM_CALL_REG,
    FORM_LAST,
    FORM_KINDS,
};

static const struct {
    enum trap_kind kind;
    const char *text;
} forms[FORM_KINDS] = {
    [FORM_UNKNOWN] = {TRAP_bad_insn, "unknown opcode"},
    [FORM_RESERVED] = {TRAP_bad_insn, "uses reserved fields"},
    [FORM_REGISTER] = {TRAP_bad_insn, "names a register above r10"},
    [FORM_WIDE] = {TRAP_bad_insn, "invalid ld_imm64: its second slot is missing or not empty"},
    [FORM_FRAME_POINTER] = {TRAP_frame_pointer, "frame pointer is read only"},
    [FORM_MAP] = {TRAP_bad_insn, "refers to a map that the program does not have"},
    [FORM_MAP_VALUE] = {TRAP_bad_insn, "offset lies outside the map's value"},
    [FORM_JUMP_RANGE] = {TRAP_bad_jump, "jump out of range"},
    [FORM_JUMP_MIDDLE] = {TRAP_bad_jump, "jump into the middle of ld_imm64"},
    [FORM_CALL_RANGE] = {TRAP_bad_call, "call or function pointer to what is no function"},
    [FORM_CALL_REG] = {TRAP_bad_call, "call through a register"},
    [FORM_LAST] = {TRAP_bad_jump, "last insn is not an exit or jmp"},
};

struct maker {
    const struct prog_spec *spec;
    const struct log *log;
    struct prog *prog;
    bool lenient;
    struct prog_poison *poison;
    uint32_t form_poison[FORM_KINDS]; /* index + 1 of the poison that stands for this form */
};

static uint32_t poison_of(struct maker *m, enum form form)
{
    if (!m->form_poison[form]) {
        m->poison[m->prog->n_poison] = (struct prog_poison){.kind = forms[form].kind, .reason = forms[form].text};
        m->form_poison[form] = ++m->prog->n_poison;
    }
    return m->form_poison[form] - 1;
}

/* What is wrong with this slot: fails, or makes it trap. */
static int spoil(struct maker *m, uint32_t at, enum form form)
{
    struct insn *insn = &m->prog->insns[at];

    if (insn->poisoned)
        return 0;
    /* A write to r10 that is never reached is no fault: Linux refuses it where the path comes by. */
    if (!m->lenient && form != FORM_FRAME_POINTER) {
        const struct skep_insn *raw = &m->spec->insns[at];
        if (form == FORM_JUMP_RANGE || form == FORM_JUMP_MIDDLE || form == FORM_CALL_RANGE)
            return log_fail(m->log, -EINVAL, "insn %u: %s (to %lld of %u)", at, forms[form].text,
                            (long long)(int32_t)insn->target, m->prog->n_insns);
        return log_fail(m->log, -EINVAL, "insn %u: %s (%02x dst %u src %u off %d imm %d)", at, forms[form].text,
                        raw->code, raw->dst_reg, raw->src_reg, raw->off, raw->imm);
    }
    insn->imm = poison_of(m, form);
    insn->poisoned = 1;
    return 0;
}

static bool writes_frame_pointer(const struct skep_insn *raw, enum isa_op op)
{
    switch (isa_rows[op].form) {
    case ISA_FORM_ALU_K:
    case ISA_FORM_ALU_X:
    case ISA_FORM_MOVSX:
    case ISA_FORM_NEG:
    case ISA_FORM_END:
    case ISA_FORM_LDX:
    case ISA_FORM_LOAD_ACQ:
    case ISA_FORM_LDIMM:
    case ISA_FORM_CAST: return raw->dst_reg == 10;
    /* FETCH (bit 0) puts the old value into src, except CMPXCHG, which puts it into r0. */
    case ISA_FORM_ATOMIC: return raw->src_reg == 10 && (raw->imm & 1) && raw->imm != 0xf1;
    default: return false;
    }
}

/* Bytes that an instruction may name without a key: of the one value, or of an arena, whose end has an address too. */
static uint64_t direct_size(const struct map_def *map)
{
    enum { PAGE = 4096 };

    return map->type == MAP_TYPE_ARENA ? (uint64_t)map->max_entries * PAGE + 1 : map->value_size;
}

static int decode_wide(struct maker *m, uint32_t at)
{
    const struct skep_insn *raw = &m->spec->insns[at];
    struct insn *insn = &m->prog->insns[at];
    uint32_t n = m->prog->n_insns;

    if (at + 1 >= n || raw[1].code || raw[1].dst_reg || raw[1].src_reg || raw[1].off)
        return spoil(m, at, FORM_WIDE);
    m->prog->insns[at + 1].wide_tail = 1;
    if (insn->poisoned)
        return 0;
    switch (insn->op) {
    case ISA_LD_MAP_FD:
    case ISA_LD_MAP_IDX:
        insn->op = ISA_LD_MAP_FD;
        if (raw[1].imm)
            return spoil(m, at, FORM_RESERVED);
        if ((uint32_t)raw->imm >= m->prog->n_maps)
            return spoil(m, at, FORM_MAP);
        break;
    case ISA_LD_MAP_VALUE:
    case ISA_LD_MAP_IDX_VALUE:
        insn->op = ISA_LD_MAP_VALUE;
        if ((uint32_t)raw->imm >= m->prog->n_maps)
            return spoil(m, at, FORM_MAP);
        if ((uint32_t)raw[1].imm >= direct_size(m->prog->maps[raw->imm]))
            return spoil(m, at, FORM_MAP_VALUE);
        insn->imm = (int64_t)((uint64_t)(uint32_t)raw->imm << 32 | (uint32_t)raw[1].imm);
        break;
    case ISA_LD_FUNC:
        insn->imm = raw->imm;
        insn->target = at + 1 + (uint32_t)raw->imm;
        if (insn->target >= n)
            return spoil(m, at, FORM_CALL_RANGE);
        break;
    default: insn->imm = (int64_t)((uint64_t)(uint32_t)raw[1].imm << 32 | (uint32_t)raw->imm);
    }
    return 0;
}

static int decode(struct maker *m, uint32_t at)
{
    const struct skep_insn *raw = &m->spec->insns[at];
    struct insn *insn = &m->prog->insns[at];
    enum isa_op op = isa_decode(raw);

    insn->op = (uint16_t)op;
    insn->dst = raw->dst_reg;
    insn->src = raw->src_reg;
    insn->off = raw->off;
    if (!insn->poisoned)
        insn->imm = raw->imm;
    if (isa_is_wide(op)) { /* also when poisoned: its second slot is no instruction */
        int err = decode_wide(m, at);
        if (err)
            return err;
    }
    if (insn->poisoned)
        return 0;
    if (op == ISA_INVALID)
        return spoil(m, at, FORM_UNKNOWN);
    if (raw->dst_reg > 10 || (raw->src_reg > 10 && isa_rows[op].form != ISA_FORM_LDIMM))
        return spoil(m, at, FORM_REGISTER);
    if (!isa_fields_ok(raw, op))
        return spoil(m, at, FORM_RESERVED);
    if (writes_frame_pointer(raw, op))
        return spoil(m, at, FORM_FRAME_POINTER);
    switch (isa_rows[op].form) {
    case ISA_FORM_JMP_K:
    case ISA_FORM_JMP_X:
    case ISA_FORM_GOTO_OFF:
    case ISA_FORM_MAY_GOTO: insn->target = at + 1 + (uint32_t)(int32_t)raw->off; break;
    case ISA_FORM_GOTO_IMM: insn->target = at + 1 + (uint32_t)raw->imm; break;
    case ISA_FORM_CALL:
        if (op == ISA_CALL_LOCAL) {
            insn->target = at + 1 + (uint32_t)raw->imm;
            if (insn->target >= m->prog->n_insns)
                return spoil(m, at, FORM_CALL_RANGE);
        }
        break;
    case ISA_FORM_CALL_REG: return spoil(m, at, FORM_CALL_REG);
    default: break;
    }
    return 0;
}

static bool names_function(const struct insn *insn)
{
    return !insn->poisoned && !insn->wide_tail && (insn->op == ISA_CALL_LOCAL || insn->op == ISA_LD_FUNC);
}

static bool jumps(const struct insn *insn)
{
    if (insn->poisoned || insn->wide_tail)
        return false;
    switch (isa_rows[insn->op].form) {
    case ISA_FORM_JMP_K:
    case ISA_FORM_JMP_X:
    case ISA_FORM_GOTO_OFF:
    case ISA_FORM_GOTO_IMM:
    case ISA_FORM_MAY_GOTO: return true;
    default: return false;
    }
}

/* Functions as given, or found as Linux finds them: wherever a local call or a function pointer goes, reached or not.
 */
static int find_funcs(struct maker *m)
{
    const struct prog_spec *spec = m->spec;
    struct prog *prog = m->prog;
    uint32_t n = prog->n_insns, count = 0;
    unsigned char *starts = calloc(1, n);

    if (!starts)
        return -ENOMEM;
    starts[0] = 1;
    for (uint32_t i = 0; i < spec->n_funcs; i++) {
        const struct prog_func *f = &spec->funcs[i];
        if (f->start >= n || f->end > n || f->start >= f->end || prog->insns[f->start].wide_tail) {
            free(starts);
            return log_fail(m->log, -EINVAL, "function '%s' has impossible bounds [%u, %u) of %u",
                            f->name ? f->name : "", f->start, f->end, n);
        }
        starts[f->start] = 1;
    }
    if (!spec->n_funcs)
        for (uint32_t i = 0; i < n; i++)
            if (names_function(&prog->insns[i]) && !prog->insns[prog->insns[i].target].wide_tail)
                starts[prog->insns[i].target] = 1;
    for (uint32_t i = 0; i < n; i++)
        count += starts[i];
    prog->funcs = ARENA_ARRAY(&prog->arena, struct prog_func, count);
    if (!prog->funcs) {
        free(starts);
        return -ENOMEM;
    }
    for (uint32_t i = 0, k = 0; i < n; i++) {
        if (!starts[i])
            continue;
        struct prog_func *f = &prog->funcs[k++];
        f->start = i;
        f->end = n;
        if (k > 1)
            f[-1].end = i;
    }
    prog->n_funcs = count;
    free(starts);
    return 0;
}

static struct prog_func *func_from(const struct prog *prog, uint32_t start)
{
    uint32_t lo = 0, hi = prog->n_funcs;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (prog->funcs[mid].start < start)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < prog->n_funcs && prog->funcs[lo].start == start ? &prog->funcs[lo] : NULL;
}

static int name_funcs(struct maker *m)
{
    struct prog *prog = m->prog;

    for (uint32_t i = 0; i < m->spec->n_funcs; i++) {
        const struct prog_func *given = &m->spec->funcs[i];
        struct prog_func *f = func_from(prog, given->start);
        f->btf_id = given->btf_id;
        f->global = given->global;
        if (given->name && !(f->name = arena_strdup(&prog->arena, given->name)))
            return -ENOMEM;
    }
    for (uint32_t i = 0; i < prog->n_funcs; i++) {
        struct prog_func *f = &prog->funcs[i];
        if (!f->name)
            f->name = i ? arena_printf(&prog->arena, "func_%u", f->start) : prog->name;
        if (!f->name)
            return -ENOMEM;
    }
    return 0;
}

/* Jumps stay inside their function; a function ends with what does not fall through. */
static int check_flow(struct maker *m)
{
    struct prog *prog = m->prog;
    int err = 0;

    for (uint32_t k = 0; k < prog->n_funcs; k++) {
        struct prog_func *f = &prog->funcs[k];
        uint32_t last = f->end - 1;
        for (uint32_t i = f->start; i < f->end && !err; i++) {
            struct insn *insn = &prog->insns[i];
            if (jumps(insn)) {
                if (insn->target < f->start || insn->target >= f->end)
                    err = spoil(m, i, FORM_JUMP_RANGE);
                else if (prog->insns[insn->target].wide_tail)
                    err = spoil(m, i, FORM_JUMP_MIDDLE);
            } else if (names_function(insn) && !func_from(prog, insn->target)) {
                err = spoil(m, i, FORM_CALL_RANGE);
            }
        }
        if (err)
            return err;
        struct insn *end = &prog->insns[last];
        if (!end->poisoned && end->op != ISA_EXIT && end->op != ISA_JA && end->op != ISA_GOTOL) {
            if (!m->lenient)
                return log_fail(m->log, -EINVAL, "insn %u: %s (function '%s')", last, forms[FORM_LAST].text, f->name);
            /* Lenient: what runs over the end of a function goes on with the next one, as the bytes say; what follows
             * the last function traps (code_lower). */
        }
    }
    return 0;
}

static const struct map_def *copy_def(struct arena *a, const struct map_def *def, unsigned depth)
{
    struct map_def *d = arena_memdup(a, def, sizeof(*def));

    if (d && def->inner) {
        d->inner = depth < 4 ? copy_def(a, def->inner, depth + 1) : NULL;
        if (!d->inner)
            return NULL;
    }
    return d;
}

static int copy_maps(struct maker *m)
{
    const struct prog_spec *spec = m->spec;
    const struct map_def **maps = ARENA_ARRAY(&m->prog->arena, const struct map_def *, spec->n_maps);

    if (!maps)
        return -ENOMEM;
    for (uint32_t i = 0; i < spec->n_maps; i++)
        if (!(maps[i] = copy_def(&m->prog->arena, spec->maps[i], 0)))
            return -ENOMEM;
    m->prog->maps = maps;
    m->prog->n_maps = spec->n_maps;
    return 0;
}

static int copy_lines(struct maker *m)
{
    const struct prog_spec *spec = m->spec;
    struct arena *a = &m->prog->arena;
    struct prog_line *lines = ARENA_ARRAY(a, struct prog_line, spec->n_lines);
    const char *file = "", *given = NULL; /* lines mostly come from one file */

    if (!lines)
        return -ENOMEM;
    for (uint32_t i = 0; i < spec->n_lines; i++) {
        lines[i] = spec->lines[i];
        if (i && lines[i].insn < lines[i - 1].insn)
            return log_fail(m->log, -EINVAL, "lines are not sorted by instruction (line record %u)", i);
        if (lines[i].file != given) {
            given = lines[i].file;
            file = given ? arena_strdup(a, given) : "";
        }
        lines[i].file = file;
        lines[i].text = lines[i].text ? arena_strdup(a, lines[i].text) : "";
        if (!lines[i].file || !lines[i].text)
            return -ENOMEM;
    }
    m->prog->lines = lines;
    m->prog->n_lines = spec->n_lines;
    return 0;
}

static int copy_poison(struct maker *m)
{
    const struct prog_spec *spec = m->spec;
    struct prog *prog = m->prog;

    m->poison = arena_array(&prog->arena, (size_t)spec->n_poison + FORM_KINDS, sizeof(*m->poison));
    if (!m->poison)
        return -ENOMEM;
    prog->poison = m->poison;
    for (uint32_t i = 0; i < spec->n_poison; i++) {
        uint32_t at = spec->poison_at[i];
        if (at >= prog->n_insns)
            return log_fail(m->log, -EINVAL, "poisoned slot %u lies outside the program", at);
        m->poison[i].kind = spec->poison[i].kind;
        m->poison[i].helper = spec->poison[i].helper;
        m->poison[i].function = spec->poison[i].function ? arena_strdup(&prog->arena, spec->poison[i].function) : NULL;
        m->poison[i].reason = arena_strdup(&prog->arena, spec->poison[i].reason ? spec->poison[i].reason : "");
        if (!m->poison[i].reason)
            return -ENOMEM;
        prog->insns[at].poisoned = 1;
        prog->insns[at].imm = i;
    }
    prog->n_poison = spec->n_poison;
    return 0;
}

static int copy_externs(struct maker *m)
{
    const struct prog_spec *spec = m->spec;
    struct prog_extern *externs = ARENA_ARRAY(&m->prog->arena, struct prog_extern, spec->n_externs);

    if (!externs)
        return -ENOMEM;
    for (uint32_t i = 0; i < spec->n_externs; i++) {
        externs[i] = spec->externs[i];
        if (!(externs[i].name = arena_strdup(&m->prog->arena, spec->externs[i].name ? spec->externs[i].name : "")))
            return -ENOMEM;
    }
    m->prog->externs = externs;
    m->prog->n_externs = spec->n_externs;
    return 0;
}

static int copy_ksyms(struct maker *m)
{
    const struct prog_spec *spec = m->spec;
    struct prog_ksym *ksyms = ARENA_ARRAY(&m->prog->arena, struct prog_ksym, spec->n_ksyms);

    if (!ksyms)
        return -ENOMEM;
    for (uint32_t i = 0; i < spec->n_ksyms; i++) {
        ksyms[i] = spec->ksyms[i];
        if (!(ksyms[i].name = arena_strdup(&m->prog->arena, spec->ksyms[i].name)))
            return -ENOMEM;
    }
    m->prog->ksyms = ksyms;
    m->prog->n_ksyms = spec->n_ksyms;
    return 0;
}

static const char *copy_text(struct prog *prog, const char *text)
{
    return text ? arena_strdup(&prog->arena, text) : "";
}

static int copy_names(struct prog *prog, const struct prog_spec *spec)
{
    prog->name = copy_text(prog, spec->name);
    prog->section = copy_text(prog, spec->section);
    prog->file = copy_text(prog, spec->file);
    prog->license = copy_text(prog, spec->license);
    prog->attach_target = copy_text(prog, spec->attach_target);
    return prog->name && prog->section && prog->file && prog->license && prog->attach_target ? 0 : -ENOMEM;
}

static int fill(struct maker *m)
{
    const struct prog_spec *spec = m->spec;
    struct prog *prog = m->prog;
    int err;

    prog->type = spec->type;
    prog->attach_type = spec->attach_type;
    prog->sleepable = spec->sleepable;
    prog->exception_cb = spec->exception_cb < spec->n_funcs ? spec->exception_cb : 0;
    prog->helpers = spec->helpers;
    prog->btf = spec->btf;
    prog->fields = spec->fields;
    prog->kernel_btf = spec->kernel_btf;
    prog->n_insns = spec->n_insns;
    prog->insns = ARENA_ARRAY(&prog->arena, struct insn, spec->n_insns);
    if (!prog->insns)
        return -ENOMEM;
    if ((err = copy_names(prog, spec)) || (err = copy_maps(m)) || (err = copy_lines(m)) || (err = copy_externs(m)) ||
        (err = copy_ksyms(m)) || (err = copy_poison(m)))
        return err;
    for (uint32_t i = 0; i < prog->n_insns && !err; i++)
        if (!prog->insns[i].wide_tail)
            err = decode(m, i);
    if (err || (err = find_funcs(m)) || (err = name_funcs(m)))
        return err;
    return check_flow(m);
}

int prog_new(const struct prog_spec *spec, bool lenient, const struct log *log, struct prog **out)
{
    struct maker m = {.spec = spec, .log = log, .lenient = lenient};
    int err;

    if (!spec->n_insns)
        return log_fail(log, -EINVAL, "program has no instructions");
    if (spec->n_insns > PROG_MAX_INSNS)
        return log_fail(log, -E2BIG, "program has %u instructions, more than %u", spec->n_insns, PROG_MAX_INSNS);
    m.prog = calloc(1, sizeof(*m.prog));
    if (!m.prog)
        return -ENOMEM;
    m.prog->refs = 1;
    err = fill(&m);
    if (err) {
        arena_free(&m.prog->arena);
        free(m.prog);
        return err;
    }
    m.prog->btf_owner = spec->btf_owner;
    m.prog->kernel_owner = spec->kernel_owner;
    m.prog->put_btf = spec->put_btf;
    *out = m.prog;
    return 0;
}

struct prog *prog_get(struct prog *prog)
{
    __atomic_fetch_add(&prog->refs, 1, __ATOMIC_RELAXED);
    return prog;
}

void prog_put(struct prog *prog)
{
    if (!prog || __atomic_sub_fetch(&prog->refs, 1, __ATOMIC_ACQ_REL))
        return;
    if (prog->put_btf)
        prog->put_btf(prog->btf_owner);
    if (prog->put_btf && prog->kernel_owner)
        prog->put_btf(prog->kernel_owner);
    arena_free(&prog->arena);
    free(prog);
}

int32_t prog_map_index(const struct prog *prog, const struct map_def *map)
{
    for (uint32_t i = 0; i < prog->n_maps; i++)
        if (prog->maps[i] == map)
            return (int32_t)i;
    return -1;
}

const struct prog_func *prog_func_at(const struct prog *prog, uint32_t insn)
{
    uint32_t lo = 0, hi = prog->n_funcs;

    if (insn >= prog->n_insns)
        return NULL;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (prog->funcs[mid].start <= insn)
            lo = mid;
        else
            hi = mid;
    }
    return &prog->funcs[lo];
}

const struct prog_line *prog_line_at(const struct prog *prog, uint32_t insn)
{
    const struct prog_func *func = prog_func_at(prog, insn);
    uint32_t lo = 0, hi = prog->n_lines;

    while (lo < hi) { /* how many lines begin at or before insn */
        uint32_t mid = lo + (hi - lo) / 2;
        if (prog->lines[mid].insn <= insn)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (!func || !lo || prog->lines[lo - 1].insn < func->start)
        return NULL;
    return &prog->lines[lo - 1];
}

const struct prog_ksym *prog_ksym_at(const struct prog *prog, uint32_t insn)
{
    uint32_t lo = 0, hi = prog->n_ksyms;

    while (lo < hi) { /* how many stand before insn */
        uint32_t mid = lo + (hi - lo) / 2;
        if (prog->ksyms[mid].insn < insn)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < prog->n_ksyms && prog->ksyms[lo].insn == insn ? &prog->ksyms[lo] : NULL;
}
