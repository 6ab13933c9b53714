/*
 * Reading a .bpf file: once over the lines for the tests' places, then each test's directives, then its text with all
 * other lines blanked, so that the assembler counts lines of the file.
 */
#include "base/buf.h"
#include "tests/runner/test.h"
#include "vm/abi/helpers.h"
#include "vm/abi/map_types.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    struct test_file *file;
    const struct log *log;
    const char *path;
    char *text; /* the file, NUL-terminated */
    size_t size;
    uint32_t line;
    struct test *test; /* whose directives are being read */
};

#define refuse(r, ...) refuse_at((r), (r)->line, __VA_ARGS__)

static int refuse_at(const struct reader *r, uint32_t line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int refuse_at(const struct reader *r, uint32_t line, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return log_fail(r->log, -EINVAL, "line %u: %s", line, text);
}

/* The next word of a directive's value, NUL-terminated in place; NULL: none. */
static char *word(char **rest)
{
    char *from = *rest + strspn(*rest, " \t\r"), *to = from + strcspn(from, " \t\r");

    if (from == to)
        return NULL;
    *rest = to + (*to != 0);
    *to = 0;
    return from;
}

static int number(const struct reader *r, const char *text, uint64_t *out)
{
    char *end = NULL;

    errno = 0;
    if (text)
        *out = text[0] == '-' ? (uint64_t)strtoll(text, &end, 0) : strtoull(text, &end, 0);
    if (!text || !*text || *end || errno)
        return refuse(r, "'%s' is no number", text ? text : "");
    return 0;
}

/* Hex bytes; `aa*16` repeats. Reads words until the value ends, or one word alone. */
static int hex(const struct reader *r, char *text, struct bytes *out)
{
    struct buf b = {0};
    unsigned char value;
    int err = 0;

    while (*text && !err) {
        unsigned long times = 1;
        char *end;

        if (isspace((unsigned char)*text)) {
            text++;
            continue;
        }
        if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1])) {
            err = refuse(r, "bytes are pairs of hex digits: '%s'", text);
            break;
        }
        value = (unsigned char)strtoul((char[]){text[0], text[1], 0}, NULL, 16);
        text += 2;
        if (*text == '*') {
            times = strtoul(text + 1, &end, 10);
            if (end == text + 1 || times > 1 << 20)
                err = refuse(r, "a byte's repetition is a number up to 1048576");
            text = end;
        }
        for (; times && !err; times--)
            buf_putc(&b, (char)value);
    }
    if (!err) {
        out->size = (uint32_t)b.len;
        out->data = arena_memdup(&r->file->arena, b.len ? b.data : "", b.len);
        out->line = r->line;
    }
    buf_free(&b);
    return err;
}

static int map_index(const struct reader *r, const char *name, uint32_t *out)
{
    for (uint32_t i = 0; name && i < r->test->n_maps; i++)
        if (!strcmp(r->test->maps[i].name, name))
            return *out = i, 0;
    return refuse(r, "there is no map '%s'", name ? name : "");
}

/* Values of directives. */

static int read_type(struct reader *r, char *value)
{
    char *name = word(&value);

    r->test->type = name ? prog_type_by_name(name) : NULL;
    return r->test->type ? 0 : refuse(r, "there is no program type '%s'", name ? name : "");
}

/* What stands behind a map's sizes. */
static int map_word(struct reader *r, const char *text, struct map_def *def, bool *frozen)
{
    uint64_t n;
    uint32_t inner;

    if (!strcmp(text, "rdonly"))
        return def->flags |= MAP_F_RDONLY_PROG, 0;
    if (!strcmp(text, "wronly"))
        return def->flags |= MAP_F_WRONLY_PROG, 0;
    if (!strcmp(text, "frozen"))
        return def->flags |= MAP_F_RDONLY_PROG, *frozen = true, 0;
    if (!strncmp(text, "lock@", 5)) {
        if (number(r, text + 5, &n))
            return -EINVAL;
        return def->spin_lock_off = (int32_t)n, 0;
    }
    if (!strncmp(text, "extra=", 6))
        return number(r, text + 6, &def->extra);
    if (!strncmp(text, "inner=", 6)) {
        if (map_index(r, text + 6, &inner))
            return -EINVAL;
        def->inner = arena_memdup(&r->file->arena, &r->test->maps[inner], sizeof(*def));
        return def->inner ? 0 : -ENOMEM;
    }
    if (number(r, text, &n))
        return -EINVAL;
    return def->flags |= (uint32_t)n, 0;
}

