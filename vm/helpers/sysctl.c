/* The sysctl that a cgroup_sysctl program is asked about. */
#include "vm/ctx/hook.h"
#include "vm/helpers/helper.h"

enum { BASE_NAME = 1 };

static const char no_sysctl[] = "this helper needs the context of a cgroup_sysctl program";

HELPER_BODY(sysctl_get_name)
{
    struct hook_sysctl *s = hook_sysctl(env);
    char *out = helper_ptr(a2);
    uint32_t size = (uint32_t)a3, len;
    const char *name, *slash;

    if (!s)
        return helper_refuse(env, no_sysctl);
    slash = strrchr(s->name, '/');
    name = a4 & BASE_NAME && slash ? slash + 1 : s->name;
    len = (uint32_t)strlen(name);
    if (!size)
        return helper_error(-E2BIG);
    memcpy(out, name, len < size ? len : size - 1);
    out[len < size ? len : size - 1] = 0;
    return len < size ? len : helper_error(-E2BIG);
}

static uint64_t copy(char *to, uint32_t size, const char *from, uint32_t len)
{
    if (!size)
        return helper_error(-E2BIG);
    memset(to, 0, size);
    if (!len)
        return helper_error(-EINVAL);
    memcpy(to, from, len < size ? len : size - 1);
    return len < size ? len : helper_error(-E2BIG);
}

HELPER_BODY(sysctl_get_current_value)
{
    struct hook_sysctl *s = hook_sysctl(env);

    return s ? copy(helper_ptr(a2), (uint32_t)a3, s->current, s->current_len) : helper_refuse(env, no_sysctl);
}

HELPER_BODY(sysctl_get_new_value)
{
    struct hook_sysctl *s = hook_sysctl(env);

    return s ? copy(helper_ptr(a2), (uint32_t)a3, s->value, s->is_write ? s->value_len : 0)
             : helper_refuse(env, no_sysctl);
}

HELPER_BODY(sysctl_set_new_value)
{
    struct hook_sysctl *s = hook_sysctl(env);
    uint32_t size = (uint32_t)a3;

    if (!s)
        return helper_refuse(env, no_sysctl);
    if (!s->is_write || !s->value_len || !size)
        return helper_error(-EINVAL);
    if (size > HOOK_VALUE - 1)
        return helper_error(-E2BIG);
    memcpy(s->value, helper_ptr(a2), size);
    s->value[size] = 0;
    s->value_len = size;
    s->updated = true;
    return 0;
}
