// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_ENTROPY_H
#define MM_ESP_ENTROPY_H

#include "meshmeter/port/entropy.h"

/// The chip's random numbers are random only while the radio, or the noise source of the bootloader, feeds them. This
/// module knows when that is, and refuses in between:
///
///   mm_esp_entropy_open           noise source on: numbers are good
///   mm_esp_entropy_close_source   noise source off, before the radio, ADC or I2S start: none
///   mm_esp_entropy_set_radio      the radio runs: numbers are good again
///
/// One device has one source, so the state is the module's own. Callable from any task.
void mm_esp_entropy_open(void);
void mm_esp_entropy_close_source(void);
void mm_esp_entropy_set_radio(bool is_on);

/// MM_ERR_UNAVAILABLE: nothing random feeds the numbers now.
mm_err_t mm_esp_entropy_fill(void *bytes, size_t bytes_count);
mm_entropy_t mm_esp_entropy_port(void);

#endif
