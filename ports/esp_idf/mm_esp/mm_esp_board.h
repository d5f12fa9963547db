// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_BOARD_H
#define MM_ESP_BOARD_H

#include "meshmeter/base.h"
#include "meshmeter/control.h"
#include "meshmeter/legacy_command.h"
#include "meshmeter/limits.h"
#include "mm_esp_serial.h"

/// What a board is, as apps/esp32/main/Kconfig.projbuild has it: the one file that reads those symbols. Everything else
/// takes its pins from here. A pin of -1: the board has none; one that is wrong has not been compiled (mm_esp_pins.h).

#define MM_ESP_NO_PIN (-1)

typedef struct {
    int8_t pulse_pins[MM_CHANNELS];
    bool pulse_pull_up;
    bool pulse_on_low;
    uint32_t debounce_ms;

    bool has_relays;
    bool relay_latching;
    bool relay_active_low;
    uint32_t relay_coil_ms;              ///< latching
    int8_t relay_pins[MM_CHANNELS];      ///< latching: of the closing coil
    int8_t relay_open_pins[MM_CHANNELS]; ///< latching: of the opening coil

    bool has_fram;
    int8_t fram_sda_pin;
    int8_t fram_scl_pin;
    uint8_t fram_address;
    uint32_t fram_bytes;
    uint32_t save_period_s; ///< without an FRAM

    bool has_display;
    int8_t display_sda_pin; ///< the same two as the FRAM's: one bus
    int8_t display_scl_pin;
    uint8_t display_address;

    int8_t button_pin;
    bool button_pull_up;
    int8_t led_pin;
    int8_t warning_pin; ///< low: the supply is going

    uint8_t mesh_channel; ///< 0 = the router's
    uint32_t slot_count;
    uint32_t slot_ms;
    const mm_esp_serial_t *console; ///< the port of its lines
    const char *sntp_server;
    const char *time_zone;

    uint32_t token_unit_wh;
    /// The original's commands, if this image has them (mm_esp_legacy.h), or NULL.
    const mm_legacy_t *(*open_legacy)(const uint8_t secret[MM_LEGACY_SECRET_BYTES]);
    uint32_t ota_good_cycles;
    uint32_t safe_mode_crashes;
} mm_esp_board_t;

const mm_esp_board_t *mm_esp_board(void);

#endif
