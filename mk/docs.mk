# What is written from tables.
.PHONY: docs/helpers.md
docs/helpers.md:
	$(Q)tools/helpers_md.sh > $@.new && mv $@.new $@
