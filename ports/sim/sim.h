// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SIM_H
#define MM_SIM_H

#include <stdio.h>

#include "meshmeter/base.h"
#include "meshmeter/random.h"
#include "sim/sim_queue.h"

/// What all models of one simulated world share: time, the seed, the trace, and the tally of what was done to it.

/// Faults that the simulator injects, by kind.
#define MM_SIM_FAULT_LIST(X)                                                                                           \
    X(POWER_CUT, "power_cut")                                                                                          \
    X(POWER_CUT_IN_WRITE, "power_cut_in_write")                                                                        \
    X(FLASH_SECTOR_BAD, "flash_sector_bad")                                                                            \
    X(FLASH_BIT_FLIPPED, "flash_bit_flipped")                                                                          \
    X(FRAM_FAILED, "fram_failed")                                                                                      \
    X(CLOCK_UNSET, "clock_unset")                                                                                      \
    X(CLOCK_STEPPED, "clock_stepped")                                                                                  \
    X(FRAME_LOST, "frame_lost")                                                                                        \
    X(FRAME_REPEATED, "frame_repeated")                                                                                \
    X(FRAME_DELAYED, "frame_delayed")                                                                                  \
    X(FRAME_DAMAGED, "frame_damaged")                                                                                  \
    X(MESH_SEND_REFUSED, "mesh_send_refused")                                                                          \
    X(MESH_PARTED, "mesh_parted")                                                                                      \
    X(MESH_PARENT_SWITCHED, "mesh_parent_switched")                                                                    \
    X(ROOT_ELECTED, "root_elected")                                                                                    \
    X(TWO_ROOTS, "two_roots")                                                                                          \
    X(ROUTER_OFF, "router_off")                                                                                        \
    X(PATH_STALLED, "path_stalled")                                                                                    \
    X(PATH_REFUSED, "path_refused")                                                                                    \
    X(PATH_RESET, "path_reset")                                                                                        \
    X(CONNACK_REFUSED, "connack_refused")                                                                              \
    X(SUBACK_REFUSED, "suback_refused")                                                                                \
    X(PUBACK_REFUSED, "puback_refused")                                                                                \
    X(PUBACK_LOST, "puback_lost")                                                                                      \
    X(PUBACK_REPEATED, "puback_repeated")                                                                              \
    X(PUBACK_LATE, "puback_late")                                                                                      \
    X(MESSAGE_LOST, "message_lost")                                                                                    \
    X(MESSAGE_REPEATED, "message_repeated")                                                                            \
    X(MESSAGE_REORDERED, "message_reordered")                                                                          \
    X(RETAINED_LOST, "retained_lost")                                                                                  \
    X(RETAINED_STALE, "retained_stale")                                                                                \
    X(CLIENT_TAKEN_OVER, "client_taken_over")                                                                          \
    X(BROKER_LIMIT, "broker_limit")                                                                                    \
    X(BROKER_RESTARTED, "broker_restarted")                                                                            \
    X(HQ_CRASHED, "hq_crashed")                                                                                        \
    X(HQ_DISK_FULL, "hq_disk_full")                                                                                    \
    X(HQ_DISK_FAILED, "hq_disk_failed")                                                                                \
    X(HQ_RESTORED, "hq_restored")                                                                                      \
    X(POISON_SENT, "poison_sent")                                                                                      \
    X(RELAY_REFUSED, "relay_refused")                                                                                  \
    X(CONFIGURATION_REFUSED, "configuration_refused") /* the flash of the configuration fails for a while */           \
    X(ENTROPY_FAILED, "entropy_failed")

