// SPDX-License-Identifier: Apache-2.0
#ifndef MM_PORT_ACTIONS_H
#define MM_PORT_ACTIONS_H

#include "meshmeter/base.h"

/// What commands need of the platform. None of these blocks; the core decides whether and when, the port how.

/// A configuration that is tried before it is kept.
typedef enum {
    MM_STAGED_NONE = 0,
    MM_STAGED_NETWORK = 1, ///< credentials of the router
    MM_STAGED_BROKER = 2,  ///< address and credentials of the broker
} mm_staged_kind_t;

typedef struct {
    /// Light the display for so many seconds.
    mm_err_t (*display_on)(void *context, uint32_t seconds);
    /// Make the device conspicuous (blink) for so many seconds.
    mm_err_t (*find)(void *context, uint32_t seconds);
    /// Restart. Called after the command's answer is durable; may return, and then happens soon.
    void (*reboot)(void *context);
    /// Keep `text` (docs/spec/commands.md) beside the present configuration, durably marked as on trial, and use it
    /// from now on. A restart during the trial brings the present one back. MM_ERR_ARG: not a valid configuration of
    /// this kind. MM_ERR_UNAVAILABLE: this platform leaves it to its operating system.
    mm_err_t (*stage)(void *context, mm_staged_kind_t kind, const char *text, size_t text_chars);
    /// The trial is over: keep the staged configuration, or go back to the one before. Durable when it returns MM_OK.
    /// What is kept stands above the network that the node was opened with, and above no other: a start that finds
    /// another revision of it (0 = none) forgets what was kept.
    mm_err_t (*settle)(void *context, mm_staged_kind_t kind, bool keep);
    /// Address of the firmware image for `ota_start`; durable.
    mm_err_t (*ota_set_url)(void *context, const char *url, size_t url_chars);
    mm_err_t (*ota_start)(void *context);
    /// The newest lines of the log that fit, oldest first, without a terminator. Returns their bytes.
    size_t (*log_tail)(void *context, char *text, size_t capacity_bytes);
    /// The broker that a command had kept and that stands above the stored network, as text of BROKER, without a
    /// terminator. Returns its bytes; 0: none, or on trial. May be NULL.
    size_t (*kept_broker)(void *context, char *text, size_t capacity_bytes);
    void *context;
} mm_actions_t;

#endif
