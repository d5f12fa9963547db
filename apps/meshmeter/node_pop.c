// SPDX-License-Identifier: Apache-2.0
#include "node_pop.h"

#include <string.h>

#include "linux/linux_crypto.h"
#include "meshmeter/challenge.h"

bool node_pop_read(node_pop_t *self, const char *path, mm_linux_message_t *message) {
    memset(self, 0, sizeof *self);
    if (path[0] == '\0') {
        return true;
    }
    if (mm_linux_secret_read(path, self->code, sizeof self->code, message) != MM_OK) {
        return false;
    }
    // The reader may leave anything behind the end.
    size_t chars = strlen(self->code);
    memset(self->code + chars, 0, sizeof self->code - chars);
    self->has_code = chars > 0;
    if (!self->has_code) {
        mm_linux_message_set(message, "%s: is empty; the code on the label is needed", path);
    }
    return self->has_code;
}

static bool is_same(const node_pop_t *self, const char *text) {
    char other[sizeof self->code] = {0};
    size_t chars = strnlen(text, sizeof other);
    uint8_t different = chars == sizeof other ? 1 : 0;
    memcpy(other, text, chars == sizeof other ? 0 : chars);
    for (size_t i = 0; i < sizeof other; i++) {
        different = (uint8_t)(different | (uint8_t)(other[i] ^ self->code[i]));
    }
    explicit_bzero(other, sizeof other);
    return different == 0;
}

node_pop_verdict_t node_pop_judge(node_pop_t *self, const char *text, int64_t real_now_us, uint32_t *wait_s) {
    *wait_s = mm_us_seconds_until(self->locked_until_us, real_now_us);
    if (!self->has_code) {
        return NODE_POP_NONE;
    }
    if (*wait_s > 0) {
        return NODE_POP_LOCKED_OUT;
    }
    if (is_same(self, text)) {
        self->wrong = 0;
        self->lock_outs = 0;
        return NODE_POP_GOOD;
    }
    self->wrong++;
    if (self->wrong == MM_CHALLENGE_TRIES) {
        int64_t lock_out_s = (int64_t)MM_CHALLENGE_LOCK_OUT_S << self->lock_outs;
        if (lock_out_s < MM_CHALLENGE_LOCK_OUT_MAX_S) {
            self->lock_outs++;
        }
        self->wrong = 0;
        self->locked_until_us = real_now_us + lock_out_s * 1000000;
        *wait_s = mm_us_seconds_until(self->locked_until_us, real_now_us);
    }
    return NODE_POP_WRONG;
}
