/*
 * Numbers and strings in memory that need not be NUL-terminated: bpf_strtol, bpf_strtoul, bpf_strncmp, with the grammar
 * of Linux's kstrto* functions.
 */
#include "vm/helpers/helper.h"

enum { BASE_MASK = 0x1f, MAX_DIGITS = 63 };

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Skips 0x where it belongs and says which base the digits have. */
static const char *skip_radix(const char *s, unsigned *base)
{
    bool hex = s[0] == '0' && (s[1] | 0x20) == 'x';

    if (!*base)
        *base = s[0] != '0' ? 10 : hex && digit(s[2]) < 16 ? 16 : 8;
    return *base == 16 && hex ? s + 2 : s;
}

/* Reads [space][-]digits. @return bytes read, or -EINVAL or -ERANGE. */
static int64_t parse(const char *text, uint64_t size, uint64_t flags, uint64_t *value, bool *negative)
{
    char digits[MAX_DIGITS + 1];
    unsigned base = flags & BASE_MASK;
    const char *s, *first;
    uint64_t pos = 0, n;
    bool overflow = false;

    if ((base != 0 && base != 8 && base != 10 && base != 16) || flags & ~(uint64_t)BASE_MASK)
        return -EINVAL;
    while (pos < size && is_space(text[pos]))
        pos++;
    *negative = pos < size && text[pos] == '-';
    pos += *negative;
    n = size - pos;
    if (!n)
        return -EINVAL;
    if (n > MAX_DIGITS)
        n = MAX_DIGITS;
    memcpy(digits, text + pos, n);
    digits[n] = 0;
    first = skip_radix(digits, &base);
    *value = 0;
    for (s = first; (unsigned)digit(*s) < base; s++)
        overflow |=
            __builtin_mul_overflow(*value, base, value) || __builtin_add_overflow(*value, (uint64_t)digit(*s), value);
    if (overflow)
        return -ERANGE;
    return s == first ? -EINVAL : (int64_t)pos + (s - digits);
}

HELPER_BODY(strtol)
{
    const char *text = helper_ptr(a1);
    void *out = helper_ptr(a4);
    uint64_t value;
    int64_t used;
    bool negative;

    memset(out, 0, 8);
    used = parse(text, a2, a3, &value, &negative);
    if (used < 0)
        return (uint64_t)used;
    if (value > (uint64_t)INT64_MAX + negative)
        return helper_error(-ERANGE);
    value = negative ? -value : value;
    memcpy(out, &value, 8);
    return (uint64_t)used;
}

HELPER_BODY(strtoul)
{
    const char *text = helper_ptr(a1);
    void *out = helper_ptr(a4);
    uint64_t value;
    int64_t used;
    bool negative;

    memset(out, 0, 8);
    used = parse(text, a2, a3, &value, &negative);
    if (used < 0)
        return (uint64_t)used;
    if (negative)
        return helper_error(-EINVAL);
    memcpy(out, &value, 8);
    return (uint64_t)used;
}

HELPER_BODY(strncmp)
{
    const unsigned char *a = helper_ptr(a1), *b = helper_ptr(a3);
    uint64_t size = (uint32_t)a2;

    for (uint64_t i = 0; i < size; i++) {
        if (a[i] != b[i])
            return helper_error(a[i] < b[i] ? -1 : 1);
        if (!a[i])
            break;
    }
    return 0;
}
