// SPDX-License-Identifier: Apache-2.0
#ifndef MM_NODE_PULSES_H
#define MM_NODE_PULSES_H

#include "linux/linux_clock.h"
#include "linux/linux_file.h"
#include "linux/linux_message.h"
#include "linux/linux_pulses.h"
#include "linux/pulses_csv.h"
#include "linux/pulses_gpio.h"
#include "linux/pulses_model.h"
#include "linux/pulses_stdin.h"
#include "node_config.h"

/// The pulse source that a node's configuration names. Also opened by the demo, to know what the meters must have
/// counted.
typedef struct {
    node_pulses_t kind;
    mm_pulses_model_t model;
    mm_pulses_csv_t csv;
    mm_pulses_stdin_t lines;
    mm_pulses_gpio_t gpio;
    mm_linux_pulses_t counters; ///< counters.pulses is for the core
    char supply_path[NODE_PATH_BYTES];
    mm_linux_sync_t sync;
} node_source_t;

/// *self must stay where it is; clock is borrowed. False with a message for people.
bool node_source_open(node_source_t *self, const node_config_t *config, const mm_linux_clock_t *clock,
                      mm_linux_message_t *message);
/// The relay of a meter was told its state at a wall time. A replayed meter stands still while it is open, also across
/// starts: the file `supply` of the state directory remembers when that was. Meters on wires see it by themselves.
void node_source_set_supply(node_source_t *self, uint8_t channel, bool on, mm_utc_t utc);
void node_source_close(node_source_t *self);

#endif
