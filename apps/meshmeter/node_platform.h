// SPDX-License-Identifier: Apache-2.0
#ifndef MM_NODE_PLATFORM_H
#define MM_NODE_PLATFORM_H

#include "linux/linux_actions.h"
#include "linux/linux_clock.h"
#include "linux/linux_crypto.h"
#include "linux/linux_mqtt.h"
#include "linux/linux_relay.h"
#include "meshmeter/legacy_control.h"
#include "node_config.h"
#include "node_pulses.h"

/// What commands and credit need of a node process: the device's key, relays, actions, and the broker that a command
/// may change.
typedef struct {
    const node_config_t *config;
    node_source_t *source;
    const mm_linux_clock_t *clock;
    const mm_us_t *now; ///< of the node's last call
    mm_linux_crypto_t crypto;
    mm_linux_relay_t relay;
    mm_linux_actions_t actions;
    mm_legacy_control_t legacy; ///< open if the configuration has legacy_commands
} node_platform_t;

/// Everything is borrowed; *self must stay where it is. MM_ERR_ARG: the configuration is wrong. Others: this machine.
/// `message` says what.
mm_err_t node_platform_open(node_platform_t *self, const node_config_t *config, node_source_t *source,
                            const mm_linux_clock_t *clock, const mm_us_t *now, mm_linux_message_t *message);
/// Also after a failed open.
void node_platform_close(node_platform_t *self);
/// The original's commands with their secret from its file; *legacy NULL: not wanted. False: no secret, `message` says
/// why.
bool node_platform_open_legacy(node_platform_t *self, const mm_legacy_t **legacy, mm_linux_message_t *message);
/// NULL: this node has no relays.
const mm_relay_t *node_platform_relay(const node_platform_t *self);

/// Open the port with the broker that is to be used.
mm_err_t node_platform_open_mqtt(node_platform_t *self, mm_linux_mqtt_t *mqtt, mm_linux_message_t *message);
/// Between two sessions: take another broker if there is one to take.
void node_platform_follow_broker(node_platform_t *self, mm_linux_mqtt_t *mqtt);

/// Start this program again with the same configuration: by the supervisor if there is one (returns the exit code that
/// asks for it), otherwise by executing it anew (returns only if that failed, with its exit code). Everything must be
/// closed.
int node_platform_restart(const char *config_path);

#endif
