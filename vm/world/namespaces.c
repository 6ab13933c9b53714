/*
 * Section `namespaces`: what separates processes. Each is of one kind and has a number (the inode that /proc/PID/ns
 * shows) and a structure of the target; a task says which ones it is in, by their names. Namespaces of pids nest, so
 * that a parent stands before its children in the file.
 */
#include "vm/btf/show.h"
#include "vm/world/read.h"
#include <errno.h>
#include <stddef.h>
#include <string.h>

static const struct {
    const char *word, *type, *proxy; /* proxy: the member of struct nsproxy that points to it; NULL: none does */
} kinds[WORLD_NS_KINDS] = {
    [WORLD_NS_PID] = {"pid", "pid_namespace", "pid_ns_for_children"},
    [WORLD_NS_NET] = {"net", "net", "net_ns"},
    [WORLD_NS_UTS] = {"uts", "uts_namespace", "uts_ns"},
    [WORLD_NS_MNT] = {"mnt", "mnt_namespace", "mnt_ns"},
    [WORLD_NS_IPC] = {"ipc", "ipc_namespace", "ipc_ns"},
    [WORLD_NS_USER] = {"user", "user_namespace", NULL},
    [WORLD_NS_CGROUP] = {"cgroup", "cgroup_namespace", "cgroup_ns"},
    [WORLD_NS_TIME] = {"time", "time_namespace", "time_ns"},
};

enum { MAX_PID_LEVEL = 32 /* MAX_PID_NS_LEVEL */ };

static const struct world_ns *ns_named(const struct world *w, const char *name)
{
    for (uint32_t i = 0; i < w->n_namespaces; i++)
        if (!strcmp(w->namespaces[i].name, name))
            return &w->namespaces[i];
    return NULL;
}

struct ns_text {
    const char *kind, *parent;
    const struct json *members;
};

static int take_kind(struct world_reader *r, const struct json_path *at, const struct json *v, const struct ns_text *t,
                     struct world_ns *ns)
{
    struct json_path here = {.up = at, .name = "kind"};
    unsigned k = 0;

    while (k < WORLD_NS_KINDS && strcmp(kinds[k].word, t->kind))
        k++;
    if (k == WORLD_NS_KINDS)
        return WORLD_REFUSE(r, &here, json_get(v, "kind"),
                            "a namespace is of the kind pid, net, uts, mnt, ipc, user, cgroup or time");
    ns->kind = k;
    if (ns->cookie && k != WORLD_NS_NET)
        return WORLD_REFUSE(r, at, v, "cookies are for namespaces of the kind net");
    if (ns->dev && k != WORLD_NS_PID)
        return WORLD_REFUSE(r, at, v, "bpf_get_ns_current_pid_tgid() alone asks for a device, of namespaces of pids");
    if (!t->parent)
        return 0;
    here.name = "parent";
    ns->parent = ns_named(r->w, t->parent);
    if (!ns->parent || ns->parent->kind != k)
        return WORLD_REFUSE(r, &here, json_get(v, "parent"), "no namespace of this kind and name stands before it");
    ns->level = ns->parent->level + 1;
    if (ns->level > MAX_PID_LEVEL)
        return WORLD_REFUSE(r, &here, json_get(v, "parent"), "Linux nests %d namespaces at most", MAX_PID_LEVEL);
    return 0;
}

static int make_ns(struct world_reader *r, const struct json_path *at, const struct json *v, const struct json *members,
                   struct world_ns *ns)
{
    const struct json none = {.kind = JSON_OBJECT};
    const struct btf *btf = world_btf(r, at, members);
    uint32_t type = btf ? btf_find(btf, kinds[ns->kind].type, BTF_STRUCT) : 0;
    struct json_path here = {.up = at, .name = "struct"};
    struct world_object o;
    int err;

    if (!type)
        return members ? WORLD_REFUSE(r, at, v, "the target has no struct %s", kinds[ns->kind].type) : 0;
    err = world_object(r, at, v, type, ns->name, 0, &o);
    if (err)
        return err;
    ns->addr = o.addr;
    world_put_u64(r, &o, "ns.inum", ns->inum);
    if (ns->kind == WORLD_NS_NET)
        world_put_u64(r, &o, "net_cookie", ns->cookie);
    if (ns->kind == WORLD_NS_PID || ns->kind == WORLD_NS_USER) {
        world_put_u64(r, &o, "level", ns->level);
        world_put_u64(r, &o, "parent", ns->parent ? ns->parent->addr : 0);
    }
    return world_fill(r, &here, members ? members : &none, &o, NULL);
}

