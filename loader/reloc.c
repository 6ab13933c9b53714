/*
 * Relocations of code, understood once: each becomes a load_reloc that names a map, a place in a map's value, a
 * function or an extern, all checked to exist; linking only writes numbers. What a relocation means follows from the
 * instruction that it stands on and from its symbol's section, as in libbpf; the ELF relocation type is not looked at,
 * because clang and binutils number them differently.
 */
#include "loader/load.h"

#include <errno.h>
#include <string.h>

enum { CALL = 0x85, LD_IMM64 = 0x18 };

struct reader {
    struct object *obj;
    const struct log *log;
    const struct elf_section *sec;
    bool gas_addends; /* see has_gas_addends() */
};

static struct skep_insn insn_at(const struct elf_section *sec, uint64_t slot)
{
    struct skep_insn insn;

    memcpy(&insn, sec->data + slot * sizeof(insn), sizeof(insn));
    return insn;
}

static bool is_defined(const struct elf *elf, const struct elf_symbol *sym)
{
    return sym->shndx && sym->shndx < elf->n_sections;
}

/*
 * binutils up to 2.40 write into the instruction the symbol's value plus the addend (in bytes less 1 for calls), where
 * clang writes the addend alone. Such objects are known by gcc's .comment, and by no relocation against a symbol with a
 * name holding less than that symbol's value, which later binutils would show at once.
 */
static bool has_gas_addends(const struct elf *elf, const struct elf_section *rel, const struct elf_section *sec,
                            const struct elf_reloc *relocs, uint32_t n)
{
    const struct elf_section *comment = elf_section_by_name(elf, ".comment");

    if (rel->type != SHT_REL || !comment || !comment->data || !memmem(comment->data, comment->size, "GCC: ", 5))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        const struct elf_symbol *sym = &elf->symbols[relocs[i].sym];
        struct skep_insn insn;

        if (relocs[i].off % 8 || sym->type == STT_SECTION || !is_defined(elf, sym))
            continue;
        insn = insn_at(sec, relocs[i].off / 8);
        if (insn.code == LD_IMM64 && (uint64_t)(uint32_t)insn.imm < sym->value)
            return false;
    }
    return true;
}

/* Byte offset in the symbol's section that a two-slot load means. */
static int64_t address(const struct reader *r, const struct elf_reloc *rel, const struct elf_symbol *sym,
                       const struct skep_insn *insn)
{
    if (rel->has_addend)
        return (int64_t)sym->value + rel->addend;
    if (r->gas_addends && sym->type != STT_SECTION)
        return insn->imm;
    return (int64_t)sym->value + insn->imm;
}

/* Byte offset in .text that a call means. */
static int64_t callee(const struct reader *r, const struct elf_reloc *rel, const struct elf_symbol *sym,
                      const struct skep_insn *insn)
{
    if (rel->has_addend)
        return (int64_t)sym->value + rel->addend;
    if (r->gas_addends && sym->type != STT_SECTION && (int64_t)insn->imm == (int64_t)sym->value - 1)
        return (int64_t)sym->value;
    return (int64_t)sym->value + ((int64_t)insn->imm + 1) * 8;
}

static int bad(const struct reader *r, const struct load_reloc *reloc, const char *why)
{
    return log_fail(r->log, -EINVAL, SLOT_FMT ": relocation against '%s': %s", r->sec->name, reloc->insn, reloc->symbol,
                    why);
}

static int set_func(const struct reader *r, uint32_t sec, int64_t off, struct load_reloc *out)
{
    const struct object_elf *e = r->obj->elf;
    const struct load_func *f = NULL;

    if (sec != e->text)
        return bad(r, out, "functions that are called or pointed to must be in .text; drop their SEC()");
    if (off >= 0 && off % 8 == 0 && off / 8 <= PROG_MAX_INSNS)
        f = load_func_at(e, sec, (uint32_t)(off / 8));
    if (!f)
        return bad(r, out, "no function starts there");
    out->index = (uint32_t)(f - e->funcs);
    return 0;
}

static int set_call(const struct reader *r, const struct elf_reloc *rel, const struct elf_symbol *sym,
                    const struct skep_insn *insn, struct load_reloc *out)
{
    const struct object_elf *e = r->obj->elf;
    int32_t x = load_extern_of(e, rel->sym);

    if (insn->src_reg != 1 && (insn->src_reg || x < 0))
        return bad(r, out, "the call is not one of a function");
    if (x >= 0) {
        if (e->externs[x].kind != EXTERN_KSYM_FUNC)
            return bad(r, out, "called, but it is no function");
        out->kind = RELOC_EXTERN_CALL;
        out->index = (uint32_t)x;
        return 0;
    }
    out->kind = RELOC_CALL;
    if (!is_defined(&e->elf, sym))
        return bad(r, out, "the symbol is defined nowhere");
    return set_func(r, sym->shndx, callee(r, rel, sym, insn), out);
}

