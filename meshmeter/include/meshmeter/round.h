// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ROUND_H
#define MM_ROUND_H

#include "meshmeter/base.h"
#include "meshmeter/batch.h"
#include "meshmeter/counters.h"
#include "meshmeter/limits.h"

/// One collection at the root: which nodes were asked in round `round_id`, which answered (bitmap), until when. Answers
/// go straight into batches. Duplicates, late answers and answers of strangers change nothing and are counted. The
/// module asks nobody itself: it says whom to ask next, so that it needs no port.

typedef struct {
    uint32_t round_id; ///< 0 = no round yet
    uint8_t kind;      ///< mm_batch_kind_t
    bool open;
    uint8_t node_count;
    mm_mac_t nodes[MM_NODES_MAX];
    uint32_t answered[(MM_NODES_MAX + 31) / 32]; ///< bit per node
    uint8_t answered_count;
    uint8_t asks_made[MM_NODES_MAX];
    // wait: nodes answer an ask | until round_retry_us, in a session drain_retry_us | then those that did not are asked
    // again, ASKS_MAX times at most
    mm_us_t ask_again_at;
    mm_us_t retry_us;
    // wait: all nodes have answered | until round_us, in a session drain_us | then the round is over and names who is
    // missing
    mm_us_t deadline;            ///< an instant
    uint8_t ask_index;           ///< next node to be looked at by next_ask
    mm_batch_builder_t *batches; ///< borrowed array
    uint8_t batch_capacity;
    uint8_t batch_count;
    uint8_t answer_batch; ///< where the last answer that was taken went
    mm_counters_t *counters;
} mm_round_t;

/// batches: array of batch_capacity builders, each already begun on its own buffer; borrowed until the round is over. A
/// round covers at most batch_capacity * MM_BATCH_NODES_MAX nodes (asserted in begin).
void mm_round_init(mm_round_t *self, mm_batch_builder_t *batches, uint8_t batch_capacity, mm_counters_t *counters);
/// Start another round (round_id must differ from the last one, not 0; asserted); an open one is abandoned. Builders
/// are begun again here. nodes are distinct. Each node is asked at most 3 times, retry_us apart, until it answers.
/// deadline is an instant.
void mm_round_begin(mm_round_t *self, uint32_t round_id, uint8_t kind, const mm_mac_t *nodes, uint8_t node_count,
                    mm_us_t now, mm_us_t retry_us, mm_us_t deadline);
/// Nobody waits for this round any more: it is over, and answers to it are late.
void mm_round_abort(mm_round_t *self);
/// Whom to ask now: true and *node, or false when nobody is due at `now`. Call until false.
bool mm_round_next_ask(mm_round_t *self, mm_us_t now, mm_mac_t *node);
/// An answer: a whole, checked REPORT frame. MM_OK: taken (first answer of an asked node in this open round); the last
/// one closes the round. MM_ERR_STATE: late, duplicate or stranger, counted, nothing done. MM_ERR_FULL: no room in the
/// batches; the node counts as missing.
mm_err_t mm_round_answer(mm_round_t *self, mm_mac_t node, uint32_t round_id, const void *frame, size_t frame_bytes);
/// Close when the deadline has passed; true when the round is over, or none was begun (idempotent).
bool mm_round_poll(mm_round_t *self, mm_us_t now);
/// MM_US_NEVER when no round is open.
mm_us_t mm_round_next_deadline(const mm_round_t *self);
/// After the end: nodes that did not answer; returns their number (missing has room for MM_NODES_MAX).
uint8_t mm_round_missing(const mm_round_t *self, mm_mac_t *missing);
bool mm_round_has_answered(const mm_round_t *self, mm_mac_t node);

#endif
