// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/possession.h"

#include <string.h>

#include "meshmeter/bytes.h"
#include "setup/join_internal.h"

// One more than the longest: what is longer is nobody's code.
#define CODE_BYTES (MM_POSSESSION_CHARS_MAX + 1)

static void fill(char bytes[CODE_BYTES], const char *text) {
    size_t chars = 0;
    while (chars < CODE_BYTES && text[chars] != '\0') {
        chars++;
    }
    memset(bytes, 0, CODE_BYTES);
    memcpy(bytes, text, chars);
}

static bool is_same(const char *left, const char *right) {
    char bytes[2][CODE_BYTES];
    fill(bytes[0], left);
    fill(bytes[1], right);
    bool same = mm_bytes_equal_constant_time(bytes[0], bytes[1], CODE_BYTES);
    mmi_join_wipe(bytes, sizeof bytes);
    return same;
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