static int set_data(const struct reader *r, uint32_t map, int64_t off, struct load_reloc *out)
{
    out->kind = RELOC_DATA;
    if (off < 0 || off >= r->obj->maps[map].def.value_size)
        return bad(r, out, "the address is outside of its section");
    out->index = map;
    out->off = (uint32_t)off;
    return 0;
}

static int set_extern_address(const struct reader *r, uint32_t x, const struct skep_insn *insn, struct load_reloc *out)
{
    const struct object_elf *e = r->obj->elf;

    if (e->externs[x].kind == EXTERN_KCONFIG)
        return set_data(r, (uint32_t)e->kconfig_map, (int64_t)e->externs[x].off + insn->imm, out);
    out->kind = RELOC_EXTERN_ADDR;
    out->index = x;
    out->off = (uint32_t)insn->imm;
    return 0;
}

static int set_address(const struct reader *r, const struct elf_reloc *rel, const struct elf_symbol *sym,
                       const struct skep_insn *insn, struct load_reloc *out)
{
    const struct object_elf *e = r->obj->elf;
    int32_t x = load_extern_of(e, rel->sym), map;
    const struct elf_section *s;
    int64_t off;

    if (x >= 0)
        return set_extern_address(r, (uint32_t)x, insn, out);
    if (!is_defined(&e->elf, sym))
        return bad(r, out, "the symbol is defined nowhere");
    s = &e->elf.sections[sym->shndx];
    off = address(r, rel, sym, insn);
    if (elf_is_code(s)) {
        out->kind = RELOC_FUNC;
        return set_func(r, sym->shndx, off, out);
    }
    if (sym->shndx == e->maps_sec) {
        map = off >= 0 ? load_map_at(e, (uint64_t)off) : -1;
        if (map < 0 || e->maps_off[map] != (uint64_t)off)
            return bad(r, out, "no map of section '.maps' starts there");
        out->kind = RELOC_MAP;
        out->index = (uint32_t)map;
        return 0;
    }
    if (e->data_map[sym->shndx] >= 0)
        return set_data(r, (uint32_t)e->data_map[sym->shndx], off, out);
    if (!strcmp(s->name, LOAD_ARENA_SECTION) && e->arena_map >= 0) {
        if (off < 0 || (uint64_t)off >= s->size)
            return bad(r, out, "the address is outside of its section");
        out->kind = RELOC_ARENA;
        out->index = (uint32_t)e->arena_map;
        out->off = (uint32_t)off;
        return 0;
    }
    return log_fail(r->log, -EINVAL, SLOT_FMT ": '%s' is in section '%s', which is neither code, maps nor data",
                    r->sec->name, out->insn, out->symbol, s->name);
}

static int understand(const struct reader *r, const struct elf_reloc *rel, struct load_reloc *out)
{
    const struct elf *elf = &r->obj->elf->elf;
    const struct elf_symbol *sym = &elf->symbols[rel->sym];
    struct skep_insn insn;

    if (rel->off % 8)
        return log_fail(r->log, -EINVAL, "section '%s': a relocation at byte %llu stands inside an instruction",
                        r->sec->name, (unsigned long long)rel->off);
    out->insn = (uint32_t)(rel->off / 8);
    out->symbol = elf_symbol_name(elf, sym);
    insn = insn_at(r->sec, out->insn);
    if (insn.code == CALL)
        return set_call(r, rel, sym, &insn, out);
    if (insn.code == LD_IMM64 && out->insn + 1 < r->sec->size / 8)
        return set_address(r, rel, sym, &insn, out);
    return bad(r, out, "the instruction is neither a call nor a two-slot load");
}

