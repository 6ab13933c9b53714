/*
 * struct_ops: variables of sections .struct_ops and .struct_ops.link, each a struct of Linux's whose function pointers
 * are programs of the object. Linux makes a map of each and calls the programs; here they are told by the member's
 * name, so that whoever knows the struct may call them. A method's program is a program of this object; a member
 * without one is not in the table. Structs of a section, and methods of a struct, stand as they lie there, and none
 * overlaps another.
 */
#include "loader/load.h"

#include <errno.h>
#include <string.h>

/* Only the first section of a name has a DATASEC. */
static bool is_struct_ops(const struct elf *elf, const struct elf_section *s)
{
    const char *name = s->name + (*s->name == '?');

    return s->type == SHT_PROGBITS && s->size && (!strcmp(name, ".struct_ops") || !strcmp(name, ".struct_ops.link")) &&
           elf_section_by_name(elf, s->name) == s;
}

/* The member that begins at this byte, searched on from *from, where the last one was found; NULL: none. */
static const char *member_at(const struct btf *btf, uint32_t type, uint32_t off, uint32_t *from)
{
    const struct btf_type *t = btf_type_at(btf, type);

    for (uint32_t i = *from; i < btf_vlen(t); i++) {
        if (btf_member_bit_off(t, i) != (uint64_t)off * 8)
            continue;
        *from = i;
        return btf_str(btf, btf_members(t)[i].name_off);
    }
    return NULL;
}

static int read_map(struct object *obj, uint32_t sec, const struct btf_secinfo *info, struct object_ops *ops,
                    const struct log *log)
{
    const struct elf_section *s = &obj->elf->elf.sections[sec];
    const struct object_ops *before = obj->n_ops ? ops - 1 : NULL;
    const struct btf_type *var = btf_type_at(obj->btf, info->type);
    const char *name = btf_name(obj->btf, info->type);

    if (btf_kind(var) != BTF_VAR || !*name)
        return log_fail(log, -EINVAL, "section '%s': entry at %u is no variable with a name", s->name, info->offset);
    uint32_t type = btf_resolve(obj->btf, var->type);
    const struct btf_type *t = btf_type_at(obj->btf, type);
    if (btf_kind(t) != BTF_STRUCT)
        return log_fail(log, -EINVAL, "section '%s': '%s' is no struct", s->name, name);
    if (before && before->sec == sec && info->offset < before->off + before->size)
        return log_fail(log, -EINVAL, "section '%s': '%s' overlaps '%s'", s->name, name, before->name);
    if (info->offset > s->size || t->size > s->size - info->offset)
        return log_fail(log, -EINVAL, "section '%s': '%s' (%u bytes at %u) lies outside of it", s->name, name, t->size,
                        info->offset);
    *ops = (struct object_ops){.name = name,
                               .section = s->name,
                               .type = type,
                               .off = info->offset,
                               .size = t->size,
                               .data = s->data + info->offset,
                               .link = strstr(s->name, ".link") != NULL,
                               .sec = sec};
    return 0;
}

/* Where reading relocations of a section stands: they are sorted, as structs and members are. */
struct place {
    uint32_t sec, ops, member;
};

static struct object_ops *ops_at(struct object *obj, struct place *p, uint64_t off)
{
    for (; p->ops < obj->n_ops; p->ops++, p->member = 0) {
        struct object_ops *o = &obj->ops[p->ops];
        if (off < (uint64_t)o->off + o->size)
            return off >= o->off ? o : NULL;
    }
    return NULL;
}

static int read_method(struct object *obj, struct place *p, const struct elf_reloc *reloc,
                       struct object_method *methods, const struct log *log)
{
    const struct elf *elf = &obj->elf->elf;
    const struct elf_section *s = &elf->sections[p->sec];
    const struct elf_symbol *sym = &elf->symbols[reloc->sym];
    struct object_ops *ops = ops_at(obj, p, reloc->off);
    int64_t addend = reloc->addend;
    const struct load_func *f = NULL;

