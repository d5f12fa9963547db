// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_PROTOCOMM_BLE_H
#define MM_SDK_PROTOCOMM_BLE_H

#include <protocomm.h>

#ifndef MM_SDK_IS_REAL
#define MAX_BLE_DEVNAME_LEN 29
#define BLE_UUID128_VAL_LENGTH 16

typedef struct name_uuid {
    const char *name;
    uint16_t uuid;
} protocomm_ble_name_uuid_t;

/// Members that we leave zero are not listed.
typedef struct protocomm_ble_config {
    char device_name[MAX_BLE_DEVNAME_LEN + 1];
    uint8_t service_uuid[BLE_UUID128_VAL_LENGTH];
    ssize_t nu_lookup_count;
    protocomm_ble_name_uuid_t *nu_lookup;
} protocomm_ble_config_t;
#endif

/// Starts Bluetooth and advertises at once. config is copied.
esp_err_t protocomm_ble_start(protocomm_t *pc, const protocomm_ble_config_t *config);
/// Returns when its task has ended.
esp_err_t protocomm_ble_stop(protocomm_t *pc);

#endif
