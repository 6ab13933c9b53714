/*
 * What debuggers read: gdb's interface for machine code made at run time. Each program becomes an ELF file in memory,
 * with the names, frames and source lines of its functions; the files hang on a list that a debugger finds by its name,
 * and a function that does nothing tells it when the list changes. That list is a process's, by the interface's nature,
 * and the one thing here that is; `lock` guards it.
 */
#include "base/buf.h"
#include "jit/engine.h"

#include <elf.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Names and layout are gdb's. */
struct jit_code_entry {
    struct jit_code_entry *next, *prev;
    const char *file;
    uint64_t size;
};

struct jit_descriptor {
    uint32_t version, action;
    struct jit_code_entry *relevant, *first;
};

enum { ACTION_NONE, ACTION_REGISTER, ACTION_UNREGISTER };

extern struct jit_descriptor __jit_debug_descriptor;
void __jit_debug_register_code(void);

struct jit_descriptor __jit_debug_descriptor = {.version = 1};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((noinline, used)) void __jit_debug_register_code(void)
{
    __asm__ volatile("" ::: "memory");
}

/* ---- Numbers as DWARF writes them ---- */

static void u8(struct buf *b, uint8_t v)
{
    buf_add(b, &v, 1);
}

static void u16(struct buf *b, uint16_t v)
{
    buf_add(b, &v, 2);
}

static void u32(struct buf *b, uint32_t v)
{
    buf_add(b, &v, 4);
}

static void u64(struct buf *b, uint64_t v)
{
    buf_add(b, &v, 8);
}

static void uleb(struct buf *b, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        u8(b, (uint8_t)(v | 0x80));
    u8(b, (uint8_t)v);
}

static void sleb(struct buf *b, int64_t v)
{
    for (; v < -64 || v > 63; v >>= 7)
        u8(b, (uint8_t)(v | 0x80));
    u8(b, (uint8_t)(v & 0x7f));
}

static void text(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s) + 1);
}

/* A length of four bytes goes before what follows. */
static size_t begin_length(struct buf *b)
{
    u32(b, 0);
    return b->len;
}

static void end_length(struct buf *b, size_t from)
{
    uint32_t n = (uint32_t)(b->len - from);

    if (!b->failed)
        memcpy(b->data + from - 4, &n, 4);
}

/* ---- Frames ---- */

enum {
    CFA_ADVANCE4 = 0x04,
    CFA_OFFSET_EXTENDED = 0x05,
    CFA_DEF = 0x0c,
    CFA_DEF_OFFSET = 0x0e,
    CFA_NOP = 0,
    DATA_ALIGN = -8,
};

static void pad(struct buf *b, size_t from)
{
    while (!b->failed && (b->len - from) % 8 != 4) /* the length itself has 4 */
        u8(b, CFA_NOP);
}

/* At a function's first byte the return address is on top of the stack, or in its register. */
static void common_frame(struct buf *b, const struct jit_target *t)
{
    bool on_stack = t->elf_machine == EM_X86_64;
    size_t at = begin_length(b);

    u32(b, 0); /* a CIE */
    u8(b, 1);
    text(b, "zR");
    uleb(b, 1);
    sleb(b, DATA_ALIGN);
    u8(b, t->dwarf_ra);
    uleb(b, 1);
    u8(b, 0); /* addresses are absolute */
    u8(b, CFA_DEF);
    uleb(b, t->dwarf_sp);
    uleb(b, on_stack ? 8 : 0);
    if (on_stack) {
        u8(b, CFA_OFFSET_EXTENDED);
        uleb(b, t->dwarf_ra);
        uleb(b, 1);
    }
    pad(b, at);
    end_length(b, at);
}

