// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "linux/linux_pulses.h"
#include "linux/pulses_csv.h"
#include "linux/pulses_gpio.h"
#include "linux/pulses_model.h"
#include "linux/pulses_stdin.h"

#ifndef MM_SOURCE_DIR
#define MM_SOURCE_DIR "."
#endif

#define DAY_US ((int64_t)86400 * MM_US_PER_S)
#define T_2015_12_15 ((int64_t)1450137600) // date -u -d 2015-12-15 +%s

static const uint32_t s_1000[MM_CHANNELS] = {1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000};

static mm_utc_t utc(int64_t seconds) {
    return (mm_utc_t){seconds * MM_US_PER_S};
}

// --- CSV -----------------------------------------------------------------------------------------------------------

static char s_csv_path[] = "/tmp/mm-pulses-XXXXXX";

static mm_err_t open_csv(mm_pulses_csv_t *csv, const char *text, const uint32_t constants[MM_CHANNELS],
                         mm_linux_message_t *message) {
    FILE *file = fopen(s_csv_path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    return mm_pulses_csv_open(csv, s_csv_path, constants, message);
}

static uint64_t count(const mm_pulses_csv_t *csv, uint8_t channel, int64_t us_since_first) {
    return mm_pulse_source_expected(&csv->source, channel, (mm_utc_t){csv->first_utc.us + us_since_first});
}

static void test_pulses_csv_interpolates_exactly(void **state) {
    (void)state;
    static const char text[] = "utc_timestamp,a_kwh,b_kwh,c_kwh\r\n"
                               "2015-12-15T00:00:00Z,811.773,0,5\r\n"
                               "2015-12-15T01:00:00Z,812.773,0.000000001,5\r\n"
                               "2015-12-15T04:00:00Z,812.773,999999999.999999999,5.0015\r\n";
    static const uint32_t constants[MM_CHANNELS] = {1000, 10000, 1000};
    mm_pulses_csv_t csv;
    mm_linux_message_t message = {0};
    assert_int_equal(open_csv(&csv, text, constants, &message), MM_OK);
    assert_int_equal(csv.column_count, 3);
    assert_string_equal(csv.columns[0].name, "a");
    assert_true(csv.first_utc.us == T_2015_12_15 * MM_US_PER_S);
    assert_true(csv.last_utc.us == (T_2015_12_15 + 14400) * MM_US_PER_S);
    assert_int_equal(mm_pulses_csv_start_wh(&csv, 0), 811773);

    // 1 kWh in an hour, 1000 pulses: one every 3.6 s, and not a microsecond earlier.
    assert_int_equal(count(&csv, 0, -1), 0);
    assert_int_equal(count(&csv, 0, 0), 0);
    assert_int_equal(count(&csv, 0, 3599999), 0);
    assert_int_equal(count(&csv, 0, 3600000), 1);
    assert_int_equal(count(&csv, 0, 7199999), 1);
    assert_int_equal(count(&csv, 0, 3599999999), 999);
    assert_int_equal(count(&csv, 0, 3600000000), 1000);
    assert_int_equal(count(&csv, 0, 3 * 3600000000), 1000);
    assert_int_equal(count(&csv, 0, INT64_MAX / 2), 1000);

    // The largest numbers: (10^9 - 10^-9) kWh * 10^4, rounded down, without overflow on the way.
    assert_true(count(&csv, 1, 4 * 3600000000) == 9999999999999);
    assert_int_equal(count(&csv, 1, 3600000000), 0);

    // 1.5 pulses: the half one does not count.
    assert_int_equal(count(&csv, 2, 4 * 3600000000), 1);
    assert_int_equal(count(&csv, 3, 4 * 3600000000), 0); // no such column
    mm_pulses_csv_close(&csv);
}

static void test_pulses_csv_gaps(void **state) {
    (void)state;
    static const char text[] = "utc_timestamp,a_kwh,b_kwh\n"
                               "2016-01-01T00:00:00Z,,\n"
                               "2016-01-01T01:00:00Z,10,\n"
                               "2016-01-01T02:00:00Z,,\n"
                               "2016-01-01T03:00:00Z,10.004,\n"
                               "2016-01-01T04:00:00Z,,";
    mm_pulses_csv_t csv;
    mm_linux_message_t message = {0};
    assert_int_equal(open_csv(&csv, text, s_1000, &message), MM_OK);
    assert_int_equal(mm_pulses_csv_start_wh(&csv, 0), 10000);
    const int64_t hour = 3600000000;
    assert_int_equal(count(&csv, 0, hour), 0);
    assert_int_equal(count(&csv, 0, hour + hour / 2 - 1), 0);
    assert_int_equal(count(&csv, 0, hour + hour / 2), 1);
    assert_int_equal(count(&csv, 0, 2 * hour), 2); // between its neighbours
    assert_int_equal(count(&csv, 0, 3 * hour), 4);
    assert_int_equal(count(&csv, 0, 4 * hour), 4);
    assert_int_equal(count(&csv, 1, 4 * hour), 0);
    assert_int_equal(mm_pulses_csv_start_wh(&csv, 1), 0);
    mm_pulses_csv_close(&csv);
}

static void test_pulses_csv_bad_files(void **state) {
    (void)state;
#define ROW "2016-01-01T00:00:00Z,1\n"
#define HEAD "utc_timestamp,a_kwh\n"
    static const struct {
        const char *text;
        const char *place; ///< as the message names it
    } cases[] = {
        {"", ":0: the file is empty"},
        {"\n", ":1: column 1 (header)"},
        {"time,a_kwh\n" ROW, ":1: column 1 (header)"},
        {"Date;Time;Global_active_power\n", ":1: column 1 (header)"},
        {"utc_timestamp\n", ":1: there is no energy column"},
        {"utc_timestamp,a\n", ":1: column 2 (header)"},
        {"utc_timestamp,_kwh\n", ":1: column 2 (header)"},
        {"utc_timestamp,a_kwh,\n", ":1: column 3 (header)"},
        {"utc_timestamp,a_kwh,b_kwh,c_kwh,d_kwh,e_kwh,f_kwh,g_kwh,h_kwh,i_kwh\n", ":1: column 10 (header)"},
        {HEAD, ":1: there is no row"},
        {HEAD "2016-01-01,1\n", ":2: column 1 (utc_timestamp)"},
        {HEAD "2016-01-01 00:00:00Z,1\n", ":2: column 1"},
        {HEAD "2016-02-30T00:00:00Z,1\n", ":2: column 1"},
        {HEAD "2016-13-01T00:00:00Z,1\n", ":2: column 1"},
        {HEAD "2016-01-01T24:00:00Z,1\n", ":2: column 1"},
        {HEAD "2016-01-01T00:60:00Z,1\n", ":2: column 1"},
        {HEAD "1969-12-31T00:00:00Z,1\n", ":2: column 1"},
        {HEAD "2200-01-01T00:00:00Z,1\n", ":2: column 1"},
        {HEAD "2016-01-01T00:00:00+01:00,1\n", ":2: column 1"},
        {HEAD ROW "\n", ":3: column 1"},
        {HEAD ROW "2016-01-01T00:00:00Z,2\n", ":3: column 1 (utc_timestamp): not later"},
        {HEAD ROW "2015-12-31T23:00:00Z,2\n", ":3: column 1 (utc_timestamp): not later"},
        {HEAD ROW "2016-01-01T01:00:00Z\n", ":3: fewer columns"},
        {HEAD ROW "2016-01-01T01:00:00Z,1,1\n", ":3: more columns"},
        {HEAD ROW "2016-01-01T01:00:00Z,0.999999999\n", ":3: column 2 (a): a cumulative value must not decrease"},
        {HEAD ROW "2016-01-01T01:00:00Z,\n2016-01-01T02:00:00Z,0.5\n", ":4: column 2 (a): a cumulative"},
        {HEAD ROW "2016-01-01T01:00:00Z,x\n", ":3: column 2 (a): not a number"},
        {HEAD ROW "2016-01-01T01:00:00Z,-1\n", ":3: column 2"},
        {HEAD ROW "2016-01-01T01:00:00Z,1e3\n", ":3: column 2"},
        {HEAD ROW "2016-01-01T01:00:00Z, 2\n", ":3: column 2"},
        {HEAD ROW "2016-01-01T01:00:00Z,2.\n", ":3: column 2"},
        {HEAD ROW "2016-01-01T01:00:00Z,.5\n", ":3: column 2"},
        {HEAD ROW "2016-01-01T01:00:00Z,2.0000000001\n", ":3: column 2"},
        {HEAD ROW "2016-01-01T01:00:00Z,1000000000\n", ":3: column 2"},
        {HEAD ROW "2016-01-01T01:00:00Z,NaN\n", ":3: column 2"},
        {HEAD ROW "2016-01-01T01:00:00Z,\"2\"\n", ":3: column 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mm_pulses_csv_t csv;
        mm_linux_message_t message = {0};
        assert_int_equal(open_csv(&csv, cases[i].text, s_1000, &message), MM_ERR_ARG);
        if (strstr(message.text, cases[i].place) == NULL || strstr(message.text, s_csv_path) != message.text) {
            fail_msg("'%s' does not say '%s'", message.text, cases[i].place);
        }
    }
    mm_pulses_csv_t csv;
    mm_linux_message_t message = {0};
    assert_int_equal(mm_pulses_csv_open(&csv, "/nonexistent.csv", s_1000, &message), MM_ERR_STORAGE);
    assert_non_null(strstr(message.text, "/nonexistent.csv"));
    assert_int_equal(mm_pulses_csv_open(&csv, "/tmp", s_1000, &message), MM_ERR_STORAGE);
}

static void test_pulses_csv_generation_belongs_to_the_content(void **state) {
    (void)state;
    mm_pulses_csv_t csv;
    mm_linux_message_t message = {0};
    uint32_t other[MM_CHANNELS] = {2000};
    assert_int_equal(open_csv(&csv, HEAD ROW, s_1000, &message), MM_OK);
    uint32_t generation = csv.source.generation;
    mm_pulses_csv_close(&csv);
    assert_int_equal(open_csv(&csv, HEAD ROW, s_1000, &message), MM_OK);
    assert_int_equal(csv.source.generation, generation);
    mm_pulses_csv_close(&csv);
    assert_int_equal(open_csv(&csv, HEAD ROW, other, &message), MM_OK);
    assert_int_not_equal(csv.source.generation, generation);
    mm_pulses_csv_close(&csv);
    assert_int_equal(open_csv(&csv, HEAD "2016-01-01T00:00:00Z,2\n", s_1000, &message), MM_OK);
    assert_int_not_equal(csv.source.generation, generation);
    mm_pulses_csv_close(&csv);
}

// Thousandths of kWh in a cell of the real files: three decimals always.
static uint64_t milli_kwh(const char *cell) {
    char *end = NULL;
    uint64_t whole = strtoull(cell, &end, 10);
    assert_int_equal(*end, '.');
    uint64_t decimals = strtoull(end + 1, &end, 10);
    return whole * 1000 + decimals;
}

static bool check_real_file(const char *name) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s/../shared/data/%s", MM_SOURCE_DIR, name);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    static const uint32_t constants[MM_CHANNELS] = {1000, 800, 3200, 10000, 100, 1600, 5000, 1234};
    mm_pulses_csv_t csv;
    mm_linux_message_t message = {0};
    assert_int_equal(mm_pulses_csv_probe(path, &message), MM_OK);
    if (mm_pulses_csv_open(&csv, path, constants, &message) != MM_OK) {
        fail_msg("%s", message.text);
    }
    char line[512];
    uint64_t first[MM_CHANNELS] = {0};
    uint64_t before[MM_CHANNELS] = {0};
    int64_t hour = csv.first_utc.us / MM_US_PER_S;
    unsigned rows = 0;
    assert_non_null(fgets(line, sizeof line, file));
    while (fgets(line, sizeof line, file) != NULL) {
        char *rest = line;
        (void)strsep(&rest, ",");
        for (uint8_t i = 0; i < MM_CHANNELS; i++) {
            uint64_t value = milli_kwh(strsep(&rest, ","));
            first[i] = rows == 0 ? value : first[i];
            uint64_t expected = (value - first[i]) * constants[i] / 1000;
            assert_true(mm_pulse_source_expected(&csv.source, i, utc(hour)) == expected);
            // Half way it is between the two.
            uint64_t half = mm_pulse_source_expected(&csv.source, i, utc(hour - 1800));
            assert_true(before[i] <= half && half <= expected);
            before[i] = expected;
            if (rows == 0) {
                assert_true(mm_pulses_csv_start_wh(&csv, i) == value);
            }
        }
        hour += 3600; // the files have every hour
        rows++;
    }
    assert_true(csv.last_utc.us == (hour - 3600) * MM_US_PER_S);
    assert_true(rows > 900);
    (void)fclose(file);
    mm_pulses_csv_close(&csv);
    return true;
}

static void test_pulses_csv_real_files(void **state) {
    (void)state;
    if (!check_real_file("house4-2015-12.csv")) {
        print_message("skipped: ../shared/data is not there\n");
        skip();
    }
    assert_true(check_real_file("house4-2016-03.csv"));
    assert_true(check_real_file("house4-2016-06.csv"));
    char path[512];
    mm_linux_message_t message = {0};
    (void)snprintf(path, sizeof path, "%s/../shared/data/household-minutes-2006-12.csv", MM_SOURCE_DIR);
    assert_int_equal(mm_pulses_csv_probe(path, &message), MM_ERR_ARG); // another kind of file
    assert_non_null(strstr(message.text, "household-minutes"));
}

// --- load model ----------------------------------------------------------------------------------------------------

static void open_model(mm_pulses_model_t *model, uint64_t seed, int64_t origin_s, const char *tz) {
    mm_pulses_model_options_t options = {.seed = seed, .origin_utc = utc(origin_s)};
    memcpy(options.pulse_constants, s_1000, sizeof s_1000);
    assert_int_equal(mm_tz_parse(tz, &options.tz), MM_OK);
    mm_linux_message_t message = {0};
    assert_int_equal(mm_pulses_model_open(model, &options, &message), MM_OK);
}

static uint64_t wh(const mm_pulses_model_t *model, uint8_t channel, int64_t from_s, int64_t to_s) {
    return mm_pulse_source_expected(&model->source, channel, utc(to_s)) -
           mm_pulse_source_expected(&model->source, channel, utc(from_s));
}

static void test_pulses_model_is_plausible(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        mm_pulses_model_t model;
        open_model(&model, seed, T_2015_12_15, "");
        for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
            uint64_t night = 0;
            uint64_t evening = 0;
            for (int64_t day = 0; day < 366; day++) {
                int64_t begin = T_2015_12_15 + day * 86400;
                uint64_t daily = wh(&model, channel, begin, begin + 86400);
                if (daily < 3000 || daily > 15000) {
                    fail_msg("seed %llu, channel %u, day %lld: %llu Wh", (unsigned long long)seed, channel,
                             (long long)day, (unsigned long long)daily);
                }
                night += wh(&model, channel, begin + 7200, begin + 18000);
                evening += wh(&model, channel, begin + 64800, begin + 75600);
            }
            assert_true(evening > 3 * night);
        }
        // Heating: January costs more than July.
        assert_true(wh(&model, 0, 1451606400, 1454284800) > wh(&model, 0, 1467331200, 1470009600) * 11 / 10);
        mm_pulses_model_close(&model);
    }
}

