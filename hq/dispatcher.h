// SPDX-License-Identifier: Apache-2.0
#ifndef MM_DISPATCHER_H
#define MM_DISPATCHER_H

#include "clock.h"
#include "commands.h"

/// When which site's batch of commands is made anew (commands.h), in the main loop: after commits that concern a site,
/// after a change at a desk, every MM_DISPATCHER_SWEEP_US while something has no end (expiry), and every
/// MM_DISPATCHER_REPEAT_US, and after a start, it is published again even if it is the same, with a new revision: for a
/// broker that has lost it, or that somebody has given another one.

#define MM_DISPATCHER_SWEEP_US INT64_C(30000000)
#define MM_DISPATCHER_REPEAT_US INT64_C(600000000)
#define MM_DISPATCHER_RETRY_US INT64_C(1000000)

typedef struct mm_dispatcher mm_dispatcher_t;

/// The retained message of a site, 0 bytes to clear it. Borrowed.
typedef void (*mm_dispatcher_publish_fn)(void *context, const char *site, const void *bytes, size_t bytes_count);

/// NULL: out of memory. desk and context are borrowed.
mm_dispatcher_t *mm_dispatcher_create(mm_desk_t *desk, mm_dispatcher_publish_fn publish, void *context);
void mm_dispatcher_destroy(mm_dispatcher_t *self);
/// After start: publish what was made last of every site. False: the database could not be read; poll tries again.
bool mm_dispatcher_publish_all(mm_dispatcher_t *self);
/// Something of this site was committed.
void mm_dispatcher_touch(mm_dispatcher_t *self, const char *site);
/// Something was changed at a desk.
void mm_dispatcher_wake(mm_dispatcher_t *self);
/// Do what is due. Not within a transaction of the store.
void mm_dispatcher_poll(mm_dispatcher_t *self, const mm_hq_now_t *now);
/// Monotonic.
int64_t mm_dispatcher_next_deadline_us(const mm_dispatcher_t *self);

#endif
