/*
 * The same programs in Linux: maps are made once and filled anew for each run.
 */
#include "fuzz/vfuzz.h"
#include "vm/abi/prog_types.h"
#include "vm/isa/isa.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ANY_ALIGNMENT = 1 << 1, LOG_SIZE = 1 << 22 };

struct linux_side {
    int maps[GEN_MAPS];
    char *log;
};

static int bpf(int cmd, union bpf_attr *attr)
{
    long fd = syscall(SYS_bpf, cmd, attr, sizeof(*attr));

    return fd < 0 ? -errno : (int)fd;
}

static uint64_t ptr(const void *p)
{
    return (uint64_t)(uintptr_t)p;
}

struct linux_side *linux_new(const char **why)
{
    struct linux_side *k = calloc(1, sizeof(*k));

    *why = "out of memory";
    if (!k || !(k->log = malloc(LOG_SIZE)))
        return free(k), NULL;
    for (unsigned i = 0; i < GEN_MAPS; i++)
        k->maps[i] = -1;
    for (unsigned i = 0; i < GEN_MAPS; i++) {
        union bpf_attr attr = {.map_type = gen_maps[i].type,
                               .key_size = gen_maps[i].key_size,
                               .value_size = gen_maps[i].value_size,
                               .max_entries = gen_maps[i].max_entries};

        k->maps[i] = bpf(BPF_MAP_CREATE, &attr);
        if (k->maps[i] < 0) {
            *why = strerror(-k->maps[i]);
            linux_free(k);
            return NULL;
        }
    }
    return k;
}

void linux_free(struct linux_side *k)
{
    if (!k)
        return;
    for (unsigned i = 0; i < GEN_MAPS; i++)
        if (k->maps[i] >= 0)
            close(k->maps[i]);
    free(k->log);
    free(k);
}

static int try_load(struct linux_side *k, const struct gen_prog *p, const struct skep_insn *insns, bool log)
{
    union bpf_attr attr = {.prog_type = p->type->id,
                           .insns = ptr(insns),
                           .insn_cnt = p->n,
                           .license = ptr("GPL"),
                           .prog_flags = ANY_ALIGNMENT};

    if (log) {
        attr.log_buf = ptr(k->log);
        attr.log_size = LOG_SIZE;
        attr.log_level = 1;
        k->log[0] = 0;
    }
    return bpf(BPF_PROG_LOAD, &attr);
}

/* The lines before the statistics. */
static void last_words(const char *log, char *out, size_t room)
{
    const char *end = strstr(log, "processed "), *p;
    int lines = 4;

    if (!end)
        end = log + strlen(log);
    for (p = end; p > log && lines; p--)
        lines -= p[-1] == '\n';
    if (p > log)
        p++;
    if ((size_t)(end - p) >= room)
        end = p + room - 1;
    memcpy(out, p, (size_t)(end - p));
    out[end - p] = 0;
}

int linux_load(struct linux_side *k, const struct gen_prog *p, char *log, size_t room)
{
    static const uint32_t two_slots = 2;
    struct skep_insn insns[GEN_MAX_INSNS];
    int fd;

    memcpy(insns, p->insns, p->n * sizeof(insns[0]));
    for (uint32_t i = 0; i < p->n; i++) {
        enum isa_op op = isa_decode(&insns[i]);

        if (op == ISA_LD_MAP_IDX)
            insns[i] = isa_encode(ISA_LD_MAP_FD, insns[i].dst_reg, 0, 0, k->maps[insns[i].imm]);
        else if (op == ISA_LD_MAP_IDX_VALUE)
            insns[i] = isa_encode(ISA_LD_MAP_VALUE, insns[i].dst_reg, 0, 0, k->maps[insns[i].imm]);
        if (isa_is_wide(op))
            i += two_slots - 1;
    }
    fd = try_load(k, p, insns, false);
    if (fd < 0 && fd != -E2BIG && log) {
        int again = try_load(k, p, insns, true);

        if (again >= 0)
            close(again);
        last_words(k->log, log, room);
    }
    return fd;
}

static int update(int map, const void *key, const void *value)
{
    union bpf_attr attr = {.map_fd = (uint32_t)map, .key = ptr(key), .value = ptr(value)};

    return bpf(BPF_MAP_UPDATE_ELEM, &attr);
}

static int lookup(int map, const void *key, void *value)
{
    union bpf_attr attr = {.map_fd = (uint32_t)map, .key = ptr(key), .value = ptr(value)};

    return bpf(BPF_MAP_LOOKUP_ELEM, &attr);
}

bool linux_run(struct linux_side *k, int fd, const struct input *in, struct result *out)
{
    uint8_t packet_out[4096];
    union bpf_attr attr = {.test = {.prog_fd = (uint32_t)fd,
                                    .data_in = ptr(in->packet),
                                    .data_size_in = in->size,
                                    .data_out = ptr(packet_out),
                                    .data_size_out = sizeof(packet_out)}};
    uint32_t zero = 0;
    int err = update(k->maps[GEN_ONE], &zero, in->one);

    for (uint32_t i = 0; i < 4; i++)
        err |= update(k->maps[GEN_ARRAY], &i, in->array[i]);
    for (uint32_t i = 0; i < 8; i++) {
        union bpf_attr gone = {.map_fd = (uint32_t)k->maps[GEN_HASH], .key = ptr(&i)};

        bpf(BPF_MAP_DELETE_ELEM, &gone);
    }
    for (uint32_t i = 0; i < 3; i++)
        err |= update(k->maps[GEN_HASH], &i, in->hash[i]);
    memset(out, 0, sizeof(*out));
    if (err || bpf(BPF_PROG_TEST_RUN, &attr))
        return false;
    out->retval = attr.test.retval;
    lookup(k->maps[GEN_ONE], &zero, out->one);
    for (uint32_t i = 0; i < 4; i++)
        lookup(k->maps[GEN_ARRAY], &i, out->array[i]);
    for (uint32_t i = 0; i < 6; i++)
        out->hash_has[i] = !lookup(k->maps[GEN_HASH], &i, out->hash[i]);
    return true;
}
