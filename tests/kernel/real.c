/*
 * `real [-v] [-n N] NAME OBJ...`: opens, links and loads each object as a host would, every program of it, and says
 * what of it is there: loaded, or the message why not, and what its programs name that is missing here, counted by
 * name. A failure is an object that is refused without a message, and fewer than N objects read and linked. Each object
 * is tried in a process of its own, so that one that ends it is a failure too. Ends with `N passed, N failed, N
 * skipped`.
 */
#include "base/buf.h"
#include "loader/object.h"
#include "vm/abi/map_types.h"

#include <errno.h>
#include <skep/skep.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* SIZE: of maps that their loader would size; also of ring buffers. */
enum { MOST_NAMES = 512, SECONDS = 120, SIZE = 4096 };

/* How far an object came; what follows LOADED in a child's exit status is no answer. */
enum came { UNREAD, UNLINKED, LINKED, LOADED };

struct named {
    char name[160];
    unsigned n;
};

struct table {
    struct named names[MOST_NAMES];
    unsigned n;
};

static void count(struct table *t, const char *name, size_t len)
{
    unsigned i = 0;

    len = len < sizeof(t->names[0].name) - 1 ? len : sizeof(t->names[0].name) - 1;
    while (i < t->n && (strncmp(t->names[i].name, name, len) || t->names[i].name[len]))
        i++;
    if (i == MOST_NAMES)
        return;
    if (i == t->n)
        memcpy(t->names[t->n++].name, name, len);
    t->names[i].n++;
}

static int by_count(const void *a, const void *b)
{
    const struct named *x = a, *y = b;

    return x->n != y->n ? (x->n < y->n) - (x->n > y->n) : strcmp(x->name, y->name);
}

static void show(struct table *t, const char *title, unsigned most)
{
    qsort(t->names, t->n, sizeof(t->names[0]), by_count);
    if (t->n)
        printf("%s:\n", title);
    for (unsigned i = 0; i < t->n && i < most; i++)
        printf("%6u  %s\n", t->names[i].n, t->names[i].name);
    if (t->n > most)
        printf("        and %u others\n", t->n - most);
}

/* ---- The child: one object ---- */

struct teller {
    int fd;
    bool failed;
};

/* Lines to the parent: 'E' and why it failed first, 'M' and what is missing. */
static void tell(void *ctx, enum skep_log_level level, const char *text)
{
    struct teller *t = ctx;

    if (level > SKEP_LOG_WARN || (level == SKEP_LOG_ERROR && t->failed))
        return;
    t->failed |= level == SKEP_LOG_ERROR;
    dprintf(t->fd, "%c%.*s\n", level == SKEP_LOG_ERROR ? 'E' : 'M', (int)strcspn(text, "\n"), text);
}

static enum came try_object(const char *path, int fd)
{
    struct teller teller = {.fd = fd};
    struct log log = {.fn = tell, .ctx = &teller, .max = SKEP_LOG_ERROR};
    SKEP_OPTS(skep_vm_opts, vm, .cpus = 2, .log = tell, .log_ctx = &teller, .log_level = SKEP_LOG_WARN);
    SKEP_OPTS(skep_object_open_opts, open, .vm_opts = &vm);
    SKEP_OPTS(skep_exec_opts, exec, .checked = true);
    struct object_link_opts link = {0};
    struct skep_program *prog;
    struct object *read = NULL;
    struct skep_map *map;
    struct skep_object *obj;
    enum came came = UNREAD;

    if (!object_open_file(path, NULL, &log, &read)) {
        for (uint32_t i = 0; i < read->n_progs; i++)
            read->progs[i].autoload = true;
        came = object_link(read, &link, &log) ? UNLINKED : LINKED;
    }
    object_free(read);
    obj = came == LINKED ? skep_object__open_file(path, &open) : NULL;
    if (!obj)
        return came;
    skep_object__for_each_program(prog, obj)
    {
        skep_program__set_autoload(prog, true);
    }
    skep_object__for_each_map(map, obj)
    {
        const char *type = map_type_name(skep_map__type(map));

        /* A storage has as many entries as there are owners, and says none. */
        if (!skep_map__max_entries(map) && !skep_map__is_internal(map) && type && !strstr(type, "storage"))
            skep_map__set_max_entries(map, SIZE);
    }
    came = skep_object__load_opts(obj, &exec) ? LINKED : LOADED;
    skep_object__close(obj);
    return came;
}

