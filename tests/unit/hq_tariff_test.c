// SPDX-License-Identifier: Apache-2.0
#include "hq_vending_world.h"

#include <cjson/cJSON.h>

// Prices: expected values are calculated by hand, next to each.

static mm_tariff_t flat(int64_t price) {
    mm_tariff_t tariff = {.name = "flat", .currency = "EUR", .decimals = 2, .tax_ppm = 190000, .band_count = 1};
    tariff.bands[0] = (mm_tariff_band_t){.days = 127, .from_hour = 0, .to_hour = 24, .price_minor_per_kwh = price};
    return tariff;
}

static mm_tariff_sale_t sale_at(uint8_t weekday, uint8_t hour) {
    return (mm_tariff_sale_t){.weekday = weekday, .hour = hour, .unit_wh = 1000, .units_max = 999999};
}

static void test_tariff_energy_has_its_price_and_tax(void **state) {
    (void)state;
    mm_tariff_t tariff = flat(30);
    mm_tariff_sale_t sale = sale_at(1, 12);
    mm_tariff_quote_t quote;
    mm_hq_error_t error;
    assert_true(mm_tariff_check(&tariff, &error));
    assert_true(mm_tariff_quote_energy(&tariff, &sale, 5000, &quote, &error));
    assert_int_equal(quote.cost_milli, 150000); // 5 kWh x 30 ct
    assert_int_equal(quote.money_minor, 150);
    assert_int_equal(quote.tax_minor, 24); // 150 x 0.19 / 1.19 = 23.949…
    assert_int_equal(quote.remainder_milli, 0);
}

static void test_tariff_tax_is_rounded_half_up(void **state) {
    (void)state;
    mm_tariff_t tariff = flat(1);
    tariff.tax_ppm = 1000000; // half of the price is tax
    assert_int_equal(mm_tariff_tax_minor(&tariff, 999), 0);
    assert_int_equal(mm_tariff_tax_minor(&tariff, 1000), 1); // 0.5
    assert_int_equal(mm_tariff_tax_minor(&tariff, 2999), 1); // 1.4995
    assert_int_equal(mm_tariff_tax_minor(&tariff, 3000), 2); // 1.5
    tariff.tax_ppm = 0;
    assert_int_equal(mm_tariff_tax_minor(&tariff, 3000), 0);
    // The largest price there is stays within 64 bits: 10^11 Wh x 2 x 10^7 milli/Wh x 190000/1190000 / 1000.
    tariff.tax_ppm = 190000;
    assert_int_equal(mm_tariff_tax_minor(&tariff, MM_TARIFF_AMOUNT_WH_MAX * 2 * MM_TARIFF_PRICE_MAX),
                     INT64_C(319327731092437));
}

static void test_tariff_money_buys_whole_units_and_keeps_the_rest(void **state) {
    (void)state;
    mm_tariff_t tariff = flat(30);
    mm_tariff_sale_t sale = sale_at(1, 12);
    mm_tariff_quote_t quote;
    mm_hq_error_t error;
    assert_true(mm_tariff_quote_money(&tariff, &sale, 100, &quote, &error));
    assert_int_equal(quote.amount_wh, 3000);
    assert_int_equal(quote.remainder_milli, 10000); // 100 ct - 90 ct
    sale.remainder_milli = quote.remainder_milli;
    assert_true(mm_tariff_quote_money(&tariff, &sale, 20, &quote, &error)); // 20 + 10 ct
    assert_int_equal(quote.amount_wh, 1000);
    assert_int_equal(quote.remainder_milli, 0);
    sale.remainder_milli = 9999;
    assert_false(mm_tariff_quote_money(&tariff, &sale, 20, &quote, &error)); // 0.001 ct are missing
    assert_true(strstr(error.text, "does not buy one unit") != NULL);
    assert_true(strstr(error.text, "0.29999 EUR, the unit costs 0.30000 EUR") != NULL);
}

static void test_tariff_energy_uses_what_was_kept_first(void **state) {
    (void)state;
    mm_tariff_t tariff = flat(31);
    mm_tariff_sale_t sale = sale_at(1, 12);
    mm_tariff_quote_t quote;
    mm_hq_error_t error;
    sale.unit_wh = 100;
    assert_true(mm_tariff_quote_energy(&tariff, &sale, 100, &quote, &error));
    assert_int_equal(quote.money_minor, 4); // 3.1 ct
    assert_int_equal(quote.remainder_milli, 900);
    sale.remainder_milli = 900;
    assert_true(mm_tariff_quote_energy(&tariff, &sale, 200, &quote, &error));
    assert_int_equal(quote.money_minor, 6); // 6.2 - 0.9 = 5.3 ct
    assert_int_equal(quote.remainder_milli, 700);
    sale.remainder_milli = 50000;
    assert_true(mm_tariff_quote_energy(&tariff, &sale, 200, &quote, &error));
    assert_int_equal(quote.money_minor, 0);
    assert_int_equal(quote.remainder_milli, 43800);
}

