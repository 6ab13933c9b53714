/*
 * `skep world record`: a world file from this machine's /proc and /sys/fs/cgroup: its processes, or those that are
 * named with the ones above them, their cgroups and namespaces, and the network. What this user may not see is left
 * out; a process that ends meanwhile is, too.
 */
#include "cli/record.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_PIDS = 1 << 14, LINE = 4096 };

struct process {
    uint32_t pid, tgid, ppid, uid, gid;
    char comm[16];
    char *cgroup; /* NULL: it is in none of version 2 */
    struct record_of ns;
    bool wanted;
};

struct recording {
    struct cli *c;
    struct process *all;
    size_t n, cap;
    char **cgroups; /* paths, parents before children */
    size_t n_cgroups, cap_cgroups;
    struct record_nss namespaces;
    const char *root; /* where cgroups of version 2 are mounted */
};

/* ---- Reading ---- */

static FILE *open_of(uint32_t pid, const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%u/%s", pid, name);
    return fopen(path, "re");
}

static bool read_status(struct process *p)
{
    FILE *f = open_of(p->pid, "status");
    char line[LINE];
    if (!f)
        return false;
    while (fgets(line, sizeof(line), f)) {
        if (!strncmp(line, "Name:\t", 6))
            snprintf(p->comm, sizeof(p->comm), "%.*s", (int)strcspn(line + 6, "\n"), line + 6);
        else if (sscanf(line, "Tgid: %u", &p->tgid) == 1 || sscanf(line, "PPid: %u", &p->ppid) == 1 ||
                 sscanf(line, "Uid: %u", &p->uid) == 1)
            continue;
        else if (sscanf(line, "Gid: %u", &p->gid) != 1)
            record_status_line(line, &p->ns);
    }
    fclose(f);
    return p->tgid;
}

static void read_cgroup(struct process *p)
{
    FILE *f = open_of(p->pid, "cgroup");
    char line[LINE];
    while (f && fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = 0;
        if (!strncmp(line, "0::/", 4) && !strstr(line, "/..") && !p->cgroup)
            p->cgroup = strdup(line + 3);
    }
    if (f)
        fclose(f);
}

static int read_all(struct recording *r)
{
    DIR *d = opendir("/proc");
    struct dirent *e;
    if (!d)
        return cli_fail(r->c, STATUS_USAGE, "/proc: %s", strerror(errno));
    while ((e = readdir(d)) && r->n < MAX_PIDS) {
        struct process p = {.pid = (uint32_t)strtoul(e->d_name, NULL, 10)};
        if (!isdigit((unsigned char)*e->d_name) || !read_status(&p))
            continue;
        if (r->n == r->cap) {
            size_t cap = r->cap ? r->cap * 2 : 256;
            struct process *all = reallocarray(r->all, cap, sizeof(*all));
            if (!all)
                break;
            r->all = all;
            r->cap = cap;
        }
        read_cgroup(&p);
        r->all[r->n++] = p;
    }
    closedir(d);
    return 0;
}

/* ---- Choosing ---- */

static struct process *find(struct recording *r, uint32_t pid)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->all[i].pid == pid)
            return &r->all[i];
    return NULL;
}

/* A process with the ones above it. */
static bool want(struct recording *r, uint32_t pid)
{
    struct process *p = find(r, pid);
    if (!p)
        return false;
    for (; p && !p->wanted; p = find(r, p->ppid))
        p->wanted = true;
    return true;
}

static bool add_cgroup(struct recording *r, const char *path)
{
    const char *slash = strrchr(path, '/');
    for (size_t i = 0; i < r->n_cgroups; i++)
        if (!strcmp(r->cgroups[i], path))
            return true;
    if (path[1]) {
        char *up = slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
        bool added = up && add_cgroup(r, up);
        free(up);
        if (!added)
            return false;
    }
    if (r->n_cgroups == r->cap_cgroups) {
        size_t cap = r->cap_cgroups ? r->cap_cgroups * 2 : 64;
        char **list = reallocarray(r->cgroups, cap, sizeof(*list));
        if (!list)
            return false;
        r->cgroups = list;
        r->cap_cgroups = cap;
    }
    r->cgroups[r->n_cgroups] = strdup(path);
    return r->cgroups[r->n_cgroups] && ++r->n_cgroups;
}

/* The number of a cgroup is that of its directory; 0: it cannot be seen. */
static uint64_t cgroup_id(const struct recording *r, const char *path)
{
    struct buf dir = {0};
    struct stat st;
    buf_printf(&dir, "%s%s", r->root, path);
    uint64_t id = !path[1] ? 1 : stat(buf_text(&dir), &st) ? 0 : st.st_ino;
    buf_free(&dir);
    return id;
}

static bool seen(const struct recording *r, const char *path)
{
    struct buf up = {0};
    bool all = true;
    buf_puts(&up, path);
    while (all && up.len > 1) {
        all = cgroup_id(r, buf_text(&up)) > 1;
        up.len = (size_t)(strrchr(buf_text(&up), '/') - buf_text(&up));
        up.data[up.len] = 0;
    }
    buf_free(&up);
    return all;
}

/* ---- Writing ---- */

