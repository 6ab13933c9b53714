/*
 * struct_ops by libbpf 1.1, which knows one section of them, .struct_ops, whose structs Linux keeps until they are
 * unregistered. .struct_ops.link came later: its maps are made with a flag, and a link registers them. Objects that
 * have only that one are given to libbpf under the older name, and their maps the flag. Newer libbpfs are told the
 * same.
 */
#include "loader/kernel_link.h"
#include "loader/load.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAP_FLAG_LINK = 1 << 13 }; /* newer than Debian 12's headers */

static bool has_section(const struct object *obj, bool link)
{
    for (uint32_t i = 0; i < obj->n_ops; i++)
        if (obj->ops[i].link == link)
            return true;
    return false;
}

/* Section names may share their ends with others' (".rel.struct_ops.link"), which are cut alike. */
static void rename_in(unsigned char *image, const struct elf *elf, const struct elf_section *s)
{
    static const char name[] = ".struct_ops.link";
    size_t keep = strlen(".struct_ops");
    if (!s || !s->data || s->size < sizeof(name))
        return;
    unsigned char *p = image + (s->data - elf->image), *end = p + s->size - sizeof(name);
    for (; p <= end; p++)
        if (!memcmp(p, name, sizeof(name)))
            p[keep] = 0;
}

void *kernel_older_image(const struct object *obj)
{
    const struct elf *elf = &obj->elf->elf;
    if (!has_section(obj, true) || has_section(obj, false))
        return NULL;
    unsigned char *image = malloc(elf->size);
    if (!image)
        return NULL;
    memcpy(image, elf->image, elf->size);
    for (uint32_t i = 1; i < elf->n_sections; i++)
        if (!strcmp(elf->sections[i].name, ".shstrtab") || !strcmp(elf->sections[i].name, ".strtab") ||
            !strcmp(elf->sections[i].name, ".BTF"))
            rename_in(image, elf, &elf->sections[i]);
    return image;
}

/* libbpf 1.1 crashes on a struct_ops map none of whose programs is loaded; it takes them all in any case. */
int kernel_prepare_struct_ops(struct bpf_object *bpf, const struct object *obj)
{
    struct bpf_program *prog;
    int err = 0;
    for (uint32_t i = 0; i < obj->n_ops && !err; i++) {
        struct bpf_map *map = bpf_object__find_map_by_name(bpf, obj->ops[i].name);
        if (map && obj->ops[i].link)
            err = bpf_map__set_map_flags(map, bpf_map__map_flags(map) | MAP_FLAG_LINK);
    }
    bpf_object__for_each_program(prog, bpf) if (obj->n_ops && bpf_program__type(prog) == BPF_PROG_TYPE_STRUCT_OPS)
        bpf_program__set_autoload(prog, true);
    return err;
}

/* libbpf fills the map, which registers the struct or, with the flag, makes it ready to be registered by a link. */
static int attach(struct attaching *a, struct bpf_map *map)
{
    struct bpf_link *filled = bpf_map__attach_struct_ops(map);
    if (!filled || !(bpf_map__map_flags(map) & MAP_FLAG_LINK))
        return kernel_link_add(a, filled);
    bpf_link__disconnect(filled);
    bpf_link__destroy(filled);
    a->link->fd = bpf_link_create(bpf_map__fd(map), 0, (enum bpf_attach_type)ATTACH_STRUCT_OPS, NULL);
    return a->link->fd < 0 ? a->link->fd : 0;
}

int kernel_attach_struct_ops(const struct kernel_object *k, const char *name, const struct log *log,
                             struct kernel_link **out)
{
    struct buf said = {0}, why = {0};
    struct bpf_map *map = bpf_object__find_map_by_name(kernel_bpf(k), name);
    struct kernel_link *link = map ? kernel_link_new() : NULL;
    struct attaching a = {.link = link};
    if (!map)
        return log_fail(log, -ENOENT, "there is no struct_ops map '%s'", name);
    if (!link)
        return log_fail(log, -ENOMEM, "out of memory");
    kernel_listen(&said);
    int err = attach(&a, map);
    kernel_listen_end();
    snprintf(link->text, sizeof(link->text), "struct_ops %s", name);
    if (err) {
        err = kernel_not_attached(name, ".struct_ops", err, &why, &said, log);
        kernel_link_free(link);
    } else {
        *out = link;
    }
    buf_free(&said);
    return err;
}
