// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SETUP_JOIN_INTERNAL_H
#define MM_SETUP_JOIN_INTERNAL_H

#include "meshmeter/join.h"

/// The parts of joining: join.c (asker, relay, dispatch), join_host.c (the root), join_keys.c (what is made with keys,
/// for HQ, too).

/// Proof of an ask. MM_ERR_UNAVAILABLE, as the next: no key.
mm_err_t mmi_join_tag(const mm_crypto_t *crypto, mm_mac_t asker, const uint8_t nonce[MM_JOIN_NONCE_BYTES],
                      uint32_t revision, uint8_t tag[MM_JOIN_TAG_BYTES]);
mm_err_t mmi_join_answer_key(const mm_crypto_t *asker_crypto, mm_mac_t asker, const uint8_t nonce[MM_JOIN_NONCE_BYTES],
                             uint8_t key[MM_JOIN_KEY_BYTES]);
/// Hide an answer key under the root's, or bring it back.
mm_err_t mmi_join_mask(const mm_crypto_t *root_crypto, mm_mac_t asker, const uint8_t nonce[MM_JOIN_NONCE_BYTES],
                       const uint8_t key[MM_JOIN_KEY_BYTES], uint8_t masked[MM_JOIN_KEY_BYTES]);
/// Additional data of an answer.
#define MMI_JOIN_MORE_BYTES (18 + 6 + MM_JOIN_NONCE_BYTES)
void mmi_join_more(mm_mac_t asker, const uint8_t nonce[MM_JOIN_NONCE_BYTES], uint8_t more[MMI_JOIN_MORE_BYTES]);

bool mmi_join_has_network(const mm_join_t *self);
/// Frames of joining fit the door, wherever they go. A lost one is asked for again.
typedef struct {
    size_t size;
    uint8_t bytes[MM_DOOR_PACKET_BYTES_MAX];
} mmi_join_frame_t;

void mmi_join_send_to_door(mm_join_t *self, mm_mac_t to, const mmi_join_frame_t *frame);
/// An ask that came to the root, heard by `via`.
void mmi_join_host_ask(mm_join_t *self, const mm_join_ask_t *question, mm_mac_t via, mm_us_t now);
void mmi_join_host_forget_all(mm_join_t *self);
mm_us_t mmi_join_host_poll(mm_join_t *self, mm_us_t now);

#endif
