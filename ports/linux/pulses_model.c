// SPDX-License-Identifier: Apache-2.0
#include "pulses_model.h"

#include <stdlib.h>
#include <string.h>

#define MINUTE_US ((int64_t)60 * 1000000)
#define DAY_S 86400
#define DAYS_MAX 36600U
#define QUARTER_MINUTES 15
#define EVENTS_MAX 6

__extension__ typedef unsigned __int128 u128_t;

// --- a household and its day ---------------------------------------------------------------------------------------

// What a hash is drawn for. Each draw of a household, day or minute has a purpose of its own.
typedef enum {
    DRAW_STANDBY = 1,
    DRAW_FRIDGE_POWER,
    DRAW_FRIDGE_PERIOD,
    DRAW_FRIDGE_DUTY,
    DRAW_FRIDGE_PHASE,
    DRAW_EVENING,
    DRAW_HEATING,
    DRAW_HEATING_PHASE,
    DRAW_WAKE,
    DRAW_SLEEP,
    DRAW_BREAKFAST,
    DRAW_LUNCH,
    DRAW_DINNER,
    DRAW_WASHING,
    DRAW_FLICKER,
} draw_t;

typedef struct {
    uint32_t from_minute; // of the local day
    uint32_t minutes;
    uint32_t watts;
} event_t;

// One local day of one household.
typedef struct {
    int64_t local_day;
    uint64_t house;
    uint32_t wake_minute;
    uint32_t sleep_minute;
    uint32_t standby_w;
    uint32_t evening_w;
    uint32_t heating_w;
    uint32_t heating_percent; // of the time, in waking hours
    event_t events[EVENTS_MAX];
    size_t event_count;
} day_plan_t;

// Finalizer of splitmix64 (S. Vigna, public domain): every bit of the input reaches every bit of the output.
static uint64_t mix(uint64_t value) {
    value += 0x9E3779B97F4A7C15U;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9U;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBU;
    return value ^ (value >> 31);
}

// Evenly in low … high.
static uint32_t draw(uint64_t house, draw_t purpose, int64_t index, uint32_t low, uint32_t high) {
    uint64_t bits = mix(mix(house ^ (uint64_t)purpose << 56) ^ (uint64_t)index);
    return low + (uint32_t)((bits >> 32) * (high - low + 1) >> 32);
}

static void add_event(day_plan_t *plan, uint32_t from_minute, uint32_t minutes, uint32_t watts) {
    MM_ASSERT(plan->event_count < EVENTS_MAX);
    plan->events[plan->event_count++] = (event_t){from_minute, minutes, watts};
}

static day_plan_t make_plan(uint64_t house, int64_t local_day, const mm_local_t *local) {
    static const uint8_t heating_percent[12] = {30, 27, 20, 10, 3, 0, 0, 0, 3, 10, 20, 28};
    bool weekend = local->weekday == 0 || local->weekday == 6;
    day_plan_t plan = {
        .local_day = local_day,
        .house = house,
        .wake_minute = draw(house, DRAW_WAKE, local_day, 360, 420) + (weekend ? 120 : 0),
        .sleep_minute = draw(house, DRAW_SLEEP, local_day, 1335, 1410),
        .standby_w = draw(house, DRAW_STANDBY, 0, 50, 85),
        .evening_w = draw(house, DRAW_EVENING, 0, 150, 260),
        .heating_w = draw(house, DRAW_HEATING, 0, 300, 900),
        .heating_percent = heating_percent[local->month - 1],
    };
    uint32_t breakfast = draw(house, DRAW_BREAKFAST, local_day, 10, 18);
    add_event(&plan, plan.wake_minute + breakfast, breakfast, 1200);
    if (weekend) {
        uint32_t lunch = draw(house, DRAW_LUNCH, local_day, 20, 40);
        add_event(&plan, 720 + lunch, lunch, 1500);
    }
    uint32_t dinner = draw(house, DRAW_DINNER, local_day, 35, 60);
    add_event(&plan, 1080 + dinner, dinner, 1600);
    // Heating of the water first, then the drum turns.
    uint32_t washing = draw(house, DRAW_WASHING, local_day, 0, weekend ? 199 : 399);
    if (washing < 100) {
        add_event(&plan, 600 + washing, 20, 1900);
        add_event(&plan, 620 + washing, 70, 180);
    }
    return plan;
}

