// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_NODE_H
#define MM_ESP_NODE_H

/// Drive the relays, begin to count pulses, start the owner's task, which opens everything else; returns. Called once,
/// from app_main. What does not work is a counter and a line of the log, never a reason not to meter.
///
/// Order of the start. Relays first (their last state), then pulses, then the task. The task is watched, reads NVS, the
/// FRAM or flash, the configuration, opens the core, and only then what talks: mesh, or Bluetooth and the door.
///
/// Order of each turn. What is due comes before what has arrived: an event must not overtake the end of an interval.
/// What is open belongs to the network of the start; when there is another one, the node restarts in it, but not while
/// an installer is at work.
///
/// Safe mode (mm_esp_health.h): metering, relays as they were, the button that ends it, and nothing else.
void mm_esp_node_start(void);

#endif
