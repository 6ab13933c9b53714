#include "tests/loader/expect.h"

#include "vm/abi/map_types.h"
#include <inttypes.h>
#include <skep/skep.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORDS = 8 };

/* One expectation, cut into words; rest is the whole. */
struct want {
    const struct outcome *o;
    const char *name, *rest;
    char *word[MAX_WORDS];
    unsigned n;
    char why[1024]; /* what was found instead */
};

bool expect_next(const char **text, char name[32], char rest[512])
{
    const char *p = *text;

    while ((p = strstr(p, "// "))) {
        size_t n, line;

        p += 3;
        n = strspn(p, "abcdefghijklmnopqrstuvwxyz-");
        if (!n || n >= 32 || p[n] != ':' || p[n + 1] != ' ')
            continue;
        line = strcspn(p, "\n");
        snprintf(name, 32, "%.*s", (int)n, p);
        snprintf(rest, 512, "%.*s", (int)(line - n - 2), p + n + 2);
        *text = p + line;
        return true;
    }
    return false;
}

static bool miss(struct want *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool miss(struct want *w, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(w->why, sizeof(w->why), fmt, ap);
    va_end(ap);
    return false;
}

static const struct object_map *find_map(const struct object *obj, const char *name)
{
    for (uint32_t i = 0; i < obj->n_maps; i++)
        if (!strcmp(obj->maps[i].def.name, name) || (obj->maps[i].internal && !strcmp(obj->maps[i].section, name)))
            return &obj->maps[i];
    return NULL;
}

static const struct object_prog *find_prog(const struct object *obj, const char *name)
{
    for (uint32_t i = 0; i < obj->n_progs; i++)
        if (!strcmp(obj->progs[i].name, name))
            return &obj->progs[i];
    return NULL;
}

static const struct object_var *find_var(const struct object *obj, const char *name)
{
    for (uint32_t i = 0; i < obj->n_vars; i++)
        if (!strcmp(obj->vars[i].name, name))
            return &obj->vars[i];
    return NULL;
}

static bool check_prog(struct want *w)
{
    const struct object_prog *p = find_prog(w->o->obj, w->word[0]);
    const struct prog_type *type = p ? prog_type_find(p->type) : NULL;
    unsigned funcs = p && p->prog ? p->prog->n_funcs : 0;

    if (!p)
        return miss(w, "no such program");
    if (strcmp(type ? type->name : "-", w->word[1]))
        return miss(w, "type %s", type ? type->name : "-");
    return funcs == strtoul(w->word[2], NULL, 0) || miss(w, "%u functions", funcs);
}

/* NAME SECTION STRUCT MEMBER=PROGRAM... */
static bool check_ops(struct want *w)
{
    const struct object *obj = w->o->obj;
    const struct object_ops *ops = object_ops_find(obj, w->word[0]);
    char method[256];

    if (!ops)
        return miss(w, "no such struct_ops");
    if (strcmp(ops->section, w->word[1]) || strcmp(btf_name(obj->btf, ops->type), w->word[2]))
        return miss(w, "section %s, struct %s", ops->section, btf_name(obj->btf, ops->type));
    if (ops->n_methods != w->n - 3)
        return miss(w, "%u methods", ops->n_methods);
    for (uint32_t i = 0; i < ops->n_methods; i++) {
        snprintf(method, sizeof(method), "%s=%s", ops->methods[i].member, obj->progs[ops->methods[i].prog].name);
        if (strcmp(method, w->word[3 + i]))
            return miss(w, "%s", method);
    }
    return true;
}

static bool same_def(struct want *w, const struct map_def *d)
{
    const char *type = map_type_name(d->type);

    if (strcmp(type ? type : "?", w->word[1]) || d->key_size != strtoul(w->word[2], NULL, 0) ||
        d->value_size != strtoul(w->word[3], NULL, 0) || d->max_entries != strtoul(w->word[4], NULL, 0) ||
        (w->n > 5 && d->flags != strtoul(w->word[5], NULL, 0)))
        return miss(w, "%s key %u value %u max %u flags 0x%x", type ? type : "?", d->key_size, d->value_size,
                    d->max_entries, d->flags);
    return true;
}

static bool check_map(struct want *w)
{
    const struct object_map *m = find_map(w->o->obj, w->word[0]);

    return m ? same_def(w, &m->def) : miss(w, "no such map");
}

static bool check_inner(struct want *w)
{
    const struct object_map *m = find_map(w->o->obj, w->word[0]);

    return m && m->def.inner ? same_def(w, m->def.inner) : miss(w, "no such map, or no inner definition");
}

static bool check_lock(struct want *w)
{
    const struct object_map *m = find_map(w->o->obj, w->word[0]);

    if (!m)
        return miss(w, "no such map");
    return m->def.spin_lock_off == strtol(w->word[1], NULL, 0) || miss(w, "%d", m->def.spin_lock_off);
}

static bool check_init(struct want *w)
{
    const struct object *obj = w->o->obj;
    const struct object_map *m = find_map(obj, w->word[0]);

    for (uint32_t i = 0; m && i < m->n_init; i++) {
        const struct object_map_init *x = &m->init[i];
        const char *target = x->map >= 0 ? obj->maps[x->map].def.name : x->prog >= 0 ? obj->progs[x->prog].name : "";

        if (x->key == strtoul(w->word[1], NULL, 0))
            return !strcmp(target, w->word[2]) || miss(w, "%s", target);
    }
    return miss(w, "no such entry");
}

static bool check_var(struct want *w)
{
    const struct object_var *v = find_var(w->o->obj, w->word[0]);

    if (!v)
        return miss(w, "no such variable");
    return (!strcmp(v->section, w->word[1]) && v->size == strtoul(w->word[2], NULL, 0)) ||
           miss(w, "%s, %u bytes", v->section, v->size);
}

static bool check_data(struct want *w)
{
    const struct object_var *v = find_var(w->o->obj, w->word[0]);
    const struct object_map *m = v ? &w->o->obj->maps[v->map] : NULL;
    char hex[512] = "";

    if (!v)
        return miss(w, "no such variable");
    for (uint32_t i = 0; i < v->size && i < 200; i++)
        snprintf(hex + 2 * i, 3, "%02x", ((unsigned char *)m->data)[v->off + i]);
    return !strcmp(hex, w->word[1]) || miss(w, "%s", hex);
}

static bool check_reloc(struct want *w)
{
    const struct object *obj = w->o->obj;

    for (uint32_t i = 0; i < obj->n_relocs; i++)
        if (!strcmp(obj->relocs[i].kind, w->word[0]) && strstr(obj->relocs[i].symbol, w->word[1]) &&
            obj->relocs[i].resolved == !strcmp(w->word[2], "yes"))
            return true;
    return miss(w, "none like that");
}

static bool check_func(struct want *w)
{
    const struct object_prog *p = find_prog(w->o->obj, w->word[0]);

    for (uint32_t i = 0; p && p->prog && i < p->prog->n_funcs; i++) {
        const struct prog_func *f = &p->prog->funcs[i];

        if (strcmp(f->name, w->word[1]))
            continue;
        if (f->global != !strcmp(w->word[2], "global"))
            return miss(w, "%s", f->global ? "global" : "static");
        return !w->o->obj->btf || !strcmp(btf_name(w->o->obj->btf, f->btf_id), f->name) ||
               miss(w, "its BTF is %u '%s'", f->btf_id, btf_name(w->o->obj->btf, f->btf_id));
    }
    return miss(w, "no such function");
}

static bool check_line(struct want *w)
{
    const struct object_prog *p = find_prog(w->o->obj, w->word[0]);
    const char *text = strchr(w->rest, ' ') + 1;

    for (uint32_t i = 0; p && p->prog && i < p->prog->n_lines; i++)
        if (strstr(p->prog->lines[i].text, text) && *p->prog->lines[i].file && p->prog->lines[i].line)
            return true;
    return miss(w, "no line like that of %u", p && p->prog ? p->prog->n_lines : 0);
}

/* Runs a program through the public interface; the object is opened anew, with the engine's own maps. */
/* Checked: what a program that is wrong on purpose does at run time is what is looked at. */
static int load_checked(struct skep_object *obj)
{
    SKEP_OPTS(skep_exec_opts, exec, .checked = true);

    return skep_object__load_opts(obj, &exec);
}

static int run(struct want *w, uint32_t *retval, struct skep_trap *trap)
{
    static const unsigned char zero[64];
    SKEP_OPTS(skep_object_open_opts, open, .object_name = "test", .btf_custom_path = w->o->btf);
    SKEP_OPTS(skep_run_opts, opts, .trap = trap);
    struct skep_object *obj;
    struct skep_program *prog;
    char name[32], rest[512];
    const char *text = w->o->source;
    struct buf kconfig = {0};
    int err;

    while (expect_next(&text, name, rest))
        if (!strcmp(name, "kconfig"))
            buf_printf(&kconfig, "%s\n", rest);
    open.kconfig = buf_text(&kconfig);
    obj = skep_object__open_file(w->o->path, &open);
    err = obj ? load_checked(obj) : -1;
    buf_free(&kconfig);
    prog = !err ? skep_object__find_program_by_name(obj, w->word[0]) : NULL;
    if (!prog) {
        skep_object__close(obj);
        miss(w, "cannot be loaded (%d)", err);
        return -1;
    }
    switch (skep_program__type(prog)) {
    case SKEP_PROG_TYPE_XDP:
    case SKEP_PROG_TYPE_SCHED_CLS:
    case SKEP_PROG_TYPE_SOCKET_FILTER:
        opts.data_in = zero;
        opts.data_size_in = sizeof(zero);
        break;
    default:
        opts.ctx_in = zero;
        opts.ctx_size_in = sizeof(zero);
        break;
    }
    err = skep_program__run(prog, &opts);
    *retval = opts.retval;
    skep_object__close(obj);
    return err;
}

static bool check_result(struct want *w)
{
    struct skep_trap trap = {.sz = sizeof(trap)};
    uint32_t retval = 0;
    int err = run(w, &retval, &trap);

    if (err)
        return *w->why
                   ? false
                   : miss(w, "%d: %s %s: %s", err, trap.kind ? trap.kind : "", trap.text ? trap.text : "", trap.detail);
    return retval == (uint32_t)strtoll(w->word[1], NULL, 0) || miss(w, "%" PRIu32 " (0x%" PRIx32 ")", retval, retval);
}

static bool check_trap(struct want *w)
{
    struct skep_trap trap = {.sz = sizeof(trap)};
    uint32_t retval = 0;
    int err = run(w, &retval, &trap);

    if (!err)
        return miss(w, "it returned %" PRIu32, retval);
    return (trap.kind && !strcmp(trap.kind, w->word[1])) ||
           (!*w->why && miss(w, "%d: %s", err, trap.kind ? trap.kind : ""));
}

static bool check_warn(struct want *w)
{
    for (const char *p = w->o->messages; *p;) {
        size_t n = strcspn(p, "\n");
        const char *hit = strstr(p, w->rest);

        if (*p == 'W' && hit && hit < p + n)
            return true;
        p += n + (p[n] == '\n');
    }
    return miss(w, "%s", w->o->messages);
}

static bool check_error(struct want *w)
{
    if (!w->o->err)
        return miss(w, "no failure");
    return strstr(w->o->messages, w->rest) || miss(w, "%s", w->o->messages);
}

static const struct {
    const char *name;
    unsigned words;
    bool needs_object;
    bool (*check)(struct want *w);
} checks[] = {
    {"expect-prog", 3, true, check_prog},    {"expect-ops", 3, true, check_ops},
    {"expect-map", 5, true, check_map},      {"expect-inner", 5, true, check_inner},
    {"expect-lock", 2, true, check_lock},    {"expect-init", 3, true, check_init},
    {"expect-var", 3, true, check_var},      {"expect-data", 2, true, check_data},
    {"expect-reloc", 3, true, check_reloc},  {"expect-func", 3, true, check_func},
    {"expect-line", 2, true, check_line},    {"result", 2, true, check_result},
    {"trap", 2, true, check_trap},           {"expect-warn", 1, false, check_warn},
    {"expect-error", 1, false, check_error},
};

static void check_one(struct want *w, struct counts *counts)
{
    char words[512];
    bool ok = false;

    for (unsigned i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        if (strcmp(checks[i].name, w->name))
            continue;
        snprintf(words, sizeof(words), "%s", w->rest);
        for (char *p = strtok(words, " "); p && w->n < MAX_WORDS; p = strtok(NULL, " "))
            w->word[w->n++] = p;
        if (w->n < checks[i].words)
            miss(w, "the expectation has too few words");
        else if (checks[i].needs_object && !w->o->obj)
            miss(w, "it does not load: %s", w->o->messages);
        else
            ok = checks[i].check(w);
        if (ok)
            counts->passed++;
        else
            printf("%s: %s: %s: %s\n", w->o->path, w->name, w->rest, w->why);
        counts->failed += !ok;
    }
}

void expect_all(const struct outcome *o, struct counts *counts)
{
    const char *text = o->source;
    char name[32], rest[512];
    bool wants_error = false;

    while (expect_next(&text, name, rest)) {
        struct want w = {.o = o, .name = name, .rest = rest};

        wants_error |= !strcmp(name, "expect-error");
        check_one(&w, counts);
    }
    if (o->err && !wants_error) {
        printf("%s: fails: %s\n", o->path, o->messages);
        counts->failed++;
    }
}
