// SPDX-License-Identifier: Apache-2.0
#ifndef MM_LOCK_OUT_H
#define MM_LOCK_OUT_H

#include "meshmeter/base.h"

/// Who guesses a code has few tries, then waits, twice as long each time: of the challenge on the display
/// (challenge.h) and of the label (possession.h). At the longest, 5 tries in 1,280 s.

#define MM_LOCK_OUT_TRIES 5
#define MM_LOCK_OUT_FIRST_S 10
#define MM_LOCK_OUT_MAX_S 1280

typedef struct {
    uint8_t wrong;    ///< codes since the last good one, lock-out, or whatever else the owner begins anew with
    uint8_t in_a_row; ///< lock-outs since the last good code
    // wait: who guessed a code may try again | until MM_LOCK_OUT_MAX_S at most | then a code is judged
    mm_us_t until;
} mm_lock_out_t;

/// in_a_row: of before a restart, if the owner keeps it durably; the last lock-out begins anew. All zeros: never wrong.
void mm_lock_out_init(mm_lock_out_t *self, uint8_t in_a_row, mm_us_t now);
/// Seconds until a code is judged, rounded up; 0: now.
uint32_t mm_lock_out_wait_s(const mm_lock_out_t *self, mm_us_t now);
/// A wrong code. True: it was one too many, a lock-out begins.
bool mm_lock_out_wrong(mm_lock_out_t *self, mm_us_t now);
/// A good code: all is forgiven.
void mm_lock_out_good(mm_lock_out_t *self);

#endif
