// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_ESP_INTR_ALLOC_H
#define MM_SDK_ESP_INTR_ALLOC_H

#ifndef MM_SDK_IS_REAL
#define ESP_INTR_FLAG_IRAM (1 << 10)
#endif

#endif