static void test_tariff_bands_by_hour_and_day(void **state) {
    (void)state;
    mm_tariff_t tariff = flat(25);
    mm_hq_error_t error;
    tariff.band_count = 3;
    tariff.bands[2] = tariff.bands[0];                                    // otherwise: 25
    tariff.bands[0] = (mm_tariff_band_t){1 | 64, 0, 24, 15};              // weekend
    tariff.bands[1] = (mm_tariff_band_t){2 | 4 | 8 | 16 | 32, 22, 6, 10}; // nights
    assert_true(mm_tariff_check(&tariff, &error));
    static const struct {
        uint8_t weekday;
        uint8_t hour;
        int64_t price;
    } cases[] = {{0, 0, 15}, {0, 23, 15}, {6, 12, 15}, {1, 5, 10}, {1, 6, 25}, {1, 21, 25}, {5, 22, 10}, {5, 23, 10}};
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        mm_tariff_sale_t sale = sale_at(cases[index].weekday, cases[index].hour);
        assert_int_equal(mm_tariff_cost_milli(&tariff, &sale, 1000), 1000 * cases[index].price);
    }
}

static void test_tariff_blocks_by_what_was_bought_this_month(void **state) {
    (void)state;
    mm_tariff_t tariff = flat(0);
    mm_tariff_sale_t sale = sale_at(2, 8);
    mm_tariff_quote_t quote;
    mm_hq_error_t error;
    tariff.band_count = 0;
    tariff.block_count = 3;
    tariff.blocks[0] = (mm_tariff_block_t){10000, 20};
    tariff.blocks[1] = (mm_tariff_block_t){12000, 0};
    tariff.blocks[2] = (mm_tariff_block_t){0, 40};
    assert_false(mm_tariff_check(&tariff, &error)); // a block for nothing
    tariff.blocks[1].price_minor_per_kwh = 30;
    assert_true(mm_tariff_check(&tariff, &error));
    sale.bought_wh = 8000;
    // 2 kWh at 20, 2 at 30, 1 at 40.
    assert_int_equal(mm_tariff_cost_milli(&tariff, &sale, 5000), 140000);
    assert_true(mm_tariff_quote_money(&tariff, &sale, 140, &quote, &error));
    assert_int_equal(quote.amount_wh, 5000);
    assert_true(mm_tariff_quote_money(&tariff, &sale, 139, &quote, &error));
    assert_int_equal(quote.amount_wh, 4000);
    assert_int_equal(quote.remainder_milli, 39000);
    sale.bought_wh = 12000;
    assert_int_equal(mm_tariff_cost_milli(&tariff, &sale, 1000), 40000);
    // With a band, both prices count.
    tariff.band_count = 1;
    tariff.bands[0].price_minor_per_kwh = 5;
    assert_int_equal(mm_tariff_cost_milli(&tariff, &sale, 1000), 45000);
}

// Nothing is lost, whatever is bought in whatever order: what was paid is what was sold for, and what is kept.
static void test_tariff_money_is_conserved(void **state) {
    (void)state;
    for (int64_t price = 1; price <= 97; price += 6) {
        mm_tariff_t tariff = flat(price);
        mm_tariff_sale_t sale = sale_at(3, 3);
        int64_t paid_milli = 0;
        int64_t cost_milli = 0;
        tariff.block_count = 2;
        tariff.blocks[0] = (mm_tariff_block_t){7000, 3};
        tariff.blocks[1] = (mm_tariff_block_t){0, 11};
        sale.unit_wh = 250;
        for (int64_t step = 1; step < 400; step++) {
            mm_tariff_quote_t quote;
            mm_hq_error_t error;
            bool good = step % 3 == 0 ? mm_tariff_quote_energy(&tariff, &sale, 250 * (step % 17 + 1), &quote, &error)
                                      : mm_tariff_quote_money(&tariff, &sale, step * 7 % 101 + 1, &quote, &error);
            if (!good) {
                continue;
            }
            assert_true(quote.amount_wh > 0 && quote.amount_wh % 250 == 0);
            assert_int_equal(quote.cost_milli, mm_tariff_cost_milli(&tariff, &sale, quote.amount_wh));
            assert_true(quote.remainder_milli >= 0);
            // Not one unit more could have been bought.
            if (step % 3 != 0) {
                assert_true(mm_tariff_cost_milli(&tariff, &sale, quote.amount_wh + 250) >
                            quote.cost_milli + quote.remainder_milli);
            }
            paid_milli += 1000 * quote.money_minor;
            cost_milli += quote.cost_milli;
            sale.remainder_milli = quote.remainder_milli;
            sale.bought_wh = (sale.bought_wh + quote.amount_wh) % 20000;
            assert_int_equal(paid_milli, cost_milli + sale.remainder_milli);
        }
    }
}

