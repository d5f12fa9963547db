// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/credit.h"

#include <string.h>

#include "meshmeter/limits.h"
#include "meshmeter/random.h"
#include "test_support.h"

#define CONSTANT 800

__extension__ typedef __int128 wide_t;

static mm_credit_t prepaid_at(uint64_t life_pulses) {
    mm_credit_t credit = {0};
    mm_credit_set_prepaid(&credit, true, life_pulses);
    return credit;
}

static uint64_t random_u64(mm_random_t *random) {
    uint64_t high = mm_random_u32(random);
    return high << 32 | mm_random_u32(random);
}

// balance = base - floor((pulses * 1000 + fraction) / constant), without overflow in 128 bits.
static int64_t balance_by_definition(const mm_credit_t *credit, uint64_t life_pulses, uint32_t constant) {
    wide_t pulses = life_pulses > credit->base_pulses ? (wide_t)life_pulses - (wide_t)credit->base_pulses : 0;
    wide_t consumed = (pulses * 1000 + credit->base_fraction) / constant;
    wide_t balance = credit->base_wh - consumed;
    return balance < -MM_CREDIT_WH_MAX ? -MM_CREDIT_WH_MAX : (int64_t)balance;
}

static void test_credit_balance_is_the_register(void **state) {
    (void)state;
    mm_credit_t credit = prepaid_at(1000);
    assert_int_equal(mm_credit_add(&credit, 5000, 1000, CONSTANT), MM_OK);
    // 800 pulses are a kWh: 1.25 Wh each, so the first costs one, the fifth pulse the sixth.
    static const struct {
        uint64_t life_pulses;
        int64_t balance_wh;
    } due[] = {{1000, 5000}, {1001, 4999}, {1004, 4995}, {1005, 4994}, {1799, 4002},
               {1800, 4000}, {4999, 2},    {5000, 0},    {5001, -1},   {9000, -5000}};
    for (size_t index = 0; index < sizeof due / sizeof due[0]; index++) {
        assert_int_equal(mm_credit_balance_wh(&credit, due[index].life_pulses, CONSTANT), due[index].balance_wh);
        assert_int_equal(mm_credit_consumed_wh(&credit, due[index].life_pulses, CONSTANT),
                         5000 - due[index].balance_wh);
    }
    assert_int_equal(mm_credit_balance_wh(&credit, 999, CONSTANT), 5000); // a register that was set back
    assert_int_equal(mm_credit_balance_wh(&credit, 0, CONSTANT), 5000);
    assert_int_equal(mm_credit_balance_wh(&credit, 5000, 0), 5000); // no meter
}

static void test_credit_balance_against_128_bits(void **state) {
    (void)state;
    mm_random_t random = mm_random(7);
    for (unsigned run = 0; run < 200000; run++) {
        uint32_t constant =
            MM_PULSE_CONSTANT_MIN + mm_random_below(&random, MM_PULSE_CONSTANT_MAX - MM_PULSE_CONSTANT_MIN + 1);
        mm_credit_t credit = prepaid_at(random_u64(&random) >> mm_random_below(&random, 64));
        credit.base_wh = (int64_t)(random_u64(&random) % (2 * MM_CREDIT_WH_MAX + 1)) - MM_CREDIT_WH_MAX;
        credit.base_fraction = mm_random_below(&random, constant);
        uint64_t life = run % 2 == 0 ? random_u64(&random)
                                     : credit.base_pulses + (random_u64(&random) >> mm_random_below(&random, 64));
        int64_t balance_wh = mm_credit_balance_wh(&credit, life, constant);
        assert_true(balance_wh == balance_by_definition(&credit, life, constant));
        credit.applied_wh = credit.base_wh;
        assert_true(mm_credit_consumed_wh(&credit, life, constant) + balance_wh == credit.applied_wh);
    }
    mm_credit_t credit = prepaid_at(0);
    assert_true(mm_credit_balance_wh(&credit, UINT64_MAX, 1) == -MM_CREDIT_WH_MAX);
    assert_true(mm_credit_balance_wh(&credit, UINT64_MAX, UINT32_MAX) == -MM_CREDIT_WH_MAX);
}

