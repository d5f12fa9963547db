// SPDX-License-Identifier: Apache-2.0
// The path of chips with 4 units (ESP32-S3, ESP32-C6).
#define SOC_PCNT_UNITS_PER_GROUP 4
#include "mm_esp_pulses.c"

#include "mm_esp_pulses_test.h"
