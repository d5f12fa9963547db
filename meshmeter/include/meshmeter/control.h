// SPDX-License-Identifier: Apache-2.0
#ifndef MM_CONTROL_H
#define MM_CONTROL_H

#include "meshmeter/base.h"
#include "meshmeter/command.h"
#include "meshmeter/command_body.h"
#include "meshmeter/counters.h"
#include "meshmeter/credit.h"
#include "meshmeter/metering.h"
#include "meshmeter/port/actions.h"
#include "meshmeter/port/crypto.h"
#include "meshmeter/port/log.h"
#include "meshmeter/port/relay.h"
#include "meshmeter/record.h"
#include "meshmeter/slot.h"

/// What a node is told to do: takes commands and tokens, keeps credit, moves relays.
///
/// At most once. A command is taken in one transaction of the register image (metering.h): counter, effect and the
/// record that answers it. After any power cut either all of it happened or nothing. Only then the relay moves or the
/// platform acts. A command whose counter is not above the stored one was taken before, or passed over; it is counted
/// and not answered again: its record reaches HQ by itself. One exception, for an answer that was lost with its record:
/// if the command that the platform (or FORMAT) has carried out last comes once more, its answer is journalled anew, at
/// most every MM_CONTROL_REPEAT_S and MM_CONTROL_REPEATS_MAX times in one boot, so that whoever can repeat a sealed
/// command cannot fill a journal with it.
///
/// Era. The counter, the used tokens and the balances belong to an era, a random number made when there is no state (a
/// new node, or one whose register image was lost as a whole). Commands are sealed for an era and token series are
/// derived from it, so nothing that was used before the loss works again. If only the newest image was lost, the
/// records in the journal behind the older one bring the state back (mm_control_open).
///
/// Order of checks, each with its counter or answer: decodes, for this node, of this era, tag, counter, then expiry,
/// channel, body. What fails before the tag is good, or with it, is counted and changes nothing; what fails later takes
/// the counter and is answered.
///
/// Expiry is judged with a clock that is known (trust HELD or SYNCED); without one a command that expires waits: it is
/// not taken, and the root brings it again.
///
/// Relays. What was ordered is one thing, the reasons (credit.h) are another: whenever they do not follow from orders,
/// credit and contacts any more, an event journals the new ones, with the register and the balance, and then the relay
/// moves; so a power cut between an order and its event leaves nothing undone. Supply is on when there is no reason.
/// At open the relays are set to what was stored, but for channels that the options call unconfirmed: those are open.
/// If the event of a cut cannot be stored, the relay opens all the same and the event is tried again; it closes only
/// when that is stored. Relays of channels without a meter are left alone, and so are all while the state is not known
/// (storage that is silent at the start).
///
/// Commands whose outcome only the platform knows (DISPLAY_ON, FIND, OTA_…, NETWORK, BROKER) are stored as being acted
/// on, then acted on, then answered. A restart in between is answered FAILED. Until the answer is stored no other
/// command is taken: HQ sends anew what a later counter has passed over. One at a time: while a configuration is on
/// trial or a FORMAT is under way, another one is refused (STATE). NETWORK and BROKER first answer TRYING. A
/// configuration is kept by the platform before that is stored: should the power fail exactly in between, it is kept
/// and the answer says FAILED. Only of an installer's router is it known even then: it stands in the stored network
/// (mm_commissioning_t), or not.
///
/// FORMAT with its code erases every configured meter as ERASE does, and nothing else: TRYING, then one answer TRYING
/// for each meter, with its channel and its archive in the detail and in the same transaction as the erasure, then
/// DONE. A restart in between goes on where it was.
///
/// Credit belongs to the channel: balance, tokens and limits stay where they are when UPDATE gives the channel another
/// meter or another id, and go with the era or with MODE. An installer cannot change such a meter (setup.h). Whether
/// the credit is for the meter that has come HQ asks an operator (hq/swaps.h).
///
/// Balances are computed with the pulse constant they were begun with. If another configuration comes with a start,
/// what was consumed is fixed in Wh first.

