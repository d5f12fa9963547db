// SPDX-License-Identifier: Apache-2.0
#ifndef MM_COMMAND_ARGUMENTS_H
#define MM_COMMAND_ARGUMENTS_H

#include "log.h"

#include "meshmeter/command_body.h"

#include <cjson/cJSON.h>

/// "key=value" to the body of a command, by kind (docs/spec/commands.md). What is missing or out of range is named with
/// its range.

typedef struct {
    uint8_t body[MM_COMMAND_BODY_BYTES_MAX];
    size_t body_bytes;
    bool has_secret; ///< a password is in the body
    cJSON *shown;    ///< the arguments as an object, without secrets; cJSON_Delete it
} mm_command_arguments_t;

/// False and *error; nothing to delete then. arguments ends with NULL; NULL itself is none.
bool mm_command_arguments_parse(uint8_t kind, const char *const *arguments, mm_command_arguments_t *parsed,
                                mm_hq_error_t *error);
/// Kind of a name ('-' for '_' will do), MM_COMMAND_NONE if there is none.
uint8_t mm_command_kind_of(const char *name);
/// True if bodies of this kind hold a password.
bool mm_command_kind_has_secret(uint8_t kind);
/// For help: keys of the kind with their ranges, in one line; "" if it has none.
void mm_command_arguments_describe(uint8_t kind, char *text, size_t text_bytes);

#endif
