// SPDX-License-Identifier: Apache-2.0
#include "tariff.h"

#include <stddef.h>
#include <string.h>

#define DAYS 7
#define HOURS 24
#define MILLI 1000
#define MILLION INT64_C(1000000)
#define DECIMALS_MAX 4
#define MILLI_DIGITS 3
#define MONEY_CHARS 24 ///< an int64_t that is not negative, with point and end

// --- is it a tariff

static bool is_name(const char *text, const char *characters) {
    return text[0] != '\0' && text[strspn(text, characters)] == '\0';
}

static bool check_head(const mm_tariff_t *self, mm_hq_error_t *error) {
    if (!is_name(self->name, "abcdefghijklmnopqrstuvwxyz0123456789.-")) {
        mm_hq_error_set(error, "name must be 1 to %d of a-z, 0-9, '.' and '-'", MM_TARIFF_NAME_CHARS_MAX);
    } else if (!is_name(self->currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")) {
        mm_hq_error_set(error, "currency must be 1 to %d capital letters, like EUR", MM_TARIFF_CURRENCY_CHARS_MAX);
    } else if (self->decimals < 0 || self->decimals > DECIMALS_MAX) {
        mm_hq_error_set(error, "decimals must be 0 to %d: 2 for cents", DECIMALS_MAX);
    } else if (self->tax_ppm < 0 || self->tax_ppm > MILLION) {
        mm_hq_error_set(error, "tax_ppm must be 0 to 1000000: 190000 for 19 %%");
    } else if (self->band_count < 0 || self->band_count > MM_TARIFF_BANDS_MAX || self->block_count < 0 ||
               self->block_count > MM_TARIFF_BLOCKS_MAX) {
        mm_hq_error_set(error, "at most %d bands and %d blocks", MM_TARIFF_BANDS_MAX, MM_TARIFF_BLOCKS_MAX);
    } else if (self->band_count + self->block_count == 0) {
        mm_hq_error_set(error, "a tariff needs bands or blocks");
    } else {
        return true;
    }
    return false;
}

static bool check_price(int64_t price, const char *where, int index, mm_hq_error_t *error) {
    if (price < 0 || price > MM_TARIFF_PRICE_MAX) {
        mm_hq_error_set(error, "%s %d: price_minor_per_kwh must be a whole number from 0 to %lld", where, index + 1,
                        (long long)MM_TARIFF_PRICE_MAX);
        return false;
    }
    return true;
}

static bool is_in_band(const mm_tariff_band_t *band, int weekday, int hour) {
    bool in_hours = band->from_hour < band->to_hour ? hour >= band->from_hour && hour < band->to_hour
                                                    : hour >= band->from_hour || hour < band->to_hour;
    return in_hours && (band->days >> weekday & 1) != 0;
}

static const mm_tariff_band_t *find_band(const mm_tariff_t *self, int weekday, int hour) {
    for (int index = 0; index < self->band_count; index++) {
        if (is_in_band(&self->bands[index], weekday, hour)) {
            return &self->bands[index];
        }
    }
    return NULL;
}

static bool check_bands(const mm_tariff_t *self, int64_t *lowest, mm_hq_error_t *error) {
    *lowest = self->band_count > 0 ? INT64_MAX : 0;
    for (int index = 0; index < self->band_count; index++) {
        const mm_tariff_band_t *band = &self->bands[index];
        if (band->from_hour >= HOURS || band->to_hour < 1 || band->to_hour > HOURS ||
            band->to_hour == band->from_hour || band->days == 0 || band->days >= 1 << DAYS) {
            mm_hq_error_set(error, "band %d: days are 0 (Sunday) to 6, from_hour 0 to 23, to_hour 1 to 24 and another",
                            index + 1);
            return false;
        }
        if (!check_price(band->price_minor_per_kwh, "band", index, error)) {
            return false;
        }
        *lowest = band->price_minor_per_kwh < *lowest ? band->price_minor_per_kwh : *lowest;
    }
    for (int hour = 0; self->band_count > 0 && hour < DAYS * HOURS; hour++) {
        if (find_band(self, hour / HOURS, hour % HOURS) == NULL) {
            mm_hq_error_set(error, "no band has a price for day %d (0 = Sunday), hour %d", hour / HOURS, hour % HOURS);
            return false;
        }
    }
    return true;
}

static bool check_blocks(const mm_tariff_t *self, int64_t *lowest, mm_hq_error_t *error) {
    int64_t before_wh = 0;
    *lowest = self->block_count > 0 ? INT64_MAX : 0;
    for (int index = 0; index < self->block_count; index++) {
        const mm_tariff_block_t *block = &self->blocks[index];
        bool is_last = index == self->block_count - 1;
        if (is_last ? block->up_to_wh != 0
                    : block->up_to_wh <= before_wh || block->up_to_wh > MM_TARIFF_AMOUNT_WH_MAX) {
            mm_hq_error_set(error, "block %d: up_to_wh must %s", index + 1,
                            is_last ? "be 0 in the last block: it has no end" : "rise from block to block");
            return false;
        }
        if (!check_price(block->price_minor_per_kwh, "block", index, error)) {
            return false;
        }
        before_wh = block->up_to_wh;
        *lowest = block->price_minor_per_kwh < *lowest ? block->price_minor_per_kwh : *lowest;
    }
    return true;
}

bool mm_tariff_check(const mm_tariff_t *self, mm_hq_error_t *error) {
    int64_t lowest_band = 0;
    int64_t lowest_block = 0;
    if (!check_head(self, error) || !check_bands(self, &lowest_band, error) ||
        !check_blocks(self, &lowest_block, error)) {
        return false;
    }
    if (lowest_band + lowest_block == 0) {
        // Money would buy energy without end.
        mm_hq_error_set(error, "the cheapest band and the cheapest block together cost nothing");
        return false;
    }
    return true;
}

// --- what it costs

static int64_t band_price(const mm_tariff_t *self, const mm_tariff_sale_t *sale) {
    const mm_tariff_band_t *band = find_band(self, sale->weekday, sale->hour);
    return band != NULL ? band->price_minor_per_kwh : 0;
}

/// Goes from block to block behind what was bought.
typedef struct {
    const mm_tariff_t *tariff;
    int64_t band_price;
    int64_t at_wh;
    int index;
} walk_t;

// The next stretch of one price: how long it is at most, and the price of a Wh in it.
static int64_t next_stretch(walk_t *self, int64_t *price_milli) {
    const mm_tariff_t *tariff = self->tariff;
    while (self->index < tariff->block_count - 1 && tariff->blocks[self->index].up_to_wh <= self->at_wh) {
        self->index++;
    }
    *price_milli = self->band_price;
    if (tariff->block_count == 0) {
        return INT64_MAX;
    }
    const mm_tariff_block_t *block = &tariff->blocks[self->index];
    *price_milli += block->price_minor_per_kwh;
    return block->up_to_wh == 0 ? INT64_MAX : block->up_to_wh - self->at_wh;
}

int64_t mm_tariff_cost_milli(const mm_tariff_t *self, const mm_tariff_sale_t *sale, int64_t amount_wh) {
    walk_t walk = {.tariff = self, .band_price = band_price(self, sale), .at_wh = sale->bought_wh};
    int64_t cost_milli = 0;
    while (amount_wh > 0) {
        int64_t price_milli;
        int64_t stretch_wh = next_stretch(&walk, &price_milli);
        stretch_wh = stretch_wh < amount_wh ? stretch_wh : amount_wh;
        cost_milli += stretch_wh * price_milli;
        walk.at_wh += stretch_wh;
        amount_wh -= stretch_wh;
    }
    return cost_milli;
}

// The largest energy that costs at most this, MM_TARIFF_AMOUNT_WH_MAX at most.
static int64_t affordable_wh(const mm_tariff_t *self, const mm_tariff_sale_t *sale, int64_t available_milli) {
    walk_t walk = {.tariff = self, .band_price = band_price(self, sale), .at_wh = sale->bought_wh};
    int64_t amount_wh = 0;
    while (amount_wh < MM_TARIFF_AMOUNT_WH_MAX) {
        int64_t price_milli;
        int64_t stretch_wh = next_stretch(&walk, &price_milli);
        int64_t room_wh = MM_TARIFF_AMOUNT_WH_MAX - amount_wh;
        stretch_wh = stretch_wh < room_wh ? stretch_wh : room_wh;
        bool is_enough = price_milli == 0 || available_milli / price_milli >= stretch_wh;
        int64_t bought_wh = is_enough ? stretch_wh : available_milli / price_milli;
        available_milli -= bought_wh * price_milli;
        amount_wh += bought_wh;
        walk.at_wh += bought_wh;
        if (!is_enough) {
            break;
        }
    }
    return amount_wh;
}

int64_t mm_tariff_tax_minor(const mm_tariff_t *self, int64_t cost_milli) {
    int64_t whole = MILLION + self->tax_ppm;
    int64_t tax_milli = cost_milli / whole * self->tax_ppm + cost_milli % whole * self->tax_ppm / whole;
    return (tax_milli + MILLI / 2) / MILLI;
}

bool mm_tariff_quote_energy(const mm_tariff_t *self, const mm_tariff_sale_t *sale, int64_t amount_wh,
                            mm_tariff_quote_t *quote, mm_hq_error_t *error) {
    if (amount_wh <= 0 || amount_wh > MM_TARIFF_AMOUNT_WH_MAX || amount_wh % sale->unit_wh != 0 ||
        amount_wh / sale->unit_wh > sale->units_max) {
        mm_hq_error_set(error, "the energy must be a multiple of %lld Wh, at most %lld Wh", (long long)sale->unit_wh,
                        (long long)(sale->units_max * sale->unit_wh));
        return false;
    }
    quote->amount_wh = amount_wh;
    quote->cost_milli = mm_tariff_cost_milli(self, sale, amount_wh);
    quote->tax_minor = mm_tariff_tax_minor(self, quote->cost_milli);
    int64_t due_milli = quote->cost_milli - sale->remainder_milli;
    quote->money_minor = due_milli > 0 ? (due_milli + MILLI - 1) / MILLI : 0;
    quote->remainder_milli = quote->money_minor * MILLI - due_milli;
    if (quote->money_minor > MM_TARIFF_MONEY_MINOR_MAX) {
        // A few of these, and the sums of the ledger would leave the range of its integers, for ever.
        mm_hq_error_set(error,
                        "this energy costs more than %lld minor units of %s, the most that one purchase can cost",
                        (long long)MM_TARIFF_MONEY_MINOR_MAX, self->currency);
        return false;
    }
    return true;
}

// As people write it: 10000 thousandths of a cent are 0.10000.
static const char *format_milli(const mm_tariff_t *self, int64_t milli, char out[MONEY_CHARS]) {
    int decimals = self->decimals + MILLI_DIGITS;
    char *text = out + MONEY_CHARS - 1;
    *text = '\0';
    for (int i = 0; i <= decimals || milli > 0; i++) {
        if (i == decimals) {
            *--text = '.';
        }
        *--text = (char)('0' + milli % 10);
        milli /= 10;
    }
    return text;
}

bool mm_tariff_quote_money(const mm_tariff_t *self, const mm_tariff_sale_t *sale, int64_t money_minor,
                           mm_tariff_quote_t *quote, mm_hq_error_t *error) {
    if (money_minor <= 0 || money_minor > MM_TARIFF_MONEY_MINOR_MAX) {
        mm_hq_error_set(error, "the money must be 1 to %lld minor units of %s", (long long)MM_TARIFF_MONEY_MINOR_MAX,
                        self->currency);
        return false;
    }
    int64_t available_milli = money_minor * MILLI + sale->remainder_milli;
    int64_t units = affordable_wh(self, sale, available_milli) / sale->unit_wh;
    if (units > sale->units_max) {
        mm_hq_error_set(error, "the money buys more than %lld Wh, the most that one purchase can bring",
                        (long long)(sale->units_max * sale->unit_wh));
        return false;
    }
    if (units == 0) {
        char available[MONEY_CHARS];
        char cost[MONEY_CHARS];
        mm_hq_error_set(error,
                        "the money does not buy one unit of %lld Wh: with what was kept it is %s %s, the unit costs "
                        "%s %s",
                        (long long)sale->unit_wh, format_milli(self, available_milli, available), self->currency,
                        format_milli(self, mm_tariff_cost_milli(self, sale, sale->unit_wh), cost), self->currency);
        return false;
    }
    quote->amount_wh = units * sale->unit_wh;
    quote->cost_milli = mm_tariff_cost_milli(self, sale, quote->amount_wh);
    quote->tax_minor = mm_tariff_tax_minor(self, quote->cost_milli);
    quote->money_minor = money_minor;
    quote->remainder_milli = available_milli - quote->cost_milli;
    return true;
}
