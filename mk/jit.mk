# The encoder's bytes are read back with Capstone; where it is not installed, its tests say so and skip.
ifneq ($(wildcard /usr/include/capstone/capstone.h),)
$(B)/unit/test_encode_x86 $(B)/unit/test_layout_x86: LIB_LIBS += -lcapstone
# The command shows machine code through it; it opens the library when that is asked for.
$(B)/obj/cli/jited.o: CF += -DHAVE_CAPSTONE
CLI_LIBS += -ldl
endif

# What programs wait for. OPT given by hand is meant.
ifeq ($(OPT),-O2)
$(B)/obj/jit/%.o $(B)/obj/vm/ir/%.o: CF += -O3
endif

# Code memory under TSan, built from nothing but what it needs.
.PHONY: tsan-jit
tsan-jit:
	@mkdir -p $(B)
	$(Q)$(CC) -std=gnu11 -O1 -g $(WARN) -Wno-missing-prototypes -pthread -Iinclude -I. -D_GNU_SOURCE -fsanitize=thread -o $(B)/tsan-jit \
	  tests/unit/test_jit_memory.c jit/memory.c jit/x86_64/encode.c jit/x86_64/form.c jit/x86_64/layout.c base/log.c base/buf.c -lcmocka
	@$(B)/tsan-jit
