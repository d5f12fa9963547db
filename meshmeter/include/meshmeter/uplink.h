// SPDX-License-Identifier: Apache-2.0
#ifndef MM_UPLINK_H
#define MM_UPLINK_H

#include "meshmeter/base.h"
#include "meshmeter/counters.h"
#include "meshmeter/limits.h"
#include "meshmeter/port/mqtt.h"
#include "meshmeter/random.h"

/// The uplink session of a root as one explicit state machine. It knows nothing of rounds or journals: a source hands
/// it messages and learns which were confirmed.
///
///  - ROUTER_DOWN -> WAITING_FOR_SLOT -> CONNECTING -> SUBSCRIBING -> DRAINING -> DWELLING -> CLOSING
///  - DWELLING -> DRAINING if the owner has something to send after all (mm_uplink_resume)
///  - CONNECTING, SUBSCRIBING, DRAINING, DWELLING -> CLOSING at every failure
///  - CLOSING -> WAITING_FOR_SLOT if the session was clean, else -> BACKING_OFF -> WAITING_FOR_SLOT
///  - WAITING_FOR_SLOT -> BACKING_OFF if the port does not start
///  - every state -> ROUTER_DOWN (router lost), STOPPED (role lost)
///
/// Every state but STOPPED, ROUTER_DOWN and WAITING_FOR_SLOT without a plan has a deadline. Transitions are in one
/// table in uplink.c; an illegal one asserts. At most MM_SESSION_MESSAGES_MAX messages a session, at most
/// MM_SESSION_WINDOW unconfirmed, a PUBACK counts only with its session and packet id. After the last PUBACK the
/// session dwells for commands, then closes. Commands that come may be answered in the same session: it drains once
/// more and dwells again, within the same messages and the same session_us. Poll after every other call: that is where
/// the source is asked and told.

typedef enum {
    // wait: the role of the root | until event: the mesh makes this node its root | then a slot is planned
    MM_UPLINK_STOPPED = 0, ///< not root
    // wait: the router | until event: the port says that the router is back (or the role is lost) | then a slot is
    // planned; nodes meter on
    MM_UPLINK_ROUTER_DOWN,
    // wait: the own slot; the root plans it in its next poll, at once | until the next slot of the cycle, cycle_us and
    // round_us at most; a port that is still closing gets close_us more | then a session begins; if the port does not
    // start, the uplink backs off
    MM_UPLINK_WAITING_FOR_SLOT,
    // wait: TCP, TLS and CONNACK | until connect_us, session_us at most | then the session fails: it is closed and
    // backs off
    MM_UPLINK_CONNECTING,
    // wait: both SUBACKs | until subscribe_us, session_us at most | then the session fails
    MM_UPLINK_SUBSCRIBING,
    // wait: messages to send, and their PUBACKs | until session_us | then the session fails; unconfirmed records are
    // sent again in another
    MM_UPLINK_DRAINING,
    // wait: retained messages for this site | until dwell_us after the last SUBACK, PUBACK or resume, session_us at
    // most | then the session is closed
    MM_UPLINK_DWELLING,
    // wait: the port says DISCONNECTED | until close_us | then the port is stopped at once and the session is over
    MM_UPLINK_CLOSING,
    // wait: a broker or network that failed gets better | until back_off_us, doubling with each failure, up to
    // back_off_max_us, jitter included | then a slot is planned
    MM_UPLINK_BACKING_OFF,
    MM_UPLINK_STATE_COUNT
} mm_uplink_state_t;

const char *mm_uplink_state_name(mm_uplink_state_t state);

typedef enum {
    MM_UPLINK_SOURCE_MESSAGE = 0, ///< *bytes, *bytes_count and *token are valid; bytes borrowed until the next call
    MM_UPLINK_SOURCE_WAIT,        ///< being collected: poll again at *deadline at the latest
    MM_UPLINK_SOURCE_EMPTY,       ///< nothing (more) in this session
} mm_uplink_offer_t;

/// What the uplink asks of its owner. Calls come from mm_uplink_poll, and from stop and set_router(false), which report
/// the end of a running session (confirmed, closed) at once. They must not call back into the uplink.
typedef struct {
    /// A session was opened (subscribed): next is going to be called.
    void (*opened)(void *context, mm_us_t now);
    /// Next message. `token` identifies it in confirmed. On WAIT every poll asks again; a *deadline that is not in the
    /// future is taken as one millisecond from now. After EMPTY the session asks no more.
    mm_uplink_offer_t (*next)(void *context, uint8_t messages_left, mm_us_t now, const uint8_t **bytes,
                              size_t *bytes_count, uint32_t *token, mm_us_t *deadline);
    /// The broker confirmed this message (delivered to at least one subscriber as far as it says).
    void (*confirmed)(void *context, uint32_t token, mm_us_t now);
    /// The session is over; unconfirmed tokens never will be. Exactly once for each session that came due, also if it
    /// was never opened or the port would not start it. clean: everything offered was confirmed and nobody cut it
    /// short.
    void (*closed)(void *context, bool clean, mm_us_t now);
    void *context;
} mm_uplink_source_t;

