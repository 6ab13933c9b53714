# The loader's tests: objtest opens, links and runs objects and compares with what their C source expects.
OBJTEST_OBJ := $(B)/obj/tests/loader/objtest.o $(B)/obj/tests/loader/expect.o
$(B)/objtest: $(OBJTEST_OBJ) $(CORE_OBJ) $(FULL_OBJ)
	$(Q)$(CC) -o $@ $^ $(LDF) $(LIB_LIBS)

.PHONY: check-loader
check-build: $(B)/objtest
check-loader: $(B)/objtest
	@B=$(B) tests/loader/run.sh

-include $(OBJTEST_OBJ:.o=.d)
