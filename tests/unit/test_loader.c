/*
 * The loader on ELF files that are made by hand: what is right links, and each wrong field is refused by name. A
 * `struct file` is a small object (one XDP program that calls a subprogram and reads a variable) whose headers stay
 * reachable, so that a test breaks exactly one of them.
 */
#include "loader/object.h"

#include "base/buf.h"
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NONE, TEXT, XDP, DATA, BSS, LICENSE, REL_TEXT, REL_XDP, SYMTAB, STRTAB, N_SECTIONS };
enum { S_NULL, S_TEXT_SECTION, S_SUB, S_PROG, S_VAR, S_ZERO, N_SYMBOLS };

static const char strings[] =
    "\0.text\0xdp\0.data\0.bss\0license\0.rel.text\0.relxdp\0.symtab\0.strtab\0sub\0prog\0var\0zero";

struct file {
    Elf64_Ehdr eh;
    Elf64_Shdr sh[N_SECTIONS];
    Elf64_Sym sym[N_SYMBOLS];
    Elf64_Rel rel_xdp[2];
    struct skep_insn text[4], xdp[6];
    uint32_t data[2];
    char license[4];
    char str[sizeof(strings)];
};

static uint32_t name_of(const char *s)
{
    for (size_t i = 0; i < sizeof(strings); i += strlen(strings + i) + 1)
        if (!strcmp(strings + i, s))
            return (uint32_t)i;
    abort();
}

static void section(struct file *f, unsigned i, const char *name, uint32_t type, uint64_t flags, size_t off,
                    size_t size)
{
    f->sh[i] =
        (Elf64_Shdr){.sh_name = name_of(name), .sh_type = type, .sh_flags = flags, .sh_offset = off, .sh_size = size};
}

#define AT(member) offsetof(struct file, member), sizeof(((struct file *)0)->member)

static struct file good(void)
{
    struct file f = {
        .eh = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
               .e_type = ET_REL,
               .e_machine = 247,
               .e_version = 1,
               .e_shoff = offsetof(struct file, sh),
               .e_ehsize = sizeof(Elf64_Ehdr),
               .e_shentsize = sizeof(Elf64_Shdr),
               .e_shnum = N_SECTIONS,
               .e_shstrndx = STRTAB},
        /* sub: r0 = r1; r0 += 3; exit; exit */
        .text = {{.code = 0xbf, .dst_reg = 0, .src_reg = 1}, {.code = 0x07, .imm = 3}, {.code = 0x95}, {.code = 0x95}},
        /* prog: r1 = var ll; r1 = *(u32 *)(r1 + 0); call sub; exit */
        .xdp = {{.code = 0x18, .dst_reg = 1, .imm = 4},
                {0},
                {.code = 0x61, .dst_reg = 1, .src_reg = 1},
                {.code = 0x85, .src_reg = 1, .imm = -1},
                {.code = 0x95},
                {.code = 0x95}},
        .data = {1, 2},
        .license = "GPL",
        .rel_xdp = {{.r_offset = 0, .r_info = ELF64_R_INFO(S_VAR, 1)},
                    {.r_offset = 24, .r_info = ELF64_R_INFO(S_SUB, 10)}},
    };

    memcpy(f.str, strings, sizeof(strings));
    section(&f, TEXT, ".text", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, AT(text));
    section(&f, XDP, "xdp", SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, AT(xdp));
    section(&f, DATA, ".data", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, AT(data));
    section(&f, BSS, ".bss", SHT_NOBITS, SHF_ALLOC | SHF_WRITE, 0, 16);
    section(&f, LICENSE, "license", SHT_PROGBITS, SHF_ALLOC, AT(license));
    section(&f, REL_TEXT, ".rel.text", SHT_REL, 0, offsetof(struct file, rel_xdp), 0);
    section(&f, REL_XDP, ".relxdp", SHT_REL, 0, AT(rel_xdp));
    section(&f, SYMTAB, ".symtab", SHT_SYMTAB, 0, AT(sym));
    section(&f, STRTAB, ".strtab", SHT_STRTAB, 0, AT(str));
    f.sh[REL_TEXT].sh_link = f.sh[REL_XDP].sh_link = SYMTAB;
    f.sh[REL_TEXT].sh_info = TEXT;
    f.sh[REL_XDP].sh_info = XDP;
    f.sh[SYMTAB].sh_link = STRTAB;
    f.sym[S_TEXT_SECTION] = (Elf64_Sym){.st_info = ELF64_ST_INFO(STB_LOCAL, STT_SECTION), .st_shndx = TEXT};
    f.sym[S_SUB] = (Elf64_Sym){name_of("sub"), ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 0, TEXT, 0, 32};
    f.sym[S_PROG] = (Elf64_Sym){name_of("prog"), ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 0, XDP, 0, 48};
    f.sym[S_VAR] = (Elf64_Sym){name_of("var"), ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT), 0, DATA, 0, 4};
    f.sym[S_ZERO] = (Elf64_Sym){name_of("zero"), ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT), 0, BSS, 8, 8};
    return f;
}

