# Where libbpf is built in (LIBBPF, Makefile), CO-RE is compared with it relocation by relocation (tests/loader/run.sh).
ifneq ($(strip $(LIBBPF)),)
CORETEST_OBJ := $(B)/obj/tests/loader/core/libbpf.o
$(B)/coretest: $(CORETEST_OBJ) $(CORE_OBJ) $(FULL_OBJ)
	$(Q)$(CC) -o $@ $^ $(LDF) $(LIB_LIBS)
check-build: $(B)/coretest
-include $(CORETEST_OBJ:.o=.d)
endif
