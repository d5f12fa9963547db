// SPDX-License-Identifier: Apache-2.0
#include "pulses_csv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define FILE_BYTES_MAX ((size_t)256 << 20)
#define INTEGER_DIGITS_MAX 9
#define DECIMALS 9
#define YEAR_MAX 2199
#define TIME_COLUMN "utc_timestamp"
#define ENERGY_SUFFIX "_kwh"
#define HEADER_BYTES_MAX 2048

__extension__ typedef unsigned __int128 u128_t;

// What is being read, for messages.
typedef struct {
    const char *path;
    size_t line;
    mm_linux_message_t *message;
} place_t;

static mm_err_t refuse(const place_t *place, unsigned column, const char *name, const char *problem, const char *text) {
    mm_linux_message_set(place->message, "%s:%zu: column %u (%s): %s: '%.40s'", place->path, place->line, column, name,
                         problem, text);
    return MM_ERR_ARG;
}

static mm_err_t refuse_line(const place_t *place, const char *problem) {
    mm_linux_message_set(place->message, "%s:%zu: %s", place->path, place->line, problem);
    return MM_ERR_ARG;
}

// Cut the next field off *rest (NULL when there is no more).
static char *take_field(char **rest) {
    char *field = *rest;
    if (field != NULL) {
        char *comma = strchr(field, ',');
        if (comma != NULL) {
            *comma = '\0';
        }
        *rest = comma != NULL ? comma + 1 : NULL;
    }
    return field;
}

// --- header --------------------------------------------------------------------------------------------------------

static mm_err_t read_header(mm_pulses_csv_t *self, char *line, const place_t *place) {
    char *rest = line;
    const char *field = take_field(&rest);
    if (strcmp(field, TIME_COLUMN) != 0) {
        return refuse(place, 1, "header", "the first column must be " TIME_COLUMN, field);
    }
    unsigned column = 1;
    while ((field = take_field(&rest)) != NULL) {
        column++;
        size_t length = strlen(field);
        size_t suffix = strlen(ENERGY_SUFFIX);
        if (length <= suffix || strcmp(field + length - suffix, ENERGY_SUFFIX) != 0) {
            return refuse(place, column, "header", "an energy column must be called NAME" ENERGY_SUFFIX, field);
        }
        if (length - suffix > MM_PULSES_CSV_NAME_CHARS_MAX) {
            return refuse(place, column, "header", "the name is too long", field);
        }
        if (self->column_count == MM_CHANNELS) {
            return refuse(place, column, "header", "a node has 8 meters, this is a column too many", field);
        }
        mm_pulses_csv_column_t *added = &self->columns[self->column_count++];
        memcpy(added->name, field, length - suffix);
        added->name[length - suffix] = '\0';
    }
    return self->column_count > 0 ? MM_OK : refuse_line(place, "there is no energy column");
}

// --- rows ----------------------------------------------------------------------------------------------------------

static bool read_digits(const char *text, size_t count, int *number) {
    *number = 0;
    for (size_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        *number = *number * 10 + (text[i] - '0');
    }
    return true;
}

static bool read_time(const char *text, int64_t *utc_s) {
    static const char form[] = "0000-00-00T00:00:00Z";
    if (strlen(text) != sizeof form - 1) {
        return false;
    }
    for (size_t i = 0; i < sizeof form - 1; i++) {
        if (form[i] != '0' && form[i] != text[i]) {
            return false;
        }
    }
    int year;
    int month;
    struct tm time = {0};
    if (!read_digits(text, 4, &year) || !read_digits(text + 5, 2, &month) || !read_digits(text + 8, 2, &time.tm_mday) ||
        !read_digits(text + 11, 2, &time.tm_hour) || !read_digits(text + 14, 2, &time.tm_min) ||
        !read_digits(text + 17, 2, &time.tm_sec) || year < 1970 || year > YEAR_MAX) {
        return false;
    }
    time.tm_year = year - 1900;
    time.tm_mon = month - 1;
    struct tm normal = time;
    time_t seconds = timegm(&normal);
    // timegm takes 31 April for 1 May; such a file has been made by hand and is wrong elsewhere too.
    if (normal.tm_mday != time.tm_mday || normal.tm_mon != time.tm_mon || normal.tm_hour != time.tm_hour ||
        normal.tm_min != time.tm_min || normal.tm_sec != time.tm_sec) {
        return false;
    }
    *utc_s = (int64_t)seconds;
    return true;
}