typedef enum {
    MM_RESULT_DONE = 0,
    MM_RESULT_EXPIRED = 1,
    MM_RESULT_BAD_CHANNEL = 2, ///< no meter there
    MM_RESULT_BAD_BODY = 3,    ///< values out of range
    MM_RESULT_UNSUPPORTED = 4, ///< this kind, or on this platform
    MM_RESULT_STATE = 5,       ///< not legal now (postpaid meter, no code asked for, …)
    MM_RESULT_ALREADY = 6,     ///< this purchase was applied before, by the other way
    MM_RESULT_OVERFLOW = 7,    ///< the balance would be impossible
    MM_RESULT_FAILED = 8,      ///< the platform refused or the staged configuration did not work
    MM_RESULT_TRYING = 9,      ///< staged; another answer follows
    MM_RESULT_TOO_OLD = 10,    ///< count too far back to know: HQ must sell again
    MM_RESULT_COUNT,
} mm_result_status_t;

const char *mm_result_status_name(uint8_t status);

/// Answer to typed digits.
typedef enum {
    MM_TYPED_ACCEPTED = 0,
    MM_TYPED_WRONG,
    MM_TYPED_USED,
    MM_TYPED_NO_FORM,
    MM_TYPED_LOCKED_OUT, ///< wait_s says how long
    MM_TYPED_REFUSED,    ///< postpaid meter, or impossible balance
    MM_TYPED_NO_METER,
    MM_TYPED_NO_KEY,
    MM_TYPED_STORAGE, ///< could not be stored; nothing happened, the token can be typed again
} mm_typed_verdict_t;

const char *mm_typed_verdict_name(mm_typed_verdict_t verdict);

typedef struct {
    mm_typed_verdict_t verdict;
    uint32_t wait_s;    ///< LOCKED_OUT, and after WRONG: until the next try
    int64_t credit_wh;  ///< ACCEPTED: what was added
    int64_t balance_wh; ///< afterwards, if prepaid
} mm_typed_answer_t;

typedef struct mm_control mm_control_t;

/// The original's commands, as the core knows them; what is behind it is legacy_control.h. An image that has nobody who
/// hands one in is linked without.
typedef struct {
    /// Envelope of a message; whoever keeps the message gives it to the next two. MM_ERR_CORRUPT, MM_ERR_FULL as
    /// mm_legacy_message_begin.
    mm_err_t (*check)(const void *message, size_t message_bytes);
    /// As mm_frame_write_ask_with_items. If not all items fit one ask, each round begins with another.
    size_t (*write_ask)(const void *message, size_t message_bytes, void *bytes, size_t capacity_bytes, mm_mac_t source,
                        const mm_ask_t *ask);
    /// All items of a message, up to one that is MM_ERR_BUSY, by mm_control_take_legacy.
    void (*take_message)(mm_control_t *control, const void *message, size_t message_bytes, mm_us_t now);
    /// For mm_control_take_legacy, which has looked whether the form is taken.
    mm_err_t (*take_item)(void *context, mm_control_t *control, const char *item, size_t item_bytes, mm_us_t now);
    void *context;
} mm_legacy_t;

typedef struct {
    mm_mac_t mac;
    uint32_t token_unit_wh;        ///< one unit of a token; 1000
    uint32_t new_era;              ///< random, not 0 (asserted): used if there is no state
    uint32_t slot_count_min;       ///< of a slot plan, so that a round fits its cycle; mm_node_init sets it
    bool tamper_open[MM_CHANNELS]; ///< a tamper contact opens the relay (else it is only reported)
    uint8_t unconfirmed_channels;  ///< bit per channel that has no supply at open, whatever was journalled last
    const mm_legacy_t *legacy;     ///< or NULL: the original's form is not taken; borrowed
} mm_control_options_t;

/// What commissioning says to its commands (setup.h). Called before the answer is stored: what it stores itself must
/// not be control's, and once more is as good as once.
typedef struct {
    mm_result_status_t (*confirm)(void *context, uint32_t revision, mm_us_t now);
    mm_result_status_t (*reinstall)(void *context, mm_us_t now);
    /// NULL: no node joins here.
    mm_result_status_t (*admit)(void *admit_context, const mm_admit_body_t *admit, mm_us_t now);
    /// What is on trial has proved itself. is_unsealed: no command of HQ's; if it is a router that an installer has
    /// typed, it becomes part of the stored network, durably. MM_OK: the platform keeps it. MM_ERR_STORAGE: not now.
    /// MM_ERR_STATE: the node is about to start in another network, above which it would not stand: it is given up, and
    /// the answer is STATE.
    mm_err_t (*keep_staged)(void *context, bool is_unsealed, mm_us_t now);
    /// Whether the stored network has the router whose body of NETWORK has this CRC-32.
    bool (*has_router)(void *context, uint32_t body_crc);
    void *context; ///< of all but admit
    void *admit_context;
} mm_commissioning_t;

