/*
 * `skep show`: what an object holds. It is opened and linked, but no map is created and nothing is lowered, so that an
 * object that needs what is missing here can still be looked at.
 */
#include "vm/btf/show.h"
#include "api/object.h"
#include "cli/cli.h"
#include "vm/abi/map_types.h"
#include "vm/btf/btf.h"
#include <inttypes.h>
#include <string.h>

/* ---- Programs ---- */

static const char *type_text(uint32_t type)
{
    const char *text = skep_prog_type_str(type);
    return text ? text : "?";
}

static void json_prog(struct json_writer *w, const struct object_prog *p)
{
    json_object_begin(w);
    json_str_at(w, "name", p->name);
    json_str_at(w, "section", p->section);
    json_str_at(w, "type", type_text(p->type));
    if (p->sec)
        json_u64_at(w, "attach_type", p->attach_type);
    json_str_at(w, "attach_target", p->target ? p->target : "");
    json_u64_at(w, "insn_cnt", p->n_insns);
    json_bool_at(w, "autoload", p->autoload);
    json_bool_at(w, "sleepable", p->sec && p->sec->sleepable);
    json_u64_at(w, "unresolved", p->prog ? p->prog->n_poison : 0);
    json_object_end(w);
}

static void print_prog(const struct object_prog *p)
{
    printf("  %-24s %-16s SEC(\"%s\"), %u instructions", p->name, type_text(p->type), p->section, p->n_insns);
    if (!p->autoload)
        fputs(", not loaded by itself", stdout);
    if (p->prog && p->prog->n_poison)
        printf(", %u unresolved", p->prog->n_poison);
    putchar('\n');
}

/* ---- Maps ---- */

static void json_type_at(struct json_writer *w, const char *name, const struct btf *btf, uint32_t id)
{
    struct buf text = {0};
    if (btf && id) {
        btf_type_text(btf, id, &text);
        json_str_at(w, name, buf_text(&text));
    }
    buf_free(&text);
}

static const char *map_type_text(uint32_t type)
{
    const char *text = map_type_name(type);
    return text ? text : "?";
}

static void json_map(struct json_writer *w, const struct object *obj, const struct object_map *m)
{
    json_object_begin(w);
    json_str_at(w, "name", m->def.name);
    json_str_at(w, "section", m->section);
    json_str_at(w, "type", map_type_text(m->def.type));
    json_u64_at(w, "bytes_key", m->def.key_size);
    json_u64_at(w, "bytes_value", m->def.value_size);
    json_u64_at(w, "max_entries", m->def.max_entries);
    json_u64_at(w, "flags", m->def.flags);
    json_bool_at(w, "internal", m->internal);
    if (!m->internal) {
        json_type_at(w, "key_type", obj->btf, m->def.btf_key_id);
        json_type_at(w, "value_type", obj->btf, m->def.btf_value_id);
    }
    if (m->def.pinning)
        json_str_at(w, "pin", m->pin_name ? m->pin_name : m->def.name);
    if (m->def.inner)
        json_str_at(w, "inner_type", map_type_text(m->def.inner->type));
    json_object_end(w);
}

static void print_map(const struct object *obj, const struct object_map *m)
{
    struct buf types = {0};
    if (obj->btf && m->def.btf_key_id && m->def.btf_value_id && !m->internal) {
        buf_puts(&types, ": ");
        btf_type_text(obj->btf, m->def.btf_key_id, &types);
        buf_puts(&types, " -> ");
        btf_type_text(obj->btf, m->def.btf_value_id, &types);
    }
    printf("  %-24s %-16s key %uB value %uB max_entries %u", m->def.name, map_type_text(m->def.type), m->def.key_size,
           m->def.value_size, m->def.max_entries);
    if (m->def.flags)
        printf(" flags 0x%x", m->def.flags);
    if (m->def.inner)
        printf(" of %s", map_type_text(m->def.inner->type));
    if (m->def.pinning)
        fputs(" pinned", stdout);
    printf("%s\n", buf_text(&types));
    buf_free(&types);
}

/* ---- Variables ---- */

