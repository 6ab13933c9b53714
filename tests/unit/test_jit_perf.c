/*
 * What perf is told of machine code: the map of names and the dump are read back, as perf reads them, and compared with
 * the code that runs.
 */
#include "tests/unit/run.h"

#include "jit/jit.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/skep-test-XXXXXX";

static const struct prog_line lines[] = {
    {.insn = 0, .file = "a.bpf.c", .text = "r0 = 1;", .line = 10, .col = 3},
    {.insn = 2, .file = "a.bpf.c", .text = "f();", .line = 12, .col = 5},
    {.insn = 5, .file = "b.h", .text = "g();", .line = 7, .col = 1},
};

/* Two functions on three lines of two files. */
static struct code *make(struct jit *jit)
{
    struct asm_out out = assemble("  r6 = r1\n  r6 += 5\n  call f\n  r0 += r6\n  exit\nf:\n  r0 = 4\n  exit\n");
    struct prog_func funcs[] = {{.name = "prog", .start = 0, .end = 5}, {.name = "f", .start = 5, .end = 7}};
    struct prog_spec spec = {.name = "prog",
                             .file = "a.bpf.o",
                             .insns = out.insns,
                             .n_insns = out.n_insns,
                             .funcs = funcs,
                             .n_funcs = 2,
                             .lines = lines,
                             .n_lines = 3};
    struct code_opts opts = {.opts = CODE_OPT_ALL, .jit = jit};
    struct code *code;
    struct prog *prog;

    if (prog_new(&spec, false, &said_all, &prog) || code_lower(prog, NULL, NULL, &opts, &jit_engine, &said_all, &code))
        fail_msg("%s", said);
    prog_put(prog);
    asm_free(&out);
    return code;
}

static struct buf read_all(const char *path)
{
    struct buf b = {0};
    int fd = open(path, O_RDONLY);
    char part[4096];
    ssize_t n;

    assert_true(fd >= 0);
    while ((n = read(fd, part, sizeof(part))) > 0)
        buf_add(&b, part, (size_t)n);
    close(fd);
    return b;
}

static void the_map_names_every_function(void **state)
{
    const struct jit_config config = {.perf_map = true};
    char path[64], line[256];
    struct jit_view view;
    struct jit *jit;
    struct code *code;
    FILE *f;
    int found = 0;

    (void)state;
    assert_int_equal(jit_new(&jit, &config, &said_all), 0);
    code = make(jit);
    assert_true(jit_view(code, &view));
    snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
    f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        unsigned long long at, size;
        char name[200];
        assert_int_equal(sscanf(line, "%llx %llx %199[^\n]", &at, &size, name), 3);
        for (uint32_t i = 0; i <= view.n_funcs; i++) {
            static const char *const names[] = {"bpf_prog_prog", "bpf_prog_prog.f", "bpf_enter_prog"};
            const struct jit_frame *frame = &view.frames[i];
            if (at != (uintptr_t)(view.code + frame->begin))
                continue;
            assert_int_equal(size, frame->end - frame->begin);
            assert_string_equal(name, names[i]);
            found |= 1 << i;
        }
    }
    fclose(f);
    unlink(path);
    assert_int_equal(found, 7);
    code_put(code);
    jit_put(jit);
}

/* perf's own words for what stands in the file. */
struct header {
    uint32_t magic, version, total_size, elf_mach, pad1, pid;
    uint64_t timestamp, flags;
};

struct prefix {
    uint32_t id, total_size;
    uint64_t timestamp;
};

struct load {
    struct prefix p;
    uint32_t pid, tid;
    uint64_t vma, code_addr, code_size, code_index;
};

struct debug {
    struct prefix p;
    uint64_t code_addr, nr_entry;
};

struct seen {
    const struct jit_view *view;
    uint32_t loads, lines;
    uint64_t lines_of; /* the address that the last record of lines was for */
    uint64_t time;
};

static void see_load(struct seen *s, const char *at)
{
    struct load l;
    const char *name = at + sizeof(l), *code;
    const struct jit_frame *f = &s->view->frames[s->loads];

    memcpy(&l, at, sizeof(l));
    code = name + strlen(name) + 1;
    assert_int_equal(l.pid, getpid());
    assert_int_equal(l.vma, l.code_addr);
    assert_int_equal(l.code_addr, (uintptr_t)(s->view->code + f->begin));
    assert_int_equal(l.code_size, f->end - f->begin);
    assert_int_equal(l.code_index, s->loads);
    assert_int_equal(code + l.code_size - at, l.p.total_size);
    assert_memory_equal(code, s->view->code + f->begin, l.code_size);
    assert_true(s->loads == s->view->n_funcs || s->lines_of == l.code_addr);
    s->loads++;
}