// A meter's life: pulses, credits, corrections. The fractions of a Wh must not add up to anything, however many credits
// there are.
static void test_credit_conservation_through_many_credits(void **state) {
    (void)state;
    mm_random_t random = mm_random(11);
    static const uint32_t constants[] = {100, 333, 800, 1000, 1234, 9999, 10000};
    for (size_t index = 0; index < sizeof constants / sizeof constants[0]; index++) {
        uint32_t constant = constants[index];
        uint64_t life = 1000000007;
        mm_credit_t credit = prepaid_at(life);
        wide_t applied = 0;
        for (unsigned step = 0; step < 20000; step++) {
            life += mm_random_below(&random, 50);
            int64_t amount = (int64_t)mm_random_below(&random, 60) - 20;
            if (amount != 0 && step % 3 == 0) {
                assert_int_equal(mm_credit_add(&credit, amount, life, constant), MM_OK);
                applied += amount;
            }
            wide_t consumed = ((wide_t)life - 1000000007) * 1000 / constant;
            assert_true(mm_credit_balance_wh(&credit, life, constant) == (int64_t)(applied - consumed));
            assert_true(mm_credit_consumed_wh(&credit, life, constant) == (int64_t)consumed);
            assert_true(credit.applied_wh == (int64_t)applied);
        }
    }
}

static void test_credit_rebase_rounds_for_the_customer(void **state) {
    (void)state;
    mm_random_t random = mm_random(13);
    for (unsigned run = 0; run < 200; run++) {
        uint64_t life = random_u64(&random) >> 24;
        mm_credit_t credit = prepaid_at(life);
        assert_int_equal(mm_credit_add(&credit, 100000000, life, CONSTANT), MM_OK);
        // What was consumed, in 1/(10^3 · constant) kWh of each part: as Wh, exact and rounded down part by part.
        wide_t consumed_micro_wh = 0;
        for (int64_t part = 1; part <= 50; part++) {
            uint32_t constant = 100 + mm_random_below(&random, 9901);
            uint32_t pulses = mm_random_below(&random, 3000);
            life += pulses;
            consumed_micro_wh += (wide_t)pulses * 1000000000 / constant;
            uint64_t new_life = run % 2 == 0 ? life : random_u64(&random) >> 8;
            int64_t before_wh = mm_credit_balance_wh(&credit, life, constant);
            mm_credit_rebase(&credit, life, constant, new_life);
            life = new_life;
            uint32_t next_constant = 100 + mm_random_below(&random, 9901);
            assert_true(mm_credit_balance_wh(&credit, life, next_constant) == before_wh);
            assert_true(credit.applied_wh == 100000000);
            int64_t consumed_wh = mm_credit_consumed_wh(&credit, life, next_constant);
            int64_t exact_wh = (int64_t)(consumed_micro_wh / 1000000);
            assert_in_range(exact_wh - consumed_wh + 1, 0, part + 1);
        }
    }
    mm_credit_t credit = prepaid_at(0);
    assert_int_equal(mm_credit_add(&credit, 10, 0, 0), MM_OK);
    mm_credit_rebase(&credit, 500, 0, 900); // a meter that had no constant yet consumed nothing
    assert_int_equal(mm_credit_balance_wh(&credit, 900, CONSTANT), 10);
}

static void assert_refused(const mm_credit_t *before, int64_t amount_wh, uint64_t life_pulses, mm_err_t due) {
    mm_credit_t credit = *before;
    assert_int_equal(mm_credit_add(&credit, amount_wh, life_pulses, CONSTANT), due);
    assert_memory_equal(&credit, before, sizeof credit);
}

