// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "meshmeter/bytes.h"
#include "setup/join_internal.h"

// docs/spec/joining.md, 3. Each word begins otherwise than what the device's key signs elsewhere.
static const char s_ask[] = "meshmeter join 1";
static const char s_answer_key[] = "meshmeter admission 1";
static const char s_more[] = "meshmeter answer 1";
static const char s_mask[] = "meshmeter admission mask 1";

#define COVERED_BYTES_MAX (sizeof s_mask - 1 + 6 + MM_JOIN_NONCE_BYTES + 4)

static mm_err_t make(const mm_crypto_t *crypto, const char *word, mm_mac_t asker,
                     const uint8_t nonce[MM_JOIN_NONCE_BYTES], const uint32_t *revision, uint8_t mac[MM_HMAC_BYTES]) {
    if (crypto == NULL || crypto->device_hmac == NULL) {
        return MM_ERR_UNAVAILABLE;
    }
    uint8_t bytes[COVERED_BYTES_MAX];
    mm_writer_t writer = mm_writer(bytes, sizeof bytes);
    mm_put_bytes(&writer, word, strlen(word));
    mm_put_mac(&writer, asker);
    mm_put_bytes(&writer, nonce, MM_JOIN_NONCE_BYTES);
    if (revision != NULL) {
        mm_put_u32(&writer, *revision);
    }
    MM_ASSERT(!writer.failed);
    return crypto->device_hmac(crypto->context, bytes, writer.used_bytes, mac) == MM_OK ? MM_OK : MM_ERR_UNAVAILABLE;
}

mm_err_t mmi_join_tag(const mm_crypto_t *crypto, mm_mac_t asker, const uint8_t nonce[MM_JOIN_NONCE_BYTES],
                      uint32_t revision, uint8_t tag[MM_JOIN_TAG_BYTES]) {
    uint8_t mac[MM_HMAC_BYTES] = {0};
    mm_err_t err = make(crypto, s_ask, asker, nonce, &revision, mac);
    memcpy(tag, mac, MM_JOIN_TAG_BYTES);
    return err;
}

mm_err_t mmi_join_answer_key(const mm_crypto_t *asker_crypto, mm_mac_t asker, const uint8_t nonce[MM_JOIN_NONCE_BYTES],
                             uint8_t key[MM_JOIN_KEY_BYTES]) {
    return make(asker_crypto, s_answer_key, asker, nonce, NULL, key);
}

mm_err_t mmi_join_mask(const mm_crypto_t *root_crypto, mm_mac_t asker, const uint8_t nonce[MM_JOIN_NONCE_BYTES],
                       const uint8_t key[MM_JOIN_KEY_BYTES], uint8_t masked[MM_JOIN_KEY_BYTES]) {
    uint8_t mask[MM_HMAC_BYTES] = {0};
    mm_err_t err = make(root_crypto, s_mask, asker, nonce, NULL, mask);
    for (size_t i = 0; i < MM_JOIN_KEY_BYTES && err == MM_OK; i++) {
        masked[i] = key[i] ^ mask[i];
    }
    mm_wipe(mask, sizeof mask);
    return err;
}

void mmi_join_more(mm_mac_t asker, const uint8_t nonce[MM_JOIN_NONCE_BYTES], uint8_t more[MMI_JOIN_MORE_BYTES]) {
    mm_writer_t writer = mm_writer(more, MMI_JOIN_MORE_BYTES);
    mm_put_bytes(&writer, s_more, sizeof s_more - 1);
    mm_put_mac(&writer, asker);
    mm_put_bytes(&writer, nonce, MM_JOIN_NONCE_BYTES);
    MM_ASSERT(!writer.failed && writer.used_bytes == MMI_JOIN_MORE_BYTES);
}

bool mm_join_is_proved(const mm_join_record_t *record, const mm_crypto_t *asker_crypto) {
    uint8_t tag[MM_JOIN_TAG_BYTES];
    return mmi_join_tag(asker_crypto, record->asker, record->nonce, record->revision, tag) == MM_OK &&
           mm_bytes_equal_constant_time(tag, record->tag, sizeof tag);
}

mm_err_t mm_join_admit_body(const mm_join_record_t *record, const mm_crypto_t *asker_crypto,
                            const mm_crypto_t *root_crypto, mm_admit_body_t *admit) {
    uint8_t key[MM_JOIN_KEY_BYTES];
    memset(admit, 0, sizeof *admit);
    mm_err_t err = mmi_join_answer_key(asker_crypto, record->asker, record->nonce, key);
    if (err == MM_OK) {
        err = mmi_join_mask(root_crypto, record->asker, record->nonce, key, admit->hidden_key);
    }
    if (err == MM_OK) {
        admit->asker = record->asker;
        memcpy(admit->nonce, record->nonce, sizeof admit->nonce);
    }
    mm_wipe(key, sizeof key);
    return err;
}
