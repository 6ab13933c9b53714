/*
 * .BTF.ext: what clang says about instructions: which function they belong to, which line they come from, and where
 * CO-RE relocations stand. Parsed once into tables a section of the ELF file, sorted by offset; everything is checked
 * against the object's BTF, so readers need no checks of their own beyond comparing `off` with the section's size
 * (which .BTF.ext does not know). Offsets count bytes from the section's start and are multiples of 8.
 */
#ifndef LOADER_BTF_EXT_H
#define LOADER_BTF_EXT_H

#include "base/arena.h"
#include "base/log.h"
#include "loader/core_relo.h"
#include "vm/btf/btf.h"

struct btf_ext_func {
    uint32_t off;
    uint32_t type_id; /* a FUNC in the object's BTF */
};

struct btf_ext_line {
    uint32_t off;
    uint32_t line, col;
    const char *file, *text; /* in the object's BTF; "" for none, never NULL */
};

struct btf_ext_section {
    const char *name; /* of the ELF section, in the object's BTF */
    const struct btf_ext_func *funcs;
    uint32_t n_funcs;
    const struct btf_ext_line *lines;
    uint32_t n_lines;
    const struct core_relo *relos;
    uint32_t n_relos;
};

struct btf_ext {
    const struct btf_ext_section *sections;
    uint32_t n_sections;
};

/**
 * Reads the bytes of a .BTF.ext section, either byte order; records longer than known ones are read as far as known.
 *
 * @param arena  holds the result.
 * @param btf    the object's types; the result's strings live in it.
 * @return 0 and *out; -EINVAL with a message, -ENOMEM.
 */
int btf_ext_parse(struct arena *arena, const void *data, size_t size, const struct btf *btf, const struct log *log,
                  const struct btf_ext **out);

/** What is said about the ELF section of this name; NULL: nothing. ext may be NULL. */
const struct btf_ext_section *btf_ext_find(const struct btf_ext *ext, const char *name);

#endif
