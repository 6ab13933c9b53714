# Our verdict beside the kernel's: `make check-kernel` loads the programs of real objects into Linux and judges them here;
# `make bench-verifier` compares what it takes. The objects: ours, libxdp's, and those of the kernel's own selftests that
# compile, unpacked from Debian's linux-source package (LINUX_SRC, mk/linux.mk) into the build directory. What does not
# compile is noted beside its stamp and not tried again. KERNEL_CLANGS: compilers; VFLAGS: options of the programs.
KERNEL_DIR    := $(B)/kernel
KERNEL_SRC    := $(KERNEL_DIR)/src
KERNEL_BPF    := $(KERNEL_SRC)/tools/testing/selftests/bpf
KERNEL_NEW    ?= clang-19
KERNEL_OLD    ?= clang-14
KERNEL_SYSINC := /usr/include/$(shell uname -m)-linux-gnu
KERNEL_CF     := -O2 -g -target bpf -mcpu=v3 -mlittle-endian -D__TARGET_ARCH_x86 -DENABLE_ATOMICS_TESTS -w \
                 -I$(KERNEL_DIR) -I$(KERNEL_BPF) -I$(KERNEL_BPF)/progs -I$(KERNEL_SRC)/tools/include/uapi \
                 -idirafter $(KERNEL_SYSINC) -idirafter /usr/include
