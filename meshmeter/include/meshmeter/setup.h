// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SETUP_H
#define MM_SETUP_H

#include "meshmeter/base.h"
#include "meshmeter/challenge.h"
#include "meshmeter/command_body.h"
#include "meshmeter/configuration.h"
#include "meshmeter/control.h"
#include "meshmeter/counters.h"
#include "meshmeter/life_cycle.h"
#include "meshmeter/metering.h"
#include "meshmeter/port/log.h"

/// Commissioning of one node: life cycle, installer's session, and what follows from an installation.
///
/// Order of storing. The configuration (with the phase) is stored first; then each meter that differs is changed, one
/// transaction each (mm_metering_commit), and the INSTALLATION record is journalled; a restart anywhere in between goes
/// on where it was, and does nothing twice. HQ's confirmation is a command (MM_COMMAND_CONFIRM) with the revision that
/// it confirms.
///
/// A meter that has consumed keeps its id, pulse constant and start register: such a change is a problem beside the
/// field (HQ's UPDATE command is the way, with its archive). So does a meter with credit in its books (prepaid, and
/// something was applied or emergency credit was taken), even if it has consumed nothing: credit belongs to the channel
/// (control.h), and would go to whichever meter comes next. It also stays prepaid, for an installer: the credit would
/// be lost.
///
/// Network. What a provisioner gives is stored at once. What an installer types for the router is tried first, as the
/// command NETWORK is (control.h): it falls back by itself. When a session has proved it, it becomes part of the stored
/// network, under the next revision, together with a broker that a command has set meanwhile: first the network is
/// stored, then the platform keeps it, then it is answered, and only then the node starts again in it. A power cut in
/// between leaves the network with it or without it, and the answer says which: whether it was stored is seen by the
/// network, so nothing is done twice.
///
/// A network that is stored while an installer is at work waits for the start behind that session. What a command sets
/// until then would be forgotten with that start: it is tried, given up and answered STATE, so that HQ knows.
///
/// HQ hears of a reset (event NODE_RESET, journalled before it is carried out), of each lock-out that begins
/// (INSTALLER_LOCK_OUT; tried again if memory refuses it), and in the counters of wrong codes.
///
/// Supply. Only what HQ has not confirmed waits for it (docs/adr/0017-supply-while-waiting.md): an installation leaves
/// a channel's supply alone if id, constant, start register and mode are what is there; REINSTALL leaves all. Other
/// channels are cut before their meter is changed. CONFIRM confirms all; after a reset none is.
///
/// If the newest configuration is damaged, supply is as it was journalled last, the node waits for HQ (AWAITING) and
/// tells its installation again, with the event CONFIGURATION_BEHIND, at each start until HQ has confirmed.
///
/// While there is no installation supply is left as it was journalled last: neither a new node nor one whose
/// configuration was lost cuts a customer off.

#define MM_SETUP_SESSION_S 600
#define MM_SETUP_NONCE_BYTES 16
#define MM_SETUP_DIGEST_BYTES 16
#define MM_SETUP_RETRY_S 10

typedef struct {
    mm_mac_t mac;
    mm_challenge_method_t method;
    const char *legacy_secret; ///< or NULL
} mm_setup_options_t;

/// What became of a session's request.
typedef struct {
    uint16_t status;   ///< of HTTP; 0 = none
    uint32_t revision; ///< of the installation that was stored
    bool has_router;   ///< another router was named …
    bool router_tried; ///< … and is on trial
    uint8_t problem_count;
    mm_field_problem_t problems[MM_FIELD_PROBLEMS_MAX];
} mm_setup_outcome_t;

/// The session's last request: if its answer was lost, the same request is answered the same once more, and not carried
/// out again. Until the nonce that the answer brings is used.
typedef struct {
    bool is_there;
    uint8_t nonce[MM_SETUP_NONCE_BYTES];
    uint8_t digest[MM_SETUP_DIGEST_BYTES]; ///< of the whole request
    // no wait: an instant up to which the answer is given again
    mm_us_t until;
    mm_setup_outcome_t outcome;
} mm_setup_repeat_t;