static void test_credit_add_bounds(void **state) {
    (void)state;
    static mm_credit_t credit;
    assert_refused(&credit, 1, 0, MM_ERR_STATE);
    mm_credit_set_prepaid(&credit, true, 0);
    assert_refused(&credit, 0, 0, MM_ERR_ARG);
    assert_refused(&credit, INT64_MIN, 0, MM_ERR_ARG);
    assert_refused(&credit, INT64_MAX, 0, MM_ERR_ARG);
    assert_refused(&credit, MM_CREDIT_WH_MAX + 1, 0, MM_ERR_ARG);
    assert_refused(&credit, -MM_CREDIT_WH_MAX - 1, 0, MM_ERR_ARG);
    assert_int_equal(mm_credit_add(&credit, MM_CREDIT_WH_MAX, 0, CONSTANT), MM_OK);
    assert_refused(&credit, 1, 0, MM_ERR_ARG);
    assert_refused(&credit, MM_CREDIT_WH_MAX, 0, MM_ERR_ARG);
    assert_int_equal(mm_credit_add(&credit, 1, 1, CONSTANT), MM_OK); // one Wh was consumed
    assert_int_equal(mm_credit_add(&credit, -MM_CREDIT_WH_MAX, 1, CONSTANT), MM_OK);
    assert_int_equal(mm_credit_add(&credit, -MM_CREDIT_WH_MAX, 1, CONSTANT), MM_OK);
    assert_refused(&credit, -1, 1, MM_ERR_ARG);
    assert_int_equal(mm_credit_balance_wh(&credit, 1, CONSTANT), -MM_CREDIT_WH_MAX);
    // Further down than it can be written: it stays at the bound.
    assert_int_equal(mm_credit_balance_wh(&credit, UINT64_MAX, CONSTANT), -MM_CREDIT_WH_MAX);
    assert_refused(&credit, -1, UINT64_MAX, MM_ERR_ARG);
    assert_int_equal(mm_credit_add(&credit, 7, UINT64_MAX, CONSTANT), MM_OK);
    assert_int_equal(mm_credit_balance_wh(&credit, UINT64_MAX, CONSTANT), 7 - MM_CREDIT_WH_MAX);
}

// The sum of a meter that takes the largest credit again and again has a bound as well.
static void test_credit_sum_has_a_bound(void **state) {
    (void)state;
    mm_credit_t credit = prepaid_at(0);
    uint64_t life = 0;
    unsigned added = 0;
    while (mm_credit_add(&credit, MM_CREDIT_WH_MAX, life, 1) == MM_OK) {
        added++;
        life += MM_CREDIT_WH_MAX / 1000;
        assert_true(mm_credit_balance_wh(&credit, life, 1) == 0);
    }
    assert_int_equal(added, 1000000);
    assert_true(mm_credit_consumed_wh(&credit, life, 1) == INT64_C(1000000000000000000));
    uint8_t bytes[MM_CREDIT_BYTES_MAX];
    mm_writer_t writer = mm_writer(bytes, sizeof bytes);
    mm_credit_encode(&credit, &writer);
    assert_false(writer.failed);
    assert_int_equal(mm_credit_add(&credit, -1, life, 1), MM_OK);
    credit.applied_wh = INT64_C(-1000000000000000000); // only damaged bytes say so
    assert_int_equal(mm_credit_add(&credit, -1, life, 1), MM_ERR_ARG);
    assert_int_equal(mm_credit_add(&credit, 1, life, 1), MM_OK);
}

