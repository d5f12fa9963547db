// SPDX-License-Identifier: Apache-2.0
#ifndef MM_JOIN_H
#define MM_JOIN_H

#include "meshmeter/base.h"
#include "meshmeter/command_body.h"
#include "meshmeter/counters.h"
#include "meshmeter/frame.h"
#include "meshmeter/metering.h"
#include "meshmeter/port/crypto.h"
#include "meshmeter/port/door.h"
#include "meshmeter/port/entropy.h"
#include "meshmeter/port/log.h"
#include "meshmeter/port/mesh.h"
#include "meshmeter/random.h"
#include "meshmeter/setup.h"

/// How a node gets the network of a mesh from the mesh itself, without a phone (docs/spec/joining.md,
/// docs/adr/0011-joining.md). Three parts, all in this module:
///
///   asker   a parked node, or a member whose network is older than the root's: asks, with a nonce and a proof that it
///           has the key that HQ knows of it, until it gets the network. A parked node asks at the door, a member
///           through the mesh.
///   relay   every member, at every depth: carries asks from its door to the root and answers from the root to its
///           door. Keeps nothing.
///   host    the root: tells HQ of each ask once (a JOIN record), gets HQ's word as the command ADMIT, which brings the
///           key under which exactly this asker opens the answer, and answers each repeated ask with the network,
///           sealed.
///
/// Nobody but HQ decides. The root needs no secret of the asker, the asker trusts no root that HQ has not given the key
/// to, and nobody else can read the answer. Nothing of the host is durable: what a root has forgotten is asked again,
/// and HQ answers again. What the asker takes is stored by mm_setup_take_network.
///
/// States of the asker:
///   IDLE --parked, or an older network than the root's--> ASKING --the whole answer, good--> IDLE
///   ASKING --the reason is gone (provisioned from elsewhere)--> IDLE
/// It never gives up: the interval between asks doubles from MM_JOIN_RETRY_S to MM_JOIN_RETRY_MAX_S. Nodes whose power
/// comes back together must not ask together: the first ask is up to MM_JOIN_FIRST_MAX_MS late, each interval up to a
/// MM_JOIN_JITTER_PART-th of itself longer, as the node's random has it. A nonce lives as
/// long as the asking; it is new after each restart and after each answer that was opened and judged. An answer that
/// was good but could not be stored is asked for again under the same nonce: HQ has said its word.

#define MM_JOIN_NONCE_BYTES 16
#define MM_JOIN_TAG_BYTES 16
#define MM_JOIN_KEY_BYTES 32
/// Askers that a root serves at the same time; the one that has not asked for the longest time makes room. Whom HQ has
/// admitted makes room for nobody else while it still asks (silent for less than MM_JOIN_SERVED_S): a flood at the door
/// costs the others a repeated record, and nobody the answer.
#define MM_JOIN_ASKERS_MAX 8
/// JOIN records a root makes in an hour at most: what is in radio range must not fill the journal.
#define MM_JOIN_RECORDS_PER_HOUR 24
#define MM_JOIN_RENEW_S 3600
#define MM_JOIN_RETRY_S 5
#define MM_JOIN_RETRY_MAX_S 60
/// The random part of what the asker waits for.
#define MM_JOIN_FIRST_MAX_MS 1000
#define MM_JOIN_JITTER_PART 4
#define MM_JOIN_SERVED_S 180
/// A root forgets an asker that was silent for so long.
#define MM_JOIN_FORGET_S 3600
#define MM_JOIN_PART_BYTES MM_JOIN_SLICE_BYTES
#define MM_JOIN_PARTS_MAX MM_JOIN_SLICES_MAX

typedef enum {
    MM_JOIN_IDLE = 0,
    MM_JOIN_ASKING = 1,
} mm_join_state_t;

/// One asker, as the root knows it.
typedef struct {
    bool used;
    bool told;     ///< its JOIN record is journalled
    bool admitted; ///< `key` is valid
    mm_mac_t asker;
    mm_mac_t via; ///< the member at whose door it asked; the asker itself if it is a member
    uint8_t nonce[MM_JOIN_NONCE_BYTES];
    uint8_t tag[MM_JOIN_TAG_BYTES];
    uint32_t revision; ///< of the network it has; 0 = none
    uint8_t key[MM_JOIN_KEY_BYTES];
    uint8_t iv[MM_AEAD_IV_BYTES]; ///< one for each network, so that parts of repeated answers fit each other
    uint32_t iv_revision;         ///< of the network that it is for; 0 = no iv yet
    // no wait: an instant of the past
    mm_us_t asked_at;
} mm_join_asker_t;

