// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/life_cycle.h"

// What an event makes of a state.
typedef enum {
    REFUSED = 0, ///< not legal here
    NOTHING,     ///< by design
    PARK,
    PROVISION,
    CONFIGURE, ///< and remember the state before
    AWAIT,
    RUN,
    FAIL,   ///< and remember the state before
    RETURN, ///< to the state before
    // While an installer is at work HQ's commands are about the state before.
    RUN_BEFORE,
    AWAIT_BEFORE,
} step_t;

static const uint8_t steps[MM_LIFE_STATE_COUNT][MM_LIFE_EVENT_COUNT] = {
    [MM_LIFE_PARKED] = {[MM_LIFE_NETWORK_GIVEN] = PROVISION, [MM_LIFE_MEMORY_FAILED] = FAIL},
    [MM_LIFE_PROVISIONED] = {[MM_LIFE_NETWORK_GIVEN] = NOTHING,
                             [MM_LIFE_CODE_ACCEPTED] = CONFIGURE,
                             [MM_LIFE_RESET] = PARK,
                             [MM_LIFE_MEMORY_FAILED] = FAIL},
    [MM_LIFE_CONFIGURING] = {[MM_LIFE_NETWORK_GIVEN] = NOTHING,
                             [MM_LIFE_SESSION_ENDED] = RETURN,
                             [MM_LIFE_CONFIGURED] = AWAIT,
                             [MM_LIFE_CONFIRMED] = RUN_BEFORE,
                             [MM_LIFE_REINSTALL_ORDERED] = AWAIT_BEFORE,
                             [MM_LIFE_RESET] = PARK,
                             [MM_LIFE_MEMORY_FAILED] = FAIL},
    [MM_LIFE_AWAITING] = {[MM_LIFE_NETWORK_GIVEN] = NOTHING,
                          [MM_LIFE_CODE_ACCEPTED] = CONFIGURE,
                          [MM_LIFE_CONFIRMED] = RUN,
                          [MM_LIFE_REINSTALL_ORDERED] = NOTHING,
                          [MM_LIFE_RESET] = PARK,
                          [MM_LIFE_MEMORY_FAILED] = FAIL},
    [MM_LIFE_RUNNING] = {[MM_LIFE_NETWORK_GIVEN] = NOTHING,
                         [MM_LIFE_CODE_ACCEPTED] = CONFIGURE,
                         [MM_LIFE_CONFIRMED] = NOTHING,
                         [MM_LIFE_REINSTALL_ORDERED] = AWAIT,
                         [MM_LIFE_RESET] = PARK,
                         [MM_LIFE_MEMORY_FAILED] = FAIL},
    [MM_LIFE_FAULT] = {[MM_LIFE_MEMORY_FAILED] = NOTHING, [MM_LIFE_MEMORY_BACK] = RETURN},
};

static void go_to(mm_life_cycle_t *self, mm_life_state_t state) {
    self->state = state;
    self->before = state;
}

// HQ has only to say about a node that has an installation.
static mm_err_t change_before(mm_life_cycle_t *self, mm_life_state_t state) {
    if (self->before != MM_LIFE_AWAITING && self->before != MM_LIFE_RUNNING) {
        return MM_ERR_STATE;
    }
    self->before = state;
    return MM_OK;
}

mm_err_t mm_life_cycle_take(mm_life_cycle_t *self, mm_life_event_t event) {
    MM_ASSERT(self->state < MM_LIFE_STATE_COUNT && event < MM_LIFE_EVENT_COUNT);
    switch ((step_t)steps[self->state][event]) {
    case NOTHING:
        return MM_OK;
    case PARK:
        go_to(self, MM_LIFE_PARKED);
        return MM_OK;
    case PROVISION:
        go_to(self, MM_LIFE_PROVISIONED);
        return MM_OK;
    case CONFIGURE:
        self->before = self->state;
        self->state = MM_LIFE_CONFIGURING;
        return MM_OK;
    case AWAIT:
        go_to(self, MM_LIFE_AWAITING);
        return MM_OK;
    case RUN:
        go_to(self, MM_LIFE_RUNNING);
        return MM_OK;
    case FAIL:
        // An installer's session does not outlive it.
        self->before = self->state == MM_LIFE_CONFIGURING ? self->before : self->state;
        self->state = MM_LIFE_FAULT;
        return MM_OK;
    case RETURN:
        go_to(self, self->before);
        return MM_OK;
    case RUN_BEFORE:
        return change_before(self, MM_LIFE_RUNNING);
    case AWAIT_BEFORE:
        return change_before(self, MM_LIFE_AWAITING);
    case REFUSED:
    default:
        return MM_ERR_STATE;
    }
}

const char *mm_life_state_name(mm_life_state_t state) {
    static const char *const names[MM_LIFE_STATE_COUNT] = {
        [MM_LIFE_PARKED] = "parked",     [MM_LIFE_PROVISIONED] = "provisioned", [MM_LIFE_CONFIGURING] = "configuring",
        [MM_LIFE_AWAITING] = "awaiting", [MM_LIFE_RUNNING] = "running",         [MM_LIFE_FAULT] = "fault",
    };
    return MM_NAME_OF(names, state);
}

const char *mm_life_event_name(mm_life_event_t event) {
    static const char *const names[MM_LIFE_EVENT_COUNT] = {
        [MM_LIFE_NETWORK_GIVEN] = "network_given",
        [MM_LIFE_CODE_ACCEPTED] = "code_accepted",
        [MM_LIFE_SESSION_ENDED] = "session_ended",
        [MM_LIFE_CONFIGURED] = "configured",
        [MM_LIFE_CONFIRMED] = "confirmed",
        [MM_LIFE_REINSTALL_ORDERED] = "reinstall_ordered",
        [MM_LIFE_RESET] = "reset",
        [MM_LIFE_MEMORY_FAILED] = "memory_failed",
        [MM_LIFE_MEMORY_BACK] = "memory_back",
    };
    return MM_NAME_OF(names, event);
}

bool mm_life_is_confirmed(const mm_life_cycle_t *self) {
    bool is_between = self->state == MM_LIFE_CONFIGURING || self->state == MM_LIFE_FAULT;
    return (is_between ? self->before : self->state) == MM_LIFE_RUNNING;
}
