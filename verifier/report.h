/*
 * A refusal explained at the C line, as a compiler would: place, reason, the line with its column marked, what was
 * needed and what was known, the branch decisions on the way there, and what mends it.
 */
#ifndef VERIFIER_REPORT_H
#define VERIFIER_REPORT_H

#include "base/buf.h"
#include "verifier/verify.h"

/** The text of a refusal (or of what is unsupported): several lines, each with a newline. Nothing for VERDICT_ACCEPT.
 */
void report_text(const struct prog *prog, const struct verify_result *result, struct buf *out);

/** The head of a report, for what another judge says of an instruction: place, what, the source line marked. */
void report_head(const struct prog *prog, uint32_t insn, const char *what, struct buf *out);

/** One decision of the path in words, without a newline: "line 17 `if (x > y)`: jumps to line 20". */
void report_step(const struct prog *prog, const struct verify_step *step, struct buf *out);

#endif
