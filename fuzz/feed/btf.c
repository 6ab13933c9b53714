/*
 * BTF from outside: what btf_parse() takes must serve every reader without a test of its own. The first byte says where
 * the input is cut in two, the second part being split BTF on top of the first.
 */
#include "vm/btf/btf.h"
#include "fuzz/feed/feed.h"
#include "vm/btf/show.h"

#include <string.h>

enum { MOST_TYPES = 2000, MOST_TEXT = 1 << 16, SHOWN = 256 };

static void read_type(const struct btf *btf, uint32_t id, struct buf *out)
{
    static const unsigned char value[SHOWN];
    struct json_writer w = {.out = out};
    const char *name = btf_name(btf, id);
    int64_t size = btf_size(btf, id);

    btf_align(btf, id);
    if (btf_resolve(btf, id) >= btf_count(btf))
        feed_wrong("type %u resolves to one that there is not", id);
    if (*name && btf_find(btf, name, BTF_VOID) >= btf_count(btf))
        feed_wrong("the name '%s' is that of a type that there is not", name);
    for (uint32_t next = id, n = 0; next && n < MOST_TYPES; n++)
        next = btf_find_next(btf, next);
    btf_find_flavour(btf, name, btf_essential_length(name), 0);
    btf_type_text(btf, id, out);
    btf_decl_text(btf, id, "x", out);
    btf_define_text(btf, id, out);
    if (size > 0 && size <= SHOWN)
        btf_show_json(btf, id, value, (size_t)size, &w);
}

static void read_all(const struct btf *btf)
{
    struct buf out = {0};

    for (uint32_t id = 0; id < btf_count(btf) && id < MOST_TYPES; id++) {
        read_type(btf, id, &out);
        if (out.len > MOST_TEXT)
            buf_clear(&out);
    }
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct btf *base = NULL, *split = NULL;
    struct buf said = {0};
    struct log log = feed_log(&said);
    uint8_t cut;

    feed_take(&data, &size, &cut, 1);
    size_t first = cut ? size * cut / 256 : size;
    int err = btf_parse(data, first, NULL, false, &log, &base);
    if (err && !said.len)
        feed_wrong("error %d without a message", err);
    if (!err)
        read_all(base);
    if (!err && cut && !btf_parse(data + first, size - first, base, false, &log, &split))
        read_all(split);
    btf_free(split);
    btf_free(base);
    buf_free(&said);
    return 0;
}
