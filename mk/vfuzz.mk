# The fuzzer of the verifier: random programs, watched; --kernel: beside Linux.
VFUZZ_OBJ := $(patsubst %.c,$(B)/obj/%.o,$(wildcard fuzz/*.c tests/ir/*.c) tests/runner/jits.c tests/runner/func_info.c)

$(B)/vfuzz: $(VFUZZ_OBJ) $(CORE_OBJ)
	$(Q)$(CC) -o $@ $^ $(LDF)

-include $(VFUZZ_OBJ:.o=.d)
