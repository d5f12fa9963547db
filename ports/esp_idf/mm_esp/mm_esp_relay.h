// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_RELAY_H
#define MM_ESP_RELAY_H

#include "meshmeter/limits.h"
#include "meshmeter/port/relay.h"

/// The relays of up to 8 meters. What each was told last is kept twice: in memory that a reset does not clear, and in
/// NVS (one number; only written when it changes). At the start, before anything else, a relay that holds its state
/// only while it is driven gets the last one again; a latching one has kept it and is not touched. A relay
/// that was never told anything is not driven.
///
/// Latching: a pulse of coil_ms on one of two coils; one coil at a time, so that the supply carries it. set() only
/// notes it, poll() drives and ends the pulse: a coil is off again at the deadline that poll returns.

typedef struct {
    int8_t pins[MM_CHANNELS];      ///< negative: none. Latching: the closing coil
    int8_t open_pins[MM_CHANNELS]; ///< latching: the opening coil
    bool latching;
    bool active_low; ///< low closes (or drives the coil)
    uint32_t coil_ms;
} mm_esp_relay_options_t;

typedef struct {
    mm_relay_t relay; ///< hand this to the core; *self must stay where it is
    mm_esp_relay_options_t options;
    uint8_t known;    ///< bit per channel: was told once
    uint8_t closed;   ///< bit per channel: what it was told last
    uint8_t waiting;  ///< latching: bit per channel that is to be pulsed
    int8_t coil_pin;  ///< that is driven now, or -1
    bool survived;    ///< the state was still in memory at open
    uint8_t driven;   ///< bit per channel: was told in this start
    bool is_unsaved;  ///< NVS has not taken it yet
    uint8_t has_pins; ///< bit per channel whose pins work
    // wait: a latching relay's armature moves | until MM_ESP_RELAY_COIL_MAX_MS | then the coil is let go
    mm_us_t coil_until;
    // wait: NVS takes the state of the relays | until MM_ESP_RELAY_RETRY_S | then it is written again
    mm_us_t save_at;
} mm_esp_relay_t;

#define MM_ESP_RELAY_COIL_MAX_MS 500
#define MM_ESP_RELAY_RETRY_S 10

/// The very first thing of a start; needs NVS (nvs_flash_init) only if the state did not survive in memory, and does
/// without it then. MM_ERR_UNAVAILABLE: some pin does not work; the others do.
mm_err_t mm_esp_relay_open(mm_esp_relay_t *self, const mm_esp_relay_options_t *options);
/// After NVS works: take from it what memory did not keep. False: nothing is known, all stay undriven.
bool mm_esp_relay_restore(mm_esp_relay_t *self);
/// Drive, end, save what is due. Returns the next deadline.
mm_us_t mm_esp_relay_poll(mm_esp_relay_t *self, mm_us_t now);

#endif
