// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/challenge.h"

#include <stdio.h>
#include <string.h>

#include "test_crypto.h"
#include "test_support.h"

#define S MM_US_PER_S

static const mm_mac_t mac = {{2, 0, 0, 0, 0, 7}};
static const mm_challenge_options_t device_options = {NULL, {{2, 0, 0, 0, 0, 7}}, NULL};
static const mm_challenge_options_t legacy_options = {mm_challenge_legacy, {{0}}, "mi mama me mima mucho"};

typedef struct {
    uint32_t values[64]; ///< given out one after the other
    size_t count;
    size_t next;
} drawer_t;

static mm_err_t draw(void *context, void *bytes, size_t bytes_count) {
    drawer_t *self = context;
    assert_int_equal(bytes_count, 4);
    if (self->next == self->count) {
        return MM_ERR_UNAVAILABLE;
    }
    uint32_t value = self->values[self->next++];
    uint8_t *out = bytes;
    for (int i = 0; i < 4; i++) {
        out[i] = (uint8_t)(value >> (8 * i));
    }
    return MM_OK;
}

typedef struct {
    test_crypto_t key;
    mm_crypto_t crypto;
    drawer_t drawer;
    mm_entropy_t entropy;
    mm_challenge_t challenge;
} world_t;

static void open_world(world_t *world, uint8_t lock_outs, mm_us_t now) {
    memset(world, 0, sizeof *world);
    world->key = test_crypto_key(0);
    world->crypto = test_crypto(&world->key);
    for (size_t i = 0; i < 64; i++) {
        world->drawer.values[i] = (uint32_t)(5546600 + i);
    }
    world->drawer.count = 64;
    world->entropy = (mm_entropy_t){draw, &world->drawer};
    mm_challenge_init(&world->challenge, &device_options, &world->crypto, &world->entropy, lock_outs, now);
}

static void good_code(world_t *world, char text[MM_CHALLENGE_CODE_CHARS + 1]) {
    assert_int_equal(mm_challenge_code(&device_options, &world->crypto, world->challenge.number, text), MM_OK);
}

// Another code that has the form.
static void wrong_code(world_t *world, char text[MM_CHALLENGE_CODE_CHARS + 1]) {
    good_code(world, text);
    text[7] = text[7] == '0' ? '1' : '0';
}

static void test_challenge_legacy_is_the_originals(void **state) {
    (void)state;
    test_crypto_t key = {.has_key = false};
    mm_crypto_t crypto = test_crypto(&key);
    char text[MM_CHALLENGE_CODE_CHARS + 1];
    assert_int_equal(mm_challenge_code(&legacy_options, &crypto, 5546600, text), MM_OK);
    assert_string_equal(text, "462b1e82");
    assert_int_equal(mm_challenge_code(&legacy_options, &crypto, 53659506, text), MM_OK);
    assert_string_equal(text, "4c787e62");
    assert_int_equal(key.call_count, 0);
}

static void test_challenge_device_is_an_hmac(void **state) {
    (void)state;
    test_crypto_t key = test_crypto_key(0);
    mm_crypto_t crypto = test_crypto(&key);
    static const uint32_t numbers[] = {0, 7, 5546600, MM_CHALLENGE_NUMBER_MAX};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        // Put together here from the words of the header.
        char message[64] = "meshmeter installer 1";
        memcpy(message + 21, mac.bytes, 6);
        (void)snprintf(message + 27, 9, "%08u", numbers[i]);
        uint8_t digest[32];
        assert_int_equal(mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), key.key, sizeof key.key,
                                         (const uint8_t *)message, 35, digest),
                         0);
        char expected[9];
        (void)snprintf(expected, sizeof expected, "%02x%02x%02x%02x", digest[0], digest[1], digest[2], digest[3]);
        char text[MM_CHALLENGE_CODE_CHARS + 1];
        assert_int_equal(mm_challenge_code(&device_options, &crypto, numbers[i], text), MM_OK);
        assert_string_equal(text, expected);
    }
}

static mm_err_t broken_aes(void *context, const uint8_t key[MM_AES256_KEY_BYTES],
                           const uint8_t block[MM_AES_BLOCK_BYTES], uint8_t result[MM_AES_BLOCK_BYTES]) {
    (void)context, (void)key, (void)block, (void)result;
    return MM_ERR_UNAVAILABLE;
}