static const void *initial(const struct object *obj, const struct object_var *v)
{
    const struct object_map *m = v->map < obj->n_maps ? &obj->maps[v->map] : NULL;
    if (!m || !m->data || v->off > m->def.value_size || v->size > m->def.value_size - v->off)
        return NULL;
    return (const char *)m->data + v->off;
}

static void show_value(struct json_writer *w, const struct object *obj, const struct object_var *v)
{
    const void *data = initial(obj, v);
    if (!data) {
        json_null(w);
    } else if (obj->btf && v->btf_id) {
        btf_show_json(obj->btf, v->btf_id, data, v->size, w);
    } else {
        struct buf text = {0};
        hex_bytes(&text, data, v->size);
        json_string(w, buf_text(&text));
        buf_free(&text);
    }
}

static void json_var(struct json_writer *w, const struct object *obj, const struct object_var *v)
{
    json_object_begin(w);
    json_str_at(w, "name", v->name);
    json_str_at(w, "section", v->section);
    json_type_at(w, "type", obj->btf, v->btf_id);
    json_u64_at(w, "offset", v->off);
    json_u64_at(w, "size", v->size);
    json_bool_at(w, "static", v->is_static);
    json_name(w, "value");
    show_value(w, obj, v);
    json_object_end(w);
}

static void print_var(const struct object *obj, const struct object_var *v)
{
    struct buf type = {0}, value = {0};
    struct json_writer w = {.out = &value};
    enum { LONG = 60 };
    if (is_print_format(v->name))
        return;
    if (obj->btf && v->btf_id)
        btf_type_text(obj->btf, v->btf_id, &type);
    show_value(&w, obj, v);
    printf("  %-24s %-16s %s%s%.*s%s\n", v->name, v->section, buf_text(&type), type.len ? " = " : "= ", LONG,
           buf_text(&value), value.len > LONG ? "..." : "");
    buf_free(&type);
    buf_free(&value);
}

/* ---- struct_ops ---- */

static void json_ops(struct json_writer *w, const struct object *obj, const struct object_ops *o)
{
    json_object_begin(w);
    json_str_at(w, "name", o->name);
    json_str_at(w, "section", o->section);
    json_type_at(w, "type", obj->btf, o->type);
    json_u64_at(w, "size", o->size);
    json_name(w, "methods");
    json_array_begin(w);
    for (uint32_t i = 0; i < o->n_methods; i++) {
        json_object_begin(w);
        json_str_at(w, "member", o->methods[i].member);
        json_u64_at(w, "offset", o->methods[i].off);
        json_str_at(w, "program", obj->progs[o->methods[i].prog].name);
        json_object_end(w);
    }
    json_array_end(w);
    json_object_end(w);
}

static void print_ops(const struct object *obj, const struct object_ops *o)
{
    printf("  %-24s %-16s struct %s:", o->name, o->section, btf_name(obj->btf, o->type));
    for (uint32_t i = 0; i < o->n_methods; i++)
        printf("%s %s = %s", i ? "," : "", o->methods[i].member, obj->progs[o->methods[i].prog].name);
    putchar('\n');
}

/* ---- Relocations ---- */

static void json_reloc(struct json_writer *w, const struct object_reloc *r)
{
    json_object_begin(w);
    json_str_at(w, "section", r->section);
    json_u64_at(w, "insn", r->insn);
    json_str_at(w, "kind", r->kind);
    json_str_at(w, "symbol", r->symbol);
    json_bool_at(w, "resolved", r->resolved);
    if (r->resolved)
        json_u64_at(w, "value", r->value);
    json_object_end(w);
}

static void print_reloc(const struct object_reloc *r)
{
    printf("  %s+%u: %-20s %s", r->section, r->insn, r->kind, r->symbol);
    if (!r->resolved)
        fputs(" (unresolved)", stdout);
    putchar('\n');
}

/* ---- The whole ---- */

static void begin_list(struct cli *c, const char *json, const char *text, uint32_t n)
{
    if (c->json) {
        json_name(&c->w, json);
        json_array_begin(&c->w);
    } else if (n) {
        printf("%s (%u):\n", text, n);
    }
}

static void end_list(struct cli *c)
{
    if (c->json)
        json_array_end(&c->w);
}

