// SPDX-License-Identifier: Apache-2.0
#ifndef MM_PORT_ENTROPY_H
#define MM_PORT_ENTROPY_H

#include "meshmeter/base.h"

/// Real random bytes, good for keys.
typedef struct {
    /// MM_ERR_UNAVAILABLE: no entropy; whatever needs it is refused, never replaced by something weaker.
    mm_err_t (*random)(void *context, void *bytes, size_t bytes_count);
    void *context;
} mm_entropy_t;

#endif
