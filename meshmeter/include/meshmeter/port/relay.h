// SPDX-License-Identifier: Apache-2.0
#ifndef MM_PORT_RELAY_H
#define MM_PORT_RELAY_H

#include "meshmeter/base.h"

/// The relays of up to 8 meters. Closed = supply is on. The port drives coils and latches, and keeps what it was told
/// last until it is told otherwise; it decides nothing.
typedef struct {
    /// Does not block. MM_ERR_STORAGE or MM_ERR_UNAVAILABLE: the relay did not take it; the core counts it and says it
    /// again.
    mm_err_t (*set)(void *context, uint8_t channel, bool closed);
    void *context;
} mm_relay_t;

#endif
