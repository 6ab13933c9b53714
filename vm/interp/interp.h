/*
 * The interpreter, an engine for code (vm/code.h). It runs every kind of code, on every machine: at level 0 it is the
 * reference, with fused operations the portable fast engine.
 */
#ifndef VM_INTERP_INTERP_H
#define VM_INTERP_INTERP_H

#include "vm/code.h"

extern const struct engine interp_engine;

#endif
