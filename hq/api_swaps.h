// SPDX-License-Identifier: Apache-2.0
#ifndef MM_API_SWAPS_H
#define MM_API_SWAPS_H

#include "api_request.h"
#include "swaps.h"

/// Open swaps in an answer of the API, which has the books, too.
#define MM_API_SWAPS_OPEN_MAX 1000

/// "swaps": [...] into the answer.
void mm_api_add_swaps(mm_api_request_t *self, bool open_only, int64_t limit);

#endif