static void test_tariff_quotes_refuse(void **state) {
    (void)state;
    mm_tariff_t tariff = flat(1);
    mm_tariff_sale_t sale = sale_at(1, 1);
    mm_tariff_quote_t quote;
    mm_hq_error_t error;
    static const int64_t energies[] = {0, -1000, 500, 1001, INT64_MAX, INT64_MIN, 1000000000};
    for (size_t index = 0; index < sizeof energies / sizeof energies[0]; index++) {
        assert_false(mm_tariff_quote_energy(&tariff, &sale, energies[index], &quote, &error));
    }
    static const int64_t moneys[] = {0, -1, INT64_MIN, INT64_MAX, MM_TARIFF_MONEY_MINOR_MAX + 1, 1000000};
    for (size_t index = 0; index < sizeof moneys / sizeof moneys[0]; index++) {
        assert_false(mm_tariff_quote_money(&tariff, &sale, moneys[index], &quote, &error));
    }
    assert_true(mm_tariff_quote_money(&tariff, &sale, 999999, &quote, &error));
    assert_int_equal(quote.amount_wh, 999999000);
    // One purchase costs no more than it could be paid with, or few of them are more than the ledger can add up.
    tariff = flat(MM_TARIFF_PRICE_MAX);
    assert_true(mm_tariff_quote_energy(&tariff, &sale, 100000000, &quote, &error));
    assert_int_equal(quote.money_minor, MM_TARIFF_MONEY_MINOR_MAX);
    assert_false(mm_tariff_quote_energy(&tariff, &sale, 100001000, &quote, &error));
}

// --- JSON

static bool read_text(const char *text, mm_tariff_t *tariff, mm_hq_error_t *error) {
    cJSON *object = cJSON_Parse(text);
    bool good = mm_tariff_read(object, tariff, error);
    cJSON_Delete(object);
    return good;
}

#define HEAD "{\"name\":\"day-night\",\"currency\":\"EUR\",\"decimals\":2,\"tax_ppm\":190000,"
#define ALL_WEEK "{\"days\":[0,1,2,3,4,5,6],\"from_hour\":0,\"to_hour\":24,\"price_minor_per_kwh\":30}"

static void test_tariff_json_round_trip(void **state) {
    (void)state;
    static const char text[] = HEAD "\"bands\":[" ALL_WEEK "],\"blocks\":[{\"up_to_wh\":50000,"
                                    "\"price_minor_per_kwh\":0},{\"up_to_wh\":0,\"price_minor_per_kwh\":4}]}";
    mm_tariff_t tariff;
    mm_hq_error_t error = {{0}};
    if (!read_text(text, &tariff, &error)) {
        fail_msg("%s", error.text);
    }
    assert_int_equal(tariff.bands[0].days, 127);
    assert_int_equal(tariff.blocks[1].price_minor_per_kwh, 4);
    cJSON *object = mm_tariff_write(&tariff);
    char *written = cJSON_PrintUnformatted(object);
    assert_string_equal(written, text);
    free(written);
    cJSON_Delete(object);
}

