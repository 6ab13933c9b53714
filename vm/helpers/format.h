/*
 * Text as Linux's bpf_trace_printk, bpf_trace_vprintk and bpf_snprintf make it: its checks of the format, its
 * conversions and its bounds (12 arguments, 512 bytes for what strings and addresses become).
 */
#ifndef VM_HELPERS_FORMAT_H
#define VM_HELPERS_FORMAT_H

#include "vm/env.h"

enum { FORMAT_MAX_ARGS = 12 };

/**
 * Formats.
 *
 * @param out   takes at most cap bytes with the NUL; cap 0: nothing is written.
 * @param fmt   size bytes, a NUL among them.
 * @return length of the whole text without NUL, also when it was cut; -EINVAL for a format that Linux refuses, -ENOSPC.
 */
int64_t format_text(struct skep_env *env, char *out, uint64_t cap, const char *fmt, uint64_t size, const uint64_t *args,
                    unsigned n_args);

#endif
