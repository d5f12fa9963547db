// SPDX-License-Identifier: Apache-2.0
// The reference is libc: localtime_r under the same TZ string.
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "test_support.h"

#include "meshmeter/calendar.h"

static const char *const zones[] = {
    "UTC0",
    "CET-1CEST,M3.5.0,M10.5.0/3",
    "EST5EDT,M3.2.0,M11.1.0",
    "<-05>5",
    "<+0545>-5:45",
    "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", // Lord Howe: half an hour, southern hemisphere
    "AEST-10AEDT,M10.1.0,M4.1.0/3",
    "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1", // Nuuk: negative times
    "IST-2IDT,M3.4.4/26,M10.5.0",       // Jerusalem: hours beyond 24
    "AAA3BBB,J60/2,J300/2",             // Jn: 29 February is never counted
    "AAA3BBB,59/2,299/2",               // n: it is
    "AAA-9:30:15BBB-10:00:45,M2.5.6/1:02:03,M9.1.1/4:05:06",
};

static mm_tz_t use_zone(const char *text) {
    mm_tz_t tz;
    assert_int_equal(mm_tz_parse(text, &tz), MM_OK);
    setenv("TZ", text, 1);
    tzset();
    return tz;
}

static void assert_as_libc(const mm_tz_t *tz, int64_t utc_s) {
    mm_local_t local = mm_local_from_utc(tz, utc_s);
    time_t time = (time_t)utc_s;
    struct tm expected;
    assert_non_null(localtime_r(&time, &expected));
    bool equal = local.year == expected.tm_year + 1900 && local.month == expected.tm_mon + 1 &&
                 local.day == expected.tm_mday && local.hour == expected.tm_hour && local.minute == expected.tm_min &&
                 local.second == expected.tm_sec && local.weekday == expected.tm_wday &&
                 local.daylight == (expected.tm_isdst > 0) && local.offset_s == expected.tm_gmtoff;
    if (!equal) {
        fail_msg("%s at %lld: %d-%02d-%02d %02d:%02d:%02d", getenv("TZ"), (long long)utc_s, local.year, local.month,
                 local.day, local.hour, local.minute, local.second);
    }
}

static int64_t at(int32_t year, uint8_t month, uint8_t day, int hour, int minute, int second) {
    return mm_days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
}

static void test_calendar_local_is_libcs_every_hour_and_around_transitions(void **state) {
    (void)state;
    for (size_t zone = 0; zone < sizeof zones / sizeof zones[0]; zone++) {
        mm_tz_t tz = use_zone(zones[zone]);
        int32_t offset_s = mm_local_from_utc(&tz, at(2023, 1, 1, 0, 0, 0) - 86400).offset_s;
        int transitions = 0;
        for (int64_t utc_s = at(2023, 1, 1, 0, 0, 0) - 86400; utc_s < at(2027, 1, 2, 0, 0, 0); utc_s += 3600) {
            assert_as_libc(&tz, utc_s);
            int32_t offset_now_s = mm_local_from_utc(&tz, utc_s).offset_s;
            if (offset_now_s != offset_s) {
                offset_s = offset_now_s;
                transitions++;
                for (int64_t second = utc_s - 3700; second <= utc_s + 100; second++) {
                    assert_as_libc(&tz, second);
                }
            }
        }
        assert_int_equal(transitions, tz.has_daylight ? 8 : 0);
    }
}

static void test_calendar_local_is_libcs_at_random_times_and_ends(void **state) {
    (void)state;
    srand(1);
    for (size_t zone = 0; zone < sizeof zones / sizeof zones[0]; zone++) {
        mm_tz_t tz = use_zone(zones[zone]);
        assert_as_libc(&tz, 0);
        assert_as_libc(&tz, 253402300799);
        for (int i = 0; i < 3000; i++) {
            int64_t random = ((int64_t)rand() << 31 | rand()) % 253402300800;
            assert_as_libc(&tz, random);
            assert_as_libc(&tz, random % at(2200, 1, 1, 0, 0, 0));
        }
    }
}

