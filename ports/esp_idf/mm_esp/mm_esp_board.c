// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_board.h"

#include <sdkconfig.h>

#include "mm_esp_pins.h"

#ifdef CONFIG_MM_LEGACY_COMMANDS
#include "mm_esp_legacy.h"
#endif

// A symbol of Kconfig that is off, or that depends on one, is not defined.
static const mm_esp_board_t s_board = {
    .pulse_pins = {CONFIG_MM_PULSE_PIN_0, CONFIG_MM_PULSE_PIN_1, CONFIG_MM_PULSE_PIN_2, CONFIG_MM_PULSE_PIN_3,
                   CONFIG_MM_PULSE_PIN_4, CONFIG_MM_PULSE_PIN_5, CONFIG_MM_PULSE_PIN_6, CONFIG_MM_PULSE_PIN_7},
#ifdef CONFIG_MM_PULSE_PULL_UP
    .pulse_pull_up = true,
#endif
#ifdef CONFIG_MM_PULSE_ON_LOW
    .pulse_on_low = true,
#endif
    .debounce_ms = CONFIG_MM_DEBOUNCE_MS,

#ifdef CONFIG_MM_RELAYS
    .has_relays = true,
    .relay_pins = {CONFIG_MM_RELAY_PIN_0, CONFIG_MM_RELAY_PIN_1, CONFIG_MM_RELAY_PIN_2, CONFIG_MM_RELAY_PIN_3,
                   CONFIG_MM_RELAY_PIN_4, CONFIG_MM_RELAY_PIN_5, CONFIG_MM_RELAY_PIN_6, CONFIG_MM_RELAY_PIN_7},
#ifdef CONFIG_MM_RELAY_ACTIVE_LOW
    .relay_active_low = true,
#endif
#endif
#ifdef CONFIG_MM_RELAY_LATCHING
    .relay_latching = true,
    .relay_coil_ms = CONFIG_MM_RELAY_COIL_MS,
    .relay_open_pins = {CONFIG_MM_RELAY_OPEN_PIN_0, CONFIG_MM_RELAY_OPEN_PIN_1, CONFIG_MM_RELAY_OPEN_PIN_2,
                        CONFIG_MM_RELAY_OPEN_PIN_3, CONFIG_MM_RELAY_OPEN_PIN_4, CONFIG_MM_RELAY_OPEN_PIN_5,
                        CONFIG_MM_RELAY_OPEN_PIN_6, CONFIG_MM_RELAY_OPEN_PIN_7},
#endif

#ifdef CONFIG_MM_FRAM
    .has_fram = true,
    .fram_sda_pin = CONFIG_MM_FRAM_SDA_PIN,
    .fram_scl_pin = CONFIG_MM_FRAM_SCL_PIN,
    .fram_address = CONFIG_MM_FRAM_ADDRESS,
    .fram_bytes = CONFIG_MM_FRAM_BYTES,
#endif
    .save_period_s = CONFIG_MM_SAVE_PERIOD_S,

#ifdef CONFIG_MM_DISPLAY
    .has_display = true,
    .display_sda_pin = CONFIG_MM_DISPLAY_SDA_PIN,
    .display_scl_pin = CONFIG_MM_DISPLAY_SCL_PIN,
    .display_address = CONFIG_MM_DISPLAY_ADDRESS,
#endif

    .button_pin = CONFIG_MM_BUTTON_PIN,
#ifdef CONFIG_MM_BUTTON_PULL_UP
    .button_pull_up = true,
#endif
    .led_pin = CONFIG_MM_LED_PIN,
    .warning_pin = CONFIG_MM_WARNING_PIN,

    .mesh_channel = CONFIG_MM_MESH_CHANNEL,
    .slot_count = CONFIG_MM_SLOT_COUNT,
    .slot_ms = CONFIG_MM_SLOT_MS,
#ifdef CONFIG_MM_CONSOLE_USB
    .console = &mm_esp_serial_usb,
#else
    .console = &mm_esp_serial_uart,
#endif
    .sntp_server = CONFIG_MM_SNTP_SERVER,
    .time_zone = CONFIG_MM_TIME_ZONE,

    .token_unit_wh = CONFIG_MM_TOKEN_UNIT_WH,
#ifdef CONFIG_MM_LEGACY_COMMANDS
    .open_legacy = mm_esp_legacy_open,
#endif
    .ota_good_cycles = CONFIG_MM_OTA_GOOD_CYCLES,
    .safe_mode_crashes = CONFIG_MM_SAFE_MODE_CRASHES,
};

const mm_esp_board_t *mm_esp_board(void) {
    return &s_board;
}
