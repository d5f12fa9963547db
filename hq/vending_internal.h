// SPDX-License-Identifier: Apache-2.0
#ifndef MM_VENDING_INTERNAL_H
#define MM_VENDING_INTERNAL_H

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

// vending_take.c

/// The era of the newest control report of a node: purchases of another era that are open are lost, and so is the
/// balance of that era. Idempotent.
bool mmi_hq_incident(sqlite3 *db, int64_t node_id, const char *name, int64_t value0, int64_t value1, int64_t value2,
                     int64_t value3, int64_t now_us);

// consumption.c

typedef struct {
    bool known;             ///< prepayment began in a record that HQ has
    bool open;              ///< and has not ended
    uint32_t era;           ///< of the newest prepayment
    int64_t consumed_wh;    ///< since the first prepayment began, by registers; lost eras as they were booked
    int64_t open_wh;        ///< movements of the open prepayment, summed
    int64_t open_consumed_wh;
} mmi_hq_consumption_t;

/// Go through a meter's records. `life_pulses`, `pulse_constant`: of its newest snapshot; without_loss: leave open what
/// was booked as lost.
bool mmi_hq_consumption(sqlite3 *db, int64_t node_id, uint8_t channel, uint64_t life_pulses, uint32_t pulse_constant,
                        mmi_hq_consumption_t *consumption);

// reconcile.c

/// Write the day's lines and the incidents of what does not balance, unless it is done. In the caller's transaction.
bool mmi_hq_books_write_day(sqlite3 *db, int64_t day, int64_t now_us, bool again);

#endif
