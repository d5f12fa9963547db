// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEST_FAKE_EVENT_H
#define MM_TEST_FAKE_EVENT_H

#include <esp_event.h>

/// Call every handler that is registered for it, in the order of registration. Returns how many.
unsigned fake_event_post(esp_event_base_t base, int32_t id, void *data);
unsigned fake_event_handler_count(void);

#endif
