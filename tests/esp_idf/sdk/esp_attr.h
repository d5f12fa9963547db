// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_ESP_ATTR_H
#define MM_SDK_ESP_ATTR_H

#ifndef MM_SDK_IS_REAL
#define IRAM_ATTR
#define DRAM_ATTR
#define RTC_NOINIT_ATTR
#endif

#endif
