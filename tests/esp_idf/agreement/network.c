// SPDX-License-Identifier: Apache-2.0
#include <esp_netif_sntp.h>
#include <mqtt_client.h>

#include "agreement.h"

MM_TYPE(esp_mqtt_client_handle_t, struct esp_mqtt_client *);
MM_MEMBER(esp_mqtt_error_codes_t, esp_tls_last_esp_err, esp_err_t);
MM_MEMBER(esp_mqtt_error_codes_t, esp_tls_stack_err, int);
MM_MEMBER(esp_mqtt_error_codes_t, error_type, esp_mqtt_error_type_t);
MM_MEMBER(esp_mqtt_error_codes_t, connect_return_code, esp_mqtt_connect_return_code_t);
MM_MEMBER(esp_mqtt_error_codes_t, esp_transport_sock_errno, int);
MM_MEMBER(esp_mqtt_event_t, event_id, esp_mqtt_event_id_t);
MM_MEMBER(esp_mqtt_event_t, client, esp_mqtt_client_handle_t);
MM_MEMBER(esp_mqtt_event_t, data, char *);
MM_MEMBER(esp_mqtt_event_t, data_len, int);
MM_MEMBER(esp_mqtt_event_t, total_data_len, int);
MM_MEMBER(esp_mqtt_event_t, current_data_offset, int);
MM_MEMBER(esp_mqtt_event_t, topic, char *);
MM_MEMBER(esp_mqtt_event_t, topic_len, int);
MM_MEMBER(esp_mqtt_event_t, msg_id, int);
MM_MEMBER(esp_mqtt_event_t, error_handle, esp_mqtt_error_codes_t *);
MM_MEMBER(esp_mqtt_event_t, retain, bool);
MM_MEMBER(esp_mqtt_client_config_t, broker.address.uri, const char *);
MM_MEMBER(esp_mqtt_client_config_t, broker.address.hostname, const char *);
MM_MEMBER(esp_mqtt_client_config_t, broker.address.transport, esp_mqtt_transport_t);
MM_MEMBER(esp_mqtt_client_config_t, broker.address.port, uint32_t);
MM_MEMBER(esp_mqtt_client_config_t, broker.verification.crt_bundle_attach, esp_err_t (*)(void *));
MM_MEMBER(esp_mqtt_client_config_t, broker.verification.certificate, const char *);
MM_MEMBER(esp_mqtt_client_config_t, broker.verification.certificate_len, size_t);
MM_MEMBER(esp_mqtt_client_config_t, broker.verification.skip_cert_common_name_check, bool);
MM_MEMBER(esp_mqtt_client_config_t, credentials.username, const char *);
MM_MEMBER(esp_mqtt_client_config_t, credentials.client_id, const char *);
MM_MEMBER(esp_mqtt_client_config_t, credentials.set_null_client_id, bool);
MM_MEMBER(esp_mqtt_client_config_t, credentials.authentication.password, const char *);
MM_MEMBER(esp_mqtt_client_config_t, session.disable_clean_session, bool);
MM_MEMBER(esp_mqtt_client_config_t, session.keepalive, int);
MM_MEMBER(esp_mqtt_client_config_t, session.disable_keepalive, bool);
MM_MEMBER(esp_mqtt_client_config_t, session.protocol_ver, esp_mqtt_protocol_ver_t);
MM_MEMBER(esp_mqtt_client_config_t, session.message_retransmit_timeout, int);
MM_MEMBER(esp_mqtt_client_config_t, network.reconnect_timeout_ms, int);
MM_MEMBER(esp_mqtt_client_config_t, network.timeout_ms, int);
MM_MEMBER(esp_mqtt_client_config_t, network.disable_auto_reconnect, bool);
MM_MEMBER(esp_mqtt_client_config_t, task.priority, int);
MM_MEMBER(esp_mqtt_client_config_t, task.stack_size, int);
MM_MEMBER(esp_mqtt_client_config_t, buffer.size, int);
MM_MEMBER(esp_mqtt_client_config_t, buffer.out_size, int);
MM_TYPE(esp_sntp_time_cb_t, void (*)(struct timeval *));
MM_MEMBER(esp_sntp_config_t, smooth_sync, bool);
MM_MEMBER(esp_sntp_config_t, server_from_dhcp, bool);
MM_MEMBER(esp_sntp_config_t, wait_for_sync, bool);
MM_MEMBER(esp_sntp_config_t, start, bool);
MM_MEMBER(esp_sntp_config_t, sync_cb, esp_sntp_time_cb_t);
MM_MEMBER(esp_sntp_config_t, renew_servers_after_new_IP, bool);
MM_MEMBER(esp_sntp_config_t, num_of_servers, size_t);
MM_MEMBER(esp_sntp_config_t, servers, const char *[CONFIG_LWIP_SNTP_MAX_SERVERS]);
_Static_assert(CONFIG_LWIP_SNTP_MAX_SERVERS >= 1, "one server");
