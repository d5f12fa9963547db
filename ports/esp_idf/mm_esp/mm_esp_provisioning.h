// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_PROVISIONING_H
#define MM_ESP_PROVISIONING_H

#include <protocomm_security.h>
#include <wifi_provisioning/wifi_config.h>

#include "meshmeter/configuration.h"
#include "meshmeter/form.h"
#include "meshmeter/lock_out.h"
#include "mm_esp_crypto.h"

/// A parked node takes its network over Bluetooth, in the protocol of the SDK's unified provisioning, security 2
/// (SRP6a). The secret is the proof of possession on the label: without one nothing is opened. Salt and verifier are
/// made of it at each opening and are never stored. Wrong ones lock out (lock_out.h).
///
/// Endpoints: "prov-session" and "proto-ver" are the SDK's; "meshmeter" takes the form of a network (network_form.h)
/// and "custom-data" is the same under the name that Espressif's command line knows; "prov-config" takes router and
/// password the usual way, so any provisioning app can send them. First the form, then the router: what is applied is
/// offered to the owner as a whole, who judges it (mm_setup_take_network) and says so with settle. The phone polls
/// until then, as it does while another device joins its router: "connected" is a network that was taken,
/// "disconnected" one that was not.
///
/// A form may come in pieces, as one write carries 496 bytes at most: a piece that begins with "&" goes on where the
/// one before ended. Each is answered with a line: "ok", or "error: …" with the field that is missing or wrong.
///
/// Why without the SDK's provisioning manager: it takes the radio, joins the router as a station and calls that
/// success. The radio is the door's here, and the mesh's next; most nodes never join the router themselves and may be
/// out of its reach, and a password that is wrong is found by the trial of the network, at the root. It also waits
/// without deadlines, in the caller's task.
///
/// open and close start and end Bluetooth, which takes up to a second: at the start, and before the restart that a
/// network ends with. Bluetooth's memory is given back at close and cannot be used again before a restart. A node that
/// is not parked calls close alone, for the memory. One at a time. 2.9 KB.

/// Not in an SDK that takes a public key of zero: whoever sends one knows the session's key without knowing the label
/// (RFC 5054, 2.5.4). The sources of 5.5.5 and 5.2.7 refuse it; those of 5.5.4, 5.4.4, 5.3.5 and 5.2.6 do not, and of
/// later ones below 5.5 nothing is known. There a network comes by cable, or through the mesh.

/// What Espressif's apps send, and look for, unless told otherwise.
#define MM_ESP_PROVISIONING_USER "wifiprov"
#define MM_ESP_PROVISIONING_NAME_PREFIX "PROV_"
#define MM_ESP_PROVISIONING_FORM_BYTES_MAX 1024
/// The owner judges within this.
#define MM_ESP_PROVISIONING_JUDGE_S 15
/// The phone asks within this how it went.
#define MM_ESP_PROVISIONING_TELL_S 20
/// What was answered leaves the device within this.
#define MM_ESP_PROVISIONING_SENT_S 2
#define MM_ESP_PROVISIONING_LOCK_MS 100

typedef struct {
    uint32_t idf_version; ///< ESP_IDF_VERSION
    const char *pop;      ///< borrowed; "" = MM_ERR_STATE
    mm_mac_t mac;         ///< the device is called PROV_XXXXXX after its end
    /// In the SDK's task: a network is there; false: the owner's queue is full, the phone is told so.
    bool (*post)(void *context);
    void *context;
} mm_esp_provisioning_options_t;

typedef enum {
    MM_ESP_PROVISIONING_WAITING = 0, ///< not whole yet
    MM_ESP_PROVISIONING_OFFERED,     ///< whole; posted
    MM_ESP_PROVISIONING_JUDGED,      ///< the owner has it
    MM_ESP_PROVISIONING_GOOD,
    MM_ESP_PROVISIONING_REFUSED,
} mm_esp_provisioning_state_t;

typedef struct {
    mm_esp_provisioning_options_t options;
    bool is_open;
    bool is_released; ///< Bluetooth's memory
    void *protocomm;
    uint8_t salt[MM_ESP_SRP_SALT_BYTES];
    uint8_t verifier[MM_ESP_SRP_VERIFIER_BYTES];
    protocomm_security2_params_t parameters;
    protocomm_security_t security;
    wifi_prov_config_handlers_t handlers;
    // The SDK's task alone.
    mm_lock_out_t lock_out;
    void *mutex;
    uint64_t mutex_memory[16];
    // Guarded by mutex.
    mm_esp_provisioning_state_t state;
    bool has_form;
    bool has_router;
    // wait: the owner judges a network | until MM_ESP_PROVISIONING_JUDGE_S | then the phone is told that it was refused
    mm_us_t judge_until;
    // wait: the phone asks how it went | until MM_ESP_PROVISIONING_TELL_S, or MM_ESP_PROVISIONING_SENT_S after it did |
    // then the device restarts in its network
    mm_us_t over_at;
    bool is_told;
    size_t text_bytes;
    char text[MM_ESP_PROVISIONING_FORM_BYTES_MAX]; ///< secret
    mm_form_t form;
    mm_network_t network;     ///< secret
    mm_network_body_t router; ///< its password: secret
} mm_esp_provisioning_t;

/// *self is all zeros, or was closed; random numbers are good (mm_esp_entropy.h). MM_ERR_STATE: no label, or
/// Bluetooth's memory was given back. MM_ERR_UNAVAILABLE: the SDK refused, or is not safe; nothing is left open, and
/// it may be tried again.
mm_err_t mm_esp_provisioning_open(mm_esp_provisioning_t *self, const mm_esp_provisioning_options_t *options);
/// By the owner: the network that was handed over, once. False: none (yet).
bool mm_esp_provisioning_take(mm_esp_provisioning_t *self, mm_network_t *network, mm_us_t now);
/// By the owner: what became of it. False: it could not be noted in time, and nobody hears of it: is_over never comes.
bool mm_esp_provisioning_settle(mm_esp_provisioning_t *self, bool is_good, mm_us_t now);
/// By the owner, in every turn: true: a network was taken, and the phone knows it or does not ask: restart.
bool mm_esp_provisioning_is_over(mm_esp_provisioning_t *self, mm_us_t now);
/// Also after a failed open, and on what is all zeros.
void mm_esp_provisioning_close(mm_esp_provisioning_t *self);

#endif
