// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_node.h"

void app_main(void);

void app_main(void) {
    mm_esp_node_start();
}
