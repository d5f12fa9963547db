// SPDX-License-Identifier: Apache-2.0
#ifndef MM_VENDING_H
#define MM_VENDING_H

#include "desk.h"
#include "store.h"

#include "meshmeter/record.h"
#include "meshmeter/token.h"

/// Selling credit. A purchase is one count of the meter's token series: the command that brings it by network and the
/// token that the customer types carry the same count, and the meter takes a count once. So it does not matter which
/// comes first, or whether both do.
///
///   issued -> applied                the meter's record has come
///   issued -> voiding -> void        only when the meter confirms that the count is taken without credit
///            voiding -> applied      the customer was faster
///   issued, voiding -> lost          the meter has a new era, or has used the count for a purchase that this database
///                                    does not know (it was restored from a copy): it can take neither any more; sold
///                                    again as another one
///
/// At most MM_VENDING_OPEN_MAX purchases of a meter are issued or voiding at a time, so that each of their tokens can
/// be typed in any order.

#define MM_VENDING_OPEN_MAX 8
#define MM_VENDING_REQUEST_CHARS_MAX 64
#define MM_VENDING_OPERATOR_CHARS_MAX 32
/// Of one token unit, if the site has no setting.
#define MM_VENDING_UNIT_WH 1000
#define MM_VENDING_UNIT_WH_MAX 100000

typedef struct {
    const char *request; ///< the caller's id, 1 … 64 characters; the same one again gives the first one's purchase
    const char *meter;   ///< id, or "MAC/CHANNEL" (1 … 8) if the id is not unique
    int64_t amount_wh;   ///< or 0: as much as the money buys
    int64_t money_minor; ///< or 0: by energy. Minor units of the tariff's currency
    const char *operator_name;
} mm_vend_request_t;

typedef struct {
    int64_t id;
    char meter[MM_METER_ID_CHARS_MAX + 1];
    char site[MM_SITE_CHARS_MAX + 1];
    mm_mac_t node;
    uint8_t channel;
    char state[12];
    int64_t amount_wh;
    uint32_t count;
    char token[MM_TOKEN_DIGITS_MAX + 1];            ///< 9 or 12 digits
    char token_restricted[MM_TOKEN_DIGITS_MAX + 1]; ///< with the keys 1 to 4: 15 or 20
    char currency[8];
    int decimals;            ///< of the currency's minor unit
    int64_t money_minor;     ///< paid
    int64_t tax_minor;       ///< of it
    int64_t remainder_milli; ///< kept for the meter's next purchase, after this one: 1/1000 minor units
    int64_t created_us;
    int64_t ended_us;  ///< applied, void or lost; 0 = open
    char ended_by[24]; ///< "network", "token", "void", "new era", "passed over", "count taken", "unknown form"; "" =
                       ///< open
    char request[MM_VENDING_REQUEST_CHARS_MAX + 1];
    char operator_name[MM_VENDING_OPERATOR_CHARS_MAX + 1];
    bool repeated; ///< the request was known
} mm_sale_t;

/// REFUSED with a reason for: amounts of zero, negative, beyond a token's 999,999 units or not whole units; a meter
/// that is postpaid, that has no key, whose era is not known yet, with MM_VENDING_OPEN_MAX open purchases, or with one
/// so old that its token could not be typed any more behind this one; money without a tariff. CONFLICT: a request id
/// that was used for something else. NOT_FOUND: no such meter, or an ambiguous id.
mm_desk_result_t mm_vend(mm_desk_t *desk, const mm_vend_request_t *request, int64_t now_us, mm_sale_t *receipt,
                         mm_hq_error_t *error);
mm_desk_result_t mm_vend_void(mm_desk_t *desk, int64_t purchase_id, const char *operator_name, int64_t now_us,
                              mm_hq_error_t *error);
mm_desk_result_t mm_vend_receipt(mm_desk_t *desk, int64_t purchase_id, mm_sale_t *receipt, mm_hq_error_t *error);
/// Newest first. meter NULL = of all. The visitor returns false to stop.
typedef bool (*mm_sale_visit_fn)(void *context, const mm_sale_t *sale);
mm_desk_result_t mm_vend_list(mm_desk_t *desk, const char *meter, int64_t limit, mm_sale_visit_fn visit, void *context,
                              mm_hq_error_t *error);

// --- the store's side: inside of the store's transaction, idempotent by position

bool mmi_hq_vending_take_credit(mm_store_t *store, int64_t node_id, mm_position_t position,
                                const mm_credit_record_t *credit, int64_t received_us);
/// The era in the newest control report of a node. Another one than before: open purchases of the old one are lost, and
/// so is its balance; both are booked, and an incident.
bool mmi_hq_vending_take_era(mm_store_t *store, int64_t node_id, uint32_t era, int64_t received_us);
/// Of UPDATE and ERASE: what was consumed until then is counted with the constant and the register of that time. Of
/// CREDIT and VOID that were refused: an incident.
bool mmi_hq_vending_take_result(mm_store_t *store, int64_t node_id, mm_position_t position,
                                const mm_result_record_t *result, int64_t received_us);
/// Whether a command that the node has answered behind this position (where its journal stood at the snapshot before)
/// has set a meter's life register so that it may show this.
bool mmi_hq_vending_register_was_set(mm_store_t *store, int64_t node_id, uint8_t channel, mm_position_t journal_next,
                                     uint64_t life_pulses, bool *was_set);

// --- the books

/// One meter's books. All in Wh; difference 0 = they agree.
typedef struct {
    int64_t node_id;
    char site[MM_SITE_CHARS_MAX + 1];
    mm_mac_t node;
    uint8_t channel;
    char meter[MM_METER_ID_CHARS_MAX + 1];
    int64_t issued_wh;
    int64_t applied_wh; ///< of purchases, as the meter's records say
    int64_t pending_wh; ///< issued and voiding
    int64_t void_wh;
    int64_t lost_wh;
    int64_t other_wh;           ///< movements without a purchase: adjustments, set tokens, unknown ones
    int64_t balance_wh;         ///< as the meter last said
    int64_t consumed_wh;        ///< by its registers since prepayment began, not by its balance
    int64_t sold_difference_wh; ///< issued - (applied + pending + void + lost)
    int64_t used_difference_wh; ///< applied + other - (consumed + balance)
    bool settled; ///< HQ has the journal as far as the report that balance and registers are from: no difference is due
                  ///< to a record on its way
} mm_books_line_t;

typedef bool (*mm_books_visit_fn)(void *context, const mm_books_line_t *line);
mm_desk_result_t mm_reconcile(mm_desk_t *desk, mm_books_visit_fn visit, void *context, mm_hq_error_t *error);
bool mm_books_line_balances(const mm_books_line_t *line);

/// The ledger as a whole, by unit: "Wh", or a currency in 1/1000 of its minor unit. `sums_agree`: the balances kept are
/// the sums of the entries.
typedef struct {
    char unit[8];
    int64_t debits;
    int64_t credits;
    bool sums_agree;
} mm_ledger_line_t;

typedef bool (*mm_ledger_visit_fn)(void *context, const mm_ledger_line_t *line);
mm_desk_result_t mm_ledger(mm_desk_t *desk, mm_ledger_visit_fn visit, void *context, mm_hq_error_t *error);

/// The books of this UTC day into the table books_day, one row for each meter, and an incident for each settled one
/// that does not balance. Once a day, by HQ's main loop; `again` replaces what was written today.
mm_desk_result_t mm_books_write_day(mm_desk_t *desk, int64_t now_us, bool again, mm_hq_error_t *error);

#endif
