/* What was logged last, kept for a test to look at: the logs of unit tests write nowhere else. */
#ifndef TESTS_UNIT_SAID_H
#define TESTS_UNIT_SAID_H

#include "base/log.h"
#include <stdio.h>

static char said[4096];

static inline void said_keep(void *ctx, enum skep_log_level level, const char *text)
{
    (void)ctx, (void)level;
    snprintf(said, sizeof(said), "%s", text);
}

__attribute__((unused)) static const struct log said_all = {.fn = said_keep, .max = SKEP_LOG_DEBUG};
__attribute__((unused)) static const struct log said_errors = {.fn = said_keep, .max = SKEP_LOG_ERROR};

#endif