static void test_credit_mode(void **state) {
    (void)state;
    mm_credit_t credit = {0};
    mm_token_use(&credit.tokens, MM_TOKEN_ADD, 6);
    credit.limits.warning_wh = 100;
    credit.relay_reasons = MM_RELAY_LOCKED;
    mm_credit_set_prepaid(&credit, false, 10); // as it is
    assert_int_equal(credit.base_pulses, 0);
    mm_credit_set_prepaid(&credit, true, 4000);
    assert_int_equal(mm_credit_balance_wh(&credit, 4000, CONSTANT), 0);
    assert_int_equal(mm_credit_add(&credit, 1000, 4000, CONSTANT), MM_OK);
    mm_credit_set_prepaid(&credit, true, 5000); // as it is: no new beginning
    assert_int_equal(mm_credit_balance_wh(&credit, 4800, CONSTANT), 0);
    assert_int_equal(mm_credit_consumed_wh(&credit, 4800, CONSTANT), 1000);
    mm_credit_set_prepaid(&credit, false, 4800);
    assert_false(mm_credit_is_exhausted(&credit, 99999, CONSTANT, false));
    assert_false(mm_credit_is_low(&credit, 99999, CONSTANT));
    assert_int_equal(mm_credit_take_emergency(&credit, 99999, CONSTANT), MM_ERR_STATE);
    mm_credit_set_prepaid(&credit, true, 6000);
    assert_int_equal(mm_credit_balance_wh(&credit, 6000, CONSTANT), 0);
    assert_int_equal(credit.applied_wh, 0);
    assert_true(mm_token_is_used(&credit.tokens, 6)); // no token works again by switching
    assert_int_equal(credit.limits.warning_wh, 100);
    assert_int_equal(credit.relay_reasons, MM_RELAY_LOCKED);
}

static void test_credit_emergency_once_and_repaid(void **state) {
    (void)state;
    mm_credit_t credit = prepaid_at(0);
    credit.limits = (mm_credit_limits_t){.warning_wh = 500};
    assert_int_equal(mm_credit_take_emergency(&credit, 0, 1000), MM_ERR_STATE); // none granted
    credit.limits.emergency_wh = 300;
    assert_int_equal(mm_credit_add(&credit, 501, 0, 1000), MM_OK);
    assert_int_equal(mm_credit_take_emergency(&credit, 0, 1000), MM_ERR_STATE); // not low yet
    assert_int_equal(mm_credit_take_emergency(&credit, 1, 1000), MM_OK);
    assert_int_equal(mm_credit_take_emergency(&credit, 1, 1000), MM_ERR_STATE); // once
    assert_int_equal(credit.applied_wh, 501);                                   // it is no credit
    assert_false(mm_credit_is_exhausted(&credit, 501, 1000, false));
    assert_false(mm_credit_is_exhausted(&credit, 800, 1000, false));
    assert_true(mm_credit_is_exhausted(&credit, 801, 1000, false));
    assert_int_equal(mm_credit_balance_wh(&credit, 801, 1000), -300);
    // A top-up that is too small takes the debt down and gives nothing; then one that repays.
    assert_int_equal(mm_credit_add(&credit, 300, 801, 1000), MM_OK);
    assert_true(credit.emergency_taken);
    assert_int_equal(mm_credit_take_emergency(&credit, 801, 1000), MM_ERR_STATE);
    assert_int_equal(mm_credit_add(&credit, 1, 801, 1000), MM_OK);
    assert_false(credit.emergency_taken);
    assert_int_equal(mm_credit_balance_wh(&credit, 801, 1000), 1);
    assert_true(mm_credit_is_exhausted(&credit, 802, 1000, false)); // without the emergency credit again
    assert_int_equal(mm_credit_take_emergency(&credit, 802, 1000), MM_OK);
    assert_false(mm_credit_is_exhausted(&credit, 802, 1000, false));
}

static void test_credit_quiet_hours_prevent_and_do_not_end_a_cut(void **state) {
    (void)state;
    mm_credit_t credit = prepaid_at(0);
    assert_int_equal(mm_credit_add(&credit, 10, 0, 1000), MM_OK);
    assert_false(mm_credit_is_exhausted(&credit, 9, 1000, false));
    assert_false(mm_credit_is_exhausted(&credit, 10, 1000, true));
    assert_false(mm_credit_is_exhausted(&credit, 5000, 1000, true));
    assert_true(mm_credit_is_exhausted(&credit, 10, 1000, false));
    credit.relay_reasons = MM_RELAY_LOCKED; // open, but not for this
    assert_false(mm_credit_is_exhausted(&credit, 10, 1000, true));
    credit.relay_reasons = MM_RELAY_LOCKED | MM_RELAY_NO_CREDIT;
    assert_true(mm_credit_is_exhausted(&credit, 10, 1000, true));
    assert_int_equal(mm_credit_add(&credit, 1, 10, 1000), MM_OK);
    assert_false(mm_credit_is_exhausted(&credit, 10, 1000, true));
    assert_false(mm_credit_is_exhausted(&credit, 10, 1000, false));
}