typedef struct {
    mm_us_t connect_us;      ///< CONNACK within; 10 s
    mm_us_t subscribe_us;    ///< SUBACKs within; 5 s
    mm_us_t publish_us;      ///< each PUBACK within; 10 s
    mm_us_t dwell_us;        ///< for retained commands after the last SUBACK, PUBACK or resume; 2 s
    mm_us_t close_us;        ///< DISCONNECTED within; 5 s, afterwards it is assumed
    mm_us_t session_us;      ///< whole session at most; 60 s
    mm_us_t back_off_us;     ///< after the first failure; 30 s, doubling, plus jitter of up to 100 %. A CONNACK that
                             ///< refuses doubles once more, one that time alone will not heal (password …) twice
    mm_us_t back_off_max_us; ///< 1 h, jitter included
} mm_uplink_timing_t;

typedef struct {
    char info_topic[48];
    char ack_topic[48];
    char command_topic[48];
} mm_uplink_topics_t;

/// "meter/<site>/info" and so on. site: 1 … MM_SITE_CHARS_MAX of [a-z0-9-], else MM_ERR_ARG.
mm_err_t mm_uplink_topics(const char *site, mm_uplink_topics_t *topics);

typedef struct {
    uint16_t packet_id; ///< 0 = free
    bool acked;         ///< PUBACK is here, `confirmed` not called yet
    uint32_t token;
    // wait: the PUBACK of one message | until publish_us | then it is given up and the session fails
    mm_us_t deadline;
} mm_uplink_inflight_t;

typedef struct {
    mm_uplink_state_t state;
    const mm_mqtt_t *mqtt;
    mm_uplink_source_t source;
    mm_uplink_timing_t timing;
    const mm_uplink_topics_t *topics; ///< borrowed
    mm_counters_t *counters;
    mm_random_t random;
    uint32_t session; ///< of this boot; the current or last one
    // no wait: the state's, see mm_uplink_state_t
    mm_us_t deadline; ///< of the state
    // wait: the end of a session | until session_us | then it is closed, whatever is under way
    mm_us_t session_deadline;
    // wait: the round has a batch | until the round's next deadline: drain_us at most, for the live round round_us;
    // SOURCE_WAIT_MIN_US at least | then the source is asked again
    mm_us_t source_deadline; ///< the source said WAIT; MM_US_NEVER = it did not
    mm_us_t slot_at;         ///< when the next session may begin
    mm_us_t quiet_since;     ///< of the last SUBACK, PUBACK or resume
    uint16_t ack_packet_id;
    uint16_t command_packet_id;
    uint8_t suback_pending;
    uint8_t messages_sent;
    uint8_t failures;      ///< in a row
    uint8_t failure_steps; ///< what this session's failure adds to them
    bool failed;           ///< this session
    bool ended;            ///< CLOSING: DISCONNECTED is here
    bool source_empty;
    bool router_up;
    bool opened;
    mm_uplink_inflight_t inflight[MM_SESSION_WINDOW];
} mm_uplink_t;

void mm_uplink_init(mm_uplink_t *self, const mm_mqtt_t *mqtt, const mm_uplink_source_t *source,
                    const mm_uplink_timing_t *timing, const mm_uplink_topics_t *topics, mm_counters_t *counters,
                    uint64_t random_seed);
/// Root taken / lost. start forgets earlier failures; if started already it only tells about the router. stop drops a
/// session at once.
void mm_uplink_start(mm_uplink_t *self, bool router_up, mm_us_t now);
void mm_uplink_stop(mm_uplink_t *self, mm_us_t now);
/// Router back / lost; lost aborts a session at once.
void mm_uplink_set_router(mm_uplink_t *self, bool router_up, mm_us_t now);
/// The owner plans, or plans again: the next session begins at `at`. State WAITING_FOR_SLOT and the session not due
/// yet; ignored otherwise, returns false. Without a plan the state has no deadline and nothing happens.
bool mm_uplink_plan_session(mm_uplink_t *self, mm_us_t at);
/// The source has something to send after all, although it said EMPTY: it is asked again with the next poll. True in
/// DRAINING and, back to it, in DWELLING, as long as messages and time are left; false, and nothing happened,
/// otherwise. What ends a session stays as it was: the messages before count, and session_us runs on.
bool mm_uplink_resume(mm_uplink_t *self, mm_us_t now);
/// Note an event. Events of other sessions are ignored (a PUBACK is counted); so is DATA, which the owner handles
/// itself after mm_uplink_is_current().
void mm_uplink_on_mqtt(mm_uplink_t *self, const mm_mqtt_event_t *event, mm_us_t now);
/// True while this session is connecting, connected or closing.
bool mm_uplink_is_current(const mm_uplink_t *self, uint32_t session);
/// Do what is due; returns the next deadline.
mm_us_t mm_uplink_poll(mm_uplink_t *self, mm_us_t now);
/// True if a session is wanted as soon as possible by the owner's plan after back-off (i.e. state WAITING_FOR_SLOT
/// without plan).
bool mm_uplink_wants_plan(const mm_uplink_t *self);

#endif