/// How long a staged configuration is tried, in seconds.
#define MM_CONTROL_TRIAL_S 1800
/// A repeated command that was carried out by the platform is answered again not sooner than this after its answer …
#define MM_CONTROL_REPEAT_S 900
/// … and not more often in one boot.
#define MM_CONTROL_REPEATS_MAX 3
/// How long the code of a format command is good, in seconds.
#define MM_CONTROL_FORMAT_S 3600
/// Attempts at a relay or at a record that storage refused are this far apart.
#define MM_CONTROL_RETRY_S 10

struct mm_control {
    mm_metering_t *metering;
    const mm_crypto_t *crypto;
    const mm_relay_t *relay;
    const mm_actions_t *actions;
    mm_counters_t *counters;
    const mm_log_t *log;
    const mm_commissioning_t *commissioning; ///< or NULL: its commands are refused

    // In the register image, with what is at the end.
    uint32_t era;
    uint32_t counter;
    /// And id: of the newest one, also behind its answer. Of an installer's router (id 0): CRC-32 of its body.
    uint32_t acting_counter;
    uint32_t installation_told; ///< revision of the installation that was journalled last; 0 = none in this era
    uint64_t acting_command_id;
    bool signed_only;
    uint8_t locked_channels; ///< bit per channel, by command
    uint8_t acting_kind;     ///< mm_command_kind_t that is not answered yet
    uint8_t acting_answer;   ///< mm_result_status_t + 1 that it was answered with; 0 = not answered, or not known
    uint8_t format_channels; ///< bit per channel that a FORMAT under way has still to erase
    bool installation_due;   ///< HQ wants it once more

    // Not in the image.
    bool usable;           ///< there is a state and it can be stored
    uint8_t relay_set;     ///< bit per channel: the port was told what is stored
    uint8_t relay_closed;  ///< bit per channel: as told
    uint8_t relay_refused; ///< bit per channel: the port did not take it
    uint8_t tampered;
    uint8_t tamper_told;          ///< as journalled
    uint8_t unconfirmed_channels; ///< bit per channel: supply waits for HQ; after open as journalled last, and options
    uint8_t acting_status;        ///< mm_result_status_t that the answer will have
    bool reboot_due;
    bool send_now;        ///< the owner plans a session and clears it
    bool plan_changed;    ///< the owner takes slots and clears it
    uint8_t repeats_left; ///< answers to the same command once more in this boot
    // wait: the answer that was journalled reaches HQ | until MM_CONTROL_REPEAT_S | then the command, if it comes once
    // more, is answered again
    mm_us_t repeat_at;
    // wait: a relay or a record that was refused works again | until MM_CONTROL_RETRY_S | then it is tried again
    mm_us_t retry_at;
    // wait: a session with the staged configuration succeeds | until MM_CONTROL_TRIAL_S | then the one before is used
    // again
    mm_us_t trial_until;
    // wait: HQ confirms a format with its code | until MM_CONTROL_FORMAT_S | then the code is void
    mm_us_t format_until;
    uint32_t format_code; ///< 0 = none
    uint32_t done_count;  ///< commands answered since the start; below: the newest of them, for the display
    uint8_t done_kind;
    uint8_t done_channel;
    uint8_t done_status; ///< mm_result_status_t

    // Large: behind the others, which cost less code near the beginning. In the image:
    mm_slot_plan_t slots; ///< slot_count 0: none was ordered
    mm_credit_t credits[MM_CHANNELS];
    uint32_t pulse_constants[MM_CHANNELS]; ///< of the balances of prepaid meters
    // Not in the image:
    mm_control_options_t options;
    // wait: the customer may type a token again | until MM_CREDIT_LOCK_OUT_MAX_S at most, counted anew after a restart
    // | then it is judged
    mm_us_t locked_until[MM_CHANNELS];
};

