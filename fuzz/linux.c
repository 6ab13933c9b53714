/*
 * The same programs in Linux: maps are made once and filled anew for each run.
 */
#include "fuzz/vfuzz.h"
#include "tests/runner/func_info.h"
#include "vm/abi/prog_types.h"
#include "vm/isa/isa.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ANY_ALIGNMENT = 1 << 1, LOG_SIZE = 1 << 22 };

struct linux_side {
    int maps[GEN_MAPS], inner[2];
    char *log;
    uint32_t n_cpus;
    uint8_t *percpu;
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

/* Types of a value that begins with a lock. */
static int lock_btf(uint32_t value_size)
{
    static const char strings[] = "\0int\0val\0bpf_spin_lock\0lock\0v";
    /* 1, 2: int; 3: struct bpf_spin_lock { int val; }; 4: struct v { struct bpf_spin_lock lock; } and more. */
    const uint32_t types[] = {1,          BTF_KIND_INT << 24,
                              4,          32,
                              1,          BTF_KIND_INT << 24,
                              4,          32,
                              9,          BTF_KIND_STRUCT << 24 | 1,
                              4,          28,
                              2,          0,
                              5,          BTF_KIND_STRUCT << 24 | 1,
                              value_size, 23,
                              3,          0};
    unsigned char all[sizeof(struct btf_header) + sizeof(types) + sizeof(strings)];
    const struct btf_header h = {.magic = BTF_MAGIC,
                                 .version = 1,
                                 .hdr_len = sizeof(h),
                                 .type_len = sizeof(types),
                                 .str_off = sizeof(types),
                                 .str_len = sizeof(strings)};
    union bpf_attr attr;

    memcpy(all, &h, sizeof(h));
    memcpy(all + sizeof(h), types, sizeof(types));
    memcpy(all + sizeof(h) + sizeof(types), strings, sizeof(strings));
    memset(&attr, 0, sizeof(attr));
    attr.btf = ptr(all);
    attr.btf_size = sizeof(all);
    return bpf(BPF_BTF_LOAD, &attr);
}

static int create(const struct map_def *def, int inner)
{
    union bpf_attr attr;
    int btf = -1, fd;

    memset(&attr, 0, sizeof(attr));
    attr.map_type = def->type;
    attr.key_size = def->key_size;
    attr.value_size = def->value_size;
    attr.max_entries = def->max_entries;
    if (def->inner)
        attr.inner_map_fd = (uint32_t)inner;
    if (def->spin_lock_off >= 0) {
        btf = lock_btf(def->value_size);
        if (btf < 0)
            return btf;
        attr.btf_fd = (uint32_t)btf;
        attr.btf_key_type_id = 1;
        attr.btf_value_type_id = 4;
    }
    fd = bpf(BPF_MAP_CREATE, &attr);
    if (btf >= 0)
        close(btf);
    return fd;
}

static int update(int map, const void *key, const void *value)
{
    union bpf_attr attr;

    memset(&attr, 0, sizeof(attr));
    attr.map_fd = (uint32_t)map;
    attr.key = ptr(key);
    attr.value = ptr(value);
    return bpf(BPF_MAP_UPDATE_ELEM, &attr);
}

static int lookup(int map, const void *key, void *value)
{
    union bpf_attr attr;

    memset(&attr, 0, sizeof(attr));
    attr.map_fd = (uint32_t)map;
    attr.key = ptr(key);
    attr.value = ptr(value);
    return bpf(BPF_MAP_LOOKUP_ELEM, &attr);
}

static int load(const char *type, const struct skep_insn *insns, uint32_t n, char *log)
{
    struct func_info funcs;
    union bpf_attr attr;
    int fd = func_info_load(insns, n, &funcs);

    if (fd < 0)
        return fd;
    memset(&attr, 0, sizeof(attr));
    if (funcs.btf >= 0) {
        attr.prog_btf_fd = (uint32_t)funcs.btf;
        attr.func_info = ptr(funcs.records.data);
        attr.func_info_cnt = funcs.n;
        attr.func_info_rec_size = sizeof(struct bpf_func_info);
    }
    attr.prog_type = prog_type_by_name(type)->id;
    attr.insns = ptr(insns);
    attr.insn_cnt = n;
    attr.license = ptr("GPL");
    attr.prog_flags = ANY_ALIGNMENT;
    if (log) {
        attr.log_buf = ptr(log);
        attr.log_size = LOG_SIZE;
        attr.log_level = 1;
        log[0] = 0;
    }
    fd = bpf(BPF_PROG_LOAD, &attr);
    if (funcs.btf >= 0)
        close(funcs.btf);
    buf_free(&funcs.records);
    return fd;
}

static int set_tail(int map, const char *type)
{
    struct skep_insn insns[GEN_TAIL_INSNS];
    uint32_t zero = 0;
    int fd, err;

    gen_tail(insns);
    fd = load(type, insns, GEN_TAIL_INSNS, NULL);
    if (fd < 0)
        return fd;
    err = update(map, &zero, &fd);
    close(fd);
    return err;
}

static int make_maps(struct linux_side *k)
{
    int err = 0;

    for (uint32_t i = 0; i < 2; i++) {
        k->inner[i] = create(&gen_inner, -1);
        if (k->inner[i] < 0)
            return k->inner[i];
    }
    for (unsigned i = 0; i < GEN_MAPS; i++) {
        k->maps[i] = create(&gen_maps[i], k->inner[0]);
        if (k->maps[i] < 0)
            return k->maps[i];
    }
    for (uint32_t i = 0; i < 2 && !err; i++)
        err = update(k->maps[GEN_OUTER], &i, &k->inner[i]);
    if (!err)
        err = set_tail(k->maps[GEN_TAILS], "xdp");
    return err ? err : set_tail(k->maps[GEN_TAILS_SKB], "sched_cls");
}

/* How many values a map of one's own CPU has, as bpf(2) counts: the range ends the list of possible CPUs. */
static uint32_t possible_cpus(void)
{
    FILE *f = fopen("/sys/devices/system/cpu/possible", "re");
    unsigned first = 0, last = 0;

    if (f) {
        if (fscanf(f, "%u-%u", &first, &last) < 2)
            last = first;
        fclose(f);
    }
    return last + 1;
}

struct linux_side *linux_new(const char **why)
{
    struct linux_side *k = calloc(1, sizeof(*k));
    int err;

