// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/uplink.h"

#include <string.h>

#include "meshmeter/text.h"

// What one failure adds to the failures in a row; each doubles the back-off.
#define STEPS_FAILED 1
#define STEPS_REFUSED 2
#define STEPS_REJECTED 3
// More doublings than this never matter: 2^40 us are 12 days.
#define FAILURES_MAX 40

// A port that is still closing is asked this often within close_us.
#define START_ATTEMPTS 16
// A source that names a deadline in the past must not make its owner spin.
#define SOURCE_WAIT_MIN_US ((mm_us_t)1000)

#define REASON_SUBSCRIBED_MAX 2 // granted QoS 0, 1, 2

#define TO(state) (1u << MM_UPLINK_##state)

/// The one table of transitions: row = state, bits = the states that may follow it.
static const uint16_t legal_next[MM_UPLINK_STATE_COUNT] = {
    [MM_UPLINK_STOPPED] = TO(ROUTER_DOWN) | TO(WAITING_FOR_SLOT),
    [MM_UPLINK_ROUTER_DOWN] = TO(WAITING_FOR_SLOT) | TO(STOPPED),
    [MM_UPLINK_WAITING_FOR_SLOT] = TO(CONNECTING) | TO(BACKING_OFF) | TO(ROUTER_DOWN) | TO(STOPPED),
    [MM_UPLINK_CONNECTING] = TO(SUBSCRIBING) | TO(CLOSING) | TO(ROUTER_DOWN) | TO(STOPPED),
    [MM_UPLINK_SUBSCRIBING] = TO(DRAINING) | TO(CLOSING) | TO(ROUTER_DOWN) | TO(STOPPED),
    [MM_UPLINK_DRAINING] = TO(DWELLING) | TO(CLOSING) | TO(ROUTER_DOWN) | TO(STOPPED),
    [MM_UPLINK_DWELLING] = TO(DRAINING) | TO(CLOSING) | TO(ROUTER_DOWN) | TO(STOPPED),
    [MM_UPLINK_CLOSING] = TO(WAITING_FOR_SLOT) | TO(BACKING_OFF) | TO(ROUTER_DOWN) | TO(STOPPED),
    [MM_UPLINK_BACKING_OFF] = TO(WAITING_FOR_SLOT) | TO(ROUTER_DOWN) | TO(STOPPED),
};

static void enter(mm_uplink_t *self, mm_uplink_state_t state, mm_us_t deadline) {
    MM_ASSERT(self->state < MM_UPLINK_STATE_COUNT && state < MM_UPLINK_STATE_COUNT &&
              (legal_next[self->state] & (1u << state)) != 0);
    self->state = state;
    self->deadline = deadline;
}

static void wait_for_plan(mm_uplink_t *self) {
    enter(self, MM_UPLINK_WAITING_FOR_SLOT, MM_US_NEVER);
    self->slot_at = MM_US_NEVER;
    self->session_deadline = MM_US_NEVER;
}

static bool has_session(const mm_uplink_t *self) {
    return self->state >= MM_UPLINK_CONNECTING && self->state <= MM_UPLINK_CLOSING;
}

// Its slot is here, and the port is still closing the last one.
static bool is_starting(const mm_uplink_t *self) {
    return self->state == MM_UPLINK_WAITING_FOR_SLOT && self->session_deadline != MM_US_NEVER;
}

// Back-off in [base, 2 * base] with base = back_off_us * 2^(failures - 1), limited so that the jitter stays whole at
// the cap: gateways that were refused together must not come back together.
static mm_us_t draw_back_off_us(mm_uplink_t *self) {
    mm_us_t base_us = self->timing.back_off_us;
    mm_us_t base_max_us = self->timing.back_off_max_us / 2;
    for (uint8_t i = 1; i < self->failures && base_us < base_max_us; i++) {
        base_us = base_us > base_max_us / 2 ? base_max_us : base_us * 2;
    }
    base_us = mm_us_earlier(base_us, base_max_us);
    // base * random / 2^32 in two halves, as the product may need 96 bits.
    uint64_t random = mm_random_u32(&self->random);
    uint64_t jitter_us = ((uint64_t)base_us >> 32) * random + ((((uint64_t)base_us & UINT32_MAX) * random) >> 32);
    return base_us + (mm_us_t)jitter_us;
}

