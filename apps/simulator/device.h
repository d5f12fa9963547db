// SPDX-License-Identifier: Apache-2.0
#ifndef SIMULATOR_DEVICE_H
#define SIMULATOR_DEVICE_H

#include "meshmeter/configurator.h"
#include "meshmeter/node.h"
#include "sim/sim.h"
#include "sim/sim_broker.h"
#include "sim/sim_crypto.h"
#include "sim/sim_flash.h"
#include "sim/sim_fram.h"
#include "sim/sim_mesh.h"
#include "sim/sim_pulses.h"
#include "sim/sim_relay.h"

/// One simulated node: the real mm_node_t on emulated memory, counters, clock, radio and uplink, with a supply that can
/// fail inside any write. The device is the node's one owner: it calls it, polls it at its deadlines, and loses it
/// with the power.

#define DEVICE_SECTORS_MAX 128
#define DEVICE_CONFIG_SECTORS 3
/// A router's password of which this is a part lets nobody in.
#define DEVICE_WRONG_PASSWORD "wrong"

/// What the installer chose.
typedef struct {
    uint32_t journal_sectors;
    uint32_t register_sectors; ///< of flash, where there is no FRAM
    bool has_fram;
    bool battery;      ///< pulse counters live on without power
    bool own_clock;    ///< knows the time at once when it starts
    int32_t drift_ppm; ///< of its crystal
    bool has_control;  ///< takes commands, keeps credit, has relays
    bool has_setup;    ///< begins parked, and takes network and meters from an installer; needs has_control
    uint32_t save_period_s;
    mm_timing_t timing;
    const char *site;
    const char *tz;
} device_plan_t;

typedef enum {
    DEVICE_AMBUSH_NONE = 0,
    DEVICE_AMBUSH_ERASE,         ///< a journal sector is erased
    DEVICE_AMBUSH_THINNING,      ///< a journal sector is thinned
    DEVICE_AMBUSH_CONFIGURATION, ///< a configuration is stored
} device_ambush_t;

/// What the device's owner must know. Called outside of the node.
typedef struct {
    void (*booted)(void *context, int device);
    /// A call into the node is over and everything in it is as the node wants it.
    void (*settled)(void *context, int device);
    /// The power has failed; the node's RAM can still be looked at, for the last time.
    void (*died)(void *context, int device);
    /// The root hands this message to the broker now.
    void (*published)(void *context, int device, uint32_t token);
    void *context;
} device_observer_t;

