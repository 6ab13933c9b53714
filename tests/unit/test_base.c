/* What everything stands on: messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include <stdlib.h>
#include <string.h>

static char *said;

static void note(void *ctx, enum skep_log_level level, const char *text)
{
    (void)ctx, (void)level;
    free(said);
    said = strdup(text);
}

static void a_long_message_is_whole(void **state)
{
    char text[5000];
    struct log log = {.fn = note, .where = "here", .max = SKEP_LOG_ERROR};

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    assert_int_equal(log_fail(&log, -5, "%s!", text), -5);
    assert_int_equal(strlen(said), strlen("here: ") + strlen(text) + 1);
    assert_memory_equal(said, "here: xxx", 9);
    assert_int_equal(said[strlen(said) - 1], '!');
    log_warn(&log, "too much to be told");
    assert_int_equal(said[strlen(said) - 1], '!');
    free(said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_long_message_is_whole)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