static void back_off(mm_uplink_t *self, mm_us_t now) {
    mm_counters_count(self->counters, MM_COUNTER_SESSION_FAILED);
    unsigned failures = (unsigned)self->failures + self->failure_steps;
    self->failures = (uint8_t)(failures < FAILURES_MAX ? failures : FAILURES_MAX);
    enter(self, MM_UPLINK_BACKING_OFF, now + draw_back_off_us(self));
}

static MM_APART void note_failure(mm_uplink_t *self, uint8_t steps) {
    self->failed = true;
    if (steps > self->failure_steps) {
        self->failure_steps = steps;
    }
}

static MM_APART void close_session(mm_uplink_t *self, bool graceful, mm_us_t now) {
    enter(self, MM_UPLINK_CLOSING, now + self->timing.close_us);
    self->ended = false;
    self->mqtt->stop(self->mqtt->context, graceful);
}

static void fail_session(mm_uplink_t *self, uint8_t steps, mm_us_t now) {
    note_failure(self, steps);
    close_session(self, false, now);
}

static void report_confirmed(mm_uplink_t *self, mm_us_t now) {
    for (size_t i = 0; i < MM_SESSION_WINDOW; i++) {
        mm_uplink_inflight_t *inflight = &self->inflight[i];
        if (inflight->acked) {
            uint32_t token = inflight->token;
            *inflight = (mm_uplink_inflight_t){0};
            self->source.confirmed(self->source.context, token, now);
        }
    }
}

// The regular end, from CLOSING.
static void finish_session(mm_uplink_t *self, mm_us_t now) {
    report_confirmed(self, now);
    if (!self->ended) {
        self->mqtt->stop(self->mqtt->context, false); // the polite way took too long
    }
    bool clean = !self->failed;
    if (clean) {
        self->failures = 0;
        wait_for_plan(self);
    } else {
        back_off(self, now);
    }
    self->source.closed(self->source.context, clean, now);
}

// The end from outside: router or role lost. Not the broker's fault, so the back-off does not grow.
static void abort_session(mm_uplink_t *self, mm_us_t now) {
    if (!has_session(self) && !is_starting(self)) {
        return;
    }
    bool is_over = self->state == MM_UPLINK_CLOSING && self->ended; // and only the poll that says so is missing
    bool clean = is_over && !self->failed;
    report_confirmed(self, now);
    if (!is_over && has_session(self)) {
        self->mqtt->stop(self->mqtt->context, false);
    }
    if (clean) {
        self->failures = 0;
    } else {
        mm_counters_count(self->counters, MM_COUNTER_SESSION_FAILED);
    }
    self->source.closed(self->source.context, clean, now);
}

// --- what is due in each state -------------------------------------------------------------------
static void begin_session(mm_uplink_t *self, mm_us_t now) {
    self->session = self->session == UINT32_MAX ? 1 : self->session + 1;
    self->suback_pending = 0;
    self->messages_sent = 0;
    self->failure_steps = 0;
    self->failed = false;
    self->ended = false;
    self->source_empty = false;
    self->opened = false;
    self->source_deadline = MM_US_NEVER;
    memset(self->inflight, 0, sizeof self->inflight);

    mm_err_t err = self->mqtt->start(self->mqtt->context, self->session);
    if (err == MM_OK) {
        self->session_deadline = now + self->timing.session_us;
        enter(self, MM_UPLINK_CONNECTING, mm_us_earlier(now + self->timing.connect_us, self->session_deadline));
        return;
    }
    if (err == MM_ERR_BUSY) {
        if (self->session_deadline == MM_US_NEVER) {
            self->session_deadline = now + self->timing.close_us;
        }
        if (now < self->session_deadline) {
            self->deadline = mm_us_earlier(now + self->timing.close_us / START_ATTEMPTS + 1, self->session_deadline);
            return;
        }
    }
    note_failure(self, STEPS_FAILED);
    back_off(self, now);
    self->source.closed(self->source.context, false, now);
}

