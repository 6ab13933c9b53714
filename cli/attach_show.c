/*
 * What is seen while programs are attached: events as they come, lines of bpf_trace_printk(), and every interval how
 * often each program ran, how long that took, and the maps that are watched. On a terminal the latter is drawn in place
 * (events scroll above it); elsewhere it is printed when an interval was asked for, and in any case at the end.
 */
#include "cli/attach.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { TRACE_CHUNK = 4096 };

/* Only objects that print are listened for: the trace is one for the whole system. */
static bool prints(const struct skep_object *o)
{
    for (uint32_t i = 0; i < o->obj->n_vars; i++)
        if (is_print_format(o->obj->vars[i].name))
            return true;
    return false;
}

static int open_trace(void)
{
    int fd = open("/sys/kernel/tracing/trace_pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    return fd >= 0 ? fd : open("/sys/kernel/debug/tracing/trace_pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

static void watch_fd(struct attach *a, int fd)
{
    struct epoll_event ev = {.events = EPOLLIN};
    if (fd >= 0)
        epoll_ctl(a->epoll, EPOLL_CTL_ADD, fd, &ev);
}

int attach_show_begin(struct attach *a)
{
    struct cli *c = a->run.c;
    a->redraw = !c->json && isatty(STDOUT_FILENO);
    a->epoll = epoll_create1(EPOLL_CLOEXEC);
    a->stats = skep_enable_stats();
    if (prints(a->run.obj)) {
        a->trace = open_trace();
        if (a->trace < 0)
            cli_warn(c, "what the programs print is not shown: /sys/kernel/tracing cannot be read (mount -t tracefs "
                        "tracefs /sys/kernel/tracing)");
        watch_fd(a, a->trace);
    }
    a->run.events = events_open(&a->run);
    if (!a->run.events)
        return c->failed ? STATUS_USAGE : cli_fail(c, STATUS_USAGE, "out of memory");
    for (int i = 0, fd; (fd = events_fd(a->run.events, i)) != -1; i++)
        watch_fd(a, fd);
    if (c->json) {
        json_name(&c->w, "events");
        json_array_begin(&c->w);
    }
    return 0;
}

/* ---- The drawn part ---- */

static void wipe(struct attach *a)
{
    if (a->drawn)
        printf("\033[%uA\033[J", a->drawn);
    a->drawn = 0;
}

static void show_trace(struct attach *a)
{
    char text[TRACE_CHUNK + 1];
    ssize_t n;
    while (a->trace >= 0 && (n = read(a->trace, text, TRACE_CHUNK)) > 0) {
        text[n] = 0;
        for (char *save = NULL, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
            char *message = strstr(line, "bpf_trace_printk: ");
            message = message ? message + 18 : line;
            if (a->run.c->json) {
                buf_puts(&a->run.trace, message);
                buf_putc(&a->run.trace, 0);
            } else {
                printf("trace: %s\n", message);
            }
        }
    }
}

void attach_show_wait(struct attach *a, int timeout_ms)
{
    struct epoll_event ev[8];
    int n = epoll_wait(a->epoll, ev, 8, timeout_ms);
    if (n > 0 || timeout_ms == 0) {
        wipe(a);
        events_show(a->run.events);
        show_trace(a);
    }
    fflush(stdout);
}

static unsigned show_counts(const struct attach *a)
{
    unsigned lines = 0;
    for (uint32_t i = 0; i < a->n; i++) {
        SKEP_OPTS(skep_program_stats, s);
        const struct attached *one = &a->all[i];
        if (!one->prog || (i && a->all[i - 1].prog == one->prog) || skep_program__stats(one->prog, &s))
            continue;
        printf("%-20s ran %" PRIu64 " times", skep_program__name(one->prog), s.run_cnt);
        if (s.run_cnt)
            printf(", %" PRIu64 " ns each", s.run_time_ns / s.run_cnt);
        if (s.recursion_misses)
            printf(", %" PRIu64 " times not, since it was running", s.recursion_misses);
        putchar('\n');
        lines++;
    }
    return lines;
}

/* maps_dump prints to stdout; how many lines that were is counted by printing into memory first. */
static unsigned show_watched(const struct attach *a)
{
    unsigned lines = 0;
    for (uint32_t i = 0; i < a->o->n_watch; i++) {
        struct buf text = {0};
        maps_print(skep_object__find_map_by_name(a->run.obj, a->o->watch[i]), &text);
        for (size_t k = 0; k < text.len; k++)
            lines += text.data[k] == '\n';
        fputs(buf_text(&text), stdout);
        buf_free(&text);
    }
    return lines;
}

void attach_show_state(struct attach *a)
{
    if (a->run.c->json || (!a->redraw && !a->o->has_interval))
        return;
    wipe(a);
    unsigned lines = show_counts(a) + show_watched(a);
    if (a->redraw)
        a->drawn = lines;
    fflush(stdout);
}

static void json_counts(const struct attach *a)
{
    struct json_writer *w = &a->run.c->w;
    json_name(w, "programs");
    json_array_begin(w);
    for (uint32_t i = 0; i < a->n; i++) {
        SKEP_OPTS(skep_program_stats, s);
        const struct attached *one = &a->all[i];
        json_object_begin(w);
        json_str_at(w, "attached", skep_link__text(one->link));
        if (one->prog) {
            json_str_at(w, "program", skep_program__name(one->prog));
            skep_program__stats(one->prog, &s);
            json_u64_at(w, "id", s.id);
            json_u64_at(w, "run_cnt", s.run_cnt);
            json_u64_at(w, "run_time_ns", s.run_time_ns);
            json_u64_at(w, "recursion_misses", s.recursion_misses);
        }
        json_object_end(w);
    }
    json_array_end(w);
}

static void json_trace(struct attach *a)
{
    struct json_writer *w = &a->run.c->w;
    json_name(w, "trace");
    json_array_begin(w);
    for (const char *p = a->run.trace.data; p && p < a->run.trace.data + a->run.trace.len; p += strlen(p) + 1)
        json_string(w, p);
    json_array_end(w);
}

void attach_show_end(struct attach *a)
{
    struct cli *c = a->run.c;
    attach_show_wait(a, 0);
    if (c->json) {
        json_array_end(&c->w);
        json_trace(a);
        json_counts(a);
    } else {
        wipe(a);
        show_counts(a);
        if (!a->run.o->dump_maps)
            show_watched(a);
    }
    if (a->run.o->dump_maps)
        maps_dump(c, a->run.obj);
    fflush(stdout);
}

/* ---- Iterators ---- */

int attach_show_iter(struct attach *a, const struct attached *one)
{
    char chunk[8192];
    struct buf all = {0};
    ssize_t n = 0;
    int fd = skep_link__open_iter(one->link);
    if (fd < 0)
        return cli_fail(a->run.c, STATUS_REFUSED, "program '%s': its iterator cannot be read: %s",
                        skep_program__name(one->prog), strerror(-fd));
    while ((n = read(fd, chunk, sizeof(chunk))) > 0 || (n < 0 && errno == EAGAIN))
        if (n > 0 && !a->run.c->json)
            fwrite(chunk, 1, (size_t)n, stdout);
        else if (n > 0)
            buf_add(&all, chunk, (size_t)n);
    int err = n < 0 ? errno : 0;
    close(fd);
    if (a->run.c->json) {
        struct json_writer *w = &a->run.c->w;
        json_object_begin(w);
        json_str_at(w, "program", skep_program__name(one->prog));
        json_str_at(w, "text", buf_text(&all));
        json_object_end(w);
    }
    buf_free(&all);
    return err ? cli_fail(a->run.c, STATUS_REFUSED, "program '%s': its iterator fails: %s",
                          skep_program__name(one->prog), strerror(err))
               : 0;
}
