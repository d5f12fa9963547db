// SPDX-License-Identifier: Apache-2.0
#ifndef MM_LIFE_CYCLE_H
#define MM_LIFE_CYCLE_H

#include "meshmeter/base.h"

/// The life of a node, from the box to the wall, as one table. It decides what is allowed, nothing else; pulses are
/// counted in every state, and no transition touches a register.
///
///   PARKED -> PROVISIONED                 it has a network (from a phone, a cable, or its mesh)
///   PROVISIONED, AWAITING, RUNNING -> CONFIGURING   an installer's code was good (RUNNING: reinstallation)
///   CONFIGURING -> the state before       time over, or cancelled
///   CONFIGURING -> AWAITING               a whole installation was stored
///   AWAITING -> RUNNING                   HQ confirmed this installation
///   RUNNING -> AWAITING                   HQ asks for the installation message again
///   CONFIGURING                           HQ's two commands are about the state before, and the installer goes on
///   every state -> FAULT -> the state before   memory that decides is out of order, and back (CONFIGURING is not
///                                         gone back to, but what was before it)
///   PROVISIONED … RUNNING -> PARKED       somebody at the device resets it, with the code; readings stay

typedef enum {
    MM_LIFE_PARKED = 0,
    MM_LIFE_PROVISIONED = 1,
    MM_LIFE_CONFIGURING = 2,
    MM_LIFE_AWAITING = 3,
    MM_LIFE_RUNNING = 4,
    MM_LIFE_FAULT = 5,
    MM_LIFE_STATE_COUNT,
} mm_life_state_t;

typedef enum {
    MM_LIFE_NETWORK_GIVEN = 0,
    MM_LIFE_CODE_ACCEPTED,
    MM_LIFE_SESSION_ENDED,
    MM_LIFE_CONFIGURED,
    MM_LIFE_CONFIRMED,
    MM_LIFE_REINSTALL_ORDERED,
    MM_LIFE_RESET,
    MM_LIFE_MEMORY_FAILED,
    MM_LIFE_MEMORY_BACK,
    MM_LIFE_EVENT_COUNT,
} mm_life_event_t;

typedef struct {
    mm_life_state_t state;
    mm_life_state_t before; ///< that CONFIGURING or FAULT goes back to
} mm_life_cycle_t;

/// MM_OK: *self is the next state. MM_ERR_STATE: not legal here; unchanged. An event that changes nothing by design
/// (NETWORK_GIVEN once there is one, CONFIRMED in RUNNING, REINSTALL_ORDERED in AWAITING,
/// MEMORY_FAILED in FAULT) is MM_OK.
mm_err_t mm_life_cycle_take(mm_life_cycle_t *self, mm_life_event_t event);
const char *mm_life_state_name(mm_life_state_t state);
const char *mm_life_event_name(mm_life_event_t event);
/// Whether HQ has confirmed the present installation: only in RUNNING, and in CONFIGURING or FAULT that came from it.
/// Which channels have supply before that: confirmed_channels (configuration.h).
bool mm_life_is_confirmed(const mm_life_cycle_t *self);

#endif
