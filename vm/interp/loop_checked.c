#include "vm/interp/bodies.h"
#include "vm/interp/stream.h"

#define LOOP         loop_checked
#define LOOP_COUNTED 1
#define LOOP_CHECKED 1
#define LOOP_TRACED  0
#include "vm/interp/loop.inc"
