// SPDX-License-Identifier: Apache-2.0
#include "simulator/headquarters.h"

#include <stdio.h>
#include <string.h>

// The real one commits when its socket has nothing more; messages of one session come within this time.
#define IDLE_US (MM_US_PER_S / 5)
#define START_AGAIN_US (30 * MM_US_PER_S)

static mm_hq_now_t hq_now(const headquarters_t *self) {
    mm_us_t now = mm_sim_now(self->sim);
    return (mm_hq_now_t){.monotonic_us = now, .real_us = self->begin_utc_us + now, .utc_us = self->begin_utc_us + now};
}

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

static void poll_ingest(void *context, const void *payload, size_t payload_bytes);

static void poll_soon(headquarters_t *self, mm_us_t at) {
    if (!self->poll_due) {
        self->poll_due = true;
        mm_sim_queue_add(self->sim->queue, at, poll_ingest, self, &self->run_no, sizeof self->run_no);
    }
}

static void poll_ingest(void *context, const void *payload, size_t payload_bytes) {
    headquarters_t *self = context;
    uint64_t run_no;
    MM_ASSERT(payload_bytes == sizeof run_no);
    memcpy(&run_no, payload, sizeof run_no);
    if (run_no != self->run_no || self->store == NULL) {
        return;
    }
    self->poll_due = false;
    mm_hq_now_t now = hq_now(self);
    mm_ingest_poll(self->ingest, &now, true);
    int64_t next_us = mm_ingest_next_deadline_us(self->ingest);
    if (next_us != INT64_MAX) {
        poll_soon(self, next_us > now.monotonic_us ? next_us : now.monotonic_us + IDLE_US);
    }
}

void headquarters_on_message(headquarters_t *self, const char *topic, const void *bytes, size_t bytes_count) {
    if (self->store == NULL) {
        return;
    }
    self->messages++;
    mm_hq_now_t now = hq_now(self);
    mm_ingest_push(self->ingest, topic, bytes, bytes_count, &now);
    poll_soon(self, now.monotonic_us + IDLE_US);
}

static void start_again(void *context, const void *payload, size_t payload_bytes) {
    (void)payload;
    (void)payload_bytes;
    headquarters_start(context);
}

void headquarters_start(headquarters_t *self) {
    if (self->store != NULL) {
        return;
    }
    const mm_store_options_t options = {
        .vfs = mm_sim_disk_vfs_name(self->disk), .busy_timeout_ms = 1, .database_id = self->sim->seed | 1};
    mm_hq_error_t error;
    self->store = mm_store_open(HEADQUARTERS_DATABASE, &options, &error);
    self->ingest = self->store == NULL ? NULL : mm_ingest_create(self->store, &self->stats, take_ack, self);
    if (self->ingest == NULL) {
        mm_store_close(self->store);
        self->store = NULL;
        self->start_failures++;
        mm_sim_queue_add(self->sim->queue, mm_sim_now(self->sim) + START_AGAIN_US, start_again, self, NULL, 0);
        return;
    }
    self->run_no++;
    self->poll_due = false;
    mm_hq_now_t now = hq_now(self);
    mm_sim_broker_hq_connect(self->broker);
    mm_ingest_ack_all(self->ingest, &now);
    mm_sim_note(self->sim, -1, "hq_started", self->run_no, mm_store_totals(self->store).records);
}

static void end(headquarters_t *self) {
    mm_sim_broker_hq_disconnect(self->broker);
    mm_ingest_destroy(self->ingest);
    mm_store_close(self->store);
    self->ingest = NULL;
    self->store = NULL;
    self->run_no++;
}

void headquarters_stop(headquarters_t *self) {
    if (self->store != NULL) {
        mm_hq_now_t now = hq_now(self);
        mm_ingest_poll(self->ingest, &now, true);
        end(self);
    }
}

void headquarters_crash(headquarters_t *self, mm_us_t down_us) {
    if (self->store == NULL) {
        return;
    }
    mm_sim_fault(self->sim, MM_SIM_FAULT_HQ_CRASHED, -1);
    if (mm_ingest_next_deadline_us(self->ingest) != INT64_MAX) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_HQ_CRASHED_UNCOMMITTED, -1);
    }
    mm_sim_disk_crash(self->disk);
    end(self);
    self->ack_bytes = 0;
    mm_sim_queue_add(self->sim->queue, mm_sim_now(self->sim) + down_us, start_again, self, NULL, 0);
}

void headquarters_back_up(headquarters_t *self) {
    if (self->store != NULL && mm_ingest_next_deadline_us(self->ingest) == INT64_MAX) {
        mm_sim_disk_backup_free(self->backup);
        self->backup = mm_sim_disk_backup(self->disk);
        self->backup_at = mm_sim_now(self->sim);
    }
}

bool headquarters_restore(headquarters_t *self) {
    if (self->backup == NULL) {
        return false;
    }
    mm_sim_fault(self->sim, MM_SIM_FAULT_HQ_RESTORED, -1);
    if (self->store != NULL) {
        end(self);
    }
    MM_ASSERT(mm_sim_disk_restore(self->disk, self->backup));
    self->ack_bytes = 0;
    headquarters_start(self);
    return true;
}

void headquarters_look_at_broker(headquarters_t *self) {
    if (self->store != NULL && !mm_sim_broker_hq_is_connected(self->broker)) {
        mm_sim_broker_hq_connect(self->broker);
        publish_ack(self);
    }
}

void headquarters_init(headquarters_t *self, mm_sim_t *sim, mm_sim_broker_t *broker, int64_t begin_utc_us,
                       void (*acknowledged)(void *context, const mm_ack_t *ack), void *context) {
    memset(self, 0, sizeof *self);
    self->sim = sim;
    self->broker = broker;
    self->begin_utc_us = begin_utc_us;
    self->acknowledged = acknowledged;
    self->context = context;
    self->disk = mm_sim_disk_create("hq", sim->seed);
    MM_ASSERT(self->disk != NULL);
}

void headquarters_deinit(headquarters_t *self) {
    headquarters_stop(self);
    mm_sim_disk_backup_free(self->backup);
    mm_sim_disk_destroy(self->disk);
}
