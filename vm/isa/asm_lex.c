#include "vm/isa/asm_lex.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool begins_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' || c == '$';
}

static bool in_word(char c)
{
    return begins_word(c) || is_digit(c);
}

void lex_blanks(struct lex *lx)
{
    while (lx->at < lx->end && (*lx->at == ' ' || *lx->at == '\t' || *lx->at == '\r'))
        lx->at++;
}

bool lex_line_ends(struct lex *lx)
{
    size_t left;

    lex_blanks(lx);
    left = (size_t)(lx->end - lx->at);
    return !left || *lx->at == '\n' || *lx->at == ';' || *lx->at == '#' ||
           (left > 1 && lx->at[0] == '/' && lx->at[1] == '/');
}

bool lex_next_line(struct lex *lx)
{
    const char *newline = lx->at < lx->end ? memchr(lx->at, '\n', (size_t)(lx->end - lx->at)) : NULL;

    lx->at = newline ? newline + 1 : lx->end;
    lx->line += newline != NULL;
    return newline != NULL;
}

static bool stands(const struct lex *lx, const char *chars, size_t len)
{
    return (size_t)(lx->end - lx->at) >= len && !memcmp(lx->at, chars, len);
}

bool lex_eat(struct lex *lx, const char *chars)
{
    size_t len = strlen(chars);

    lex_blanks(lx);
    if (!stands(lx, chars, len))
        return false;
    lx->at += len;
    return true;
}

bool lex_eat_word(struct lex *lx, const char *word)
{
    size_t len = strlen(word);

    lex_blanks(lx);
    if (!stands(lx, word, len) || (lx->at + len < lx->end && in_word(lx->at[len])))
        return false;
    lx->at += len;
    return true;
}

bool lex_word(struct lex *lx, struct span *out)
{
    const char *from;

    lex_blanks(lx);
    from = lx->at;
    if (from == lx->end || !begins_word(*from))
        return false;
    while (lx->at < lx->end && in_word(*lx->at))
        lx->at++;
    *out = (struct span){from, (size_t)(lx->at - from)};
    return true;
}

static unsigned digit_of(char c)
{
    if (is_digit(c))
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a' + 10);
    if (c >= 'A' && c <= 'F')
        return (unsigned)(c - 'A' + 10);
    return 99;
}

/* 0x, 0b and 0 begin other bases, as in C and in LLVM's assembler. */
static unsigned base_of(struct lex *lx)
{
    if (lx->end - lx->at < 2 || lx->at[0] != '0')
        return 10;
    if ((lx->at[1] == 'x' || lx->at[1] == 'X') && lx->end - lx->at > 2 && digit_of(lx->at[2]) < 16)
        return lx->at += 2, 16;
    if (lx->at[1] == 'b' && lx->end - lx->at > 2 && digit_of(lx->at[2]) < 2)
        return lx->at += 2, 2;
    return is_digit(lx->at[1]) ? 8 : 10;
}

bool lex_number(struct lex *lx, struct number *out)
{
    const char *from = lx->at;
    struct number n = {0};
    unsigned base;

    lex_blanks(lx);
    if (lx->at < lx->end && (*lx->at == '-' || *lx->at == '+')) {
        n.has_sign = true;
        n.negative = *lx->at++ == '-';
        lex_blanks(lx);
    }
    if (lx->at == lx->end || !is_digit(*lx->at)) {
        lx->at = from;
        return false;
    }
    base = base_of(lx);
    for (; lx->at < lx->end && digit_of(*lx->at) < base; lx->at++)
        if (__builtin_mul_overflow(n.magnitude, base, &n.magnitude) ||
            __builtin_add_overflow(n.magnitude, digit_of(*lx->at), &n.magnitude)) {
            lx->at = from;
            lex_blanks(lx);
            return lex_fail(lx, "the number has more than 64 bits");
        }
    *out = n;
    return true;
}

bool span_is(struct span s, const char *text)
{
    return s.len == strlen(text) && !memcmp(s.at, text, s.len);
}

bool number_fits(struct number n, unsigned bits, bool is_signed)
{
    uint64_t half = (uint64_t)1 << (bits - 1);

    if (n.negative)
        return n.magnitude <= half;
    return is_signed ? n.magnitude < half : n.magnitude <= (half - 1) * 2 + 1;
}

int64_t number_value(struct number n)
{
    return (int64_t)(n.negative ? 0 - n.magnitude : n.magnitude);
}

bool lex_fail_at(struct lex *lx, const char *at, uint32_t line, const char *fmt, ...)
{
    const char *from = at, *to = at;
    char what[256], shown[121];
    size_t n = 0, column;
    va_list ap;

    if (lx->err)
        return false;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    while (from > lx->text && from[-1] != '\n')
        from--;
    while (to < lx->end && *to != '\n')
        to++;
    column = (size_t)(at - from);
    for (const char *p = from; p < to && n < sizeof(shown) - 1; p++)
        shown[n++] = *p >= ' ' && *p <= '~' ? *p : ' ';
    shown[n] = 0;
    if (column < sizeof(shown) - 1)
        lx->err = log_fail(lx->log, -EINVAL, "line %u, column %zu: %s\n  %s\n  %*s^", line, column + 1, what, shown,
                           (int)column, "");
    else
        lx->err = log_fail(lx->log, -EINVAL, "line %u, column %zu: %s", line, column + 1, what);
    return false;
}
