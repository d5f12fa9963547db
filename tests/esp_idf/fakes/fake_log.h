// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEST_FAKE_LOG_H
#define MM_TEST_FAKE_LOG_H

#include <stdbool.h>

/// What ESP_LOGx wrote since the last reset, as text "E tag: message\n".
const char *fake_log_text(void);
bool fake_log_contains(const char *part);

#endif
