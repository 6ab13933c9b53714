# Speed: `make bench` prints one table of ratios over native code; `make bench-start` what a start of skep costs. Each
# program of bench/progs is compiled three times from one source: native, BPF, and BPF for the kernel's verifier.
# BENCHFLAGS: options of the bench program, e.g. '-r 30 -o'; BENCH_PROGS: names, to keep to some.
BENCH_CC      ?= $(firstword $(foreach c,clang-19 clang-22 clang-16 clang,$(if $(shell command -v $(c)),$(c))) clang-19)
BENCH_OBJCOPY ?= $(firstword $(foreach c,$(patsubst clang%,llvm-objcopy%,$(BENCH_CC)) llvm-objcopy llvm-objcopy-19,$(if $(shell command -v $(c)),$(c))) llvm-objcopy)
BENCH_NAMES   := $(filter-out prog,$(basename $(notdir $(wildcard bench/progs/*.c))))
BENCH_BIN     := $(BENCH_NAMES:%=$(B)/bench/%.bin) $(BENCH_NAMES:%=$(B)/bench/%.kernel.bin)
BENCH_OBJ     := $(patsubst %,$(B)/obj/bench/%.o,main kernel profile)
BENCH_WARN    := -Wall -Wextra -Werror
BENCH_INCLUDE := $(addprefix -I,$(wildcard /usr/include/$(shell uname -m)-linux-gnu))
BENCH_BPF     := $(BENCH_WARN) -O2 -g -ffreestanding -target bpf -mcpu=v3

.PHONY: bench bench-start bench-build bench-start-build
bench-build:
	@tools/deps.sh build demo
	+@$(MAKE) --no-print-directory -j$$(nproc) $(B)/bench/bench $(BENCH_BIN)

bench: bench-build
	@$(B)/bench/bench $(BENCHFLAGS) $(B)/bench $(BENCH_PROGS)

# No vectors in native code: bytecode has none, and what they gain says nothing of an engine.
$(B)/bench/%.native.o: bench/progs/%.c bench/progs/prog.h mk/bench.mk
	@mkdir -p $(@D)
	$(Q)$(BENCH_CC) $(BENCH_WARN) -O2 -g -fno-vectorize -fno-slp-vectorize -DBENCH_NAME=$* -c $< -o $@
$(B)/bench/%.kernel.o: bench/progs/%.c bench/progs/prog.h mk/bench.mk
	@mkdir -p $(@D)
	$(Q)$(BENCH_CC) $(BENCH_BPF) -DBENCH_NAME=$* -DBENCH_KERNEL -c $< -o $@
$(B)/bench/%.o: bench/progs/%.c bench/progs/prog.h mk/bench.mk
	@mkdir -p $(@D)
	$(Q)$(BENCH_CC) $(BENCH_BPF) -DBENCH_NAME=$* -c $< -o $@
$(B)/bench/%.bin: $(B)/bench/%.o
	$(Q)$(BENCH_OBJCOPY) -O binary --only-section=.text $< $@
.PRECIOUS: $(B)/bench/%.o $(B)/bench/%.kernel.o

$(B)/bench/bench: $(BENCH_OBJ) $(BENCH_NAMES:%=$(B)/bench/%.native.o) $(CORE_OBJ)
	$(Q)$(CC) -o $@ $^ $(LDF) -lm

-include $(BENCH_OBJ:.o=.d)

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