static int read_map(struct reader *r, char *value)
{
    struct map_def def = {.spin_lock_off = -1};
    uint64_t n[3];
    const char *text;
    bool frozen = false;
    char *name = word(&value), *type = word(&value);

    if (r->test->n_maps == TEST_MAX_MAPS)
        return refuse(r, "a test has at most %d maps", TEST_MAX_MAPS);
    if (!name || !type || strlen(name) >= MAP_NAME_LEN)
        return refuse(r, "a map is NAME TYPE KEY VALUE MAX [WORD]...");
    snprintf(def.name, sizeof(def.name), "%s", name);
    def.type = map_type_by_name(type);
    if (!def.type)
        return refuse(r, "there is no map type '%s'", type);
    for (int i = 0; i < 3; i++)
        if (number(r, word(&value), &n[i]))
            return -EINVAL;
    def.key_size = (uint32_t)n[0];
    def.value_size = (uint32_t)n[1];
    def.max_entries = (uint32_t)n[2];
    while ((text = word(&value)))
        if (map_word(r, text, &def, &frozen))
            return -EINVAL;
    r->test->frozen[r->test->n_maps] = frozen;
    r->test->maps[r->test->n_maps++] = def;
    return 0;
}

static int read_elem(struct reader *r, char *value, struct test_elem *elems, uint32_t *count)
{
    struct test_elem *e = &elems[*count];
    char *key;

    if (*count == TEST_MAX_ELEMS)
        return refuse(r, "a test has at most %d of these", TEST_MAX_ELEMS);
    if (map_index(r, word(&value), &e->map))
        return -EINVAL;
    key = word(&value);
    if (!key || hex(r, key, &e->key) || hex(r, value, &e->value))
        return refuse(r, "an element is NAME KEY VALUE, in hex");
    if (e->key.size != r->test->maps[e->map].key_size || e->value.size != r->test->maps[e->map].value_size)
        return refuse(r, "key or value has not the size that the map's have");
    ++*count;
    return 0;
}

static int read_tail(struct reader *r, char *value)
{
    struct test_tail *t = &r->test->tails[r->test->n_tails];
    uint64_t index;

    if (r->test->n_tails == TEST_MAX_ELEMS)
        return refuse(r, "a test has at most %d of these", TEST_MAX_ELEMS);
    if (map_index(r, word(&value), &t->map) || number(r, word(&value), &index))
        return -EINVAL;
    t->index = (uint32_t)index;
    t->line = r->line;
    t->name = arena_strdup(&r->file->arena, value + strspn(value, " \t"));
    r->test->n_tails++;
    return 0;
}

static int read_result(struct reader *r, char *value)
{
    r->test->result_line = r->line;
    return number(r, word(&value), &r->test->result);
}

static int read_trap(struct reader *r, char *value)
{
    char *name = word(&value);

    r->test->trap_line = r->line;
    for (unsigned kind = 1; name && kind < TRAP_KIND_COUNT; kind++)
        if (!strcmp(trap_name((enum trap_kind)kind), name))
            return r->test->trap = (enum trap_kind)kind, 0;
    return refuse(r, "there is no trap '%s'", name ? name : "");
}

