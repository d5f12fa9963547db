// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_NODE_INTERNAL_H
#define MM_ESP_NODE_INTERNAL_H

#include "meshmeter/console.h"
#include "meshmeter/node.h"
#include "mm_esp_actions.h"
#include "mm_esp_board.h"
#include "mm_esp_button.h"
#include "mm_esp_configurator.h"
#include "mm_esp_console.h"
#include "mm_esp_crypto.h"
#include "mm_esp_display.h"
#include "mm_esp_door.h"
#include "mm_esp_entropy.h"
#include "mm_esp_flash.h"
#include "mm_esp_fram.h"
#include "mm_esp_health.h"
#include "mm_esp_i2c.h"
#include "mm_esp_log.h"
#include "mm_esp_mesh.h"
#include "mm_esp_mqtt.h"
#include "mm_esp_node.h"
#include "mm_esp_ota.h"
#include "mm_esp_owner.h"
#include "mm_esp_panel.h"
#include "mm_esp_provisioning.h"
#include "mm_esp_pulses.h"
#include "mm_esp_radio.h"
#include "mm_esp_relay.h"
#include "mm_esp_settings.h"
#include "mm_esp_time.h"

/// The composition, in four files: mm_esp_node.c (start and turns), mm_esp_node_storage.c (what holds the registers),
/// mm_esp_node_life.c (which radio there is, commissioning, restarts), mm_esp_node_console.c (lines at the device). All
/// of it belongs to the owner's task. There is one node in a device; *self is static.

/// Counters are read at least so often, so that a power cut without warning loses the pulses of so long at most.
#define MM_ESP_NODE_READ_MS 50
/// A node that was held up does what it missed in turns of so long.
#define MM_ESP_NODE_CATCH_UP_MS 50
/// Between a wish to restart and the restart: an answer leaves the device first.
#define MM_ESP_NODE_RESTART_MS 2000
/// What the SDK refused is tried again after this.
#define MM_ESP_NODE_RETRY_S 30
/// An FRAM that failed, or an image on trial that shows nothing, for this long: restart (the FRAM's only if it answers
/// again; the image's into the one before).
#define MM_ESP_NODE_FRAM_RETRY_S 60
#define MM_ESP_NODE_TRIAL_S 86400
/// The page stays for so long after the installer's session, for its last answer.
#define MM_ESP_NODE_PAGE_LINGER_S 20
/// Opening or closing the radio takes the worker so long at most.
#define MM_ESP_NODE_OPEN_S 60
/// The worker is busy with something else: an update waits for it so long.
#define MM_ESP_NODE_OTA_WAIT_S 120

/// What the radio is used for.
typedef enum {
    MM_ESP_USE_NOTHING = 0,
    MM_ESP_USE_PARKED, ///< station without a network: Bluetooth provisioning, and asking at doors
    MM_ESP_USE_MESH,   ///< member of the mesh, and a door for others
    MM_ESP_USE_PAGE,   ///< access point with the node's page
} mm_esp_use_t;

/// What the worker does with it.
typedef enum {
    MM_ESP_LIFE_NO_JOB = 0,
    MM_ESP_LIFE_OPEN_PARKED,
    MM_ESP_LIFE_OPEN_MESH,
    MM_ESP_LIFE_OPEN_PAGE,
    MM_ESP_LIFE_CLOSE_PAGE,
} mm_esp_life_job_t;

typedef struct {
    mm_esp_use_t use;
    mm_esp_life_job_t job;
    uint32_t job_number;
    mm_err_t job_result; ///< the worker's
    // wait: the SDK opens what it refused | until MM_ESP_NODE_RETRY_S | then it is tried again
    mm_us_t retry_at;
    // wait: an installer begins a session, or reads its last answer | until MM_CHALLENGE_LIFE_S, at the end of a
    // session MM_ESP_NODE_PAGE_LINGER_S | then the mesh is opened again
    mm_us_t page_until;
    bool had_session;
    bool mesh_was_opened; ///< from then on it is paused and resumed
    bool is_leaving;      ///< the mesh is being closed for the page
    bool has_bluetooth;
    bool phone_waits; ///< it handed over a network that was taken
    bool has_door;
    uint32_t revision; ///< of the network of the start, 0 = none
    uint32_t opens_failed;
    char password[MM_ESP_CONFIGURATOR_PASSWORD_CHARS + 1]; ///< of the access point
    char address[MM_PANEL_ADDRESS_CHARS_MAX + 1];
} mm_esp_life_t;

