// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEST_SUPPORT_H
#define MM_TEST_SUPPORT_H

// cmocka.h wants these four before it, in any order.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "meshmeter/base.h"

/// Long tests take every n-th of their cases: all on the host, fewer on emulated chips (tests/mcu/CMakeLists.txt).
#ifndef MM_CASES_EVERY
#define MM_CASES_EVERY 1
#endif

/// The test programs' mm_assert_failed: a failed MM_ASSERT fails the running test with its place, and cmocka's
/// expect_assert_failure(call) passes if the call ends in one. Inside the call nothing after the assertion runs,
/// so let it hold no resource.

#endif
