# Tests and the demo. A suite is a command that ends with `N passed, N failed, N skipped` (cmocka's own closing lines count
# too); tests/check.sh runs suites one after the other and adds up.

.PHONY: check check-all check-build demo
check:
	@tools/deps.sh build demo check
	+@$(MAKE) --no-print-directory -j$$(nproc) check-build
	@B=$(B) tests/check.sh

# check, and Linux's own suites.
check-all:
	@tools/deps.sh build demo check
	+@$(MAKE) --no-print-directory -j$$(nproc) check-build
	@B=$(B) WITH_LINUX=1 tests/check.sh

check-build: all unit $(B)/bpftest $(B)/objtest $(B)/vfuzz

demo:
	@tools/deps.sh build demo
	+@$(MAKE) --no-print-directory -j$$(nproc) all
	@B=$(B) examples/demo.sh