// 1 h before to 1 h after known transitions; the figures are of the published rules, not of this code.
static void test_calendar_berlin_by_hand(void **state) {
    (void)state;
    mm_tz_t tz;
    assert_int_equal(mm_tz_parse("CET-1CEST,M3.5.0,M10.5.0/3", &tz), MM_OK);
    mm_local_t local = mm_local_from_utc(&tz, 1711846799); // 2024-03-31T00:59:59Z
    assert_int_equal(local.hour, 1);
    assert_false(local.daylight);
    local = mm_local_from_utc(&tz, 1711846800);
    assert_int_equal(local.hour, 3);
    assert_true(local.daylight);
    assert_int_equal(local.weekday, 0);
    assert_int_equal(mm_local_year_month(&local), 2024 * 12 + 2);
    local = mm_local_from_utc(&tz, 1729987200); // 2024-10-27T00:00:00Z
    assert_int_equal(local.hour, 2);
    local = mm_local_from_utc(&tz, 1729987200 + 3600);
    assert_int_equal(local.hour, 2);
    assert_false(local.daylight);
    local = mm_local_from_utc(&tz, 1735686000); // 2024-12-31T23:00:00Z is New Year in Berlin
    assert_int_equal(mm_local_year_month(&local), 2025 * 12);
}

static void test_calendar_daylight_all_year(void **state) {
    (void)state;
    // RFC 8536, 3.3.1: daylight time all the year is a start and an end at the same instant.
    mm_tz_t tz;
    assert_int_equal(mm_tz_parse("EST5EDT,0/0,J365/25", &tz), MM_OK);
    for (int64_t utc_s = at(2023, 12, 25, 0, 0, 0); utc_s < at(2025, 1, 10, 0, 0, 0); utc_s += 1800) {
        assert_true(mm_local_from_utc(&tz, utc_s).daylight);
        int64_t next_hour_s = (utc_s / 3600 + 1) * 3600;
        assert_int_equal(mm_next_hour_change(&tz, utc_s), next_hour_s);
    }
}

// A transition that changes nothing is no change: here both fall to 05:00Z, in the middle of a local hour.
static void test_calendar_daylight_all_year_at_half_past(void **state) {
    (void)state;
    mm_tz_t tz;
    assert_int_equal(mm_tz_parse("EST5EDT4:30,0/0,J365/24:30", &tz), MM_OK);
    for (int64_t utc_s = at(2023, 12, 31, 12, 30, 0); utc_s < at(2024, 1, 2, 0, 0, 0); utc_s += 900) {
        assert_true(mm_local_from_utc(&tz, utc_s).daylight);
        int64_t next_hour_s = ((utc_s + 1800) / 3600 + 1) * 3600 - 1800;
        assert_int_equal(mm_next_hour_change(&tz, utc_s), next_hour_s);
    }
}

// Times of a week move each transition over the turn of the year: daylight begins on 7 January at 23:00 of the year
// after the one that the rule is of, and ends on 25 December at 01:00 of the one before. Between these two it is
// winter.
static void test_calendar_transitions_cross_the_year(void **state) {
    (void)state;
    mm_tz_t tz;
    assert_int_equal(mm_tz_parse("AAA0BBB0,J365/167,J1/-167", &tz), MM_OK);
    static const struct {
        int32_t year;
        uint8_t month;
        uint8_t day;
        int hour;
        bool daylight;
    } instants[] = {
        {2016, 12, 25, 0, true},  {2016, 12, 25, 1, false}, {2017, 1, 6, 22, false},
        {2017, 1, 6, 23, true},   {2017, 7, 1, 0, true},    {2017, 12, 25, 0, true},
        {2017, 12, 25, 1, false}, {2018, 1, 6, 22, false},  {2018, 1, 6, 23, true},
    };
    for (size_t i = 0; i < sizeof instants / sizeof instants[0]; i++) {
        int64_t utc_s = at(instants[i].year, instants[i].month, instants[i].day, instants[i].hour, 0, 0);
        assert_int_equal(mm_local_from_utc(&tz, utc_s).daylight, instants[i].daylight);
    }
}

