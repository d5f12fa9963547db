// SPDX-License-Identifier: Apache-2.0
#ifndef MM_VENDING_INTERNAL_H
#define MM_VENDING_INTERNAL_H

#include "sql.h"
#include "tariff.h"
#include "vending.h"

/// Shared by the files of sales and books only.

typedef enum {
    MMI_HQ_PURCHASE_ISSUED = 1,
    MMI_HQ_PURCHASE_VOIDING = 2, ///< and below: open
    MMI_HQ_PURCHASE_APPLIED = 3,
    MMI_HQ_PURCHASE_VOID = 4,
    MMI_HQ_PURCHASE_LOST = 5,
} mmi_hq_purchase_state_t;

const char *mmi_hq_purchase_state_name(int state);

/// What a booking needs to know of a purchase.
typedef struct {
    int64_t id;
    int64_t node_id;
    uint8_t channel;
    char meter[MM_METER_ID_CHARS_MAX + 1];
    uint32_t era;
    uint32_t count;
    int state;
    int64_t amount_wh;
    char currency[8];
    int64_t money_minor;
    int64_t cost_milli;
    int64_t tax_minor;
    int64_t command; ///< that brings it; 0 = none
    int64_t void_command;
} mmi_hq_purchase_t;

// ledger.c. All inside of the caller's transaction; false: the database failed.

/// Accounts in Wh. Sold: issued (credit side) = pending + applied + void + lost (debit side). What meters did without a
/// purchase: other, against outside.
#define MMI_HQ_ACCOUNT_ISSUED "issued"
#define MMI_HQ_ACCOUNT_PENDING "pending"
#define MMI_HQ_ACCOUNT_APPLIED "applied"
#define MMI_HQ_ACCOUNT_VOID "void"
#define MMI_HQ_ACCOUNT_LOST "lost"
#define MMI_HQ_ACCOUNT_OTHER "other"
#define MMI_HQ_ACCOUNT_OUTSIDE "outside"
/// Accounts in money: what was paid in (debit side) = remainders kept + revenue + tax + what is to be paid back.
#define MMI_HQ_ACCOUNT_CASH "cash"
#define MMI_HQ_ACCOUNT_REMAINDER "remainder"
#define MMI_HQ_ACCOUNT_REVENUE "revenue"
#define MMI_HQ_ACCOUNT_TAX "tax"
#define MMI_HQ_ACCOUNT_REFUND "refund"
/// What was kept for a meter and is kept for another one now: nothing over both.
#define MMI_HQ_ACCOUNT_MOVED "moved"

#define MMI_HQ_UNIT_WH "Wh"

/// One entry of the ledger about this meter; 0 is no entry. A negative amount changes the sides.
bool mmi_hq_ledger_post(sqlite3 *db, const mmi_hq_purchase_t *whose, const char *debit, const char *credit,
                        const char *unit, int64_t amount, const char *reason, int64_t now_us);
/// The entries of a sale.
bool mmi_hq_ledger_sell(sqlite3 *db, const mmi_hq_purchase_t *purchase, int64_t now_us);
/// Bring a purchase from one state to another, with its entries. ended_by: how it was applied, or why it ended.
bool mmi_hq_ledger_move(sqlite3 *db, mmi_hq_purchase_t *purchase, mmi_hq_purchase_state_t state, const char *ended_by,
                        int64_t now_us);
/// Kept for a meter of a site, in 1/1000 minor units of the currency, wherever in the site it was connected.
bool mmi_hq_ledger_remainder(sqlite3 *db, int64_t site_id, const char *meter, const char *currency,
                             int64_t *remainder_milli);

// vending.c

/// Take a sale back, inside of the caller's transaction; asked for before is OK, too. UNAVAILABLE: the database failed.
mm_desk_result_t mmi_hq_vend_void(sqlite3 *db, mmi_hq_purchase_t *purchase, const char *operator_name, int64_t now_us,
                                  mm_hq_error_t *error);

// purchase.c

/// Columns of the table purchase, in the order in which mmi_hq_purchase_column reads them.
#define MMI_HQ_PURCHASE_COLUMNS                                                                                        \
    "purchase.id, purchase.node, purchase.channel, purchase.meter, purchase.era, purchase.count, purchase.state,"      \
    " purchase.amount_wh, purchase.currency, purchase.money_minor, purchase.cost_milli, purchase.tax_minor,"           \
    " purchase.command, purchase.void_command"
void mmi_hq_purchase_read(const mmi_sql_t *row, mmi_hq_purchase_t *purchase);
/// What the query finds first; id 0 = nothing. False: the database failed.
bool mmi_hq_purchase_find(mmi_sql_t *query, mmi_hq_purchase_t *purchase);

/// Where a meter is.
typedef struct {
    int64_t node_id;
    int64_t site_id;
    mm_mac_t mac;
    uint8_t channel;
    char meter[MM_METER_ID_CHARS_MAX + 1];
    char tz[MM_TZ_CHARS_MAX + 1];
    char site[MM_SITE_CHARS_MAX + 1];
} mmi_hq_place_t;

/// By id or "MAC/CHANNEL". NOT_FOUND or REFUSED with *error; UNAVAILABLE: the database failed, *error is not set.
mm_desk_result_t mmi_hq_place_find(sqlite3 *db, const char *meter, mmi_hq_place_t *place, mm_hq_error_t *error);

/// Take back a command that was not sent yet.
bool mmi_hq_withdraw_command(sqlite3 *db, int64_t command_id, int highest_state, int64_t now_us);

bool mmi_hq_incident(sqlite3 *db, int64_t node_id, const char *name, int64_t value0, int64_t value1, int64_t value2,
                     int64_t value3, int64_t now_us);

// consumption.c

/// One meter's prepayment as its records tell it.
typedef struct {
    bool open;            ///< prepaid now
    uint32_t era;         ///< of the newest prepayment; 0 = none is known
    uint64_t life_pulses; ///< the newest that a record tells of
    int64_t consumed_wh;  ///< since the first prepayment began, by registers; eras that were lost as they were booked
    int64_t open_wh;      ///< sum of the movements of the open prepayment
    int64_t open_consumed_wh;
} mmi_hq_consumption_t;

/// life_pulses, pulse_constant: of the meter's newest snapshot. False: the database failed.
bool mmi_hq_consumption(sqlite3 *db, int64_t node_id, uint8_t channel, uint64_t life_pulses, uint32_t pulse_constant,
                        mmi_hq_consumption_t *consumption);
/// Life register and pulse constant of each channel in a node's newest snapshot, zero without one.
bool mmi_hq_registers(sqlite3 *db, int64_t node_id, uint64_t life_pulses[MM_CHANNELS],
                      uint32_t pulse_constants[MM_CHANNELS]);

// tariffs.c

/// The tariff in force at a site; *tariff_id 0 = none.
bool mmi_hq_tariff_of_site(sqlite3 *db, int64_t site_id, mm_tariff_t *tariff, int64_t *tariff_id, int64_t *unit_wh);

#endif