static bool read_energy(const char *text, uint64_t *energy_nkwh) {
    uint64_t value = 0;
    size_t integers = strspn(text, "0123456789");
    if (integers == 0 || integers > INTEGER_DIGITS_MAX) {
        return false;
    }
    for (size_t i = 0; i < integers; i++) {
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    const char *fraction = text + integers;
    size_t decimals = 0;
    if (*fraction == '.') {
        fraction++;
        decimals = strspn(fraction, "0123456789");
        if (decimals == 0 || decimals > DECIMALS) {
            return false;
        }
    }
    if (fraction[decimals] != '\0') {
        return false;
    }
    for (size_t i = 0; i < DECIMALS; i++) {
        value = value * 10 + (i < decimals ? (uint64_t)(fraction[i] - '0') : 0);
    }
    *energy_nkwh = value;
    return true;
}

static mm_err_t add_reading(mm_pulses_csv_column_t *column, unsigned number, const char *text, int64_t utc_s,
                            const place_t *place) {
    uint64_t energy_nkwh;
    if (!read_energy(text, &energy_nkwh)) {
        return refuse(place, number, column->name, "not a number of kWh", text);
    }
    if (column->reading_count > 0 && energy_nkwh < column->readings[column->reading_count - 1].energy_nkwh) {
        return refuse(place, number, column->name, "a cumulative value must not decrease", text);
    }
    column->readings[column->reading_count++] = (mm_pulses_csv_reading_t){.utc_s = utc_s, .energy_nkwh = energy_nkwh};
    return MM_OK;
}

static mm_err_t read_row(mm_pulses_csv_t *self, char *line, bool is_first, const place_t *place) {
    char *rest = line;
    const char *field = take_field(&rest);
    int64_t utc_s;
    if (!read_time(field, &utc_s)) {
        return refuse(place, 1, TIME_COLUMN, "not a time like 2015-12-31T23:00:00Z", field);
    }
    if (!is_first && utc_s * MM_US_PER_S <= self->last_utc.us) {
        return refuse(place, 1, TIME_COLUMN, "not later than the row before", field);
    }
    self->last_utc.us = utc_s * MM_US_PER_S;
    if (is_first) {
        self->first_utc = self->last_utc;
    }
    for (unsigned i = 0; i < self->column_count; i++) {
        field = take_field(&rest);
        if (field == NULL) {
            return refuse_line(place, "fewer columns than the header has");
        }
        if (*field != '\0') {
            mm_err_t err = add_reading(&self->columns[i], i + 2, field, utc_s, place);
            if (err != MM_OK) {
                return err;
            }
        }
    }
    return rest == NULL ? MM_OK : refuse_line(place, "more columns than the header has");
}

// --- file ----------------------------------------------------------------------------------------------------------

static mm_err_t cannot_read(const char *path, int cause, mm_linux_message_t *message) {
    mm_linux_message_set(message, "%s: cannot be read: %s", path, strerror(cause));
    return MM_ERR_STORAGE;
}

// At most limit_bytes of the file, zero terminated; the caller frees.
static mm_err_t load(const char *path, size_t limit_bytes, char **text, size_t *size_bytes,
                     mm_linux_message_t *message) {
    FILE *file = fopen(path, "rbe");
    struct stat status;
    if (file == NULL) {
        return cannot_read(path, errno, message);
    }
    int cause = 0;
    if (fstat(fileno(file), &status) != 0) {
        cause = errno;
    } else if (S_ISDIR(status.st_mode)) {
        cause = EISDIR;
    }
    size_t wanted = cause == 0 && status.st_size > 0 ? (size_t)status.st_size : 0;
    wanted = wanted > limit_bytes ? limit_bytes : wanted;
    *text = cause == 0 ? malloc(wanted + 1) : NULL;
    if (*text == NULL) {
        (void)fclose(file);
        return cannot_read(path, cause == 0 ? ENOMEM : cause, message);
    }
    *size_bytes = fread(*text, 1, wanted, file);
    (*text)[*size_bytes] = '\0';
    bool failed = ferror(file) != 0;
    (void)fclose(file);
    if (failed) {
        free(*text);
        return cannot_read(path, EIO, message);
    }
    return MM_OK;
}

// Cut the next line off *rest; NULL at the end.
static char *take_line(char **rest, place_t *place) {
    char *line = *rest;
    if (line == NULL || *line == '\0') {
        return NULL;
    }
    char *end = strchr(line, '\n');
    *rest = end != NULL ? end + 1 : NULL;
    if (end != NULL) {
        *end = '\0';
    }
    size_t length = strlen(line);
    if (length > 0 && line[length - 1] == '\r') {
        line[length - 1] = '\0';
    }
    place->line++;
    return line;
}

static size_t count_lines(const char *text) {
    size_t count = 1;
    for (const char *next = strchr(text, '\n'); next != NULL; next = strchr(next + 1, '\n')) {
        count++;
    }
    return count;
}

static mm_err_t allocate(mm_pulses_csv_t *self, size_t row_count, const char *path, mm_linux_message_t *message) {
    for (unsigned i = 0; i < self->column_count; i++) {
        self->columns[i].readings = calloc(row_count, sizeof *self->columns[i].readings);
        if (self->columns[i].readings == NULL) {
            return cannot_read(path, ENOMEM, message);
        }
    }
    return MM_OK;
}

static mm_err_t parse(mm_pulses_csv_t *self, char *text, place_t *place) {
    size_t row_count = count_lines(text);
    char *rest = text;
    char *line = take_line(&rest, place);
    if (line == NULL) {
        return refuse_line(place, "the file is empty");
    }
    mm_err_t err = read_header(self, line, place);
    if (err == MM_OK) {
        err = allocate(self, row_count, place->path, place->message);
    }
    bool is_first = true;
    while (err == MM_OK && (line = take_line(&rest, place)) != NULL) {
        err = read_row(self, line, is_first, place);
        is_first = false;
    }
    if (err == MM_OK && is_first) {
        err = refuse_line(place, "there is no row behind the header");
    }
    return err;
}

mm_err_t mm_pulses_csv_probe(const char *path, mm_linux_message_t *message) {
    char *text = NULL;
    size_t size_bytes = 0;
    mm_err_t err = load(path, HEADER_BYTES_MAX, &text, &size_bytes, message);
    if (err != MM_OK) {
        return err;
    }
    place_t place = {.path = path, .message = message};
    mm_pulses_csv_t parsed = {0};
    char *rest = text;
    char *line = take_line(&rest, &place);
    err = line == NULL ? refuse_line(&place, "the file is empty") : read_header(&parsed, line, &place);
    free(text);
    return err;
}

// --- counts --------------------------------------------------------------------------------------------------------

static uint64_t count_of(const mm_pulses_csv_column_t *column, u128_t energy, uint64_t divisor) {
    // At most 10^18 nkWh * 10^4 * 10^16 us of difference: below 2^127.
    return (uint64_t)(energy * column->pulse_constant / ((u128_t)1000000000U * divisor));
}

static uint64_t count_at(void *context, uint8_t channel, mm_utc_t utc) {
    const mm_pulses_csv_t *self = context;
    MM_ASSERT(channel < MM_CHANNELS);
    const mm_pulses_csv_column_t *column = &self->columns[channel];
    const mm_pulses_csv_reading_t *readings = column->readings;
    if (channel >= self->column_count || column->reading_count == 0 || utc.us <= readings[0].utc_s * MM_US_PER_S) {
        return 0;
    }
    // readings[low] is the last one not later than utc.
    size_t low = 0;
    size_t high = column->reading_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (readings[middle].utc_s * MM_US_PER_S <= utc.us) {
            low = middle;
        } else {
            high = middle;
        }
    }
    uint64_t base = readings[low].energy_nkwh - readings[0].energy_nkwh;
    if (low + 1 == column->reading_count) {
        return count_of(column, base, 1);
    }
    uint64_t span_us = (uint64_t)((readings[low + 1].utc_s - readings[low].utc_s) * MM_US_PER_S);
    uint64_t passed_us = (uint64_t)(utc.us - readings[low].utc_s * MM_US_PER_S);
    uint64_t gain = readings[low + 1].energy_nkwh - readings[low].energy_nkwh;
    return count_of(column, (u128_t)base * span_us + (u128_t)gain * passed_us, span_us);
}

