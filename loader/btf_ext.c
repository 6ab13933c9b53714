/*
 * The reader keeps to the bytes of each subsection and trusts no count: a table is made only after its records were
 * seen to fit. Sections of one name are joined, so that btf_ext_find() has one answer.
 */
#include "loader/btf_ext.h"

#include <byteswap.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAGIC = 0xeb9f, VERSION = 1, MAX_SECTIONS = 1 << 13 };

_Static_assert(!offsetof(struct btf_ext_func, off) && !offsetof(struct btf_ext_line, off) &&
                   !offsetof(struct core_relo, off),
               "by_offset() finds the offset first in every record");

struct reader {
    struct arena *arena;
    const struct log *log;
    const struct btf *btf;
    const unsigned char *data;
    size_t size; /* of what lies behind the header */
    bool swapped;
    struct btf_ext_section *sections;
    uint32_t n_sections, cap_sections;
};

/* One kind of record: how it is laid out at least, and who takes it in. */
struct record_kind {
    const char *what;
    uint32_t words; /* 32-bit words that are known */
    size_t size;    /* of ours */
    int (*take)(const struct reader *r, const uint32_t *words, void *to);
    size_t table, count; /* offsets in struct btf_ext_section */
};

static uint32_t word_at(const struct reader *r, size_t off)
{
    uint32_t v;

    memcpy(&v, r->data + off, sizeof(v));
    return r->swapped ? bswap_32(v) : v;
}

static int take_func(const struct reader *r, const uint32_t *w, void *to)
{
    struct btf_ext_func *f = to;
    const struct btf_type *t = btf_type_at(r->btf, w[1]);

    if (!t || btf_kind(t) != BTF_FUNC)
        return log_fail(r->log, -EINVAL, "func_info at byte %u names type %u, which is no function", w[0], w[1]);
    *f = (struct btf_ext_func){.off = w[0], .type_id = w[1]};
    return 0;
}

static int take_line(const struct reader *r, const uint32_t *w, void *to)
{
    struct btf_ext_line *l = to;

    if (!btf_str_ok(r->btf, w[1]) || !btf_str_ok(r->btf, w[2]))
        return log_fail(r->log, -EINVAL, "line_info at byte %u: its strings lie outside of the BTF's", w[0]);
    *l = (struct btf_ext_line){.off = w[0], .line = w[3] >> 10, .col = w[3] & 0x3ff};
    l->file = btf_str(r->btf, w[1]);
    l->text = btf_str(r->btf, w[2]);
    return 0;
}

static int take_relo(const struct reader *r, const uint32_t *w, void *to)
{
    struct core_relo *c = to;

    if (!btf_type_at(r->btf, w[1]))
        return log_fail(r->log, -EINVAL, "core_relo at byte %u: there is no type %u", w[0], w[1]);
    if (!btf_str_ok(r->btf, w[2]))
        return log_fail(r->log, -EINVAL, "core_relo at byte %u: its access string lies outside of the BTF's", w[0]);
    if (w[3] >= CORE_KIND_COUNT)
        return log_fail(r->log, -EINVAL, "core_relo at byte %u: unknown kind %u", w[0], w[3]);
    *c = (struct core_relo){.off = w[0], .type_id = w[1], .kind = w[3]};
    c->access = btf_str(r->btf, w[2]);
    return 0;
}

static const struct record_kind kinds[] = {
    {"func_info", 2, sizeof(struct btf_ext_func), take_func, offsetof(struct btf_ext_section, funcs),
     offsetof(struct btf_ext_section, n_funcs)},
    {"line_info", 4, sizeof(struct btf_ext_line), take_line, offsetof(struct btf_ext_section, lines),
     offsetof(struct btf_ext_section, n_lines)},
    {"core_relo", 4, sizeof(struct core_relo), take_relo, offsetof(struct btf_ext_section, relos),
     offsetof(struct btf_ext_section, n_relos)},
};

static struct btf_ext_section *section_named(struct reader *r, const char *name)
{
    for (uint32_t i = 0; i < r->n_sections; i++)
        if (!strcmp(r->sections[i].name, name))
            return &r->sections[i];
    if (r->n_sections == r->cap_sections) {
        uint32_t cap = r->cap_sections ? r->cap_sections * 2 : 16;
        struct btf_ext_section *more = reallocarray(r->sections, cap, sizeof(*more));

        if (!more)
            return NULL;
        r->sections = more;
        r->cap_sections = cap;
    }
    r->sections[r->n_sections] = (struct btf_ext_section){.name = name};
    return &r->sections[r->n_sections++];
}

