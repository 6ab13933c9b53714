# Feeds: libFuzzer targets under ASan and UBSan, one a kind of hostile input (fuzz/feed). `make fuzz FUZZ_SECONDS=60`
# runs each for that long, from what stands in FUZZ_CORPUS, and keeps there what it finds worth keeping;
# `make check` runs each a fixed number of times from a fixed seed. FEEDS: which.
FUZZ_CC      ?= $(firstword $(foreach c,clang-19 clang-16 clang-14 clang,$(if $(shell command -v $(c)),$(c))) clang-19)
FUZZ_SECONDS ?= 60
FUZZ_CORPUS  ?= $(B)/fuzz/corpus
FEEDS        ?= $(FEED_CORE) $(FEED_CLI)
FEED_CORE    := asm btf core sandbox object
FEED_CLI     := pcap map ctx fields world cbpf

.PHONY: fuzz fuzz-build feeds
fuzz-build:
	+@$(MAKE) --no-print-directory B=$(B)/fuzz CC=$(FUZZ_CC) SAN=1 OPT=-O1 CFLAGS=-fsanitize=fuzzer-no-link LIBBPF= feeds
fuzz: fuzz-build
	@B=$(B) FUZZ_CORPUS=$(FUZZ_CORPUS) fuzz/feed/run.sh --seconds $(FUZZ_SECONDS) $(FEEDS)

feeds: $(FEEDS:%=$(B)/feed_%)

# What objects are linked against in place of the machine's kernel, which would take longer than all the rest.
$(B)/obj/fuzz/feed/object.o: CF += -DFEED_TARGET='"$(B)/seed/target.btf"'

$(FEED_CORE:%=$(B)/feed_%): $(B)/feed_%: $(B)/obj/fuzz/feed/%.o $(B)/obj/fuzz/feed/feed.o $(CORE_OBJ) $(FULL_OBJ)
	$(Q)$(CC) -o $@ $^ $(LDF) -fsanitize=fuzzer $(LIB_LIBS)

# The command with another name for its main(), once a kind of file.
FEED_OBJ      := $(B)/seed/prog.bpf.o
FEED_ARG_pcap := "run", "$(FEED_OBJ)", "packets", "pcap_in", "@", "pcap_out", "/dev/null", "--packets", "200", "--max-insns", "5000"
FEED_ARG_map  := "run", "$(FEED_OBJ)", "packets", "--map", "table=@", "--map", "percpu=@", "--maps-from", "@", "--dump-maps", "data_in", "hex:0000000000000000000000000000"
FEED_ARG_ctx  := "run", "$(FEED_OBJ)", "packets", "ctx_in", "@", "data_in", "hex:0000000000000000000000000000"
FEED_ARG_fields := "run", "$(FEED_OBJ)", "packets", "--ctx", "@", "--btf", "$(B)/seed/target.btf", "data_in", "hex:0000000000000000000000000000"
FEED_ARG_cbpf := "run", "--cbpf", "@", "data_in", "hex:0202020202020404040404040800450000280001"
FEED_ARG_world := "run", "$(FEED_OBJ)", "packets", "--world", "@", "--btf", "$(B)/seed/target.btf", "data_in", "hex:0000000000000000000000000000"
$(B)/obj/fuzz/feed/cli_main.o: cli/main.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CF) -Wno-missing-prototypes -Dmain=cli_main -MMD -MP -c $< -o $@
$(FEED_CLI:%=$(B)/obj/fuzz/feed/cli_%.o): $(B)/obj/fuzz/feed/cli_%.o: fuzz/feed/cli.c mk/fuzz.mk
	@mkdir -p $(@D)
	$(Q)$(CC) $(CF) -DFEED_ARGS='$(FEED_ARG_$*)' -MMD -MP -c $< -o $@
$(FEED_CLI:%=$(B)/feed_%): $(B)/feed_%: $(B)/obj/fuzz/feed/cli_%.o $(B)/obj/fuzz/feed/cli_main.o $(B)/obj/fuzz/feed/feed.o \
  $(filter-out $(B)/obj/cli/main.o,$(CLI_OBJ)) $(CORE_OBJ) $(FULL_OBJ)
	$(Q)$(CC) -o $@ $^ $(LDF) -fsanitize=fuzzer $(LIB_LIBS) $(CLI_LIBS)

-include $(wildcard $(B)/obj/fuzz/feed/*.d)
