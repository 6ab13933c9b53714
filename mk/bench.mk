# Speed: `make bench` prints ratios over native code, `make bench-opts` what each optimisation of the JIT gains,
# `make bench-interp` the same of the interpreter; `make bench-start` what a start of skep costs, `make bench-kernel` (at
# the end of `make bench`) what opening and loading for Linux does. Each program of
# bench/progs and bench/progs2 is compiled four times from one source: native without and with vectors, BPF, and BPF for
# the kernel's verifier. SET: 1, 2 or both. BENCHFLAGS: options of the bench program, e.g. '-r 30'; BENCH_PROGS: names,
# to keep to some.
BENCH_CC      ?= $(firstword $(foreach c,clang-19 clang-22 clang-16 clang,$(if $(shell command -v $(c)),$(c))) clang-19)
BENCH_OBJCOPY ?= $(firstword $(foreach c,$(patsubst clang%,llvm-objcopy%,$(BENCH_CC)) llvm-objcopy llvm-objcopy-19,$(if $(shell command -v $(c)),$(c))) llvm-objcopy)
BENCH_NAMES   := $(filter-out prog,$(basename $(notdir $(wildcard bench/progs/*.c bench/progs2/*.c))))
BENCH_BIN     := $(BENCH_NAMES:%=$(B)/bench/%.bin) $(BENCH_NAMES:%=$(B)/bench/%.kernel.bin)
BENCH_OBJ     := $(patsubst %,$(B)/obj/bench/%.o,main measure programs kernel profile)
BENCH_WARN    := -Wall -Wextra -Werror -Ibench/progs
BENCH_INCLUDE := $(addprefix -I,$(wildcard /usr/include/$(shell uname -m)-linux-gnu))
BENCH_BPF     := $(BENCH_WARN) -O2 -g -ffreestanding -target bpf -mcpu=v3
SET           ?= both

.PHONY: bench bench-opts bench-interp bench-count bench-start bench-build bench-start-build bench-set2 bench-compile
bench-build:
	@tools/deps.sh build demo
	+@$(MAKE) --no-print-directory -j$$(nproc) $(B)/bench/bench $(BENCH_BIN)

bench: bench-build bench-set2
	@$(B)/bench/bench -s $(SET) $(BENCHFLAGS) $(B)/bench $(BENCH_PROGS)
	+@$(MAKE) --no-print-directory bench-kernel BENCHFLAGS=
bench-opts bench-interp bench-count: bench-%: bench-build bench-set2
	@$(B)/bench/bench -s $(SET) -t $* $(BENCHFLAGS) $(B)/bench $(BENCH_PROGS)

# The second set is as it was when it was chosen: names, sizes and sources. `make bench-hash` writes what it is now.
BENCH_HASH = for f in bench/progs2.def bench/progs2/*.c; do printf '%s %s\n' "$$(sha256sum < $$f | cut -d' ' -f1)" "$$f"; done
bench-set2:
	@$(BENCH_HASH) | cmp -s - bench/progs2/HASH || { echo "bench: the second set is not what bench/progs2/HASH says" >&2; exit 1; }
.PHONY: bench-hash
bench-hash:
	@$(BENCH_HASH) > bench/progs2/HASH

# No vectors in native code: bytecode has none, and what they gain says nothing of an engine. One column shows it.
define bench_compile
$$(B)/bench/%.native.o: $(1)/%.c bench/progs/prog.h mk/bench.mk
	@mkdir -p $$(@D)
	$$(Q)$$(BENCH_CC) $$(BENCH_WARN) -O2 -g -fno-vectorize -fno-slp-vectorize -DBENCH_NAME=$$* -c $$< -o $$@
$$(B)/bench/%.vector.o: $(1)/%.c bench/progs/prog.h mk/bench.mk
	@mkdir -p $$(@D)
	$$(Q)$$(BENCH_CC) $$(BENCH_WARN) -O2 -g -DBENCH_NAME=vec_$$* -c $$< -o $$@
$$(B)/bench/%.kernel.o: $(1)/%.c bench/progs/prog.h mk/bench.mk
	@mkdir -p $$(@D)
	$$(Q)$$(BENCH_CC) $$(BENCH_BPF) -DBENCH_NAME=$$* -DBENCH_KERNEL -c $$< -o $$@
$$(B)/bench/%.o: $(1)/%.c bench/progs/prog.h mk/bench.mk
	@mkdir -p $$(@D)
	$$(Q)$$(BENCH_CC) $$(BENCH_BPF) -DBENCH_NAME=$$* -c $$< -o $$@
endef
$(eval $(call bench_compile,bench/progs))
$(eval $(call bench_compile,bench/progs2))
$(B)/bench/%.bin: $(B)/bench/%.o
	$(Q)$(BENCH_OBJCOPY) -O binary --only-section=.text $< $@
.PRECIOUS: $(B)/bench/%.o $(B)/bench/%.kernel.o

$(B)/bench/bench: $(BENCH_OBJ) $(BENCH_NAMES:%=$(B)/bench/%.native.o) $(BENCH_NAMES:%=$(B)/bench/%.vector.o) $(CORE_OBJ)
	$(Q)$(CC) -o $@ $^ $(LDF) -lm

-include $(BENCH_OBJ:.o=.d)

# How long machine code takes to be made, of both sets and of made programs up to a million instructions.
COMPILE_OBJ := $(patsubst %,$(B)/obj/bench/%.o,compile/main compile/shapes programs)
$(B)/bench/compile: $(COMPILE_OBJ) $(BENCH_NAMES:%=$(B)/bench/%.native.o) $(BENCH_NAMES:%=$(B)/bench/%.vector.o) $(CORE_OBJ)
	$(Q)$(CC) -o $@ $^ $(LDF) -lm
bench-compile: bench-set2
	@tools/deps.sh build demo
	+@$(MAKE) --no-print-directory -j$$(nproc) $(B)/bench/compile $(BENCH_BIN)
	@$(B)/bench/compile $(BENCHFLAGS) $(B)/bench $(BENCH_PROGS)
-include $(COMPILE_OBJ:.o=.d)

# From start to finish: a median object that needs the kernel's types, and memory without them.
START_BPF := $(patsubst %,$(B)/bench/start/%.bpf.o,core plain)
$(B)/bench/start/%.bpf.o: bench/start/%.bpf.c mk/bench.mk
	@mkdir -p $(@D)
	$(Q)$(BENCH_CC) $(BENCH_WARN) -O2 -g -target bpf -mcpu=v3 $(BENCH_INCLUDE) -c $< -o $@
$(B)/bench/start/start: bench/start/start.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CF) -o $@ $<

bench-start-build: $(B)/skep $(START_BPF) $(B)/bench/start/start
bench-start:
	@tools/deps.sh build demo
	+@$(MAKE) --no-print-directory -j$$(nproc) bench-start-build
	@head -c 64 /dev/zero > $(B)/bench/start/packet
	@bad=0; start=$(B)/bench/start/start; \
	  $$start 15 0 "core: kernel's types" $(B)/skep run $(B)/bench/start/core.bpf.o || bad=1; \
	  $$start 0 8192 "plain: none" $(B)/skep run $(B)/bench/start/plain.bpf.o data_in $(B)/bench/start/packet || bad=1; \
	  exit $$bad

# Maps, helpers and calls beside Linux's and a table in C.
PATHS_OBJ := $(patsubst %,$(B)/obj/bench/paths/%.o,main table)
PATHS_BPF := $(patsubst %,$(B)/bench/paths/%.bpf.o,paths callback maps)
$(B)/bench/paths/%.bpf.o: bench/paths/%.bpf.c mk/bench.mk
	@mkdir -p $(@D)
	$(Q)$(BENCH_CC) $(BENCH_WARN) -Wno-unused-parameter -O2 -g -target bpf -mcpu=v3 $(BENCH_INCLUDE) -c $< -o $@
$(B)/bench/paths/paths: $(PATHS_OBJ) $(CORE_OBJ) $(FULL_OBJ)
	@mkdir -p $(@D)
	$(Q)$(CC) -o $@ $^ $(LDF) $(LIB_LIBS) -lbpf
.PHONY: bench-paths bench-paths-build
bench-paths-build: $(B)/bench/paths/paths $(PATHS_BPF)
bench-paths:
	@tools/deps.sh build demo
	+@$(MAKE) --no-print-directory -j$$(nproc) bench-paths-build
	@$(B)/bench/paths/paths $(BENCHFLAGS) $(B)/bench/paths $(BENCH_PATHS)
-include $(PATHS_OBJ:.o=.d)

# Opening and loading for Linux, beside plain libbpf: our examples, the objects above, libxdp's.
LOAD_BPF := $(patsubst %.bpf.c,$(B)/bench/load/%.bpf.o,$(notdir $(wildcard examples/*/*.bpf.c examples/*.bpf.c)))
vpath %.bpf.c $(wildcard examples examples/*/)
$(B)/bench/load/%.bpf.o: %.bpf.c mk/bench.mk
	@mkdir -p $(@D)
	$(Q)$(BENCH_CC) -O2 -g -target bpf -mcpu=v3 -D__TARGET_ARCH_$(patsubst x86_64,x86,$(patsubst aarch64,arm64,$(shell uname -m))) $(BENCH_INCLUDE) -c $< -o $@
$(B)/bench/load/load: $(B)/obj/bench/kernel/main.o $(CORE_OBJ) $(FULL_OBJ)
	@mkdir -p $(@D)
	$(Q)$(CC) -o $@ $^ $(LDF) $(LIB_LIBS) -lm
.PHONY: bench-kernel bench-kernel-build
bench-kernel-build: $(if $(strip $(LIBBPF)),$(B)/bench/load/load $(LOAD_BPF) $(START_BPF))
bench-kernel:
	@tools/deps.sh build demo
	+@$(MAKE) --no-print-directory -j$$(nproc) bench-kernel-build
	@[ -z "$(strip $(LIBBPF))" ] || $(B)/bench/load/load $(BENCHFLAGS) -t $(B)/bench/start/core.bpf.o $(LOAD_BPF) $(START_BPF) $(wildcard /usr/lib/*/bpf/xdp*.o)
-include $(B)/obj/bench/kernel/main.d
