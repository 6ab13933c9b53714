/* How often each verdict came, when a program runs over many inputs. */
#ifndef CLI_TALLY_H
#define CLI_TALLY_H

#include "base/json.h"
#include <stdint.h>

enum { TALLY_VERDICTS = 64 };

struct tally_row {
    uint32_t retval;
    uint64_t inputs, bytes;
};

struct tally {
    uint32_t type;    /* of the program */
    const char *unit; /* "packets", "contexts" */
    struct tally_row rows[TALLY_VERDICTS];
    uint32_t n_rows;
    struct tally_row others;  /* when there were more different ones */
    struct tally_row trapped; /* runs that did not come to their end */
    struct tally_row refused; /* inputs that the program type does not take */
    uint64_t inputs, bytes;   /* all */
    uint64_t ns;              /* of the runs that came to their end */
};

void tally_verdict(struct tally *t, uint32_t retval, uint32_t bytes, uint32_t ns);
void tally_trap(struct tally *t, uint32_t bytes);
void tally_refused(struct tally *t, uint32_t bytes);
/** The average of a run, ns. */
uint64_t tally_duration(const struct tally *t);

void tally_print(struct tally *t);
/** Adds members to the open object: unit, "bytes", "verdicts", "trapped", "refused", "duration". */
void tally_json(struct tally *t, struct json_writer *w);

#endif
