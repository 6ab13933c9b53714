/* Requests of HTTP: method, path, headers by name whatever the case, numbers and white space at their ends. */
#include "prog.h"

enum { SLOT = 256, PASSES = 3 };

INLINE u8 lower(u8 c)
{
    return c >= 'A' && c <= 'Z' ? (u8)(c + 32) : c;
}

/* The hash of a header's name; p stops at the colon or the line's end. */
INLINE u32 name_hash(const u8 **at, const u8 *end)
{
    const u8 *p = *at;
    u32 h = 0;

    for (; LOOP(p < end && *p != ':' && *p != '\r'); p++)
        h = h * 33 + lower(*p);
    *at = p;
    return h;
}

INLINE u32 request(const u8 *p, const u8 *end)
{
    u32 path = 0, sum = 0;

    while (LOOP(p < end && *p != ' '))
        p++;
    for (p++; LOOP(p < end && *p != ' '); p++) {
        if (*p == '?')
            sum++;
        path = (path << 5 | path >> 27) ^ *p;
    }
    while (LOOP(p < end && *p != '\n'))
        p++;
    p++;
    while (LOOP(p < end && *p != '\r')) {
        u32 name = name_hash(&p, end), value = 0;

        for (p++; LOOP(p < end && *p == ' '); p++)
            ;
        for (; LOOP(p < end && *p != '\r'); p++)
            value = *p >= '0' && *p <= '9' ? value * 10 + *p - '0' : value + 1;
        sum = sum * 31 + (name ^ value);
        p += 2;
    }
    return sum ^ path;
}

PROG(mem, len)
{
    u64 sum = 0;

    for (u32 pass = START(0, len); LOOP(pass < PASSES); pass++) {
        const u8 *p = (const u8 *)mem + pass;

        for (u64 at = SLOT; LOOP(at + SLOT <= len); at += SLOT, p += SLOT)
            sum = sum * 3 + request(p, p + SLOT);
    }
    return sum;
}

#ifndef __bpf__
static void put(u8 **to, const char *text)
{
    for (; *text; text++)
        *(*to)++ = (u8)*text;
}

FILL(mem, len)
{
    static const char *const names[] = {"Host: ", "content-length: ", "Accept-Encoding:  ", "X-Id: ", "Cookie: "};

    for (u64 at = 0; at + SLOT <= len; at += SLOT) {
        u8 *p = mem + at, kind = *p, *letters = p;

        put(&p, kind & 1 ? "GET /" : "POST /");
        for (u32 i = 0; i < kind % 20u; i++, p++)
            *p = "abcdefgh/?=&0123"[*p % 16];
        put(&p, " HTTP/1.1\r\n");
        for (u32 i = 0; i < 3 + kind % 4u; i++) {
            put(&p, names[letters[200 + i] % 5]);
            for (u32 k = letters[210 + i] % 9; k; k--, p++)
                *p = "0123456789abcdef"[*p % 16];
            put(&p, "\r\n");
        }
        put(&p, "\r\n");
    }
}
#endif
