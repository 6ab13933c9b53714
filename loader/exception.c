/*
 * Exception callbacks: a program names, by a tag on its own function (`exception_callback:NAME`), a global function
 * that is called with the cookie of an exception, and whose result is the program's. Nothing in the code refers to it,
 * so that linking adds it to what the program reaches, as libbpf does.
 */
#include "loader/load.h"
#include "vm/btf/btf.h"

#include <errno.h>
#include <string.h>

int load_catcher(const struct object *obj, uint32_t entry, const struct log *log, uint32_t *func)
{
    static const char tag[] = "exception_callback:";
    const struct object_elf *e = obj->elf;
    const struct btf *btf = obj->btf;
    uint32_t id, x = 0;

    *func = LOAD_NO_FUNC;
    while (x < e->n_externs && strcmp(e->externs[x].name, "bpf_throw"))
        x++;
    id = btf && x < e->n_externs ? btf_find(btf, e->funcs[entry].name, BTF_FUNC) : 0;
    for (uint32_t i = 1; id && i < btf_count(btf); i++) {
        const struct btf_type *t = btf_type_at(btf, i);
        const char *name;

        if (btf_kind(t) != BTF_DECL_TAG || t->type != id || btf_tag_component(t) != -1)
            continue;
        name = btf_str(btf, t->name_off);
        if (strncmp(name, tag, sizeof(tag) - 1))
            continue;
        if (*func != LOAD_NO_FUNC)
            return log_fail(log, -EINVAL, "program '%s' has two exception callbacks", e->funcs[entry].name);
        for (uint32_t f = 0; f < e->n_funcs && *func == LOAD_NO_FUNC; f++)
            if (e->funcs[f].global && f != entry && !strcmp(e->funcs[f].name, name + sizeof(tag) - 1))
                *func = f;
        if (*func == LOAD_NO_FUNC)
            return log_fail(log, -EINVAL,
                            "program '%s': there is no global function '%.128s' to be its exception callback",
                            e->funcs[entry].name, name + sizeof(tag) - 1);
    }
    return 0;
}
