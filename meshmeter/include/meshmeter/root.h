// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ROOT_H
#define MM_ROOT_H

#include "meshmeter/base.h"
#include "meshmeter/batch.h"
#include "meshmeter/control.h"
#include "meshmeter/cursor.h"
#include "meshmeter/limits.h"
#include "meshmeter/metering.h"
#include "meshmeter/port/log.h"
#include "meshmeter/port/mesh.h"
#include "meshmeter/round.h"
#include "meshmeter/timing.h"
#include "meshmeter/uplink.h"

/// The services of a node that is the root: rounds, cursors, sessions. Started once when the role is taken, stopped
/// when it is lost; nothing in here needs to survive (design D1: the journals and HQ hold the truth).
///
/// A cycle: round_us before the slot a live round collects a snapshot and records of every node; in the slot the
/// session sends these batches first, then, while messages are left, drains: a short round collects the next records of
/// the nodes with the largest backlog, and so on, until nothing is left or MM_SESSION_MESSAGES_MAX messages are out.
///
/// Commands. HQ's retained batch is kept in RAM, as it came, until a newer one or a blank comes or the role is lost;
/// the broker brings it again. Each ask of each round carries the commands of its node, the oldest first: a node takes
/// each once, so repeating them is the retransmission. Nothing else is queued: a node that was silent or away gets them
/// in the next live round, one that is not in the mesh not at all. When commands come that were not in the batch
/// before, the session does not leave it at that: a command round asks exactly their nodes at once, also those that had
/// nothing more to report, and what they answer goes out in the same session, as far as its messages and its time
/// allow.
///
/// A session outside of the slot is made when control says send_now, at most one in urgent_us; its live round begins at
/// once, and the session when that is over.

/// What a published batch holds of one node: confirmed together with the batch.
typedef struct {
    uint32_t token; ///< of the message; 0 = free
    mm_mac_t mac;
    mm_position_t after;   ///< records behind it …
    mm_position_t through; ///< … up to here
} mm_receipt_t;

#define MM_RECEIPTS_MAX (MM_NODES_MAX + MM_SESSION_WINDOW * MM_BATCH_NODES_MAX)

typedef enum {
    MM_ROOT_IDLE = 0,      ///< no session planned or waiting for its round
    MM_ROOT_COLLECTING,    ///< live round under way
    MM_ROOT_READY,         ///< live batches wait for the session
    MM_ROOT_DRAIN_PAUSE,   ///< in session, live batches are out, no drain round open
    MM_ROOT_DRAIN_ROUND,   ///< in session, drain round open
    MM_ROOT_COMMAND_ROUND, ///< in session, the nodes of new commands are being asked
    MM_ROOT_DRAINED,       ///< in session, nothing left to collect
} mm_root_phase_t;

/// After so many sessions in a row that brought only an older batch of commands, that one is HQ's.
#define MM_ROOT_OLD_SESSIONS 4

/// HQ's newest batch of commands.
typedef struct {
    bool is_known;      ///< database_id and revision are those of the newest message, which may be gone since
    bool is_cleared;    ///< gone by HQ's blank: everything in it has its answer
    bool is_subscribed; ///< in this session …
    bool has_come;      ///< … and something came
    bool has_old;       ///< … that is older than what is known
    uint64_t database_id;
    uint64_t revision;
    uint8_t old_sessions; ///< in a row that were so
    uint64_t news;        ///< bit per command: came in this session, and its node was not asked since
    bool is_legacy;       ///< bytes are a message in the original's form
    uint16_t bytes_count; ///< 0 = there are no commands
    uint8_t bytes[MM_DOWNLINK_BYTES_MAX];
} mm_root_commands_t;

typedef struct {
    bool active;
    bool router_up;
    bool urgent; ///< the session being prepared is outside of the slot: it begins when its round is over
    uint8_t batch_capacity;
    uint8_t next_batch; ///< of the round, to be offered
    uint8_t rotation;
    uint8_t idle_drains; ///< drain rounds in this session that brought nothing
    mm_mac_t mac;
    mm_root_phase_t phase;
    const mm_timing_t *timing;
    const mm_mesh_t *mesh;
    const mm_log_t *log;
    mm_metering_t *metering;
    mm_counters_t *counters;
    mm_control_t *control; ///< or NULL
    uint32_t next_round_id;
    // wait: the next slot of this gateway | until cycle_us | then the session begins
    mm_us_t session_at; ///< planned, MM_US_NEVER = none
    // wait: the live round before the session begins | until cycle_us | then the nodes are asked
    mm_us_t round_at;            ///< when its round begins
    uint32_t network_revision;   ///< that the asks say (join.h); the owner's
    mm_us_t session_trial_until; ///< of the trial under way when the session began: only that it may prove. 0 = none
    // wait: another session outside of the slot may be made | until urgent_us | then control's wish is followed
    mm_us_t urgent_at;
    uint32_t rounds_made;
    uint32_t sessions_made;
    uint32_t sessions_clean;
    // Large: behind the others, which cost less code near the beginning.
    mm_batch_builder_t batches[MM_BATCHES_MAX];
    mm_round_t round;
    mm_uplink_t uplink;
    mm_uplink_topics_t topics;
    uint32_t drained_session[MM_NODES_MAX]; ///< by cursor: session in which the node had nothing more
    mm_cursor_table_t cursors;
    mm_receipt_t receipts[MM_RECEIPTS_MAX];
    mm_root_commands_t commands;
    /// A frame from its writing to its end, within one call: given to the mesh, or to the round, both of which copy it.
    /// Between calls it is nobody's: the node that this root is part of uses it in the same way for what it sends.
    uint8_t frame[MM_MESH_FRAME_BYTES_MAX];
} mm_root_t;

/// batch_memory: batch_capacity buffers of MM_BATCH_BYTES_MAX each, one behind the other; 1 … MM_BATCHES_MAX. Its size
/// decides how many nodes one round covers; larger meshes are covered in turns. Everything is borrowed for the life of
/// self.
mm_err_t mm_root_init(mm_root_t *self, mm_mac_t mac, const char *site, const mm_timing_t *timing, const mm_mesh_t *mesh,
                      const mm_mqtt_t *mqtt, const mm_log_t *log, mm_metering_t *metering, mm_counters_t *counters,
                      void *batch_memory, uint8_t batch_capacity, uint64_t random_seed);
/// What this node does with commands for itself; borrowed, NULL: it has no control, and they are passed over. The root
/// takes send_now and plan_changed from it and clears them (without the role at once: the next root's business),
/// follows its slots if there are any that fit the timing, and tells it of each session that is over.
void mm_root_set_control(mm_root_t *self, mm_control_t *control);
/// Take the role; no effect if it is already taken.
void mm_root_start(mm_root_t *self, bool router_up, mm_us_t now);
/// Lose it; no effect if it is not taken.
void mm_root_stop(mm_root_t *self, mm_us_t now);
void mm_root_set_router(mm_root_t *self, bool router_up, mm_us_t now);
void mm_root_child_joined(mm_root_t *self, mm_mac_t mac, mm_us_t now);
void mm_root_child_left(mm_root_t *self, mm_mac_t mac);
/// A checked frame from a node (HELLO or REPORT) and its bytes. Others are counted as unexpected.
void mm_root_on_frame(mm_root_t *self, const mm_frame_t *frame, const void *bytes, size_t bytes_count, mm_us_t now);
void mm_root_on_mqtt(mm_root_t *self, const mm_mqtt_event_t *event, mm_us_t now);
/// Do what is due; next deadline.
mm_us_t mm_root_poll(mm_root_t *self, mm_us_t now);

#endif
