# An object in userspace and in the kernel, side by side, where libbpf is built in (LIBBPF, Makefile).
ifneq ($(strip $(LIBBPF)),)
$(B)/side: $(B)/obj/tests/examples/side.o $(CORE_OBJ) $(FULL_OBJ)
	$(Q)$(CC) -o $@ $^ $(LDF) $(LIB_LIBS) -lpcap
check-build: $(B)/side
endif
