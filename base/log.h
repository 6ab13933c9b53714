/*
 * Messages to the user. A `struct log` says where a message goes and what it speaks of; it is small, lives on the stack
 * of whoever works, and is passed down by const pointer. There is no global log. What fails says so once, at the place
 * that knows most, through log_fail(), whose value is the error to return; callers above pass the error on in silence.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <skep/types.h>
#include <stdarg.h>

struct log {
    skep_log_fn fn;          /* NULL: silent */
    void *ctx;               /* handed to fn */
    const char *where;       /* what is spoken of, e.g. "fw.bpf.o: section 'xdp'"; NULL for nothing */
    enum skep_log_level max; /* messages above this level are dropped */
};

/** A log that speaks of `where` (borrowed, must outlive the result) inside what `up` speaks of. */
#define LOG_AT(up, text) ((struct log){(up) ? (up)->fn : 0, (up) ? (up)->ctx : 0, (text), (up) ? (up)->max : 0})

/** Says why something failed. @return err, which must be negative. log may be NULL. */
int log_fail(const struct log *log, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/** Says something at a level. log may be NULL. */
void log_say(const struct log *log, enum skep_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_warn(log, ...)  log_say((log), SKEP_LOG_WARN, __VA_ARGS__)
#define log_info(log, ...)  log_say((log), SKEP_LOG_INFO, __VA_ARGS__)
#define log_debug(log, ...) log_say((log), SKEP_LOG_DEBUG, __VA_ARGS__)

#endif
