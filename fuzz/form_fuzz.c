// SPDX-License-Identifier: Apache-2.0
// Bodies of forms. Each field that is there once decodes to plain text within its capacity, or is refused; a number is
// what its text says.
#include "meshmeter/form.h"

#include <string.h>

#include "meshmeter/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {"node_no", "code", "nonce", "meter_id_1", "a", ""};

static void check_field(const mm_form_t *form, const char *name, size_t capacity_bytes) {
    char text[64];
    memset(text, 0x7F, sizeof text);
    mm_err_t err = mm_form_text(form, name, text, capacity_bytes);
    MM_ASSERT(err == MM_OK || err == MM_ERR_NOT_FOUND || err == MM_ERR_ARG);
    MM_ASSERT(mm_text_is_plain_string(text, capacity_bytes));
    MM_ASSERT(err == MM_OK || text[0] == '\0');
    for (size_t index = capacity_bytes; index < sizeof text; index++) {
        MM_ASSERT(text[index] == 0x7F);
    }
    uint64_t number = 1;
    mm_err_t number_err = mm_form_number(form, name, 999, &number);
    MM_ASSERT(number <= 999 && (number_err == MM_OK || number == 0));
    MM_ASSERT((number_err == MM_ERR_NOT_FOUND) == (err == MM_ERR_NOT_FOUND));
    if (number_err == MM_OK && err == MM_OK) {
        uint64_t value = 0;
        for (const char *digit = text; *digit != '\0'; digit++) {
            value = value * 10 + (uint64_t)(*digit - '0');
        }
        MM_ASSERT(value == number);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mm_form_t form;
    mm_err_t err = mm_form_open(&form, (const char *)data, size);
    MM_ASSERT(err == MM_OK || err == MM_ERR_CORRUPT || err == MM_ERR_FULL);
    MM_ASSERT(form.field_count <= MM_FORM_FIELDS_MAX && (err == MM_OK || form.field_count == 0));
    for (size_t index = 0; index < sizeof names / sizeof names[0]; index++) {
        check_field(&form, names[index], 1);
        check_field(&form, names[index], 9);
        check_field(&form, names[index], 64);
    }
    return 0;
}