/// After mm_metering_open: restore the state from the image's extension and from journal records behind it, or begin an
/// era; set the relays. ports are borrowed; crypto, relay and actions may be NULL (then what needs them is refused, and
/// relay reasons are kept all the same). Never fails: without storage nothing is taken.
void mm_control_open(mm_control_t *self, const mm_control_options_t *options, mm_metering_t *metering,
                     const mm_crypto_t *crypto, const mm_relay_t *relay, const mm_actions_t *actions,
                     mm_counters_t *counters, const mm_log_t *log, mm_us_t now);
/// One sealed command. MM_OK: taken (its answer is a record), or passed over because it is not new. MM_ERR_BUSY: not
/// now (clock or storage): bring it again. Others: refused and counted, nothing changed.
mm_err_t mm_control_take(mm_control_t *self, const void *bytes, size_t bytes_count, mm_us_t now);
/// One item of a message in the original's form (legacy_control.h), answered by a RESULT for each command in it, with
/// command id 0. MM_OK: carried out for the meters that are here, or it was already. MM_ERR_NOT_FOUND: none of its
/// meters is here (not counted: the item may be for another node). MM_ERR_BUSY: not now, bring it again. MM_ERR_STATE:
/// this form is not taken here, or not any more. MM_ERR_CORRUPT, MM_ERR_ARG: refused. Refusals are counted.
mm_err_t mm_control_take_legacy(mm_control_t *self, const char *item, size_t item_bytes, mm_us_t now);
/// Digits typed for a meter.
mm_typed_answer_t mm_control_type_token(mm_control_t *self, uint8_t channel, const char *digits, mm_us_t now);
/// The customer takes emergency credit. MM_ERR_STATE, MM_ERR_STORAGE, MM_ERR_ARG (no such meter).
mm_err_t mm_control_take_emergency(mm_control_t *self, uint8_t channel, mm_us_t now);
/// The tamper contact of a meter has changed. The port also tells each contact after open: until then a relay that it
/// had opened stays open.
void mm_control_set_tamper(mm_control_t *self, uint8_t channel, bool tampered, mm_us_t now);
/// Commissioning has decided which channels wait for HQ before there is supply (bit per channel). Each meter's relay
/// follows as with the other reasons: the event first.
void mm_control_set_unconfirmed(mm_control_t *self, uint8_t channels, mm_us_t now);
/// commissioning is borrowed. After open.
void mm_control_set_commissioning(mm_control_t *self, const mm_commissioning_t *commissioning);
/// A change by an installer: like a command, but of nobody (command id 0) and without a counter. Its answer is a
/// record, so HQ sees what has changed. MM_ERR_BUSY: nothing happened, try again. MM_ERR_ARG: refused, as the answer
/// says.
mm_err_t mm_control_install(mm_control_t *self, uint8_t kind, uint8_t channel, const mm_command_body_t *body,
                            mm_us_t now);
/// Journal an installation and note, in the same transaction, that it was told. MM_ERR_BUSY: nothing happened.
mm_err_t mm_control_tell_installation(mm_control_t *self, const mm_installation_record_t *installation, mm_us_t now);
/// A network or broker configuration is being tried.
bool mm_control_is_on_trial(const mm_control_t *self);
/// What is on trial is part of the stored network already; its answer is not stored yet.
bool mm_control_is_answering_router(const mm_control_t *self);
/// A broker session has ended; clean: a staged configuration has proved itself. Not for a session that began before the
/// trial did.
void mm_control_on_session(mm_control_t *self, bool clean, mm_us_t now);
/// Follow the registers: warnings, cuts, restorations; end trials. After every mm_metering_poll. Returns the deadline;
/// otherwise call when pulses came.
mm_us_t mm_control_poll(mm_control_t *self, mm_us_t now);
void mm_control_report(const mm_control_t *self, mm_us_t now, mm_control_report_t *report);
/// The token series of a meter: HQ derives the same from the device's key (first 16 bytes of HMAC over "meshmeter token
/// 1", era u32, channel u8). MM_ERR_UNAVAILABLE: no key.
mm_err_t mm_control_token_series(const mm_crypto_t *crypto, uint32_t era, uint8_t channel, mm_token_series_t *series);

#endif