static void test_tariff_json_refuses(void **state) {
    (void)state;
    static const char *const texts[] = {
        "[]",
        "{}",
        HEAD "\"bands\":[]}",
        HEAD "\"bands\":{}}",
        HEAD "\"bands\":[" ALL_WEEK "],\"colour\":1}",
        HEAD "\"bands\":[" ALL_WEEK "],\"name\":\"twice\"}",
        HEAD "\"bands\":[{\"days\":[1],\"from_hour\":0,\"to_hour\":24,\"price_minor_per_kwh\":30}]}",
        HEAD "\"bands\":[{\"days\":[7],\"from_hour\":0,\"to_hour\":24,\"price_minor_per_kwh\":30}]}",
        HEAD "\"bands\":[{\"days\":[0,1,2,3,4,5,6],\"from_hour\":0,\"to_hour\":24,\"price_minor_per_kwh\":-1}]}",
        HEAD "\"bands\":[{\"days\":[0,1,2,3,4,5,6],\"from_hour\":0,\"to_hour\":24,\"price_minor_per_kwh\":0.5}]}",
        HEAD "\"bands\":[{\"days\":[0,1,2,3,4,5,6],\"from_hour\":0,\"to_hour\":25,\"price_minor_per_kwh\":1}]}",
        HEAD "\"bands\":[{\"days\":[0,1,2,3,4,5,6],\"from_hour\":3,\"to_hour\":3,\"price_minor_per_kwh\":1}]}",
        HEAD "\"bands\":[{\"days\":[0,1,2,3,4,5,6],\"from_hour\":0,\"to_hour\":24,\"price_minor_per_kwh\":10000001}]}",
        HEAD "\"bands\":[{\"days\":[0,1,2,3,4,5,6],\"from_hour\":0,\"to_hour\":24,\"price_minor_per_kwh\":0}]}",
        HEAD "\"blocks\":[{\"up_to_wh\":100,\"price_minor_per_kwh\":1}]}",
        HEAD "\"blocks\":[{\"up_to_wh\":100,\"price_minor_per_kwh\":1},{\"up_to_wh\":100,\"price_minor_per_kwh\":1},"
             "{\"up_to_wh\":0,\"price_minor_per_kwh\":1}]}",
        "{\"name\":\"A B\",\"currency\":\"EUR\",\"decimals\":2,\"tax_ppm\":0,\"bands\":[" ALL_WEEK "]}",
        "{\"name\":\"a\",\"currency\":\"euro\",\"decimals\":2,\"tax_ppm\":0,\"bands\":[" ALL_WEEK "]}",
        "{\"name\":\"a\",\"currency\":\"EUR\",\"decimals\":9,\"tax_ppm\":0,\"bands\":[" ALL_WEEK "]}",
        "{\"name\":\"a\",\"currency\":\"EUR\",\"decimals\":2,\"tax_ppm\":1000001,\"bands\":[" ALL_WEEK "]}",
        "{\"name\":\"a\",\"currency\":\"EUR\",\"decimals\":2,\"tax_ppm\":1e300,\"bands\":[" ALL_WEEK "]}",
    };
    for (size_t index = 0; index < sizeof texts / sizeof texts[0]; index++) {
        mm_tariff_t tariff;
        mm_hq_error_t error = {{0}};
        if (read_text(texts[index], &tariff, &error)) {
            fail_msg("accepted: %s", texts[index]);
        }
        assert_true(error.text[0] != '\0');
    }
}

// --- in the database

static bool count_tariff(void *context, const mm_tariff_t *tariff) {
    int *count = context;
    (*count)++;
    assert_int_equal(tariff->bands[0].price_minor_per_kwh, 32);
    return true;
}

static void test_tariff_newest_version_is_in_force(void **state) {
    vending_t *self = *state;
    mm_hq_error_t error = {{0}};
    bool repeated;
    mm_tariff_t tariff = flat(30);
    snprintf(tariff.name, sizeof tariff.name, MM_TARIFF_DEFAULT);
    assert_int_equal(mm_tariffs_put(self->desk, "t1", &tariff, "ann", self->now_us, &repeated, &error), MM_DESK_OK);
    assert_false(repeated);
    assert_int_equal(mm_tariffs_put(self->desk, "t1", &tariff, "ann", self->now_us, &repeated, &error), MM_DESK_OK);
    assert_true(repeated);
    mm_sale_t first = vending_sell(self, "p1", 1000);
    assert_int_equal(first.money_minor, 30);
    tariff.bands[0].price_minor_per_kwh = 32;
    assert_int_equal(mm_tariffs_put(self->desk, "t1", &tariff, "ann", self->now_us, &repeated, &error),
                     MM_DESK_CONFLICT);
    assert_int_equal(mm_tariffs_put(self->desk, "t2", &tariff, "ann", self->now_us, &repeated, &error), MM_DESK_OK);
    mm_sale_t second = vending_sell(self, "p2", 1000);
    assert_int_equal(second.money_minor, 32);
    int count = 0;
    assert_int_equal(mm_tariffs_list(self->desk, count_tariff, &count, &error), MM_DESK_OK);
    assert_int_equal(count, 1);
    vending_assert_state(self, &first, "issued");
    assert_int_equal(vending_account(self, "cash", "EUR"), 62000);
    assert_int_equal(vending_account(self, "tax", "EUR"), -(5000 + 5000)); // 4.79 and 5.11 ct, rounded
}