static int read_attach(struct reader *r, char *value)
{
    char *name = word(&value);

    for (uint32_t id = 0; name && id < ATTACH_TYPE_COUNT; id++)
        if (attach_type_name(id) && !strcmp(attach_type_name(id), name))
            return r->test->attach_type = id, 0;
    return refuse(r, "there is no attach type '%s'", name ? name : "");
}

static bool is_flag(struct test *t, const char *key)
{
    bool *flag = !strcmp(key, "accept")      ? &t->accept
                 : !strcmp(key, "unpriv")    ? &t->unprivileged
                 : !strcmp(key, "strict")    ? &t->strict
                 : !strcmp(key, "sleepable") ? &t->sleepable
                                             : NULL;

    if (flag)
        *flag = true;
    return flag != NULL;
}

static int directive(struct reader *r, const char *key, char *value)
{
    struct test *t = r->test;

    if (!strcmp(key, "type"))
        return read_type(r, value);
    if (!strcmp(key, "mem"))
        return hex(r, value, &t->mem);
    if (!strcmp(key, "ctx"))
        return hex(r, value, &t->ctx);
    if (!strcmp(key, "data"))
        return hex(r, value, &t->data);
    if (!strcmp(key, "mem-out"))
        return hex(r, value, &t->mem_out);
    if (!strcmp(key, "ctx-out"))
        return hex(r, value, &t->ctx_out);
    if (!strcmp(key, "data-out"))
        return hex(r, value, &t->data_out);
    if (!strcmp(key, "map"))
        return read_map(r, value);
    if (!strcmp(key, "map-set"))
        return read_elem(r, value, t->sets, &t->n_sets);
    if (!strcmp(key, "map-out"))
        return read_elem(r, value, t->outs, &t->n_outs);
    if (!strcmp(key, "tail"))
        return read_tail(r, value);
    if (!strcmp(key, "result"))
        return read_result(r, value);
    if (!strcmp(key, "trap"))
        return read_trap(r, value);
    if (!strcmp(key, "error"))
        return t->error = arena_strdup(&r->file->arena, value), t->error_line = r->line, 0;
    if (!strcmp(key, "kernel"))
        return t->no_kernel = arena_strdup(&r->file->arena, value), 0;
    if (!strcmp(key, "unsupported"))
        return t->unsupported = arena_strdup(&r->file->arena, value), 0;
    if (!strcmp(key, "differs"))
        return t->differs = arena_strdup(&r->file->arena, value), 0;
    if (!strcmp(key, "license"))
        return t->license = arena_strdup(&r->file->arena, value), 0;
    if (!strcmp(key, "max-insns"))
        return number(r, word(&value), &t->max_insns);
    if (!strcmp(key, "attach"))
        return read_attach(r, value);
    if (is_flag(t, key))
        return 0;
    return refuse(r, "there is no directive '%s'", key);
}

/* Splits `; key: value` out of a line (a copy). @return false: the line has none. */
static bool split(char *line, char **key, char **value)
{
    char *p = strchr(line, ';');
    size_t n;

    if (!p)
        return false;
    p += 1 + strspn(p + 1, " \t");
    n = strspn(p, "abcdefghijklmnopqrstuvwxyz-");
    if (!n || p[n] != ':')
        return false;
    p[n] = 0;
    *key = p;
    *value = p + n + 1;
    *value += strspn(*value, " \t");
    for (n = strlen(*value); n && isspace((unsigned char)(*value)[n - 1]); n--)
        (*value)[n - 1] = 0;
    return true;
}

static const char *line_end(const char *p)
{
    return p + strcspn(p, "\n");
}

/* Reads the directives of lines [from, to). */
static int directives(struct reader *r, struct test *test, const char *from, const char *to, uint32_t line)
{
    char *key, *value;

    r->test = test;
    for (r->line = line; from < to; from = line_end(from) + 1, r->line++) {
        char *copy = arena_strndup(&r->file->arena, from, (size_t)(line_end(from) - from));

        if (!copy)
            return -ENOMEM;
        if (split(copy, &key, &value) && strcmp(key, "test") && directive(r, key, value))
            return -EINVAL;
    }
    return 0;
}