static void test_credit_warns_once_per_way_down(void **state) {
    (void)state;
    mm_credit_t credit = prepaid_at(0);
    assert_false(mm_credit_is_low(&credit, 0, 1000)); // no threshold
    credit.limits.warning_wh = 100;
    assert_true(mm_credit_is_low(&credit, 0, 1000));
    assert_int_equal(mm_credit_add(&credit, 150, 0, 1000), MM_OK);
    assert_false(mm_credit_is_low(&credit, 49, 1000));
    assert_true(mm_credit_is_low(&credit, 50, 1000));
    credit.warned = true;
    assert_false(mm_credit_is_low(&credit, 60, 1000));
    assert_int_equal(mm_credit_add(&credit, 10, 60, 1000), MM_OK); // still low: no new warning
    assert_false(mm_credit_is_low(&credit, 60, 1000));
    assert_int_equal(mm_credit_add(&credit, 1, 60, 1000), MM_OK);
    assert_false(mm_credit_is_low(&credit, 60, 1000));
    assert_true(mm_credit_is_low(&credit, 61, 1000));
}

static void test_credit_lock_out_doubles_to_its_end(void **state) {
    (void)state;
    static const uint32_t due_s[] = {0, 60, 120, 240, 480, 960, 1920, 3840, 7680, 15360, 30720};
    for (unsigned wrong = 0; wrong <= UINT8_MAX; wrong++) {
        assert_int_equal(mm_credit_lock_out_s((uint8_t)wrong), due_s[wrong < 10 ? wrong : 10]);
    }
}

static mm_credit_t random_credit(mm_random_t *random) {
    mm_credit_t credit = {
        .prepaid = mm_random_below(random, 2) == 1,
        .relay_reasons = (uint8_t)mm_random_below(random, 16),
        .warned = mm_random_below(random, 2) == 1,
        .emergency_taken = mm_random_below(random, 2) == 1,
    };
    if (mm_random_below(random, 8) == 0) {
        return credit;
    }
    unsigned shift = mm_random_below(random, 64);
    credit.limits.warning_wh = mm_random_u32(random) >> shift % 32;
    credit.limits.emergency_wh = mm_random_u32(random) >> shift % 32;
    credit.limits.quiet_hours = mm_random_u32(random) >> 8;
    credit.limits.quiet_days = (uint8_t)mm_random_below(random, 128);
    credit.base_wh = (int64_t)(random_u64(random) % (2 * MM_CREDIT_WH_MAX + 1)) - MM_CREDIT_WH_MAX;
    credit.base_pulses = random_u64(random) >> shift;
    credit.base_fraction = mm_random_below(random, MM_PULSE_CONSTANT_MAX);
    credit.applied_wh = (int64_t)(random_u64(random) >> 5) - INT64_C(200000000000000000);
    credit.tokens.count = mm_random_u32(random) >> shift % 32;
    credit.tokens.older = random_u64(random);
    credit.wrong_tokens = (uint8_t)mm_random_u32(random);
    return credit;
}

static bool is_same(const mm_credit_t *left, const mm_credit_t *right) {
    return left->prepaid == right->prepaid && left->relay_reasons == right->relay_reasons &&
           left->warned == right->warned && left->emergency_taken == right->emergency_taken &&
           left->limits.warning_wh == right->limits.warning_wh &&
           left->limits.emergency_wh == right->limits.emergency_wh &&
           left->limits.quiet_hours == right->limits.quiet_hours &&
           left->limits.quiet_days == right->limits.quiet_days && left->base_wh == right->base_wh &&
           left->base_pulses == right->base_pulses && left->base_fraction == right->base_fraction &&
           left->applied_wh == right->applied_wh && left->tokens.count == right->tokens.count &&
           left->tokens.older == right->tokens.older && left->wrong_tokens == right->wrong_tokens;
}

