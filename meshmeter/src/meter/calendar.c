// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/calendar.h"

#include <string.h>

#define S_PER_HOUR 3600
#define S_PER_DAY 86400
#define UTC_S_MAX INT64_C(253402300799) // 9999-12-31T23:59:59Z

enum {
    RULE_NONE = 0,
    RULE_MONTH_WEEK_DAY = 1,
    RULE_JULIAN = 2,
    RULE_DAY_OF_YEAR = 3
};

static bool is_leap(int32_t year) {
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static uint8_t days_in_month(int32_t year, uint8_t month) {
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

static MM_APART int64_t floor_divide(int64_t dividend, int32_t divisor) {
    int64_t quotient = dividend / divisor;
    return dividend % divisor < 0 ? quotient - 1 : quotient;
}

// Both conversions count years from March, so that the leap day is the last one, and eras of 400 years (146097 days).
static MM_APART int32_t era_of(int32_t count, int32_t per_era) {
    return (count >= 0 ? count : count - (per_era - 1)) / per_era;
}

static int32_t days_before_month(int32_t month_from_march) {
    return (153 * month_from_march + 2) / 5;
}

static int32_t days_from_civil(int32_t year, uint8_t month, uint8_t day) {
    int32_t march_year = month <= 2 ? year - 1 : year;
    int32_t era = era_of(march_year, 400);
    int32_t year_of_era = march_year - era * 400;
    int32_t day_of_year = days_before_month(month > 2 ? month - 3 : month + 9) + day - 1;
    int32_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

int64_t mm_days_from_civil(int32_t year, uint8_t month, uint8_t day) {
    return days_from_civil(year, month, day);
}

static MM_APART void civil_from_days(int32_t days, int32_t *year, uint8_t *month, uint8_t *day) {
    int32_t shifted = days + 719468;
    int32_t era = era_of(shifted, 146097);
    int32_t day_of_era = shifted - era * 146097;
    int32_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int32_t month_from_march = (5 * day_of_year + 2) / 153;
    *day = (uint8_t)(day_of_year - days_before_month(month_from_march) + 1);
    *month = (uint8_t)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    *year = year_of_era + era * 400 + (*month <= 2 ? 1 : 0);
}

static uint8_t weekday_of(int32_t days) {
    return (uint8_t)(((days + 4) % 7 + 7) % 7); // 1970-01-01 was a Thursday
}

// Parsing. Each function takes its part off the text and says whether it was there.

static bool is_digit(char character) {
    return character >= '0' && character <= '9';
}

static bool is_alpha(char character) {
    return (character >= 'A' && character <= 'Z') || (character >= 'a' && character <= 'z');
}

static bool take(const char **text, char character) {
    if (**text != character) {
        return false;
    }
    (*text)++;
    return true;
}

static bool take_number(const char **text, int32_t min, int32_t max, int32_t *number) {
    int32_t value = 0;
    int digits = 0;
    while (is_digit(**text) && digits < 3) {
        value = value * 10 + (**text - '0');
        (*text)++;
        digits++;
    }
    *number = value;
    return digits > 0 && !is_digit(**text) && value >= min && value <= max;
}

static bool take_name(const char **text) {
    bool quoted = take(text, '<');
    int characters = 0;
    while (is_alpha(**text) || (quoted && (is_digit(**text) || **text == '+' || **text == '-'))) {
        (*text)++;
        characters++;
    }
    return characters >= 3 && (!quoted || take(text, '>'));
}

// [+-]hh[:mm[:ss]]
static bool take_time(const char **text, int32_t hours_max, int32_t *time_s) {
    bool negative = take(text, '-');
    if (!negative) {
        (void)take(text, '+');
    }
    int32_t hours;
    int32_t minutes = 0;
    int32_t seconds = 0;
    if (!take_number(text, 0, hours_max, &hours)) {
        return false;
    }
    if (take(text, ':')) {
        if (!take_number(text, 0, 59, &minutes)) {
            return false;
        }
        if (take(text, ':') && !take_number(text, 0, 59, &seconds)) {
            return false;
        }
    }
    int32_t total = hours * S_PER_HOUR + minutes * 60 + seconds;
    *time_s = negative ? -total : total;
    return true;
}

static bool take_rule_date(const char **text, mm_tz_rule_t *rule) {
    int32_t month = 0;
    int32_t week = 0;
    int32_t day = 0;
    if (take(text, 'M')) {
        rule->kind = RULE_MONTH_WEEK_DAY;
        if (!take_number(text, 1, 12, &month) || !take(text, '.') || !take_number(text, 1, 5, &week) ||
            !take(text, '.') || !take_number(text, 0, 6, &day)) {
            return false;
        }
    } else if (take(text, 'J')) {
        rule->kind = RULE_JULIAN;
        if (!take_number(text, 1, 365, &day)) {
            return false;
        }
    } else {
        rule->kind = RULE_DAY_OF_YEAR;
        if (!take_number(text, 0, 365, &day)) {
            return false;
        }
    }
    rule->month = (uint8_t)month;
    rule->week = (uint8_t)week;
    rule->day = (uint16_t)day;
    return true;
}

static bool take_rule(const char **text, mm_tz_rule_t *rule) {
    rule->time_s = 2 * S_PER_HOUR;
    return take(text, ',') && take_rule_date(text, rule) && (!take(text, '/') || take_time(text, 167, &rule->time_s));
}

static bool take_zone(const char *text, mm_tz_t *tz) {
    int32_t west_s;
    if (!take_name(&text) || !take_time(&text, 24, &west_s)) {
        return false;
    }
    tz->standard_offset_s = -west_s;
    tz->daylight_offset_s = tz->standard_offset_s;
    if (*text == '\0') {
        return true;
    }
    tz->has_daylight = true;
    tz->daylight_offset_s = tz->standard_offset_s + S_PER_HOUR;
    if (!take_name(&text)) {
        return false;
    }
    if (*text != ',') {
        if (!take_time(&text, 24, &west_s)) {
            return false;
        }
        tz->daylight_offset_s = -west_s;
    }
    return take_rule(&text, &tz->start) && take_rule(&text, &tz->end) && *text == '\0';
}

mm_err_t mm_tz_parse(const char *text, mm_tz_t *tz) {
    memset(tz, 0, sizeof *tz);
    if (*text == '\0' || take_zone(text, tz)) {
        return MM_OK;
    }
    memset(tz, 0, sizeof *tz);
    return MM_ERR_ARG;
}

static int32_t rule_day(const mm_tz_rule_t *rule, int32_t year) {
    int32_t new_year = days_from_civil(year, 1, 1);
    if (rule->kind == RULE_JULIAN) {
        return new_year + rule->day - 1 + (is_leap(year) && rule->day >= 60 ? 1 : 0);
    }
    if (rule->kind == RULE_DAY_OF_YEAR) {
        return new_year + rule->day;
    }
    int32_t first = days_from_civil(year, rule->month, 1);
    int32_t day_index = (rule->day + 7 - weekday_of(first)) % 7 + (rule->week - 1) * 7;
    if (day_index >= days_in_month(year, rule->month)) {
        day_index -= 7; // week 5 is the last one, whether it is the fourth or the fifth
    }
    return first + day_index;
}

// The second of UTC at which daylight time starts or ends by the rule of `year`. Each rule is in the local time before
// it.
static MM_APART int64_t transition_s(const mm_tz_t *tz, bool start, int32_t year) {
    const mm_tz_rule_t *rule = start ? &tz->start : &tz->end;
    int32_t offset_s = start ? tz->standard_offset_s : tz->daylight_offset_s;
    return (int64_t)rule_day(rule, year) * S_PER_DAY + (rule->time_s - offset_s);
}

static MM_APART int32_t utc_year(int64_t utc_s) {
    int32_t year;
    uint8_t month;
    uint8_t day;
    civil_from_days((int32_t)floor_divide(utc_s, S_PER_DAY), &year, &month, &day);
    return year;
}

// What holds is what the latest transition began. Rule times of up to a week move a transition into a neighbouring
// year.
static bool is_daylight(const mm_tz_t *tz, int64_t utc_s) {
    if (!tz->has_daylight) {
        return false;
    }
    int32_t this_year = utc_year(utc_s);
    int64_t latest = INT64_MIN;
    bool daylight = false;
    for (int32_t year = this_year - 2; year <= this_year + 1; year++) {
        int64_t end = transition_s(tz, false, year);
        int64_t start = transition_s(tz, true, year);
        if (end <= utc_s && end > latest) {
            latest = end;
            daylight = false;
        }
        // An end and the next start at the same second is how daylight time all the year is written: the start wins.
        if (start <= utc_s && start >= latest) {
            latest = start;
            daylight = true;
        }
    }
    return daylight;
}

static int32_t offset_at(const mm_tz_t *tz, int64_t utc_s) {
    return is_daylight(tz, utc_s) ? tz->daylight_offset_s : tz->standard_offset_s;
}

mm_local_t mm_local_from_utc(const mm_tz_t *tz, int64_t utc_s) {
    MM_ASSERT(utc_s >= 0 && utc_s <= UTC_S_MAX);
    mm_local_t local;
    local.daylight = is_daylight(tz, utc_s);
    local.offset_s = local.daylight ? tz->daylight_offset_s : tz->standard_offset_s;
    int64_t local_s = utc_s + local.offset_s;
    int32_t days = (int32_t)floor_divide(local_s, S_PER_DAY);
    int32_t second_of_day = (int32_t)(local_s - (int64_t)days * S_PER_DAY);
    civil_from_days(days, &local.year, &local.month, &local.day);
    local.hour = (uint8_t)(second_of_day / S_PER_HOUR);
    local.minute = (uint8_t)(second_of_day / 60 % 60);
    local.second = (uint8_t)(second_of_day % 60);
    local.weekday = weekday_of(days);
    return local;
}

uint16_t mm_local_year_month(const mm_local_t *local) {
    MM_ASSERT(local->year >= 0 && local->year * 12 + 11 <= UINT16_MAX);
    return (uint16_t)(local->year * 12 + (local->month - 1));
}

int64_t mm_next_hour_change(const mm_tz_t *tz, int64_t utc_s) {
    int32_t offset_s = offset_at(tz, utc_s);
    int64_t change = (floor_divide(utc_s + offset_s, S_PER_HOUR) + 1) * S_PER_HOUR - offset_s;
    if (!tz->has_daylight) {
        return change;
    }
    int32_t this_year = utc_year(utc_s);
    for (int32_t year = this_year - 1; year <= this_year + 1; year++) {
        for (int kind = 0; kind < 2; kind++) {
            int64_t transition = transition_s(tz, kind == 1, year);
            if (transition > utc_s && transition < change && offset_at(tz, transition) != offset_s) {
                change = transition;
            }
        }
    }
    return change;
}