static uint32_t watts_in(const day_plan_t *plan, int64_t minute, uint32_t local_minute) {
    uint64_t house = plan->house;
    uint32_t watts = plan->standby_w + draw(house, DRAW_FLICKER, minute, 0, 12);

    uint32_t period = draw(house, DRAW_FRIDGE_PERIOD, 0, 40, 70);
    uint32_t duty = period * draw(house, DRAW_FRIDGE_DUTY, 0, 33, 45) / 100;
    uint32_t phase = draw(house, DRAW_FRIDGE_PHASE, 0, 0, period - 1);
    if ((uint32_t)((minute + phase) % period) < duty) {
        watts += draw(house, DRAW_FRIDGE_POWER, 0, 80, 130);
    }

    bool awake = local_minute >= plan->wake_minute && local_minute < plan->sleep_minute;
    if (awake) {
        uint32_t heating_phase = draw(house, DRAW_HEATING_PHASE, 0, 0, 19);
        if ((uint32_t)((minute + heating_phase) % 20) * 100 < plan->heating_percent * 20) {
            watts += plan->heating_w;
        }
        bool evening = local_minute >= 1050;
        bool morning = local_minute < plan->wake_minute + 60;
        watts += evening ? plan->evening_w : morning ? plan->evening_w / 2 : 20;
    }
    for (size_t i = 0; i < plan->event_count; i++) {
        const event_t *event = &plan->events[i];
        if (local_minute >= event->from_minute && local_minute < event->from_minute + event->minutes) {
            watts += event->watts;
        }
    }
    return watts;
}

// Local day, minute and plan change only at quarters of an hour: offsets of time zones are multiples of it.
static void update_plan(const mm_pulses_model_t *self, uint64_t house, int64_t quarter_minute, day_plan_t *plan,
                        uint32_t *local_minute) {
    mm_local_t local = mm_local_from_utc(&self->options.tz, quarter_minute * 60);
    int64_t local_s = quarter_minute * 60 + local.offset_s;
    int64_t local_day = local_s >= 0 ? local_s / DAY_S : -1;
    *local_minute = (uint32_t)local.hour * 60 + local.minute;
    if (plan->house != house || plan->local_day != local_day) {
        *plan = make_plan(house, local_day, &local);
    }
}

static uint64_t house_of(const mm_pulses_model_t *self, uint8_t channel) {
    // Never 0: an empty plan has 0.
    return mix(self->options.seed ^ mix(channel)) | 1;
}

uint32_t mm_pulses_model_watts(const mm_pulses_model_t *self, uint8_t channel, int64_t minute) {
    MM_ASSERT(channel < MM_CHANNELS && minute >= 0);
    day_plan_t plan = {0};
    uint32_t local_minute = 0;
    int64_t into_quarter = minute % QUARTER_MINUTES;
    update_plan(self, house_of(self, channel), minute - into_quarter, &plan, &local_minute);
    return watts_in(&plan, minute, local_minute + (uint32_t)into_quarter);
}

// --- counts --------------------------------------------------------------------------------------------------------

static void load_day(mm_pulses_model_t *self, uint8_t channel, int64_t day) {
    mm_pulses_model_channel_t *cache = &self->channels[channel];
    uint64_t house = house_of(self, channel);
    day_plan_t plan = {0};
    uint32_t local_minute = 0;
    uint32_t energy = 0;
    for (uint32_t i = 0; i < MM_PULSES_MODEL_DAY_MINUTES; i++) {
        int64_t minute = day * MM_PULSES_MODEL_DAY_MINUTES + i;
        if (i % QUARTER_MINUTES == 0) {
            update_plan(self, house, minute, &plan, &local_minute);
        }
        cache->energy_wmin[i] = energy;
        energy += watts_in(&plan, minute, local_minute + i % QUARTER_MINUTES);
    }
    cache->energy_wmin[MM_PULSES_MODEL_DAY_MINUTES] = energy;
    cache->day = day;
}

