// SPDX-License-Identifier: Apache-2.0
#include "sim/sim_broker_internal.h"

#include <stdlib.h>
#include <string.h>

#define LATENCY_US_MAX (60 * MM_US_PER_S) // times a few hops: fits 32 bits

mm_sim_broker_t *mm_sim_broker_create(mm_sim_t *sim, const mm_sim_manners_t *manners,
                                      const mm_sim_broker_receivers_t *receivers) {
    mm_sim_broker_t *self = calloc(1, sizeof *self);
    MM_ASSERT(self != NULL);
    self->sim = sim;
    self->receivers = *receivers;
    self->up = true;
    self->up_since = mm_sim_now(sim);
    mm_sim_broker_set_manners(self, manners);
    mm_sim_store_init(self);
    mm_sim_path_init(self);
    return self;
}

void mm_sim_broker_destroy(mm_sim_broker_t *self) {
    if (self == NULL) {
        return;
    }
    self->destroyed = true;
    mm_sim_store_deinit(self);
    // What is left belongs to events that never ran.
    while (self->messages != NULL) {
        mm_sim_message_t *message = self->messages;
        self->messages = message->next;
        free(message);
    }
    free(self);
}

void mm_sim_broker_set_manners(mm_sim_broker_t *self, const mm_sim_manners_t *manners) {
    self->manners = *manners;
    if (self->manners.latency_us < 1) {
        self->manners.latency_us = 1;
    }
    if (self->manners.queue_messages_max == 0) {
        self->manners.queue_messages_max = MM_SIM_QUEUE_MESSAGES_DEFAULT;
    }
    MM_ASSERT(self->manners.latency_us <= LATENCY_US_MAX);
}

mm_us_t mm_sim_broker_hops_us(const mm_sim_broker_t *self, mm_random_t *random, uint32_t hops) {
    mm_us_t least_us = self->manners.latency_us * hops;
    return least_us + mm_random_below(random, (uint32_t)least_us);
}

static void come_back(void *context, const void *payload, size_t payload_bytes) {
    mm_sim_broker_t *self = context;
    uint32_t life;
    MM_ASSERT(payload_bytes == sizeof life);
    memcpy(&life, payload, sizeof life);
    if (life != self->life) {
        return; // it died once more in the meantime
    }
    self->up = true;
    self->up_since = mm_sim_now(self->sim);
    mm_sim_note(self->sim, -1, "broker_up", life, 0);
}

void mm_sim_broker_restart(mm_sim_broker_t *self, mm_us_t back_at) {
    mm_sim_fault(self->sim, MM_SIM_FAULT_BROKER_RESTARTED, -1);
    self->life++;
    if (self->up) {
        self->up = false;
        mm_sim_path_restart(self);
        mm_sim_store_restart(self);
    }
    mm_sim_queue_add(self->sim->queue, back_at, come_back, self, &self->life, sizeof self->life);
}

void mm_sim_broker_publish(mm_sim_broker_t *self, const char *topic, const void *bytes, size_t bytes_count) {
    mm_sim_note_bytes(self->sim, -1, "stranger_published", bytes, bytes_count);
    uint32_t limit = self->manners.message_bytes_max;
    if (!self->up) {
        return;
    }
    if (limit != 0 && bytes_count > limit) {
        mm_sim_fault(self->sim, MM_SIM_FAULT_BROKER_LIMIT, -1);
        return;
    }
    mm_sim_message_t *message = mm_sim_message_create(self, -1, topic, bytes, bytes_count);
    (void)mm_sim_broker_route(self, message);
    mm_sim_message_release(self, message);
}
