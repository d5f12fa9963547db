// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_FRAM_H
#define MM_ESP_FRAM_H

#include "meshmeter/port/fram.h"
#include "mm_esp_i2c.h"

/// FRAM of the MB85RC family: 2 KB (address bits 8 to 10 in the device address, one address byte; it takes 8 device
/// addresses) and 8 to 32 KB (two address bytes). The last 16 bytes are the port's own, for the probe.
///
/// Every call is bounded: a chunk of 64 bytes takes 1.7 ms at 400 kHz and is given up after MM_ESP_FRAM_TIMEOUT_MS; a
/// failed chunk is tried once more. What was not acknowledged is MM_ERR_STORAGE, never MM_OK.

#define MM_ESP_FRAM_TIMEOUT_MS 20
#define MM_ESP_FRAM_RESERVE_BYTES 16
#define MM_ESP_FRAM_CHUNK_BYTES 64
#define MM_ESP_FRAM_DEVICES_MAX 8

typedef enum {
    MM_ESP_FRAM_ABSENT = 0, ///< nothing acknowledges
    MM_ESP_FRAM_WORKS,
    MM_ESP_FRAM_FAULTY, ///< something is there, and does not keep what is written, or is smaller than configured
} mm_esp_fram_state_t;

typedef struct {
    mm_fram_t fram; ///< hand this to the core; *self must stay where it is
    mm_esp_fram_state_t state;
    bool one_byte_address;
    uint8_t address;
    uint32_t errors; ///< calls that failed since open
    void *devices[MM_ESP_FRAM_DEVICES_MAX];
} mm_esp_fram_t;

/// bytes: of the chip, 2048, 8192, 16384 or 32768. The probe keeps what is stored: MM_OK, and state WORKS;
/// fram.size_bytes is the chip's size without the reserve. MM_ERR_NOT_FOUND: ABSENT. MM_ERR_STORAGE: FAULTY.
mm_err_t mm_esp_fram_open(mm_esp_fram_t *self, mm_esp_i2c_t *bus, uint8_t address, uint32_t bytes);
/// Also after a failed open.
void mm_esp_fram_close(mm_esp_fram_t *self);

/// What to do with what was found.
typedef enum {
    MM_ESP_FRAM_USE = 0,
    /// Registers in flash: a power cut loses what was counted since the last image, at most save_period_s (60 s: at 17
    /// pulses/s and 8 meters 8,160 pulses; a usual household of 1 kW at 1,000/kWh: 17 pulses).
    MM_ESP_FRAM_USE_FLASH,
    /// It worked at an earlier start and holds the registers: going on in flash would count from an old image. The node
    /// keeps counting in RAM, says that metering has failed, and opens it again.
    MM_ESP_FRAM_IN_FAULT,
} mm_esp_fram_verdict_t;

/// worked_before: the node has kept (settings) that this board's FRAM was used once. FAULTY is always IN_FAULT: a chip
/// that is there was meant to be used.
mm_esp_fram_verdict_t mm_esp_fram_judge(mm_esp_fram_state_t state, bool worked_before);

#endif