// Energy from the beginning of the first day to utc, in watt-microseconds.
static uint64_t energy_until(mm_pulses_model_t *self, uint8_t channel, int64_t utc_us) {
    mm_pulses_model_channel_t *cache = &self->channels[channel];
    int64_t minute = utc_us / MINUTE_US;
    int64_t day = minute / MM_PULSES_MODEL_DAY_MINUTES;
    uint32_t day_index = (uint32_t)(day - self->first_day);
    while (cache->day_count <= day_index) {
        uint32_t last = cache->day_count - 1;
        load_day(self, channel, self->first_day + last);
        cache->days_wmin[last + 1] = cache->days_wmin[last] + cache->energy_wmin[MM_PULSES_MODEL_DAY_MINUTES];
        cache->day_count++;
    }
    if (cache->day != day) {
        load_day(self, channel, day);
    }
    uint32_t of_day = (uint32_t)(minute % MM_PULSES_MODEL_DAY_MINUTES);
    uint32_t watts = cache->energy_wmin[of_day + 1] - cache->energy_wmin[of_day];
    uint64_t whole = (cache->days_wmin[day_index] + cache->energy_wmin[of_day]) * (uint64_t)MINUTE_US;
    return whole + (uint64_t)watts * (uint64_t)(utc_us % MINUTE_US);
}

static uint64_t count_at(void *context, uint8_t channel, mm_utc_t utc) {
    mm_pulses_model_t *self = context;
    MM_ASSERT(channel < MM_CHANNELS);
    if (utc.us <= self->options.origin_utc.us) {
        return 0;
    }
    int64_t last_us = (self->first_day + DAYS_MAX) * DAY_S * MM_US_PER_S - 1;
    uint64_t energy = energy_until(self, channel, utc.us < last_us ? utc.us : last_us);
    energy -= self->channels[channel].origin_energy;
    // 1 kWh = 3.6e12 watt-microseconds; a century at 600 W is 1.9e18 of them.
    return (uint64_t)((u128_t)energy * self->options.pulse_constants[channel] / 3600000000000U);
}

static uint32_t generation_of(const mm_pulses_model_options_t *options) {
    uint32_t hash = mm_pulse_hash_u64(MM_PULSE_HASH_BEGIN, options->seed);
    hash = mm_pulse_hash_u64(hash, (uint64_t)options->origin_utc.us);
    hash = mm_pulse_hash_u64(hash, (uint64_t)(int64_t)options->tz.standard_offset_s);
    for (size_t i = 0; i < MM_CHANNELS; i++) {
        hash = mm_pulse_hash_u64(hash, options->pulse_constants[i]);
    }
    return hash;
}

mm_err_t mm_pulses_model_open(mm_pulses_model_t *self, const mm_pulses_model_options_t *options,
                              mm_linux_message_t *message) {
    memset(self, 0, sizeof *self);
    const int64_t origin_max_us = (int64_t)7258118400 * MM_US_PER_S; // 2200-01-01
    if (options->origin_utc.us < DAY_S * MM_US_PER_S || options->origin_utc.us >= origin_max_us) {
        mm_linux_message_set(message, "load model: the origin must be between the years 1970 and 2199");
        return MM_ERR_ARG;
    }
    self->options = *options;
    self->first_day = options->origin_utc.us / MM_US_PER_S / DAY_S;
    self->source = (mm_pulse_source_t){.count = count_at, .context = self, .generation = generation_of(options)};
    for (uint8_t i = 0; i < MM_CHANNELS; i++) {
        mm_pulses_model_channel_t *cache = &self->channels[i];
        cache->days_wmin = calloc(DAYS_MAX + 1, sizeof *cache->days_wmin);
        if (cache->days_wmin == NULL) {
            mm_linux_message_set(message, "load model: not enough memory");
            mm_pulses_model_close(self);
            return MM_ERR_FULL;
        }
        cache->day = -1;
        cache->day_count = 1;
        cache->origin_energy = energy_until(self, i, options->origin_utc.us);
    }
    return MM_OK;
}

void mm_pulses_model_close(mm_pulses_model_t *self) {
    for (size_t i = 0; i < MM_CHANNELS; i++) {
        free(self->channels[i].days_wmin);
    }
    memset(self, 0, sizeof *self);
}
