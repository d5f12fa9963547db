// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/possession.h"

// As many steps whatever is compared; behind its end a text is all zeros.
static bool is_same(const char *left, const char *right) {
    volatile uint8_t different = 0; // so that no compiler ends the loop early
    for (size_t step = 0; step <= MM_POSSESSION_CHARS_MAX; step++) {
        different = (uint8_t)(different | (uint8_t)(*left ^ *right));
        left += *left != '\0';
        right += *right != '\0';
    }
    return different == 0;
}

mm_possession_verdict_t mm_possession_judge(mm_possession_t *self, const char *text, mm_us_t now, uint32_t *wait_s) {
    *wait_s = mm_lock_out_wait_s(&self->lock_out, now);
    if (self->code == NULL || self->code[0] == '\0') {
        return MM_POSSESSION_NONE;
    }
    if (*wait_s > 0) {
        return MM_POSSESSION_LOCKED_OUT;
    }
    if (is_same(text, self->code)) {
        mm_lock_out_good(&self->lock_out);
        return MM_POSSESSION_GOOD;
    }
    (void)mm_lock_out_wrong(&self->lock_out, now);
    *wait_s = mm_lock_out_wait_s(&self->lock_out, now);
    return MM_POSSESSION_WRONG;
}