static int take_ns(struct world_reader *r, const struct json_path *at, const struct json *v, struct world_ns *ns)
{
    static const struct world_member own[] = {
        {"name", world_take_text, offsetof(struct world_ns, name), true},
        {"inum", world_take_u32, offsetof(struct world_ns, inum), true},
        {"cookie", world_take_u64, offsetof(struct world_ns, cookie), false},
        {"dev", world_take_u32, offsetof(struct world_ns, dev), false},
        {"kind", world_take_text, sizeof(*ns) + offsetof(struct ns_text, kind), true},
        {"parent", world_take_text, sizeof(*ns) + offsetof(struct ns_text, parent), false},
        {"struct", world_take_json, sizeof(*ns) + offsetof(struct ns_text, members), false},
    };
    struct {
        struct world_ns ns;
        struct ns_text text;
    } both = {.text = {0}};
    int err = world_members(r, at, v, own, sizeof(own) / sizeof(own[0]), &both);

    _Static_assert(offsetof(__typeof__(both), text) == sizeof(*ns), "the text follows what is kept");
    if (!err && ns_named(r->w, both.ns.name))
        err = WORLD_REFUSE(r, at, v, "two namespaces are called '%.64s'", both.ns.name);
    if (!err)
        err = take_kind(r, at, v, &both.text, &both.ns);
    if (!err)
        err = make_ns(r, at, v, both.text.members, &both.ns);
    *ns = both.ns;
    return err;
}

int world_read_namespaces(struct world_reader *r, const struct json_path *at, const struct json *v)
{
    enum { MAX = 4096 }; /* each looks for others */
    struct world *w = r->w;
    int err = world_is_array(r, at, v);

    if (!err && v->length > MAX)
        err = WORLD_REFUSE(r, at, v, "more than %d namespaces", MAX);
    if (err)
        return err;
    w->namespaces = ARENA_ARRAY(&w->arena, struct world_ns, v->length + 1);
    if (!w->namespaces)
        return log_fail(r->log, -ENOMEM, "no memory for a world of this size");
    for (size_t i = 0; !err && i < v->length; i++) {
        struct json_path here = {.up = at, .index = i};

        err = take_ns(r, &here, v->items[i], &w->namespaces[i]);
        w->n_namespaces = (uint32_t)i + 1;
    }
    return err;
}

/* ---- What a task has of them ---- */

int world_task_namespaces(struct world_reader *r, const struct json_path *at, const struct json *v,
                          struct world_task *t)
{
    const struct json *list = json_get(v, "namespaces");
    struct json_path here = {.up = at, .name = "namespaces"};
    int err = list ? world_is_array(r, &here, list) : 0;

    for (size_t i = 0; list && !err && i < list->length; i++) {
        struct json_path elem = {.up = &here, .index = i};
        const struct world_ns *ns;
        const char *name;

        err = world_take_text(r, &elem, list->items[i], &name);
        if (err)
            break;
        ns = ns_named(r->w, name);
        if (!ns)
            return WORLD_REFUSE(r, &elem, list->items[i], "there is no namespace '%.64s' in \"namespaces\"", name);
        if (t->ns[ns->kind])
            return WORLD_REFUSE(r, &elem, list->items[i], "a task is in one namespace of each kind");
        t->ns[ns->kind] = ns;
    }
    return err;
}

/* struct pid: the task's number on each level of namespaces, of which the file says the outermost and the innermost. */
static int put_pid(struct world_reader *r, const struct json_path *at, const struct json *v, const struct world_task *t,
                   const struct world_object *task)
{
    const struct btf *btf = r->w->btf;
    const struct world_ns *ns = t->ns[WORLD_NS_PID];
    uint32_t type = btf_find(btf, "pid", BTF_STRUCT), each = btf_find(btf, "upid", BTF_STRUCT);
    struct world_object pid = {.type = type}, number = {.type = each};
    struct btf_place numbers;
    int err;

    if (!type || !each || !ns || !ns->addr || !btf_find_place(btf, type, "numbers", &numbers))
        return 0;
    number.size = (uint64_t)btf_size(btf, each);
    pid.size = numbers.off + (ns->level + 1) * number.size;
    if (pid.size < (uint64_t)btf_size(btf, type))
        pid.size = (uint64_t)btf_size(btf, type);
    err = world_memory(r, at, v, &pid.addr, pid.size, ENV_MEM_KERNEL, ENV_READ, "pid", &pid.host);
    if (err)
        return err;
    world_put_u64(r, &pid, "level", ns->level);
    for (; ns; ns = ns->parent) {
        number.host = pid.host + numbers.off + ns->level * number.size;
        world_put_u64(r, &number, "nr", ns == t->ns[WORLD_NS_PID] ? t->ns_pid : !ns->level ? t->pid : 0);
        world_put_u64(r, &number, "ns", ns->addr);
    }
    world_put_u64(r, task, "thread_pid", pid.addr);
    return 0;
}

int world_put_namespaces(struct world_reader *r, const struct json_path *at, const struct json *v,
                         const struct world_task *t, const struct world_object *task)
{
    uint32_t type = btf_find(r->w->btf, "nsproxy", BTF_STRUCT);
    struct world_object proxy = {0};
    int err = 0;

    for (unsigned k = 0; k < WORLD_NS_KINDS && type && !err; k++) {
        if (!t->ns[k] || !kinds[k].proxy)
            continue;
        if (!proxy.addr)
            err = world_object(r, at, v, type, NULL, 0, &proxy);
        if (!err)
            world_put_u64(r, &proxy, kinds[k].proxy, t->ns[k]->addr);
    }
    if (!err && proxy.addr)
        world_put_u64(r, task, "nsproxy", proxy.addr);
    return err ? err : put_pid(r, at, v, t, task);
}
