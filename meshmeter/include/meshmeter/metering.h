// SPDX-License-Identifier: Apache-2.0
#ifndef MM_METERING_H
#define MM_METERING_H

#include "meshmeter/base.h"
#include "meshmeter/calendar.h"
#include "meshmeter/counters.h"
#include "meshmeter/frame.h"
#include "meshmeter/journal.h"
#include "meshmeter/limits.h"
#include "meshmeter/port/pulses.h"
#include "meshmeter/record.h"
#include "meshmeter/register_store.h"
#include "meshmeter/registers.h"

/// Metering of one node: from pulse counts to registers and journal records, through any power cut.
///
/// The transaction. A change that both alters the registers and makes a record (an interval ends, a month closes, an
/// event) is one save of the register image that contains the record itself together with the position it will get
/// ("pending record"). Then the record is appended to the journal. After a power cut between the two, open finds the
/// pending record, sees whether the journal has it at that position (or behind it, if the journal had to make room),
/// and appends it if not. So a record is made exactly once, and its pulses are in exactly one interval. A journal that
/// is lost as a whole is taken to have had it.
///
/// Between two images, every read of the counters that brought pulses writes one cell (the counts since the image), so
/// with FRAM a power cut loses at most the pulses of one read, and none if the hardware counters live on. When hour,
/// month or interval has changed since the image, the next pulses are kept by an image, so that all pulses of a cell
/// belong to one hour.
///
/// Storage that fails. What cannot be kept goes on in RAM and is tried again every MM_METERING_RETRY_S; a journal that
/// could not be opened is opened again; registers that could not be are left alone until the next start, unless there
/// were none yet. A record that
/// the journal refuses stays pending (in the image, too); meanwhile the interval in progress is not ended but grows
/// (its duration says so), and other events are refused. If images fail while the journal works, the next open finds
/// the journal ahead of the image and takes the pulses of its interval records from there.
///
/// Time. Intervals end at multiples of MM_INTERVAL_S of wall time, or of uptime while no time is known. The interval
/// that a power cut interrupts goes on after it under its number; its record is marked `restarted` and its duration
/// counts from the boot. Pulses counted before the first synchronisation of a boot are pending and are filed under the
/// hour of the synchronisation, and the event TIME_SYNCED says how many. Wall time never orders anything.
///
/// Months. A month that has ended is archived to its page and then closed record by record (one per configured meter),
/// resumable at any point. Its life register leaves out pending pulses, so that life at the end of a month is life at
/// the end of the one before plus the month. A month is closed once: if wall time goes back (or forth again) into a
/// month whose page says that it is closed, its pulses are filed in the month that the registers have, under the right
/// hour, until a month comes that is not closed. If it steps into another month that is not closed, earlier or later,
/// the present one is closed as it stands.
///
/// Pulses of a channel without a meter id are not counted. A count that seems to have gone backwards (a difference of
/// 2^31 or more) is rejected like a rate above the limit.

/// State of others. The image also carries bytes of the levels above (commands, credit) that metering does not
/// interpret, so that they change in the same transaction as a record and a meter's registers (mm_metering_commit). If
/// the newest image is lost, the level above finds in the journal behind `replay_after` what the older one does not
/// have. The image itself keeps that position until mm_metering_commit or mm_metering_replayed, whatever is saved and
/// however often the power fails meanwhile.
///
/// Commanded meters. A meter whose configuration was changed by mm_metering_commit stands above options.meters, at
/// every open, until the registers are lost as a whole. If options give its id to another channel, those options are
/// left aside and all meters are as stored.

/// Seconds between attempts at storage that has failed.
#define MM_METERING_RETRY_S 10

#define MM_METERING_EXTENSION_BYTES_MAX 567

/// A change of one meter by command. Pulses counted so far are in the registers before it (counters are read first).
typedef struct {
    uint8_t channel;
    mm_meter_config_t config; ///< from now on; an empty id takes the meter out of use
    bool set_life;
    uint64_t life_pulses; ///< valid if set_life; pending pulses are at most this many then
    bool clear_month;     ///< month, hours and pending pulses begin at zero
} mm_meter_change_t;

/// One transaction: all of it, or nothing.
typedef struct {
    const void *extension;
    size_t extension_bytes;          ///< at most MM_METERING_EXTENSION_BYTES_MAX
    const mm_record_t *record;       ///< or NULL: only the extension, and the meter, change
    const mm_meter_change_t *change; ///< or NULL
    bool is_replay;                  ///< more is to be redone: replay_after stays
} mm_metering_transaction_t;

