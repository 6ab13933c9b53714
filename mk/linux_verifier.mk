# Linux's verifier suite: tools/testing/selftests/bpf/test_verifier.c with its verifier/ folder, unpacked into the build
# directory and compiled there unchanged; tests/linux/verifier.c stands where its main and libbpf would be.
VSUITE_DIR := $(B)/linux/verifier
VSUITE_BPF := $(VSUITE_DIR)/tools/testing/selftests/bpf
VSUITE_INC := -I$(VSUITE_DIR)/shim -I$(VSUITE_BPF) -I$(VSUITE_DIR)/tools/include/uapi -I$(VSUITE_DIR)/tools/include

$(VSUITE_DIR)/unpacked:
	@[ -n "$(LINUX_SRC)" ] || { echo "check-linux: /usr/src/linux-source-6.1.tar.xz is missing: install linux-source-6.1 (make deps)" >&2; exit 1; }
	@mkdir -p $(VSUITE_DIR)/shim/verifier
	$(Q)tar -xJf $(LINUX_SRC) -C $(VSUITE_DIR) --strip-components=1 --wildcards '*/tools/testing/selftests/bpf/test_verifier.c' \
	  '*/tools/testing/selftests/bpf/*.h' '*/tools/testing/selftests/bpf/verifier/*' '*/tools/include/*' '*/tools/arch/*/include/uapi/*'
	$(Q)for f in $(abspath $(VSUITE_BPF))/verifier/*.c; do echo "#include \"$$f\""; done > $(VSUITE_DIR)/shim/verifier/tests.h
	$(Q)touch $@

$(B)/obj/tests/linux/verifier.o: $(VSUITE_DIR)/unpacked
$(B)/obj/tests/linux/verifier.o: CF := $(VSUITE_INC) $(CF) -DSUITE_FILE='"$(abspath $(VSUITE_BPF))/test_verifier.c"' -w -O1

# libbpf fills what is named and never called.
VSUITE_OBJ := $(patsubst %,$(B)/obj/tests/linux/%.o,verifier world oracle)
$(B)/test_verifier: $(VSUITE_OBJ) $(B)/obj/tests/runner/jits.o $(CORE_OBJ)
	$(Q)$(CC) -o $@ $^ $(LDF) -lbpf

.PHONY: check-linux-verifier check-linux-verifier-kernel
check-linux-verifier:
	@[ -n "$(LINUX_SRC)" ] || tools/deps.sh check
	+@$(MAKE) --no-print-directory $(B)/test_verifier
	@$(B)/test_verifier

# The running kernel's verdicts beside the suite's and ours.
check-linux-verifier-kernel:
	@[ -n "$(LINUX_SRC)" ] || tools/deps.sh check
	+@$(MAKE) --no-print-directory $(B)/test_verifier
	@$(B)/test_verifier --kernel

-include $(VSUITE_OBJ:.o=.d)