typedef struct {
    const mm_esp_board_t *board;
    mm_mac_t mac;
    bool has_mac;
    bool is_restarting;
    const char *restart_reason; ///< a constant
    // wait: answers leave the device before it restarts | until MM_ESP_NODE_RESTART_MS | then it restarts
    mm_us_t restart_at;

    mm_esp_settings_t settings;
    mm_esp_crypto_t crypto;
    mm_entropy_t entropy;
    mm_log_t log;
    mm_esp_health_t health;
    mm_esp_pulses_t pulses;
    // wait: the SDK sets up a pulse input that it refused | until MM_ESP_NODE_RETRY_S | then it is asked again
    mm_us_t inputs_at;
    mm_esp_relay_t relay;

    mm_esp_i2c_t fram_bus;
    mm_esp_i2c_t display_bus; ///< not open if it is the FRAM's
    mm_esp_fram_t fram;
    mm_fram_t no_fram; ///< refuses everything
    mm_esp_fram_verdict_t fram_verdict;
    // wait: an FRAM that failed answers again | until MM_ESP_NODE_FRAM_RETRY_S | then it is looked at again
    mm_us_t fram_at;
    mm_esp_flash_t journal_flash;
    mm_esp_flash_t register_flash;
    mm_esp_flash_t config_flash;
    mm_flash_t no_flash; ///< refuses everything

    mm_esp_mesh_t mesh;
    mm_mesh_t core_mesh; ///< what the core has: the mesh while it is open
    mm_esp_door_t door;
    mm_esp_mqtt_t mqtt;
    bool broker_changed; ///< the port takes it when its session is over
    bool router_changed;
    mm_esp_time_t time;
    mm_esp_actions_t actions;

    mm_esp_ota_t ota;
    mm_esp_ota_result_t ota_result; ///< the worker's
    uint32_t ota_job;               ///< 0 = none runs
    // wait: the worker is free for an update | until MM_ESP_NODE_OTA_WAIT_S | then it is given up
    mm_us_t ota_until;
    // wait: an image on trial shows good cycles | until MM_ESP_NODE_TRIAL_S | then the one before is started
    mm_us_t trial_until;
    uint32_t sessions_clean; ///< that were counted as good cycles
    mm_position_t watermark; ///< likewise

    mm_esp_button_t button;
    mm_esp_display_t display;
    mm_esp_panel_t panel;
    mm_esp_console_t console;
    mm_console_t lines;
    mm_possession_t possession; ///< for networks by the console
    mm_esp_life_t life;
    mm_node_t node;
    bool has_ip; ///< as told to the clock

    /// One of these at a time. The configuration is read at the start. Bluetooth is for a parked node, which has no
    /// mesh. While the page is open there is no mesh, so no session, and the core builds no batch
    /// (mm_root_set_router(false) has ended what was under way).
    union {
        mm_configuration_t configuration;
        mm_esp_provisioning_t provisioning;
        uint8_t batch[MM_BATCH_BYTES_MAX];
        mm_esp_configurator_t page;
    } shared;
} mm_esp_node_t;

/// The ports of the registers and the journal, whatever works: FRAM, flash, or what refuses. Fills node_ports.
void mm_esp_storage_open(mm_esp_node_t *self, mm_node_ports_t *ports, mm_us_t now);
/// Look again at an FRAM that failed: true: it works, restart with it.
bool mm_esp_storage_came_back(mm_esp_node_t *self, mm_us_t now);
/// What is wrong with what holds the readings, for the display; NULL: nothing.
const char *mm_esp_storage_fault(const mm_esp_node_t *self);
/// A journal on virgin memory begins here: see the comment in the code.
uint32_t mm_esp_storage_first_epoch(const mm_esp_node_t *self);

/// Restart soon, for this reason (a constant); the first one counts.
void mm_esp_node_restart(mm_esp_node_t *self, const char *reason, mm_us_t now);
/// The root's address came or went: the time server is asked, or not.
void mm_esp_node_follow_ip(mm_esp_node_t *self, mm_us_t now);
/// Begin an update; waits for the worker. MM_ERR_STATE, MM_ERR_ARG as mm_esp_ota_begin.
mm_err_t mm_esp_node_begin_update(mm_esp_node_t *self, const char *url, bool force, mm_us_t now);

/// The radio for what the configuration says.
void mm_esp_life_open(mm_esp_node_t *self, mm_us_t now);
/// In every turn. Returns the next deadline.
mm_us_t mm_esp_life_poll(mm_esp_node_t *self, mm_us_t now);
void mm_esp_life_fill(mm_esp_node_t *self, mm_us_t now, mm_node_panel_facts_t *facts);
/// Posts.
void mm_esp_life_end_job(mm_esp_node_t *self, uint32_t number, mm_us_t now);
void mm_esp_life_serve(mm_esp_node_t *self, uint32_t number, mm_us_t now);
/// The broker of the start: what a command kept, else the network's (NULL: none).
void mm_esp_life_open_broker(mm_esp_node_t *self, const mm_network_t *network);
/// Other credentials: the ones that are to be used now.
void mm_esp_life_use_router(mm_esp_node_t *self);
void mm_esp_life_use_broker(mm_esp_node_t *self);

/// After mm_esp_panel_open.
void mm_esp_node_open_lines(mm_esp_node_t *self, mm_us_t now);
/// One line at the device; see mm_esp_console.h.
size_t mm_esp_node_line(void *context, char *line, char *answer, size_t capacity_bytes);

#endif