/* What is true from the body on holds to the end: what is between the body and a return calls nothing. */
static void frame(struct buf *b, const struct jit_target *t, const struct jit_frame *f, const uint8_t *code)
{
    bool on_stack = t->elf_machine == EM_X86_64;
    size_t at = begin_length(b);

    u32(b, (uint32_t)at); /* back to the CIE, which is first */
    u64(b, (uintptr_t)(code + f->begin));
    u64(b, f->end - f->begin);
    uleb(b, 0);
    u8(b, CFA_ADVANCE4);
    u32(b, f->body - f->begin);
    u8(b, CFA_DEF_OFFSET);
    uleb(b, f->size + (on_stack ? 8u : 0u));
    for (uint32_t i = 0; i < f->n_saved && i < sizeof(f->saved) / sizeof(f->saved[0]); i++) {
        u8(b, CFA_OFFSET_EXTENDED);
        uleb(b, t->dwarf[f->saved[i].reg]);
        uleb(b, (uint64_t)(f->saved[i].at / DATA_ALIGN));
    }
    if (f->late > f->body && f->late < f->end) {
        u8(b, CFA_ADVANCE4);
        u32(b, f->late - f->body);
        u8(b, CFA_DEF_OFFSET);
        uleb(b, f->late_size + (on_stack ? 8u : 0u));
    }
    pad(b, at);
    end_length(b, at);
}

static void frames(struct buf *b, const struct jit_target *t, const struct jit_view *view)
{
    common_frame(b, t);
    for (uint32_t i = 0; i <= view->n_funcs; i++)
        frame(b, t, &view->frames[i], view->code);
    u32(b, 0);
}

/* ---- Lines ---- */

enum { LNS_COPY = 1, LNS_ADVANCE_PC = 2, LNS_ADVANCE_LINE = 3, LNS_SET_FILE = 4, LNS_SET_COLUMN = 5 };
enum { LNE_END = 1, LNE_SET_ADDRESS = 2 };

struct files {
    const char *name[64];
    uint32_t n;
};

/* Programs come from a handful of files; what is beyond them counts as the first. */
static uint32_t file_of(struct files *files, const char *name)
{
    for (uint32_t i = 0; i < files->n; i++)
        if (files->name[i] == name || !strcmp(files->name[i], name))
            return i;
    if (files->n == sizeof(files->name) / sizeof(files->name[0]))
        return 0;
    files->name[files->n] = name;
    return files->n++;
}

struct row {
    uint64_t addr;
    uint32_t file, line, col;
};

static void row(struct buf *b, struct row *was, struct row is)
{
    if (is.file != was->file) {
        u8(b, LNS_SET_FILE);
        uleb(b, is.file);
    }
    if (is.col != was->col) {
        u8(b, LNS_SET_COLUMN);
        uleb(b, is.col);
    }
    u8(b, LNS_ADVANCE_LINE);
    sleb(b, (int64_t)is.line - was->line);
    u8(b, LNS_ADVANCE_PC);
    uleb(b, is.addr - was->addr);
    u8(b, LNS_COPY);
    *was = is;
}

static void line_rows(struct buf *b, struct files *files, const struct prog *prog, const struct jit_view *view)
{
    struct row was = {.addr = (uintptr_t)view->code, .file = 1, .line = 1};
    const struct prog_line *last = NULL;

    u8(b, 0);
    uleb(b, 9);
    u8(b, LNE_SET_ADDRESS);
    u64(b, was.addr);
    for (uint32_t i = 0; i < view->n_lines; i++) {
        const struct prog_line *line = prog_line_at(prog, view->lines[i].slot);
        if (!line || line == last)
            continue;
        last = line;
        row(b, &was,
            (struct row){.addr = (uintptr_t)view->code + view->lines[i].offset,
                         .file = file_of(files, line->file) + 1,
                         .line = line->line,
                         .col = line->col});
    }
    u8(b, LNS_ADVANCE_PC);
    uleb(b, (uintptr_t)view->code + view->size - was.addr);
    u8(b, 0);
    uleb(b, 1);
    u8(b, LNE_END);
}

/* DWARF 4's table; the rows come first, since they say which files there are. */
static void lines(struct buf *b, const struct prog *prog, const struct jit_view *view)
{
    static const uint8_t operands[] = {0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1};
    struct files files = {0};
    struct buf rows = {0};
    size_t at, head;

    line_rows(&rows, &files, prog, view);
    at = begin_length(b);
    u16(b, 4);
    head = begin_length(b);
    u8(b, 1);           /* bytes an instruction */
    u8(b, 1);           /* operations an instruction */
    u8(b, 1);           /* rows are statements */
    u8(b, (uint8_t)-5); /* special opcodes, which are not used */
    u8(b, 14);
    u8(b, sizeof(operands) + 1);
    buf_add(b, operands, sizeof(operands));
    u8(b, 0); /* no folders */
    for (uint32_t i = 0; i < files.n; i++) {
        text(b, files.name[i]);
        uleb(b, 0), uleb(b, 0), uleb(b, 0);
    }
    u8(b, 0);
    end_length(b, head);
    if (!rows.failed)
        buf_add(b, rows.data, rows.len);
    b->failed |= rows.failed;
    end_length(b, at);
    buf_free(&rows);
}

