/*
 * Bytes from the image are read by memcpy after one bounds check each, so alignment in the file does not matter.
 * Offsets and sizes are compared in 64 bits in the form `off <= size && n <= size - off`, which cannot wrap. The tables
 * that are made hold only what was checked; nothing below looks at the raw headers again.
 */
#include "loader/elf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define HOST_DATA   ELFDATA2LSB
#define HOST_TARGET "-target bpfel"
#else
#define HOST_DATA   ELFDATA2MSB
#define HOST_TARGET "-target bpfeb"
#endif

#ifndef EM_BPF
#define EM_BPF 247
#endif

static bool inside(uint64_t off, uint64_t n, uint64_t size)
{
    return off <= size && n <= size - off;
}

static int check_header(const struct elf *elf, const struct log *log, Elf64_Ehdr *eh)
{
    const unsigned char *id = elf->image;

    if (elf->size < EI_NIDENT || memcmp(id, ELFMAG, SELFMAG))
        return log_fail(log, -EINVAL, "not an ELF file; compile with clang -target bpf -c");
    if (id[EI_CLASS] != ELFCLASS64)
        return log_fail(log, -EINVAL, "an ELF file of class %d; BPF objects are 64-bit", id[EI_CLASS]);
    if (id[EI_DATA] != HOST_DATA)
        return log_fail(log, -EINVAL, "the object's byte order is not this machine's; compile with " HOST_TARGET);
    if (elf->size < sizeof(*eh))
        return log_fail(log, -EINVAL, "truncated: %zu bytes are no ELF header", elf->size);
    memcpy(eh, elf->image, sizeof(*eh));
    /* Old compilers left e_machine 0 in BPF objects; libbpf takes both. */
    if (eh->e_machine != EM_BPF && eh->e_machine != EM_NONE)
        return log_fail(log, -EINVAL, "an ELF file for machine %d, not BPF; compile with clang -target bpf",
                        eh->e_machine);
    if (eh->e_type != ET_REL)
        return log_fail(log, -EINVAL, "an ELF file of type %d, not a relocatable object (compile with -c, do not link)",
                        eh->e_type);
    if (eh->e_shoff == 0)
        return log_fail(log, -EINVAL, "no section headers");
    if (eh->e_shentsize != sizeof(Elf64_Shdr))
        return log_fail(log, -EINVAL, "section headers of %d bytes instead of %zu", eh->e_shentsize,
                        sizeof(Elf64_Shdr));
    return 0;
}

static Elf64_Shdr header_at(const struct elf *elf, uint64_t shoff, uint32_t i)
{
    Elf64_Shdr sh;

    memcpy(&sh, elf->image + shoff + (uint64_t)i * sizeof(sh), sizeof(sh));
    return sh;
}

/* A string of a table whose last byte is NUL; NULL when it does not begin inside. */
static const char *string_at(const unsigned char *table, uint64_t size, uint64_t off)
{
    return off < size ? (const char *)table + off : NULL;
}

static bool is_string_table(const unsigned char *table, uint64_t size)
{
    return size && table[size - 1] == 0;
}

