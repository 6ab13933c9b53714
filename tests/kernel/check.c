/*
 * `check [-v] [-j N] [-k STRICTER.txt] OBJ...`: the kernel's verdict beside ours on every program of the objects.
 * Laxer than Linux (we accept what it refuses) is a failure; so is stricter, unless the list names it with its reason:
 * lines of `object program reason`, object as the end of its path without .o, program possibly *. What either side
 * cannot judge is skipped, and counted by what is missing. Ends with `N passed, N failed, N skipped`.
 */
#include "tests/kernel/pair.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_JOBS = 64, MAX_KINDS = 512 };

struct known {
    char object[128], program[64], reason[256];
    bool used;
};

struct kind {
    char name[96];
    unsigned n;
};

struct tally {
    unsigned passed, failed, skipped, laxer, stricter, listed, unknown, unsupported;
    struct known *known;
    unsigned n_known;
    struct kind missing[MAX_KINDS], refused[MAX_KINDS];
    unsigned n_missing, n_refused;
    bool verbose;
};

static void count(struct kind *kinds, unsigned *n, const char *name)
{
    unsigned i = 0;
    char cut[sizeof(kinds->name)];

    snprintf(cut, sizeof(cut), "%s", name);
    while (i < *n && strcmp(kinds[i].name, cut))
        i++;
    if (i == MAX_KINDS)
        return;
    if (i == *n)
        memcpy(kinds[(*n)++].name, cut, sizeof(cut));
    kinds[i].n++;
}

static int by_count(const void *a, const void *b)
{
    const struct kind *x = a, *y = b;

    return x->n != y->n ? (x->n < y->n) - (x->n > y->n) : strcmp(x->name, y->name);
}

static void print_kinds(const char *title, struct kind *kinds, unsigned n)
{
    qsort(kinds, n, sizeof(*kinds), by_count);
    if (n)
        printf("%s\n", title);
    for (unsigned i = 0; i < n; i++)
        printf("%6u  %s\n", kinds[i].n, kinds[i].name);
}

static bool ends_with(const char *path, const char *name)
{
    size_t n = strlen(path), m = strlen(name);

    return n >= m + 2 && !strcmp(path + n - 2, ".o") && !strncmp(path + n - 2 - m, name, m) &&
           (n == m + 2 || path[n - 3 - m] == '/');
}

static const struct known *find_known(struct tally *t, const char *path, const char *program)
{
    for (unsigned i = 0; i < t->n_known; i++) {
        struct known *k = &t->known[i];

        if (ends_with(path, k->object) && (!strcmp(k->program, "*") || !strcmp(k->program, program))) {
            k->used = true;
            return k;
        }
    }
    return NULL;
}

static void compare(struct tally *t, const char *path, const struct pair *p)
{
    const struct judgement *l = &p->kernel, *o = &p->ours;
    const struct known *k;

    if (!p->asked) {
        t->skipped++;
        t->unknown++;
        count(t->refused, &t->n_refused, "libbpf died of the object");
    } else if (!p->finished) {
        t->failed++;
        printf("CRASH %s: %s\n", path, p->program);
    } else if (o->judged == JUDGED_UNKNOWN) {
        t->skipped++;
        t->unsupported++;
        count(t->missing, &t->n_missing, o->message);
        if (t->verbose)
            printf("unsupported %s: %s (%s): %s\n", path, p->program, p->section, o->message);
    } else if (l->judged == JUDGED_UNKNOWN) {
        t->skipped++;
        t->unknown++;
        count(t->refused, &t->n_refused, l->message[0] ? l->message : l->reason);
        if (t->verbose)
            printf("unknown %s: %s (%s): %s: %s\n", path, p->program, p->section, l->reason, l->message);
    } else if (l->judged == o->judged) {
        t->passed++;
        if (t->verbose)
            printf("%s %s: %s%s%s%s%s\n", o->judged == JUDGED_ACCEPT ? "accept" : "reject", path, p->program,
                   o->message[0] ? "\n    skep: " : "", o->message, l->message[0] ? "\n    Linux: " : "", l->message);
    } else if (o->judged == JUDGED_ACCEPT) {
        t->failed++;
        t->laxer++;
        printf("LAXER %s: %s (%s)\n    Linux: %s: %s\n", path, p->program, p->section, l->reason, l->message);
    } else if ((k = find_known(t, path, p->program))) {
        t->skipped++;
        t->listed++;
        printf("stricter, as listed, %s: %s (%s)\n    skep: %s: %s\n    why: %s\n", path, p->program, p->section,
               o->reason, o->message, k->reason);
    } else {
        t->failed++;
        t->stricter++;
        printf("STRICTER %s: %s (%s)\n    skep: %s: %s\n    Linux: %" PRIu64 " processed\n", path, p->program,
               p->section, o->reason, o->message, l->processed);
    }
}

