/*
 * What perf reads. Two ways, each by itself: a map of names, one line a function, in the file that perf looks for; and
 * a dump (tools/perf/Documentation/jitdump-specification.txt in Linux) with the bytes of each function and the source
 * line of each instruction, which `perf inject --jit` puts into a recording. Both only ever grow, by whole records
 * under the lock; a child of fork() begins files of its own, since both are named by process.
 */
#include "base/buf.h"
#include "jit/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct jit_perf {
    pthread_mutex_t lock;
    bool wants_map;
    char *dir; /* of the dump; NULL: no dump */
    pid_t pid; /* whose files these are */
    int map, dump;
    void *mark; /* the dump's first page, mapped: perf's sign that there is a dump */
    uint64_t index;
};

enum { DUMP_LOAD = 0, DUMP_LINES = 2, DUMP_MAGIC = 0x4A695444, DUMP_VERSION = 1 };

struct dump_header {
    uint32_t magic, version, size, machine, pad, pid;
    uint64_t time, flags;
};

struct dump_record {
    uint32_t id, size;
    uint64_t time;
};

struct dump_load { /* then the name, then the code */
    uint32_t pid, tid;
    uint64_t vma, addr, size, index;
};

struct dump_lines {
    uint64_t addr, n; /* then n lines, each followed by its file's name */
};

struct dump_line {
    uint64_t addr;
    uint32_t line, discriminator;
};

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* All of it or nothing, so that what was there before stays readable. */
static void append(int fd, const struct buf *b)
{
    off_t before = lseek(fd, 0, SEEK_END);
    ssize_t n = b->failed ? 0 : write(fd, b->data, b->len);

    if (n >= 0 && (size_t)n != b->len && before >= 0 && ftruncate(fd, before))
        return;
}

static int open_own(const char *path)
{
    return open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static int open_map(struct jit_perf *p, const struct log *log)
{
    char path[64];

    snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)p->pid);
    p->map = open_own(path);
    return p->map < 0 ? log_fail(log, -errno, "%s: %s", path, strerror(errno)) : 0;
}

static void begin_dump(struct jit_perf *p)
{
    struct dump_header h = {.magic = DUMP_MAGIC,
                            .version = DUMP_VERSION,
                            .size = sizeof(h),
                            .machine = jit_host_target->elf_machine,
                            .pid = (uint32_t)p->pid,
                            .time = now()};
    struct buf b = {0};

    buf_add(&b, &h, sizeof(h));
    append(p->dump, &b);
    buf_free(&b);
}

/* perf learns of the dump from the mapping of its beginning, which must be executable to be recorded. */
static int open_dump(struct jit_perf *p, const struct log *log)
{
    struct buf path = {0};
    struct stat st;
    int err = 0;

    buf_printf(&path, "%s/jit-%d.dump", p->dir, (int)p->pid);
    p->dump = path.failed ? -1 : open_own(buf_text(&path));
    if (p->dump < 0 || fstat(p->dump, &st)) {
        err = path.failed ? -ENOMEM : log_fail(log, -errno, "%s: %s", buf_text(&path), strerror(errno));
        buf_free(&path);
        return err;
    }
    if (!st.st_size)
        begin_dump(p);
    p->mark = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_EXEC, MAP_PRIVATE, p->dump, 0);
    if (p->mark == MAP_FAILED) {
        p->mark = NULL;
        err = log_fail(log, -errno, "%s: cannot be mapped for perf: %s", buf_text(&path), strerror(errno));
    }
    buf_free(&path);
    return err;
}

static int open_files(struct jit_perf *p, const struct log *log)
{
    int err = 0;

    p->pid = getpid();
    if (p->wants_map)
        err = open_map(p, log);
    if (!err && p->dir)
        err = open_dump(p, log);
    return err;
}

static void close_files(struct jit_perf *p)
{
    if (p->mark)
        munmap(p->mark, (size_t)sysconf(_SC_PAGESIZE));
    if (p->map >= 0)
        close(p->map);
    if (p->dump >= 0)
        close(p->dump);
    p->mark = NULL;
    p->map = p->dump = -1;
}

int jit_perf_new(struct jit_perf **out, const struct jit_config *config, const struct log *log)
{
    struct jit_perf *p = calloc(1, sizeof(*p));
    int err;

    if (!p)
        return -ENOMEM;
    pthread_mutex_init(&p->lock, NULL);
    p->wants_map = config->perf_map;
    p->map = p->dump = -1;
    if (config->jitdump && !(p->dir = strdup(config->jitdump)))
        err = -ENOMEM;
    else
        err = open_files(p, log);
    if (err) {
        jit_perf_free(p);
        return err;
    }
    *out = p;
    return 0;
}