// The ledger adds up minor units: a currency keeps the one that it began with.
static void test_tariff_currency_keeps_its_decimals(void **state) {
    vending_t *self = *state;
    mm_hq_error_t error = {{0}};
    bool repeated;
    mm_tariff_t tariff = flat(30);
    assert_int_equal(mm_tariffs_put(self->desk, "t1", &tariff, "ann", 1, &repeated, &error), MM_DESK_OK);
    tariff.decimals = 3;
    assert_int_equal(mm_tariffs_put(self->desk, "t2", &tariff, "ann", 1, &repeated, &error), MM_DESK_REFUSED);
    assert_non_null(strstr(error.text, "has 2 decimals in tariff flat"));
    snprintf(tariff.name, sizeof tariff.name, "other");
    assert_int_equal(mm_tariffs_put(self->desk, "t3", &tariff, "ann", 1, &repeated, &error), MM_DESK_REFUSED);
    snprintf(tariff.currency, sizeof tariff.currency, "KWD");
    assert_int_equal(mm_tariffs_put(self->desk, "t4", &tariff, "ann", 1, &repeated, &error), MM_DESK_OK);
}

static void test_tariff_settings_of_a_site(void **state) {
    vending_t *self = *state;
    mm_hq_error_t error = {{0}};
    mm_sale_t sale;
    bool repeated;
    mm_tariff_t tariff = flat(30);
    mm_site_settings_t settings = {.token_unit_wh = 100, .tariff = "flat", .auto_confirm = -1, .auto_join = -1};
    assert_int_equal(mm_site_settings_put(self->desk, "s1", "home", &settings, "ann", 1, &repeated, &error),
                     MM_DESK_NOT_FOUND); // no such tariff
    assert_int_equal(mm_tariffs_put(self->desk, "t1", &tariff, "ann", 1, &repeated, &error), MM_DESK_OK);
    assert_int_equal(mm_site_settings_put(self->desk, "s1", "nowhere", &settings, "ann", 1, &repeated, &error),
                     MM_DESK_NOT_FOUND);
    assert_int_equal(vending_try(self, "p0", "M-1", 100, 0, &sale, &error), MM_DESK_REFUSED);
    assert_int_equal(mm_site_settings_put(self->desk, "s1", "home", &settings, "ann", 1, &repeated, &error),
                     MM_DESK_OK);
    assert_int_equal(mm_site_settings_put(self->desk, "s1", "home", &settings, "ann", 1, &repeated, &error),
                     MM_DESK_OK);
    assert_true(repeated);
    assert_int_equal(vending_try(self, "p1", "M-1", 100, 0, &sale, &error), MM_DESK_OK);
    assert_int_equal(sale.money_minor, 3);
    settings.token_unit_wh = 0;
    assert_int_equal(mm_site_settings_put(self->desk, "s2", "home", &settings, "ann", 1, &repeated, &error),
                     MM_DESK_REFUSED);
    settings.token_unit_wh = 200;
    assert_int_equal(mm_site_settings_put(self->desk, "s1", "home", &settings, "ann", 1, &repeated, &error),
                     MM_DESK_CONFLICT);
    assert_int_equal(mm_site_settings_put(self->desk, "", "home", &settings, "ann", 1, &repeated, &error),
                     MM_DESK_REFUSED);
}

#define TEST(name) cmocka_unit_test(name)
#define DATABASE_TEST(name) cmocka_unit_test_setup_teardown(name, vending_setup, vending_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_tariff_energy_has_its_price_and_tax),
        TEST(test_tariff_tax_is_rounded_half_up),
        TEST(test_tariff_money_buys_whole_units_and_keeps_the_rest),
        TEST(test_tariff_energy_uses_what_was_kept_first),
        TEST(test_tariff_bands_by_hour_and_day),
        TEST(test_tariff_blocks_by_what_was_bought_this_month),
        TEST(test_tariff_money_is_conserved),
        TEST(test_tariff_quotes_refuse),
        TEST(test_tariff_json_round_trip),
        TEST(test_tariff_json_refuses),
        DATABASE_TEST(test_tariff_newest_version_is_in_force),
        DATABASE_TEST(test_tariff_currency_keeps_its_decimals),
        DATABASE_TEST(test_tariff_settings_of_a_site),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
