// SPDX-License-Identifier: Apache-2.0
#include "sim/sim_relay.h"

#include "sim/sim_crypto.h"
#include "test_support.h"

#define HOUR_US (3600 * MM_US_PER_S)
#define HOURS 200

static mm_us_t same(void *context, mm_us_t local) {
    (void)context;
    return local;
}

static void nothing(void *context, const void *payload, size_t payload_bytes) {
    (void)context;
    (void)payload;
    (void)payload_bytes;
}

static void go_to(mm_sim_t *sim, mm_us_t at) {
    mm_sim_queue_add(sim->queue, at, nothing, NULL, NULL, 0);
    while (mm_sim_now(sim) < at) {
        (void)mm_sim_queue_run_next(sim->queue);
    }
}

static uint32_t shown(mm_sim_pulses_t *pulses, uint8_t channel, mm_us_t at) {
    mm_pulse_counts_t counts;
    assert_int_equal(pulses->pulses.read(pulses->pulses.context, at, &counts), MM_OK);
    return counts.counts[channel];
}

// Two equal households, one of them without supply for the second quarter and the last: it consumes what the other one
// does in the rest, no pulse more or less.
static void test_relay_takes_supply_away(void **state) {
    (void)state;
    mm_sim_t sim;
    mm_sim_init(&sim, 5);
    mm_sim_pulses_t free_pulses;
    mm_sim_pulses_t pulses;
    mm_sim_pulses_init(&free_pulses, &sim, 1, HOURS, true, same, NULL);
    mm_sim_pulses_init(&pulses, &sim, 1, HOURS, true, same, NULL);
    mm_sim_pulses_power_up(&pulses, 0);
    mm_sim_relay_t relay;
    mm_sim_relay_init(&relay, &sim, 1, &pulses);
    const mm_us_t ends[] = {HOURS / 4 * HOUR_US + 7, HOURS / 2 * HOUR_US + 11, HOURS * 3 / 4 * HOUR_US + 13,
                            HOURS * HOUR_US};
    uint32_t expected[MM_CHANNELS] = {0};
    mm_us_t begin = 0;
    for (int quarter = 0; quarter < 4; quarter++) {
        bool closed = quarter % 2 == 0;
        for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
            assert_int_equal(relay.relay.set(relay.relay.context, channel, closed), MM_OK);
            assert_int_equal(relay.relay.set(relay.relay.context, channel, closed), MM_OK); // told again: nothing new
        }
        go_to(&sim, ends[quarter]);
        for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
            expected[channel] += closed ? mm_sim_pulses_made(&free_pulses, channel, ends[quarter]) -
                                              mm_sim_pulses_made(&free_pulses, channel, begin)
                                        : 0;
            assert_int_equal(mm_sim_pulses_made(&pulses, channel, ends[quarter]), expected[channel]);
            assert_int_equal(shown(&pulses, channel, ends[quarter]), expected[channel]);
        }
        begin = ends[quarter];
    }
    assert_int_equal(relay.moves[3], 3);
    mm_sim_pulses_deinit(&pulses);
    mm_sim_pulses_deinit(&free_pulses);
    mm_sim_deinit(&sim);
}

static void test_relay_that_refuses_stays(void **state) {
    (void)state;
    mm_sim_t sim;
    mm_sim_init(&sim, 5);
    mm_sim_pulses_t pulses;
    mm_sim_pulses_init(&pulses, &sim, 1, HOURS, false, same, NULL);
    mm_sim_relay_t relay;
    mm_sim_relay_init(&relay, &sim, 1, &pulses);
    relay.refused = 1000000;
    assert_int_equal(relay.relay.set(relay.relay.context, 2, false), MM_ERR_UNAVAILABLE);
    assert_true(relay.closed[2]);
    assert_int_equal(sim.faults[MM_SIM_FAULT_RELAY_REFUSED], 1);
    relay.refused = 0;
    assert_int_equal(relay.relay.set(relay.relay.context, 2, false), MM_OK);
    assert_false(relay.closed[2]);
    mm_sim_pulses_deinit(&pulses);
    mm_sim_deinit(&sim);
}

static void test_crypto_tells_keys_and_bytes_apart(void **state) {
    (void)state;
    uint8_t macs[4][MM_HMAC_BYTES];
    mm_sim_crypto_t crypto[2];
    mm_sim_crypto_init(&crypto[0], 9, 0);
    mm_sim_crypto_init(&crypto[1], 9, 1);
    const mm_crypto_t *first = &crypto[0].crypto;
    const mm_crypto_t *second = &crypto[1].crypto;
    assert_int_equal(first->device_hmac(first->context, "abc", 3, macs[0]), MM_OK);
    assert_int_equal(first->device_hmac(first->context, "abd", 3, macs[1]), MM_OK);
    assert_int_equal(second->device_hmac(second->context, "abc", 3, macs[2]), MM_OK);
    assert_int_equal(first->device_hmac(first->context, "abc", 3, macs[3]), MM_OK);
    assert_memory_equal(macs[0], macs[3], MM_HMAC_BYTES);
    // The halves differ as well: a tag is the first one.
    assert_memory_not_equal(macs[0], macs[0] + MM_HMAC_BYTES / 2, MM_HMAC_BYTES / 2);
    assert_memory_not_equal(macs[0], macs[1], MM_HMAC_BYTES / 2);
    assert_memory_not_equal(macs[0], macs[2], MM_HMAC_BYTES / 2);
}

static void test_crypto_seals(void **state) {
    (void)state;
    static mm_sim_crypto_t device;
    mm_sim_crypto_init(&device, 1, 0);
    const mm_crypto_t *crypto = &device.crypto;
    uint8_t key[MM_AES256_KEY_BYTES] = {7};
    const uint8_t iv[MM_AEAD_IV_BYTES] = {9};
    uint8_t sealed[21 + MM_AEAD_TAG_BYTES];
    char opened[21];
    assert_int_equal(crypto->aead_seal(crypto->context, key, iv, "more", 4, "twenty one characters", 21, sealed),
                     MM_OK);
    assert_memory_not_equal(sealed, "twenty one characters", 21);
    assert_int_equal(crypto->aead_open(crypto->context, key, iv, "more", 4, sealed, sizeof sealed, opened), MM_OK);
    assert_memory_equal(opened, "twenty one characters", 21);
    assert_int_equal(crypto->aead_open(crypto->context, key, iv, "mere", 4, sealed, sizeof sealed, opened),
                     MM_ERR_CORRUPT);
    for (size_t i = 0; i < sizeof sealed; i++) {
        sealed[i] ^= 0x10;
        assert_int_equal(crypto->aead_open(crypto->context, key, iv, "more", 4, sealed, sizeof sealed, opened),
                         MM_ERR_CORRUPT);
        sealed[i] ^= 0x10;
    }
    key[31] ^= 1;
    assert_int_equal(crypto->aead_open(crypto->context, key, iv, "more", 4, sealed, sizeof sealed, opened),
                     MM_ERR_CORRUPT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_relay_takes_supply_away),
        cmocka_unit_test(test_relay_that_refuses_stays),
        cmocka_unit_test(test_crypto_tells_keys_and_bytes_apart),
        cmocka_unit_test(test_crypto_seals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