/* ---- The parent ---- */

struct report {
    struct table why, missing;
    unsigned by[LOADED + 1], died, silent;
    bool verbose;
};

/* "helper bpf_x is not available" of a longer message: what is counted. */
static void count_missing(struct report *r, const char *line)
{
    static const char *const begins[] = {"helper bpf_", "kernel function ", "kernel symbol ", "map type "};

    for (unsigned i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
        const char *at = strstr(line, begins[i]);

        if (at) {
            count(&r->missing, at, strlen(begins[i]) + strcspn(at + strlen(begins[i]), " ,:;("));
            return;
        }
    }
}

static void digest(struct report *r, const char *path, struct buf *said, int status)
{
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path, *why = NULL;
    enum came came = WIFEXITED(status) ? (enum came)WEXITSTATUS(status) : UNREAD;
    char *save = NULL;

    if (!WIFEXITED(status) || came > LOADED) {
        printf("%s: died (status 0x%x)\n", base, status);
        r->died++;
        return;
    }
    r->by[came]++;
    for (char *line = said->len ? strtok_r(said->data, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
        if (*line == 'E' && !why)
            why = line + 1;
        else
            count_missing(r, line + 1);
    }
    if (came == LOADED) {
        if (r->verbose)
            printf("%s: loaded\n", base);
        return;
    }
    if (!why)
        r->silent++;
    else if (strstr(why, base)) /* the name is no part of the reason */
        why = strstr(why, base) + strlen(base) + 2;
    printf("%s: %s: %s\n", base,
           came == LINKED     ? "not loaded"
           : came == UNLINKED ? "not linked"
                              : "not read",
           why ? why : "no message");
    count(&r->why, why ? why : "no message", strlen(why ? why : "no message"));
}

static void one(struct report *r, const char *path)
{
    struct buf said = {0};
    char block[4096];
    int fds[2], status = -1;
    ssize_t n;
    pid_t pid;

    if (pipe(fds) || (pid = fork()) < 0) {
        perror("real");
        exit(2);
    }
    if (!pid) {
        close(fds[0]);
        alarm(SECONDS);
        _exit(try_object(path, fds[1]));
    }
    close(fds[1]);
    while ((n = read(fds[0], block, sizeof(block))) > 0 || (n < 0 && errno == EINTR))
        buf_add(&said, block, n > 0 ? (size_t)n : 0);
    close(fds[0]);
    waitpid(pid, &status, 0);
    digest(r, path, &said, status);
    buf_free(&said);
}

int main(int argc, char **argv)
{
    static struct report r;
    unsigned least = 0;
    int c;

    while ((c = getopt(argc, argv, "vn:")) != -1) {
        if (c == 'v')
            r.verbose = true;
        else if (c == 'n')
            least = (unsigned)atoi(optarg);
        else
            return 2;
    }
    if (optind + 1 >= argc) {
        fprintf(stderr, "usage: real [-v] [-n LEAST] NAME OBJ...\n");
        return 2;
    }
    for (int i = optind + 1; i < argc; i++)
        one(&r, argv[i]);
    show(&r.missing, "what programs name that is missing here", 40);
    unsigned good = r.by[LINKED] + r.by[LOADED], bad = r.died + r.silent + (good < least);
    printf("%s: of %d objects %u are read and linked, %u loaded", argv[optind], argc - optind - 1, good, r.by[LOADED]);
    if (least)
        printf(" (at least %u must be linked)", least);
    printf("\n%u passed, %u failed, %u skipped\n", good - (r.silent < good ? r.silent : good), bad,
           r.by[UNREAD] + r.by[UNLINKED]);
    return bad != 0;
}
