// SPDX-License-Identifier: Apache-2.0
#ifndef MM_COUNTERS_H
#define MM_COUNTERS_H

#include "meshmeter/base.h"

/// Things that went wrong and need no action of the caller, counted by name since boot and sent to HQ with each
/// snapshot (only the non-zero ones). The number of an entry is its id on the wire: append, never reorder.
#define MM_COUNTER_LIST(X)                                                                                             \
    X(FRAME_CORRUPT, "frame_corrupt")       /* checksum or bounds */                                                   \
    X(FRAME_VERSION, "frame_version")       /* of a later version */                                                   \
    X(FRAME_UNKNOWN, "frame_unknown")       /* well formed, type not known here */                                     \
    X(FRAME_UNEXPECTED, "frame_unexpected") /* not from or for this role */                                            \
    X(ANSWER_DUPLICATE, "answer_duplicate") /* a node answered one round twice */                                      \
    X(ANSWER_LATE, "answer_late")           /* round over, or another round */                                         \
    X(ANSWER_STRANGER, "answer_stranger")   /* from a node that was not asked */                                       \
    X(ROUND_INCOMPLETE, "round_incomplete") /* deadline with nodes missing */                                          \
    X(NODE_TABLE_FULL, "node_table_full")   /* a node beyond MM_NODES_MAX */                                           \
    X(MESH_SEND_FAILED, "mesh_send_failed")                                                                            \
    X(SESSION_FAILED, "session_failed")   /* ended before everything was confirmed */                                  \
    X(SESSION_REFUSED, "session_refused") /* CONNACK with an error */                                                  \
    X(SUBSCRIBE_REFUSED, "subscribe_refused")                                                                          \
    X(PUBLISH_REFUSED, "publish_refused") /* PUBACK with an error, or no subscriber */                                 \
    X(PUBACK_UNKNOWN, "puback_unknown")   /* of another session, unknown or repeated */                                \
    X(PUBACK_TIMEOUT, "puback_timeout")                                                                                \
    X(DOWNLINK_CORRUPT, "downlink_corrupt") /* message from the broker that cannot be decoded */                       \
    X(DOWNLINK_TOO_LARGE, "downlink_too_large")                                                                        \
    X(CLOCK_STEPPED, "clock_stepped")   /* wall clock moved by more than 2 s */                                        \
    X(CLOCK_REJECTED, "clock_rejected") /* time from the mesh or broker outside of its limits */                       \
    X(FRAM_ERROR, "fram_error")                                                                                        \
    X(FRAM_SLOT_DAMAGED, "fram_slot_damaged") /* one copy bad, the other one used */                                   \
    X(FLASH_ERROR, "flash_error")                                                                                      \
    X(JOURNAL_SECTOR_RETIRED, "journal_sector_retired")                                                                \
    X(JOURNAL_RECORD_DAMAGED, "journal_record_damaged")                                                                \
    X(JOURNAL_THINNED, "journal_thinned")                 /* records replaced by coarser ones */                       \
    X(JOURNAL_RESTARTED, "journal_restarted")             /* a new epoch was begun */                                  \
    X(RECORD_REFUSED, "record_refused")                   /* journal took no record; registers are still exact */      \
    X(PULSE_COUNTER_RESTARTED, "pulse_counter_restarted") /* hardware counter lost its state */                        \
    X(PULSE_REJECTED, "pulse_rejected")                   /* more pulses at once than the meter can make */            \
    X(WATERMARK_MOVED_BACK, "watermark_moved_back")       /* HQ was restored from a backup */                          \
    X(WATERMARK_REJECTED, "watermark_rejected")           /* HQ claims records that were never made */                 \
    X(COMMAND_CORRUPT, "command_corrupt")                 /* cannot be decoded */                                      \
    X(COMMAND_FOREIGN, "command_foreign")                 /* for another node, or of another era */                    \
    X(COMMAND_FORGED, "command_forged")                   /* its tag is not this device's */                           \
    X(COMMAND_REPEATED, "command_repeated")               /* counter not above the last one: taken before */           \
    X(COMMAND_WAITING, "command_waiting")                 /* expires, and no clock is known */                         \
    X(COMMAND_UNSIGNED, "command_unsigned")               /* the original's form, where it is not allowed */           \
    X(TOKEN_WRONG, "token_wrong")                                                                                      \
    X(TOKEN_REPEATED, "token_repeated")                                                                                \
    X(RELAY_ERROR, "relay_error")   /* a relay did not take what it was told */                                        \
    X(COMMANDS_OLD, "commands_old") /* the broker brought an older batch of commands again */                          \
    X(JOIN_REFUSED, "join_refused") /* asks at the door beyond what a root serves, or a door packet that is none */    \
    X(JOIN_FORGED, "join_forged")   /* an answer that HQ has not vouched for, or an ask in another's name */           \
    X(CODE_WRONG, "code_wrong")     /* an installer's code that was wrong */

typedef enum {
#define MM_COUNTER_ENUM(id, name) MM_COUNTER_##id,
    MM_COUNTER_LIST(MM_COUNTER_ENUM)
#undef MM_COUNTER_ENUM
    MM_COUNTER_COUNT
} mm_counter_t;

typedef struct {
    uint32_t values[MM_COUNTER_COUNT]; ///< saturating
} mm_counters_t;

void mm_counters_add(mm_counters_t *self, mm_counter_t counter, uint32_t amount);
/// Once.
void mm_counters_count(mm_counters_t *self, mm_counter_t counter);
/// Name used in logs and by HQ; "unknown" for an id of a later version.
const char *mm_counter_name(uint32_t id);

#endif
