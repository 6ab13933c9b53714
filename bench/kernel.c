/*
 * The kernel's JIT as a way to run the benchmark. The programs' memory is an arena, since no verifier could follow what
 * they do with plain pointers: an arena's addresses wrap in 4 GB and need no proof. Their loops have a may_goto each.
 * Both cost the kernel's code a little, which its column contains. Four instructions stand before each program, to
 * bring the memory into r1 and r2.
 */
#include "bench/bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* bpf(2), as far as it is used here; the types of maps and programs are those of vm/abi. */
enum { MAP_CREATE = 0, PROG_LOAD = 5, PROG_TEST_RUN = 10 };
enum { F_SLEEPABLE = 16, F_MMAPABLE = 1024 };

union attr {
    struct {
        uint32_t type, key_size, value_size, max_entries, flags, inner_fd, numa_node;
        char name[16];
        uint32_t ifindex, btf_fd, btf_key, btf_value, btf_vmlinux;
        uint64_t extra;
    } map;
    struct {
        uint32_t type, n_insns;
        uint64_t insns, license;
        uint32_t log_level, log_size;
        uint64_t log;
        uint32_t kern_version, flags;
    } prog;
    struct {
        uint32_t fd, retval, data_size_in, data_size_out;
        uint64_t data_in, data_out;
        uint32_t repeat, duration, ctx_size_in, ctx_size_out;
        uint64_t ctx_in, ctx_out;
        uint32_t flags, cpu;
    } run;
    char bytes[160];
};

static int bpf(int command, union attr *attr)
{
    return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static bool map_arena(struct bench_memory *memory)
{
    union attr attr = {.map = {.type = MAP_TYPE_ARENA, .max_entries = memory->size / 4096, .flags = F_MMAPABLE}};
    void *at;

    memory->arena = bpf(MAP_CREATE, &attr);
    if (memory->arena < 0) {
        memory->why_not = errno == EINVAL ? "it has no arenas" : strerror(errno);
        return false;
    }
    at = mmap(NULL, memory->size, PROT_READ | PROT_WRITE, MAP_SHARED, memory->arena, 0);
    if (at == MAP_FAILED) {
        memory->why_not = strerror(errno);
        close(memory->arena);
        memory->arena = -1;
        return false;
    }
    memory->base = at;
    memory->why_not = NULL;
    return true;
}

bool bench_memory_open(struct bench_memory *memory, uint32_t size)
{
    void *at;

    memory->size = (size + 4095) & ~4095u;
    if (!map_arena(memory)) {
        memory->arena = -1;
        at = mmap(NULL, memory->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at == MAP_FAILED)
            return false;
        memory->base = at;
    }
    memset(memory->base, 0, memory->size); /* the kernel may only touch pages that are there */
    return true;
}

void bench_memory_close(struct bench_memory *memory)
{
    munmap(memory->base, memory->size);
    if (memory->arena >= 0)
        close(memory->arena);
}

enum { PROLOGUE = 6 };

/* Names the arena, so that the program has one; then r2 = the length, r1 = the memory. */
static void write_prologue(struct skep_insn *insns, const struct bench_memory *memory)
{
    enum { LD_IMM64 = 0x18, LDX_DW = 0x79, CAST = 0xbf, TO_ARENA = 1, PSEUDO_MAP_FD = 1 };
    uint64_t address = (uintptr_t)memory->base;

    insns[0] = (struct skep_insn){.code = LD_IMM64, .dst_reg = 2, .src_reg = PSEUDO_MAP_FD, .imm = memory->arena};
    insns[1] = (struct skep_insn){0};
    insns[2] = (struct skep_insn){.code = LDX_DW, .dst_reg = 2, .src_reg = 1};
    insns[3] = (struct skep_insn){.code = LD_IMM64, .dst_reg = 1, .imm = (int32_t)address};
    insns[4] = (struct skep_insn){.imm = (int32_t)(address >> 32)};
    insns[5] = (struct skep_insn){.code = CAST, .dst_reg = 1, .src_reg = 1, .off = 1, .imm = TO_ARENA};
}

/* The kernel's log ends with statistics; what matters is the line before them. */
static void last_words(const char *log, char *why, size_t room)
{
    const char *end = strstr(log, "\nprocessed "), *line;

    if (!end)
        end = log + strlen(log);
    for (line = end; line > log && line[-1] != '\n'; line--)
        ;
    snprintf(why, room, "%.*s", (int)(end - line), line);
}

int bench_kernel_load(const struct bench_prog *prog, const struct bench_memory *memory, char *why, size_t room)
{
    enum { LOG_SIZE = 16 << 20 };
    uint32_t n = prog->n_kernel_insns + PROLOGUE;
    struct skep_insn *insns = calloc(n, sizeof(*insns));
    char *log = NULL;
    union attr attr = {0};
    int fd = -1;

    snprintf(why, room, "no memory");
    if (!insns)
        return -1;
    write_prologue(insns, memory);
    memcpy(insns + PROLOGUE, prog->kernel_insns, prog->n_kernel_insns * sizeof(*insns));
    attr.prog.type = PROG_TYPE_SYSCALL;
    attr.prog.flags = F_SLEEPABLE;
    attr.prog.insns = (uintptr_t)insns;
    attr.prog.n_insns = n;
    attr.prog.license = (uintptr_t) "GPL";
    fd = bpf(PROG_LOAD, &attr);
    if (fd < 0 && (log = calloc(1, LOG_SIZE))) {
        attr.prog.log_level = 1;
        attr.prog.log = (uintptr_t)log;
        attr.prog.log_size = LOG_SIZE;
        fd = bpf(PROG_LOAD, &attr);
        if (fd < 0)
            last_words(log, why, room);
    }
    free(log);
    free(insns);
    return fd;
}

bool bench_kernel_run(int fd, uint64_t len, uint32_t *retval)
{
    union attr attr = {.run = {.fd = (uint32_t)fd, .ctx_in = (uintptr_t)&len, .ctx_size_in = sizeof(len)}};

    if (bpf(PROG_TEST_RUN, &attr))
        return false;
    *retval = attr.run.retval;
    return true;
}