static void test_pulses_model_is_a_function_of_time(void **state) {
    (void)state;
    mm_pulses_model_t model;
    mm_pulses_model_t other;
    mm_pulses_model_t later;
    open_model(&model, 7, T_2015_12_15 + 12345, "CET-1CEST,M3.5.0,M10.5.0/3");
    assert_int_equal(mm_pulse_source_expected(&model.source, 0, utc(T_2015_12_15)), 0);
    assert_int_equal(mm_pulse_source_expected(&model.source, 0, utc(T_2015_12_15 + 12345)), 0);
    // A minute after the origin it is the energy of a minute, not of the day so far.
    assert_true(mm_pulse_source_expected(&model.source, 0, utc(T_2015_12_15 + 12345 + 60)) < 10);
    uint64_t before[MM_CHANNELS] = {0};
    // Every 7 minutes for 100 days, over a change of daylight time too.
    for (int64_t at = 0; at < (int64_t)100 * 86400; at += 420) {
        for (uint8_t i = 0; i < MM_CHANNELS; i++) {
            uint64_t now = mm_pulse_source_expected(&model.source, i, utc(T_2015_12_15 + 12345 + at));
            assert_true(now >= before[i] && now - before[i] < 1000); // 8 kW at most
            before[i] = now;
        }
    }
    // Another process, asked in another order.
    open_model(&other, 7, T_2015_12_15 + 12345, "CET-1CEST,M3.5.0,M10.5.0/3");
    assert_int_equal(other.source.generation, model.source.generation);
    for (int64_t at = (int64_t)99 * 86400; at > 0; at -= 86400 * 3 + 1234) {
        for (uint8_t i = 0; i < MM_CHANNELS; i++) {
            mm_utc_t time = utc(T_2015_12_15 + 12345 + at);
            assert_true(mm_pulse_source_expected(&other.source, i, time) ==
                        mm_pulse_source_expected(&model.source, i, time));
        }
    }
    mm_pulses_model_close(&other);
    open_model(&other, 8, T_2015_12_15 + 12345, "CET-1CEST,M3.5.0,M10.5.0/3");
    assert_int_not_equal(other.source.generation, model.source.generation);
    assert_true(mm_pulse_source_expected(&other.source, 0, utc(T_2015_12_15 + 86400)) !=
                mm_pulse_source_expected(&model.source, 0, utc(T_2015_12_15 + 86400)));

    // The power does not depend on the origin, so a difference of counts is the sum of the minutes' powers.
    open_model(&later, 7, 1451606400, "CET-1CEST,M3.5.0,M10.5.0/3");
    uint64_t sum_wmin = 0;
    for (int64_t minute = 1451606400 / 60; minute < 1451606400 / 60 + 3000; minute++) {
        sum_wmin += mm_pulses_model_watts(&model, 5, minute);
    }
    assert_true(mm_pulse_source_expected(&later.source, 5, utc(1451606400 + 3000 * 60)) == sum_wmin / 60);
    // Within a minute the power is even: half of it after half a minute.
    uint64_t watts = mm_pulses_model_watts(&later, 5, 1451606400 / 60);
    uint64_t after_30_s = mm_pulse_source_expected(&later.source, 5, utc(1451606400 + 30));
    assert_true(after_30_s == watts * 30 / 3600);
    mm_pulses_model_close(&model);
    mm_pulses_model_close(&other);
    mm_pulses_model_close(&later);
}

