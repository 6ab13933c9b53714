/*
 * Values of .kconfig externs. Lines that the caller gives win over the system's configuration, which is read only when
 * something is still open; names with LINUX_ are not configuration but facts about the kernel that libbpf makes up, and
 * so do we. A weak extern without a value stays 0; a strong one is refused when the object is linked.
 */
#include "loader/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <zlib.h>

enum { TRISTATE_NO, TRISTATE_YES, TRISTATE_MODULE }; /* libbpf's enum libbpf_tristate */

struct values {
    unsigned char *data;         /* of the .kconfig map */
    struct load_extern **byname; /* the externs, sorted */
    uint32_t n, open;            /* how many have no value yet */
    const char *source;          /* for messages */
};

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct load_extern *const *)a)->name, (*(const struct load_extern *const *)b)->name);
}

static int name_to_extern(const void *name, const void *x)
{
    return strcmp(name, (*(const struct load_extern *const *)x)->name);
}

static bool fits(const struct load_extern *x, uint64_t v)
{
    unsigned bits = x->size * 8;

    if (x->type == KCONFIG_BOOL)
        return v <= 1;
    if (bits >= 64)
        return true;
    if (x->is_signed)
        return v + (1ull << (bits - 1)) < 1ull << bits;
    return v >> bits == 0;
}

static int set_number(struct values *v, const struct load_extern *x, uint64_t value, const struct log *log)
{
    unsigned char *to = v->data + x->off;

    if (x->type != KCONFIG_INT && x->type != KCONFIG_CHAR && x->type != KCONFIG_BOOL)
        return log_fail(log, -EINVAL, "extern '%s': %s has an integer for it, its type is another", x->name, v->source);
    if (!fits(x, value))
        return log_fail(log, -ERANGE, "extern '%s': the value %llu of %s does not fit into %u bytes", x->name,
                        (unsigned long long)value, v->source, x->size);
    switch (x->size) {
    case 1: *to = (unsigned char)value; break;
    case 2: memcpy(to, &(uint16_t){(uint16_t)value}, 2); break;
    case 4: memcpy(to, &(uint32_t){(uint32_t)value}, 4); break;
    default: memcpy(to, &value, 8); break;
    }
    return 0;
}

static int set_tristate(struct values *v, const struct load_extern *x, char value, const struct log *log)
{
    uint32_t tri = value == 'y' ? TRISTATE_YES : value == 'm' ? TRISTATE_MODULE : TRISTATE_NO;

    switch (x->type) {
    case KCONFIG_BOOL:
        if (value == 'm')
            return log_fail(log, -EINVAL, "extern '%s': a bool cannot hold the value m of %s", x->name, v->source);
        v->data[x->off] = value == 'y';
        return 0;
    case KCONFIG_TRISTATE: memcpy(v->data + x->off, &tri, sizeof(tri)); return 0;
    case KCONFIG_CHAR: v->data[x->off] = (unsigned char)value; return 0;
    default:
        return log_fail(log, -EINVAL, "extern '%s': %s has %c for it; declare it as bool, char or enum libbpf_tristate",
                        x->name, v->source, value);
    }
}

static int set_string(struct values *v, const struct load_extern *x, const char *text, const struct log *log)
{
    size_t len = strlen(text);

    if (x->type != KCONFIG_STRING)
        return log_fail(log, -EINVAL, "extern '%s': %s has a string for it; declare it as char[]", x->name, v->source);
    if (len < 2 || text[len - 1] != '"')
        return log_fail(log, -EINVAL, "extern '%s': %s has a string without closing quote", x->name, v->source);
    text++;
    len -= 2;
    if (len >= x->size) {
        log_warn(log, "extern '%s': %zu characters of %s are cut to %u", x->name, len, v->source, x->size - 1);
        len = x->size - 1;
    }
    memset(v->data + x->off, 0, x->size);
    memcpy(v->data + x->off, text, len);
    return 0;
}

static int set_value(struct values *v, struct load_extern *x, const char *text, const struct log *log)
{
    char *end;
    uint64_t number;
    int err;

    if (*text == 'y' || *text == 'n' || *text == 'm') {
        err = set_tristate(v, x, *text, log);
    } else if (*text == '"') {
        err = set_string(v, x, text, log);
    } else {
        errno = 0;
        number = strtoull(text, &end, 0);
        if (errno || end == text || *end)
            return log_fail(log, -EINVAL, "extern '%s': '%s' of %s is no integer", x->name, text, v->source);
        err = set_number(v, x, number, log);
    }
    if (err)
        return err;
    x->found = true;
    v->open--;
    return 0;
}

/* One line, without its newline; what is neither NAME=value nor about an extern is passed over. */
static int read_line(struct values *v, char *line, bool strict, const struct log *log)
{
    char *sep = strchr(line, '=');
    struct load_extern **x;

    line += strspn(line, " \t");
    if (strncmp(line, "CONFIG_", 7) && strncmp(line, "LINUX_", 6))
        return 0;
    if (!sep || !sep[1])
        return strict ? log_fail(log, -EINVAL, "%s: '%s' is not of the form CONFIG_X=value", v->source, line) : 0;
    *sep = 0;
    x = bsearch(line, v->byname, v->n, sizeof(struct load_extern *), name_to_extern);
    return x && !(*x)->found ? set_value(v, *x, sep + 1, log) : 0;
}

