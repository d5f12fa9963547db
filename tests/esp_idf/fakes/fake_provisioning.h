// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEST_FAKE_PROVISIONING_H
#define MM_TEST_FAKE_PROVISIONING_H

#include <protocomm_ble.h>
#include <stdbool.h>
#include <wifi_provisioning/wifi_config.h>

/// Bluetooth, the SDK's session, and a phone that speaks with it. Calls of the phone run the handlers at once, as the
/// SDK's task would. What is sent before a session is there, or to an endpoint that is not, is refused.

typedef struct {
    bool is_on;
    bool memory_is_released;
    unsigned allocated; ///< instances that were not freed
    protocomm_ble_config_t config;
    char endpoints[8][16]; ///< of the advertisement
    char version[160];
} fake_bluetooth_t;

const fake_bluetooth_t *fake_bluetooth(void);

/// A phone comes, and proves that it knows user and label. False: refused. An earlier session is over.
bool fake_phone_connect(const char *user, const char *label);
/// A request that is no message of a session.
bool fake_phone_babble(void);
/// Returns what the SDK's handler says; *answer: terminated, of the phone.
esp_err_t fake_phone_send(const char *endpoint, const void *bytes, size_t bytes_count, const char **answer);
/// The messages of "prov-config": false: the device said "internal error", or the call failed.
bool fake_phone_set_router(const char *name, const char *password);
bool fake_phone_apply(void);
/// What a phone reads out of the answer.
bool fake_phone_ask(wifi_prov_config_get_data_t *status);

#endif
