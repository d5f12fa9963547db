// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEST_FAKE_OTA_H
#define MM_TEST_FAKE_OTA_H

#include <esp_https_ota.h>
#include <esp_ota_ops.h>
#include <stdbool.h>

/// A server with one image, and the slots of the device.
typedef struct {
    esp_app_desc_t running;
    esp_ota_img_states_t running_state;
    esp_app_desc_t offered;
    unsigned pieces;        ///< of the image
    unsigned pieces_sent;   ///< before the connection ends; >= pieces: all
    bool redirects;         ///< answers with another address, and that server has the image, too
    int64_t piece_us;       ///< a piece takes so long
    bool image_is_bad;      ///< its check fails
    bool new_image_is_next; ///< what the bootloader starts
    unsigned open_count;    ///< handles that were not freed
    bool bundle_was_attached;
    char url[256];
} fake_ota_t;

/// May be changed by the test.
fake_ota_t *fake_ota(void);

#endif