static void finish(struct tally *t, const char *path, struct pair_job *job)
{
    char why[320] = "cannot be judged";
    struct pair *pairs;
    int n = pair_wait(job, &pairs, why, sizeof(why));

    if (n == -ENOEXEC) {
        t->skipped++;
        count(t->missing, &t->n_missing, "objects that neither can read");
        return;
    }
    if (n < 0) {
        t->failed++;
        printf("UNREADABLE %s: %s\n", path, why);
        return;
    }
    for (int i = 0; i < n; i++)
        compare(t, path, &pairs[i]);
    free(pairs);
}

static bool read_known(struct tally *t, const char *path)
{
    FILE *f = fopen(path, "r");
    char line[512];

    if (!f)
        return false;
    while (fgets(line, sizeof(line), f)) {
        struct known k = {0}, *more;

        if (line[0] == '#' || sscanf(line, "%127s %63s %255[^\n]", k.object, k.program, k.reason) != 3)
            continue;
        more = realloc(t->known, (t->n_known + 1) * sizeof(*more));
        if (!more)
            break;
        t->known = more;
        t->known[t->n_known++] = k;
    }
    fclose(f);
    return true;
}

int main(int argc, char **argv)
{
    static struct tally t;
    struct pair_job jobs[MAX_JOBS];
    long width = sysconf(_SC_NPROCESSORS_ONLN);
    int opt, begun, done;

    while ((opt = getopt(argc, argv, "vj:k:")) != -1) {
        if (opt == 'v')
            t.verbose = true;
        else if (opt == 'j')
            width = atoi(optarg);
        else if (opt != 'k' || !read_known(&t, optarg))
            return fprintf(stderr, "usage: check [-v] [-j N] [-k STRICTER.txt] OBJ...\n"), 2;
    }
    width = width < 1 ? 1 : width > MAX_JOBS ? MAX_JOBS : width;
    if (!linux_allows()) {
        printf("SKIP: bpf(2) is not allowed here\n0 passed, 0 failed, %d skipped\n", argc - optind);
        return 0;
    }
    for (begun = done = optind; done < argc; done++) {
        while (begun < argc && begun - done < width) {
            if (pair_start(argv[begun], 1, &jobs[begun % MAX_JOBS]))
                return perror("fork"), 2;
            begun++;
        }
        finish(&t, argv[done], &jobs[done % MAX_JOBS]);
        fflush(stdout);
    }
    for (unsigned i = 0; i < t.n_known; i++)
        if (!t.known[i].used)
            printf("note: listed as stricter and is not: %s %s\n", t.known[i].object, t.known[i].program);
    print_kinds("Linux could not judge:", t.refused, t.n_refused);
    print_kinds("unsupported here:", t.missing, t.n_missing);
    printf("%u laxer, %u stricter, %u stricter as listed, %u unknown to Linux, %u unsupported\n", t.laxer, t.stricter,
           t.listed, t.unknown, t.unsupported);
    printf("%u passed, %u failed, %u skipped\n", t.passed, t.failed, t.skipped);
    free(t.known);
    return t.failed ? 1 : 0;
}
