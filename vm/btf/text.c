/*
 * Types as C writes them. A declaration is made from the inside out: around the declared name grow stars, brackets and
 * parameter lists, while we follow the type; what remains at the end (a named type) goes before it. Functions that take
 * pointers to functions nest, so depth is bounded; what lies deeper is written as "...".
 */
#include "vm/btf/store.h"

#include <inttypes.h>
#include <string.h>

enum { TEXT_DEPTH = 12, TEXT_LIMIT = 1 << 20 };

static void declare(const struct btf *btf, uint32_t id, const char *name, unsigned depth, struct buf *out);

/* The word of a type that ends a declaration: "struct foo", "unsigned int", "void". */
static void base_word(const struct btf *btf, uint32_t id, struct buf *out)
{
    const struct btf_type *t = btf_at(btf, id);
    const char *name = btf_str(btf, t->name_off), *keyword = "";

    switch (btf_kind(t)) {
    case BTF_VOID: name = "void"; break;
    case BTF_STRUCT: keyword = "struct "; break;
    case BTF_UNION: keyword = "union "; break;
    case BTF_ENUM:
    case BTF_ENUM64: keyword = "enum "; break;
    case BTF_FWD: keyword = btf_kflag(t) ? "union " : "struct "; break;
    case BTF_VAR:
    case BTF_FUNC:
    case BTF_DATASEC:
    case BTF_DECL_TAG: buf_printf(out, "%s ", btf_kind_name(btf_kind(t))); break;
    default: break;
    }
    buf_puts(out, keyword);
    buf_puts(out, *name ? name : "(anon)");
}

/* Writes text before and after what stands in b. */
static void wrap(struct buf *b, const char *before, const char *after)
{
    struct buf t = {0};

    buf_puts(&t, before);
    buf_add(&t, buf_text(b), b->len);
    buf_puts(&t, after);
    t.failed |= b->failed;
    buf_free(b);
    *b = t;
}

static void add_params(const struct btf *btf, const struct btf_type *t, unsigned depth, struct buf *inner)
{
    const struct btf_param *p = btf_params(t);
    unsigned n = btf_vlen(t);

    buf_putc(inner, '(');
    if (!n)
        buf_puts(inner, "void");
    for (unsigned i = 0; i < n; i++) {
        if (i)
            buf_puts(inner, ", ");
        if (!p[i].type || depth >= TEXT_DEPTH || inner->len > TEXT_LIMIT) {
            buf_puts(inner, "...");
            break;
        }
        declare(btf, p[i].type, btf_str(btf, p[i].name_off), depth + 1, inner);
    }
    buf_putc(inner, ')');
}

static const char *qualifier(unsigned kind)
{
    switch (kind) {
    case BTF_CONST: return "const";
    case BTF_VOLATILE: return "volatile";
    case BTF_RESTRICT: return "restrict";
    default: return "";
    }
}

/* Does what follows bind tighter than a star? Then the star needs parentheses. */
static bool binds_tighter(const struct btf *btf, uint32_t id)
{
    unsigned kind;

    while ((kind = btf_kind(btf_at(btf, id))) != BTF_TYPEDEF && btf_is_modifier(kind))
        id = btf_at(btf, id)->type;
    return kind == BTF_ARRAY || kind == BTF_FUNC_PROTO;
}

static bool joins_word(const char *s)
{
    return *s && *s != '[' && *s != '(' && *s != ')' && *s != ',';
}

/* Adds what one type of the chain contributes to inner, or its qualifier to quals. @return the next type, or id at the
 * end. */
static uint32_t grow(const struct btf *btf, uint32_t id, unsigned depth, struct buf *quals, struct buf *inner)
{
    const struct btf_type *t = btf_at(btf, id);

    switch (btf_kind(t)) {
    case BTF_PTR:
        wrap(inner, quals->len && joins_word(buf_text(inner)) ? " " : "", "");
        wrap(inner, buf_text(quals), "");
        wrap(inner, binds_tighter(btf, t->type) ? "(*" : "*", binds_tighter(btf, t->type) ? ")" : "");
        buf_clear(quals);
        return t->type;
    case BTF_ARRAY: buf_printf(inner, "[%u]", btf_array_of(t)->nelems); return btf_array_of(t)->type;
    case BTF_FUNC_PROTO: add_params(btf, t, depth, inner); return t->type;
    case BTF_CONST:
    case BTF_VOLATILE:
    case BTF_RESTRICT:
        if (quals->len)
            buf_putc(quals, ' ');
        buf_puts(quals, qualifier(btf_kind(t)));
        return t->type;
    case BTF_TYPE_TAG: return t->type;
    default: return id;
    }
}

static void declare(const struct btf *btf, uint32_t id, const char *name, unsigned depth, struct buf *out)
{
    struct buf inner = {0}, quals = {0};

    buf_puts(&inner, name);
    /* A pointer chain may run in a circle, so steps are counted. */
    for (unsigned steps = 0; steps < BTF_MAX_DEPTH; steps++) {
        uint32_t next = grow(btf, id, depth, &quals, &inner);

        if (next == id)
            break;
        id = next;
    }
    if (quals.len)
        buf_printf(out, "%s ", buf_text(&quals));
    base_word(btf, id, out);
    if (joins_word(buf_text(&inner)) || buf_text(&inner)[0] == '(')
        buf_putc(out, ' ');
    buf_puts(out, buf_text(&inner));
    buf_free(&quals);
    buf_free(&inner);
}