/* ---- Names ---- */

enum { TAG_CU = 0x11, TAG_FUNC = 0x2e };
enum { AT_NAME = 0x03, AT_STMT_LIST = 0x10, AT_LOW = 0x11, AT_HIGH = 0x12, AT_LANGUAGE = 0x13 };
enum {
    FORM_ADDR = 0x01,
    FORM_DATA2 = 0x05,
    FORM_DATA8 = 0x07,
    FORM_STRING = 0x08,
    FORM_OFFSET = 0x17,
    LANG_C11 = 0x1d
};

static void abbreviations(struct buf *b)
{
    static const uint8_t unit[] = {1,           TAG_CU,       1,           AT_NAME,   FORM_STRING,
                                   AT_LANGUAGE, FORM_DATA2,   AT_LOW,      FORM_ADDR, AT_HIGH,
                                   FORM_DATA8,  AT_STMT_LIST, FORM_OFFSET, 0,         0};
    static const uint8_t func[] = {2,         TAG_FUNC, 0,          AT_NAME, FORM_STRING, AT_LOW,
                                   FORM_ADDR, AT_HIGH,  FORM_DATA8, 0,       0,           0};

    buf_add(b, unit, sizeof(unit));
    buf_add(b, func, sizeof(func));
}

static void names(struct buf *b, const struct prog *prog, const struct jit_view *view)
{
    size_t at = begin_length(b);
    char name[256];

    u16(b, 4);
    u32(b, 0); /* abbreviations */
    u8(b, 8);
    uleb(b, 1);
    text(b, prog->n_lines ? prog->lines[0].file : prog->file);
    u16(b, LANG_C11);
    u64(b, (uintptr_t)view->code);
    u64(b, view->size);
    u32(b, 0); /* lines */
    for (uint32_t i = 0; i <= view->n_funcs; i++) {
        jit_symbol(prog, i, name, sizeof(name));
        uleb(b, 2);
        text(b, name);
        u64(b, (uintptr_t)(view->code + view->frames[i].begin));
        u64(b, view->frames[i].end - view->frames[i].begin);
    }
    u8(b, 0);
    end_length(b, at);
}

static void symbols(struct buf *b, struct buf *strings, const struct prog *prog, const struct jit_view *view)
{
    Elf64_Sym sym = {0};
    char name[256];

    buf_add(b, &sym, sizeof(sym));
    u8(strings, 0);
    for (uint32_t i = 0; i <= view->n_funcs; i++) {
        const struct jit_frame *f = &view->frames[i];
        jit_symbol(prog, i, name, sizeof(name));
        sym = (Elf64_Sym){.st_name = (uint32_t)strings->len,
                          .st_info = ELF64_ST_INFO(STB_LOCAL, STT_FUNC),
                          .st_shndx = 1,
                          .st_value = f->begin, /* in a relocatable file: from the section's beginning */
                          .st_size = f->end - f->begin};
        buf_add(b, &sym, sizeof(sym));
        text(strings, name);
    }
}

/* ---- The file ---- */

enum { TEXT = 1, FRAMES, INFO, ABBREV, LINES, SYMBOLS, STRINGS, NAMES, SECTIONS };

static const char section_names[] =
    "\0.text\0.eh_frame\0.debug_info\0.debug_abbrev\0.debug_line\0.symtab\0.strtab\0.shstrtab";
static const uint8_t name_at[SECTIONS] = {0, 1, 7, 17, 29, 43, 55, 63, 71};