static bool helper_id(void *ctx, const char *name, size_t len, uint32_t *id)
{
    char copy[64];
    const struct helper *h;

    (void)ctx;
    if (len >= sizeof(copy))
        return false;
    memcpy(copy, name, len);
    copy[len] = 0;
    h = helper_by_name(copy);
    *id = h ? h->id : 0;
    return h != NULL;
}

static bool find_map(void *ctx, const char *name, size_t len, uint32_t *index)
{
    const struct test *t = ctx;

    for (uint32_t i = 0; i < t->n_maps; i++)
        if (strlen(t->maps[i].name) == len && !memcmp(t->maps[i].name, name, len))
            return *index = i, true;
    return false;
}

/* Assembles lines [from, to), with as many empty lines before them as stand before them in the file. */
static int assemble(struct reader *r, struct test *t, const char *from, const char *to)
{
    const struct asm_opts opts = {.ctx = t, .helper = helper_id, .map = find_map};
    struct buf text = {0};
    struct asm_out out;
    int err;

    for (const char *p = r->text; p < from; p++)
        if (*p == '\n')
            buf_putc(&text, '\n');
    buf_add(&text, from, (size_t)(to - from));
    err = asm_text(buf_text(&text), text.len, &opts, r->log, &out);
    buf_free(&text);
    if (err)
        return err;
    t->n_insns = out.n_insns;
    t->insns = arena_memdup(&r->file->arena, out.insns, out.n_insns * sizeof(*out.insns));
    t->lines = arena_memdup(&r->file->arena, out.lines, out.n_insns * sizeof(*out.lines));
    asm_free(&out);
    return t->insns && t->lines ? 0 : -ENOMEM;
}

/* A test that could not fail is none. */
static int check(const struct reader *r, const struct test *t)
{
    bool on_insn = false;

    if (!t->n_insns)
        return refuse_at(r, t->line, "the test has no instruction");
    if (!t->result_line && !t->trap && !t->error && !t->mem_out.line && !t->data_out.line && !t->ctx_out.line &&
        !t->n_outs && !t->accept && !t->unsupported)
        return refuse_at(r, t->line, "the test expects nothing");
    for (uint32_t i = 0; i < t->n_insns; i++)
        on_insn |= t->lines[i] == (t->trap ? t->trap_line : t->error_line);
    if ((t->trap || t->error) && !on_insn)
        return refuse_at(r, t->trap ? t->trap_line : t->error_line, "this stands on the line of an instruction");
    if (t->type ? t->mem.line || t->mem_out.line : t->ctx.line || t->data.line)
        return refuse_at(r, t->line, "mem is for programs without a type, ctx and data for those with one");
    return 0;
}

static int resolve_tails(const struct reader *r, struct test *t)
{
    for (uint32_t i = 0; i < t->n_tails; i++) {
        struct test_tail *tail = &t->tails[i];

        tail->of = *tail->name ? NULL : t;
        for (uint32_t j = 0; j < r->file->n_tests && !tail->of; j++)
            if (!strcmp(r->file->tests[j].name, tail->name))
                tail->of = &r->file->tests[j];
        if (!tail->of)
            return refuse_at(r, tail->line, "there is no test '%s'", tail->name);
        if (tail->of->n_maps > t->n_maps ||
            memcmp(tail->of->maps, t->maps, tail->of->n_maps * sizeof(struct map_def)) != 0)
            return refuse_at(r, tail->line, "test '%s' does not begin with this test's maps", tail->name);
    }
    return 0;
}

/* The name when the line is `; test: NAME`, else NULL. */
static char *test_name(struct reader *r, const char *line)
{
    char *copy = arena_strndup(&r->file->arena, line, (size_t)(line_end(line) - line)), *key, *value;

    return copy && copy[strspn(copy, " \t")] == ';' && split(copy, &key, &value) && !strcmp(key, "test") ? value : NULL;
}