void btf_decl_text(const struct btf *btf, uint32_t id, const char *name, struct buf *out)
{
    const struct btf_type *t = btf_type_at(btf, id);

    if (!t)
        return;
    if (btf_kind(t) == BTF_FUNC || btf_kind(t) == BTF_VAR)
        declare(btf, t->type, *name ? name : btf_str(btf, t->name_off), 0, out);
    else
        declare(btf, id, name, 0, out);
}

void btf_type_text(const struct btf *btf, uint32_t id, struct buf *out)
{
    if (id < btf->count)
        declare(btf, id, "", 0, out);
}

static void indent(struct buf *out, unsigned level)
{
    for (unsigned i = 0; i < level; i++)
        buf_putc(out, '\t');
}

static void define_members(const struct btf *btf, const struct btf_type *t, unsigned level, struct buf *out);

/* The structure or enum that a member's type names no name for, looked for behind arrays and qualifiers; 0: none. */
static const struct btf_type *anonymous(const struct btf *btf, uint32_t id)
{
    for (;;) {
        const struct btf_type *t = btf_at(btf, id);

        switch (btf_kind(t)) {
        case BTF_STRUCT:
        case BTF_UNION:
        case BTF_ENUM:
        case BTF_ENUM64: return t->name_off && *btf_str(btf, t->name_off) ? NULL : t;
        case BTF_ARRAY: id = btf_array_of(t)->type; break;
        case BTF_CONST:
        case BTF_VOLATILE:
        case BTF_RESTRICT:
        case BTF_TYPE_TAG: id = t->type; break;
        default: return NULL;
        }
    }
}

static void define_values(const struct btf *btf, const struct btf_type *t, unsigned level, struct buf *out)
{
    for (unsigned i = 0; i < btf_vlen(t); i++) {
        indent(out, level + 1);
        if (btf_kind(t) == BTF_ENUM) {
            const struct btf_enum *e = &btf_enums(t)[i];

            buf_printf(out, btf_kflag(t) ? "%s = %" PRId64 ",\n" : "%s = %" PRIu64 ",\n", btf_str(btf, e->name_off),
                       btf_kflag(t) ? (int64_t)e->val : (int64_t)(uint32_t)e->val);
        } else {
            const struct btf_enum64 *e = &btf_enums64(t)[i];
            uint64_t v = (uint64_t)e->val_hi32 << 32 | e->val_lo32;

            buf_printf(out, btf_kflag(t) ? "%s = %" PRId64 "LL,\n" : "%s = %" PRIu64 "ULL,\n",
                       btf_str(btf, e->name_off), v);
        }
    }
}

/* "struct foo {...}" without what follows the brace. */
static void define_body(const struct btf *btf, const struct btf_type *t, unsigned level, struct buf *out)
{
    unsigned kind = btf_kind(t);
    const char *name = btf_str(btf, t->name_off);

    buf_puts(out, kind == BTF_STRUCT ? "struct" : kind == BTF_UNION ? "union" : "enum");
    buf_printf(out, "%s%s {\n", *name ? " " : "", name);
    if (kind == BTF_STRUCT || kind == BTF_UNION)
        define_members(btf, t, level, out);
    else
        define_values(btf, t, level, out);
    indent(out, level);
    buf_putc(out, '}');
}

static void define_members(const struct btf *btf, const struct btf_type *t, unsigned level, struct buf *out)
{
    for (unsigned i = 0; i < btf_vlen(t) && out->len < TEXT_LIMIT; i++) {
        const struct btf_member *m = &btf_members(t)[i];
        const struct btf_type *inside = level < BTF_MAX_DEPTH ? anonymous(btf, m->type) : NULL;
        const char *name = btf_str(btf, m->name_off);
        struct buf decl = {0};

        indent(out, level + 1);
        declare(btf, m->type, name, 0, &decl);
        if (inside) {
            /* The declaration says "struct (anon)"; the body stands in for that. */
            const char *hole = strstr(buf_text(&decl), "(anon)");

            define_body(btf, inside, level + 1, out);
            buf_puts(out, hole ? hole + strlen("(anon)") : "");
        } else {
            buf_puts(out, buf_text(&decl));
        }
        if (btf_member_bits(t, i))
            buf_printf(out, ": %u", btf_member_bits(t, i));
        buf_puts(out, ";\n");
        buf_free(&decl);
    }
}

void btf_define_text(const struct btf *btf, uint32_t id, struct buf *out)
{
    const struct btf_type *t = btf_type_at(btf, id);

    if (!t)
        return;
    switch (btf_kind(t)) {
    case BTF_STRUCT:
    case BTF_UNION:
    case BTF_ENUM:
    case BTF_ENUM64: define_body(btf, t, 0, out); break;
    case BTF_TYPEDEF:
        buf_puts(out, "typedef ");
        declare(btf, t->type, btf_str(btf, t->name_off), 0, out);
        break;
    case BTF_FWD: base_word(btf, id, out); break;
    default: btf_decl_text(btf, id, "", out); break;
    }
    buf_putc(out, ';');
}
