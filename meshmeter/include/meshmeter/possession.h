// SPDX-License-Identifier: Apache-2.0
#ifndef MM_POSSESSION_H
#define MM_POSSESSION_H

#include "meshmeter/base.h"
#include "meshmeter/lock_out.h"

/// Proof of possession by cable: who hands a network over knows the code on the device's label. Wrong ones lock out;
/// a restart begins the count anew, so who can restart the device as often as it takes can guess 5 codes at each start.

#define MM_POSSESSION_CHARS_MAX 64

typedef enum {
    MM_POSSESSION_GOOD = 0,
    MM_POSSESSION_WRONG,
    MM_POSSESSION_LOCKED_OUT,
    MM_POSSESSION_NONE, ///< this device has no label: nobody hands it a network this way
} mm_possession_verdict_t;

typedef struct {
    const char *code; ///< borrowed; at most MM_POSSESSION_CHARS_MAX characters; "" or NULL: none
    mm_lock_out_t lock_out;
} mm_possession_t;

/// *wait_s: until the next try, if there is a lock-out now. Any clock that never goes back will do for now. The
/// comparison takes the same time whatever is compared.
mm_possession_verdict_t mm_possession_judge(mm_possession_t *self, const char *text, mm_us_t now, uint32_t *wait_s);

#endif