static void show_head(struct cli *c, const struct object *obj)
{
    if (c->json) {
        json_str_at(&c->w, "name", obj->name);
        json_str_at(&c->w, "path", obj->path);
        json_str_at(&c->w, "license", obj->license);
        json_name(&c->w, "btf_types");
        if (obj->btf)
            json_u64(&c->w, btf_count(obj->btf));
        else
            json_null(&c->w);
    } else {
        printf("%s: license %s, ", obj->path, *obj->license ? obj->license : "none");
        if (obj->btf)
            printf("BTF of %u types\n", btf_count(obj->btf));
        else
            puts("no BTF");
    }
}

static void show(struct cli *c, const struct object *obj, bool relocs)
{
    show_head(c, obj);
    begin_list(c, "programs", "programs", obj->n_progs);
    for (uint32_t i = 0; i < obj->n_progs; i++)
        c->json ? json_prog(&c->w, &obj->progs[i]) : print_prog(&obj->progs[i]);
    end_list(c);
    begin_list(c, "maps", "maps", obj->n_maps);
    for (uint32_t i = 0; i < obj->n_maps; i++)
        c->json ? json_map(&c->w, obj, &obj->maps[i]) : print_map(obj, &obj->maps[i]);
    end_list(c);
    begin_list(c, "variables", "global variables", obj->n_vars);
    for (uint32_t i = 0; i < obj->n_vars; i++)
        c->json ? json_var(&c->w, obj, &obj->vars[i]) : print_var(obj, &obj->vars[i]);
    end_list(c);
    begin_list(c, "struct_ops", "struct_ops", obj->n_ops);
    for (uint32_t i = 0; i < obj->n_ops; i++)
        c->json ? json_ops(&c->w, obj, &obj->ops[i]) : print_ops(obj, &obj->ops[i]);
    end_list(c);
    if (!relocs)
        return;
    begin_list(c, "relocations", "relocations", obj->n_relocs);
    for (uint32_t i = 0; i < obj->n_relocs; i++)
        c->json ? json_reloc(&c->w, &obj->relocs[i]) : print_reloc(&obj->relocs[i]);
    end_list(c);
}

static int run_show(struct cli *c, int argc, char **argv)
{
    struct args a = {.c = c, .cmd = &cmd_show, .argc = argc, .argv = argv};
    const char *path = NULL, *btf = NULL, *v;
    bool relocs = true;
    while (a.at < argc) {
        bool bad = false;
        if (args_global(&a))
            continue;
        if (args_switch(&a, "--no-relocs"))
            relocs = false;
        else if ((v = args_option(&a, "--btf", &bad)))
            btf = v;
        else if (bad)
            return STATUS_USAGE;
        else if (argv[a.at][0] == '-' && argv[a.at][1])
            return cli_usage(c, &cmd_show, "unknown option '%s'", argv[a.at]);
        else if (!path)
            path = argv[a.at++];
        else
            return cli_usage(c, &cmd_show, "'%s' is one word too many", argv[a.at]);
    }
    if (!path)
        return cli_usage(c, &cmd_show, "an object is missing");

    SKEP_OPTS(skep_vm_opts, vm_opts, .cpus = 1, .log = cli_on_log, .log_ctx = c, .log_level = c->level);
    SKEP_OPTS(skep_object_open_opts, opts, .vm_opts = &vm_opts);
    int status;
    struct skep_object *o = cli_open(c, path, &opts, &status);
    if (!o)
        return status;
    struct log log = cli_log(c);
    struct object_link_opts link = {.btf_path = btf, .helpers = &o->vm->helpers, .lenient = true};
    int err = object_link(o->obj, &link, &log);
    show(c, o->obj, relocs);
    if (err)
        status = c->failed ? cli_status(err) : cli_fail(c, cli_status(err), "linking failed: %s", strerror(-err));
    skep_object__close(o);
    return status;
}

const struct command cmd_show = {
    .name = "show",
    .run = run_show,
    .usage = "OBJ [--btf FILE] [--no-relocs]",
    .summary = "list programs, maps, variables and relocations",
    .help = "Prints what an object holds: programs with section, type and size, maps, global variables with their\n"
            "initial values, and relocations with what they became.\n"
            "\n"
            "  --btf FILE       types of the target for CO-RE; default: the running kernel's\n"
            "  --no-relocs      leave the relocations out\n",
};