static size_t encode(const mm_credit_t *credit, uint8_t bytes[MM_CREDIT_BYTES_MAX]) {
    mm_writer_t writer = mm_writer(bytes, MM_CREDIT_BYTES_MAX);
    mm_credit_encode(credit, &writer);
    assert_false(writer.failed);
    return writer.used_bytes;
}

// Whatever the bytes are: an error and an empty state, or a state that has just these bytes.
static void decode_anything(const uint8_t *bytes, size_t bytes_count) {
    mm_credit_t credit;
    memset(&credit, 0xAA, sizeof credit);
    mm_reader_t reader = mm_reader(bytes, bytes_count);
    if (mm_credit_decode(&credit, &reader) != MM_OK) {
        const mm_credit_t empty = {0};
        assert_true(is_same(&credit, &empty));
        return;
    }
    uint8_t again[MM_CREDIT_BYTES_MAX];
    assert_int_equal(encode(&credit, again), reader.position_bytes);
    assert_memory_equal(again, bytes, reader.position_bytes);
    int64_t balance_wh = mm_credit_balance_wh(&credit, UINT64_MAX, CONSTANT);
    assert_true(mm_credit_consumed_wh(&credit, UINT64_MAX, CONSTANT) + balance_wh == credit.applied_wh);
    (void)mm_credit_add(&credit, MM_CREDIT_WH_MAX, 1, CONSTANT);
    mm_credit_rebase(&credit, UINT64_MAX, CONSTANT, 0);
    (void)encode(&credit, again);
}