static void collect(void *ctx, enum skep_log_level level, const char *text)
{
    (void)level;
    buf_printf(ctx, "%s\n", text);
}

/* Opens and links size bytes of f from memory that ends there and is gone afterwards. */
static int load(const struct file *f, size_t size, struct buf *said, struct object **out)
{
    struct log log = {.fn = collect, .ctx = said, .max = SKEP_LOG_ERROR};
    void *copy = malloc(size ? size : 1);
    int err;

    assert_non_null(copy);
    memcpy(copy, f, size);
    *out = NULL;
    err = object_open_mem(copy, size, "made.o", NULL, &log, out);
    free(copy);
    if (!err)
        err = object_link(*out, NULL, &log);
    return err;
}

static void refused_at(const struct file *f, size_t size, int want, const char *text)
{
    struct buf said = {0};
    struct object *obj;
    int err = load(f, size, &said, &obj);

    if (err != want || !strstr(buf_text(&said), text) || strncmp(buf_text(&said), "made.o: ", 8))
        fail_msg("wanted %d '%s', got %d '%s'", want, text, err, buf_text(&said));
    object_free(obj);
    buf_free(&said);
}

static void refused(const struct file *f, const char *text)
{
    refused_at(f, sizeof(*f), -EINVAL, text);
}

static struct object *loaded(const struct file *f)
{
    struct buf said = {0};
    struct object *obj;
    int err = load(f, sizeof(*f), &said, &obj);

    if (err)
        fail_msg("%d: %s", err, buf_text(&said));
    buf_free(&said);
    return obj;
}

static void good_object_links(void **state)
{
    struct file f = good();
    struct object *obj = loaded(&f);
    const struct prog *p;

    (void)state;
    assert_string_equal(obj->name, "made");
    assert_string_equal(obj->license, "GPL");
    assert_int_equal(obj->n_maps, 2);
    assert_string_equal(obj->maps[0].def.name, "made.data");
    assert_int_equal(obj->maps[1].def.value_size, 16);
    assert_int_equal(obj->n_vars, 2);
    assert_string_equal(obj->vars[1].name, "zero");
    assert_int_equal(obj->vars[1].off, 8);
    assert_int_equal(obj->n_progs, 1);
    p = obj->progs[0].prog;
    assert_int_equal(p->n_insns, 10);
    assert_int_equal(p->n_funcs, 2);
    assert_string_equal(p->funcs[1].name, "sub");
    assert_int_equal(p->insns[3].target, 6);
    assert_int_equal(p->insns[0].op, ISA_LD_MAP_VALUE);
    assert_int_equal(p->insns[0].imm, 4); /* map 0, the addend 4 */
    object_free(obj);
}

static void programs_outlive_their_object(void **state)
{
    struct file f = good();
    struct object *obj = loaded(&f);
    struct prog *p = prog_get(obj->progs[0].prog);

    (void)state;
    object_free(obj);
    assert_string_equal(p->name, "prog");
    assert_string_equal(p->file, "made.o");
    assert_int_equal(p->maps[0]->value_size, 8);
    prog_put(p);
}

