// SPDX-License-Identifier: Apache-2.0
// Which tokens are used, against a table with one flag per count; and every order of eight tokens with every token
// entered so far typed again after each.
#include "meshmeter/token.h"

#include <stdio.h>

#include "meshmeter/random.h"
#include "token_support.h"

// Sanitizers and counting make it ten times slower, an emulated chip a hundred times; what they look for is in the
// first orders already.
#if MM_CASES_EVERY > 1
#define TOKENS 5
#define ORDERS 120
#define GUESSES 10000
#elif defined(__SANITIZE_ADDRESS__) || defined(MM_COVERAGE)
#define TOKENS 6
#define ORDERS 720
#define GUESSES 100000
#else
#define TOKENS 8
#define ORDERS 40320
#define GUESSES 1000000
#endif
#define TABLE_COUNTS 512

/// What a decoder should remember, without any window of bits.
typedef struct {
    bool used[TABLE_COUNTS];
    uint32_t newest;
} table_t;

static void table_use(table_t *table, mm_token_type_t type, uint32_t count) {
    table->used[count] = true;
    for (uint32_t earlier = 0; type != MM_TOKEN_ADD && earlier < count; earlier++) {
        table->used[earlier] = true;
    }
    table->newest = count > table->newest ? count : table->newest;
}

static mm_token_verdict_t table_judge(const table_t *table, mm_token_type_t type, uint32_t count) {
    if (count > table->newest) {
        uint32_t jump_max = type == MM_TOKEN_COUNTER_SYNC ? 100 : 64;
        return count <= table->newest + jump_max ? MM_TOKEN_GOOD : MM_TOKEN_WRONG;
    }
    bool is_taken = type == MM_TOKEN_ADD && count + 16 >= table->newest && !table->used[count];
    return is_taken ? MM_TOKEN_GOOD : MM_TOKEN_USED;
}

typedef struct {
    mm_token_type_t type;
    uint32_t value;
    uint32_t count;
} sold_t;

static struct {
    const sold_t *sold;
    char texts[TOKENS][MM_TOKEN_DIGITS_MAX + 1];
    unsigned orders;
    unsigned judged;
} replay;

static void enter_each(const mm_token_state_t *used, const table_t *table, unsigned entered, unsigned taken) {
    unsigned entered_all = (1u << TOKENS) - 1;
    replay.orders += entered == entered_all;
    for (unsigned index = 0; index < TOKENS; index++) {
        const sold_t *sold = &replay.sold[index];
        mm_token_t token;
        mm_token_verdict_t verdict = mm_token_judge(&series_a, used, replay.texts[index], &token);
        assert_int_equal(verdict, table_judge(table, sold->type, sold->count));
        replay.judged++;
        if ((taken >> index & 1) != 0) {
            assert_int_equal(verdict, MM_TOKEN_USED); // whatever the table says
        }
        if ((entered >> index & 1) != 0) {
            continue;
        }
        mm_token_state_t next_used = *used;
        table_t next_table = *table;
        if (verdict == MM_TOKEN_GOOD) {
            assert_int_equal(token.type, sold->type);
            assert_int_equal(token.value, sold->value);
            assert_int_equal(token.count, sold->count);
            mm_token_use(&next_used, token.type, token.count);
            table_use(&next_table, sold->type, sold->count);
        }
        unsigned next_taken = verdict == MM_TOKEN_GOOD ? taken | 1u << index : taken;
        enter_each(&next_used, &next_table, entered | 1u << index, next_taken);
    }
}

static void enter_in_every_order(const sold_t sold[TOKENS]) {
    replay.sold = sold;
    replay.orders = 0;
    replay.judged = 0;
    for (uint32_t index = 0; index < TOKENS; index++) {
        make(&series_a, sold[index].type, sold[index].value, sold[index].count, index % 2 == 1, replay.texts[index]);
    }
    const mm_token_state_t used = {0};
    table_t table = {.used = {true}};
    enter_each(&used, &table, 0, 0);
    assert_int_equal(replay.orders, ORDERS);
    print_message("replay: orders=%u judged=%u\n", replay.orders, replay.judged);
}

static void test_token_replay_eight_neighbours_in_every_order(void **state) {
    (void)state;
    static const sold_t sold[8] = {
        {MM_TOKEN_ADD, 1, 2},  {MM_TOKEN_ADD, 5, 4},  {MM_TOKEN_ADD, 1, 6},    {MM_TOKEN_ADD, 2, 8},
        {MM_TOKEN_ADD, 1, 10}, {MM_TOKEN_ADD, 0, 12}, {MM_TOKEN_ADD, 995, 14}, {MM_TOKEN_ADD, 1, 16},
    };
    enter_in_every_order(sold);
}

// Of every type, beyond the windows as well as inside.
static void test_token_replay_eight_mixed_in_every_order(void **state) {
    (void)state;
    static const sold_t sold[8] = {
        {MM_TOKEN_ADD, 1, 2},           {MM_TOKEN_ADD, 5, 18}, {MM_TOKEN_ADD, 7, 20},     {MM_TOKEN_SET, 2, 21},
        {MM_TOKEN_COUNTER_SYNC, 0, 99}, {MM_TOKEN_ADD, 3, 66}, {MM_TOKEN_DISABLE, 0, 67}, {MM_TOKEN_ADD, 1, 84},
    };
    enter_in_every_order(sold);
}

