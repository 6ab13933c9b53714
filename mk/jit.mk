# The encoder's bytes are read back with Capstone; where it is not installed, that test says so and skips.
ifneq ($(wildcard /usr/include/capstone/capstone.h),)
$(B)/unit/test_encode_x86: LIB_LIBS += -lcapstone
endif
