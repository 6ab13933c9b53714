# Linux's own JIT suite: lib/test_bpf.c of Debian's linux-source package, unpacked into the build directory and compiled
# there unchanged, with headers of ours in place of the kernel's. LINUX_SRC: another package of sources (a .tar.xz).
LINUX_SRC     ?= $(firstword $(wildcard /usr/src/linux-source-6.1.tar.xz /usr/src/linux-source-*.tar.xz))
LINUX_SUITE   := $(B)/linux/test_bpf.c
LINUX_HEADERS := init module filter bpf skbuff netdevice if_vlan random highmem sched
LINUX_OBJ     := $(patsubst %,$(B)/obj/tests/linux/%.o,main kernel suite)

.PHONY: check-linux
check-linux:
	@[ -n "$(LINUX_SRC)" ] || tools/deps.sh check
	+@$(MAKE) --no-print-directory $(B)/test_bpf
	@$(B)/test_bpf

# One file of a large archive: xz has to be read up to it, which is done once.
$(LINUX_SUITE):
	@[ -n "$(LINUX_SRC)" ] || { echo "check-linux: /usr/src/linux-source-6.1.tar.xz is missing: install linux-source-6.1 (make deps)" >&2; exit 1; }
	@mkdir -p $(@D)
	$(Q)tar -xJOf $(LINUX_SRC) --wildcards --occurrence=1 '*/lib/test_bpf.c' > $@.part && [ -s $@.part ] && mv $@.part $@

$(B)/linux/shim.stamp: mk/linux.mk
	@mkdir -p $(B)/linux/shim/linux
	$(Q)for h in $(LINUX_HEADERS); do echo '#include "tests/linux/kernel.h"' > $(B)/linux/shim/linux/$$h.h; done; touch $@

$(LINUX_OBJ): $(B)/linux/shim.stamp
# The shim comes first in the search, since its headers go on to the ones of the same name behind them.
$(LINUX_OBJ): CF := -I$(B)/linux/shim $(CF)
# What is unused or loose over there is not ours to judge.
$(B)/obj/tests/linux/suite.o: $(LINUX_SUITE)
$(B)/obj/tests/linux/suite.o: CF += -DSUITE_FILE='"$(abspath $(LINUX_SUITE))"' -w

$(B)/test_bpf: $(LINUX_OBJ) $(B)/obj/tests/runner/jits.o $(CORE_OBJ)
	$(Q)$(CC) -o $@ $^ $(LDF)

-include $(LINUX_OBJ:.o=.d)