/// Rare events: things that a run must really have met, or it has shown less than it says.
#define MM_SIM_PROBE_LIST(X)                                                                                           \
    X(CUT_IN_RECOVERY, "cut_in_recovery")     /* power failed again while a node was starting */                       \
    X(CUT_IN_THINNING, "cut_in_thinning")     /* power failed while a sector was being thinned */                      \
    X(CUT_BEFORE_APPEND, "cut_before_append") /* image saved, its pending record not yet in the journal */             \
    X(CUT_IN_ERASE, "cut_in_erase")                                                                                    \
    X(RECORD_RELEASED, "record_released") /* the ring used the sector of a released record again */                    \
    X(JOURNAL_THINNED, "journal_thinned")                                                                              \
    X(MONTH_CLOSED, "month_closed")                                                                                    \
    X(MONTH_CLOSED_OFFLINE, "month_closed_offline") /* while the router was down */                                    \
    X(PENDING_PULSES_FILED, "pending_pulses_filed") /* counted before the time was known */                            \
    X(CLOCK_STEPPED_BACK, "clock_stepped_back")                                                                        \
    X(FOREIGN_PUBACK, "foreign_puback")                 /* PUBACK of an earlier session, or of no message */           \
    X(UNCONFIRMED_BUT_STORED, "unconfirmed_but_stored") /* PUBACK lost, HQ has it */                                   \
    X(CONFIRMED_BUT_LOST, "confirmed_but_lost")         /* PUBACK given, HQ never got it */                            \
    X(SESSION_FULL, "session_full")                     /* all messages of a session were used */                      \
    X(TWO_ROOTS_PUBLISHED, "two_roots_published")       /* two roots sent the same record */                           \
    X(ROOT_CUT_IN_ROUND, "root_cut_in_round")                                                                          \
    X(ROOT_CUT_IN_SESSION, "root_cut_in_session")                                                                      \
    X(OLD_ROOT_RETURNED, "old_root_returned")                                                                          \
    X(WATERMARK_MOVED_BACK, "watermark_moved_back")                                                                    \
    X(HOLD_DOUBLED, "hold_doubled") /* confirmed long ago, never committed */                                          \
    X(HQ_CRASHED_UNCOMMITTED, "hq_crashed_uncommitted")                                                                \
    X(STALE_ACK_IGNORED, "stale_ack_ignored")                                                                          \
    X(LEGACY_STORED, "legacy_stored")                                                                                  \
    X(POISON_QUARANTINED, "poison_quarantined")                                                                        \
    X(SECTOR_RETIRED, "sector_retired")                                                                                \
    X(FRAM_SLOT_RECOVERED, "fram_slot_recovered")                                                                      \
    X(CREDIT_EXHAUSTED, "credit_exhausted")           /* supply was cut because the balance was gone */                \
    X(COMMAND_REPEATED, "command_repeated")           /* a node got a command that it had taken before */              \
    X(COMMANDS_STALE, "commands_stale")               /* a root refused an older batch of commands */                  \
    X(BOTH_WAYS, "both_ways")                         /* a purchase reached its meter by token and by network */       \
    X(CUT_IN_CONFIGURATION, "cut_in_configuration")   /* power failed while a configuration was stored */              \
    X(INSTALLATION_TORN, "installation_torn")         /* power failed between it and its record */                     \
    X(INSTALLATION_KEPT_OLD, "installation_kept_old") /* power failed in its storing, and the one before counts */     \
    X(INSTALLATION_REFUSED, "installation_refused")   /* the configuration's memory did not take it */                 \
    X(SETUP_FAULT, "setup_fault")                     /* a node was in the state FAULT, and came back */               \
    X(CODE_LOCKED_OUT, "code_locked_out")                                                                              \
    X(CODE_EXPIRED, "code_expired")                                                                                    \
    X(CODE_FOREIGN, "code_foreign")                 /* another node's code, or an old one, was refused */              \
    X(CODE_WITHOUT_ENTROPY, "code_without_entropy") /* a good code, and no entropy for a session */                    \
    X(INSTALLERS_TWO, "installers_two")             /* a second installer was sent away */                             \
    X(ANSWER_LOST, "answer_lost")                   /* the request was sent again and answered the same */             \
    X(SESSION_EXPIRED, "session_expired")                                                                              \
    X(SESSION_CANCELLED, "session_cancelled")                                                                          \
    X(FIELDS_REFUSED, "fields_refused")                                                                                \
    X(ROUTER_PROVED, "router_proved")                 /* and is part of the network */                                 \
    X(ROUTER_FELL_BACK, "router_fell_back")           /* from a wrong password */                                      \
    X(INSTALLED_AGAIN, "installed_again")             /* while it was running */                                       \
    X(SUPPLY_KEPT, "supply_kept")                     /* of a confirmed meter, while the node waits for HQ anew */     \
    X(INSTALLATION_REPEATED, "installation_repeated") /* HQ asked for it again */                                      \
    X(CONFIRM_REFUSED, "confirm_refused")             /* of a revision that the node has not */                        \
    X(NODE_RESET, "node_reset")                                                                                        \
    X(NETWORK_REFUSED, "network_refused")     /* an older one */                                                       \
    X(JOINED, "joined")                       /* a parked node got the network from the mesh */                        \
    X(JOINED_REVISION, "joined_revision")     /* a member got a newer one from the mesh */                             \
    X(JOIN_NOT_ADMITTED, "join_not_admitted") /* HQ lacks the key of who asks */                                       \
    X(METERS_SWAPPED, "meters_swapped")

typedef enum {
#define MM_SIM_FAULT_ENUM(id, name) MM_SIM_FAULT_##id,
    MM_SIM_FAULT_LIST(MM_SIM_FAULT_ENUM)
#undef MM_SIM_FAULT_ENUM
    MM_SIM_FAULT_COUNT
} mm_sim_fault_t;

typedef enum {
#define MM_SIM_PROBE_ENUM(id, name) MM_SIM_PROBE_##id,
    MM_SIM_PROBE_LIST(MM_SIM_PROBE_ENUM)
#undef MM_SIM_PROBE_ENUM
    MM_SIM_PROBE_COUNT
} mm_sim_probe_t;

const char *mm_sim_fault_name(mm_sim_fault_t fault);
const char *mm_sim_probe_name(mm_sim_probe_t probe);

typedef struct {
    mm_sim_queue_t *queue;
    uint64_t seed;
    uint64_t trace_hash;
    FILE *trace_file; ///< or NULL; borrowed
    uint64_t faults[MM_SIM_FAULT_COUNT];
    uint64_t probes[MM_SIM_PROBE_COUNT];
} mm_sim_t;

void mm_sim_init(mm_sim_t *self, uint64_t seed);
void mm_sim_deinit(mm_sim_t *self);
mm_us_t mm_sim_now(const mm_sim_t *self);
/// A random stream of its own for one use: what one model draws does not move what another one draws.
mm_random_t mm_sim_random(const mm_sim_t *self, const char *purpose, uint64_t index);
/// True with `millionths` in a million; draws only if the chance is neither 0 nor 1.
bool mm_sim_chance(mm_random_t *random, uint32_t millionths);

/// Note what happens, in the hash and, if there is one, in the trace file: "time device what first second". `what` is a
/// constant of the program; device -1 = the world itself.
void mm_sim_note(mm_sim_t *self, int device, const char *what, uint64_t first, uint64_t second);
/// The same for bytes that were sent or stored: their length and a checksum of them.
void mm_sim_note_bytes(mm_sim_t *self, int device, const char *what, const void *bytes, size_t bytes_count);
/// A fault was injected: tallied and noted.
void mm_sim_fault(mm_sim_t *self, mm_sim_fault_t fault, int device);
/// A rare event was met.
void mm_sim_probe(mm_sim_t *self, mm_sim_probe_t probe, int device);

#endif