static void linking_twice_is_refused(void **state)
{
    struct file f = good();
    struct object *obj = loaded(&f);

    (void)state;
    assert_int_equal(object_link(obj, NULL, NULL), -EINVAL);
    assert_non_null(obj->progs[0].prog);
    object_free(obj);
}

/* Any shorter file is refused, and nothing past its end is read (the sanitizers look). */
static void truncated_files_are_refused(void **state)
{
    struct file f = good();
    struct buf said = {0};

    (void)state;
    for (size_t size = 0; size < offsetof(struct file, str) + name_of("zero") + 4; size++) {
        struct object *obj;

        buf_clear(&said);
        assert_int_equal(load(&f, size, &said, &obj), -EINVAL);
        assert_true(said.len > 0);
    }
    buf_free(&said);
}

#define BREAK(text, ...)                                                                                               \
    do {                                                                                                               \
        struct file f = good();                                                                                        \
        __VA_ARGS__;                                                                                                   \
        refused(&f, text);                                                                                             \
    } while (0)

static void wrong_headers_are_refused(void **state)
{
    (void)state;
    BREAK("not an ELF file", f.eh.e_ident[1] = 'F');
    BREAK("class 1", f.eh.e_ident[EI_CLASS] = ELFCLASS32);
    BREAK("byte order", f.eh.e_ident[EI_DATA] = ELFDATA2MSB);
    BREAK("machine 62", f.eh.e_machine = 62);
    BREAK("type 2", f.eh.e_type = ET_EXEC);
    BREAK("no section headers", f.eh.e_shoff = 0);
    BREAK("section headers of 63 bytes", f.eh.e_shentsize = 63);
    BREAK("past the end", f.eh.e_shoff = sizeof(f));
    BREAK("past the end", f.eh.e_shoff = UINT64_MAX - 16);
    BREAK("do not fit", f.eh.e_shnum = 0x7fff);
    BREAK("should hold the sections' names", f.eh.e_shstrndx = N_SECTIONS);
    BREAK("no string table", f.eh.e_shstrndx = TEXT);
    BREAK("no string table", f.sh[STRTAB].sh_size = UINT64_MAX);
    BREAK("no string table", f.str[sizeof(f.str) - 1] = 'x');
    BREAK("its name at 9999", f.sh[DATA].sh_name = 9999);
    /* Section 0 holds the count when there are more than its field can say. */
    BREAK("do not fit", (f.eh.e_shnum = 0, f.sh[0].sh_size = UINT64_MAX));
}

static void wrong_sections_are_refused(void **state)
{
    struct file f = good();

    (void)state;
    BREAK("section '.data': 8 bytes at", f.sh[DATA].sh_offset = sizeof(f) - 4);
    BREAK("section 'xdp'", f.sh[XDP].sh_size = UINT64_MAX - 7);
    BREAK("section 'xdp': 47 bytes of code", (f.sh[XDP].sh_size = 47, f.sym[S_PROG].st_size = 40));
    BREAK("section '.data' is compressed", f.sh[DATA].sh_flags |= SHF_COMPRESSED);
    BREAK("two symbol tables", f.sh[LICENSE].sh_type = SHT_SYMTAB);
    BREAK("no symbol table", f.sh[SYMTAB].sh_type = SHT_PROGBITS);
    BREAK("symbol table of 143 bytes", f.sh[SYMTAB].sh_size = 143);
    BREAK("is not its string table", f.sh[SYMTAB].sh_link = TEXT);
    BREAK("is not its string table", f.sh[SYMTAB].sh_link = 4711);
    /* Sizes are bounded before memory is taken. */
    f.sh[BSS].sh_size = 1ull << 40;
    refused_at(&f, sizeof(f), -E2BIG, "section '.bss'");
    f.sh[BSS].sh_size = UINT64_MAX;
    refused_at(&f, sizeof(f), -E2BIG, "section '.bss'");
}

