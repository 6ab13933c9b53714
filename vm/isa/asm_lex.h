/*
 * The assembler's reader: a cursor in the text that never leaves the current line but through lex_next_line(), and
 * never passes the text's end. Each lex_ function that returns bool takes what it names and says whether it stood
 * there; on false the cursor has not moved. The first failure is logged, with its line and a caret, and then stands in
 * `err`.
 */
#ifndef VM_ISA_ASM_LEX_H
#define VM_ISA_ASM_LEX_H

#include "base/log.h"
#include <stdbool.h>
#include <stdint.h>

struct lex {
    const char *at, *end; /* the cursor; the end of the text */
    const char *text;     /* its beginning */
    uint32_t line;        /* from 1 */
    const struct log *log;
    int err;
};

struct span {
    const char *at;
    size_t len;
};

/* An integer as it was written: a magnitude and a sign. */
struct number {
    uint64_t magnitude;
    bool negative, has_sign;
};

/** Skips blanks. */
void lex_blanks(struct lex *lx);
/** Is the cursor, after blanks, at a comment, a newline or the text's end? */
bool lex_line_ends(struct lex *lx);
/** Moves behind the next newline. @return false at the text's end. */
bool lex_next_line(struct lex *lx);

/** Skips blanks and takes these characters. */
bool lex_eat(struct lex *lx, const char *chars);
/** Skips blanks and takes this word, which must not go on. */
bool lex_eat_word(struct lex *lx, const char *word);
/** Skips blanks and takes a word: a letter, '_', '.' or '$', then those and digits. */
bool lex_word(struct lex *lx, struct span *out);
/** Skips blanks and takes a number in C's notation, with an optional sign, blanks after the sign allowed. */
bool lex_number(struct lex *lx, struct number *out);

bool span_is(struct span s, const char *text);
/** The value in two's complement; false when it fits neither in bits signed nor in bits unsigned (wanted only signed
 * when is_signed). bits is at most 64. */
bool number_fits(struct number n, unsigned bits, bool is_signed);
int64_t number_value(struct number n);

/** Logs what is wrong at a place in the text, unless something failed before. @return false. */
bool lex_fail_at(struct lex *lx, const char *at, uint32_t line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/** The same at the cursor. */
#define lex_fail(lx, ...) lex_fail_at((lx), (lx)->at, (lx)->line, __VA_ARGS__)

#endif