typedef struct {
    mm_meter_config_t meters[MM_CHANNELS]; ///< ids differ from each other
    bool keep_meters; ///< what says which meters there are cannot be read: those stored last stay, if any are
    char tz[MM_TZ_CHARS_MAX + 1];
    uint32_t time_trust_s;     ///< SYNCED becomes HELD this long after the last synchronisation; 86400
    uint32_t save_period_s;    ///< without FRAM: an image at least this often when pulses came; 60. Bound of the loss
    uint32_t first_epoch;      ///< of a journal on virgin memory, see journal.h; 0 = 1
    uint32_t pulses_per_s_max; ///< above it a read is rejected as noise; 0 = no limit. S0 meters: 17
} mm_metering_options_t;

typedef struct {
    const mm_pulses_t *pulses;
    mm_register_store_t *store;
    mm_journal_t *journal;
    mm_counters_t *counters;

    // In the image, with what is at the end.
    uint32_t boot_no;
    uint32_t interval_no; ///< of the interval in progress
    uint32_t counter_generation;
    mm_position_t journal_next; ///< where the pending record, or else the next one, goes
    mm_position_t watermark;
    mm_position_t replay_after;  ///< records behind it are newer than the extension; zero epoch: there are none
    uint16_t closing_year_month; ///< month being closed or closed last, 0 = none
    uint8_t closing_channels;    ///< bit per channel whose closing record is still to be made
    bool interval_restarted;
    uint8_t hour;         ///< that pulses are filed under; MM_HOUR_UNKNOWN: they are pending
    uint8_t pending_type; ///< MM_RECORD_NONE = no pending record
    uint8_t pending_payload_bytes;
    uint8_t commanded_channels; ///< bit per channel: stored_meters came by command and stands above the options
    uint16_t extension_bytes;

    // Not in the image.
    bool pending_doubtful; ///< the journal may have the pending record where it could not be read
    bool store_usable;     ///< it could be opened; otherwise it is left alone
    bool image_exists;
    bool image_stale; ///< hour, month or interval differ from the image's: no cell can supplement it
    bool unsaved;     ///< pulses since the image that no cell holds
    bool counter_known;
    bool baseline_due; ///< the registers were lost, and the counters could not be read since
    bool time_known;
    bool hold_requested;
    bool held;
    mm_store_state_t opened_as; ///< what the register store found, or LOST if only the journal has something
    mm_us_t prepared_at;        ///< of the last mm_metering_prepare
    // wait: more pulses for one register image, without FRAM | until save_period_s, or MM_METERING_RETRY_S after an
    // image that failed | then the image is saved
    mm_us_t save_due_at;
    // wait: a journal that refused a record works again | until MM_METERING_RETRY_S | then the record is tried again;
    // meanwhile it is in the image
    mm_us_t journal_retry_at; ///< no pending or closing record is tried before
    // wait: a register page that could not be written works again | until MM_METERING_RETRY_S | then the month is begun
    // again
    mm_us_t month_retry_at; ///< the month that could not begin is not tried before
    // no wait: an instant of the past
    mm_us_t boot_at;
    mm_us_t polled_at;
    mm_us_t last_read_at;
    mm_us_t interval_began_at;
    mm_us_t utc_offset_us; ///< wall time = now + offset, valid if time_known
    // no wait: only the label of the time changes then
    mm_us_t trusted_until;
    int64_t
        next_interval_s; ///< next ends of an interval and of an hour, in wall time or, while it is not known, uptime
    int64_t next_hour_s;

    // Large: behind the others, which cost less code near the beginning. In the image:
    uint32_t counter_counts[MM_CHANNELS]; ///< everything up to these is in the registers
    mm_registers_t registers;
    mm_meter_config_t stored_meters[MM_CHANNELS]; ///< as last journalled, to notice changes
    uint8_t pending_payload[MM_RECORD_PAYLOAD_BYTES_MAX];
    uint8_t extension[MM_METERING_EXTENSION_BYTES_MAX];
    // Not in the image:
    uint32_t cell_pulses[MM_CHANNELS]; ///< since the image
    mm_tz_t tz;
    mm_metering_options_t options;
} mm_metering_t;

