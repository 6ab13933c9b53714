# skep: `make demo` and `make check` are the two commands; the rest is below.
# B: build directory; SAN=1: with ASan and UBSan; CC: gcc or clang; V=1: show commands.
B        ?= build
ifeq ($(origin CC),default)
CC       := gcc
endif
PREFIX   ?= /usr/local
DESTDIR  ?=
LIBDIR   ?= $(PREFIX)/lib
OPT      ?= -O2
VERSION  := 0.1.0
SOMAJOR  := 0

Q        := $(if $(V),,@)
WARN     := -Wall -Wextra -Werror -Wmissing-prototypes -Wstrict-prototypes
CFLAGS   ?=
CF       := -std=gnu11 $(OPT) -g $(WARN) -fvisibility=hidden -fPIC -pthread -Iinclude -I. -D_GNU_SOURCE -DSKEP_VERSION='"$(VERSION)"' $(CFLAGS)
LDF      := -pthread $(LDFLAGS)
ifdef SAN
CF       += -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
LDF      += -fsanitize=address,undefined
endif

# Rooms. The core is libc and pthreads alone; the full library adds libelf, and libbpf where it is installed.
CORE_SRC := $(wildcard base/*.c vm/*.c vm/*/*.c verifier/*.c jit/*.c jit/*/*.c api/core/*.c)
FULL_SRC := $(wildcard loader/*.c api/*.c)
CLI_SRC  := $(wildcard cli/*.c)
CORE_OBJ := $(CORE_SRC:%.c=$(B)/obj/%.o)
FULL_OBJ := $(FULL_SRC:%.c=$(B)/obj/%.o)
CLI_OBJ  := $(CLI_SRC:%.c=$(B)/obj/%.o)
LIB_LIBS := -lelf -lz

# Linux's backend, where libbpf is installed; `make LIBBPF=` leaves it out.
LIBBPF   ?= $(wildcard /usr/include/bpf/libbpf.h)
ifneq ($(strip $(LIBBPF)),)
$(B)/obj/api/backend.o: CF += -DSKEP_LIBBPF
LIB_LIBS := -lbpf $(LIB_LIBS)
else
FULL_OBJ := $(filter-out $(B)/obj/loader/kernel%.o $(B)/obj/api/kernel%.o,$(FULL_OBJ))
endif
CLI_LIBS := -lpcap

.PHONY: all
all: $(B)/skep $(B)/libskep-core.a $(B)/libskep.a $(B)/libskep.so $(B)/skep.pc

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CF) -MMD -MP -c $< -o $@

# One relocatable object with hidden names made local, so that an archive shows skep_ names only.
define archive
	$(Q)rm -f $@ && $(CC) -r -nostdlib -o $(@:.a=.o) $^ && objcopy --localize-hidden $(@:.a=.o) && ar rcs $@ $(@:.a=.o) && rm -f $(@:.a=.o)
endef
$(B)/libskep-core.a: $(CORE_OBJ)
	$(archive)
$(B)/libskep.a: $(CORE_OBJ) $(FULL_OBJ)
	$(archive)
$(B)/libskep.so: $(CORE_OBJ) $(FULL_OBJ) api/skep.map
	$(Q)$(CC) -shared -Wl,-soname,libskep.so.$(SOMAJOR) -Wl,--version-script=api/skep.map -o $@ $(CORE_OBJ) $(FULL_OBJ) $(LDF) $(LIB_LIBS)
	$(Q)ln -sf libskep.so $(B)/libskep.so.$(SOMAJOR)
$(B)/skep: $(CLI_OBJ) $(CORE_OBJ) $(FULL_OBJ)
	$(Q)$(CC) -o $@ $^ $(LDF) $(LIB_LIBS) $(CLI_LIBS)
# Written anew when PREFIX or LIBDIR is another than last time.
.PHONY: force
$(B)/skep.pc: force
	@mkdir -p $(@D)
	@printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$(LIBDIR)' 'includedir=$${prefix}/include' '' 'Name: skep' \
	  'Description: eBPF in userspace: loader, verifier, interpreter and JIT' 'Version: $(VERSION)' \
	  'Libs: -L$${libdir} -lskep' 'Libs.private: $(LIB_LIBS) -pthread' 'Cflags: -I$${includedir}' > $@.new
	@if cmp -s $@.new $@; then rm -f $@.new; else mv $@.new $@; fi

.PHONY: install
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(PREFIX)/include/skep
	install -m755 $(B)/skep $(DESTDIR)$(PREFIX)/bin/
	install -m644 $(B)/libskep-core.a $(B)/libskep.a $(DESTDIR)$(LIBDIR)/
	install -m755 $(B)/libskep.so $(DESTDIR)$(LIBDIR)/libskep.so.$(VERSION)
	ln -sf libskep.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libskep.so.$(SOMAJOR)
	ln -sf libskep.so.$(SOMAJOR) $(DESTDIR)$(LIBDIR)/libskep.so
	install -m644 include/skep/*.h $(DESTDIR)$(PREFIX)/include/skep/
	install -m644 $(B)/skep.pc $(DESTDIR)$(LIBDIR)/pkgconfig/

# Unit tests: one cmocka program a file, linked with everything, hidden names included.
UNIT_SRC := $(wildcard tests/unit/*.c)
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(B)/unit/%)
$(B)/unit/%: tests/unit/%.c $(CORE_OBJ) $(FULL_OBJ)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CF) -Wno-missing-prototypes -MMD -MP -MF $@.d -o $@ $< $(CORE_OBJ) $(FULL_OBJ) $(LDF) $(LIB_LIBS) -lcmocka
$(B)/unit/test_cbpf: LIB_LIBS += -lpcap
.PHONY: unit
unit: $(UNIT_BIN)

# The runner of .bpf files.
$(B)/bpftest: $(patsubst %.c,$(B)/obj/%.o,$(wildcard tests/runner/*.c tests/ir/*.c)) $(CORE_OBJ) $(FULL_OBJ)
	$(Q)$(CC) -o $@ $^ $(LDF) $(LIB_LIBS)

-include $(wildcard mk/*.mk)

.PHONY: deps check layers lint format clean
deps:
	@tools/deps.sh

layers:
	@tools/layers.sh

lint: layers
	@tools/lint.sh

format:
	clang-format -i $$(find . \( -path './build*' -o -path './.?*' \) -prune -o -name '*.[ch]' -print | grep -v '^./tests/.*\.bpf')

clean:
	rm -rf $(B)

-include $(CORE_OBJ:.o=.d) $(FULL_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(wildcard $(B)/obj/tests/runner/*.d $(B)/obj/tests/ir/*.d $(B)/unit/*.d)