static int read_sections(struct arena *arena, struct elf *elf, const Elf64_Ehdr *eh, const struct log *log)
{
    uint64_t n = eh->e_shnum, names = eh->e_shstrndx;
    Elf64_Shdr sh, strtab;

    if (!inside(eh->e_shoff, sizeof(sh), elf->size))
        return log_fail(log, -EINVAL, "truncated: section headers at %llu are past the end (%zu bytes)",
                        (unsigned long long)eh->e_shoff, elf->size);
    sh = header_at(elf, eh->e_shoff, 0);
    if (!n)
        n = sh.sh_size; /* more than 0xff00 sections */
    if (names == SHN_XINDEX)
        names = sh.sh_link;
    if (n > (elf->size - eh->e_shoff) / sizeof(sh))
        return log_fail(log, -EINVAL, "truncated: %llu section headers at %llu do not fit into %zu bytes",
                        (unsigned long long)n, (unsigned long long)eh->e_shoff, elf->size);
    if (n > ELF_MAX_SECTIONS)
        return log_fail(log, -E2BIG, "%llu sections; at most %d are read", (unsigned long long)n, ELF_MAX_SECTIONS);
    if (names == SHN_UNDEF || names >= n)
        return log_fail(log, -EINVAL, "section %llu, which should hold the sections' names, does not exist",
                        (unsigned long long)names);
    strtab = header_at(elf, eh->e_shoff, (uint32_t)names);
    if (strtab.sh_type != SHT_STRTAB || !inside(strtab.sh_offset, strtab.sh_size, elf->size) ||
        !is_string_table(elf->image + strtab.sh_offset, strtab.sh_size))
        return log_fail(log, -EINVAL, "section %llu is no string table inside the file", (unsigned long long)names);
    elf->sections = ARENA_ARRAY(arena, struct elf_section, n);
    if (!elf->sections)
        return log_fail(log, -ENOMEM, "no memory for %llu sections", (unsigned long long)n);
    elf->n_sections = (uint32_t)n;
    elf->sections[0].name = "";
    for (uint32_t i = 1; i < n; i++) {
        struct elf_section *s = &elf->sections[i];

        sh = header_at(elf, eh->e_shoff, i);
        s->name = string_at(elf->image + strtab.sh_offset, strtab.sh_size, sh.sh_name);
        if (!s->name)
            return log_fail(log, -EINVAL, "section %u: its name at %u is outside the string table", i, sh.sh_name);
        s->type = sh.sh_type;
        s->link = sh.sh_link;
        s->info = sh.sh_info;
        s->flags = sh.sh_flags;
        s->size = sh.sh_size;
        if (sh.sh_type == SHT_NULL) {
            s->size = 0;
            continue;
        }
        if (sh.sh_type == SHT_NOBITS)
            continue;
        if (!inside(sh.sh_offset, sh.sh_size, elf->size))
            return log_fail(log, -EINVAL, "section '%s': %llu bytes at %llu are past the end of the file (%zu bytes)",
                            s->name, (unsigned long long)sh.sh_size, (unsigned long long)sh.sh_offset, elf->size);
        if ((sh.sh_flags & SHF_COMPRESSED) && strncmp(s->name, ".debug", 6))
            return log_fail(log, -EINVAL, "section '%s' is compressed; make the object without compressing sections",
                            s->name);
        s->data = elf->image + sh.sh_offset;
    }
    return 0;
}

static int check_symbol(const struct elf *elf, uint32_t i, const struct elf_symbol *sym, const struct log *log)
{
    const struct elf_section *s;

    if (sym->shndx == SHN_UNDEF || sym->shndx == SHN_ABS || sym->shndx == SHN_COMMON)
        return 0;
    if (sym->shndx >= elf->n_sections)
        return log_fail(log, -EINVAL, "symbol %u '%s': section %u does not exist", i, sym->name, sym->shndx);
    s = &elf->sections[sym->shndx];
    if (!inside(sym->value, sym->size, s->size))
        return log_fail(log, -EINVAL, "symbol '%s': %llu bytes at %llu are past the end of section '%s' (%llu bytes)",
                        sym->name, (unsigned long long)sym->size, (unsigned long long)sym->value, s->name,
                        (unsigned long long)s->size);
    return 0;
}

static int read_symbols(struct arena *arena, struct elf *elf, const struct log *log)
{
    const struct elf_section *tab, *str;

    for (uint32_t i = 1; i < elf->n_sections; i++) {
        if (elf->sections[i].type != SHT_SYMTAB)
            continue;
        if (elf->symtab)
            return log_fail(log, -EINVAL, "two symbol tables: sections %u and %u", elf->symtab, i);
        elf->symtab = i;
    }
    if (!elf->symtab)
        return log_fail(log, -EINVAL, "no symbol table; do not strip the object's symbols (llvm-strip -g keeps them)");
    tab = &elf->sections[elf->symtab];
    if (tab->size % sizeof(Elf64_Sym))
        return log_fail(log, -EINVAL, "symbol table of %llu bytes, which is no multiple of %zu",
                        (unsigned long long)tab->size, sizeof(Elf64_Sym));
    if (tab->link >= elf->n_sections || elf->sections[tab->link].type != SHT_STRTAB ||
        !is_string_table(elf->sections[tab->link].data, elf->sections[tab->link].size))
        return log_fail(log, -EINVAL, "symbol table: section %u is not its string table", tab->link);
    str = &elf->sections[tab->link];
    elf->symbols = ARENA_ARRAY(arena, struct elf_symbol, tab->size / sizeof(Elf64_Sym));
    if (!elf->symbols)
        return log_fail(log, -ENOMEM, "no memory for %llu symbols",
                        (unsigned long long)(tab->size / sizeof(Elf64_Sym)));
    elf->n_symbols = (uint32_t)(tab->size / sizeof(Elf64_Sym));
    for (uint32_t i = 0; i < elf->n_symbols; i++) {
        struct elf_symbol *sym = &elf->symbols[i];
        Elf64_Sym raw;
        int err;

        memcpy(&raw, tab->data + (uint64_t)i * sizeof(raw), sizeof(raw));
        sym->name = string_at(str->data, str->size, raw.st_name);
        if (!sym->name)
            return log_fail(log, -EINVAL, "symbol %u: its name at %u is outside the string table", i, raw.st_name);
        sym->shndx = raw.st_shndx;
        sym->type = ELF64_ST_TYPE(raw.st_info);
        sym->bind = ELF64_ST_BIND(raw.st_info);
        sym->vis = ELF64_ST_VISIBILITY(raw.st_other);
        sym->value = raw.st_value;
        sym->size = raw.st_size;
        err = check_symbol(elf, i, sym, log);
        if (err)
            return err;
    }
    return 0;
}

