// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/base.h"

#include <string.h>

const char *mm_name_of(const char *const *names, size_t count, size_t value) {
    return value < count ? names[value] : "unknown";
}

const char *mm_err_name(mm_err_t err) {
    switch (err) {
    case MM_OK:
        return "ok";
    case MM_ERR_ARG:
        return "value out of range";
    case MM_ERR_FULL:
        return "no room";
    case MM_ERR_NOT_FOUND:
        return "not found";
    case MM_ERR_CORRUPT:
        return "corrupt";
    case MM_ERR_VERSION:
        return "unknown version";
    case MM_ERR_STORAGE:
        return "storage refused";
    case MM_ERR_BUSY:
        return "busy";
    case MM_ERR_UNAVAILABLE:
        return "unavailable";
    case MM_ERR_STATE:
        return "not legal in this state";
    }
    return "unknown error";
}

mm_us_t mm_us_after_s(mm_us_t instant, uint32_t seconds) {
    return instant + seconds * MM_US_PER_S;
}

int64_t mm_us_whole_s(int64_t us) {
    return us / MM_US_PER_S;
}

mm_us_t mm_us_earlier(mm_us_t left, mm_us_t right) {
    return left < right ? left : right;
}

uint32_t mm_us_seconds_until(mm_us_t instant, mm_us_t now) {
    return instant > now ? (uint32_t)mm_us_whole_s(instant - now + MM_US_PER_S - 1) : 0;
}

bool mm_mac_equal(mm_mac_t left, mm_mac_t right) {
    return mm_mac_compare(left, right) == 0;
}

int mm_mac_compare(mm_mac_t left, mm_mac_t right) {
    return memcmp(left.bytes, right.bytes, sizeof left.bytes);
}

bool mm_mac_is_zero(mm_mac_t mac) {
    return mm_mac_equal(mac, (mm_mac_t){{0}});
}

int mm_position_compare(mm_position_t left, mm_position_t right) {
    if (left.epoch != right.epoch) {
        return left.epoch < right.epoch ? -1 : 1;
    }
    if (left.seq != right.seq) {
        return left.seq < right.seq ? -1 : 1;
    }
    return 0;
}
