// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/join.h"

#include <stdlib.h>

#include "test_crypto.h"
#include "test_support.h"

// docs/spec/joining.md, 3. Asker 24:0A:C4:01:02:03 with the key 00 01 … 1F, nonce 40 … 4F, revision 7; root with the
// key 20 21 … 3F. Expected values from Python's hmac:
//   h = lambda k, m: hmac.new(k, m, hashlib.sha256).digest()
//   h(asker_key, b"meshmeter join 1" + asker + nonce + (7).to_bytes(4, "little"))[:16]
//   h(asker_key, b"meshmeter admission 1" + asker + nonce), XOR h(root_key, b"meshmeter admission mask 1" + asker +
//   nonce)
static const uint8_t s_tag[MM_JOIN_TAG_BYTES] = {0x0A, 0xA2, 0x73, 0xFE, 0xCA, 0x6A, 0xCF, 0xBB,
                                                 0x7A, 0xA8, 0x99, 0xFD, 0x73, 0xD4, 0x68, 0x76};
static const uint8_t s_hidden_key[MM_JOIN_KEY_BYTES] = {
    0xBB, 0x4F, 0xDF, 0x38, 0x99, 0xF8, 0x42, 0x9A, 0xF4, 0xBE, 0xD8, 0xB4, 0x48, 0x61, 0xE9, 0x4B,
    0x2D, 0x9B, 0xE7, 0x3F, 0x7E, 0x22, 0x40, 0x46, 0x30, 0xDA, 0x8B, 0x27, 0x56, 0x49, 0xE7, 0x70};

static mm_join_record_t example(void) {
    mm_join_record_t record = {.asker = {{0x24, 0x0A, 0xC4, 0x01, 0x02, 0x03}}, .revision = 7};
    memcpy(record.tag, s_tag, sizeof record.tag);
    for (uint8_t i = 0; i < MM_JOIN_NONCE_BYTES; i++) {
        record.nonce[i] = (uint8_t)(0x40 + i);
    }
    return record;
}

static void test_join_proof(void **state) {
    (void)state;
    test_crypto_t device = test_crypto_key(0);
    mm_crypto_t crypto = test_crypto(&device);
    mm_join_record_t record = example();
    assert_true(mm_join_is_proved(&record, &crypto));
    for (size_t bit = 0; bit < 8 * sizeof record.tag; bit++) {
        record.tag[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(mm_join_is_proved(&record, &crypto));
        record.tag[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    record.revision = 8;
    assert_false(mm_join_is_proved(&record, &crypto));
    record = example();
    record.nonce[15] ^= 1;
    assert_false(mm_join_is_proved(&record, &crypto));
    record = example();
    record.asker.bytes[5] ^= 1;
    assert_false(mm_join_is_proved(&record, &crypto));
    // Who heard it, and when, is not the asker's to say.
    record = example();
    record.via.bytes[0] = 2;
    record.at.seconds = 9;
    assert_true(mm_join_is_proved(&record, &crypto));
    test_crypto_t other = test_crypto_key(1);
    mm_crypto_t other_crypto = test_crypto(&other);
    assert_false(mm_join_is_proved(&record, &other_crypto));
    device.has_key = false;
    assert_false(mm_join_is_proved(&record, &crypto));
    assert_false(mm_join_is_proved(&record, NULL));
}

static void test_join_admit_body(void **state) {
    (void)state;
    test_crypto_t asker = test_crypto_key(0);
    test_crypto_t root = test_crypto_key(0x20);
    mm_crypto_t asker_crypto = test_crypto(&asker);
    mm_crypto_t root_crypto = test_crypto(&root);
    const mm_join_record_t record = example();
    mm_admit_body_t admit;
    assert_int_equal(mm_join_admit_body(&record, &asker_crypto, &root_crypto, &admit), MM_OK);
    assert_true(mm_mac_equal(admit.asker, record.asker));
    assert_memory_equal(admit.nonce, record.nonce, sizeof admit.nonce);
    assert_memory_equal(admit.hidden_key, s_hidden_key, sizeof s_hidden_key);
    static const mm_admit_body_t nothing;
    root.has_key = false;
    assert_int_equal(mm_join_admit_body(&record, &asker_crypto, &root_crypto, &admit), MM_ERR_UNAVAILABLE);
    assert_memory_equal(&admit, &nothing, sizeof admit);
    root.has_key = true;
    asker.has_key = false;
    assert_int_equal(mm_join_admit_body(&record, &asker_crypto, &root_crypto, &admit), MM_ERR_UNAVAILABLE);
    assert_int_equal(mm_join_admit_body(&record, &root_crypto, NULL, &admit), MM_ERR_UNAVAILABLE);
    assert_memory_equal(&admit, &nothing, sizeof admit);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_join_proof),
        cmocka_unit_test(test_join_admit_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
