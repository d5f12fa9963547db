// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_ESP_ATTR_H
#define MM_SDK_ESP_ATTR_H

#ifndef MM_SDK_IS_REAL
#define IRAM_ATTR
#define DRAM_ATTR
#ifdef MM_ESP_ON_HOST
// In one place, so that a test can lose it (fake_system.h).
#define RTC_NOINIT_ATTR __attribute__((section("mm_rtc_noinit")))
#else
#define RTC_NOINIT_ATTR
#endif
#endif

#endif
