// SPDX-License-Identifier: Apache-2.0
#include <esp_bt.h>
#include <protocomm.h>
#include <protocomm_ble.h>
#include <protocomm_security2.h>
#include <wifi_provisioning/wifi_config.h>

#include "agreement.h"

MM_TYPE(protocomm_security_handle_t, void *);
MM_TYPE(protocomm_req_handler_t, esp_err_t (*)(uint32_t, const uint8_t *, ssize_t, uint8_t **, ssize_t *, void *));
MM_MEMBER(protocomm_security2_params_t, salt, const char *);
MM_MEMBER(protocomm_security2_params_t, salt_len, uint16_t);
MM_MEMBER(protocomm_security2_params_t, verifier, const char *);
MM_MEMBER(protocomm_security2_params_t, verifier_len, uint16_t);
MM_MEMBER(protocomm_security_t, ver, int);
MM_MEMBER(protocomm_security_t, patch_ver, uint8_t);
MM_MEMBER(protocomm_security_t, security_req_handler,
          esp_err_t (*)(protocomm_security_handle_t, const void *, uint32_t, const uint8_t *, ssize_t, uint8_t **,
                        ssize_t *, void *));
MM_MEMBER(protocomm_ble_name_uuid_t, name, const char *);
MM_MEMBER(protocomm_ble_name_uuid_t, uuid, uint16_t);
MM_MEMBER(protocomm_ble_config_t, device_name, char[30]);
MM_MEMBER(protocomm_ble_config_t, service_uuid, uint8_t[16]);
MM_MEMBER(protocomm_ble_config_t, nu_lookup_count, ssize_t);
MM_MEMBER(protocomm_ble_config_t, nu_lookup, protocomm_ble_name_uuid_t *);
MM_MEMBER(wifi_prov_config_get_data_t, wifi_state, wifi_prov_sta_state_t);
MM_MEMBER(wifi_prov_config_get_data_t, fail_reason, wifi_prov_sta_fail_reason_t);
MM_MEMBER(wifi_prov_config_get_data_t, conn_info, wifi_prov_sta_conn_info_t);
MM_MEMBER(wifi_prov_sta_conn_info_t, ip_addr, char[16]);
MM_MEMBER(wifi_prov_sta_conn_info_t, ssid, char[33]);
MM_MEMBER(wifi_prov_config_set_data_t, ssid, char[33]);
MM_MEMBER(wifi_prov_config_set_data_t, password, char[64]);
MM_MEMBER(wifi_prov_config_handlers_t, get_status_handler,
          esp_err_t (*)(wifi_prov_config_get_data_t *, wifi_prov_ctx_t **));
MM_MEMBER(wifi_prov_config_handlers_t, set_config_handler,
          esp_err_t (*)(const wifi_prov_config_set_data_t *, wifi_prov_ctx_t **));
MM_MEMBER(wifi_prov_config_handlers_t, apply_config_handler, esp_err_t (*)(wifi_prov_ctx_t **));
MM_MEMBER(wifi_prov_config_handlers_t, ctx, wifi_prov_ctx_t *);
_Static_assert(MAX_BLE_DEVNAME_LEN == 29 && BLE_UUID128_VAL_LENGTH == 16, "sizes");