static int read_text(struct values *v, const char *text, const struct log *log)
{
    int err = 0;

    v->source = "the given kconfig";
    while (*text && !err) {
        size_t n = strcspn(text, "\n");
        char *line = strndup(text, n);

        if (!line)
            return log_fail(log, -ENOMEM, "no memory for a line of kconfig");
        err = read_line(v, line, true, log);
        free(line);
        text += n + (text[n] == '\n');
    }
    return err;
}

/* Values that libbpf makes up. LINUX_HAS_* say what programs may rely on here, which is what Linux 6.18 has. */
static int set_virtual(struct values *v, const struct log *log)
{
    v->source = "the running kernel";
    for (uint32_t i = 0; i < v->n; i++) {
        struct load_extern *x = v->byname[i];
        unsigned major = 0, minor = 0, patch = 0;
        struct utsname uts;
        uint64_t value = 0;
        int err;

        if (x->found || !strncmp(x->name, "CONFIG_", 7))
            continue;
        if (!strcmp(x->name, "LINUX_KERNEL_VERSION")) {
            if (uname(&uts) || sscanf(uts.release, "%u.%u.%u", &major, &minor, &patch) < 2)
                return log_fail(log, -EINVAL, "extern '%s': the kernel's version is unknown; give it as kconfig",
                                x->name);
            value = (uint64_t)major << 16 | minor << 8 | (patch < 255 ? patch : 255);
        } else if (!strcmp(x->name, "LINUX_HAS_BPF_COOKIE")) {
            value = 1;
        } else if (!strcmp(x->name, "LINUX_HAS_SYSCALL_WRAPPER")) {
#if defined(__x86_64__) || defined(__aarch64__) || defined(__s390x__) || defined(__riscv)
            value = 1;
#endif
        } else if (strncmp(x->name, "LINUX_", 6) || !x->weak) {
            return log_fail(log, -EINVAL, "extern '%s' (.kconfig): neither CONFIG_ nor a LINUX_ name that libbpf knows",
                            x->name);
        }
        err = set_number(v, x, value, log);
        if (err)
            return err;
        x->found = true;
        v->open--;
    }
    return 0;
}

struct gzFile_s *load_kconfig_open(char path[KCONFIG_PATH])
{
    struct utsname uts;
    gzFile f = NULL;

    if (!uname(&uts)) {
        snprintf(path, KCONFIG_PATH, "/boot/config-%s", uts.release);
        f = gzopen(path, "re");
    }
    if (!f) {
        snprintf(path, KCONFIG_PATH, "/proc/config.gz");
        f = gzopen(path, "re");
    }
    return f;
}

static int read_system(struct values *v, const struct log *log)
{
    char path[KCONFIG_PATH], line[4096];
    gzFile f = load_kconfig_open(path);
    int err = 0;

    if (!f) {
        log_debug(log, "no kernel configuration in /boot/config-* or /proc/config.gz");
        return 0;
    }
    v->source = path;
    while (!err && v->open && gzgets(f, line, sizeof(line))) {
        line[strcspn(line, "\n")] = 0;
        err = read_line(v, line, false, log);
    }
    gzclose(f);
    return err;
}

int load_kconfig(struct object *obj, const char *extra, const struct log *log)
{
    struct object_elf *e = obj->elf;
    struct values v = {.n = obj->n_kconfig, .open = obj->n_kconfig};
    int err = 0;

    if (!obj->n_kconfig)
        return 0;
    v.data = obj->maps[e->kconfig_map].data;
    v.byname = malloc(v.n * sizeof(struct load_extern *));
    if (!v.byname)
        return log_fail(log, -ENOMEM, "no memory for %u externs", v.n);
    memcpy(v.byname, e->kconfig_order, v.n * sizeof(struct load_extern *));
    qsort(v.byname, v.n, sizeof(struct load_extern *), by_name);
    if (extra)
        err = read_text(&v, extra, log);
    if (!err)
        err = set_virtual(&v, log);
    if (!err && v.open)
        err = read_system(&v, log);
    free(v.byname);
    for (uint32_t i = 0; i < obj->n_kconfig; i++)
        obj->kconfig[i].found = e->kconfig_order[i]->found;
    return err;
}

int load_check_kconfig(const struct object *obj, const struct log *log)
{
    for (uint32_t i = 0; i < obj->n_kconfig; i++)
        if (!obj->kconfig[i].found && !obj->kconfig[i].weak)
            return log_fail(log, -EINVAL,
                            "extern '%s' (.kconfig): neither the kernel's configuration (/boot/config-*, "
                            "/proc/config.gz) nor the given one has it; give its value, or declare it __weak",
                            obj->kconfig[i].name);
    return 0;
}
