// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_PROVISIONING_H
#define MM_ESP_PROVISIONING_H

#include "meshmeter/configuration.h"

/// A parked node takes its network over Bluetooth: the SDK's unified provisioning, security 2 (SRP6a). The secret is
/// the proof of possession on the label: without one nothing is opened. Salt and verifier are made of it at each
/// opening and are never stored. Router's name and password come the usual way, so any provisioning app can send them;
/// site, broker and mesh key come through the endpoint "meshmeter" as a form (docs/spec/configuration.md,
/// network_form.h). When both are there, the network is posted to the owner as a whole; it judges it
/// (mm_setup_take_network) and restarts. Bluetooth's memory is given back at close and cannot be used again before a
/// restart.

#define MM_ESP_PROVISIONING_USER "meshmeter"
#define MM_ESP_PROVISIONING_FORM_BYTES_MAX 1024

typedef struct {
    const char *pop; ///< borrowed; "" = MM_ERR_STATE
    mm_mac_t mac;    ///< the device is called MM-XXXXXX after its end
    /// In the SDK's task: a network is there; false: the owner's queue is full, the phone is told so.
    bool (*post)(void *context);
    void *context;
} mm_esp_provisioning_options_t;

typedef struct {
    mm_esp_provisioning_options_t options;
    bool is_open;
    bool has_form;
    bool has_router;
    void *mutex;
    uint64_t mutex_memory[16];
    mm_network_t network; ///< secret; guarded by mutex
} mm_esp_provisioning_t;

/// MM_ERR_STATE: no label. MM_ERR_UNAVAILABLE: the SDK refused; nothing is left open.
mm_err_t mm_esp_provisioning_open(mm_esp_provisioning_t *self, const mm_esp_provisioning_options_t *options);
/// By the owner: the network that was handed over, once. False: none (yet).
bool mm_esp_provisioning_take(mm_esp_provisioning_t *self, mm_network_t *network);
/// Also after a failed open.
void mm_esp_provisioning_close(mm_esp_provisioning_t *self);

#endif
