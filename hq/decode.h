// SPDX-License-Identifier: Apache-2.0
#ifndef MM_DECODE_H
#define MM_DECODE_H

#include "meshmeter/base.h"

#include <cjson/cJSON.h>

/// Any message of the system as JSON for a reader: frame, batch, acknowledgement, or one of the original's two forms.
/// *json is always an object with "kind"; if something in it cannot be decoded, the object says so under "error" at
/// its place, holds the rest, and the result is MM_ERR_CORRUPT (or MM_ERR_VERSION). NULL only when out of memory. The
/// caller frees it with cJSON_Delete.
mm_err_t mm_decode_json(const void *bytes, size_t bytes_count, cJSON **json);

#endif