static void test_pulses_model_origin_refused(void **state) {
    (void)state;
    mm_pulses_model_t model;
    mm_pulses_model_options_t options = {.origin_utc = utc(0)};
    mm_linux_message_t message = {0};
    assert_int_equal(mm_pulses_model_open(&model, &options, &message), MM_ERR_ARG);
    options.origin_utc = utc(7258118400);
    assert_int_equal(mm_pulses_model_open(&model, &options, &message), MM_ERR_ARG);
    assert_true(strlen(message.text) > 0);
}

// --- standard input ------------------------------------------------------------------------------------------------

static uint64_t s_bad_lines[16];
static size_t s_bad_line_count;

static void note_bad_line(void *context, uint64_t line_number, const char *line) {
    (void)context;
    assert_non_null(line);
    assert_true(s_bad_line_count < 16);
    s_bad_lines[s_bad_line_count++] = line_number;
}

static void put(int file, const char *text, size_t bytes_count) {
    assert_int_equal(write(file, text, bytes_count), (ssize_t)bytes_count);
}

static void test_pulses_stdin_lines(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    mm_pulses_stdin_t input;
    s_bad_line_count = 0;
    mm_pulses_stdin_init(&input, ends[0], 77, note_bad_line, NULL);
    assert_false(mm_pulses_stdin_poll(&input)); // nothing there: does not wait
    put(ends[1], "1 5\n", 4);
    assert_true(mm_pulses_stdin_poll(&input));
    // A line in pieces.
    put(ends[1], "8 10", 4);
    assert_false(mm_pulses_stdin_poll(&input));
    put(ends[1], "00000\r\n", 7);
    assert_true(mm_pulses_stdin_poll(&input));
    static const char bad[] = "# comment\n"              // 3
                              "\n"                       // 4
                              "  1\t2  \n"               // 5 good
                              "0 1\n"                    // 6
                              "9 1\n"                    // 7
                              "1 1000001\n"              // 8
                              "1 -1\n"                   // 9
                              "1\n"                      // 10
                              "1 1 1\n"                  // 11
                              "one 1\n"                  // 12
                              "1 99999999999999999999\n" // 13
                              "1 1\0\n"                  // 14
                              "2 0\n";                   // 15 good
    put(ends[1], bad, sizeof bad - 1);
    assert_true(mm_pulses_stdin_poll(&input));
    static const uint64_t expected[] = {6, 7, 8, 9, 10, 11, 12, 13, 14};
    assert_int_equal(s_bad_line_count, 9);
    assert_memory_equal(s_bad_lines, expected, sizeof expected);
    // A line without end is cut, refused, and the next one is good again.
    char longest[1000];
    memset(longest, ' ', sizeof longest);
    longest[0] = '1';
    longest[2] = '1';
    longest[998] = '1';
    longest[999] = '\n';
    put(ends[1], longest, sizeof longest);
    put(ends[1], "3 4", 3);
    (void)close(ends[1]);
    assert_true(mm_pulses_stdin_poll(&input)); // the last line may lack its end
    assert_int_equal(s_bad_line_count, 10);
    assert_int_equal(s_bad_lines[9], 16);
    assert_int_equal(input.bad_lines, 10);
    assert_int_equal(input.file, -1);
    assert_false(mm_pulses_stdin_poll(&input));

    assert_int_equal(mm_pulse_source_expected(&input.source, 0, utc(0)), 7);
    assert_int_equal(mm_pulse_source_expected(&input.source, 1, utc(0)), 0);
    assert_int_equal(mm_pulse_source_expected(&input.source, 2, utc(0)), 4);
    assert_int_equal(mm_pulse_source_expected(&input.source, 7, utc(0)), 1000000);
    assert_int_equal(input.source.generation, 77);
    (void)close(ends[0]);
}