static void test_challenge_code_refuses(void **state) {
    (void)state;
    test_crypto_t key = {.has_key = false};
    mm_crypto_t crypto = test_crypto(&key);
    char text[MM_CHALLENGE_CODE_CHARS + 1] = "deadbeef";
    assert_int_equal(mm_challenge_code(&device_options, &crypto, 1, text), MM_ERR_UNAVAILABLE);
    assert_string_equal(text, "");
    assert_int_equal(mm_challenge_code(&device_options, NULL, 1, text), MM_ERR_UNAVAILABLE);
    assert_int_equal(mm_challenge_code(&legacy_options, &crypto, MM_CHALLENGE_NUMBER_MAX + 1, text), MM_ERR_ARG);
    mm_challenge_options_t options = legacy_options;
    options.secret = NULL;
    assert_int_equal(mm_challenge_code(&options, &crypto, 1, text), MM_ERR_ARG);
    options.secret = "";
    assert_int_equal(mm_challenge_code(&options, &crypto, 1, text), MM_ERR_ARG);
    crypto.aes256_encrypt = broken_aes;
    assert_int_equal(mm_challenge_code(&legacy_options, &crypto, 1, text), MM_ERR_UNAVAILABLE);
    assert_string_equal(text, "");
}

static void test_challenge_numbers_live_for_a_time(void **state) {
    (void)state;
    world_t world;
    open_world(&world, 0, 100 * S);
    uint32_t number = 0;
    assert_true(mm_challenge_number(&world.challenge, 100 * S, &number));
    assert_int_equal(number, 5546600);
    assert_true(mm_challenge_number(&world.challenge, 700 * S - 1, &number));
    assert_int_equal(number, 5546600);
    assert_true(mm_challenge_number(&world.challenge, 700 * S, &number));
    assert_int_equal(number, 5546601);
}

static void test_challenge_numbers_are_even(void **state) {
    (void)state;
    world_t world;
    open_world(&world, 0, 0);
    // 42 whole times the numbers fit 32 bits; what is above is drawn again.
    world.drawer.values[0] = 4200000000u;
    world.drawer.values[1] = UINT32_MAX;
    world.drawer.values[2] = 4199999999u;
    uint32_t number = 0;
    assert_true(mm_challenge_number(&world.challenge, 0, &number));
    assert_int_equal(number, MM_CHALLENGE_NUMBER_MAX);
    assert_int_equal(world.drawer.next, 3);
    for (size_t i = 0; i < 64; i++) {
        world.drawer.values[i] = UINT32_MAX; // broken
    }
    assert_false(mm_challenge_number(&world.challenge, 600 * S, &number));
    assert_int_equal(number, 0);
}

static void test_challenge_good_code_is_used_up(void **state) {
    (void)state;
    world_t world;
    char code[9];
    char typed[16];
    uint32_t wait_s = 77;
    uint32_t number = 0;
    open_world(&world, 0, 0);
    assert_true(mm_challenge_number(&world.challenge, 0, &number));
    good_code(&world, code);
    assert_int_equal(mm_challenge_judge(&world.challenge, code, 1, &wait_s), MM_CODE_GOOD);
    assert_int_equal(wait_s, 0);
    assert_int_equal(mm_challenge_judge(&world.challenge, code, 2, &wait_s), MM_CODE_EXPIRED);
    // The number that is there now has another one.
    assert_true(mm_challenge_number(&world.challenge, 3, &number));
    assert_int_equal(number, 5546601);
    assert_int_equal(mm_challenge_judge(&world.challenge, code, 3, &wait_s), MM_CODE_WRONG);
    good_code(&world, code);
    for (int i = 0; i < 8; i++) {
        typed[i + 2] = (char)(code[i] >= 'a' ? code[i] - 'a' + 'A' : code[i]);
    }
    typed[0] = typed[1] = typed[10] = ' ';
    typed[11] = '\0';
    assert_int_equal(mm_challenge_judge(&world.challenge, typed, 4, &wait_s), MM_CODE_GOOD);
}

static void test_challenge_every_wrong_digit_is_wrong(void **state) {
    (void)state;
    world_t world;
    for (int place = 0; place < 8; place++) {
        open_world(&world, 0, 0);
        uint32_t number;
        uint32_t wait_s;
        char code[9];
        assert_true(mm_challenge_number(&world.challenge, 0, &number));
        good_code(&world, code);
        code[place] = code[place] == '0' ? '1' : '0';
        assert_int_equal(mm_challenge_judge(&world.challenge, code, 1, &wait_s), MM_CODE_WRONG);
    }
}

