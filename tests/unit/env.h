/* A fresh environment for each test, and nothing said. */
#ifndef TESTS_UNIT_ENV_H
#define TESTS_UNIT_ENV_H

#include "tests/unit/said.h"
#include "vm/env.h"

static struct skep_env *env;

static inline int make_env(void **state)
{
    (void)state;
    said[0] = 0;
    env = env_new();
    return env ? 0 : -1;
}

static inline int free_env(void **state)
{
    (void)state;
    env_free(env);
    return 0;
}

#endif
