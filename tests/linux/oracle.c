/*
 * The running kernel's verdicts, through bpf(2) itself: the attributes are written out here, since a system's libbpf
 * and linux/bpf.h may be older than the kernel.
 */
#include "tests/linux/world.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LOG_SIZE = 1 << 22, LOG_LEVEL = 1 | 4, KERNEL_ENOTSUPP = 524, CAPABILITY_BPF = 39, BTF_TYPE_TAG = 18 };

static int bpf(int cmd, union bpf_attr *attr)
{
    return (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

int oracle_map(const struct oracle_map *m)
{
    union bpf_attr a;

    memset(&a, 0, sizeof(a));
    a.map_type = m->type;
    a.key_size = m->key;
    a.value_size = m->value;
    a.max_entries = m->max;
    a.map_flags = m->flags;
    a.inner_map_fd = m->inner_fd;
    a.btf_fd = m->btf_fd;
    a.btf_key_type_id = m->btf_key;
    a.btf_value_type_id = m->btf_value;
    if (m->name)
        snprintf(a.map_name, sizeof(a.map_name), "%s", m->name);
    return bpf(BPF_MAP_CREATE, &a);
}

int oracle_update(int fd, const void *key, const void *value, uint64_t flags)
{
    union bpf_attr a;

    memset(&a, 0, sizeof(a));
    a.map_fd = (uint32_t)fd;
    a.key = (uintptr_t)key;
    a.value = (uintptr_t)value;
    a.flags = flags;
    return bpf(BPF_MAP_UPDATE_ELEM, &a);
}

/* Bytes of the types before the first type tag: what a kernel without the suite's module knows nothing of begins there.
 */
static uint32_t before_tags(const char *types, uint32_t len)
{
    /* Bytes behind the common twelve of the kinds that the suite has: INT once, members of STRUCT and parameters each.
     */
    static const uint8_t once[32] = {[1] = 4}, each[32] = {[4] = 12, [13] = 8};
    uint32_t at = 0;

    while (at + 12 <= len) {
        uint32_t info, kind;

        memcpy(&info, types + at + 4, sizeof(info));
        kind = info >> 24 & 31;
        if (kind == BTF_TYPE_TAG)
            break;
        at += 12 + once[kind] + (info & 0xffff) * each[kind];
    }
    return at;
}

static int load_btf(const void *data, uint32_t size)
{
    union bpf_attr a;

    memset(&a, 0, sizeof(a));
    a.btf = (uintptr_t)data;
    a.btf_size = size;
    return bpf(BPF_BTF_LOAD, &a);
}

int oracle_btf(const void *data, uint32_t size)
{
    struct btf_header h;
    int fd = load_btf(data, size);
    uint32_t keep;
    char *part;

    if (fd >= 0)
        return fd;
    memcpy(&h, data, sizeof(h));
    part = malloc(size);
    keep = before_tags((const char *)data + sizeof(h), h.type_len);
    memcpy(part + sizeof(h), (const char *)data + sizeof(h), keep);
    memcpy(part + sizeof(h) + keep, (const char *)data + sizeof(h) + h.str_off, h.str_len);
    h.type_len = h.str_off = keep;
    memcpy(part, &h, sizeof(h));
    fd = load_btf(part, sizeof(h) + keep + h.str_len);
    free(part);
    return fd;
}

int oracle_simple_prog(uint32_t type, const void *insns, uint32_t n)
{
    union bpf_attr a;

    memset(&a, 0, sizeof(a));
    a.prog_type = type;
    a.insns = (uintptr_t)insns;
    a.insn_cnt = n;
    a.license = (uintptr_t) "GPL";
    return bpf(BPF_PROG_LOAD, &a);
}

bool oracle_drop_capabilities(bool drop)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];

    if (syscall(SYS_capget, &header, data))
        return false;
    data[0].effective = drop ? 1u << CAP_NET_ADMIN : data[0].permitted;
    data[1].effective = drop ? 1u << (CAPABILITY_BPF - 32) & data[1].permitted : data[1].permitted;
    return !syscall(SYS_capset, &header, data);
}

/* The last line before the statistics is what the verifier ended with. */
static void last_line(char *log, char *last, size_t size, uint64_t *processed)
{
    char *stats = NULL, *p = log, *line;

    while ((p = strstr(p, "verification time")))
        stats = p++;
    if (!stats && !strncmp(log, "processed ", 10))
        stats = log;
    p = stats ? stats : log;
    while ((p = strstr(p, "processed ")))
        *processed = strtoull(p++ + 10, NULL, 10);
    if (stats)
        *stats = 0;
    else if ((p = strstr(log, "\nprocessed ")))
        *p = 0;
    for (size_t n = strlen(log); n && log[n - 1] == '\n';)
        log[--n] = 0;
    line = strrchr(log, '\n');
    snprintf(last, size, "%s", line ? line + 1 : log);
}

enum oracle_verdict oracle_judge(const struct oracle_prog *p, char *last, size_t size, uint64_t *processed)
{
    static char log[LOG_SIZE];
    union bpf_attr a;
    int fd, err;

    memset(&a, 0, sizeof(a));
    a.prog_type = p->type;
    a.expected_attach_type = p->attach_type;
    a.insns = (uintptr_t)p->insns;
    a.insn_cnt = p->n_insns;
    a.license = (uintptr_t) "GPL";
    a.prog_flags = p->flags;
    a.attach_btf_id = p->attach_btf_id;
    a.prog_btf_fd = p->prog_btf_fd;
    a.func_info = (uintptr_t)p->func_info;
    a.func_info_cnt = p->n_func_info;
    a.func_info_rec_size = p->n_func_info ? p->func_info_size : 0;
    a.log_buf = (uintptr_t)log;
    a.log_size = sizeof(log);
    a.log_level = LOG_LEVEL;
    log[0] = 0;
    *processed = 0;
    fd = bpf(BPF_PROG_LOAD, &a);
    if (fd < 0 && errno == ENOSPC) { /* the log was too long: without its words then */
        a.log_level = 4;
        fd = bpf(BPF_PROG_LOAD, &a);
    }
    err = errno;
    last_line(log, last, size, processed);
    if (fd >= 0) {
        close(fd);
        return ORACLE_ACCEPT;
    }
    errno = err;
    if (err == KERNEL_ENOTSUPP || (!*last && err != E2BIG))
        return ORACLE_UNKNOWN;
    return ORACLE_REFUSE;
}
