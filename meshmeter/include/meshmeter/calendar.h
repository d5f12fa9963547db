// SPDX-License-Identifier: Apache-2.0
#ifndef MM_CALENDAR_H
#define MM_CALENDAR_H

#include "meshmeter/base.h"
#include "meshmeter/limits.h"

/// Civil time from UTC by a POSIX TZ rule (IEEE Std 1003.1-2017, 8.3: std offset [dst [offset]
/// [,start[/time],end[/time]]], with <quoted> names, Mm.w.d, Jn and n forms, and times -167…167 h). No table of zones,
/// no libc.

typedef struct {
    uint8_t kind; ///< 0 none, 1 Mm.w.d, 2 Jn, 3 n
    uint8_t month;
    uint8_t week;
    uint16_t day;
    int32_t time_s;
} mm_tz_rule_t;

typedef struct {
    int32_t standard_offset_s; ///< to be added to UTC
    int32_t daylight_offset_s;
    bool has_daylight;
    mm_tz_rule_t start; ///< of daylight time
    mm_tz_rule_t end;
} mm_tz_t;

/// MM_ERR_ARG: not a valid rule; *tz is then UTC. "" is UTC. A zone with daylight time but without rules is refused.
mm_err_t mm_tz_parse(const char *text, mm_tz_t *tz);

typedef struct {
    int32_t year;  ///< 1970 … 9999, or one more or less near the ends, by the offset
    uint8_t month; ///< 1 … 12
    uint8_t day;   ///< 1 … 31
    uint8_t hour;  ///< 0 … 23
    uint8_t minute;
    uint8_t second;
    uint8_t weekday; ///< 0 = Sunday
    bool daylight;
    int32_t offset_s;
} mm_local_t;

/// Seconds since 1970 (not negative, up to year 9999; asserted) to local civil time. O(1).
mm_local_t mm_local_from_utc(const mm_tz_t *tz, int64_t utc_s);
/// year * 12 + (month - 1): the tag of a month's registers.
uint16_t mm_local_year_month(const mm_local_t *local);
/// First second after utc_s at which local hour of the day, month or offset is another than at utc_s.
int64_t mm_next_hour_change(const mm_tz_t *tz, int64_t utc_s);
/// Days since 1970-01-01 of a Gregorian date (H. Hinnant, "chrono-compatible low-level date algorithms"), within a
/// million years.
int64_t mm_days_from_civil(int32_t year, uint8_t month, uint8_t day);

#endif
