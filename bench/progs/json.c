/* A JSON tokenizer: counts tokens, follows nesting, sums integers and hashes strings. */
#include "prog.h"

INLINE u32 is_space(u32 c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

PROG(mem, len)
{
    const u8 *text = mem;
    u32 n = (u32)len, at = START(0, len), depth = 0, deepest = 0, tokens = 0;
    u64 numbers = 0, strings = 0;

    while (LOOP(at < n)) {
        u32 c = text[at++];

        if (is_space(c) || c == ',' || c == ':')
            continue;
        tokens++;
        if (c == '{' || c == '[') {
            if (++depth > deepest)
                deepest = depth;
        } else if (c == '}' || c == ']') {
            depth--;
        } else if (c == '"') {
            u32 hash = 5381;

            while (LOOP(at < n && text[at] != '"')) {
                if (text[at] == '\\')
                    at++;
                hash = hash * 33 + text[at++];
            }
            at++;
            strings += hash;
        } else if (c == '-' || (c >= '0' && c <= '9')) {
            u64 value = c == '-' ? 0 : c - '0';

            while (LOOP(at < n && text[at] >= '0' && text[at] <= '9'))
                value = value * 10 + (text[at++] - '0');
            numbers += c == '-' ? -value : value;
        } else {
            while (LOOP(at < n && text[at] >= 'a' && text[at] <= 'z'))
                at++;
        }
    }
    return numbers ^ strings << 8 ^ (u64)tokens << 32 ^ deepest;
}

#ifndef __bpf__
FILL(mem, len)
{
    static const char line[] =
        "{\"id\": 48213, \"name\": \"queue \\\"rx\\\" 7\", \"ok\": true, \"load\": [1, -22, 333, 4444], "
        "\"next\": {\"at\": null, \"left\": 1234567890}},\n";
    u64 size = sizeof(line) - 1;

    for (u64 i = 0; i < len; i++) {
        u8 noise = mem[i];

        mem[i] = (u8)line[i % size];
        if (mem[i] >= '1' && mem[i] <= '8')
            mem[i] = (u8)('1' + noise % 9);
    }
}
#endif
