// SPDX-License-Identifier: Apache-2.0
// The path of chips with 8 units (ESP32).
#include "mm_esp_pulses.c"

#include "mm_esp_pulses_test.h"