// --- GPIO ----------------------------------------------------------------------------------------------------------

#define MS ((int64_t)1000)

static void test_pulse_debounce_clean_pulses(void **state) {
    (void)state;
    mm_pulse_debounce_t input;
    mm_pulse_debounce_init(&input, MM_PULSES_GPIO_PULSE_MIN_US, false, 0);
    assert_true(mm_pulse_debounce_poll(&input, 5 * MS) == MM_US_NEVER);
    // The shortest pulses of the standard: 30 ms closed, 30 ms open.
    for (int64_t i = 0; i < 100; i++) {
        mm_pulse_debounce_edge(&input, true, (100 + 60 * i) * MS);
        mm_pulse_debounce_edge(&input, false, (130 + 60 * i) * MS);
    }
    assert_int_equal(input.count, 100);
    // Counted while the contact is still closed, as soon as it is certain.
    mm_pulse_debounce_edge(&input, true, 10000 * MS);
    assert_int_equal(mm_pulse_debounce_poll(&input, 10014 * MS), 10015 * MS);
    assert_int_equal(input.count, 100);
    assert_true(mm_pulse_debounce_poll(&input, 10015 * MS) == MM_US_NEVER);
    assert_int_equal(input.count, 101);
    assert_true(mm_pulse_debounce_poll(&input, 99999 * MS) == MM_US_NEVER);
    assert_int_equal(input.count, 101);
}