/* Every record begins with its offset. */
static int by_offset(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* Reads n records at `at`; compilers write them in order of their offsets, but nothing binds them to. */
static int read_records(struct reader *r, const struct record_kind *k, struct btf_ext_section *s, size_t at, uint32_t n,
                        uint32_t rec_size)
{
    uint32_t *count = (uint32_t *)(void *)((char *)s + k->count), last = 0;
    bool sorted = true;
    void **table = (void **)(void *)((char *)s + k->table);
    char *to;

    if (*count)
        return log_fail(r->log, -EINVAL, "%s: section '%.64s' stands there twice", k->what, s->name);
    to = arena_array(r->arena, n, k->size);
    if (!to)
        return log_fail(r->log, -ENOMEM, "out of memory for %u records of %s", n, k->what);
    for (uint32_t i = 0; i < n; i++, at += rec_size) {
        uint32_t words[4] = {0};
        int err;

        for (uint32_t w = 0; w < k->words; w++)
            words[w] = word_at(r, at + 4 * w);
        if (words[0] % 8)
            return log_fail(r->log, -EINVAL, "%s of section '%.64s': byte %u is no instruction's beginning", k->what,
                            s->name, words[0]);
        sorted &= words[0] >= last;
        last = words[0];
        err = k->take(r, words, to + i * k->size);
        if (err)
            return err;
    }
    if (!sorted)
        qsort(to, n, k->size, by_offset);
    *table = to;
    *count = n;
    return 0;
}

/* A subsection: the size of a record, then for each ELF section its name, a count and the records. */
static int read_subsection(struct reader *r, const struct record_kind *k, uint32_t off, uint32_t len)
{
    size_t at = off, end;
    uint32_t rec_size, seen = 0;

    if (!len)
        return 0;
    if (off % 4 || len < 4 || off > r->size || len > r->size - off)
        return log_fail(r->log, -EINVAL, "%s (%u bytes at %u) lies outside of the section", k->what, len, off);
    end = at + len;
    rec_size = word_at(r, at);
    at += 4;
    if (rec_size < k->words * 4 || rec_size % 4 || rec_size > len)
        return log_fail(r->log, -EINVAL, "%s: records of %u bytes", k->what, rec_size);
    while (at < end) {
        struct btf_ext_section *s;
        uint32_t name, n;
        int err;

        if (end - at < 8)
            return log_fail(r->log, -EINVAL, "%s: the head of a section is cut off", k->what);
        name = word_at(r, at);
        n = word_at(r, at + 4);
        at += 8;
        if (!btf_str_ok(r->btf, name) || !*btf_str(r->btf, name))
            return log_fail(r->log, -EINVAL, "%s: a section without a name", k->what);
        if (!n || n > (end - at) / rec_size)
            return log_fail(r->log, -EINVAL, "%s of section '%.64s': %u records do not fit", k->what,
                            btf_str(r->btf, name), n);
        if (++seen > MAX_SECTIONS)
            return log_fail(r->log, -EINVAL, "%s: more than %u sections", k->what, MAX_SECTIONS);
        s = section_named(r, btf_str(r->btf, name));
        if (!s)
            return log_fail(r->log, -ENOMEM, "out of memory");
        err = read_records(r, k, s, at, n, rec_size);
        if (err)
            return err;
        at += (size_t)n * rec_size;
    }
    return 0;
}

static int read_all(struct reader *r, const void *data, size_t size)
{
    uint16_t magic;
    const unsigned char *bytes = data;
    uint32_t hdr_len, place[6] = {0};
    int err = 0;

    if (size < 24)
        return log_fail(r->log, -EINVAL, "%zu bytes are too short for a header", size);
    memcpy(&magic, data, sizeof(magic));
    r->swapped = magic == bswap_16(MAGIC);
    if (magic != MAGIC && !r->swapped)
        return log_fail(r->log, -EINVAL, "does not begin with the magic number 0xeb9f");
    if (bytes[2] != VERSION)
        return log_fail(r->log, -EINVAL, "version %u, only %u is known", bytes[2], VERSION);
    r->data = bytes;
    hdr_len = word_at(r, 4);
    if (hdr_len < 24 || hdr_len > size)
        return log_fail(r->log, -EINVAL, "a header of %u bytes in %zu", hdr_len, size);
    /* func_info and line_info; CO-RE came with a longer header. */
    for (uint32_t i = 0; i < 6 && 8 + 4 * i + 4 <= hdr_len; i++)
        place[i] = word_at(r, 8 + 4 * i);
    r->data = bytes + hdr_len;
    r->size = size - hdr_len;
    for (unsigned i = 0; !err && i < 3; i++)
        err = read_subsection(r, &kinds[i], place[2 * i], place[2 * i + 1]);
    return err;
}

int btf_ext_parse(struct arena *arena, const void *data, size_t size, const struct btf *btf, const struct log *log,
                  const struct btf_ext **out)
{
    struct reader r = {.arena = arena, .log = log, .btf = btf};
    struct btf_ext *ext;
    char where[256];
    struct log at = LOG_AT(log, where);
    int err;

    snprintf(where, sizeof(where), "%s%s.BTF.ext", log && log->where ? log->where : "", log && log->where ? ": " : "");
    r.log = &at;
    err = read_all(&r, data, size);
    if (!err) {
        ext = ARENA_NEW(arena, struct btf_ext);
        if (ext)
            ext->sections = arena_memdup(arena, r.sections, r.n_sections * sizeof(*r.sections));
        if (!ext || !ext->sections) {
            err = log_fail(&at, -ENOMEM, "out of memory");
        } else {
            ext->n_sections = r.n_sections;
            *out = ext;
        }
    }
    free(r.sections);
    return err;
}

const struct btf_ext_section *btf_ext_find(const struct btf_ext *ext, const char *name)
{
    for (uint32_t i = 0; ext && i < ext->n_sections; i++)
        if (!strcmp(ext->sections[i].name, name))
            return &ext->sections[i];
    return NULL;
}