static int64_t libc_next_change(int64_t utc_s) {
    time_t time = (time_t)utc_s;
    struct tm before;
    struct tm after;
    localtime_r(&time, &before);
    do {
        time++;
        localtime_r(&time, &after);
    } while (after.tm_hour == before.tm_hour && after.tm_mon == before.tm_mon && after.tm_gmtoff == before.tm_gmtoff);
    return (int64_t)time;
}

static void test_calendar_next_hour_change_is_the_first_one(void **state) {
    (void)state;
    for (size_t zone = 0; zone < sizeof zones / sizeof zones[0]; zone++) {
        mm_tz_t tz = use_zone(zones[zone]);
        int32_t offset_s = mm_local_from_utc(&tz, at(2024, 1, 1, 0, 0, 0)).offset_s;
        for (int64_t utc_s = at(2024, 1, 1, 0, 0, 0); utc_s < at(2025, 1, 1, 0, 0, 0); utc_s += 3600) {
            int32_t offset_now_s = mm_local_from_utc(&tz, utc_s).offset_s;
            bool transition = offset_now_s != offset_s;
            offset_s = offset_now_s;
            if (transition) {
                for (int64_t near_s = utc_s - 3700; near_s < utc_s + 3700; near_s += 97) {
                    assert_int_equal(mm_next_hour_change(&tz, near_s), libc_next_change(near_s));
                }
            } else if (utc_s / 3600 % 97 == 0) {
                int64_t near_s = utc_s + utc_s / 3600 % 3600;
                assert_int_equal(mm_next_hour_change(&tz, near_s), libc_next_change(near_s));
            }
        }
    }
}

static void test_calendar_next_hour_change_steps_through_a_year(void **state) {
    (void)state;
    // Half an hour of daylight saving makes one short hour less and one more change in each direction.
    mm_tz_t tz = use_zone("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0");
    int64_t utc_s = at(2024, 1, 1, 0, 30, 0);
    while (utc_s < at(2025, 1, 1, 0, 0, 0)) {
        int64_t next_s = mm_next_hour_change(&tz, utc_s);
        assert_true(next_s > utc_s && next_s <= utc_s + 3600);
        assert_as_libc(&tz, next_s - 1);
        assert_as_libc(&tz, next_s);
        utc_s = next_s;
    }
}

static void test_calendar_days_from_civil(void **state) {
    (void)state;
    assert_int_equal(mm_days_from_civil(1970, 1, 1), 0);
    assert_int_equal(mm_days_from_civil(1969, 12, 31), -1);
    assert_int_equal(mm_days_from_civil(2000, 2, 29), 11016);
    assert_int_equal(mm_days_from_civil(2000, 3, 1), 11017);
    assert_int_equal(mm_days_from_civil(9999, 12, 31), 2932896);
    setenv("TZ", "UTC0", 1);
    tzset();
    for (int32_t year = 1971; year < 2400; year++) {
        for (uint8_t month = 1; month <= 12; month++) {
            struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = 1};
            assert_int_equal(mm_days_from_civil(year, month, 1) * 86400, timegm(&tm));
        }
    }
}

static void test_calendar_parse_refuses(void **state) {
    (void)state;
    static const char *const bad[] = {
        "U",
        "UTC",
        "UT0",
        "UTC25",
        "UTC0:60",
        "UTC0:0:60",
        "UTC+",
        "UTC1000",
        "UTC0 ",
        "<UTC0",
        "<+1>-1",
        "<>0",
        "Europe/Berlin",
        ":Europe/Berlin",
        "CET-1CEST",
        "CET-1CEST,",
        "CET-1CEST,M3.5.0",
        "CET-1CEST,M3.5.0,",
        "CET-1CEST,M13.5.0,M10.5.0",
        "CET-1CEST,M0.5.0,M10.5.0",
        "CET-1CEST,M3.6.0,M10.5.0",
        "CET-1CEST,M3.0.0,M10.5.0",
        "CET-1CEST,M3.5.7,M10.5.0",
        "CET-1CEST,M3.5,M10.5.0",
        "CET-1CEST,J0,J300",
        "CET-1CEST,J366,J300",
        "CET-1CEST,366,300",
        "CET-1CEST,M3.5.0/168,M10.5.0",
        "CET-1CEST,M3.5.0/-168,M10.5.0",
        "CET-1CEST,M3.5.0/,M10.5.0",
        "CET-1CEST,M3.5.0,M10.5.0/3x",
        "CET-1CE,M3.5.0,M10.5.0",
        "CET-1,M3.5.0,M10.5.0",
        "CET--1",
        "CET-1CEST-2:99,M3.5.0,M10.5.0",
        "\xff\xff\xff",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mm_tz_t tz;
        memset(&tz, 0x55, sizeof tz);
        if (mm_tz_parse(bad[i], &tz) != MM_ERR_ARG) {
            fail_msg("accepted: %s", bad[i]);
        }
        assert_int_equal(tz.standard_offset_s, 0);
        assert_false(tz.has_daylight);
    }
}

