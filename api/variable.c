/*
 * Global variables. Their bytes are the initial contents of a data section until the object is loaded and the one value
 * of the section's map from then on; both are at least as long as the loader checked the variable against.
 */
#include "api/object.h"
#include <errno.h>
#include <stdlib.h>

static const struct object_var *inside(const struct skep_variable *var)
{
    return (const struct object_var *)var;
}

static const struct skep_variable *outside(const struct object_var *var)
{
    return (const struct skep_variable *)var;
}

void *variable_at(const struct skep_object *o, const struct object_var *var)
{
    const struct skep_map *map = &o->maps[var->map];
    const struct object_map *m = &o->obj->maps[var->map];
    unsigned char *base = m->data;
    if (map->ops)
        base = map->ops->direct(map);
    if (!base || var->off > m->def.value_size || var->size > m->def.value_size - var->off)
        return NULL;
    return base + var->off;
}

const struct skep_variable *skep_object__find_variable(const struct skep_object *o, const char *name)
{
    for (uint32_t i = 0; i < o->obj->n_vars; i++)
        if (!strcmp(o->obj->vars[i].name, name))
            return outside(&o->obj->vars[i]);
    return fail_null(-ENOENT);
}

const struct skep_variable *skep_object__next_variable(const struct skep_object *o, const struct skep_variable *var)
{
    size_t next = var ? inside(var) - o->obj->vars + 1 : 0;
    return next < o->obj->n_vars ? outside(&o->obj->vars[next]) : NULL;
}

const char *skep_variable__name(const struct skep_variable *var)
{
    return inside(var)->name;
}

uint32_t skep_variable__size(const struct skep_variable *var)
{
    return inside(var)->size;
}

uint32_t skep_variable__offset(const struct skep_variable *var)
{
    return inside(var)->off;
}

struct skep_map *skep_variable__map(const struct skep_object *o, const struct skep_variable *var)
{
    return &o->maps[inside(var)->map];
}

int skep_variable__get(const struct skep_object *o, const struct skep_variable *var, void *value, size_t size)
{
    const void *at = variable_at(o, inside(var));
    if (!at || size != inside(var)->size)
        return -EINVAL;
    memcpy(value, at, size);
    return 0;
}

/* Constants may change until they are frozen; an object that failed to load has neither contents. */
static int may_write(const struct skep_object *o, const struct object_var *var)
{
    const struct skep_map *map = &o->maps[var->map];
    return map->ops && map->ops->frozen(map) ? -EPERM : 0;
}

int skep_variable__set(struct skep_object *o, const struct skep_variable *var, const void *value, size_t size)
{
    void *at = variable_at(o, inside(var));
    if (!at || !value || size != inside(var)->size)
        return -EINVAL;
    int err = may_write(o, inside(var));
    if (!err)
        memcpy(at, value, size);
    return err;
}

int skep_object__set_variable(struct skep_object *o, const char *lvalue, const char *text)
{
    size_t len = strcspn(lvalue, ".[");
    const struct object_var *var = NULL;
    struct log log = LOG_AT(&o->vm->log, o->obj->path);
    for (uint32_t i = 0; i < o->obj->n_vars && !var; i++)
        if (strlen(o->obj->vars[i].name) == len && !memcmp(o->obj->vars[i].name, lvalue, len))
            var = &o->obj->vars[i];
    if (!var)
        return log_fail(&log, -ENOENT, "there is no global variable '%.*s'", (int)len, lvalue);
    void *at = variable_at(o, var);
    if (!at)
        return log_fail(&log, -EINVAL, "variable '%s' has no memory: its map does not exist", var->name);
    if (may_write(o, var))
        return log_fail(&log, -EPERM, "variable '%s' is constant once the object is loaded", var->name);
    return value_set(o->obj->btf, var->btf_id, var->name, lvalue + len, text, at, var->size, &log);
}
