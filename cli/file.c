/*
 * Files and bytes. A file is read whole, never more than the caller's bound; what is larger is refused before memory is
 * taken for it.
 */
#include "cli/cli.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_all(struct cli *c, int fd, const char *path, size_t max, struct buf *out)
{
    char chunk[65536];
    ssize_t n;
    while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return cli_fail(c, STATUS_USAGE, "%s: cannot be read: %s", path, strerror(errno));
        if (out->len + (size_t)n > max)
            return cli_fail(c, STATUS_USAGE, "%s: longer than %zu bytes", path, max);
        buf_add(out, chunk, (size_t)n);
    }
    return out->failed ? cli_fail(c, STATUS_USAGE, "%s: out of memory", path) : 0;
}

int file_read(struct cli *c, const char *path, size_t max, struct buf *out)
{
    if (!strncmp(path, "hex:", 4)) {
        if (!parse_hex(path + 4, strlen(path + 4), out))
            return cli_fail(c, STATUS_USAGE, "'%s' is no row of hex digits", path);
        return out->len > max ? cli_fail(c, STATUS_USAGE, "'%.16s...': longer than %zu bytes", path, max) : 0;
    }
    if (!strcmp(path, "-"))
        return read_all(c, STDIN_FILENO, "standard input", max, out);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st)) {
        int err = errno;
        if (fd >= 0)
            close(fd);
        return cli_fail(c, STATUS_USAGE, "%s: cannot be opened: %s", path, strerror(err));
    }
    int status = S_ISREG(st.st_mode) && (uint64_t)st.st_size > max
                     ? cli_fail(c, STATUS_USAGE, "%s: longer than %zu bytes", path, max)
                     : read_all(c, fd, path, max, out);
    close(fd);
    return status;
}

static int write_all(struct cli *c, int fd, const char *path, const void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = write(fd, (const char *)data + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return cli_fail(c, STATUS_USAGE, "%s: cannot be written: %s", path, strerror(errno));
        done += (size_t)n;
    }
    return 0;
}

static int write_new(struct cli *c, const char *path, const void *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return cli_fail(c, STATUS_USAGE, "%s: cannot be written: %s", path, strerror(errno));
    int status = write_all(c, fd, path, data, size);
    if (close(fd) && !status)
        status = cli_fail(c, STATUS_USAGE, "%s: cannot be written: %s", path, strerror(errno));
    return status;
}

int file_write(struct cli *c, const char *path, const void *data, size_t size)
{
    if (strcmp(path, "-"))
        return write_new(c, path, data, size);
    fflush(stdout);
    return write_all(c, STDOUT_FILENO, "standard output", data, size);
}

int file_replace(struct cli *c, const char *path, const void *data, size_t size)
{
    struct buf tmp = {0};
    buf_printf(&tmp, "%s.tmp%d", path, (int)getpid());
    int status = tmp.failed ? cli_fail(c, STATUS_USAGE, "out of memory") : write_new(c, tmp.data, data, size);
    if (!status && rename(tmp.data, path))
        status = cli_fail(c, STATUS_USAGE, "%s: cannot be replaced: %s", path, strerror(errno));
    if (status && tmp.data)
        unlink(tmp.data);
    buf_free(&tmp);
    return status;
}

/* ---- Bytes ---- */

void hex_bytes(struct buf *out, const void *data, size_t size)
{
    static const char digit[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        unsigned char b = ((const unsigned char *)data)[i];
        char two[2] = {digit[b >> 4], digit[b & 15]};
        buf_add(out, two, 2);
    }
}

void json_bytes_at(struct json_writer *w, const char *name, const void *data, size_t size)
{
    struct buf text = {0};
    hex_bytes(&text, data, size);
    json_str_at(w, name, buf_text(&text));
    buf_free(&text);
}

static int digit_of(char ch)
{
    if (ch >= '0' && ch <= '9')
        return ch - '0';
    ch = (char)tolower((unsigned char)ch);
    return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

bool parse_hex(const char *text, size_t len, struct buf *out)
{
    int high = -1;
    for (size_t i = 0; i < len; i++) {
        if (isspace((unsigned char)text[i]) && high < 0)
            continue;
        if (high < 0 && text[i] == '0' && i + 1 < len && (text[i + 1] == 'x' || text[i + 1] == 'X')) {
            i++;
            continue;
        }
        int d = digit_of(text[i]);
        if (d < 0)
            return false;
        if (high < 0)
            high = d;
        else {
            buf_putc(out, (char)(high << 4 | d));
            high = -1;
        }
    }
    return high < 0 && !out->failed;
}