static void test_token_windows_to_the_count(void **state) {
    (void)state;
    device_t device = {.series = &series_a, .state = {.count = 100, .older = 0}};
    const mm_token_state_t begin = device.state;
    for (uint32_t count = 1; count <= 230; count++) {
        device.state = begin;
        mm_token_type_t type = count % 2 == 0 ? MM_TOKEN_ADD : MM_TOKEN_SET;
        bool is_late = count % 2 == 0 && count >= 84 && count < 100;
        mm_token_verdict_t due = count > 164 ? MM_TOKEN_WRONG : count > 100 || is_late ? MM_TOKEN_GOOD : MM_TOKEN_USED;
        assert_int_equal(type_made(&device, type, 1, count, false), due);
        device.state = begin;
        assert_int_equal(type_made(&device, type, 1, count, true), due);
    }
}

static void compare_with_table(const mm_token_state_t *used, const table_t *table, uint32_t base) {
    assert_int_equal(used->count, base + table->newest);
    for (uint32_t count = 0; count <= table->newest; count++) {
        bool is_known = table->newest - count <= 64;
        bool due = !is_known || table->used[count];
        assert_int_equal(mm_token_is_used(used, base + count), due);
    }
    if (used->count < UINT32_MAX) {
        assert_false(mm_token_is_used(used, used->count + 1));
    }
}

// Any sequence of uses, from count 0 and up to the last one there is.
static void test_token_use_follows_a_table(void **state) {
    (void)state;
    mm_random_t random = mm_random(20261128);
    static const uint32_t bases[] = {0, INT32_MAX - 200u, UINT32_MAX - (TABLE_COUNTS - 1)};
    for (unsigned run = 0; run < 300; run++) {
        uint32_t base = bases[run % 3];
        mm_token_state_t used = {.count = base, .older = base == 0 ? 0 : UINT64_MAX};
        table_t table = {.used = {true}};
        for (unsigned step = 0; step < 60; step++) {
            uint32_t ahead = step % 7 == 0 ? mm_random_below(&random, 140) : mm_random_below(&random, 12);
            uint32_t back = mm_random_below(&random, 90);
            uint32_t count = mm_random_below(&random, 2) == 0 ? table.newest + ahead
                             : table.newest > back            ? table.newest - back
                                                              : table.newest;
            count = count < TABLE_COUNTS ? count : TABLE_COUNTS - 1;
            mm_token_type_t type = mm_random_below(&random, 8) == 0 ? MM_TOKEN_SET : MM_TOKEN_ADD;
            mm_token_use(&used, type, base + count);
            table_use(&table, type, count);
            compare_with_table(&used, &table, base);
        }
    }
}

static void test_token_counts_at_the_end(void **state) {
    (void)state;
    // The last counts there are tokens for.
    device_t device = {.series = &series_a, .state = {.count = MM_TOKEN_COUNT_MAX - 2, .older = UINT64_MAX}};
    char text[MM_TOKEN_DIGITS_MAX + 1];
    const mm_token_t last = {MM_TOKEN_ADD, 7, MM_TOKEN_COUNT_MAX};
    assert_int_equal(mm_token_make(&series_a, &last, true, false, text), MM_OK);
    assert_int_equal(type_in(&device, text), MM_TOKEN_GOOD);
    assert_int_equal(type_in(&device, text), MM_TOKEN_USED);
    assert_int_equal(device.state.count, MM_TOKEN_COUNT_MAX);
    assert_int_equal(type_in(&device, "000000000000"), MM_TOKEN_WRONG);
    // Beyond them, by credit that came another way: bounded work and nothing is good.
    static const uint32_t beyond[] = {MM_TOKEN_COUNT_MAX + 1, INT32_MAX, UINT32_MAX - 1, UINT32_MAX};
    for (size_t index = 0; index < sizeof beyond / sizeof beyond[0]; index++) {
        device.state = (mm_token_state_t){.count = beyond[index], .older = 0};
        assert_int_equal(type_in(&device, "588224011"), MM_TOKEN_USED);
        assert_int_equal(type_in(&device, "588224012"), MM_TOKEN_WRONG);
    }
}

// How many random digits are a token. Good are, at most: 32 counts that add, 32 that set, 8 older ones, each with one
// of 1,000,000 leading parts; counts that only a sync reaches belong to one value in 1,000 of the short form.
static void test_token_random_digits_are_rarely_good(void **state) {
    (void)state;
    mm_random_t random = mm_random(4711);
    static const char *const digits[] = {"0123456789", "1234"};
    static const unsigned forms[] = {9, 12, 15, 20};
    unsigned good = 0;
    for (unsigned guess = 0; guess < GUESSES; guess++) {
        unsigned form = guess % 4;
        char text[MM_TOKEN_DIGITS_MAX + 1] = {0};
        for (unsigned place = 0; place < forms[form]; place++) {
            text[place] = form < 2 ? digits[0][mm_random_below(&random, 10)] : digits[1][mm_random_u32(&random) % 4];
        }
        mm_token_state_t used = {.count = 20, .older = 0};
        mm_token_t token;
        mm_token_verdict_t verdict = mm_token_judge(&series_a, &used, text, &token);
        assert_true(verdict != MM_TOKEN_NO_FORM);
        good += verdict == MM_TOKEN_GOOD;
    }
    print_message("guesses: seed=4711 tried=%u good=%u\n", GUESSES, good);
    // Of 1,000,000 at most 72 on average; six times its deviation of 8.5 above it for the whole, as much for a tenth.
    assert_in_range(good, GUESSES / 1000000 * 20, GUESSES < 1000000 ? 24 : 123);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_replay_eight_neighbours_in_every_order),
        cmocka_unit_test(test_token_replay_eight_mixed_in_every_order),
        cmocka_unit_test(test_token_windows_to_the_count),
        cmocka_unit_test(test_token_use_follows_a_table),
        cmocka_unit_test(test_token_counts_at_the_end),
        cmocka_unit_test(test_token_random_digits_are_rarely_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
