/*
 * The kernel's side, through libbpf. Its verdict counts where its verifier ran, which its closing statistics tell; the
 * reason of a refusal is the last line of the log before them, for which the program is loaded once more.
 */
#include "tests/kernel/pair.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { STATS_ONLY = 4, LOG_ROOM = 1 << 20 };

/* libbpf's last warning, for what fails before the kernel is asked; and whether the program itself was refused, rather
 * than what comes after it (maps of programs that are left out). */
static char said[320];
static bool refused;

static int listen_to(enum libbpf_print_level level, const char *fmt, va_list ap)
{
    char line[sizeof(said)];

    if (level != LIBBPF_WARN)
        return 0;
    vsnprintf(line, sizeof(line), fmt, ap);
    line[strcspn(line, "\n")] = 0;
    if (strstr(line, "BPF program load failed"))
        refused = true;
    if (!strstr(line, "failed to load object") && !strstr(line, "-- BEGIN") && !strstr(line, "-- END"))
        memcpy(said, line, sizeof(said));
    return 0;
}

bool linux_allows(void)
{
    /* r0 = 0; exit */
    static const struct bpf_insn insns[] = {{.code = 0xb7}, {.code = 0x95}};
    int fd = bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "allowed", "GPL", insns, 2, NULL);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

bool linux_reads(const char *path)
{
    struct bpf_object *o;

    libbpf_set_print(listen_to);
    o = bpf_object__open_file(path, NULL);
    bpf_object__close(o);
    return o;
}

static uint64_t cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000;
}

/* One load. @return 0 or the negative errno, with the log in buf; -EBADF: the object cannot be opened. */
static int load(const char *path, const char *program, int level, char *buf, uint64_t *took)
{
    uint64_t begin;
    struct bpf_object *o = bpf_object__open_file(path, NULL);
    struct bpf_program *p;
    struct bpf_map *m;
    bool found = false;
    int err;

    if (!o)
        return -EBADF;
    bpf_object__for_each_map(m, o) bpf_map__set_pin_path(m, NULL); /* nothing is to stay behind */
    bpf_object__for_each_program(p, o)
    {
        bool this = !strcmp(bpf_program__name(p), program);

        bpf_program__set_autoload(p, this && !found);
        if (!this)
            continue;
        found = true;
        bpf_program__set_log_level(p, (__u32)level);
        bpf_program__set_log_buf(p, buf, LOG_ROOM);
    }
    buf[0] = 0;
    begin = cpu_us();
    err = found ? bpf_object__load(o) : -EBADF;
    *took = cpu_us() - begin;
    bpf_object__close(o);
    return err;
}

/* The last line before the statistics, without the source lines and instructions that lead up to it. */
static void last_words(const char *buf, char *out, size_t n)
{
    const char *end = strstr(buf, "\nprocessed "), *begin;

    if (!end)
        end = buf + strlen(buf);
    while (end > buf && end[-1] == '\n')
        end--;
    for (begin = end; begin > buf && begin[-1] != '\n';)
        begin--;
    snprintf(out, n, "%.*s", (int)(end - begin), begin);
}

/* Before the verifier proper looks at a program: what this kernel has no hook or type for. */
static bool never_ran(int err, const struct judgement *v)
{
    return err && (err == -EPERM || err == -ENOTSUP || err == -524 || err == -ESRCH || err == -ENOENT) && !v->processed;
}

static int once(const char *path, const char *program, char *buf, struct judgement *v)
{
    const char *stats, *t;
    uint64_t took;
    int err;

    memset(v, 0, sizeof(*v));
    said[0] = 0;
    refused = false;
    err = load(path, program, STATS_ONLY, buf, &took);
    snprintf(v->reason, sizeof(v->reason), "%s", err ? strerror(-err) : "");
    stats = strstr(buf, "processed ");
    if (stats && !refused)
        err = 0;
    if (stats) {
        unsigned long long processed = 0, states = 0, us = 0;

        sscanf(stats, "processed %llu insns (limit %*u) max_states_per_insn %*u total_states %llu", &processed,
               &states);
        t = strstr(buf, "verification time ");
        if (t)
            sscanf(t, "verification time %llu usec", &us);
        v->processed = processed, v->states = states, v->time_us = us < took ? us : took;
    }
    v->judged = !err ? JUDGED_ACCEPT : !stats || never_ran(err, v) ? JUDGED_UNKNOWN : JUDGED_REJECT;
    if (err && !stats)
        snprintf(v->message, sizeof(v->message), "%s", said);
    return err;
}

void linux_judge(const char *path, const char *program, unsigned repeat, struct judgement *out)
{
    char *buf = malloc(LOG_ROOM);
    struct judgement next;
    uint64_t took;
    int err;

    memset(out, 0, sizeof(*out));
    if (!buf)
        return;
    libbpf_set_print(listen_to);
    err = once(path, program, buf, out);
    for (unsigned i = 1; i < repeat && !err; i++)
        if (!once(path, program, buf, &next) && next.time_us < out->time_us)
            *out = next;
    if (err && out->judged != JUDGED_UNKNOWN) {
        load(path, program, 1, buf, &took);
        last_words(buf, out->message, sizeof(out->message));
    }
    /* Of this process's rights, not of the program: it lacks CAP_SYS_ADMIN. */
    if (out->judged == JUDGED_REJECT && strstr(out->message, "cannot use helper bpf_probe_write_user"))
        out->judged = JUDGED_UNKNOWN;
    free(buf);
}
