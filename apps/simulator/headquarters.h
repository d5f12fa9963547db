// SPDX-License-Identifier: Apache-2.0
#ifndef SIMULATOR_HEADQUARTERS_H
#define SIMULATOR_HEADQUARTERS_H

#include "sim/sim.h"
#include "sim/sim_broker.h"
#include "simulator/books.h"

/// HQ in the simulated world: its books (books.h), driven in virtual time. What the program `meshmeter hq` does around
/// them (connection, retained acknowledgements again after each connect) is done here.

typedef struct {
    mm_sim_t *sim;
    mm_sim_broker_t *broker;
    books_t *books; ///< open: it runs
    /// Every acknowledgement, before it is published.
    void (*acknowledged)(void *context, const mm_ack_t *ack);
    /// It has connected to a broker that may have forgotten what is retained; NULL: nobody asks.
    void (*connected)(void *context);
    void *context;
    bool poll_due;
    uint64_t run_no; ///< of the process: what was due for an earlier one is void
    char ack_topic[48];
    uint8_t ack[MM_DOWNLINK_BYTES_MAX];
    size_t ack_bytes;
    uint64_t messages;
    uint64_t start_failures;
} headquarters_t;

/// Down, with an empty disk. Borrowed: sim, broker.
void headquarters_init(headquarters_t *self, mm_sim_t *sim, mm_sim_broker_t *broker, int64_t begin_utc_us,
                       void (*acknowledged)(void *context, const mm_ack_t *ack), void *context);
void headquarters_deinit(headquarters_t *self);
/// The process starts; if the disk does not let it, it tries again by itself. No effect if it runs.
void headquarters_start(headquarters_t *self);
/// It ends as after SIGTERM.
void headquarters_stop(headquarters_t *self);
/// It runs, and has messages that are not committed: a crash loses them.
bool headquarters_is_busy(const headquarters_t *self);
/// Its machine loses power, and starts again after down_us.
void headquarters_crash(headquarters_t *self, mm_us_t down_us);
/// Keep a copy of the database as it is now.
void headquarters_back_up(headquarters_t *self);
/// Put that copy back, as an operator does after a loss. False: there is none.
bool headquarters_restore(headquarters_t *self);
/// A message came from the broker.
void headquarters_on_message(headquarters_t *self, const char *topic, const void *bytes, size_t bytes_count);
/// Connect again if the broker is up and the connection is not.
void headquarters_look_at_broker(headquarters_t *self);

#endif