static void wrong_symbols_are_refused(void **state)
{
    (void)state;
    BREAK("symbol 2: its name at 70000", f.sym[S_SUB].st_name = 70000);
    BREAK("symbol 4 'var': section 99", f.sym[S_VAR].st_shndx = 99);
    BREAK("symbol 'var': 4 bytes at 8", f.sym[S_VAR].st_value = 8);
    BREAK("symbol 'prog': 56 bytes", f.sym[S_PROG].st_size = 56);
    BREAK("symbol 'var'", f.sym[S_VAR].st_value = UINT64_MAX);
    BREAK("is not made of 8-byte slots", (f.sym[S_PROG].st_value = 4, f.sym[S_PROG].st_size = 8));
    BREAK("has no instructions", (f.sym[S_PROG].st_value = 48, f.sym[S_PROG].st_size = 0));
    BREAK("'prog' and 'sub' overlap", (f.sym[S_SUB].st_shndx = XDP, f.sym[S_SUB].st_value = 8));
}

static void wrong_relocations_are_refused(void **state)
{
    (void)state;
    BREAK("33 bytes are no multiple of 16", f.sh[REL_XDP].sh_size = 33);
    BREAK("is not the symbol table", f.sh[REL_XDP].sh_link = STRTAB);
    BREAK("symbol 77 does not exist", f.rel_xdp[0].r_info = ELF64_R_INFO(77, 1));
    BREAK("offset 4096 is past the end", f.rel_xdp[0].r_offset = 4096);
    BREAK("a relocation at byte 4 stands inside", f.rel_xdp[0].r_offset = 4);
    BREAK("instruction 2: relocation against 'var': the instruction is neither", f.rel_xdp[0].r_offset = 16);
    BREAK("instruction 3: two relocations", f.rel_xdp[0] = f.rel_xdp[1]);
    BREAK("two sections of relocations", (f.sh[REL_TEXT].sh_info = XDP, f.sh[REL_TEXT].sh_size = 16));
    BREAK("outside of its section", f.xdp[0].imm = 8);
    BREAK("outside of its section", f.xdp[0].imm = -1);
    BREAK("no function starts there", f.xdp[3].imm = 0);
    BREAK("must be in .text", f.rel_xdp[1].r_info = ELF64_R_INFO(S_PROG, 10));
    BREAK("is defined nowhere", f.sym[S_SUB].st_shndx = SHN_ABS);
    BREAK("neither code, maps nor data", f.sym[S_VAR].st_shndx = LICENSE);
    BREAK("the call is not one of a function", f.xdp[3].src_reg = 0);
    BREAK("extern 'var'", (f.sym[S_VAR].st_shndx = 0, f.sym[S_VAR].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE)));
}

static void legacy_maps_that_are_none_are_refused(void **state)
{
    struct file f = good();

    (void)state;
    memcpy(f.str + name_of(".data"), "maps", 5);
    refused_at(&f, sizeof(f), -EINVAL, "section 'maps': 1 maps in 8 bytes");
}

static void wrong_code_is_refused(void **state)
{
    (void)state;
    BREAK("instruction 4: a two-slot load is cut", (f.sym[S_PROG].st_size = 40, f.xdp[4].code = 0x18));
    BREAK("a two-slot load of kind 1 without", f.xdp[4] = (struct skep_insn){.code = 0x18, .src_reg = 1});
    BREAK("a function's address without", f.xdp[4] = (struct skep_insn){.code = 0x18, .src_reg = 4});
    BREAK("calls instruction 99", f.text[1] = (struct skep_insn){.code = 0x85, .src_reg = 1, .imm = 97});
    BREAK("a kernel function's call without", f.text[1] = (struct skep_insn){.code = 0x85, .src_reg = 2, .imm = 5});
    BREAK("section 'xdp', program 'prog': ", f.xdp[4].code = 0xff);
}

static void a_function_that_calls_itself_is_linked_once(void **state)
{
    struct file f = good();
    struct object *obj;

    (void)state;
    f.text[1] = (struct skep_insn){.code = 0x85, .src_reg = 1, .imm = -2};
    obj = loaded(&f);
    assert_int_equal(obj->progs[0].prog->n_insns, 10);
    assert_int_equal(obj->progs[0].prog->insns[7].target, 6);
    object_free(obj);
}

