// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_ESP_NETIF_IP_ADDR_H
#define MM_SDK_ESP_NETIF_IP_ADDR_H

#include <stdint.h>

#ifndef MM_SDK_IS_REAL
struct esp_ip4_addr {
    uint32_t addr; ///< in network order
};
typedef struct esp_ip4_addr esp_ip4_addr_t;
#endif

#endif