static const Elf64_Shdr kinds[SECTIONS] = {
    [TEXT] = {.sh_type = SHT_NOBITS, .sh_flags = SHF_ALLOC | SHF_EXECINSTR, .sh_addralign = 16},
    [FRAMES] = {.sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC, .sh_addralign = 8},
    [INFO] = {.sh_type = SHT_PROGBITS, .sh_addralign = 1},
    [ABBREV] = {.sh_type = SHT_PROGBITS, .sh_addralign = 1},
    [LINES] = {.sh_type = SHT_PROGBITS, .sh_addralign = 1},
    [SYMBOLS] = {.sh_type = SHT_SYMTAB, .sh_addralign = 8, .sh_link = STRINGS, .sh_entsize = sizeof(Elf64_Sym)},
    [STRINGS] = {.sh_type = SHT_STRTAB, .sh_addralign = 1},
    [NAMES] = {.sh_type = SHT_STRTAB, .sh_addralign = 1},
};

static void join(struct buf *file, const struct jit_target *t, const struct buf parts[SECTIONS],
                 const struct jit_view *view)
{
    Elf64_Ehdr h = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                    .e_type = ET_REL,
                    .e_machine = t->elf_machine,
                    .e_version = EV_CURRENT,
                    .e_shoff = sizeof(h),
                    .e_ehsize = sizeof(h),
                    .e_shentsize = sizeof(Elf64_Shdr),
                    .e_shnum = SECTIONS,
                    .e_shstrndx = NAMES};
    Elf64_Shdr s[SECTIONS];
    size_t at = sizeof(h) + sizeof(s);

    memcpy(s, kinds, sizeof(s));
    for (unsigned i = 1; i < SECTIONS; i++) {
        s[i].sh_name = name_at[i];
        s[i].sh_offset = at;
        s[i].sh_size = parts[i].len;
        at += (parts[i].len + 7) & ~7ul;
    }
    s[TEXT].sh_addr = (uintptr_t)view->code;
    s[TEXT].sh_size = view->size;
    s[SYMBOLS].sh_info = (uint32_t)(parts[SYMBOLS].len / sizeof(Elf64_Sym));
    buf_add(file, &h, sizeof(h));
    buf_add(file, s, sizeof(s));
    for (unsigned i = 1; i < SECTIONS; i++) {
        if (parts[i].len)
            buf_add(file, parts[i].data, parts[i].len);
        buf_grow(file, (8 - parts[i].len % 8) % 8);
        file->failed |= parts[i].failed;
    }
}

static void write_file(struct buf *file, const struct prog *prog, const struct jit_target *t,
                       const struct jit_view *view)
{
    struct buf parts[SECTIONS] = {0};

    frames(&parts[FRAMES], t, view);
    names(&parts[INFO], prog, view);
    abbreviations(&parts[ABBREV]);
    lines(&parts[LINES], prog, view);
    symbols(&parts[SYMBOLS], &parts[STRINGS], prog, view);
    buf_add(&parts[NAMES], section_names, sizeof(section_names));
    join(file, t, parts, view);
    for (unsigned i = 0; i < SECTIONS; i++)
        buf_free(&parts[i]);
}

/* ---- The list ---- */

static void announce(struct jit_code_entry *e, uint32_t action)
{
    __jit_debug_descriptor.relevant = e;
    __jit_debug_descriptor.action = action;
    __jit_debug_register_code();
    __jit_debug_descriptor.relevant = NULL;
    __jit_debug_descriptor.action = ACTION_NONE;
}

void *jit_gdb_add(const struct prog *prog, const struct jit_target *target, const struct jit_view *view)
{
    struct jit_code_entry *e = calloc(1, sizeof(*e));
    struct buf file = {0};

    if (e)
        write_file(&file, prog, target, view);
    if (!e || file.failed) {
        buf_free(&file);
        free(e);
        return NULL;
    }
    e->file = file.data;
    e->size = file.len;
    pthread_mutex_lock(&lock);
    e->next = __jit_debug_descriptor.first;
    if (e->next)
        e->next->prev = e;
    __jit_debug_descriptor.first = e;
    announce(e, ACTION_REGISTER);
    pthread_mutex_unlock(&lock);
    return e;
}

void jit_gdb_remove(void *entry)
{
    struct jit_code_entry *e = entry;

    if (!e)
        return;
    pthread_mutex_lock(&lock);
    if (e->prev)
        e->prev->next = e->next;
    else
        __jit_debug_descriptor.first = e->next;
    if (e->next)
        e->next->prev = e->prev;
    announce(e, ACTION_UNREGISTER);
    pthread_mutex_unlock(&lock);
    free((void *)e->file);
    free(e);
}
