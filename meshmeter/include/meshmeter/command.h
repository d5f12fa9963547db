// SPDX-License-Identifier: Apache-2.0
#ifndef MM_COMMAND_H
#define MM_COMMAND_H

#include "meshmeter/base.h"
#include "meshmeter/bytes.h"
#include "meshmeter/frame.h"
#include "meshmeter/limits.h"
#include "meshmeter/port/crypto.h"

/// Commands as bytes: one command for one node, sealed with that node's key, and the retained batch that carries those
/// of one gateway (docs/spec/commands.md). HQ writes, the root carries unread, the node opens.
///
/// A sealed command: mac 6, era u32, counter u32, id u64, not_after u40, kind u8, channel u8, body length u8, body,
/// tag 16. The tag is the first half of HMAC-SHA-256 under the device's key over "meshmeter command 1" and every byte
/// before it.

typedef enum {
    MM_COMMAND_NONE = 0,
    MM_COMMAND_LOCK = 1,        ///< meter. Body: empty
    MM_COMMAND_UNLOCK = 2,      ///< meter. Body: empty
    MM_COMMAND_UPDATE = 3,      ///< meter. mask u8, then per bit: 0 id (u8, characters), 1 pulse constant u32,
                                ///< 2 start_wh u64, 3 life_pulses u64
    MM_COMMAND_ERASE = 4,       ///< meter: month, hours and life begin at zero; what they were is journalled
    MM_COMMAND_FORMAT = 5,      ///< node. code u32: 0 asks for the code, which the answer tells; then that code
    MM_COMMAND_NETWORK = 6,     ///< node. Text "SSID\nPASSWORD"; staged
    MM_COMMAND_BROKER = 7,      ///< node. Text "URL\nUSER\nPASSWORD"; staged
    MM_COMMAND_SLOT_PLAN = 8,   ///< node. slot u32, slot_count u32
    MM_COMMAND_DISPLAY_ON = 9,  ///< node. seconds u16
    MM_COMMAND_FIND = 10,       ///< node. seconds u16
    MM_COMMAND_REBOOT = 11,     ///< node
    MM_COMMAND_SEND_NOW = 12,   ///< node: a session as soon as possible
    MM_COMMAND_READ_METER = 13, ///< meter: registers and credit in the answer
    MM_COMMAND_READ_LOG = 14,   ///< node: the log's tail in the answer
    MM_COMMAND_OTA_URL = 15,    ///< node. Text
    MM_COMMAND_OTA_START = 16,  ///< node
    MM_COMMAND_CREDIT = 17,     ///< meter. purchase u64, count u32 (of its token, even), amount_wh u64
    MM_COMMAND_VOID = 18,       ///< meter. purchase u64, count u32: takes the count without credit
    MM_COMMAND_LIMITS = 19,     ///< meter. warning_wh u32, emergency_wh u32, quiet_hours u32, quiet_days u8
    MM_COMMAND_MODE = 20,       ///< meter. prepaid u8 0 or 1
    MM_COMMAND_ADJUST = 21,     ///< meter. purchase u64, count u32, amount as u64 of two's complement, not zero:
                                ///< a correction of the books; may take away
    MM_COMMAND_CONFIRM = 22,    ///< node. revision u32 of the installation that is confirmed (setup.h)
    MM_COMMAND_REINSTALL = 23,  ///< node: sends its installation once more, and awaits its confirmation
    MM_COMMAND_ADMIT = 24,      ///< node (root). asker 6, nonce 16, hidden_key 32: it may have the network (join.h)
    MM_COMMAND_KIND_COUNT,
} mm_command_kind_t;

/// "lock", "unlock", "update" …; "unknown" beyond.
const char *mm_command_kind_name(uint8_t kind);
/// True if the kind is for one meter (channel 0 … 7), false if for the node (MM_COMMAND_WHOLE_NODE).
bool mm_command_is_for_meter(uint8_t kind);

#define MM_COMMAND_WHOLE_NODE 0xFF
#define MM_COMMAND_BODY_BYTES_MAX 200
#define MM_COMMAND_TAG_BYTES 16
#define MM_COMMAND_HEADER_BYTES 30
#define MM_COMMAND_BYTES_MAX (MM_COMMAND_HEADER_BYTES + MM_COMMAND_BODY_BYTES_MAX + MM_COMMAND_TAG_BYTES)
/// Commands in one batch.
#define MM_COMMAND_BATCH_MAX 40

typedef struct {
    mm_mac_t node;
    uint32_t era;         ///< of the node's command state: a node that lost its memory has another one
    uint32_t counter;     ///< rises strictly within an era
    uint64_t id;          ///< HQ's number of the command; 1 … 2^63-1 (a database column)
    uint64_t not_after_s; ///< seconds since 1970, below 2^40; 0 = never expires
    uint8_t kind;
    uint8_t channel;
    uint8_t body_bytes;
    const uint8_t *body; ///< borrowed
} mm_command_t;

