// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEST_FAKE_SNTP_H
#define MM_TEST_FAKE_SNTP_H

#include <esp_netif_sntp.h>
#include <stdbool.h>
#include <stdint.h>

bool fake_sntp_is_running(void);
/// The server that is asked; "" = none.
const char *fake_sntp_server(void);
/// The server answers: this time, in seconds and microseconds.
void fake_sntp_answer(int64_t s, int64_t us);

#endif