static int read_tests(struct reader *r)
{
    const char *end = r->text + r->size, *first = NULL, *from, *to;
    struct test header = {.file = r->path, .name = "", .line = 1, .license = "GPL"};
    uint32_t line = 1, n = 0;
    int err;

    for (const char *p = r->text; p < end; p = line_end(p) + 1)
        if (test_name(r, p)) {
            first = first ? first : p;
            n++;
        }
    r->file->tests = arena_array(&r->file->arena, n + 1, sizeof(struct test));
    if (!r->file->tests)
        return -ENOMEM;
    err = directives(r, &header, r->text, first ? first : end, 1);
    if (!first && !err) {
        r->file->tests[r->file->n_tests++] = header;
        return assemble(r, &r->file->tests[0], r->text, end);
    }
    for (from = r->text; from < first; from = line_end(from) + 1)
        line++;
    for (; from < end && !err; from = to) {
        struct test *t = &r->file->tests[r->file->n_tests++];
        uint32_t lines = 1;

        *t = header;
        t->name = test_name(r, from);
        t->line = line;
        for (to = line_end(from) + 1; to < end && !test_name(r, to); to = line_end(to) + 1)
            lines++;
        to = to < end ? to : end;
        err = directives(r, t, from, to, line);
        if (!err)
            err = assemble(r, t, from, to);
        line += lines;
    }
    return err;
}

static int read_whole(const char *path, const struct log *log, struct buf *out)
{
    FILE *f = fopen(path, "rb");
    char chunk[4096];
    size_t n;

    if (!f)
        return log_fail(log, -errno, "%s", strerror(errno));
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0 && out->len < 64 << 20)
        buf_add(out, chunk, n);
    n = (size_t)ferror(f);
    fclose(f);
    return n || out->failed ? log_fail(log, -EIO, "cannot be read") : 0;
}

/* A frozen map's elements are constants; those that are not set are zero. */
static bool read_const(void *ctx, const struct map_def *map, uint64_t off, unsigned size, uint64_t *value)
{
    const struct test *t = ctx;
    uint32_t m = 0;

    while (m < t->n_maps && strcmp(t->maps[m].name, map->name))
        m++;
    if (m == t->n_maps || !t->frozen[m] || size > 8 || off > map->value_size || size > map->value_size - off)
        return false;
    *value = 0;
    for (uint32_t i = 0; i < t->n_sets; i++)
        if (t->sets[i].map == m)
            memcpy(value, t->sets[i].value.data + off, size);
    return true;
}

struct verify_opts test_verify_opts(const struct test *test)
{
    return (struct verify_opts){.raw_mem_size = test->mem.size,
                                .raw_mem_writable = true,
                                .unprivileged = test->unprivileged,
                                .strict_alignment = test->strict,
                                .max_insns = test->max_insns,
                                .read_const = read_const,
                                .read_const_ctx = (void *)test};
}

int test_file_read(struct test_file *file, const char *path, const struct log *log)
{
    struct reader r = {.file = file, .log = log, .path = path};
    struct buf text = {0};
    int err = read_whole(path, log, &text);

    *file = (struct test_file){0};
    if (!err) {
        r.text = arena_strndup(&file->arena, buf_text(&text), text.len);
        r.size = r.text ? strlen(r.text) : 0;
        err = r.text ? read_tests(&r) : -ENOMEM;
    }
    for (uint32_t i = 0; i < file->n_tests && !err; i++)
        err = check(&r, &file->tests[i]);
    for (uint32_t i = 0; i < file->n_tests && !err; i++)
        err = resolve_tails(&r, &file->tests[i]);
    buf_free(&text);
    if (err)
        test_file_free(file);
    return err;
}

void test_file_free(struct test_file *file)
{
    arena_free(&file->arena);
    *file = (struct test_file){0};
}