KERNEL_SCALE  := test_verif_scale% pyperf% strobemeta% loop% test_l4lb% test_xdp%
KERNEL_PROGS   = $(notdir $(basename $(wildcard $(KERNEL_BPF)/progs/*.c)))
# libbpf 1.1 knows no exception callbacks and hands the kernel programs without them.
KERNEL_OURS   := $(filter-out tests/kobj/exceptions.bpf.c,$(wildcard tests/kernel/*.bpf.c examples/*.bpf.c examples/*/*.bpf.c tests/loader/*.bpf.c tests/kobj/*.bpf.c tests/objects/*.bpf.c tests/cli/*.bpf.c tests/api/*.bpf.c bench/start/*.bpf.c))
KERNEL_THEIRS := $(wildcard /usr/lib/*/bpf/*.o /usr/lib/bpf/*.o)

$(KERNEL_DIR)/unpacked:
	@[ -n "$(LINUX_SRC)" ] || { echo "check-kernel: /usr/src/linux-source-6.1.tar.xz is missing: install linux-source-6.1 (make deps)" >&2; exit 1; }
	@mkdir -p $(KERNEL_SRC)
	$(Q)tar -xJf $(LINUX_SRC) -C $(KERNEL_SRC) --strip-components=1 --wildcards '*/tools/testing/selftests/bpf/*.h' \
	  '*/tools/testing/selftests/bpf/progs/*' '*/tools/include/uapi/*'
	$(Q)touch $@

$(KERNEL_DIR)/vmlinux.h:
	@mkdir -p $(@D)
	$(Q)bpftool btf dump file /sys/kernel/btf/vmlinux format c > $@.part && mv $@.part $@

# A selftest that does not compile leaves its errors and an empty stamp; that is no failure.
define kernel_compile
	@mkdir -p $(@D)
	$(Q)$(1) $(KERNEL_CF) $(2) -c $(KERNEL_BPF)/progs/$*.c -o $(@:.stamp=.o) 2> $(@:.stamp=.err) || rm -f $(@:.stamp=.o)
	$(Q)touch $@
endef
KERNEL_READY := $(KERNEL_DIR)/unpacked $(KERNEL_DIR)/vmlinux.h
$(KERNEL_DIR)/new/%.stamp: $(KERNEL_READY)
	$(call kernel_compile,$(KERNEL_NEW),$(if $(filter %_noinline,$*),-fno-inline))
$(KERNEL_DIR)/old/%.stamp: $(KERNEL_READY)
	$(call kernel_compile,$(KERNEL_OLD),$(if $(filter %_noinline,$*),-fno-inline))
$(KERNEL_DIR)/ours/%.o: %.bpf.c
	@mkdir -p $(@D)
	$(Q)$(KERNEL_NEW) -O2 -g -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -I$(KERNEL_SYSINC) -w -c $< -o $@ || { rm -f $@; grep -q '^// not:' $<; }

# The lists of sources are known once they are unpacked, so the work is done by a second make.
.PHONY: kernel-objects kernel-scale kernel-ours check-kernel bench-verifier
kernel-objects: $(addprefix $(KERNEL_DIR)/new/,$(KERNEL_PROGS:=.stamp))
kernel-scale: $(addprefix $(KERNEL_DIR)/old/,$(addsuffix .stamp,$(filter $(KERNEL_SCALE),$(KERNEL_PROGS))))
kernel-ours: $(patsubst %.bpf.c,$(KERNEL_DIR)/ours/%.o,$(KERNEL_OURS))

KERNEL_OBJ := $(patsubst %,$(B)/obj/tests/kernel/%.o,pair linux ours)
$(KERNEL_DIR)/check: $(B)/obj/tests/kernel/check.o $(KERNEL_OBJ) $(CORE_OBJ) $(FULL_OBJ)
	@mkdir -p $(@D)
	$(Q)$(CC) -o $@ $^ $(LDF) $(LIB_LIBS) -lbpf
$(KERNEL_DIR)/bench: $(B)/obj/bench/verifier/main.o $(KERNEL_OBJ) $(CORE_OBJ) $(FULL_OBJ)
	@mkdir -p $(@D)
	$(Q)$(CC) -o $@ $^ $(LDF) $(LIB_LIBS) -lbpf

check-kernel:
	@[ -n "$(LINUX_SRC)" ] || tools/deps.sh check
	+@$(MAKE) --no-print-directory $(KERNEL_READY) $(KERNEL_DIR)/check
	+@$(MAKE) --no-print-directory -j$$(nproc) kernel-objects kernel-scale kernel-ours
	@find $(KERNEL_DIR)/ours $(KERNEL_DIR)/new $(KERNEL_DIR)/old $(KERNEL_THEIRS) -name '*.o' | LC_ALL=C sort > $(KERNEL_DIR)/objects
	@echo "$$(ls $(KERNEL_DIR)/new/*.o | wc -l) of $(words $(KERNEL_PROGS)) selftests compile"
	@$(KERNEL_DIR)/check $(VFLAGS) -k tests/kernel/stricter.txt $$(cat $(KERNEL_DIR)/objects)
	+@$(MAKE) --no-print-directory check-kernel-diff

# What the programs do, here and in Linux: `skep diff` over the same objects, once they are compiled. What may differ, and
# why, stands in tests/kernel/differs.txt.
.PHONY: check-kernel-diff
check-kernel-diff: $(B)/skep
	@find $(KERNEL_DIR)/ours $(KERNEL_DIR)/new $(KERNEL_THEIRS) -name '*.o' | LC_ALL=C sort > $(KERNEL_DIR)/diffed
	@tests/kernel/diff.sh $(B)/skep $(KERNEL_DIR)/diffed tests/kernel/differs.txt

# Objects that nobody here wrote, opened, linked and loaded as they are: libxdp's, the kernel's selftests, and of its tools
# and samples what compiles with headers of user space. For each that does not load: why not.
REAL_DIR   := $(KERNEL_DIR)/tools
REAL_NAMES  = $(basename $(basename $(notdir $(wildcard $(REAL_DIR)/src/*.bpf.c)))) $(basename $(notdir $(wildcard $(REAL_DIR)/src/*_kern.c)))
$(REAL_DIR)/unpacked:
	@mkdir -p $(REAL_DIR)/src
	$(Q)tar -xJf $(LINUX_SRC) -C $(REAL_DIR)/src --transform 's,.*/,,' --wildcards '*/tools/bpf/*.bpf.c' '*/tools/perf/util/bpf_skel/*.bpf.c' \
	  '*/samples/bpf/*.bpf.c' '*/samples/bpf/*_kern.c' '*/tools/bpf/*skeleton/*.h' '*/tools/bpf/runqslower/*.h' '*/tools/perf/util/bpf_skel/*.h' '*/samples/bpf/*.h'
	$(Q)touch $@
$(REAL_DIR)/%.stamp: $(REAL_DIR)/unpacked $(KERNEL_READY)
	$(Q)f=$(REAL_DIR)/src/$*.bpf.c; [ -e $$f ] || f=$(REAL_DIR)/src/$*.c; \
	  $(KERNEL_NEW) $(KERNEL_CF) -D__KERNEL__ -c $$f -o $(@:.stamp=.o) 2> $(@:.stamp=.err) || \
	  $(KERNEL_NEW) $(KERNEL_CF) -c $$f -o $(@:.stamp=.o) 2>> $(@:.stamp=.err) || rm -f $(@:.stamp=.o)
	$(Q)touch $@
# The samples that share xdp_sample.bpf.c are linked with it, as their own Makefile does.
real-linked: $(addprefix $(REAL_DIR)/,$(REAL_NAMES:=.stamp))
	$(Q)cd $(REAL_DIR) && for f in $$(grep -l '"xdp_sample.bpf.h"' src/*.bpf.c); do n=$$(basename $$f .bpf.c); \
	  [ $$n = xdp_sample ] || [ ! -e $$n.o ] || { bpftool gen object $$n.linked $$n.o xdp_sample.o 2>> $$n.err && mv $$n.linked $$n.o || rm -f $$n.linked; }; done
$(KERNEL_DIR)/real: $(B)/obj/tests/kernel/real.o $(CORE_OBJ) $(FULL_OBJ)
	@mkdir -p $(@D)
	$(Q)$(CC) -o $@ $^ $(LDF) $(LIB_LIBS)
real-objects: real-linked
.PHONY: check-real real-objects real-linked
check-real:
	@[ -n "$(LINUX_SRC)" ] && [ -n "$(KERNEL_THEIRS)" ] || tools/deps.sh demo check
	+@$(MAKE) --no-print-directory $(KERNEL_READY) $(REAL_DIR)/unpacked $(KERNEL_DIR)/real
	+@$(MAKE) --no-print-directory -j$$(nproc) kernel-objects real-objects
	@$(KERNEL_DIR)/real -n $(words $(KERNEL_THEIRS)) libxdp $(KERNEL_THEIRS)
	@$(KERNEL_DIR)/real -n 460 selftests $$(ls $(KERNEL_DIR)/new/*.o)
	@$(KERNEL_DIR)/real "tools and samples" $$(ls $(REAL_DIR)/*.o)

bench-verifier:
	@[ -n "$(LINUX_SRC)" ] || tools/deps.sh check
	+@$(MAKE) --no-print-directory $(KERNEL_READY) $(KERNEL_DIR)/bench
	+@$(MAKE) --no-print-directory -j$$(nproc) kernel-scale kernel-ours
	@$(KERNEL_DIR)/bench $(VFLAGS) $$(find $(KERNEL_DIR)/ours $(KERNEL_THEIRS) $(KERNEL_DIR)/old -name '*.o' | LC_ALL=C sort)

-include $(KERNEL_OBJ:.o=.d) $(B)/obj/tests/kernel/check.d $(B)/obj/tests/kernel/real.d $(B)/obj/bench/verifier/main.d