static void test_pulse_debounce_bounces(void **state) {
    (void)state;
    mm_pulse_debounce_t input;
    mm_pulse_debounce_init(&input, MM_PULSES_GPIO_PULSE_MIN_US, false, 0);
    // 5 ms of bouncing when it closes and again when it opens: one pulse.
    int64_t at = 100 * MS;
    for (int i = 0; i < 10; i++) {
        mm_pulse_debounce_edge(&input, i % 2 == 0, at);
        at += 500;
    }
    mm_pulse_debounce_edge(&input, true, at);
    at += 60 * MS;
    for (int i = 0; i < 10; i++) {
        mm_pulse_debounce_edge(&input, i % 2 == 1, at);
        at += 500;
    }
    mm_pulse_debounce_edge(&input, false, at);
    (void)mm_pulse_debounce_poll(&input, at + 50 * MS);
    assert_int_equal(input.count, 1);
    // Spikes of 14 ms are noise, in both directions.
    for (int i = 0; i < 10; i++) {
        at += 200 * MS;
        mm_pulse_debounce_edge(&input, true, at);
        mm_pulse_debounce_edge(&input, false, at + 14 * MS);
    }
    (void)mm_pulse_debounce_poll(&input, at + 50 * MS);
    assert_int_equal(input.count, 1);
    at += 200 * MS;
    mm_pulse_debounce_edge(&input, true, at);
    mm_pulse_debounce_edge(&input, false, at + 100 * MS);
    mm_pulse_debounce_edge(&input, true, at + 114 * MS);
    mm_pulse_debounce_edge(&input, false, at + 200 * MS);
    assert_int_equal(input.count, 2);
    // Time stamps that run backwards and edges that were lost do no harm: the pause was no longer than an instant.
    mm_pulse_debounce_edge(&input, false, at);
    mm_pulse_debounce_edge(&input, true, at - 1);
    assert_true(input.since_us == at + 200 * MS);
    mm_pulse_debounce_edge(&input, true, at + 300 * MS);
    (void)mm_pulse_debounce_poll(&input, at + 400 * MS);
    assert_int_equal(input.count, 2);
}

