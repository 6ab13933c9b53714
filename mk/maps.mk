# Maps by themselves: `make asan-maps` and `make tsan-maps` run the tests of maps and epochs under ASan and UBSan, and
# under TSan, each built with its own flags from nothing but what maps need.
comma      := ,
MAPS_SRC   := vm/epoch.c vm/fields.c vm/object.c vm/heap.c vm/tree.c vm/timer.c vm/code.c vm/prog.c vm/abi/map_types.c $(wildcard base/*.c vm/btf/*.c vm/maps/*.c)
# Which of the tests are run under TSan.
TSAN_TESTS ?= $(MAPS_TESTS)
MAPS_TESTS := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_maps*.c tests/unit/test_epoch.c))
# What of timers and objects runs programs is not called by maps, and is left out.
MAPS_CF    := -std=gnu11 -O1 -g -ffunction-sections $(WARN) -Wno-missing-prototypes -fno-omit-frame-pointer -pthread -Iinclude -I. -D_GNU_SOURCE

define maps_sanitized
.SECONDARY:
$$(B)/maps-$(1)/%.o: %.c
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(MAPS_CF) $(2) -MMD -MP -c $$< -o $$@
$$(B)/maps-$(1)/test_%: tests/unit/test_%.c $$(MAPS_SRC:%.c=$$(B)/maps-$(1)/%.o)
	$$(Q)$$(CC) $$(MAPS_CF) $(2) -MMD -MP -MF $$@.d -Wl,--gc-sections -o $$@ $$(filter %.c %.o,$$^) -lcmocka
.PHONY: $(1)-maps
$(1)-maps: $$($(3):%=$$(B)/maps-$(1)/%)
	@for t in $$^; do echo "$$$$t"; $$$$t || exit 1; done
-include $$(wildcard $$(B)/maps-$(1)/*.d $$(B)/maps-$(1)/*/*.d $$(B)/maps-$(1)/*/*/*.d)
endef
$(eval $(call maps_sanitized,asan,-fsanitize=address$(comma)undefined -fno-sanitize-recover=undefined,MAPS_TESTS))
$(eval $(call maps_sanitized,tsan,-fsanitize=thread,TSAN_TESTS))