    if (!ops || s->size - reloc->off < sizeof(addend))
        return log_fail(log, -EINVAL, "section '%s': a relocation at %llu is in none of its structs", s->name,
                        (unsigned long long)reloc->off);
    if (!reloc->has_addend)
        memcpy(&addend, s->data + reloc->off, sizeof(addend));
    uint32_t off = (uint32_t)(reloc->off - ops->off);
    const char *member = member_at(obj->btf, ops->type, off, &p->member);
    if (!member)
        return log_fail(log, -EINVAL, "struct_ops '%s': no member begins at byte %u, which a function's address fills",
                        ops->name, off);
    uint64_t at = sym->value + (uint64_t)addend;
    if (sym->shndx && sym->shndx < elf->n_sections && at % 8 == 0 && at / 8 <= UINT32_MAX)
        f = load_func_at(obj->elf, sym->shndx, (uint32_t)(at / 8));
    if (!f || f->prog < 0)
        return log_fail(log, -EINVAL, "struct_ops '%s', member '%s': '%s' is no program of this object", ops->name,
                        member, elf_symbol_name(elf, sym));
    if (!ops->methods)
        ops->methods = methods;
    methods[0] = (struct object_method){.member = member, .off = off, .prog = (uint32_t)f->prog};
    ops->n_methods = (uint32_t)(methods - ops->methods) + 1;
    return 0;
}

/* `first`: of the section's structs in obj->ops, up to the last that there is. */
static int read_methods(struct object *obj, uint32_t sec, uint32_t first, const struct log *log)
{
    struct place p = {.sec = sec, .ops = first};
    struct object_elf *e = obj->elf;
    bool seen = false;
    int err = 0;

    for (uint32_t i = 1; i < e->elf.n_sections && !err; i++) {
        const struct elf_section *s = &e->elf.sections[i];
        struct object_method *methods;
        struct elf_reloc *relocs;
        uint32_t n;

        if (elf_reloc_target(&e->elf, s) != sec)
            continue;
        if (seen)
            return log_fail(log, -EINVAL, "section '%s': two sections of relocations apply to it",
                            e->elf.sections[sec].name);
        seen = true;
        err = elf_read_relocs(&obj->arena, &e->elf, s, log, &relocs, &n);
        if (err)
            return err;
        methods = ARENA_ARRAY(&obj->arena, struct object_method, n);
        if (!methods)
            return log_fail(log, -ENOMEM, "no memory for %u methods", n);
        for (uint32_t k = 0; k < n && !err; k++)
            err = read_method(obj, &p, &relocs[k], &methods[k], log);
    }
    return err;
}

/* The description of a section; 0: there is none. */
static uint32_t datasec_of(const struct object *obj, uint32_t sec)
{
    return obj->btf ? btf_find(obj->btf, obj->elf->elf.sections[sec].name, BTF_DATASEC) : 0;
}

int load_struct_ops(struct object *obj, const struct log *log)
{
    const struct elf *elf = &obj->elf->elf;
    uint32_t n = 0;
    int err = 0;

    for (uint32_t i = 1; i < elf->n_sections; i++) {
        if (!is_struct_ops(elf, &elf->sections[i]))
            continue;
        uint32_t id = datasec_of(obj, i);
        if (!id)
            return log_fail(log, -EINVAL, "section '%s': the object's BTF does not describe it; compile with -g",
                            elf->sections[i].name);
        n += btf_vlen(btf_type_at(obj->btf, id));
    }
    obj->ops = ARENA_ARRAY(&obj->arena, struct object_ops, n);
    if (!obj->ops)
        return log_fail(log, -ENOMEM, "no memory for %u structs of struct_ops", n);
    for (uint32_t i = 1; i < elf->n_sections && n && !err; i++) {
        if (!is_struct_ops(elf, &elf->sections[i]))
            continue;
        uint32_t first = obj->n_ops;
        const struct btf_type *sec = btf_type_at(obj->btf, datasec_of(obj, i));
        for (uint32_t k = 0; k < btf_vlen(sec) && obj->n_ops < n && !err; k++) {
            err = read_map(obj, i, &btf_secinfos(sec)[k], &obj->ops[obj->n_ops], log);
            obj->n_ops += !err;
        }
        if (!err)
            err = read_methods(obj, i, first, log);
    }
    return err;
}

const struct object_ops *object_ops_find(const struct object *obj, const char *name)
{
    for (uint32_t i = 0; i < obj->n_ops; i++)
        if (!strcmp(obj->ops[i].name, name))
            return &obj->ops[i];
    return NULL;
}

const char *load_method_of(const struct object *obj, const struct object_prog *p, struct arena *tmp)
{
    for (uint32_t i = 0; i < obj->n_ops; i++)
        for (uint32_t k = 0; k < obj->ops[i].n_methods; k++) {
            const char *name = btf_name(obj->btf, obj->ops[i].type);

            if (&obj->progs[obj->ops[i].methods[k].prog] == p)
                return arena_printf(tmp, "%.*s.%s", (int)btf_essential_length(name), name,
                                    obj->ops[i].methods[k].member);
        }
    return "";
}