static bool has_inflight(const mm_uplink_t *self) {
    for (size_t i = 0; i < MM_SESSION_WINDOW; i++) {
        if (self->inflight[i].packet_id != 0) {
            return true;
        }
    }
    return false;
}

static MM_APART mm_uplink_inflight_t *find_free(mm_uplink_t *self) {
    for (size_t i = 0; i < MM_SESSION_WINDOW; i++) {
        if (self->inflight[i].packet_id == 0) {
            return &self->inflight[i];
        }
    }
    return NULL;
}

// Whose PUBACK did not come in time is given up, so that one that comes later confirms nothing.
static bool drop_overdue(mm_uplink_t *self, mm_us_t now) {
    bool dropped = false;
    for (size_t i = 0; i < MM_SESSION_WINDOW; i++) {
        mm_uplink_inflight_t *inflight = &self->inflight[i];
        if (inflight->packet_id != 0 && now >= inflight->deadline) {
            *inflight = (mm_uplink_inflight_t){0};
            mm_counters_count(self->counters, MM_COUNTER_PUBACK_TIMEOUT);
            dropped = true;
        }
    }
    return dropped;
}

// Publish what the source has, as far as the window goes. MM_OK: sent, waiting or empty.
static MM_APART mm_err_t send_messages(mm_uplink_t *self, mm_us_t now) {
    self->source_deadline = MM_US_NEVER;
    mm_uplink_inflight_t *inflight = find_free(self);
    while (inflight != NULL && !self->source_empty && self->messages_sent < MM_SESSION_MESSAGES_MAX) {
        const uint8_t *bytes = NULL;
        size_t bytes_count = 0;
        uint32_t token = 0;
        mm_us_t source_deadline = MM_US_NEVER;
        uint8_t messages_left = (uint8_t)(MM_SESSION_MESSAGES_MAX - self->messages_sent);
        mm_uplink_offer_t offer =
            self->source.next(self->source.context, messages_left, now, &bytes, &bytes_count, &token, &source_deadline);
        if (offer == MM_UPLINK_SOURCE_WAIT) {
            self->source_deadline = source_deadline > now ? source_deadline : now + SOURCE_WAIT_MIN_US;
            return MM_OK;
        }
        if (offer == MM_UPLINK_SOURCE_EMPTY) {
            self->source_empty = true;
            return MM_OK;
        }
        MM_ASSERT(offer == MM_UPLINK_SOURCE_MESSAGE && bytes != NULL);
        uint16_t packet_id = 0;
        mm_err_t err =
            self->mqtt->publish(self->mqtt->context, self->topics->info_topic, bytes, bytes_count, &packet_id);
        if (err != MM_OK) {
            return err;
        }
        MM_ASSERT(packet_id != 0);
        *inflight =
            (mm_uplink_inflight_t){.packet_id = packet_id, .token = token, .deadline = now + self->timing.publish_us};
        self->messages_sent++;
        inflight = find_free(self);
    }
    return MM_OK;
}

static mm_us_t draining_deadline(const mm_uplink_t *self) {
    mm_us_t deadline = mm_us_earlier(self->session_deadline, self->source_deadline);
    for (size_t i = 0; i < MM_SESSION_WINDOW; i++) {
        if (self->inflight[i].packet_id != 0) {
            deadline = mm_us_earlier(deadline, self->inflight[i].deadline);
        }
    }
    return deadline;
}

static void drain(mm_uplink_t *self, mm_us_t now) {
    if (!self->opened) {
        self->opened = true;
        self->source.opened(self->source.context, now);
    }
    report_confirmed(self, now);
    if (drop_overdue(self, now) || now >= self->session_deadline || send_messages(self, now) != MM_OK) {
        fail_session(self, STEPS_FAILED, now);
        return;
    }
    bool all_sent = self->source_empty || self->messages_sent == MM_SESSION_MESSAGES_MAX;
    if (all_sent && !has_inflight(self)) {
        mm_us_t dwell_end = self->quiet_since + self->timing.dwell_us;
        enter(self, MM_UPLINK_DWELLING, mm_us_earlier(dwell_end, self->session_deadline));
        return;
    }
    self->deadline = draining_deadline(self);
}

