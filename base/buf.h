/*
 * A growable run of bytes, always followed by a NUL that does not count, so that it serves as text too. Once memory has
 * run out `failed` stays set and additions do nothing; callers may add at will and look once at the end.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data; /* NULL when nothing was ever added; otherwise data[len] is NUL */
    size_t len, cap;
    bool failed;
};

void buf_add(struct buf *b, const void *p, size_t n);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap);
/** Adds n zero bytes. @return where they begin (valid until the next addition), or NULL. */
void *buf_grow(struct buf *b, size_t n);
/** The text so far, never NULL. */
const char *buf_text(const struct buf *b);
void buf_clear(struct buf *b);
void buf_free(struct buf *b);

#endif
