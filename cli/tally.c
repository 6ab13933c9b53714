/* Verdicts are counted by return value; what comes after the first 64 different ones is counted together. */
#include "cli/tally.h"
#include <inttypes.h>
#include <skep/program.h>
#include <stdio.h>
#include <stdlib.h>

static struct tally_row *row_of(struct tally *t, uint32_t retval)
{
    for (uint32_t i = 0; i < t->n_rows; i++)
        if (t->rows[i].retval == retval)
            return &t->rows[i];
    if (t->n_rows == TALLY_VERDICTS)
        return &t->others;
    t->rows[t->n_rows].retval = retval;
    return &t->rows[t->n_rows++];
}

static void count(struct tally *t, struct tally_row *row, uint32_t bytes)
{
    row->inputs++;
    row->bytes += bytes;
    t->inputs++;
    t->bytes += bytes;
}

void tally_verdict(struct tally *t, uint32_t retval, uint32_t bytes, uint32_t ns)
{
    count(t, row_of(t, retval), bytes);
    t->ns += ns;
}

void tally_trap(struct tally *t, uint32_t bytes)
{
    count(t, &t->trapped, bytes);
}

void tally_refused(struct tally *t, uint32_t bytes)
{
    count(t, &t->refused, bytes);
}

uint64_t tally_duration(const struct tally *t)
{
    uint64_t ran = t->inputs - t->trapped.inputs - t->refused.inputs;
    return ran ? t->ns / ran : 0;
}

static int by_retval(const void *a, const void *b)
{
    const struct tally_row *x = a, *y = b;
    return x->retval < y->retval ? -1 : x->retval > y->retval;
}

static void sort(struct tally *t)
{
    qsort(t->rows, t->n_rows, sizeof(*t->rows), by_retval);
}

/* ---- Text ---- */

static void print_row(const struct tally *t, const struct tally_row *row, const char *name)
{
    char number[16];
    snprintf(number, sizeof(number), "%u", row->retval);
    printf("  %-16s %12" PRIu64 " %14" PRIu64 " %6.1f%%\n", name ? name : number, row->inputs, row->bytes,
           100.0 * (double)row->inputs / (double)t->inputs);
}

void tally_print(struct tally *t)
{
    sort(t);
    printf("  %-16s %12s %14s\n", "verdict", t->unit, "bytes");
    for (uint32_t i = 0; i < t->n_rows; i++)
        print_row(t, &t->rows[i], skep_prog_type_verdict(t->type, t->rows[i].retval));
    if (t->others.inputs)
        print_row(t, &t->others, "(others)");
    if (t->trapped.inputs)
        print_row(t, &t->trapped, "(trapped)");
    if (t->refused.inputs)
        print_row(t, &t->refused, "(refused)");
    printf("  %-16s %12" PRIu64 " %14" PRIu64 "\n", "total", t->inputs, t->bytes);
    if (tally_duration(t))
        printf("duration (average): %" PRIu64 "ns\n", tally_duration(t));
}

/* ---- JSON ---- */

static void json_row(struct tally *t, const struct tally_row *row, struct json_writer *w)
{
    bool others = row == &t->others;
    const char *name = others ? "others" : skep_prog_type_verdict(t->type, row->retval);
    json_object_begin(w);
    if (!others)
        json_u64_at(w, "retval", row->retval);
    if (name)
        json_str_at(w, "verdict", name);
    json_u64_at(w, t->unit, row->inputs);
    json_u64_at(w, "bytes", row->bytes);
    json_object_end(w);
}

void tally_json(struct tally *t, struct json_writer *w)
{
    sort(t);
    json_u64_at(w, t->unit, t->inputs);
    json_u64_at(w, "bytes", t->bytes);
    json_name(w, "verdicts");
    json_array_begin(w);
    for (uint32_t i = 0; i < t->n_rows; i++)
        json_row(t, &t->rows[i], w);
    if (t->others.inputs)
        json_row(t, &t->others, w);
    json_array_end(w);
    json_u64_at(w, "trapped", t->trapped.inputs);
    json_u64_at(w, "refused", t->refused.inputs);
    json_u64_at(w, "duration", tally_duration(t));
}