static void test_challenge_no_form_costs_no_try(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",         " ",        "1234567",    "123456789", "1234567g", "123 45678", "1234567 8", "\t12345678",
        "0x123456", "-1234567", "12345678\n", "1234567:",  "1234567/", "1234567`",  "1234567@",  "1234567G"};
    world_t world;
    open_world(&world, 0, 0);
    uint32_t number;
    uint32_t wait_s;
    assert_true(mm_challenge_number(&world.challenge, 0, &number));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(mm_challenge_judge(&world.challenge, bad[i], 1, &wait_s), MM_CODE_NO_FORM);
        assert_int_equal(wait_s, 0);
    }
    assert_int_equal(world.challenge.lock_out.wrong, 0);
    char code[9];
    good_code(&world, code);
    assert_int_equal(mm_challenge_judge(&world.challenge, code, 1, &wait_s), MM_CODE_GOOD);
}

static void test_challenge_locks_out_longer_and_longer(void **state) {
    (void)state;
    static const uint32_t lock_outs_s[] = {10, 20, 40, 80, 160, 320, 640, 1280, 1280, 1280};
    world_t world;
    open_world(&world, 0, 0);
    mm_us_t now = 0;
    for (size_t round = 0; round < sizeof lock_outs_s / sizeof lock_outs_s[0]; round++) {
        uint32_t number;
        uint32_t wait_s = 77;
        char code[9];
        assert_true(mm_challenge_number(&world.challenge, now, &number));
        wrong_code(&world, code);
        for (int tries = 1; tries < MM_LOCK_OUT_TRIES; tries++) {
            assert_int_equal(mm_challenge_judge(&world.challenge, code, now, &wait_s), MM_CODE_WRONG);
            assert_int_equal(wait_s, 0);
        }
        good_code(&world, code);
        char last[9];
        wrong_code(&world, last);
        assert_int_equal(mm_challenge_judge(&world.challenge, last, now, &wait_s), MM_CODE_WRONG);
        assert_int_equal(wait_s, lock_outs_s[round]);
        assert_int_equal(mm_challenge_judge(&world.challenge, code, now + 1, &wait_s), MM_CODE_LOCKED_OUT);
        assert_int_equal(wait_s, lock_outs_s[round]);
        uint32_t next;
        assert_true(mm_challenge_number(&world.challenge, now, &next));
        assert_int_not_equal(next, number);
        now += lock_outs_s[round] * S;
        assert_int_equal(mm_challenge_judge(&world.challenge, code, now - 1, &wait_s), MM_CODE_LOCKED_OUT);
        assert_int_equal(wait_s, 1);
        assert_int_equal(world.challenge.lock_out.in_a_row, round + 1);
    }
    uint32_t number;
    uint32_t wait_s;
    char code[9];
    now += 2 * MM_CHALLENGE_LIFE_S * S;
    assert_true(mm_challenge_number(&world.challenge, now, &number));
    good_code(&world, code);
    assert_int_equal(mm_challenge_judge(&world.challenge, code, now, &wait_s), MM_CODE_GOOD);
    assert_int_equal(world.challenge.lock_out.in_a_row, 0);
}

static void test_challenge_restart_begins_the_lock_out_anew(void **state) {
    (void)state;
    static const struct {
        uint8_t lock_outs;
        uint32_t wait_s;
    } cases[] = {{0, 0}, {1, 10}, {4, 80}, {8, 1280}, {9, 1280}, {UINT8_MAX, 1280}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        world_t world;
        open_world(&world, cases[i].lock_outs, 50 * S);
        uint32_t number;
        uint32_t wait_s;
        char code[9];
        assert_true(mm_challenge_number(&world.challenge, 50 * S, &number));
        good_code(&world, code);
        mm_code_verdict_t verdict = mm_challenge_judge(&world.challenge, code, 50 * S, &wait_s);
        assert_int_equal(verdict, cases[i].wait_s > 0 ? MM_CODE_LOCKED_OUT : MM_CODE_GOOD);
        assert_int_equal(wait_s, cases[i].wait_s);
        if (cases[i].wait_s > 0 && cases[i].wait_s < MM_CHALLENGE_LIFE_S) {
            mm_us_t later = (50 + cases[i].wait_s) * S;
            assert_int_equal(mm_challenge_judge(&world.challenge, code, later, &wait_s), MM_CODE_GOOD);
        }
    }
    world_t world;
    open_world(&world, UINT8_MAX, 0);
    uint32_t number;
    uint32_t wait_s;
    char code[9];
    mm_us_t now = 2000 * S;
    assert_true(mm_challenge_number(&world.challenge, now, &number));
    wrong_code(&world, code);
    for (int tries = 0; tries < MM_LOCK_OUT_TRIES; tries++) {
        assert_int_equal(mm_challenge_judge(&world.challenge, code, now, &wait_s), MM_CODE_WRONG);
    }
    assert_int_equal(world.challenge.lock_out.in_a_row, UINT8_MAX);
}

