// SPDX-License-Identifier: Apache-2.0
#ifndef MM_HQ_STATS_H
#define MM_HQ_STATS_H

#include <stdatomic.h>

/// What the main thread tells the HTTP thread: single numbers, no order between them. Counts are since the start of HQ.
typedef struct {
    atomic_bool broker_connected;
    atomic_bool database_failing;
    atomic_llong messages;            ///< received from the broker
    atomic_llong last_message_utc_us; ///< 0 = none yet
    atomic_llong records_committed;
    atomic_llong records_duplicate;
    atomic_llong messages_dropped; ///< queue full while the database failed
    atomic_llong messages_pending; ///< waiting for the database
} mm_hq_stats_t;

#endif
