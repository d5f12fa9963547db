// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_OTA_H
#define MM_ESP_OTA_H

#include "meshmeter/base.h"
#include "mm_esp_settings.h"

/// Update over the air. The image is fetched over TLS (certificate bundle of the SDK), refused before it is written if
/// it is another project's or not newer, checked by the SDK (checksum; signature where secure boot or signed images are
/// on), and started by a restart. It then has to show that it works: after MM_ESP_OTA_GOOD_CYCLES good cycles it is
/// marked valid; a restart before that, for whatever reason, brings the old image back (the bootloader's rollback).
///
///   IDLE --begin--> RUNNING --image good--> RESTART_DUE
///                   RUNNING --anything else--> IDLE, with the failure
///
/// begin, take_result and the cycles belong to the owner; run is the worker's, one at a time. 220 bytes on 32 bit.

typedef enum {
    MM_ESP_OTA_IDLE = 0,
    MM_ESP_OTA_RUNNING,
    MM_ESP_OTA_RESTART_DUE, ///< the new image is chosen; the owner restarts
} mm_esp_ota_state_t;

typedef enum {
    MM_ESP_OTA_GOOD = 0,
    MM_ESP_OTA_UNREACHABLE,   ///< server, certificate, network
    MM_ESP_OTA_OTHER_PROJECT, ///< not this program
    MM_ESP_OTA_NOT_NEWER,
    MM_ESP_OTA_BAD_IMAGE, ///< cut short, or its check failed
    MM_ESP_OTA_NO_MEMORY, ///< flash or RAM
    MM_ESP_OTA_TIMED_OUT,
} mm_esp_ota_result_t;

/// A whole download; the worker gives up then.
#define MM_ESP_OTA_LIMIT_S 900

typedef struct {
    mm_esp_ota_state_t state;
    mm_esp_ota_result_t result; ///< of the last run
    bool is_pending;            ///< this image has not been marked valid yet
    uint32_t good_cycles_left;
    bool force; ///< an older version is taken, too (console at the device only)
    char url[MM_ESP_OTA_URL_CHARS_MAX + 1];
} mm_esp_ota_t;

/// Whether this image is on trial; good_cycles: how many it needs.
void mm_esp_ota_open(mm_esp_ota_t *self, uint32_t good_cycles);
/// Only https. MM_ERR_ARG, MM_ERR_STATE: one is under way, or this image is on trial itself. MM_OK: have the worker
/// call run.
mm_err_t mm_esp_ota_begin(mm_esp_ota_t *self, const char *url, bool force);
/// The worker's: blocks until done, at most MM_ESP_OTA_LIMIT_S and one network timeout. Except that the SDK reads the
/// first bytes of the image for as long as the connection stands (read_header in its updater): a server that sends none
/// loses the worker, and the device restarts.
mm_esp_ota_result_t mm_esp_ota_run(mm_esp_ota_t *self);
/// The owner's, when the worker is done: RESTART_DUE or IDLE.
void mm_esp_ota_take_result(mm_esp_ota_t *self, mm_esp_ota_result_t result);
/// A cycle was good: the node metered, and its session with the broker ended well (root) or its report was taken
/// (others). MM_ERR_STORAGE: could not be marked; the next one tries again.
mm_err_t mm_esp_ota_good_cycle(mm_esp_ota_t *self);
/// True if `offered` is newer than `present`: three numbers, "1.2.3", with an optional "v" and anything behind a '-' or
/// '+' left out. What is not such a version is never newer.
bool mm_esp_ota_is_newer(const char *offered, const char *present);
const char *mm_esp_ota_result_name(mm_esp_ota_result_t result);

#endif
