// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_DOOR_H
#define MM_ESP_DOOR_H

#include "meshmeter/port/door.h"

/// port/door.h on ESP-NOW: packets begin with 4 bytes that tell them from other users' of ESP-NOW. A member hears on
/// the channel of its mesh. A parked node, which has none, goes to the next of the channels 1 to 13 before each
/// broadcast and stays there until the next one, so it hears the answer. Channels that its country forbids are passed
/// over. Packets leave through the station's interface: the sender is this node's own address. Static: there is one.
/// Packets beyond MM_DOOR_PACKETS_PER_S are counted and dropped in the callback.
///
/// ESP-NOW ends when the radio closes (mm_esp_radio.h), in the owner's task; poll begins it again when the radio is
/// back.

#define MM_ESP_DOOR_CHANNELS 13

typedef struct {
    uint32_t limited; ///< beyond the rate; by the SDK's task alone, as the next one
    uint32_t foreign; ///< not ours, or of an impossible size
    uint32_t sends_refused;
} mm_esp_door_counts_t;

typedef struct {
    mm_door_t door; ///< for the core
    mm_esp_door_counts_t counts;
    bool is_open;
    bool is_parked;
    bool is_wanted; ///< opened and not closed: poll keeps it open while there is a radio
    uint8_t channel;
    mm_mac_t peer; ///< the one device that was sent to last; zero = none
    int64_t second_us;
    uint8_t left; ///< of this second
} mm_esp_door_t;

/// Wi-Fi is started (STATION if parked, else MESH). MM_ERR_UNAVAILABLE: the SDK refused; nothing is left open, the
/// table answers UNAVAILABLE, and poll tries again. *self must stay where it is until close.
mm_err_t mm_esp_door_open(mm_esp_door_t *self, bool is_parked);
void mm_esp_door_close(mm_esp_door_t *self);
/// By the owner, in every turn.
void mm_esp_door_poll(mm_esp_door_t *self);

#endif
