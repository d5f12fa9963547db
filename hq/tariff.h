// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TARIFF_H
#define MM_TARIFF_H

#include "log.h"

#include <stdbool.h>
#include <stdint.h>

/// What energy costs. Arithmetic only: no clock, no database.
///
/// The unit of account is 1/1000 of the currency's minor unit ("milli"): at a price of whole minor units per kWh, one
/// Wh costs a whole number of it, so nothing is ever rounded but the tax on the receipt.
///
/// The price of a Wh is the price of the band in force at the sale, by local time, plus the price of the block it falls
/// into, by what the meter has bought in this local month. A tariff has bands, or blocks, or both; a missing list
/// counts as 0. Taxes are included in prices: of a price, tax_ppm / (1,000,000 + tax_ppm) is tax, rounded half up to
/// whole minor units for each purchase.

#define MM_TARIFF_NAME_CHARS_MAX 32
#define MM_TARIFF_CURRENCY_CHARS_MAX 7
#define MM_TARIFF_BANDS_MAX 32
#define MM_TARIFF_BLOCKS_MAX 16
/// With these bounds no product leaves 64 bits.
#define MM_TARIFF_PRICE_MAX INT64_C(10000000)
#define MM_TARIFF_AMOUNT_WH_MAX INT64_C(100000000000)
#define MM_TARIFF_MONEY_MINOR_MAX INT64_C(1000000000000)

typedef struct {
    uint8_t days;      ///< bit per day of the week on which the hour lies (bit 0 = Sunday)
    uint8_t from_hour; ///< 0 … 23
    uint8_t to_hour;   ///< 1 … 24, not included; before from_hour: over midnight
    int64_t price_minor_per_kwh;
} mm_tariff_band_t;

typedef struct {
    int64_t up_to_wh; ///< of the month's purchases; 0: without end (the last block)
    int64_t price_minor_per_kwh;
} mm_tariff_block_t;

typedef struct {
    char name[MM_TARIFF_NAME_CHARS_MAX + 1];
    char currency[MM_TARIFF_CURRENCY_CHARS_MAX + 1];
    int decimals; ///< of the minor unit: 2 for cents
    int64_t tax_ppm;
    int band_count;
    int block_count;
    mm_tariff_band_t bands[MM_TARIFF_BANDS_MAX];
    mm_tariff_block_t blocks[MM_TARIFF_BLOCKS_MAX];
} mm_tariff_t;

/// False and *error: a value out of range, an hour of the week without a price, blocks that do not rise, energy for
/// nothing.
bool mm_tariff_check(const mm_tariff_t *self, mm_hq_error_t *error);

/// From and to the JSON of docs/spec/api.md. Unknown members are refused, but for "request". Read checks, too.
struct cJSON;
bool mm_tariff_read(const struct cJSON *object, mm_tariff_t *self, mm_hq_error_t *error);
/// The caller deletes it; NULL: out of memory.
struct cJSON *mm_tariff_write(const mm_tariff_t *self);

/// Where in the tariff a sale stands.
typedef struct {
    uint8_t weekday;         ///< local, 0 = Sunday
    uint8_t hour;            ///< local
    int64_t bought_wh;       ///< by this meter in this local month, before
    int64_t remainder_milli; ///< kept from its purchases before, 0 or more
    int64_t unit_wh;         ///< what is sold is a multiple of it
    int64_t units_max;
} mm_tariff_sale_t;

typedef struct {
    int64_t amount_wh;
    int64_t cost_milli;      ///< of the amount, tax included
    int64_t tax_minor;       ///< of it
    int64_t money_minor;     ///< to be paid
    int64_t remainder_milli; ///< kept afterwards: before + 1000 * money - cost, always
} mm_tariff_quote_t;

/// Price of amount_wh (0 … MM_TARIFF_AMOUNT_WH_MAX) behind bought_wh.
int64_t mm_tariff_cost_milli(const mm_tariff_t *self, const mm_tariff_sale_t *sale, int64_t amount_wh);
int64_t mm_tariff_tax_minor(const mm_tariff_t *self, int64_t cost_milli);
/// A given energy: the remainder is used first, the money is rounded up to whole minor units, what is over is the new
/// remainder.
bool mm_tariff_quote_energy(const mm_tariff_t *self, const mm_tariff_sale_t *sale, int64_t amount_wh,
                            mm_tariff_quote_t *quote, mm_hq_error_t *error);
/// A given money: as many units as it and the remainder buy. False: not even one, or more than units_max.
bool mm_tariff_quote_money(const mm_tariff_t *self, const mm_tariff_sale_t *sale, int64_t money_minor,
                           mm_tariff_quote_t *quote, mm_hq_error_t *error);

#endif