uint64_t mm_pulses_csv_start_wh(const mm_pulses_csv_t *self, uint8_t channel) {
    MM_ASSERT(channel < MM_CHANNELS);
    const mm_pulses_csv_column_t *column = &self->columns[channel];
    return column->reading_count > 0 ? column->readings[0].energy_nkwh / 1000000 : 0;
}

mm_err_t mm_pulses_csv_open(mm_pulses_csv_t *self, const char *path, const uint32_t pulse_constants[MM_CHANNELS],
                            mm_linux_message_t *message) {
    memset(self, 0, sizeof *self);
    char *text = NULL;
    size_t size_bytes = 0;
    mm_err_t err = load(path, FILE_BYTES_MAX, &text, &size_bytes, message);
    if (err != MM_OK) {
        return err;
    }
    place_t place = {.path = path, .message = message};
    uint32_t hash = mm_pulse_hash(MM_PULSE_HASH_BEGIN, text, size_bytes);
    if (size_bytes == FILE_BYTES_MAX) {
        err = refuse_line(&place, "the file is too large");
    } else if (strlen(text) != size_bytes) {
        err = refuse_line(&place, "is not a text file");
    } else {
        err = parse(self, text, &place);
    }
    free(text);
    if (err != MM_OK) {
        mm_pulses_csv_close(self);
        return err;
    }
    for (size_t i = 0; i < MM_CHANNELS; i++) {
        uint32_t constant = pulse_constants[i];
        MM_ASSERT(i >= self->column_count || (constant >= MM_PULSE_CONSTANT_MIN && constant <= MM_PULSE_CONSTANT_MAX));
        self->columns[i].pulse_constant = constant;
        hash = mm_pulse_hash_u64(hash, constant);
    }
    self->source = (mm_pulse_source_t){.count = count_at, .context = self, .generation = hash};
    return MM_OK;
}

void mm_pulses_csv_close(mm_pulses_csv_t *self) {
    for (size_t i = 0; i < MM_CHANNELS; i++) {
        free(self->columns[i].readings);
    }
    memset(self, 0, sizeof *self);
}