static void section_symbols_take_the_addend(void **state)
{
    struct file f = good();
    struct object *obj;

    (void)state;
    /* sub begins at slot 1 of .text: the addend says so, in instructions and less one. */
    f.rel_xdp[1].r_info = ELF64_R_INFO(S_TEXT_SECTION, 10);
    f.sym[S_SUB].st_value = 8;
    f.sym[S_SUB].st_size = 24;
    f.xdp[3].imm = 0;
    obj = loaded(&f);
    assert_int_equal(obj->progs[0].prog->n_insns, 9);
    assert_int_equal(obj->progs[0].prog->insns[3].target, 6);
    object_free(obj);
}

static void unsized_functions_reach_to_the_next(void **state)
{
    struct file f = good();
    struct object *obj;

    (void)state;
    f.sym[S_SUB].st_size = f.sym[S_PROG].st_size = 0;
    obj = loaded(&f);
    assert_int_equal(obj->progs[0].prog->n_insns, 10);
    object_free(obj);
}

static void names_for_one_function_are_programs_of_their_own(void **state)
{
    struct file f = good();
    struct object *obj;

    (void)state;
    f.sym[S_ZERO] = f.sym[S_PROG];
    f.sym[S_ZERO].st_name = name_of("zero");
    obj = loaded(&f);
    assert_int_equal(obj->n_progs, 2);
    assert_non_null(obj->progs[1].prog);
    object_free(obj);
}

static void one_function_in_text_is_a_program(void **state)
{
    struct file f = good();
    struct object *obj = NULL;

    (void)state;
    f.sh[XDP].sh_type = SHT_NULL;
    f.sh[REL_XDP].sh_size = 0;
    f.sym[S_PROG] = f.sym[S_ZERO] = f.sym[S_NULL];
    assert_int_equal(object_open_mem(&f, sizeof(f), "made.o", NULL, NULL, &obj), 0);
    assert_int_equal(obj->n_progs, 1);
    assert_string_equal(obj->progs[0].section, ".text");
    obj->progs[0].type = PROG_TYPE_XDP;
    assert_int_equal(object_link(obj, NULL, NULL), 0);
    assert_non_null(obj->progs[0].prog);
    object_free(obj);
}

static void files_that_are_no_files_say_so(void **state)
{
    struct object_open_opts small = {.max_size = 100};
    struct object *obj = NULL;
    struct file f = good();

    (void)state;
    assert_int_equal(object_open_file("/nonexistent/x.o", NULL, NULL, &obj), -ENOENT);
    assert_int_equal(object_open_file("/", NULL, NULL, &obj), -EINVAL);
    assert_int_equal(object_open_file("/dev/null", NULL, NULL, &obj), -EINVAL);
    assert_int_equal(object_open_mem(&f, sizeof(f), "made.o", &small, NULL, &obj), -E2BIG);
    assert_null(obj);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_object_links),
        cmocka_unit_test(programs_outlive_their_object),
        cmocka_unit_test(linking_twice_is_refused),
        cmocka_unit_test(truncated_files_are_refused),
        cmocka_unit_test(wrong_headers_are_refused),
        cmocka_unit_test(wrong_sections_are_refused),
        cmocka_unit_test(wrong_symbols_are_refused),
        cmocka_unit_test(wrong_relocations_are_refused),
        cmocka_unit_test(legacy_maps_that_are_none_are_refused),
        cmocka_unit_test(wrong_code_is_refused),
        cmocka_unit_test(a_function_that_calls_itself_is_linked_once),
        cmocka_unit_test(section_symbols_take_the_addend),
        cmocka_unit_test(unsized_functions_reach_to_the_next),
        cmocka_unit_test(names_for_one_function_are_programs_of_their_own),
        cmocka_unit_test(one_function_in_text_is_a_program),
        cmocka_unit_test(files_that_are_no_files_say_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