typedef struct {
    mm_mac_t mac;
    mm_setup_t *setup;
    mm_metering_t *metering;
    const mm_crypto_t *crypto;
    const mm_entropy_t *entropy;
    const mm_mesh_t *mesh;
    const mm_door_t *door; ///< or NULL: this node can neither ask at a door nor be asked there
    mm_counters_t *counters;
    const mm_log_t *log;
    mm_join_state_t state;
    bool is_root;
    uint8_t parts_seen; ///< bit per part of the answer being put together
    uint8_t part_count;
    uint8_t last_bytes;     ///< of the last part
    uint8_t records_left;   ///< of this hour
    uint32_t root_revision; ///< that the root's last ask told; 0 = none
    uint32_t retry_s;
    mm_random_t random; ///< for jitter
    // wait: the network comes from the mesh | until MM_JOIN_RETRY_S, doubled up to MM_JOIN_RETRY_MAX_S, and a random
    // quarter of it at the most | then it is asked for again
    mm_us_t ask_at;
    // wait: an asker asks again | until MM_JOIN_FORGET_S | then the root forgets it
    mm_us_t forget_at;
    // wait: the root may journal asks again | until MM_JOIN_RENEW_S | then MM_JOIN_RECORDS_PER_HOUR are left
    mm_us_t records_renew_at;
    // Large: behind the others, which cost less code near the beginning. Of the asker:
    uint8_t nonce[MM_JOIN_NONCE_BYTES];
    char heard_site[MM_SITE_CHARS_MAX + 1]; ///< of a mesh that says HQ has been asked; not proved; for the display
    uint8_t sealed[MM_JOIN_PARTS_MAX * MM_JOIN_PART_BYTES];
    // Of the host:
    mm_join_asker_t askers[MM_JOIN_ASKERS_MAX];
} mm_join_t;

/// After mm_setup_open. Everything is borrowed. Registers itself as what control calls for ADMIT. random_seed: for
/// jitter; different in each device.
void mm_join_open(mm_join_t *self, mm_mac_t mac, mm_setup_t *setup, mm_metering_t *metering, const mm_crypto_t *crypto,
                  const mm_entropy_t *entropy, const mm_mesh_t *mesh, const mm_door_t *door, mm_counters_t *counters,
                  const mm_log_t *log, uint64_t random_seed, mm_us_t now);
/// The role came or went. What the host knew is forgotten with the role.
void mm_join_set_root(mm_join_t *self, bool is_root, mm_us_t now);
/// The root's network has this revision (section 6 of its ask). A member with an older one begins to ask.
void mm_join_heard_revision(mm_join_t *self, uint32_t revision, mm_us_t now);
/// What the root puts into its asks: the revision of its network, 0 = none (no section).
uint32_t mm_join_revision(const mm_join_t *self);
/// A packet at the door. `from` is not proved.
void mm_join_on_door(mm_join_t *self, mm_mac_t from, const void *bytes, size_t bytes_count, mm_us_t now);
/// A checked JOIN_ASK or JOIN_ANSWER frame that came through the mesh.
void mm_join_on_frame(mm_join_t *self, const mm_frame_t *frame, mm_us_t now);
/// HQ's word (the command ADMIT, which has been authenticated). Idempotent. Who is not known (any more) is noted: it
/// asks again. DONE; STATE: not the root of a provisioned mesh; FAILED: this device has no key.
mm_result_status_t mm_join_admit(mm_join_t *self, const mm_admit_body_t *admit, mm_us_t now);
/// After mm_setup_poll. Next deadline.
mm_us_t mm_join_poll(mm_join_t *self, mm_us_t now);

/// HQ's side of the arithmetic, here so that both sides are one piece of code. MM_ERR_UNAVAILABLE: no key.
///
/// True if the tag of an ask is that of the device whose key `crypto` has; constant time.
bool mm_join_is_proved(const mm_join_record_t *record, const mm_crypto_t *asker_crypto);
/// The body of ADMIT for `root`: the asker's answer key, hidden under the root's own key.
mm_err_t mm_join_admit_body(const mm_join_record_t *record, const mm_crypto_t *asker_crypto,
                            const mm_crypto_t *root_crypto, mm_admit_body_t *admit);

#endif
