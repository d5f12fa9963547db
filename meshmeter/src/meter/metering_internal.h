// SPDX-License-Identifier: Apache-2.0
#ifndef MM_METERING_INTERNAL_H
#define MM_METERING_INTERNAL_H

#include "meshmeter/metering.h"

/// The parts of metering: metering.c (counting, poll, the public rest), metering_time.c (wall time, boundaries),
/// metering_month.c (pages and closings), metering_store.c (image, cell, transaction), metering_open.c (recovery),
/// metering_commit.c (transactions of the level above).

/// An archived month of one meter.
typedef struct {
    uint32_t pulse_constant; ///< 0: no meter
    uint64_t life_pulses;    ///< at its end
    uint32_t month_pulses;
    uint32_t hours_pulses[MM_HOURS_OF_DAY];
} mmi_month_t;

/// If the registers were lost: what the counters have counted until now is in records already, or lost with them.
/// Counting goes on from here. Due until the counters can be read.
void mmi_metering_take_baseline(mm_metering_t *self, mm_us_t at);

// metering_open.c
/// Flash did not answer at the start: try again, and see what the journal has of the pending record.
void mmi_metering_reopen_journal(mm_metering_t *self, mm_us_t now);

// metering.c
bool mmi_metering_is_configured(const mm_metering_t *self, uint8_t channel);
/// Read the counters as of `at` (not before the last read) and count what came.
void mmi_metering_count(mm_metering_t *self, mm_us_t at);
/// End the interval in progress: one transaction. Nothing happens if it is empty and began just now, if metering is
/// held, or if the journal is out of order.
void mmi_metering_close_interval(mm_metering_t *self, mm_label_t end, mm_us_t at);
/// As mm_metering_event, where no record may be pending (asserted): for what settles itself.
mm_err_t mmi_metering_settled_event(mm_metering_t *self, mm_event_code_t code, const uint64_t values[MM_EVENT_VALUES],
                                    mm_us_t now);

// metering_time.c
/// Pass the first boundary, which is due.
void mmi_metering_pass_boundary(mm_metering_t *self);
/// Begin the month that could not begin for want of storage, if it is time to try.
void mmi_metering_retry_month(mm_metering_t *self, mm_us_t now);
/// True if there is one.
bool mmi_metering_is_month_stuck(const mm_metering_t *self);
/// When it is due; may be in the past.
mm_us_t mmi_metering_boundary_at(const mm_metering_t *self);

// metering_month.c
/// The local month is this one: close the present one if it is another. False: storage keeps neither its page nor its
/// closing records, so it cannot end; pulses must be pending until another attempt (month_retry_at) succeeds.
bool mmi_metering_change_month(mm_metering_t *self, uint16_t year_month, mm_us_t now);
/// Make one closing record. False: there is none to make, or storage is out of order (tried again at journal_retry_at).
bool mmi_metering_close_channel(mm_metering_t *self, mm_us_t now);
/// From the page of a month: one meter's, or life_pulses of all.
mm_err_t mmi_metering_load_month(const mm_metering_t *self, uint16_t year_month, uint8_t channel, mmi_month_t *month);
mm_err_t mmi_metering_load_life_pulses(const mm_metering_t *self, uint16_t year_month,
                                       uint64_t life_pulses[MM_CHANNELS]);
mm_err_t mmi_metering_save_page(mm_metering_t *self);
uint8_t mmi_metering_configured_channels(const mm_metering_t *self);

// metering_store.c
#define MMI_METERING_IMAGE_BYTES                                                                                       \
    (1 + MM_REGISTERS_BYTES + 12 + 4 * MM_CHANNELS + 16 + 7 + MM_RECORD_PAYLOAD_BYTES_MAX +                            \
     MM_CHANNELS * (1 + MM_METER_ID_CHARS_MAX + 12) + 1 + 8 + 2 + MM_METERING_EXTENSION_BYTES_MAX)
_Static_assert(MMI_METERING_IMAGE_BYTES <= MM_STORE_IMAGE_BYTES_MAX, "the image does not fit the register store");

/// Fill the fields that are in the image. MM_ERR_CORRUPT or MM_ERR_VERSION: they hold nonsense then.
mm_err_t mmi_metering_decode_image(mm_metering_t *self, const void *image, size_t image_bytes);
/// Add a cell to what decode_image gave.
mm_err_t mmi_metering_apply_cell(mm_metering_t *self, const void *cell, size_t cell_bytes);
mm_err_t mmi_metering_save_image(mm_metering_t *self, mm_us_t now);
/// Counts have changed: write a cell, or an image where a cell cannot say it.
void mmi_metering_keep_counts(mm_metering_t *self, mm_us_t now);
/// True if there is no pending record (any more). Tries at most every MM_METERING_RETRY_S.
bool mmi_metering_settle(mm_metering_t *self, mm_us_t now);
/// This entry of the journal is the pending record.
bool mmi_metering_is_pending(const mm_metering_t *self, const mm_journal_entry_t *entry);
/// Make this record the pending one, at the position that the journal gives next. None may be pending (asserted).
/// Returns whether the journal has room for it now.
mm_err_t mmi_metering_set_pending(mm_metering_t *self, const mm_record_t *record);
/// Append the pending record, if there is room; it stays pending if the journal refuses (counted, tried again).
mm_err_t mmi_metering_offer_pending(mm_metering_t *self, mm_err_t room, mm_us_t now);
/// There is no pending record any more.
void mmi_metering_drop_pending(mm_metering_t *self);
/// The transaction: the state as it is now, and this record. None may be pending (asserted). MM_ERR_STORAGE: neither
/// image nor journal took it; in RAM it is pending all the same.
mm_err_t mmi_metering_commit(mm_metering_t *self, const mm_record_t *record, mm_us_t now);

// metering_open.c
/// True if a meter's id is another's as well.
bool mmi_metering_has_twins(const mm_meter_config_t meters[MM_CHANNELS]);
bool mmi_metering_is_same_meter(const mm_meter_config_t *left, const mm_meter_config_t *right);

#endif