static void test_pulse_debounce_starts_closed(void **state) {
    (void)state;
    mm_pulse_debounce_t input;
    mm_pulse_debounce_init(&input, MM_PULSES_GPIO_PULSE_MIN_US, true, 0);
    (void)mm_pulse_debounce_poll(&input, 1000 * MS);
    assert_int_equal(input.count, 0);
    mm_pulse_debounce_edge(&input, false, 2000 * MS);
    mm_pulse_debounce_edge(&input, true, 2100 * MS);
    (void)mm_pulse_debounce_poll(&input, 2200 * MS);
    assert_int_equal(input.count, 1);
    // Without debouncing each closing counts.
    mm_pulse_debounce_init(&input, 0, false, 0);
    for (int64_t i = 0; i < 5; i++) {
        mm_pulse_debounce_edge(&input, true, i * 2);
        mm_pulse_debounce_edge(&input, false, i * 2 + 1);
    }
    assert_int_equal(input.count, 5);
}

static void test_pulses_gpio_absent_chip_is_named(void **state) {
    (void)state;
    mm_pulses_gpio_t gpio;
    mm_linux_message_t message = {0};
    const uint32_t lines[] = {1};
    assert_int_equal(mm_pulses_gpio_open(&gpio, "gpiochip-none", lines, 1, 30000, 1, &message), MM_ERR_UNAVAILABLE);
    assert_non_null(strstr(message.text, "gpiochip-none"));
    assert_true(mm_pulses_gpio_poll(&gpio) == MM_US_NEVER);
    mm_pulses_gpio_close(&gpio);
}