static void act(mm_uplink_t *self, mm_us_t now) {
    bool is_due = now >= self->deadline;
    switch (self->state) {
    case MM_UPLINK_WAITING_FOR_SLOT:
        if (is_due) {
            begin_session(self, now);
        }
        break;
    case MM_UPLINK_CONNECTING:
    case MM_UPLINK_SUBSCRIBING:
        if (is_due) {
            fail_session(self, STEPS_FAILED, now);
        }
        break;
    case MM_UPLINK_DRAINING:
        drain(self, now);
        break;
    case MM_UPLINK_DWELLING:
        if (is_due) {
            close_session(self, true, now);
        }
        break;
    case MM_UPLINK_CLOSING:
        report_confirmed(self, now);
        if (is_due || self->ended) {
            finish_session(self, now);
        }
        break;
    case MM_UPLINK_BACKING_OFF:
        if (is_due) {
            wait_for_plan(self);
        }
        break;
    case MM_UPLINK_STOPPED:
    case MM_UPLINK_ROUTER_DOWN:
        break;
    case MM_UPLINK_STATE_COUNT:
    default:
        MM_ASSERT(false);
    }
}

mm_us_t mm_uplink_poll(mm_uplink_t *self, mm_us_t now) {
    // A state that was just entered may be due already. Each passes on to a later one, so this ends.
    mm_uplink_state_t before;
    unsigned passes = 0;
    do {
        before = self->state;
        act(self, now);
        passes++;
    } while (self->state != before && passes < MM_UPLINK_STATE_COUNT);
    return self->deadline;
}

// --- events --------------------------------------------------------------------------------------
static void on_connected(mm_uplink_t *self, mm_us_t now) {
    if (self->state == MM_UPLINK_CLOSING) {
        return;
    }
    if (self->state != MM_UPLINK_CONNECTING) {
        // The carrier reconnected by itself: subscriptions and messages under way went with the old connection.
        fail_session(self, STEPS_FAILED, now);
        return;
    }
    const mm_mqtt_t *mqtt = self->mqtt;
    if (mqtt->subscribe(mqtt->context, self->topics->ack_topic, 1, &self->ack_packet_id) != MM_OK ||
        mqtt->subscribe(mqtt->context, self->topics->command_topic, 1, &self->command_packet_id) != MM_OK) {
        fail_session(self, STEPS_FAILED, now);
        return;
    }
    MM_ASSERT(self->ack_packet_id != 0 && self->command_packet_id != 0);
    self->suback_pending = 2;
    enter(self, MM_UPLINK_SUBSCRIBING, mm_us_earlier(now + self->timing.subscribe_us, self->session_deadline));
}

// Refusals that pass by themselves: server unavailable (3.1.1 and 5), server busy, quota exceeded, connection rate
// exceeded. The others wait for a person.
static bool is_transient_refusal(uint8_t reason) {
    return reason == 0x03 || reason == 0x88 || reason == 0x89 || reason == 0x97 || reason == 0x9F;
}

static void on_ended(mm_uplink_t *self, const mm_mqtt_event_t *event, mm_us_t now) {
    if (self->state == MM_UPLINK_CLOSING) {
        self->ended = self->ended || event->kind == MM_MQTT_DISCONNECTED;
        return;
    }
    uint8_t steps = STEPS_FAILED;
    if (event->kind == MM_MQTT_REFUSED) {
        mm_counters_count(self->counters, MM_COUNTER_SESSION_REFUSED);
        steps = is_transient_refusal(event->reason) ? STEPS_REFUSED : STEPS_REJECTED;
    }
    // Stopped even if the connection is gone: nothing of it may reconnect behind our back.
    fail_session(self, steps, now);
}

