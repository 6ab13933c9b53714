# Where libbpf is installed, CO-RE is compared with it relocation by relocation (tests/loader/run.sh).
ifneq ($(wildcard /usr/include/bpf/libbpf.h),)
CORETEST_OBJ := $(B)/obj/tests/loader/core/libbpf.o
$(B)/coretest: $(CORETEST_OBJ) $(CORE_OBJ) $(FULL_OBJ)
	$(Q)$(CC) -o $@ $^ $(LDF) $(LIB_LIBS) -lbpf
check-build: $(B)/coretest
-include $(CORETEST_OBJ:.o=.d)
endif
