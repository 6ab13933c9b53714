/*
 * An ELF file, read once into tables that can be trusted: every section's bytes lie inside the image, every name is a
 * string inside its table, every symbol lies inside its section. Nothing is copied; the image must outlive the tables.
 * Only what BPF objects are is taken: ELF64, the host's byte order, relocatable, machine BPF (or none).
 */
#ifndef LOADER_ELF_H
#define LOADER_ELF_H

#include "base/arena.h"
#include "base/log.h"
#include <elf.h>
#include <stdbool.h>
#include <stdint.h>

enum { ELF_MAX_SECTIONS = 16384 };

struct elf_section {
    const char *name;
    uint32_t type, link,
        info; /* sh_type, sh_link, sh_info: the latter two unchecked unless the type gives them a meaning */
    uint64_t flags;
    const unsigned char *data; /* NULL for SHT_NOBITS */
    uint64_t size;             /* of SHT_NOBITS: what the file claims, bounded by nothing */
};

struct elf_symbol {
    const char *name;
    uint32_t shndx;          /* a section's index below n_sections, or SHN_UNDEF, SHN_ABS, SHN_COMMON */
    uint8_t type, bind, vis; /* STT_*, STB_*, STV_* */
    uint64_t value, size;    /* in a section: value + size <= the section's size */
};

struct elf_reloc {
    uint64_t off;       /* inside the target section */
    uint32_t type, sym; /* sym is below n_symbols */
    int64_t addend;     /* SHT_RELA only */
    bool has_addend;
};

struct elf {
    const unsigned char *image;
    size_t size;
    struct elf_section *sections; /* sections[0] is the null section */
    uint32_t n_sections;
    struct elf_symbol *symbols;
    uint32_t n_symbols;
    uint32_t symtab; /* section index, 0: none */
};

/** Reads the tables of an image into the arena. @return 0; -EINVAL with a message, -ENOMEM. */
int elf_read(struct arena *arena, const void *image, size_t size, const struct log *log, struct elf *out);

/** The first section of this name, or NULL. */
const struct elf_section *elf_section_by_name(const struct elf *elf, const char *name);

/** Is this section's content machine code? */
bool elf_is_code(const struct elf_section *section);

/** The section that a relocation section applies to; 0 when `section` holds no relocations of a loaded section. */
uint32_t elf_reloc_target(const struct elf *elf, const struct elf_section *section);

/**
 * Reads the relocations of one section, sorted by offset, none past the target's end.
 * @param section  one for which elf_reloc_target() is not 0.
 * @return 0 and *out in the arena; -EINVAL with a message, -ENOMEM.
 */
int elf_read_relocs(struct arena *arena, const struct elf *elf, const struct elf_section *section,
                    const struct log *log, struct elf_reloc **out, uint32_t *n);

/** How a symbol is called in messages: its name, or its section's. Never NULL. */
const char *elf_symbol_name(const struct elf *elf, const struct elf_symbol *sym);

#endif
