// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_PROTOCOMM_H
#define MM_SDK_PROTOCOMM_H

#include <protocomm_security.h>

#ifndef MM_SDK_IS_REAL
typedef struct protocomm protocomm_t;
/// *outbuf: allocated by the handler, freed by the SDK, also after a failure. Called in the transport's task.
typedef esp_err_t (*protocomm_req_handler_t)(uint32_t session_id, const uint8_t *inbuf, ssize_t inlen, uint8_t **outbuf,
                                             ssize_t *outlen, void *priv_data);
#endif

protocomm_t *protocomm_new(void);
/// Frees endpoints, version and session, too. The transport is stopped.
void protocomm_delete(protocomm_t *pc);
/// The names must stay.
esp_err_t protocomm_add_endpoint(protocomm_t *pc, const char *ep_name, protocomm_req_handler_t h, void *priv_data);
esp_err_t protocomm_set_security(protocomm_t *pc, const char *ep_name, const protocomm_security_t *sec,
                                 const void *sec_params);
/// The text is copied.
esp_err_t protocomm_set_version(protocomm_t *pc, const char *ep_name, const char *version);

#endif
