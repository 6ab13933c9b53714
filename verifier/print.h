/*
 * States as text, as Linux's log writes them: "R1=ctx() R2=pkt(r=14) R10=fp0 fp-8=mmmmmmmm".
 */
#ifndef VERIFIER_PRINT_H
#define VERIFIER_PRINT_H

#include "base/buf.h"
#include "verifier/state.h"

void reg_print(struct buf *out, const struct reg *r, uint32_t current_frame);
/** Registers and stack of the top frame, and references; each part begins with a space. */
void state_print(struct buf *out, const struct state *s);
/** What an instruction changed, and the registers of the mask, R0=... */
void state_print_change(struct buf *out, const struct state *before, const struct state *after, uint16_t touched);

#endif