static void see_lines(struct seen *s, const char *at)
{
    struct debug d;
    const char *end, *e = at + sizeof(d);
    uint64_t last = 0;

    memcpy(&d, at, sizeof(d));
    end = at + d.p.total_size;
    for (uint64_t i = 0; i < d.nr_entry; i++) {
        uint64_t addr;
        uint32_t line;
        bool known = false;
        assert_true(e + 16 < end);
        memcpy(&addr, e, 8);
        memcpy(&line, e + 8, 4);
        e += 16;
        for (unsigned k = 0; k < 3; k++)
            known |= lines[k].line == line && !strcmp(lines[k].file, e);
        assert_true(known);
        assert_true(addr >= last && addr >= d.code_addr && addr < (uintptr_t)s->view->code + s->view->size);
        last = addr;
        e += strlen(e) + 1;
        s->lines++;
    }
    assert_ptr_equal(e, end);
    s->lines_of = d.code_addr;
}

static void the_dump_holds_code_and_lines(void **state)
{
    const struct jit_config config = {.jitdump = dir};
    char path[128];
    struct jit_view view;
    struct seen seen = {.view = &view};
    struct header h;
    struct jit *jit;
    struct code *code;
    struct buf b;

    (void)state;
    assert_int_equal(jit_new(&jit, &config, &said_all), 0);
    code = make(jit);
    assert_true(jit_view(code, &view));
    snprintf(path, sizeof(path), "%s/jit-%d.dump", dir, getpid());
    b = read_all(path);
    assert_true(b.len > sizeof(h));
    memcpy(&h, b.data, sizeof(h));
    assert_int_equal(h.magic, 0x4A695444);
    assert_int_equal(h.version, 1);
    assert_int_equal(h.total_size, sizeof(h));
    assert_int_equal(h.elf_mach, jit_host_target->elf_machine);
    assert_int_equal(h.pid, getpid());
    for (size_t at = sizeof(h); at < b.len;) {
        struct prefix p;
        assert_true(at + sizeof(p) <= b.len);
        memcpy(&p, b.data + at, sizeof(p));
        assert_true(p.total_size >= sizeof(p) && p.total_size <= b.len - at);
        assert_true(p.timestamp >= seen.time);
        seen.time = p.timestamp;
        if (p.id == 0)
            see_load(&seen, b.data + at);
        else if (p.id == 2)
            see_lines(&seen, b.data + at);
        else
            fail_msg("record %u", p.id);
        at += p.total_size;
    }
    assert_int_equal(seen.loads, view.n_funcs + 1);
    assert_true(seen.lines >= 2);
    buf_free(&b);
    unlink(path);
    code_put(code);
    jit_put(jit);
}

/* The sign by which perf finds the dump while it records. */
static void the_dump_is_mapped_to_be_run(void **state)
{
    const struct jit_config config = {.jitdump = dir};
    char path[128], line[512];
    struct jit *jit;
    bool found = false;
    FILE *f;

    (void)state;
    assert_int_equal(jit_new(&jit, &config, &said_all), 0);
    snprintf(path, sizeof(path), "%s/jit-%d.dump", dir, getpid());
    f = fopen("/proc/self/maps", "r");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f))
        found |= strstr(line, path) && strstr(line, "r-xp");
    fclose(f);
    assert_true(found);
    unlink(path);
    jit_put(jit);
}

static void a_child_has_files_of_its_own(void **state)
{
    const struct jit_config config = {.perf_map = true, .jitdump = dir};
    char path[128], map[64];
    struct jit *jit;
    struct stat st;
    int status;
    pid_t pid;

    (void)state;
    assert_int_equal(jit_new(&jit, &config, &said_all), 0);
    pid = fork();
    if (!pid) {
        make(jit);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    snprintf(path, sizeof(path), "%s/jit-%d.dump", dir, pid);
    snprintf(map, sizeof(map), "/tmp/perf-%d.map", pid);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size > (off_t)sizeof(struct header));
    assert_int_equal(stat(map, &st), 0);
    assert_true(st.st_size > 0);
    unlink(path);
    unlink(map);
    snprintf(path, sizeof(path), "%s/jit-%d.dump", dir, getpid());
    snprintf(map, sizeof(map), "/tmp/perf-%d.map", getpid());
    assert_int_equal(stat(map, &st), 0);
    assert_int_equal(st.st_size, 0);
    unlink(path);
    unlink(map);
    jit_put(jit);
}

static void a_folder_that_is_not_there_is_said(void **state)
{
    const struct jit_config config = {.jitdump = "/tmp/no/such/folder"};
    struct jit *jit;

    (void)state;
    assert_int_equal(jit_new(&jit, &config, &said_all), -ENOENT);
    assert_non_null(strstr(said, "/tmp/no/such/folder"));
}

static int setup(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_map_names_every_function),       cmocka_unit_test(the_dump_holds_code_and_lines),
        cmocka_unit_test(the_dump_is_mapped_to_be_run),       cmocka_unit_test(a_child_has_files_of_its_own),
        cmocka_unit_test(a_folder_that_is_not_there_is_said),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
