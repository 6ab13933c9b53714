#define LOOP          loop_traced
#define LOOP_CHECKED  1
#define LOOP_THREADED 0
#include "vm/interp/handlers.inc"
