// SPDX-License-Identifier: Apache-2.0
#include "simulator/headquarters.h"

#include <stdio.h>
#include <string.h>

// The real one commits when its socket has nothing more; messages of one session come within this time.
#define IDLE_US (MM_US_PER_S / 5)
#define START_AGAIN_US (30 * MM_US_PER_S)

static void publish_ack(headquarters_t *self) {
    if (self->ack_bytes > 0 && mm_sim_broker_hq_is_connected(self->broker)) {
        mm_sim_broker_hq_publish(self->broker, self->ack_topic, self->ack, self->ack_bytes);
    }
}

static void take_ack(void *context, const char *site, const void *bytes, size_t bytes_count) {
    headquarters_t *self = context;
    mm_ack_t ack;
    MM_ASSERT(mm_ack_read(bytes, bytes_count, &ack) == MM_OK);
    mm_sim_note_bytes(self->sim, -1, "hq_ack", bytes, bytes_count);
    self->acknowledged(self->context, &ack);
    snprintf(self->ack_topic, sizeof self->ack_topic, "meter/%s/ack", site);
    memcpy(self->ack, bytes, bytes_count);
    self->ack_bytes = bytes_count;
    publish_ack(self);
}

static void poll_books(void *context, const void *payload, size_t payload_bytes);

static void poll_soon(headquarters_t *self, mm_us_t at) {
    if (!self->poll_due) {
        self->poll_due = true;
        mm_sim_queue_add(self->sim->queue, at, poll_books, self, &self->run_no, sizeof self->run_no);
    }
}

static void poll_books(void *context, const void *payload, size_t payload_bytes) {
    headquarters_t *self = context;
    uint64_t run_no;
    MM_ASSERT(payload_bytes == sizeof run_no);
    memcpy(&run_no, payload, sizeof run_no);
    if (run_no != self->run_no || !books_is_open(self->books)) {
        return;
    }
    self->poll_due = false;
    mm_us_t now = mm_sim_now(self->sim);
    books_poll(self->books, now);
    mm_us_t next_at = books_next_poll_at(self->books);
    if (next_at != MM_US_NEVER) {
        poll_soon(self, next_at > now ? next_at : now + IDLE_US);
    }
}

void headquarters_on_message(headquarters_t *self, const char *topic, const void *bytes, size_t bytes_count) {
    if (!books_is_open(self->books)) {
        return;
    }
    self->messages++;
    mm_us_t now = mm_sim_now(self->sim);
    books_push(self->books, topic, bytes, bytes_count, now);
    poll_soon(self, now + IDLE_US);
}

static void tell_connected(headquarters_t *self) {
    if (self->connected != NULL) {
        self->connected(self->context);
    }
}

static void start_again(void *context, const void *payload, size_t payload_bytes) {
    (void)payload;
    (void)payload_bytes;
    headquarters_start(context);
}

void headquarters_start(headquarters_t *self) {
    if (books_is_open(self->books)) {
        return;
    }
    if (!books_open(self->books)) {
        self->start_failures++;
        mm_sim_queue_add(self->sim->queue, mm_sim_now(self->sim) + START_AGAIN_US, start_again, self, NULL, 0);
        return;
    }
    self->run_no++;
    self->poll_due = false;
    mm_sim_broker_hq_connect(self->broker);
    books_ack_all(self->books, mm_sim_now(self->sim));
    tell_connected(self);
    mm_sim_note(self->sim, -1, "hq_started", self->run_no, books_totals(self->books).records);
}

void headquarters_stop(headquarters_t *self) {
    if (books_is_open(self->books)) {
        books_poll(self->books, mm_sim_now(self->sim));
        mm_sim_broker_hq_disconnect(self->broker);
        books_close(self->books);
        self->run_no++;
    }
}

bool headquarters_is_busy(const headquarters_t *self) {
    return books_is_open(self->books) && books_next_poll_at(self->books) != MM_US_NEVER;
}

void headquarters_crash(headquarters_t *self, mm_us_t down_us) {
    if (!books_is_open(self->books)) {
        return;
    }
    mm_sim_fault(self->sim, MM_SIM_FAULT_HQ_CRASHED, -1);
    if (headquarters_is_busy(self)) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_HQ_CRASHED_UNCOMMITTED, -1);
    }
    mm_sim_broker_hq_disconnect(self->broker);
    books_cut_power(self->books);
    self->run_no++;
    self->ack_bytes = 0;
    mm_sim_queue_add(self->sim->queue, mm_sim_now(self->sim) + down_us, start_again, self, NULL, 0);
}

void headquarters_back_up(headquarters_t *self) {
    if (books_is_open(self->books) && !headquarters_is_busy(self)) {
        books_back_up(self->books);
    }
}

bool headquarters_restore(headquarters_t *self) {
    if (!books_have_backup(self->books)) {
        return false;
    }
    mm_sim_fault(self->sim, MM_SIM_FAULT_HQ_RESTORED, -1);
    if (books_is_open(self->books)) {
        mm_sim_broker_hq_disconnect(self->broker);
        self->run_no++;
    }
    books_restore(self->books);
    self->ack_bytes = 0;
    headquarters_start(self);
    return true;
}

void headquarters_look_at_broker(headquarters_t *self) {
    if (books_is_open(self->books) && !mm_sim_broker_hq_is_connected(self->broker)) {
        mm_sim_broker_hq_connect(self->broker);
        publish_ack(self);
        tell_connected(self);
    }
}

void headquarters_init(headquarters_t *self, mm_sim_t *sim, mm_sim_broker_t *broker, int64_t begin_utc_us,
                       void (*acknowledged)(void *context, const mm_ack_t *ack), void *context) {
    memset(self, 0, sizeof *self);
    self->sim = sim;
    self->broker = broker;
    self->acknowledged = acknowledged;
    self->context = context;
    self->books = books_create(sim->seed, begin_utc_us, take_ack, self);
}

void headquarters_deinit(headquarters_t *self) {
    headquarters_stop(self);
    books_destroy(self->books);
}
