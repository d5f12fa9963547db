// SPDX-License-Identifier: Apache-2.0
#ifndef MM_NODE_H
#define MM_NODE_H

#include "meshmeter/base.h"
#include "meshmeter/control.h"
#include "meshmeter/counters.h"
#include "meshmeter/join.h"
#include "meshmeter/journal.h"
#include "meshmeter/metering.h"
#include "meshmeter/port/entropy.h"
#include "meshmeter/port/flash.h"
#include "meshmeter/port/fram.h"
#include "meshmeter/port/log.h"
#include "meshmeter/port/mesh.h"
#include "meshmeter/port/mqtt.h"
#include "meshmeter/port/pulses.h"
#include "meshmeter/register_store.h"
#include "meshmeter/root.h"
#include "meshmeter/setup.h"
#include "meshmeter/timing.h"

/// One node: metering always, child always, root while it has the role. The whole node has one owner (thread or task);
/// everything that happens anywhere else is posted to it as an event. After each event call mm_node_poll.

typedef struct {
    mm_mac_t mac;
    char site[MM_SITE_CHARS_MAX + 1];
    mm_metering_options_t metering;
    /// mac and slot_count_min are filled in by init, unconfirmed_channels too if there is ports.config_flash. new_era
    /// 0: this node takes no commands and keeps no credit.
    mm_control_options_t control;
    /// mac is filled in by init. Used if there is ports.config_flash.
    mm_setup_options_t setup;
    uint32_t config_sector_count;
    /// The owner opens mm_setup_t itself, behind init: whether the node is commissioned is not decided here.
    bool setup_elsewhere;
    mm_timing_t timing;
    uint32_t journal_sector_count;
    uint64_t random_seed; ///< for jitter; different in each device
    uint32_t reset_reason;
} mm_node_options_t;

typedef struct {
    const mm_pulses_t *pulses;
    const mm_fram_t *fram;            ///< or NULL: flash-only node
    const mm_flash_t *register_flash; ///< used if fram is NULL
    const mm_flash_t *journal_flash;
    const mm_mesh_t *mesh;
    const mm_mqtt_t *mqtt;
    const mm_log_t *log;
    const mm_crypto_t *crypto;   ///< or NULL: no command is authentic, no token known
    const mm_relay_t *relay;     ///< or NULL: there are none
    const mm_actions_t *actions; ///< or NULL: what needs the platform is refused
    /// Of the configuration, or NULL: this node is configured by its options alone, and counts as commissioned.
    /// Otherwise the meters of its installation, once there is one, stand above the options. Needs control.
    const mm_flash_t *config_flash;
    const mm_entropy_t *entropy; ///< or NULL: nobody can install this node
    void *batch_memory;          ///< batch_capacity * MM_BATCH_BYTES_MAX bytes
    uint8_t batch_capacity;
} mm_node_ports_t;

typedef struct {
    mm_us_t now; ///< of the last call
    bool attached;
    bool ip_up;
    bool own_clock; ///< has a time source of its own; the mesh's time is then not taken
    bool welcomed;  ///< by the present root, with a time
    uint8_t layer;
    mm_mac_t root_mac;
    bool has_control;
    bool has_setup;
    bool has_join;
    // wait: the root answers a HELLO, or has a time to give | until hello_retry_us | then HELLO is sent again;
    // without a parent the mesh's next event is awaited instead
    mm_us_t hello_at; ///< next HELLO
    // Large: behind the others, which cost less code near the beginning.
    mm_node_ports_t ports;
    mm_counters_t counters;
    struct {
        mm_mac_t mac;
        char site[MM_SITE_CHARS_MAX + 1];
        mm_timing_t timing;
        uint64_t random_seed;
    } options; ///< those that are needed on; its parts have theirs
    mm_register_store_t store;
    mm_setup_t setup;     ///< valid if has_setup
    mm_control_t control; ///< valid if has_control
    mm_metering_t metering;
    mm_root_t root;
    mm_join_t join; ///< valid if has_join
    mm_journal_t journal;
} mm_node_t;

/// Open storage, recover, begin metering. MM_ERR_ARG: options impossible; *self is unusable. ports and what it points
/// to are borrowed.
mm_err_t mm_node_init(mm_node_t *self, const mm_node_options_t *options, const mm_node_ports_t *ports, mm_us_t now);

/// Join through the mesh, and let others join (join.h); after mm_node_init, once. setup: the node's own, or the one
/// that the owner has opened; door as in mm_join_open. Without this call the node neither asks nor is asked.
void mm_node_open_join(mm_node_t *self, mm_setup_t *setup, const mm_door_t *door, mm_us_t now);

/// Events. now never goes back (asserted).
void mm_node_on_mesh_event(mm_node_t *self, const mm_mesh_event_t *event, mm_us_t now);
void mm_node_on_mesh_frame(mm_node_t *self, mm_mac_t from, const void *bytes, size_t bytes_count, mm_us_t now);
/// A packet at the door. `from` is as the port heard it, not proved.
void mm_node_on_door(mm_node_t *self, mm_mac_t from, const void *bytes, size_t bytes_count, mm_us_t now);
void mm_node_on_mqtt_event(mm_node_t *self, const mm_mqtt_event_t *event, mm_us_t now);
/// The node's own time source (SNTP, system clock) says so.
mm_err_t mm_node_set_time(mm_node_t *self, mm_time_t time, mm_us_t now);
/// Close the interval and make no more metering records (decommissioning); registers go on. In effect with the next
/// poll.
void mm_node_hold(mm_node_t *self);

/// For the display, the page and the console of the node, see control.h. Without control: NO_METER, MM_ERR_STATE.
mm_typed_answer_t mm_node_type_token(mm_node_t *self, uint8_t channel, const char *digits, mm_us_t now);
mm_err_t mm_node_take_emergency(mm_node_t *self, uint8_t channel, mm_us_t now);
/// A tamper contact; also once for each after init.
void mm_node_set_tamper(mm_node_t *self, uint8_t channel, bool tampered, mm_us_t now);

/// Count pulses and do everything that is due at now. Returns the next deadline; also call when pulses came.
mm_us_t mm_node_poll(mm_node_t *self, mm_us_t now);

#endif
