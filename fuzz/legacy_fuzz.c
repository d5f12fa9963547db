// SPDX-License-Identifier: Apache-2.0
// Whatever comes from the broker and is no batch: the original's forms, and the decoder for people.
#include "decode.h"
#include "legacy.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good) {
    if (!good) {
        abort();
    }
}

static void on_reading(void *context, const mm_legacy_reading_t *reading, const void *bytes, size_t bytes_count) {
    size_t *found = context;
    size_t chars = strlen(reading->id);
    check(chars >= 1 && chars <= MM_METER_ID_CHARS_MAX);
    for (size_t index = 0; index < chars; index++) {
        check(reading->id[index] >= 0x20 && reading->id[index] <= 0x7E);
    }
    check(reading->month <= 11);
    check(reading->stamp_s >= 0);
    check(bytes != NULL && bytes_count > 0);
    (*found)++;
}

static void on_reject(void *context, const char *reason, const void *bytes, size_t bytes_count) {
    size_t *found = context;
    check(reason != NULL && bytes != NULL && bytes_count > 0);
    (*found)++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mm_hq_error_t error = {{0}};
    size_t found = 0;
    mm_legacy_form_t form = mm_legacy_classify(data, size);
    if (form != MM_LEGACY_NONE) {
        mm_err_t err = mm_legacy_decode(form, data, size, on_reading, on_reject, &found, &error);
        check(err == MM_OK || (err == MM_ERR_CORRUPT && found == 0 && error.text[0] != '\0'));
        check(form != MM_LEGACY_BINARY || found == (size - MM_LEGACY_HEADER_BYTES) / MM_LEGACY_RECORD_BYTES);
    }
    cJSON *json = NULL;
    mm_decode_json(data, size, &json);
    check(json != NULL && cJSON_HasObjectItem(json, "kind"));
    cJSON_Delete(json);
    return 0;
}
