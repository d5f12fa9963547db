// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/lock_out.h"

static MM_APART void begin(mm_lock_out_t *self, mm_us_t now) {
    uint32_t seconds = self->in_a_row == 0 ? 0 : MM_LOCK_OUT_FIRST_S;
    for (uint8_t i = 1; i < self->in_a_row && seconds < MM_LOCK_OUT_MAX_S; i++) {
        seconds *= 2;
    }
    self->wrong = 0;
    self->until = now + seconds * MM_US_PER_S;
}

void mm_lock_out_init(mm_lock_out_t *self, uint8_t in_a_row, mm_us_t now) {
    self->in_a_row = in_a_row;
    begin(self, now);
}

uint32_t mm_lock_out_wait_s(const mm_lock_out_t *self, mm_us_t now) {
    return mm_us_seconds_until(self->until, now);
}

bool mm_lock_out_wrong(mm_lock_out_t *self, mm_us_t now) {
    self->wrong++;
    if (self->wrong < MM_LOCK_OUT_TRIES) {
        return false;
    }
    self->in_a_row = (uint8_t)(self->in_a_row + (self->in_a_row < UINT8_MAX ? 1 : 0));
    begin(self, now);
    return true;
}

void mm_lock_out_good(mm_lock_out_t *self) {
    self->wrong = 0;
    self->in_a_row = 0;
}
