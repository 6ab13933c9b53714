/* The arguments of `skep attach`. */
#include "cli/attach.h"
#include <stdlib.h>
#include <string.h>

struct parse {
    struct args a;
    struct attach_opts *o;
    bool bad;
};

static bool text(struct parse *p, const char *name, const char **out)
{
    const char *v = name[0] == '-' ? args_option(&p->a, name, &p->bad) : args_word(&p->a, name, &p->bad);
    if (v)
        *out = v;
    return v || p->bad;
}

static bool number(struct parse *p, const char *name, uint64_t max, uint64_t *out)
{
    const char *v = NULL;
    if (!text(p, name, &v))
        return false;
    if (v)
        p->bad = !args_number(&p->a, name, v, max, out);
    return true;
}

static bool list(struct parse *p, const char *name, const char **to, uint32_t *n)
{
    const char *v = NULL;
    if (!text(p, name, &v))
        return false;
    if (v)
        to[(*n)++] = v;
    return true;
}

static bool flag(struct parse *p, const char *name, uint32_t bit)
{
    if (!args_switch(&p->a, name))
        return false;
    p->o->xdp_flags |= bit;
    return true;
}

static bool is_where(struct parse *p)
{
    struct attach_opts *o = p->o;
    if (args_switch(&p->a, "--ingress"))
        return o->ingress = true;
    if (args_switch(&p->a, "--egress"))
        return o->egress = true;
    if (args_switch(&p->a, "--clsact"))
        return o->clsact = true;
    return flag(p, "--generic", SKEP_XDP_GENERIC) || flag(p, "--native", SKEP_XDP_NATIVE) ||
           flag(p, "--offload", SKEP_XDP_OFFLOAD) || number(p, "--pid", INT32_MAX, &o->pid) ||
           number(p, "--freq", 1000000, &o->freq) || number(p, "--cookie", UINT64_MAX, &o->cookie) ||
           list(p, "to", o->to, &o->n_to);
}

static bool is_shown(struct parse *p)
{
    struct attach_opts *o = p->o;
    struct run_opts *r = &o->run;
    if (args_switch(&p->a, "--dump-maps"))
        return r->dump_maps = true;
    if (number(p, "--interval", 3600000, &o->interval))
        return o->has_interval = true;
    return number(p, "--for", 1000000, &o->seconds) || text(p, "--pin", &o->pin) ||
           text(p, "--pin-maps", &o->pin_maps) || list(p, "--watch", o->watch, &o->n_watch) ||
           list(p, "--event", r->events, &r->n_events) || list(p, "--set", r->sets, &r->n_sets) ||
           list(p, "--map", r->maps, &r->n_maps) || text(p, "--maps-from", &r->maps_from) ||
           text(p, "--maps-to", &r->maps_to) || text(p, "--btf", &r->btf) || text(p, "--kconfig", &r->kconfig);
}

static int check(struct cli *c, const struct attach_opts *o)
{
    if (!o->run.object)
        return cli_usage(c, &cmd_attach, "an object is missing");
    if (o->ingress && o->egress)
        return cli_usage(c, &cmd_attach, "--ingress and --egress exclude each other");
    if (o->xdp_flags & (o->xdp_flags - 1))
        return cli_usage(c, &cmd_attach, "--generic, --native and --offload exclude one another");
    if (o->pin && (o->n_watch || o->seconds || o->run.maps_to))
        return cli_usage(c, &cmd_attach,
                         "--pin leaves the programs attached and ends at once; nothing is shown meanwhile");
    return 0;
}

int attach_parse(struct cli *c, struct attach_opts *o, int argc, char **argv)
{
    struct parse p = {.a = {.c = c, .cmd = &cmd_attach, .argc = argc, .argv = argv}, .o = o};
    size_t room = (size_t)argc + 1;
    const char ***lists[] = {&o->progs, &o->to, &o->watch, &o->run.sets, &o->run.maps, &o->run.events};
    o->interval = 1000;
    o->run.kernel = true;
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
        if (!(*lists[i] = calloc(room, sizeof(char *))))
            return cli_fail(c, STATUS_USAGE, "out of memory");
    while (p.a.at < argc) {
        if (args_global(&p.a) || is_where(&p) || is_shown(&p)) {
            if (p.bad)
                return STATUS_USAGE;
            continue;
        }
        const char *word = argv[p.a.at++];
        if (word[0] == '-' && word[1])
            return cli_usage(c, &cmd_attach, "there is no option '%s'", word);
        if (!o->run.object)
            o->run.object = word;
        else
            o->progs[o->n_progs++] = word;
    }
    return check(c, o);
}

void attach_opts_free(struct attach_opts *o)
{
    free(o->progs);
    free(o->to);
    free(o->watch);
    free(o->run.sets);
    free(o->run.maps);
    free(o->run.events);
}
