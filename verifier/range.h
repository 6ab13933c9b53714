/*
 * Ranges of 64-bit and of 32-bit values, each seen as unsigned and as signed: struct range64 and struct range32, with
 * range64_add() and so on; all from range.inc.
 */
#ifndef VERIFIER_RANGE_H
#define VERIFIER_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#define RANGE_BITS 64
#include "verifier/range.inc"
#define RANGE_BITS 32
#include "verifier/range.inc"

#endif