int elf_read(struct arena *arena, const void *image, size_t size, const struct log *log, struct elf *out)
{
    struct elf elf = {.image = image, .size = size};
    Elf64_Ehdr eh;
    int err;

    err = check_header(&elf, log, &eh);
    if (!err)
        err = read_sections(arena, &elf, &eh, log);
    if (!err)
        err = read_symbols(arena, &elf, log);
    if (!err)
        *out = elf;
    return err;
}

const struct elf_section *elf_section_by_name(const struct elf *elf, const char *name)
{
    for (uint32_t i = 1; i < elf->n_sections; i++)
        if (!strcmp(elf->sections[i].name, name))
            return &elf->sections[i];
    return NULL;
}

bool elf_is_code(const struct elf_section *section)
{
    return section->type == SHT_PROGBITS && (section->flags & SHF_EXECINSTR);
}

uint32_t elf_reloc_target(const struct elf *elf, const struct elf_section *section)
{
    if (section->type != SHT_REL && section->type != SHT_RELA)
        return 0;
    return section->info < elf->n_sections ? section->info : 0;
}

static int by_offset(const void *a, const void *b)
{
    const struct elf_reloc *x = a, *y = b;

    return x->off < y->off ? -1 : x->off > y->off;
}

int elf_read_relocs(struct arena *arena, const struct elf *elf, const struct elf_section *section,
                    const struct log *log, struct elf_reloc **out, uint32_t *n)
{
    const struct elf_section *target = &elf->sections[elf_reloc_target(elf, section)];
    bool rela = section->type == SHT_RELA;
    size_t entry = rela ? sizeof(Elf64_Rela) : sizeof(Elf64_Rel);
    struct elf_reloc *relocs;
    uint64_t count = section->size / entry;

    if (section->size % entry)
        return log_fail(log, -EINVAL, "section '%s': %llu bytes are no multiple of %zu", section->name,
                        (unsigned long long)section->size, entry);
    if (section->link != elf->symtab)
        return log_fail(log, -EINVAL, "section '%s': section %u is not the symbol table", section->name, section->link);
    relocs = ARENA_ARRAY(arena, struct elf_reloc, count);
    if (!relocs)
        return log_fail(log, -ENOMEM, "section '%s': no memory for %llu relocations", section->name,
                        (unsigned long long)count);
    for (uint64_t i = 0; i < count; i++) {
        struct elf_reloc *r = &relocs[i];
        Elf64_Rela raw = {0};

        memcpy(&raw, section->data + i * entry, entry);
        *r = (struct elf_reloc){.off = raw.r_offset,
                                .type = (uint32_t)ELF64_R_TYPE(raw.r_info),
                                .sym = (uint32_t)ELF64_R_SYM(raw.r_info),
                                .addend = raw.r_addend,
                                .has_addend = rela};
        if (r->sym >= elf->n_symbols)
            return log_fail(log, -EINVAL, "section '%s': relocation %llu: symbol %u does not exist", section->name,
                            (unsigned long long)i, r->sym);
        if (r->off >= target->size)
            return log_fail(log, -EINVAL, "section '%s': relocation %llu: offset %llu is past the end of '%s'",
                            section->name, (unsigned long long)i, (unsigned long long)r->off, target->name);
    }
    qsort(relocs, count, sizeof(*relocs), by_offset);
    *out = relocs;
    *n = (uint32_t)count;
    return 0;
}

const char *elf_symbol_name(const struct elf *elf, const struct elf_symbol *sym)
{
    if (*sym->name || sym->shndx >= elf->n_sections)
        return sym->name;
    return elf->sections[sym->shndx].name;
}
