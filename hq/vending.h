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
///   issued, voiding -> lost          the meter has a new era: it can take neither any more; sold again as another one
///
/// At most MM_VENDING_OPEN_MAX purchases of a meter are issued or voiding at a time, so that each of their tokens can
/// be typed in any order.

#define MM_VENDING_OPEN_MAX 8

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
    bool repeated; ///< the request was known
} mm_sale_t;

/// REFUSED with a reason for: amounts of zero, negative, beyond a token's 999,999 units or not whole units; a meter
/// that is postpaid, that has no key, whose era is not known yet, or with MM_VENDING_OPEN_MAX open purchases; a request
/// id that was used for something else; money without a tariff. NOT_FOUND: no such meter, or an ambiguous id.
mm_desk_result_t mm_vend(mm_desk_t *desk, const mm_vend_request_t *request, int64_t now_us, mm_sale_t *receipt,
                         mm_hq_error_t *error);
mm_desk_result_t mm_vend_void(mm_desk_t *desk, int64_t purchase_id, const char *operator_name, int64_t now_us,
                              mm_hq_error_t *error);
mm_desk_result_t mm_vend_receipt(mm_desk_t *desk, int64_t purchase_id, mm_sale_t *receipt, mm_hq_error_t *error);

// --- the store's side: inside of the store's transaction, idempotent by position

bool mmi_hq_vending_take_credit(mm_store_t *store, int64_t node_id, mm_position_t position,
                                const mm_credit_record_t *credit, int64_t received_us);

// --- the books

/// One meter's books. All in Wh; difference 0 = they agree.
typedef struct {
    int64_t node_id;
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
    int64_t used_difference_wh; ///< applied + other - (consumed + balance); a report on the way may make it differ for
                                ///< a while, `settled` says whether it should agree
    bool settled;
} mm_books_line_t;

typedef bool (*mm_books_visit_fn)(void *context, const mm_books_line_t *line);
mm_desk_result_t mm_reconcile(mm_desk_t *desk, mm_books_visit_fn visit, void *context, mm_hq_error_t *error);

#endif