// Every state of a challenge and every kind of text: only one of them lets somebody in.
typedef enum {
    STATE_NEW,
    STATE_SHOWN,
    STATE_OLD,
    STATE_LOCKED,
    STATE_NO_KEY,
    STATE_NO_ENTROPY,
    STATE_NO_ENTROPY_PORT,
    STATE_COUNT
} challenge_state_t;
typedef enum {
    TEXT_GOOD,
    TEXT_WRONG,
    TEXT_NO_FORM,
    TEXT_COUNT
} text_kind_t;

static void put_in_state(world_t *world, challenge_state_t which) {
    uint32_t number;
    open_world(world, which == STATE_LOCKED ? 3 : 0, which == STATE_OLD ? 0 : 1000 * S);
    if (which == STATE_NO_ENTROPY) {
        world->drawer.count = 0;
    } else if (which == STATE_NO_ENTROPY_PORT) {
        world->challenge.entropy = NULL;
    }
    if (which != STATE_NEW) {
        bool made = mm_challenge_number(&world->challenge, which == STATE_OLD ? 0 : 1000 * S, &number);
        assert_int_equal(made, which != STATE_NO_ENTROPY && which != STATE_NO_ENTROPY_PORT);
    }
}

static void test_challenge_denies_in_every_other_state(void **state) {
    (void)state;
    static const mm_code_verdict_t expected[STATE_COUNT][TEXT_COUNT] = {
        [STATE_NEW] = {MM_CODE_EXPIRED, MM_CODE_EXPIRED, MM_CODE_NO_FORM},
        [STATE_SHOWN] = {MM_CODE_GOOD, MM_CODE_WRONG, MM_CODE_NO_FORM},
        [STATE_OLD] = {MM_CODE_EXPIRED, MM_CODE_EXPIRED, MM_CODE_NO_FORM},
        [STATE_LOCKED] = {MM_CODE_LOCKED_OUT, MM_CODE_LOCKED_OUT, MM_CODE_LOCKED_OUT},
        [STATE_NO_KEY] = {MM_CODE_NO_KEY, MM_CODE_NO_KEY, MM_CODE_NO_FORM},
        [STATE_NO_ENTROPY] = {MM_CODE_NO_KEY, MM_CODE_NO_KEY, MM_CODE_NO_FORM},
        [STATE_NO_ENTROPY_PORT] = {MM_CODE_NO_KEY, MM_CODE_NO_KEY, MM_CODE_NO_FORM},
    };
    for (int which = 0; which < STATE_COUNT; which++) {
        for (int kind = 0; kind < TEXT_COUNT; kind++) {
            world_t world;
            char text[9] = "hello";
            uint32_t wait_s;
            put_in_state(&world, (challenge_state_t)which);
            if (kind == TEXT_GOOD) {
                good_code(&world, text);
            } else if (kind == TEXT_WRONG) {
                wrong_code(&world, text);
            }
            world.key.has_key = which != STATE_NO_KEY;
            mm_code_verdict_t verdict = mm_challenge_judge(&world.challenge, text, 1000 * S, &wait_s);
            if (verdict != expected[which][kind]) {
                fail_msg("state %d, text %d: %s", which, kind, mm_code_verdict_name(verdict));
            }
        }
    }
}

static void test_challenge_names(void **state) {
    (void)state;
    static const char *const names[] = {"good",   "wrong", "no_form", "expired", "locked_out",
                                        "no_key", "state", "storage", "unknown"};
    for (int verdict = 0; verdict < 9; verdict++) {
        assert_string_equal(mm_code_verdict_name((mm_code_verdict_t)verdict), names[verdict]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_challenge_legacy_is_the_originals),
        cmocka_unit_test(test_challenge_device_is_an_hmac),
        cmocka_unit_test(test_challenge_code_refuses),
        cmocka_unit_test(test_challenge_numbers_live_for_a_time),
        cmocka_unit_test(test_challenge_numbers_are_even),
        cmocka_unit_test(test_challenge_good_code_is_used_up),
        cmocka_unit_test(test_challenge_every_wrong_digit_is_wrong),
        cmocka_unit_test(test_challenge_no_form_costs_no_try),
        cmocka_unit_test(test_challenge_locks_out_longer_and_longer),
        cmocka_unit_test(test_challenge_restart_begins_the_lock_out_anew),
        cmocka_unit_test(test_challenge_denies_in_every_other_state),
        cmocka_unit_test(test_challenge_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
