#include "vm/interp/bodies.h"
#include "vm/interp/stream.h"

#define LOOP         loop_plain
#define LOOP_COUNTED 0
#define LOOP_CHECKED 0
#define LOOP_TRACED  0
#include "vm/interp/loop.inc"
