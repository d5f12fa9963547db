// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_SETTINGS_H
#define MM_ESP_SETTINGS_H

#include "meshmeter/base.h"
#include "meshmeter/configuration.h"
#include "meshmeter/legacy_command.h"
#include "mm_esp_crypto.h"

/// What a device keeps beside the core's own memory, in two NVS partitions: "device" is written once, by the factory,
/// and never erased here; "nvs" has what commands changed, and what the SDK keeps for itself.
///
///   device  mm_device  key   blob 32   the device's key; HQ has the same one
///   device  mm_device  pop   string    proof of possession on the label, MM_ESP_POP_CHARS_MIN … MAX printable
///   device  mm_device  legacy  string  optional: the deployment's secret, for the original's commands
///                                      (legacy_command.h)
///   nvs     mm_node    router, broker  kept by a command; stand above the network under whose revision they were kept,
///                                      and above no other
///   nvs     mm_node    router_try, broker_try  on trial. Being there at a start is the mark that the trial was cut
///                                      short: open removes it, so a restart brings the one before back
///   nvs     mm_node    ota_url, starts
///   nvs     mm_node    fram    this board's FRAM has worked once: without it, registers are missing, not new
///
/// Values are replaced whole or not at all (the SDK's promise), and are durable when a call returned MM_OK. Nothing of
/// them is ever logged. Only the owner calls this. 428 bytes on 32 bit.

#define MM_ESP_POP_CHARS_MIN 8
#define MM_ESP_POP_CHARS_MAX 32
#define MM_ESP_LEGACY_SECRET_CHARS_MAX 127
#define MM_ESP_OTA_URL_CHARS_MAX 200

typedef struct {
    char name[MM_NETWORK_NAME_CHARS_MAX + 1];
    char password[MM_NETWORK_PASSWORD_CHARS_MAX + 1]; ///< "" = open network
} mm_esp_router_t;

typedef struct {
    char url[MM_BROKER_URL_CHARS_MAX + 1];
    char user[MM_BROKER_WORD_CHARS_MAX + 1]; ///< "" = no credentials
    char password[MM_BROKER_WORD_CHARS_MAX + 1];
} mm_esp_broker_t;

typedef struct {
    bool is_open;
    bool has_key;
    uint8_t key[MM_ESP_DEVICE_KEY_BYTES];
    char pop[MM_ESP_POP_CHARS_MAX + 1]; ///< "" = no label: nobody provisions this device by radio
    bool has_legacy_secret;
    uint8_t legacy_secret[MM_LEGACY_SECRET_BYTES];
    uint32_t start_count;     ///< this start included; 0 = NVS does not work
    bool fram_worked;         ///< at an earlier start, or this one; also if NVS does not say
    bool trial_was_cut_short; ///< at this start
    bool has_router;          ///< `router` is what is to be used, above the configuration
    bool router_on_trial;
    mm_esp_router_t router;
    bool has_broker;
    bool broker_on_trial;
    mm_esp_broker_t broker;
    bool network_is_known; ///< mm_esp_settings_use_network was called
    uint32_t network_revision;
} mm_esp_settings_t;

/// Begin: initialise NVS, read all, end trials that a restart cut short, count the start. MM_ERR_STORAGE: NVS does not
/// work; what could be read is there, and the node meters all the same. "nvs" is erased when the SDK asks for it (no
/// free pages, unknown format): commands are given again, readings are elsewhere.
mm_err_t mm_esp_settings_open(mm_esp_settings_t *self);
void mm_esp_settings_close(mm_esp_settings_t *self);

/// Text of the commands NETWORK ("ssid LF password") and BROKER ("url LF user LF password"), one line end more at the
/// most, no control characters. False: it is not.
bool mm_esp_router_parse(const char *text, size_t text_chars, mm_esp_router_t *router);
bool mm_esp_broker_parse(const char *text, size_t text_chars, mm_esp_broker_t *broker);

/// Keep beside the present one, on trial; self->router or self->broker is then this. MM_ERR_STORAGE: as before.
mm_err_t mm_esp_settings_try_router(mm_esp_settings_t *self, const mm_esp_router_t *router);
mm_err_t mm_esp_settings_try_broker(mm_esp_settings_t *self, const mm_esp_broker_t *broker);
/// End a trial: keep it, or go back to the one before (has_… false: the configuration's). MM_ERR_STATE: keep, but
/// nothing is on trial. MM_ERR_STORAGE: still on trial.
mm_err_t mm_esp_settings_settle_router(mm_esp_settings_t *self, bool keep);
mm_err_t mm_esp_settings_settle_broker(mm_esp_settings_t *self, bool keep);
/// The network of this start, once its memory has answered: 0 = none. What was kept under another one (a newer one was
/// handed over, or the device was reset) is removed; from now on what is kept is kept under this one. Before the router
/// and the broker are used; without this call nothing is removed, and what is kept meanwhile belongs to the network
/// that is told first. Not during a trial (asserted). MM_ERR_STORAGE: could not be removed, and is not used.
mm_err_t mm_esp_settings_use_network(mm_esp_settings_t *self, uint32_t revision);
/// What commands kept is removed, whatever it was kept under.
mm_err_t mm_esp_settings_forget_kept(mm_esp_settings_t *self);
/// The FRAM works: a board that has none later has lost its registers. Writes once in a board's life.
mm_err_t mm_esp_settings_note_fram(mm_esp_settings_t *self);

/// url: printable, without blanks. MM_ERR_ARG: not one.
mm_err_t mm_esp_settings_set_ota_url(mm_esp_settings_t *self, const char *url, size_t url_chars);
/// MM_ERR_NOT_FOUND: none was set.
mm_err_t mm_esp_settings_get_ota_url(mm_esp_settings_t *self, char url[MM_ESP_OTA_URL_CHARS_MAX + 1]);

/// For the factory (console at the device). MM_ERR_STATE: there is a key already; it is never replaced. MM_ERR_ARG: not
/// a possible label.
mm_err_t mm_esp_settings_write_device(mm_esp_settings_t *self, const uint8_t key[MM_ESP_DEVICE_KEY_BYTES],
                                      const char *pop);

#endif