typedef struct {
    const mm_flash_t *flash;
    uint32_t sector_count;
    const mm_crypto_t *crypto;
    mm_metering_t *metering;
    mm_control_t *control;
    const mm_entropy_t *entropy;
    mm_counters_t *counters;
    const mm_log_t *log;
    uint64_t lock_out[MM_EVENT_VALUES]; ///< the event that is still to be journalled; [0] 0: none
    bool has_router;                    ///< an installer's router is on trial
    bool session;                       ///< an installer is at work
    bool was_reset;                     ///< in this start, which still runs with what is forgotten
    bool is_renewed; ///< another network was stored in this start, which still runs with the one before
    // wait: the installer's next request | until MM_SETUP_SESSION_S | then the session is over and nothing has changed
    mm_us_t session_until;
    // wait: storage that refused a meter's change, a record or an event works again, or the configuration's memory
    // answers | until MM_SETUP_RETRY_S | then it is tried again
    mm_us_t retry_at;
    // Large: behind the others, which cost less code near the beginning.
    mm_setup_options_t options;
    mm_commissioning_t commissioning; ///< what control calls
    mm_configuration_store_t store;
    mm_challenge_t challenge;
    uint8_t nonce[MM_SETUP_NONCE_BYTES];
    mm_setup_repeat_t repeat; ///< the configurator's
    mm_network_body_t router;
    mm_configuration_t configuration;
} mm_setup_t;

/// After mm_control_open. flash: of the configuration. Never fails: memory out of order is the state FAULT.
void mm_setup_open(mm_setup_t *self, const mm_setup_options_t *options, const mm_flash_t *flash, uint32_t sector_count,
                   mm_metering_t *metering, mm_control_t *control, const mm_crypto_t *crypto,
                   const mm_entropy_t *entropy, mm_counters_t *counters, const mm_log_t *log, mm_us_t now);

/// Network from a provisioner (phone, cable) or from the mesh. Taken if its revision is higher than the present one.
/// MM_ERR_ARG: not a possible network. MM_ERR_STATE: older. MM_ERR_STORAGE. MM_ERR_BUSY: after a reset the node has to
/// start again first; else the next network could have the revision of the one before, and what was kept under that.
mm_err_t mm_setup_take_network(mm_setup_t *self, const mm_network_t *network, mm_us_t now);

/// Whether the node must start again, because its network is another one than that with which it was opened (revision,
/// 0 = none), or because it was reset. Not while an installer is at work, nor before a router that has become part of
/// the network is answered.
bool mm_setup_wants_restart(const mm_setup_t *self, uint32_t opened_revision);
/// Try a router that an installer has typed. False: refused, or another trial is under way.
bool mm_setup_try_router(mm_setup_t *self, const mm_network_body_t *router, mm_us_t now);

/// The number to show for the installer. False: none can be made, or no code is judged in this state.
bool mm_setup_number(mm_setup_t *self, mm_us_t now, uint32_t *number);
/// Judge a code and begin a session. STATE: parked, or in fault. While there is a session its own code ends it and
/// begins another one: whoever has lost the page goes on in the next one. Every other code is BUSY (LOCKED_OUT with the
/// session's wait_s), and counted as a wrong one: the number has no more tries for that than it had (challenge.h), then
/// only the session's own page goes on.
mm_code_verdict_t mm_setup_enter(mm_setup_t *self, const char *code, mm_us_t now, uint32_t *wait_s);
/// True if this is the nonce of the session in progress; it is used up (another one is made).
bool mm_setup_use_nonce(mm_setup_t *self, const uint8_t nonce[MM_SETUP_NONCE_BYTES], mm_us_t now);
void mm_setup_leave(mm_setup_t *self, mm_us_t now);
/// True if this channel's identity cannot be changed by an installer: it has consumed, or has credit in its books.
bool mm_setup_is_fixed(const mm_setup_t *self, uint8_t channel);
/// Store an installation within a session. 0: stored; it is being applied, the session is over. Otherwise the number of
/// problems, nothing was stored. *err MM_ERR_STORAGE: no problem of the fields, but memory refused. MM_ERR_STATE: no
/// session, or the registers have been silent since the start. The installation's revision is given here.
size_t mm_setup_install(mm_setup_t *self, const mm_installation_t *installation, mm_field_problem_t *problems,
                        size_t capacity, mm_err_t *err, mm_us_t now);
/// HQ's commands (called by control before it commits their answer; idempotent).
mm_result_status_t mm_setup_confirm(mm_setup_t *self, uint32_t revision, mm_us_t now);
mm_result_status_t mm_setup_reinstall(mm_setup_t *self, mm_us_t now);
/// At the device, with the code: back to parked. Readings, credit and journal stay.
/// STORAGE: the code was good, but nothing was changed.
mm_code_verdict_t mm_setup_reset(mm_setup_t *self, const char *code, mm_us_t now, uint32_t *wait_s);

/// What was installed is not carried out, or not journalled yet.
bool mm_setup_is_applying(const mm_setup_t *self);
/// After mm_control_poll. Carries out at most one installation; returns the deadline.
mm_us_t mm_setup_poll(mm_setup_t *self, mm_us_t now);

#endif