/// Open after power-up: recover image, cell, pending record; make the BOOT event; check configuration (changes of a
/// meter are journalled, never silent; life_pulses go on). The store must not be open yet, the journal neither: this
/// opens both, because each needs what the other knows. reset_reason is the port's number, carried in the event.
/// MM_ERR_ARG: options invalid, nothing done. Storage that fails is no error here: metering goes on in RAM, the
/// counters say so.
mm_err_t mm_metering_open(mm_metering_t *self, const mm_metering_options_t *options, const mm_pulses_t *pulses,
                          mm_register_store_t *store, const mm_fram_t *fram, const mm_flash_t *register_flash,
                          mm_journal_t *journal, const mm_flash_t *journal_flash, uint32_t journal_sector_count,
                          mm_counters_t *counters, uint32_t reset_reason, mm_us_t now);

/// Read the counters, count, and do everything that is due at `now` (not earlier than in the previous call, asserted).
/// Call at the returned deadline and whenever pulses came. Work per call is bounded: at most one interval, one month
/// page and MM_CHANNELS + 1 records; if more is due (now jumped), the returned deadline is `now`, and boundaries that
/// have passed are dealt with one per call, each with the counters as of its instant.
mm_us_t mm_metering_poll(mm_metering_t *self, mm_us_t now);

/// A wall time from a source with trust SYNCED (or HELD: taken only while no time is known). Steps of more than 2 s
/// close the interval in progress and are journalled; smaller ones are applied silently. Times outside 2010 … 2199:
/// MM_ERR_ARG and counted. UNSET: MM_ERR_ARG. Polls by itself first, so `now` is as for mm_metering_poll.
mm_err_t mm_metering_set_time(mm_metering_t *self, mm_time_t time, mm_us_t now);
/// The node's idea of the time.
mm_time_t mm_metering_time(const mm_metering_t *self, mm_us_t now);
mm_label_t mm_metering_label(const mm_metering_t *self, mm_us_t now);

/// Journal an event, as a transaction. MM_ERR_STORAGE: neither image nor journal took it (counted). MM_OK with the
/// journal out of order: it is pending in the image and comes later, exactly once.
mm_err_t mm_metering_event(mm_metering_t *self, mm_event_code_t code, const uint64_t values[MM_EVENT_VALUES],
                           mm_us_t now);

/// Journal an event with two values, where nothing can be done about a failure: it is counted.
void mm_metering_tell(mm_metering_t *self, mm_event_code_t code, uint64_t first, uint64_t second, mm_us_t now);

/// Journal a record of the levels above that changes nothing here, as a transaction; errors as above.
mm_err_t mm_metering_record(mm_metering_t *self, const mm_record_t *record, mm_us_t now);

/// Poll and read the counters, so that the registers are those of `now`: what a transaction says about them is true if
/// mm_metering_commit follows at the same `now`. MM_ERR_STORAGE: a record is pending that the journal does not take, so
/// a commit would be refused.
mm_err_t mm_metering_prepare(mm_metering_t *self, mm_us_t now);
/// Store extension bytes, a record and perhaps a meter's change together. The counters are read first, unless
/// mm_metering_prepare did it at the same `now`. MM_OK: durable in the image; the record is in the journal or pending,
/// and comes exactly once. MM_ERR_STORAGE: nothing happened, in RAM either (counted). Should the device have kept an
/// image that it refused, the next open may find the whole transaction done, never a part of it. MM_ERR_ARG: the
/// changed meter is impossible, or has another's id. A change of id, pulse constant or life register ends the interval
/// in progress, in a transaction before. Cost: one image, one append; one image more after a failure.
mm_err_t mm_metering_commit(mm_metering_t *self, const mm_metering_transaction_t *transaction, mm_us_t now);
/// The level above has nothing (more) to redo from the journal behind replay_after. In the image with the next save.
void mm_metering_replayed(mm_metering_t *self);

/// HQ's watermark: to the journal at once, to the image with the next save.
mm_err_t mm_metering_set_watermark(mm_metering_t *self, mm_position_t watermark);

/// End of metering records, until the next boot: the next poll closes the interval in progress (with its true duration)
/// and makes the event HOLD. Registers still count. A month that ends meanwhile gets its closing records at that boot,
/// or when the month after it ends, too.
void mm_metering_hold(mm_metering_t *self);
/// True once it is in effect.
bool mm_metering_is_held(const mm_metering_t *self);

/// Fill registers, journal state, counters and time of *snapshot (not layer).
void mm_metering_snapshot(const mm_metering_t *self, mm_us_t now, mm_snapshot_t *snapshot);

/// Read back a finished month: total and hours of one channel. MM_ERR_NOT_FOUND if it is not kept (any more).
mm_err_t mm_metering_month(const mm_metering_t *self, uint16_t year_month, uint8_t channel, uint32_t *month_pulses,
                           uint32_t hours_pulses[MM_HOURS_OF_DAY]);

#endif
