/*
 * `bench [-r N] [-a] OBJ...`: what verification takes, Linux's beside ours, on every program that both accept. Each is
 * judged N times by both, one after the other, and the fastest counts. Linux's time is the one that its log tells, but
 * at most the CPU time of the whole load, since its clock goes on while others run; ours is the CPU time from the
 * program to its finished facts. Programs of less than 1000 instructions processed go into one line, and what either
 * cannot judge is only counted, unless -a is given. Ends with the totals and with whether the goals hold: Linux's time
 * over all, 1.5 times its instructions processed for each, 128 MB at the peak.
 */
#include "tests/kernel/pair.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SMALL = 1000 };

struct sum {
    uint64_t processed[2], states[2], time_us[2], memory; /* Linux's, ours */
    double worst;                                         /* ours over Linux's processed, of one program */
    char worst_name[192];
    unsigned programs;
};

static double ratio(uint64_t a, uint64_t b)
{
    return b ? (double)a / (double)b : a ? 99.99 : 1;
}

static void row(const char *name, const uint64_t processed[2], const uint64_t states[2], const uint64_t us[2],
                uint64_t memory)
{
    printf("%-58.58s %8" PRIu64 " %8" PRIu64 " %5.2f %7" PRIu64 " %7" PRIu64 " %9" PRIu64 " %9" PRIu64 " %5.2f %7.2f\n",
           name, processed[0], processed[1], ratio(processed[1], processed[0]), states[0], states[1], us[0], us[1],
           ratio(us[1], us[0]), (double)memory / 1e6);
}

static void add(struct sum *s, const char *name, const struct judgement *k, const struct judgement *o)
{
    double r = ratio(o->processed, k->processed);

    s->processed[0] += k->processed, s->processed[1] += o->processed;
    s->states[0] += k->states, s->states[1] += o->states;
    s->time_us[0] += k->time_us, s->time_us[1] += o->time_us;
    if (o->memory > s->memory)
        s->memory = o->memory;
    if (r > s->worst) {
        s->worst = r;
        snprintf(s->worst_name, sizeof(s->worst_name), "%s", name);
    }
    s->programs++;
}

static void judge(const char *path, unsigned repeat, bool all, struct sum *small, struct sum *total, unsigned *skipped)
{
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    char why[320], name[192];
    struct pair *pairs;
    int n = pair_object(path, repeat, &pairs, why, sizeof(why));

    for (int i = 0; i < n; i++) {
        const struct judgement *k = &pairs[i].kernel, *o = &pairs[i].ours;

        snprintf(name, sizeof(name), "%s %s", base, pairs[i].program);
        if (!pairs[i].finished || k->judged != JUDGED_ACCEPT || o->judged != JUDGED_ACCEPT) {
            if (k->judged != JUDGED_REJECT) {
                ++*skipped;
                if (all)
                    printf("%-58.58s skipped: %s\n", name,
                           o->judged != JUDGED_ACCEPT ? o->message
                           : k->message[0]            ? k->message
                                                      : k->reason);
            }
            continue;
        }
        add(total, name, k, o);
        if (k->processed < SMALL && !all)
            add(small, name, k, o);
        else
            row(name, (uint64_t[2]){k->processed, o->processed}, (uint64_t[2]){k->states, o->states},
                (uint64_t[2]){k->time_us, o->time_us}, o->memory);
        fflush(stdout);
    }
    if (n < 0) {
        ++*skipped;
        if (all)
            printf("%-58.58s skipped: %s\n", base, why);
    }
    free(pairs);
}

int main(int argc, char **argv)
{
    struct sum small = {0}, total = {0};
    unsigned repeat = 3, skipped = 0;
    bool all = false, good;
    char name[64];
    int opt;

    while ((opt = getopt(argc, argv, "r:a")) != -1) {
        if (opt == 'r')
            repeat = (unsigned)atoi(optarg);
        else if (opt == 'a')
            all = true;
        else
            return fprintf(stderr, "usage: bench [-r N] [-a] OBJ...\n"), 2;
    }
    if (!linux_allows()) {
        printf("SKIP: bpf(2) is not allowed here\n");
        return 0;
    }
    printf("%-58s %17s %5s %15s %21s %5s %7s\n", "", "insns processed", "", "states", "time, us", "", "MB");
    printf("%-58s %8s %8s %5s %7s %7s %9s %9s %5s %7s\n", "program", "Linux", "skep", "ratio", "Linux", "skep", "Linux",
           "skep", "ratio", "peak");
    for (int i = optind; i < argc; i++)
        judge(argv[i], repeat ? repeat : 1, all, &small, &total, &skipped);
    if (small.programs) {
        snprintf(name, sizeof(name), "%u programs of less than %u processed", small.programs, SMALL);
        row(name, small.processed, small.states, small.time_us, small.memory);
    }
    snprintf(name, sizeof(name), "total of %u programs", total.programs);
    row(name, total.processed, total.states, total.time_us, total.memory);
    good = total.programs && total.time_us[1] <= total.time_us[0] && total.worst <= 1.5 && total.memory <= 128000000;
    printf(
        "%u skipped; time %.2f of Linux's (goal 1.00); most processed over Linux's %.2f (goal 1.50): %s; %.1f MB at the "
        "peak (goal 128): %s\n",
        skipped, ratio(total.time_us[1], total.time_us[0]), total.worst, total.worst_name, (double)total.memory / 1e6,
        good ? "goals met" : "goals not met");
    return good ? 0 : 1;
}
