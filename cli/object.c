/* Opening an object and finding the program that a command means. */
#include "api/object.h"
#include "cli/cli.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { MAX_OBJECT = 256 << 20 };

static struct skep_object *open_stdin(struct cli *c, const struct skep_object_open_opts *opts, int *status)
{
    struct buf data = {0};
    struct skep_object_open_opts named = *opts;
    if (!named.object_name)
        named.object_name = "stdin";
    struct skep_object *obj = NULL;
    *status = file_read(c, "-", MAX_OBJECT, &data);
    if (!*status)
        obj = skep_object__open_mem(data.data ? data.data : "", data.len, &named);
    buf_free(&data);
    return obj;
}

struct skep_object *cli_open(struct cli *c, const char *path, const struct skep_object_open_opts *opts, int *status)
{
    *status = STATUS_OK;
    struct skep_object *obj = strcmp(path, "-") ? skep_object__open_file(path, opts) : open_stdin(c, opts, status);
    if (obj || *status)
        return obj;
    *status = cli_status(errno);
    if (!c->failed)
        cli_fail(c, *status, "%s: cannot be opened: %s", path, strerror(errno));
    return NULL;
}

bool is_print_format(const char *name)
{
    return strstr(name, ".____fmt");
}

static void list_programs(struct buf *out, const struct skep_object *obj)
{
    struct skep_program *p;
    skep_object__for_each_program(p, obj)
    {
        const char *type = skep_prog_type_str(skep_program__type(p));
        buf_printf(out, "\n  %-24s %-16s SEC(\"%s\")", skep_program__name(p), type ? type : "?",
                   skep_program__section_name(p));
    }
}

struct skep_program *cli_program(struct cli *c, const struct skep_object *obj, const char *name, int *status)
{
    struct skep_program *first = skep_object__next_program(obj, NULL), *p;
    struct buf list = {0};
    *status = STATUS_USAGE;
    if (!first) {
        *status = cli_fail(c, STATUS_REFUSED, "%s: there is no program in this object", obj->obj->path);
        return NULL;
    }
    if (name && (p = skep_object__find_program_by_name(obj, name)))
        return p;
    if (!name && !skep_object__next_program(obj, first))
        return first;
    list_programs(&list, obj);
    if (name)
        cli_fail(c, STATUS_USAGE, "%s: there is no program '%s'; it has:%s", skep_object__name(obj), name,
                 buf_text(&list));
    else
        cli_fail(c, STATUS_USAGE, "%s: several programs; name the one that is meant:%s", obj->obj->path,
                 buf_text(&list));
    buf_free(&list);
    return NULL;
}

void cli_choose(struct skep_object *obj, struct skep_program *prog)
{
    struct skep_map *m;
    struct skep_program *p;
    bool tables = false;
    skep_object__for_each_map(m, obj) tables |= skep_map__type(m) == SKEP_MAP_TYPE_PROG_ARRAY;
    if (!tables)
        skep_object__for_each_program(p, obj) skep_program__set_autoload(p, false);
    skep_program__set_autoload(prog, true);
}

/* "MAP.max_entries", where there is no variable MAP: the map; what loaders of tools size at run time. */
static struct skep_map *sized_map(const struct skep_object *obj, struct buf *name)
{
    static const char field[] = ".max_entries";
    size_t len = name->len - (sizeof(field) - 1);
    if (name->failed || name->len < sizeof(field) || strcmp(name->data + len, field))
        return NULL;
    name->data[len] = 0;
    struct skep_map *map =
        skep_object__find_variable(obj, name->data) ? NULL : skep_object__find_map_by_name(obj, name->data);
    name->data[len] = '.';
    return map;
}

static int set_size(struct cli *c, const struct command *cmd, struct skep_map *map, const char *text)
{
    struct args a = {.c = c, .cmd = cmd};
    uint64_t n;
    if (!args_number(&a, "max_entries", text, UINT32_MAX, &n))
        return STATUS_USAGE;
    int err = skep_map__set_max_entries(map, (uint32_t)n);
    return err ? cli_fail(c, STATUS_USAGE, "--set %s.max_entries: %s", skep_map__name(map), strerror(-err)) : 0;
}

int cli_set(struct cli *c, const struct command *cmd, struct skep_object *obj, const char *arg)
{
    const char *eq = strchr(arg, '=');
    struct buf name = {0};
    if (!eq)
        return cli_usage(c, cmd, "--set: '%s' is not VAR=VALUE", arg);
    buf_add(&name, arg, (size_t)(eq - arg));
    struct skep_map *map = sized_map(obj, &name);
    if (map) {
        buf_free(&name);
        return set_size(c, cmd, map, eq + 1);
    }
    int err = name.failed ? -ENOMEM : skep_object__set_variable(obj, buf_text(&name), eq + 1);
    buf_free(&name);
    if (err)
        return c->failed ? STATUS_USAGE : cli_fail(c, STATUS_USAGE, "--set %s: %s", arg, strerror(-err));
    return 0;
}

uint32_t cli_slots(const struct skep_map *map, uint32_t *step)
{
    *step = (skep_map__value_size(map) + 7) / 8 * 8;
    return skep_map__is_percpu(map) && *step ? skep_map__host_value_size(map) / *step : 1;
}