// --- the node's counters -------------------------------------------------------------------------------------------

static void test_linux_pulses_shift_begin_and_end(void **state) {
    (void)state;
    static const char text[] = "utc_timestamp,a_kwh,b_kwh\n"
                               "2015-12-15T00:00:00Z,0,0\n"
                               "2015-12-15T10:00:00Z,10,5\n";
    mm_pulses_csv_t csv;
    mm_linux_message_t message = {0};
    assert_int_equal(open_csv(&csv, text, s_1000, &message), MM_OK);
    // Wall time is a day later than the file; now = 0 is an hour before the file's second hour.
    mm_linux_clock_t clock = {.speed = 1, .anchor_utc_us = (T_2015_12_15 + 86400) * MM_US_PER_S};
    mm_linux_pulses_options_t options = {.clock = &clock, .shift_us = DAY_US};
    options.inputs[0] = (mm_linux_pulses_input_t){&csv.source, 0};
    options.inputs[5] = (mm_linux_pulses_input_t){&csv.source, 1};
    mm_linux_pulses_t pulses;
    mm_linux_pulses_init(&pulses, &options);
    uint32_t generation = pulses.generation;
    mm_pulse_counts_t counts;
    assert_int_equal(pulses.pulses.read(pulses.pulses.context, 0, &counts), MM_OK);
    assert_int_equal(counts.counts[0], 0);
    assert_int_equal(pulses.pulses.read(pulses.pulses.context, 3600 * MM_US_PER_S, &counts), MM_OK);
    assert_int_equal(counts.generation, generation);
    assert_int_equal(counts.counts[0], 1000);
    assert_int_equal(counts.counts[5], 500);
    assert_int_equal(counts.counts[1], 0);

    options.begin_utc = utc(T_2015_12_15 + 86400 + 3600);
    options.end_utc = utc(T_2015_12_15 + 86400 + 10800);
    mm_linux_pulses_init(&pulses, &options);
    assert_int_not_equal(pulses.generation, generation);
    generation = pulses.generation;
    assert_int_equal(pulses.pulses.read(pulses.pulses.context, 1800 * MM_US_PER_S, &counts), MM_OK);
    assert_int_equal(counts.counts[0], 0);
    assert_int_equal(pulses.pulses.read(pulses.pulses.context, 7200 * MM_US_PER_S, &counts), MM_OK);
    assert_int_equal(counts.counts[0], 1000);
    assert_int_equal(pulses.pulses.read(pulses.pulses.context, 32400 * MM_US_PER_S, &counts), MM_OK);
    assert_int_equal(counts.counts[0], 2000);
    assert_int_equal(mm_linux_pulses_expected(&pulses, 5, utc(T_2015_12_15 + (int64_t)10 * 86400)), 1000);

    // A run that is prolonged goes on with the same counters.
    options.end_utc = (mm_utc_t){0};
    mm_linux_pulses_init(&pulses, &options);
    assert_int_equal(pulses.generation, generation);
    assert_int_equal(mm_linux_pulses_expected(&pulses, 0, utc(T_2015_12_15 + (int64_t)10 * 86400)), 9000);
    mm_pulses_csv_close(&csv);
}

static int make_file(void **state) {
    (void)state;
    int file = mkstemp(s_csv_path);
    return file >= 0 ? close(file) : -1;
}