typedef struct {
    mm_sim_t *sim;
    int index;
    device_plan_t plan;
    device_observer_t observer;
    mm_random_t random;
    mm_sim_mesh_t *mesh;
    mm_sim_broker_t *broker;
    const mm_mqtt_t *uplink;

    mm_sim_power_t power;
    mm_sim_flash_t journal_flash;
    mm_sim_sector_t journal_sectors[DEVICE_SECTORS_MAX];
    uint8_t *journal_bytes;
    mm_sim_flash_t register_flash;
    mm_sim_sector_t register_sectors[DEVICE_SECTORS_MAX];
    uint8_t *register_bytes;
    mm_sim_fram_t fram;
    mm_sim_flash_t config_flash;
    mm_sim_sector_t config_sectors[DEVICE_CONFIG_SECTORS];
    uint8_t *config_bytes;
    uint8_t *fram_bytes;
    mm_sim_pulses_t pulses;
    mm_sim_relay_t relay;
    mm_sim_crypto_t crypto;

    // What the node is given: the models, behind a look at the power.
    mm_flash_t journal_port;
    mm_mesh_t mesh_port;
    mm_mqtt_t mqtt_port;
    mm_relay_t relay_port;
    mm_actions_t actions;
    mm_flash_t config_port;
    mm_entropy_t entropy;
    mm_random_t entropy_random;
    bool entropy_fails;
    mm_network_t network; ///< that it started with, if has_network
    bool has_network;
    mm_door_t door;
    mm_err_t (*door_send)(void *context, int device, mm_mac_t to, const void *bytes, size_t bytes_count);
    void *door_context;
    bool restarting;   ///< dies because it wants to: it is back at once
    uint64_t restarts; ///< into another network
    bool staged;       ///< a router is tried
    bool staged_wrong; ///< with a password that is wrong
    mm_network_body_t staged_router;
    uint64_t staged_sessions; ///< `sessions` when the trial began
    uint64_t routers_kept;    ///< after a session that began during the trial
    uint64_t fallbacks;       ///< from a wrong one
    bool kept_wrong;          ///< one was kept: never
    mm_node_ports_t ports;
    uint8_t *batch_memory;
    uint8_t batch_capacity;

    mm_node_t node;
    bool alive; ///< booted
    bool booting;
    bool in_erase;
    bool in_config;
    device_ambush_t ambush;
    uint64_t ambush_steps;
    mm_us_t booted_at; ///< world time at which the node's local time began
    uint32_t boots;
    uint64_t sessions; ///< begun, in all boots
    uint64_t wake_no;  ///< of the one wake-up that counts
    mm_us_t wake_at;
    mm_us_t settled_at;
    unsigned calls_at_once;
    mm_us_t clock_error_us; ///< of its own source of time
    bool clock_works;
    uint64_t clock_no;
    mm_us_t boot_cut_steps; ///< ≥ 0: the power fails again so many steps into the next start
} device_t;

/// At rest, without power. The plan is copied, everything else borrowed.
void device_init(device_t *self, mm_sim_t *sim, int index, const device_plan_t *plan, uint32_t hours,
                 const device_observer_t *observer);
void device_deinit(device_t *self);
/// After mesh and broker exist.
void device_connect(device_t *self, mm_sim_mesh_t *mesh, mm_sim_broker_t *broker);

/// Power on. No effect if it is on. begin_utc_us: wall time of world time 0.
void device_power_on(device_t *self, mm_us_t begin_utc_us);
/// The power fails between two operations.
void device_cut(device_t *self);
/// The power fails inside the write that is so many steps away; the node is polled, so that it has a reason to write.
void device_cut_in_write(device_t *self, uint64_t steps);

void device_on_mesh_event(device_t *self, const mm_mesh_event_t *event);
void device_on_mesh_frame(device_t *self, mm_mac_t from, const void *bytes, size_t bytes_count);
/// A packet at the door.
void device_on_door(device_t *self, mm_mac_t from, const void *bytes, size_t bytes_count);
void device_on_mqtt_event(device_t *self, const mm_mqtt_event_t *event);
/// The power fails inside the next operation of this kind, whenever it comes, in this boot or a later one: such moments
/// are short and seldom.
void device_cut_in(device_t *self, device_ambush_t ambush, uint64_t steps);
/// Its own source of time says what it has to say (if it works).
void device_synchronise(device_t *self, mm_us_t begin_utc_us);
/// A customer types digits for a meter, or takes emergency credit. False: the node is dark, or the power failed while
/// it was at it: nobody saw what became of it.
bool device_type_token(device_t *self, uint8_t channel, const char *digits, mm_typed_answer_t *answer);
bool device_take_emergency(device_t *self, uint8_t channel);
/// One request of a browser at the node's page. False: the node is dark, or the power failed while it was at it: nobody
/// saw the answer.
bool device_ask_page(device_t *self, const mm_http_request_t *request, mm_http_answer_t *answer);
/// Somebody with the label in his hand gives it a network. False as above.
bool device_take_network(device_t *self, const mm_network_t *network, mm_err_t *err);
/// Somebody at the device resets it. False as above.
bool device_reset(device_t *self, const char *code, mm_code_verdict_t *verdict);
/// Close the interval and make no more records.
void device_hold(device_t *self);
/// The node's own time at this instant.
mm_us_t device_local_now(const device_t *self);

#endif
