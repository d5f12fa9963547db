// SPDX-License-Identifier: Apache-2.0
#ifndef MM_NODE_CONFIG_H
#define MM_NODE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "meshmeter/configuration.h"
#include "meshmeter/limits.h"
#include "meshmeter/metering.h"
#include "meshmeter/node.h"

/// Configuration file of one Linux node: lines `key = value`, `#` begins a comment. Keys in docs/guide/node.md.

#define NODE_PATH_BYTES 512
#define NODE_TEXT_BYTES 128
#define NODE_PEERS_MAX 128

typedef enum {
    NODE_PULSES_NONE = 0,
    NODE_PULSES_MODEL,
    NODE_PULSES_CSV,
    NODE_PULSES_STDIN,
    NODE_PULSES_GPIO
} node_pulses_t;
typedef enum {
    NODE_CLOCK_SYSTEM = 0,
    NODE_CLOCK_UNSET
} node_clock_t;

typedef enum {
    NODE_RELAYS_NONE = 0,
    NODE_RELAYS_FILE,
    NODE_RELAYS_GPIO
} node_relays_t;

typedef struct {
    char path[NODE_PATH_BYTES]; ///< of the file itself, for messages
    mm_mac_t mac;
    char site[MM_SITE_CHARS_MAX + 1];
    mm_metering_options_t metering;
    char state_directory[NODE_PATH_BYTES];
    char control_path[NODE_PATH_BYTES];
    char display_path[NODE_PATH_BYTES]; ///< "" = the picture is not written
    uint32_t journal_sectors;
    bool storage_sync;
    bool with_fram;

    char mesh_id[NODE_TEXT_BYTES];
    char mesh_key_file[NODE_PATH_BYTES];
    char mesh_listen[NODE_TEXT_BYTES];
    char mesh_peers[NODE_PEERS_MAX * 24]; ///< comma separated
    char mesh_group[NODE_TEXT_BYTES];
    uint32_t mesh_hello_ms;

    char broker[NODE_PATH_BYTES];
    char broker_password_file[NODE_PATH_BYTES];
    char broker_ca_file[NODE_PATH_BYTES];
    bool mqtt_5;

    uint32_t speed;
    int64_t clock_origin_real_us;
    int64_t clock_origin_utc_us;
    node_clock_t clock;
    bool router_up;
    uint32_t cycle_ms;   ///< real length of a shortened cycle (demo, tests); 0 = slot_count slots of slot_ms
    uint32_t slot_count; ///< speed 1: 0 = default of 250
    uint32_t slot_ms;
    int64_t slot; ///< -1 = guessed from the site's name

    char device_key_file[NODE_PATH_BYTES];
    node_relays_t relays;
    char relays_chip[NODE_PATH_BYTES];
    uint32_t relay_lines[MM_CHANNELS];
    uint8_t relay_line_count;
    uint32_t token_unit_wh;
    uint32_t dwell_ms; ///< real; UINT32_MAX = what the slots say
    bool legacy_commands;
    char legacy_secret_file[NODE_PATH_BYTES];

    bool door;                          ///< joins through the mesh, and lets others join; needs commissioning
    bool commissioning;                 ///< parked until a network was handed over; meters come from an installer
    char configurator[NODE_TEXT_BYTES]; ///< address of the node's own page, "" = none
    bool challenge_legacy;
    char pop_file[NODE_PATH_BYTES]; ///< the code on the label
    // Of the network that was handed over, filled in at the start.
    char broker_user[MM_BROKER_WORD_CHARS_MAX + 1];
    char broker_password[MM_BROKER_WORD_CHARS_MAX + 1];
    bool network_is_known; ///< its memory has answered, or there is none
    uint32_t network_revision;
    bool has_mesh_key;
    uint8_t mesh_key[32];

    node_pulses_t pulses;
    char pulses_path[NODE_PATH_BYTES]; ///< CSV file or GPIO chip
    uint64_t pulses_seed;
    uint32_t gpio_lines[MM_CHANNELS];
    uint8_t gpio_line_count;
    uint32_t debounce_ms;
    int64_t pulses_shift_s; ///< CSV: wall time = time in the file + shift
    int64_t pulses_begin_s; ///< counts begin here (wall time)
    int64_t pulses_end_s;   ///< no pulses behind it; INT64_MAX = no end
} node_config_t;

/// Read and check. On failure false, and `message` (for people) names file, line and the way out.
bool node_config_read(const char *path, node_config_t *config, char *message, size_t message_bytes);

#endif
