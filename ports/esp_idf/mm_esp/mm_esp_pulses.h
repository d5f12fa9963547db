// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_PULSES_H
#define MM_ESP_PULSES_H

#include "meshmeter/port/pulses.h"

/// The 8 pulse counters. Hardware or an interrupt sees every edge, with its time; software decides what is a pulse: a
/// contact counts as closed or open once it has been so, without another edge, for half of the shortest pulse
/// (debounce_us / 2). So neither the bouncing of closing nor that of opening counts, and a meter at the limit of the
/// standard still has a margin of half. With debounce_us 0 every leading edge counts (electronic outputs).
///
/// Why not let the pulse counter (PCNT) count alone: its filter ends at 12.8 us, contacts bounce for milliseconds, and
/// opening bounces too, so the count would be of bounces. Its unit is used as the edge detector with a filter instead:
/// it counts both edges up to 1, which calls its interrupt. That path is taken where the chip has 8 units (ESP32);
/// ESP32-S3 and -C6 have 4, and take the GPIO interrupt for all 8, so that all channels of a board are alike.
///
/// Nothing that the owner does delays it: the interrupts run while flash is erased (they and what they touch are in
/// RAM; sdkconfig.defaults: PCNT_ISR_IRAM_SAFE, GPIO_CTRL_FUNC_IN_IRAM), and counts are 32 bits from the first pulse
/// on, in memory that a reset does not clear: after a crash, an update or a watchdog the generation is the same, and
/// nothing that was counted is lost. Only pulses of the restart itself are missed (about a second). After a power cut
/// there is another generation.

typedef struct {
    int8_t pins[MM_CHANNELS]; ///< negative: no such meter, the counter stays
    bool pull_up;
    bool on_low;          ///< closed = low
    uint32_t debounce_us; ///< shortest pulse; S0: 30000
} mm_esp_pulses_options_t;

typedef struct {
    int64_t since_us; ///< of the raw level
    bool raw_closed;
    bool closed; ///< debounced
} mm_esp_pulses_input_t;

typedef struct {
    mm_pulses_t pulses; ///< hand this to the core; *self must stay where it is
    mm_esp_pulses_options_t options;
    mm_esp_pulses_input_t inputs[MM_CHANNELS];
    uint32_t rejected; ///< times that a level changed and went back before it counted: bounce and noise
    bool survived;     ///< the counts went on through this start
    uint8_t failed;    ///< bit per channel whose input could not be set up; its counter stays
    bool has_service;  ///< of the SDK's interrupts
} mm_esp_pulses_t;

/// Begin to count. One at a time. fresh_generation: random, used unless the counts survived. MM_ERR_UNAVAILABLE: some
/// channel does not work (`failed`); the others count.
mm_err_t mm_esp_pulses_open(mm_esp_pulses_t *self, const mm_esp_pulses_options_t *options, uint32_t fresh_generation);
/// Set up again what failed. MM_ERR_UNAVAILABLE: some channel still does not work.
mm_err_t mm_esp_pulses_retry(mm_esp_pulses_t *self);
/// Also after a failed open.
void mm_esp_pulses_close(mm_esp_pulses_t *self);

#endif
