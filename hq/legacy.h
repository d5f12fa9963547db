// SPDX-License-Identifier: Apache-2.0
#ifndef MM_LEGACY_H
#define MM_LEGACY_H

#include "meshmeter/base.h"
#include "meshmeter/limits.h"

#include "log.h"

/// The two message forms of the original system that HQ accepts on `meter/<site>/info`. Pure decoding, no storage.
///
/// Binary: u32 count, u32 free heap of the root, count x 74 bytes, little-endian. It has neither magic nor checksum, so
/// its exact length decides. JSON month data: objects with `Medidores` (one per node, alone or inside of other objects
/// and arrays), its meters with `m` id, `k` life kWh, `Months` [{`M<0-11>` kWh, `Hours` [{`H0` kWh} … {`H23` kWh}]}].

#define MM_LEGACY_HEADER_BYTES 8
#define MM_LEGACY_RECORD_BYTES 74
/// Nodes in the root's table.
#define MM_LEGACY_RECORDS_MAX 100
/// 100 nodes of about 2,450 bytes.
#define MM_LEGACY_JSON_BYTES_MAX 524288
#define MM_LEGACY_JSON_DEPTH_MAX 16

typedef enum {
    MM_LEGACY_NONE = 0,
    MM_LEGACY_BINARY,
    MM_LEGACY_JSON,
} mm_legacy_form_t;

/// One meter at one instant. Energies in kWh, as the original counts.
typedef struct {
    uint8_t form; ///< mm_legacy_form_t
    char id[MM_METER_ID_CHARS_MAX + 1];
    uint32_t node_id;
    uint32_t subnode;
    int64_t stamp_s; ///< node's clock, as it says; local time read as if it were UTC in the JSON form; 0 = none
    uint64_t life_kwh;
    uint8_t month; ///< 0 … 11
    uint64_t month_kwh;
    uint32_t hours_kwh[MM_HOURS_OF_DAY];
    // Binary form only.
    uint32_t beats;
    uint8_t pay_mode;
    uint8_t power_off;
    uint16_t prepaid_balance;
    uint16_t amperes_max;
    uint32_t device; ///< bytes 2 … 5 of the MAC
} mm_legacy_reading_t;

/// Called once per meter. `bytes` are the reading's own (74 bytes, or the meter's JSON text), borrowed.
typedef void (*mm_legacy_reading_fn)(void *context, const mm_legacy_reading_t *reading, const void *bytes,
                                     size_t bytes_count);
/// Called for a part that cannot be used; the rest of the message still is.
typedef void (*mm_legacy_reject_fn)(void *context, const char *reason, const void *bytes, size_t bytes_count);

/// By length and first bytes only: binary if the length is exactly that of its count, else JSON if the text begins with
/// { or [ and holds no NUL, else NONE.
mm_legacy_form_t mm_legacy_classify(const void *bytes, size_t bytes_count);

/// Decode a message of the given form (not NONE). MM_OK: readings and rejects were reported. MM_ERR_CORRUPT: nothing
/// usable, *error says why. Meters with a blank id are skipped silently if all their registers are zero.
mm_err_t mm_legacy_decode(mm_legacy_form_t form, const void *bytes, size_t bytes_count, mm_legacy_reading_fn reading,
                          mm_legacy_reject_fn reject, void *context, mm_hq_error_t *error);

const char *mm_legacy_form_name(mm_legacy_form_t form);

#endif