static void on_subscribed(mm_uplink_t *self, const mm_mqtt_event_t *event, mm_us_t now) {
    if (self->state != MM_UPLINK_SUBSCRIBING || event->packet_id == 0) {
        return;
    }
    if (event->packet_id == self->ack_packet_id) {
        self->ack_packet_id = 0;
    } else if (event->packet_id == self->command_packet_id) {
        self->command_packet_id = 0;
    } else {
        return;
    }
    if (event->reason > REASON_SUBSCRIBED_MAX) {
        // Readings go out all the same.
        mm_counters_count(self->counters, MM_COUNTER_SUBSCRIBE_REFUSED);
    }
    self->suback_pending--;
    if (self->suback_pending == 0) {
        self->quiet_since = now;
        enter(self, MM_UPLINK_DRAINING, self->session_deadline);
    }
}

static mm_uplink_inflight_t *find_unacked(mm_uplink_t *self, uint16_t packet_id) {
    for (size_t i = 0; i < MM_SESSION_WINDOW; i++) {
        if (packet_id != 0 && self->inflight[i].packet_id == packet_id && !self->inflight[i].acked) {
            return &self->inflight[i];
        }
    }
    return NULL;
}

static void on_published(mm_uplink_t *self, const mm_mqtt_event_t *event, mm_us_t now) {
    mm_uplink_inflight_t *inflight = find_unacked(self, event->packet_id);
    if (inflight == NULL) {
        mm_counters_count(self->counters, MM_COUNTER_PUBACK_UNKNOWN);
        return;
    }
    self->quiet_since = now;
    if (event->reason == 0) {
        inflight->acked = true;
        return;
    }
    // Refused, or taken by a broker that has nobody to give it to. The others may have more luck.
    mm_counters_count(self->counters, MM_COUNTER_PUBLISH_REFUSED);
    note_failure(self, STEPS_FAILED);
    *inflight = (mm_uplink_inflight_t){0};
}

void mm_uplink_on_mqtt(mm_uplink_t *self, const mm_mqtt_event_t *event, mm_us_t now) {
    if (!mm_uplink_is_current(self, event->session)) {
        if (event->kind == MM_MQTT_PUBLISHED) {
            mm_counters_count(self->counters, MM_COUNTER_PUBACK_UNKNOWN);
        }
        return;
    }
    switch (event->kind) {
    case MM_MQTT_CONNECTED:
        on_connected(self, now);
        break;
    case MM_MQTT_SUBSCRIBED:
        on_subscribed(self, event, now);
        break;
    case MM_MQTT_PUBLISHED:
        on_published(self, event, now);
        break;
    case MM_MQTT_REFUSED:
    case MM_MQTT_DISCONNECTED:
    case MM_MQTT_ERROR:
        on_ended(self, event, now);
        break;
    case MM_MQTT_EVENT_NONE:
    case MM_MQTT_DATA:
    default:
        break;
    }
}

bool mm_uplink_is_current(const mm_uplink_t *self, uint32_t session) {
    return has_session(self) && session == self->session;
}

// --- the owner's side ----------------------------------------------------------------------------
void mm_uplink_init(mm_uplink_t *self, const mm_mqtt_t *mqtt, const mm_uplink_source_t *source,
                    const mm_uplink_timing_t *timing, const mm_uplink_topics_t *topics, mm_counters_t *counters,
                    uint64_t random_seed) {
    MM_ASSERT(timing->connect_us > 0 && timing->subscribe_us > 0 && timing->publish_us > 0 && timing->dwell_us >= 0 &&
              timing->close_us > 0 && timing->session_us > 0 && timing->back_off_us > 0 && timing->back_off_max_us > 0);
    memset(self, 0, sizeof *self);
    self->state = MM_UPLINK_STOPPED;
    self->mqtt = mqtt;
    self->source = *source;
    self->timing = *timing;
    self->topics = topics;
    self->counters = counters;
    self->random = mm_random(random_seed);
    self->deadline = MM_US_NEVER;
    self->session_deadline = MM_US_NEVER;
    self->source_deadline = MM_US_NEVER;
    self->slot_at = MM_US_NEVER;
}