static void test_credit_bytes_round_trip_and_damage(void **state) {
    (void)state;
    mm_random_t random = mm_random(17);
    size_t longest = 0;
    for (unsigned run = 0; run < 500; run++) {
        mm_credit_t credit = random_credit(&random);
        uint8_t bytes[MM_CREDIT_BYTES_MAX];
        size_t bytes_count = encode(&credit, bytes);
        longest = bytes_count > longest ? bytes_count : longest;
        mm_credit_t decoded;
        mm_reader_t reader = mm_reader(bytes, bytes_count);
        assert_int_equal(mm_credit_decode(&decoded, &reader), MM_OK);
        assert_int_equal(mm_reader_left_bytes(&reader), 0);
        assert_true(is_same(&decoded, &credit));
        for (size_t length = 0; length < bytes_count; length++) {
            reader = mm_reader(bytes, length);
            assert_int_equal(mm_credit_decode(&decoded, &reader), MM_ERR_CORRUPT);
        }
        for (size_t bit = 0; bit < 8 * bytes_count; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            decode_anything(bytes, bytes_count);
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        for (size_t index = 0; index < sizeof bytes; index++) {
            bytes[index] = (uint8_t)mm_random_u32(&random);
        }
        decode_anything(bytes, sizeof bytes);
    }
    assert_in_range(longest, 40, MM_CREDIT_BYTES_MAX);
}

static void test_credit_bytes_are_few_and_known(void **state) {
    (void)state;
    uint8_t bytes[MM_CREDIT_BYTES_MAX];
    mm_credit_t credit = {0};
    assert_int_equal(encode(&credit, bytes), 1);
    assert_int_equal(bytes[0], 0);
    credit.relay_reasons = MM_RELAY_LOCKED | MM_RELAY_NOT_COMMISSIONED;
    assert_int_equal(encode(&credit, bytes), 1);
    assert_int_equal(bytes[0], 0x09);

    credit = prepaid_at(300);
    credit.limits.warning_wh = 128;
    credit.base_wh = -2;
    credit.applied_wh = 5;
    credit.wrong_tokens = 1;
    mm_token_use(&credit.tokens, MM_TOKEN_ADD, 2);
    static const uint8_t due[] = {0x90, 0x80, 0x01, 0x00, 0x00, 0x00, 0x03, 0xac, 0x02, 0x00, 0x0a,
                                  0x02, 0x02, 0,    0,    0,    0,    0,    0,    0,    0x01};
    assert_int_equal(encode(&credit, bytes), sizeof due);
    assert_memory_equal(bytes, due, sizeof due);

    // The largest of everything.
    memset(&credit.limits, 0, sizeof credit.limits);
    credit = (mm_credit_t){
        .prepaid = true,
        .relay_reasons = 15,
        .warned = true,
        .emergency_taken = true,
        .limits = {UINT32_MAX, UINT32_MAX, 0xFFFFFF, 0x7F},
        .base_wh = -MM_CREDIT_WH_MAX,
        .base_pulses = UINT64_MAX,
        .base_fraction = MM_PULSE_CONSTANT_MAX - 1,
        .applied_wh = INT64_C(-1000000000000000000),
        .tokens = {UINT32_MAX, UINT64_MAX},
        .wrong_tokens = UINT8_MAX,
    };
    assert_in_range(encode(&credit, bytes), 50, MM_CREDIT_BYTES_MAX);
}

static void assert_corrupt(const uint8_t *bytes, size_t bytes_count) {
    mm_credit_t credit;
    mm_reader_t reader = mm_reader(bytes, bytes_count);
    assert_int_equal(mm_credit_decode(&credit, &reader), MM_ERR_CORRUPT);
}

static void test_credit_bytes_of_impossible_values(void **state) {
    (void)state;
    uint8_t plain[21] = {0x90};
    plain[1] = 1;
    assert_int_equal(sizeof plain, 21);
    mm_credit_t credit;
    mm_reader_t reader = mm_reader(plain, 19);
    assert_int_equal(mm_credit_decode(&credit, &reader), MM_OK);
    plain[1] = 0; // "more follows" and then nothing
    assert_corrupt(plain, sizeof plain);
    plain[1] = 1;
    plain[4] = 0x80; // an eighth day
    assert_corrupt(plain, sizeof plain);
    plain[4] = 0;
    static const uint8_t hours[24] = {0x90, 0, 0, 0x80, 0x80, 0x80, 0x08}; // bit 24
    assert_corrupt(hours, sizeof hours);
    static const uint8_t fraction[24] = {0x90, 1, 0, 0, 0, 0, 0, 0x90, 0x4e}; // 10,000
    assert_corrupt(fraction, sizeof fraction);
    static const uint8_t base[32] = {0x90, 1, 0, 0, 0, 0x82, 0xc0, 0xa8, 0xca, 0x9a, 0x3a}; // 10^12 + 1 twice
    assert_corrupt(base, sizeof base);

    mm_writer_t writer = mm_writer(plain, sizeof plain);
    memset(&credit, 0, sizeof credit);
    credit.limits.quiet_hours = 1 << 24;
    expect_assert_failure(mm_credit_encode(&credit, &writer));
    credit.limits.quiet_hours = 0;
    credit.relay_reasons = 16;
    expect_assert_failure(mm_credit_encode(&credit, &writer));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_credit_balance_is_the_register),
        cmocka_unit_test(test_credit_balance_against_128_bits),
        cmocka_unit_test(test_credit_conservation_through_many_credits),
        cmocka_unit_test(test_credit_rebase_rounds_for_the_customer),
        cmocka_unit_test(test_credit_add_bounds),
        cmocka_unit_test(test_credit_sum_has_a_bound),
        cmocka_unit_test(test_credit_mode),
        cmocka_unit_test(test_credit_emergency_once_and_repaid),
        cmocka_unit_test(test_credit_quiet_hours_prevent_and_do_not_end_a_cut),
        cmocka_unit_test(test_credit_warns_once_per_way_down),
        cmocka_unit_test(test_credit_lock_out_doubles_to_its_end),
        cmocka_unit_test(test_credit_bytes_round_trip_and_damage),
        cmocka_unit_test(test_credit_bytes_are_few_and_known),
        cmocka_unit_test(test_credit_bytes_of_impossible_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