void jit_perf_free(struct jit_perf *p)
{
    if (!p)
        return;
    close_files(p);
    free(p->dir);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

void jit_symbol(const struct prog *prog, uint32_t i, char *out, size_t room)
{
    if (i == prog->n_funcs)
        snprintf(out, room, "bpf_enter_%s", prog->name);
    else if (i == 0)
        snprintf(out, room, "bpf_prog_%s", prog->name);
    else
        snprintf(out, room, "bpf_prog_%s.%s", prog->name, prog->funcs[i].name);
    for (char *c = out; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
}

static void add_names(struct jit_perf *p, const struct prog *prog, const struct jit_view *view)
{
    struct buf b = {0};
    char name[256];

    for (uint32_t i = 0; i <= view->n_funcs; i++) {
        const struct jit_frame *f = &view->frames[i];
        jit_symbol(prog, i, name, sizeof(name));
        buf_printf(&b, "%llx %x %s\n", (unsigned long long)(uintptr_t)(view->code + f->begin), f->end - f->begin, name);
    }
    append(p->map, &b);
    buf_free(&b);
}

/* Fills in the size of the record that begins at `at`. */
static void end_record(struct buf *b, size_t at)
{
    if (b->failed)
        return;
    uint32_t size = (uint32_t)(b->len - at);
    memcpy(b->data + at + offsetof(struct dump_record, size), &size, sizeof(size));
}

static void begin_record(struct buf *b, uint32_t id)
{
    struct dump_record r = {.id = id, .time = now()};

    buf_add(b, &r, sizeof(r));
}

static uint32_t first_line(const struct jit_view *view, uint32_t offset)
{
    uint32_t low = 0, high = view->n_lines;

    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (view->lines[mid].offset < offset)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Changes of line inside a function. The form of entries is perf's: an address, a line, a file's name. */
static void add_lines(struct buf *b, const struct prog *prog, const struct jit_view *view, const struct jit_frame *f)
{
    const struct prog_line *last = NULL;
    struct dump_lines head = {.addr = (uintptr_t)(view->code + f->begin)};
    size_t at = b->len, count_at;

    begin_record(b, DUMP_LINES);
    count_at = b->len + offsetof(struct dump_lines, n);
    buf_add(b, &head, sizeof(head));
    for (uint32_t i = first_line(view, f->begin); i < view->n_lines && view->lines[i].offset < f->end; i++) {
        const struct jit_line *l = &view->lines[i];
        const struct prog_line *line;
        if (!(line = prog_line_at(prog, l->slot)) || line == last)
            continue;
        struct dump_line e = {.addr = (uintptr_t)(view->code + l->offset), .line = line->line};
        buf_add(b, &e, sizeof(e));
        buf_add(b, line->file, strlen(line->file) + 1);
        last = line;
        head.n++;
    }
    if (!head.n && !b->failed) { /* nothing to tell: no record */
        b->len = at;
        return;
    }
    if (!b->failed)
        memcpy(b->data + count_at, &head.n, sizeof(head.n));
    end_record(b, at);
}

static void add_dump(struct jit_perf *p, const struct prog *prog, const struct jit_view *view)
{
    struct buf b = {0};
    char name[256];

    for (uint32_t i = 0; i <= view->n_funcs; i++) {
        const struct jit_frame *f = &view->frames[i];
        const uint8_t *code = view->code + f->begin;
        size_t at;
        if (i < view->n_funcs)
            add_lines(&b, prog, view, f);
        jit_symbol(prog, i, name, sizeof(name));
        struct dump_load load = {.pid = (uint32_t)p->pid,
                                 .tid = (uint32_t)syscall(SYS_gettid),
                                 .vma = (uintptr_t)code,
                                 .addr = (uintptr_t)code,
                                 .size = f->end - f->begin,
                                 .index = p->index++};
        at = b.len;
        begin_record(&b, DUMP_LOAD);
        buf_add(&b, &load, sizeof(load));
        buf_add(&b, name, strlen(name) + 1);
        buf_add(&b, code, f->end - f->begin);
        end_record(&b, at);
    }
    append(p->dump, &b);
    buf_free(&b);
}

void jit_perf_add(struct jit_perf *p, const struct prog *prog, const struct jit_view *view)
{
    pthread_mutex_lock(&p->lock);
    if (p->pid != getpid()) {
        close_files(p);
        open_files(p, NULL);
    }
    if (p->map >= 0)
        add_names(p, prog, view);
    if (p->dump >= 0)
        add_dump(p, prog, view);
    pthread_mutex_unlock(&p->lock);
}
