// SPDX-License-Identifier: Apache-2.0
#include "sim/sim_queue.h"

#include <stdlib.h>
#include <string.h>

// Most payloads are a packet's header or a number; frames come from the heap.
#define INLINE_BYTES 32

typedef struct {
    mm_us_t at;
    uint64_t order; // of adding
    mm_sim_event_fn fn;
    void *context;
    uint8_t *heap_payload; // NULL: it is in `inline_payload`
    uint32_t payload_bytes;
    _Alignas(8) uint8_t inline_payload[INLINE_BYTES];
} event_t;

struct mm_sim_queue {
    event_t *events; // binary heap, the next one first
    size_t count;
    size_t capacity;
    mm_us_t now;
    uint64_t next_order;
};

mm_sim_queue_t *mm_sim_queue_create(void) {
    mm_sim_queue_t *self = calloc(1, sizeof *self);
    MM_ASSERT(self != NULL);
    return self;
}

void mm_sim_queue_destroy(mm_sim_queue_t *self) {
    for (size_t i = 0; i < self->count; i++) {
        free(self->events[i].heap_payload);
    }
    free(self->events);
    free(self);
}

mm_us_t mm_sim_queue_now(const mm_sim_queue_t *self) {
    return self->now;
}

static bool is_before(const event_t *left, const event_t *right) {
    return left->at < right->at || (left->at == right->at && left->order < right->order);
}

static void grow(mm_sim_queue_t *self) {
    size_t capacity = self->capacity == 0 ? 256 : self->capacity * 2;
    event_t *events = realloc(self->events, capacity * sizeof *events);
    MM_ASSERT(events != NULL);
    self->events = events;
    self->capacity = capacity;
}

void mm_sim_queue_add(mm_sim_queue_t *self, mm_us_t at, mm_sim_event_fn fn, void *context, const void *payload,
                      size_t payload_bytes) {
    MM_ASSERT(payload_bytes <= UINT32_MAX);
    if (self->count == self->capacity) {
        grow(self);
    }
    event_t event = {.at = at > self->now ? at : self->now,
                     .order = self->next_order++,
                     .fn = fn,
                     .context = context,
                     .payload_bytes = (uint32_t)payload_bytes};
    if (payload_bytes > INLINE_BYTES) {
        event.heap_payload = malloc(payload_bytes);
        MM_ASSERT(event.heap_payload != NULL);
        memcpy(event.heap_payload, payload, payload_bytes);
    } else if (payload_bytes > 0) {
        memcpy(event.inline_payload, payload, payload_bytes);
    }
    size_t place = self->count++;
    while (place > 0 && is_before(&event, &self->events[(place - 1) / 2])) {
        self->events[place] = self->events[(place - 1) / 2];
        place = (place - 1) / 2;
    }
    self->events[place] = event;
}

mm_us_t mm_sim_queue_next_at(const mm_sim_queue_t *self) {
    return self->count == 0 ? MM_US_NEVER : self->events[0].at;
}

static event_t take_first(mm_sim_queue_t *self) {
    event_t first = self->events[0];
    event_t last = self->events[--self->count];
    size_t place = 0;
    for (;;) {
        size_t child = 2 * place + 1;
        if (child >= self->count) {
            break;
        }
        if (child + 1 < self->count && is_before(&self->events[child + 1], &self->events[child])) {
            child++;
        }
        if (!is_before(&self->events[child], &last)) {
            break;
        }
        self->events[place] = self->events[child];
        place = child;
    }
    if (self->count > 0) {
        self->events[place] = last;
    }
    return first;
}

bool mm_sim_queue_run_next(mm_sim_queue_t *self) {
    if (self->count == 0) {
        return false;
    }
    event_t event = take_first(self);
    self->now = event.at;
    event.fn(event.context, event.heap_payload != NULL ? event.heap_payload : event.inline_payload,
             event.payload_bytes);
    free(event.heap_payload);
    return true;
}

size_t mm_sim_queue_count(const mm_sim_queue_t *self) {
    return self->count;
}
