/* Raw BTF from a file: mapped when the file system can (Linux 6.17 and newer let sysfs do it), read otherwise. */
#include "vm/btf/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FILE = 1 << 30 };

static int read_all(int fd, void *to, size_t size)
{
    size_t at = 0;

    while (at < size) {
        ssize_t n = read(fd, (char *)to + at, size - at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        /* Shorter than it said: whoever reads the bytes sees zeros and refuses them if they matter. */
        if (n == 0)
            return 0;
        at += (size_t)n;
    }
    return 0;
}

/* The file's bytes: *mapped says whether they are to be unmapped or freed. */
static int take_bytes(int fd, size_t size, void **data, bool *mapped)
{
    int err;

    *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    *mapped = *data != MAP_FAILED;
    if (*mapped)
        return 0;
    *data = calloc(1, size);
    if (!*data)
        return -ENOMEM;
    err = read_all(fd, *data, size);
    if (err)
        free(*data);
    return err;
}

static int load(int fd, const struct btf *base, const struct log *log, struct btf **out)
{
    struct stat st;
    void *data;
    bool mapped;
    int err;

    if (fstat(fd, &st))
        return log_fail(log, -errno, "%s", strerror(errno));
    if (!S_ISREG(st.st_mode))
        return log_fail(log, -EINVAL, "no regular file");
    if (st.st_size > MAX_FILE)
        return log_fail(log, -E2BIG, "larger than %d MiB", MAX_FILE >> 20);
    if (!st.st_size)
        return log_fail(log, -EINVAL, "an empty file");
    err = take_bytes(fd, (size_t)st.st_size, &data, &mapped);
    if (err)
        return log_fail(log, err, "%s", strerror(-err));
    err = btf_parse(data, (size_t)st.st_size, base, true, log, out);
    if (!err && !(*out)->owned) {
        (*out)->owned = data;
        (*out)->mapped_size = mapped ? (size_t)st.st_size : 0;
        return 0;
    }
    if (mapped)
        munmap(data, (size_t)st.st_size);
    else
        free(data);
    return err;
}

int btf_load_raw(const char *path, const struct btf *base, const struct log *log, struct btf **out)
{
    struct log at = LOG_AT(log, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC), err;

    if (fd < 0)
        return log_fail(&at, -errno, "%s", strerror(errno));
    err = load(fd, base, &at, out);
    close(fd);
    return err;
}
