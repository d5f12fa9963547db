// SPDX-License-Identifier: Apache-2.0
#ifndef MM_DEVICE_KEYS_H
#define MM_DEVICE_KEYS_H

#include "desk.h"

#include "meshmeter/port/crypto.h"

/// The keys of the devices, as HQ has them. Never printed, never in an answer of the API, never in a log.

#define MM_DEVICE_KEY_BYTES 32

/// What the core asks of a platform, with one device's key, on mbedTLS. Wipe it after use.
typedef struct {
    uint8_t key[MM_DEVICE_KEY_BYTES];
    mm_crypto_t crypto; ///< its context is this struct: do not move it
} mm_device_crypto_t;

void mm_device_crypto_init(mm_device_crypto_t *self, const uint8_t key[MM_DEVICE_KEY_BYTES]);
void mm_device_crypto_wipe(mm_device_crypto_t *self);

/// A key for a device that has none. REFUSED: it has another one (a device that is made anew: remove the old one
/// first).
mm_desk_result_t mm_device_keys_add(mm_desk_t *desk, mm_mac_t mac, const uint8_t key[MM_DEVICE_KEY_BYTES],
                                    int64_t now_us, mm_hq_error_t *error);
/// Lines "MAC,64 HEX DIGITS"; '#' begins a comment. All or nothing. *added; the same key again is passed over.
mm_desk_result_t mm_device_keys_import(mm_desk_t *desk, const char *csv, int64_t now_us, int *added,
                                       mm_hq_error_t *error);
mm_desk_result_t mm_device_keys_remove(mm_desk_t *desk, mm_mac_t mac, int64_t now_us, mm_hq_error_t *error);
/// The devices that HQ has a key of, in the order of their addresses; the visitor returns false to stop.
mm_desk_result_t mm_device_keys_list(mm_desk_t *desk, bool (*visit)(void *context, mm_mac_t mac, int64_t added_us),
                                     void *context, mm_hq_error_t *error);
/// NOT_FOUND: HQ has no key of this device.
mm_desk_result_t mm_device_keys_get(sqlite3 *db, mm_mac_t mac, mm_device_crypto_t *crypto);

#endif
