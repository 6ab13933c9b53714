/* All of skep's public API. A host that embeds the core alone leaves out <skep/object.h>. */
#ifndef SKEP_SKEP_H
#define SKEP_SKEP_H

#include <skep/buffer.h>
#include <skep/insn.h>
#include <skep/link.h>
#include <skep/map.h>
#include <skep/object.h>
#include <skep/program.h>
#include <skep/vm.h>
#include <skep/world.h>

#endif
