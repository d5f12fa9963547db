// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_LEGACY_H
#define MM_ESP_LEGACY_H

#include "meshmeter/legacy_control.h"

/// The original's commands for images that have them (MM_LEGACY_COMMANDS): only mm_esp_board.c names this, so that the
/// linker leaves out this file and what it needs of the core where it does not.

/// Once in a start, before the core is opened.
const mm_legacy_t *mm_esp_legacy_open(const uint8_t secret[MM_LEGACY_SECRET_BYTES]);

#endif
