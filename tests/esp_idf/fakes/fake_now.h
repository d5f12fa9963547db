// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEST_FAKE_NOW_H
#define MM_TEST_FAKE_NOW_H

#include <esp_now.h>
#include <stdbool.h>

/// ESP-NOW: peers, and what was sent to them.

#define FAKE_NOW_PEERS_MAX 20

typedef struct {
    bool is_open;
    esp_now_recv_cb_t receive;
    esp_now_peer_info_t peers[FAKE_NOW_PEERS_MAX];
    unsigned peer_count;
    unsigned send_count;
    uint8_t sent_to[6];
    uint8_t sent_channel; ///< of the radio when it was sent
    size_t sent_bytes;
    uint8_t sent[ESP_NOW_MAX_DATA_LEN];
} fake_now_t;

/// May be changed by the test.
fake_now_t *fake_now(void);
/// A packet arrives, if somebody listens.
void fake_now_receive(const uint8_t from[6], const void *data, int data_len);

#endif
