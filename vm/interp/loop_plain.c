#define LOOP          loop_plain
#define LOOP_CHECKED  0
#define LOOP_THREADED 1
#include "vm/interp/handlers.inc"