static void test_calendar_parse_accepts(void **state) {
    (void)state;
    mm_tz_t tz;
    assert_int_equal(mm_tz_parse("", &tz), MM_OK);
    assert_int_equal(tz.standard_offset_s, 0);
    assert_int_equal(mm_tz_parse("NZST-12NZDT,M9.5.0,M4.1.0/3", &tz), MM_OK);
    assert_int_equal(tz.standard_offset_s, 43200);
    assert_int_equal(tz.daylight_offset_s, 46800);
    assert_int_equal(mm_tz_parse("<-12>+12", &tz), MM_OK);
    assert_int_equal(tz.standard_offset_s, -43200);
    assert_int_equal(mm_tz_parse("AAA0BBB,M1.1.0/-167,M12.5.6/+167:59:59", &tz), MM_OK);
    assert_int_equal(tz.start.time_s, -167 * 3600);
    assert_int_equal(tz.end.time_s, 167 * 3600 + 59 * 60 + 59);
}

// Whatever the text: an answer, and a rule that can be used.
static void test_calendar_parse_survives_damaged_rules(void **state) {
    (void)state;
    srand(2);
    for (int i = 0; i < 20000; i++) {
        char text[MM_TZ_CHARS_MAX + 1];
        const char *zone = zones[(size_t)rand() % (sizeof zones / sizeof zones[0])];
        size_t characters = strlen(zone);
        memcpy(text, zone, characters + 1);
        static const char alphabet[] = "0123456789,./-+<>MJAZ:";
        for (int change = rand() % 3; change >= 0; change--) {
            text[(size_t)rand() % characters] = alphabet[(size_t)rand() % (sizeof alphabet - 1)];
        }
        mm_tz_t tz;
        if (mm_tz_parse(text, &tz) == MM_OK) {
            int64_t utc_s = (int64_t)rand() * 2;
            mm_local_t local = mm_local_from_utc(&tz, utc_s);
            assert_true(local.month >= 1 && local.month <= 12 && local.hour < 24);
            int64_t next_s = mm_next_hour_change(&tz, utc_s);
            assert_true(next_s > utc_s && next_s <= utc_s + 3600);
        }
    }
}

static void test_calendar_refuses_times_before_1970(void **state) {
    (void)state;
    mm_tz_t tz;
    assert_int_equal(mm_tz_parse("", &tz), MM_OK);
    expect_assert_failure(mm_local_from_utc(&tz, -1));
    expect_assert_failure(mm_local_from_utc(&tz, 253402300800));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calendar_local_is_libcs_every_hour_and_around_transitions),
        cmocka_unit_test(test_calendar_local_is_libcs_at_random_times_and_ends),
        cmocka_unit_test(test_calendar_berlin_by_hand),
        cmocka_unit_test(test_calendar_daylight_all_year),
        cmocka_unit_test(test_calendar_daylight_all_year_at_half_past),
        cmocka_unit_test(test_calendar_transitions_cross_the_year),
        cmocka_unit_test(test_calendar_next_hour_change_is_the_first_one),
        cmocka_unit_test(test_calendar_next_hour_change_steps_through_a_year),
        cmocka_unit_test(test_calendar_days_from_civil),
        cmocka_unit_test(test_calendar_parse_refuses),
        cmocka_unit_test(test_calendar_parse_accepts),
        cmocka_unit_test(test_calendar_parse_survives_damaged_rules),
        cmocka_unit_test(test_calendar_refuses_times_before_1970),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
