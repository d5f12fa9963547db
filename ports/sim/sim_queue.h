// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SIM_QUEUE_H
#define MM_SIM_QUEUE_H

#include "meshmeter/base.h"

/// Virtual time: what happens next in a simulated world. Time stands still while an event runs and jumps to the next
/// one. Events of one instant run in the order in which they were added, so a run is a function of its seed alone.

/// `payload` is the queue's copy, valid during the call.
typedef void (*mm_sim_event_fn)(void *context, const void *payload, size_t payload_bytes);

typedef struct mm_sim_queue mm_sim_queue_t;

/// Time begins at 0. Out of memory asserts here and in add: a simulation has no use for less.
mm_sim_queue_t *mm_sim_queue_create(void);
void mm_sim_queue_destroy(mm_sim_queue_t *self);
mm_us_t mm_sim_queue_now(const mm_sim_queue_t *self);
/// Call fn(context, copy of payload) at `at`, or now if that is in the past. payload may be NULL with 0 bytes. O(log
/// n). Nothing is ever taken back: an event that may be overtaken carries a number by which its receiver can tell.
void mm_sim_queue_add(mm_sim_queue_t *self, mm_us_t at, mm_sim_event_fn fn, void *context, const void *payload,
                      size_t payload_bytes);
/// When the next event is due; MM_US_NEVER = there is none.
mm_us_t mm_sim_queue_next_at(const mm_sim_queue_t *self);
/// Move time to the next event and run it. False: there is none.
bool mm_sim_queue_run_next(mm_sim_queue_t *self);
/// Events waiting.
size_t mm_sim_queue_count(const mm_sim_queue_t *self);

#endif