static void write_world(struct recording *r, struct json_writer *w, uint32_t current)
{
    json_object_begin(w);
    json_name(w, "cgroups");
    json_array_begin(w);
    for (size_t i = 0; i < r->n_cgroups; i++) {
        json_object_begin(w);
        json_str_at(w, "path", r->cgroups[i]);
        json_u64_at(w, "id", cgroup_id(r, r->cgroups[i]));
        json_object_end(w);
    }
    json_array_end(w);
    record_write_namespaces(&r->namespaces, w);
    json_name(w, "tasks");
    json_array_begin(w);
    for (size_t i = 0; i < r->n; i++) {
        const struct process *p = &r->all[i];
        if (!p->wanted)
            continue;
        json_object_begin(w);
        json_u64_at(w, "pid", p->pid);
        json_u64_at(w, "tgid", p->tgid);
        json_str_at(w, "comm", p->comm);
        json_u64_at(w, "uid", p->uid);
        json_u64_at(w, "gid", p->gid);
        json_u64_at(w, "ppid", p->ppid);
        if (p->cgroup)
            json_str_at(w, "cgroup", p->cgroup);
        record_write_task(&p->ns, w);
        json_object_end(w);
    }
    json_array_end(w);
    json_u64_at(w, "current", current);
    record_write_net(w);
    json_object_end(w);
    buf_putc(w->out, '\n');
}

static int record(struct recording *r, const char *file, const uint32_t *pids, size_t n)
{
    uint32_t current = n ? pids[0] : (uint32_t)getpid();
    int status = read_all(r);
    for (size_t i = 0; i < n && !status; i++)
        if (!want(r, pids[i]))
            status = cli_fail(r->c, STATUS_USAGE, "there is no process %u, or it cannot be seen", pids[i]);
    for (size_t i = 0; i < r->n && !status; i++) {
        struct process *p = &r->all[i];
        p->wanted |= !n;
        if (p->wanted && !record_namespaces(&r->namespaces, p->pid, &p->ns))
            status = cli_fail(r->c, STATUS_USAGE, "out of memory");
        if (!p->wanted || !p->cgroup || status)
            continue;
        if (!seen(r, p->cgroup)) {
            free(p->cgroup);
            p->cgroup = NULL;
        } else if (!add_cgroup(r, p->cgroup)) {
            status = cli_fail(r->c, STATUS_USAGE, "out of memory");
        }
    }
    struct buf text = {0};
    struct json_writer w = {.out = &text, .pretty = true};
    if (!status)
        write_world(r, &w, current);
    if (!status)
        status = text.failed         ? cli_fail(r->c, STATUS_USAGE, "out of memory")
                 : strcmp(file, "-") ? file_replace(r->c, file, text.data, text.len)
                                     : file_write(r->c, file, text.data, text.len);
    buf_free(&text);
    return status;
}

static int run_world(struct cli *c, int argc, char **argv)
{
    struct args a = {.c = c, .cmd = &cmd_world, .argc = argc, .argv = argv};
    struct recording r = {.c = c,
                          .root = access("/sys/fs/cgroup/unified", F_OK) ? "/sys/fs/cgroup" : "/sys/fs/cgroup/unified"};
    uint32_t *pids = calloc((size_t)argc + 1, sizeof(*pids));
    const char *file = NULL, *verb = NULL, *v;
    size_t n = 0;
    int status = pids ? 0 : cli_fail(c, STATUS_USAGE, "out of memory");
    while (!status && a.at < argc) {
        bool bad = false;
        uint64_t pid = 0;
        if (args_global(&a))
            continue;
        if ((v = args_option(&a, "--pid", &bad)))
            bad = !args_number(&a, "--pid", v, UINT32_MAX, &pid);
        if (bad)
            status = STATUS_USAGE;
        else if (v)
            pids[n++] = (uint32_t)pid;
        else if (argv[a.at][0] == '-' && argv[a.at][1])
            status = cli_usage(c, &cmd_world, "unknown option '%s'", argv[a.at]);
        else if (!verb)
            verb = argv[a.at++];
        else if (!file)
            file = argv[a.at++];
        else
            status = cli_usage(c, &cmd_world, "'%s' is one word too many", argv[a.at]);
    }
    if (!status && (!verb || strcmp(verb, "record")))
        status = cli_usage(c, &cmd_world, "what to do is missing: record");
    if (!status && !file)
        status = cli_usage(c, &cmd_world, "a file to write is missing");
    if (!status)
        status = record(&r, file, pids, n);
    for (size_t i = 0; i < r.n; i++)
        free(r.all[i].cgroup);
    for (size_t i = 0; i < r.n_cgroups; i++)
        free(r.cgroups[i]);
    free(r.cgroups);
    free(r.namespaces.all);
    free(r.all);
    free(pids);
    return status;
}

const struct command cmd_world = {
    .name = "world",
    .run = run_world,
    .usage = "record FILE [--pid N]...",
    .summary = "write this machine's tasks, cgroups, namespaces and network as a world file",
    .help = "Writes what `skep run --world FILE` reads (docs/world.md), `-` to standard output.\n"
            "\n"
            "  --pid N    this process and the ones above it alone; the first is the current task. May be repeated\n",
};