/// Write and seal. Returns the size in bytes; 0: does not fit, or the key is not available. Asserts fields that
/// mm_command_read would refuse.
size_t mm_command_seal(void *bytes, size_t capacity_bytes, const mm_command_t *command, const mm_crypto_t *crypto);
/// Decode the fields; proves nothing. MM_ERR_CORRUPT: bounds, left-over bytes, a channel that is neither 0 … 7 nor
/// MM_COMMAND_WHOLE_NODE, id or era 0, kind 0. Kinds of later versions are read; whether channel and body
/// (command_body.h) suit the kind is judged, and answered, by who carries it out.
mm_err_t mm_command_read(const void *bytes, size_t bytes_count, mm_command_t *command);
/// Compare the tag, in constant time. MM_ERR_CORRUPT: it is not this device's, or no command has that size;
/// MM_ERR_UNAVAILABLE: no key (crypto NULL, too).
mm_err_t mm_command_verify(const void *bytes, size_t bytes_count, const mm_crypto_t *crypto);

/// The retained message of meter/<site>/cmd, magic F7 43: database_id u64, revision u64, time, count u8, then count
/// sealed commands, each after its length u16, those of one node in the order of their counters.
typedef struct {
    uint64_t database_id;
    uint64_t revision; ///< rises whenever HQ changes the batch
    mm_time_t time;
    uint8_t count;
    struct {
        const uint8_t *bytes; ///< borrowed from the message
        uint16_t bytes_count;
        mm_mac_t node;
    } commands[MM_COMMAND_BATCH_MAX];
} mm_command_batch_t;

/// Returns the size in bytes; 0: does not fit, or would be larger than MM_DOWNLINK_BYTES_MAX. The commands' `node` is
/// not used.
size_t mm_command_batch_write(void *bytes, size_t capacity_bytes, const mm_command_batch_t *batch);
/// MM_ERR_CORRUPT, MM_ERR_VERSION as for other messages; CORRUPT also if one command's fields cannot be decoded. Fills
/// each command's `node`.
mm_err_t mm_command_batch_read(const void *bytes, size_t bytes_count, mm_command_batch_t *batch);

/// Section 3 of an ASK: sealed commands for the asked node, each after its length u16. Put behind mm_frame_write_ask's
/// bytes by mm_ask_put_commands; a node reads them one by one. Older nodes pass over the section.
typedef struct {
    mm_reader_t reader;
} mm_ask_commands_t;

/// Write the ask with the commands of `node` in the batch, in their order, up to the first that does not fit. Returns
/// the whole size, 0 if not even the ask fits. batch NULL: without.
size_t mm_frame_write_ask_with_commands(void *bytes, size_t capacity_bytes, mm_mac_t source, const mm_ask_t *ask,
                                        const mm_command_batch_t *batch, mm_mac_t node);
/// Begin to read the commands of an ASK frame that mm_frame_read_ask accepted; there may be none.
void mm_ask_commands_begin(const mm_frame_t *frame, mm_ask_commands_t *self);
/// Next one: true and its bytes.
bool mm_ask_commands_next(mm_ask_commands_t *self, const uint8_t **bytes, size_t *bytes_count);

/// Section 5 of an ASK: items of a message in the original's form (legacy_command.h), for every node, each after its
/// length u16; nothing in them is read here.
typedef struct {
    const char *text; ///< borrowed
    uint16_t text_bytes;
} mm_ask_item_t;

/// What fits behind every ask.
#define MM_ASK_ITEM_BYTES_MAX 1280

/// Write the ask with items, in their order, up to the first that does not fit. Returns the whole size, 0 if not even
/// the ask fits.
size_t mm_frame_write_ask_with_items(void *bytes, size_t capacity_bytes, mm_mac_t source, const mm_ask_t *ask,
                                     const mm_ask_item_t *items, uint8_t item_count);
/// As mm_ask_commands_begin, for the items; mm_ask_commands_next reads them.
void mm_ask_items_begin(const mm_frame_t *frame, mm_ask_commands_t *self);

typedef struct {
    bool prepaid;
    uint8_t relay_reasons;
    bool relay_closed;
    bool low;
    bool emergency_taken;
    int64_t balance_wh; ///< sent if prepaid, else 0; so are the following
    int64_t applied_wh;
    uint32_t token_count;
} mm_control_report_meter_t;

/// Section 4 of a REPORT: how far a node is with commands, and its credit.
typedef struct {
    uint32_t era;        ///< 0: no state, nothing is taken
    uint32_t counter;    ///< of the last command taken
    uint32_t slot;       ///< of the slot plan that was ordered; below slot_count
    uint32_t slot_count; ///< 0: none was ordered; slot is 0, too
    bool signed_only;    ///< the original's unsigned form is refused from now on
    mm_control_report_meter_t meters[MM_CHANNELS];
} mm_control_report_t;

/// Behind the snapshot, before the records. MM_ERR_FULL: does not fit; nothing was written.
mm_err_t mm_report_put_control(mm_report_writer_t *self, const mm_control_report_t *control);
/// Content of the section as mm_report_next hands it out. MM_ERR_CORRUPT.
mm_err_t mm_control_report_read(mm_reader_t *content, mm_control_report_t *control);

#endif
