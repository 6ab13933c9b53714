# An object in userspace and in the kernel, side by side.
$(B)/side: $(B)/obj/tests/examples/side.o $(CORE_OBJ) $(FULL_OBJ)
	$(Q)$(CC) -o $@ $^ $(LDF) $(LIB_LIBS) -lbpf -lpcap