static int read_section(struct object *obj, const struct elf_section *rel, const struct log *log)
{
    struct object_elf *e = obj->elf;
    uint32_t target = elf_reloc_target(&e->elf, rel), n;
    struct load_code *code = &e->code[target];
    struct reader r = {.obj = obj, .log = log, .sec = &e->elf.sections[target]};
    struct elf_reloc *relocs;
    int err;

    if (code->relocs)
        return log_fail(log, -EINVAL, "section '%s': two sections of relocations apply to it", r.sec->name);
    err = elf_read_relocs(&obj->arena, &e->elf, rel, log, &relocs, &n);
    if (err)
        return err;
    code->relocs = ARENA_ARRAY(&obj->arena, struct load_reloc, n);
    if (!code->relocs)
        return log_fail(log, -ENOMEM, "section '%s': no memory for %u relocations", r.sec->name, n);
    r.gas_addends = has_gas_addends(&e->elf, rel, r.sec, relocs, n);
    for (uint32_t i = 0; i < n; i++) {
        err = understand(&r, &relocs[i], &code->relocs[i]);
        if (err)
            return err;
        if (i && code->relocs[i].insn <= code->relocs[i - 1].insn)
            return log_fail(log, -EINVAL, SLOT_FMT ": two relocations", r.sec->name, code->relocs[i].insn);
    }
    code->n_relocs = n;
    return 0;
}

/* What a user is told about relocations: those of code, then those of CO-RE in the order of .BTF.ext. */
static int list(struct object *obj, const struct log *log)
{
    static const char *const kinds[] = {
        [RELOC_MAP] = "map",    [RELOC_DATA] = "data",          [RELOC_CALL] = "call",
        [RELOC_FUNC] = "func",  [RELOC_EXTERN_CALL] = "extern", [RELOC_EXTERN_ADDR] = "extern",
        [RELOC_ARENA] = "arena"};
    struct object_elf *e = obj->elf;
    uint64_t n = 0;

    for (uint32_t s = 0; s < e->elf.n_sections; s++)
        n += e->code[s].n_relocs;
    for (uint32_t s = 0; e->ext && s < e->ext->n_sections; s++)
        n += e->ext->sections[s].n_relos;
    obj->relocs = ARENA_ARRAY(&obj->arena, struct object_reloc, n);
    if (!obj->relocs)
        return log_fail(log, -ENOMEM, "no memory for %llu relocations", (unsigned long long)n);
    for (uint32_t s = 0; s < e->elf.n_sections; s++) {
        e->code[s].first_shown = obj->n_relocs;
        for (uint32_t i = 0; i < e->code[s].n_relocs; i++) {
            const struct load_reloc *r = &e->code[s].relocs[i];

            obj->relocs[obj->n_relocs++] = (struct object_reloc){.section = e->elf.sections[s].name,
                                                                 .insn = r->insn,
                                                                 .kind = kinds[r->kind],
                                                                 .symbol = r->symbol,
                                                                 .resolved = r->kind <= RELOC_FUNC};
        }
    }
    e->core_first = obj->n_relocs;
    for (uint32_t s = 0; e->ext && s < e->ext->n_sections; s++)
        for (uint32_t i = 0; i < e->ext->sections[s].n_relos; i++) {
            const struct core_relo *relo = &e->ext->sections[s].relos[i];
            const char *text = arena_printf(&obj->arena, "%s (%s)", btf_name(obj->btf, relo->type_id), relo->access);

            if (!text)
                return log_fail(log, -ENOMEM, "no memory for %llu relocations", (unsigned long long)n);
            obj->relocs[obj->n_relocs++] = (struct object_reloc){.section = e->ext->sections[s].name,
                                                                 .insn = relo->off / 8,
                                                                 .kind = core_kind_name(relo->kind),
                                                                 .symbol = text};
        }
    return 0;
}

int load_relocs(struct object *obj, const struct log *log)
{
    struct object_elf *e = obj->elf;

    for (uint32_t i = 1; i < e->elf.n_sections; i++) {
        uint32_t target = elf_reloc_target(&e->elf, &e->elf.sections[i]);
        int err;

        if (!target)
            continue;
        if (elf_is_code(&e->elf.sections[target])) {
            err = read_section(obj, &e->elf.sections[i], log);
            if (err)
                return err;
        } else if (e->data_map[target] >= 0 && e->elf.sections[i].size) {
            /* Pointers in initialised data stay 0, as with libbpf: nothing knows addresses before maps exist. */
            log_info(log, "section '%s': pointers in it are not relocated and stay 0", e->elf.sections[target].name);
        }
    }
    return list(obj, log);
}

uint32_t load_first_reloc(const struct load_code *code, uint32_t slot)
{
    uint32_t low = 0, high = code->n_relocs;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (code->relocs[mid].insn < slot)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

const struct load_reloc *load_reloc_at(const struct load_code *code, uint32_t slot)
{
    uint32_t i = load_first_reloc(code, slot);

    return i < code->n_relocs && code->relocs[i].insn == slot ? &code->relocs[i] : NULL;
}