    *why = "out of memory";
    if (!k)
        return NULL;
    memset(k->maps, 0xff, sizeof(k->maps));
    memset(k->inner, 0xff, sizeof(k->inner));
    k->n_cpus = possible_cpus();
    k->log = malloc(LOG_SIZE);
    k->percpu = calloc(k->n_cpus, GEN_PERCPU_VALUE);
    err = make_maps(k);
    if (err)
        *why = strerror(-err);
    if (!k->log || !k->percpu || err) {
        linux_free(k);
        return NULL;
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
    for (unsigned i = 0; i < 2; i++)
        if (k->inner[i] >= 0)
            close(k->inner[i]);
    free(k->log);
    free(k->percpu);
    free(k);
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
    fd = load(p->type->name, insns, p->n, NULL);
    if (fd < 0 && fd != -E2BIG && log) {
        int again = load(p->type->name, insns, p->n, k->log);

        if (again >= 0)
            close(again);
        last_words(k->log, log, room);
    }
    return fd;
}

static int fill(int map, const void *values, uint32_t n, uint32_t size)
{
    int err = 0;

    for (uint32_t i = 0; i < n && !err; i++)
        err = update(map, &i, (const uint8_t *)values + i * size);
    return err;
}

static void read_out(int map, void *values, uint32_t n, uint32_t size)
{
    for (uint32_t i = 0; i < n; i++)
        lookup(map, &i, (uint8_t *)values + i * size);
}

static void delete_all(int map, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        union bpf_attr attr;

        memset(&attr, 0, sizeof(attr));
        attr.map_fd = (uint32_t)map;
        attr.key = ptr(&i);
        bpf(BPF_MAP_DELETE_ELEM, &attr);
    }
}

static bool reset(struct linux_side *k, uint32_t named, const struct input *in)
{
    int err = 0;

    if (named >> GEN_ONE & 1)
        err |= fill(k->maps[GEN_ONE], in->one, 1, sizeof(in->one));
    if (named >> GEN_ARRAY & 1)
        err |= fill(k->maps[GEN_ARRAY], in->array, 4, sizeof(in->array[0]));
    if (named >> GEN_HASH & 1) {
        delete_all(k->maps[GEN_HASH], 8);
        err |= fill(k->maps[GEN_HASH], in->hash, 3, sizeof(in->hash[0]));
    }
    for (uint32_t i = 0; named >> GEN_PERCPU & 1 && i < 2; i++) {
        for (uint32_t cpu = 0; cpu < k->n_cpus; cpu++)
            memcpy(k->percpu + cpu * GEN_PERCPU_VALUE, in->percpu[i], GEN_PERCPU_VALUE);
        err |= update(k->maps[GEN_PERCPU], &i, k->percpu);
    }
    if (named >> GEN_LOCK & 1)
        err |= fill(k->maps[GEN_LOCK], in->lock, 2, sizeof(in->lock[0]));
    for (unsigned i = 0; named >> GEN_OUTER & 1 && i < 2; i++)
        err |= fill(k->inner[i], in->inner[i], 4, sizeof(in->inner[i][0]));
    return !err;
}

static void collect(struct linux_side *k, uint32_t named, struct result *out)
{
    if (named >> GEN_ONE & 1)
        read_out(k->maps[GEN_ONE], out->one, 1, sizeof(out->one));
    if (named >> GEN_ARRAY & 1)
        read_out(k->maps[GEN_ARRAY], out->array, 4, sizeof(out->array[0]));
    for (uint32_t i = 0; named >> GEN_HASH & 1 && i < 6; i++)
        out->hash_has[i] = !lookup(k->maps[GEN_HASH], &i, out->hash[i]);
    if (named >> GEN_LOCK & 1)
        read_out(k->maps[GEN_LOCK], out->lock, 2, sizeof(out->lock[0]));
    for (unsigned i = 0; named >> GEN_OUTER & 1 && i < 2; i++)
        read_out(k->inner[i], out->inner[i], 4, sizeof(out->inner[i][0]));
}

bool linux_run(struct linux_side *k, const struct gen_prog *p, int fd, const struct input *in, struct result *out)
{
    uint32_t named = gen_maps_named(p);
    uint8_t packet_out[4096];
    union bpf_attr attr;

    memset(&attr, 0, sizeof(attr));
    attr.test.prog_fd = (uint32_t)fd;
    attr.test.data_in = ptr(in->packet);
    attr.test.data_size_in = in->size;
    attr.test.data_out = ptr(packet_out);
    attr.test.data_size_out = sizeof(packet_out);
    memset(out, 0, sizeof(*out));
    if (!reset(k, named, in) || bpf(BPF_PROG_TEST_RUN, &attr))
        return false;
    out->retval = attr.test.retval;
    collect(k, named, out);
    return true;
}