void mm_uplink_start(mm_uplink_t *self, bool router_up, mm_us_t now) {
    if (self->state != MM_UPLINK_STOPPED) {
        mm_uplink_set_router(self, router_up, now);
        return;
    }
    self->failures = 0;
    self->router_up = router_up;
    if (router_up) {
        wait_for_plan(self);
    } else {
        enter(self, MM_UPLINK_ROUTER_DOWN, MM_US_NEVER);
    }
}

void mm_uplink_stop(mm_uplink_t *self, mm_us_t now) {
    if (self->state == MM_UPLINK_STOPPED) {
        return;
    }
    abort_session(self, now);
    enter(self, MM_UPLINK_STOPPED, MM_US_NEVER);
}

void mm_uplink_set_router(mm_uplink_t *self, bool router_up, mm_us_t now) {
    if (self->state == MM_UPLINK_STOPPED) {
        return;
    }
    self->router_up = router_up;
    if (router_up && self->state == MM_UPLINK_ROUTER_DOWN) {
        wait_for_plan(self);
    } else if (!router_up && self->state != MM_UPLINK_ROUTER_DOWN) {
        abort_session(self, now);
        enter(self, MM_UPLINK_ROUTER_DOWN, MM_US_NEVER);
    }
}

bool mm_uplink_plan_session(mm_uplink_t *self, mm_us_t at) {
    if (self->state != MM_UPLINK_WAITING_FOR_SLOT || is_starting(self)) {
        return false;
    }
    self->slot_at = at;
    self->deadline = at;
    return true;
}

bool mm_uplink_resume(mm_uplink_t *self, mm_us_t now) {
    bool may_send = self->state == MM_UPLINK_DRAINING || self->state == MM_UPLINK_DWELLING;
    if (!may_send || self->messages_sent == MM_SESSION_MESSAGES_MAX || now >= self->session_deadline) {
        return false;
    }
    // Also without a message in the end: who brought the news may have more to say.
    self->quiet_since = now;
    self->source_empty = false;
    if (self->state == MM_UPLINK_DWELLING) {
        enter(self, MM_UPLINK_DRAINING, self->session_deadline);
    }
    return true;
}

bool mm_uplink_wants_plan(const mm_uplink_t *self) {
    return self->state == MM_UPLINK_WAITING_FOR_SLOT && self->slot_at == MM_US_NEVER;
}

const char *mm_uplink_state_name(mm_uplink_state_t state) {
    static const char *const names[MM_UPLINK_STATE_COUNT] = {
        [MM_UPLINK_STOPPED] = "stopped",
        [MM_UPLINK_ROUTER_DOWN] = "router_down",
        [MM_UPLINK_WAITING_FOR_SLOT] = "waiting_for_slot",
        [MM_UPLINK_CONNECTING] = "connecting",
        [MM_UPLINK_SUBSCRIBING] = "subscribing",
        [MM_UPLINK_DRAINING] = "draining",
        [MM_UPLINK_DWELLING] = "dwelling",
        [MM_UPLINK_CLOSING] = "closing",
        [MM_UPLINK_BACKING_OFF] = "backing_off",
    };
    return MM_NAME_OF(names, (unsigned)state);
}

static void write_topic(char *topic, const char *site, const char *suffix) {
    static const char prefix[] = "meter/";
    size_t site_chars = strlen(site);
    memcpy(topic, prefix, sizeof prefix - 1);
    memcpy(topic + sizeof prefix - 1, site, site_chars + 1);
    memcpy(topic + sizeof prefix - 1 + site_chars, suffix, strlen(suffix) + 1);
}

mm_err_t mm_uplink_topics(const char *site, mm_uplink_topics_t *topics) {
    if (!mm_text_is_site(site, MM_SITE_CHARS_MAX + 1)) {
        return MM_ERR_ARG;
    }
    memset(topics, 0, sizeof *topics);
    write_topic(topics->info_topic, site, "/info");
    write_topic(topics->ack_topic, site, "/ack");
    write_topic(topics->command_topic, site, "/cmd");
    return MM_OK;
}
