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
/// What was secret, and is not needed any more.
void mmi_join_wipe(void *bytes, size_t bytes_count);

#endif