static int remove_file(void **state) {
    (void)state;
    return unlink(s_csv_path);
}

// --- supply --------------------------------------------------------------------------------------------------------

// A source that makes one pulse a second.
static uint64_t seconds_count(void *context, uint8_t channel, mm_utc_t time) {
    (void)context;
    (void)channel;
    return (uint64_t)(time.us / MM_US_PER_S);
}

static void open_seconds(mm_linux_pulses_t *pulses) {
    static const mm_pulse_source_t s_source = {.count = seconds_count, .generation = 1};
    const mm_linux_pulses_options_t options = {.inputs = {{&s_source, 0}, {&s_source, 1}}, .begin_utc = utc(1000)};
    mm_linux_pulses_init(pulses, &options);
}

static void assert_count(const mm_linux_pulses_t *pulses, uint8_t channel, int64_t at_s, uint64_t expected) {
    assert_int_equal(mm_linux_pulses_expected(pulses, channel, utc(at_s)), expected);
}

static void test_linux_pulses_stop_without_supply(void **state) {
    (void)state;
    mm_linux_pulses_t pulses;
    open_seconds(&pulses);
    assert_true(mm_linux_pulses_has_supply(&pulses, 0));
    assert_false(mm_linux_pulses_set_supply(&pulses, 0, true, utc(1050))); // as it is
    assert_true(mm_linux_pulses_set_supply(&pulses, 0, false, utc(1100)));
    assert_false(mm_linux_pulses_set_supply(&pulses, 0, false, utc(1120))); // off since then, not anew
    assert_false(mm_linux_pulses_has_supply(&pulses, 0));
    assert_count(&pulses, 0, 1099, 99);
    assert_count(&pulses, 0, 1100, 100);
    assert_count(&pulses, 0, 5000, 100);
    assert_count(&pulses, 1, 5000, 4000); // the neighbour's goes on
    assert_true(mm_linux_pulses_set_supply(&pulses, 0, true, utc(1300)));
    // Boundaries that have passed are asked for afterwards: the count never goes back.
    assert_count(&pulses, 0, 1200, 100);
    assert_count(&pulses, 0, 1300, 100);
    assert_count(&pulses, 0, 1301, 101);
    assert_true(mm_linux_pulses_set_supply(&pulses, 0, false, utc(1400)));
    assert_true(mm_linux_pulses_set_supply(&pulses, 0, true, utc(1410)));
    assert_count(&pulses, 0, 1399, 199);
    assert_count(&pulses, 0, 1405, 200);
    assert_count(&pulses, 0, 1500, 290);
}

static void test_linux_pulses_supply_and_a_clock_set_back(void **state) {
    (void)state;
    mm_linux_pulses_t pulses;
    open_seconds(&pulses);
    assert_true(mm_linux_pulses_set_supply(&pulses, 0, false, utc(1100)));
    assert_true(mm_linux_pulses_set_supply(&pulses, 0, true, utc(1090)));
    assert_count(&pulses, 0, 1110, 110);
    assert_true(mm_linux_pulses_set_supply(&pulses, 0, false, utc(1080)));
    assert_count(&pulses, 0, 1110, 100);
    assert_true(mm_linux_pulses_set_supply(&pulses, 0, true, utc(1120)));
    assert_count(&pulses, 0, 1130, 110);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pulses_csv_interpolates_exactly),
        cmocka_unit_test(test_pulses_csv_gaps),
        cmocka_unit_test(test_pulses_csv_bad_files),
        cmocka_unit_test(test_pulses_csv_generation_belongs_to_the_content),
        cmocka_unit_test(test_pulses_csv_real_files),
        cmocka_unit_test(test_pulses_model_is_plausible),
        cmocka_unit_test(test_pulses_model_is_a_function_of_time),
        cmocka_unit_test(test_pulses_model_origin_refused),
        cmocka_unit_test(test_pulses_stdin_lines),
        cmocka_unit_test(test_pulse_debounce_clean_pulses),
        cmocka_unit_test(test_pulse_debounce_bounces),
        cmocka_unit_test(test_pulse_debounce_starts_closed),
        cmocka_unit_test(test_pulses_gpio_absent_chip_is_named),
        cmocka_unit_test(test_linux_pulses_shift_begin_and_end),
        cmocka_unit_test(test_linux_pulses_stop_without_supply),
        cmocka_unit_test(test_linux_pulses_supply_and_a_clock_set_back),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
