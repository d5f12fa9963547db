// SPDX-License-Identifier: Apache-2.0
#ifndef MM_COMMAND_DETAIL_H
#define MM_COMMAND_DETAIL_H

#include "meshmeter/result_detail.h"

#include <cjson/cJSON.h>

/// What a node's answer has besides its status, for people: an object, a text, or null. Bytes that are not of the
/// kind's form are shown as they are, in hex.
cJSON *mm_command_detail_json(uint8_t kind, const void *bytes, size_t bytes_count);

/// Names of the reasons why a relay is open (credit.h), as an array.
cJSON *mm_relay_reasons_json(uint8_t reasons);

#endif
