// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_NODE_H
#define MM_ESP_NODE_H

/// Open everything and start the owner's task; returns. Called once, from app_main. What does not work is a counter and
/// a line of the log, never a reason not to meter.
void mm_esp_node_start(void);

#endif
