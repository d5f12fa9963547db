// SPDX-License-Identifier: Apache-2.0
#ifndef MM_LEGACY_COMMAND_H
#define MM_LEGACY_COMMAND_H

#include "meshmeter/base.h"
#include "meshmeter/command.h"
#include "meshmeter/limits.h"
#include "meshmeter/port/crypto.h"

/// The original's form of commands, for sites that still send it (docs/spec/legacy-commands.md): a JSON text
/// {"cmdarr":[item, …]} whose items carry a check value `cha` of 32 bits, made with a secret that all devices of a
/// deployment share. It proves little: only the item's first 32 characters, for ever and for every meter. So it is off
/// unless a site asks for it, and a device that has taken a signed command refuses it (control.h).
///
/// Everything is read in place, item by item, with a bounded number of tokens. An item that names a field twice, nests
/// where nothing is nested, or is not strictly JSON, is malformed: another reader might understand it otherwise.

/// Characters of the secret that count: the original encrypts more, and compares less.
#define MM_LEGACY_SECRET_BYTES MM_AES_BLOCK_BYTES
/// How far `f` may be from today, in days: the sender's local date is not ours.
#define MM_LEGACY_DATE_DAYS 1
/// An item that is the same as the last one about the same thing is not carried out again until it was not seen for so
/// long: a retained message comes in every session.
#define MM_LEGACY_REPEAT_S (24 * 60 * 60)
#define MM_LEGACY_SEEN_MAX 32

/// Walks through the items of one message.
typedef struct {
    const char *text; ///< borrowed
    size_t text_bytes;
    size_t at;
    uint8_t items_left;
} mm_legacy_message_t;

/// True if the first character that is not white space begins a JSON object: no batch of commands does.
bool mm_legacy_message_is_one(const void *bytes, size_t bytes_count);
/// Checks the envelope and the extents of all items, not the items. MM_ERR_CORRUPT: another envelope, or more items
/// than MM_LEGACY_ITEMS_MAX. MM_ERR_FULL: longer than MM_LEGACY_BYTES_MAX. There may be no item.
mm_err_t mm_legacy_message_begin(mm_legacy_message_t *self, const void *bytes, size_t bytes_count);
/// Next item: true and its text, from brace to brace.
bool mm_legacy_message_next(mm_legacy_message_t *self, const char **item, size_t *item_bytes);

typedef enum {
    MM_LEGACY_COMMAND_GOOD = 0,
    MM_LEGACY_COMMAND_MALFORMED,
    MM_LEGACY_COMMAND_FORGED,    ///< without `cha`, or it is wrong
    MM_LEGACY_COMMAND_UNKNOWN,   ///< authentic, but no command of ours
    MM_LEGACY_COMMAND_DATE,      ///< `f` is missing, no date, or not about today
    MM_LEGACY_COMMAND_VALUES,    ///< a field is missing, of a wrong type or out of range
    MM_LEGACY_COMMAND_NO_CRYPTO, ///< the check value cannot be computed
} mm_legacy_verdict_t;

const char *mm_legacy_verdict_name(mm_legacy_verdict_t verdict);

/// One command of ours that an item asks for.
typedef struct {
    mm_command_kind_t kind;
    char meter_id[MM_METER_ID_CHARS_MAX + 1]; ///< whose; for a kind of the whole node: one of its meters, or "" = any
    uint8_t body_bytes;
    uint8_t body[MM_COMMAND_BODY_BYTES_MAX];
} mm_legacy_order_t;

typedef struct {
    uint32_t hash;    ///< of the item without white space; not 0
    uint32_t subject; ///< of its command and the meters it names
    uint8_t order_count;
    uint8_t next_order;
    mm_command_kind_t kinds[2]; ///< without locks
    mm_legacy_order_t order;    ///< its meter and body; the body is that of the last kind
    uint8_t lock_count;
    struct {
        char meter_id[MM_METER_ID_CHARS_MAX + 1];
        bool disconnect;
    } locks[MM_LEGACY_LOCKS_MAX];
} mm_legacy_command_t;

/// Read and check one item. secret: its first characters, filled up with zeros. today_s: seconds since 1970 if the
/// clock is known, negative if not; then dates are not judged.
mm_legacy_verdict_t mm_legacy_command_read(mm_legacy_command_t *self, const char *item, size_t item_bytes,
                                           const uint8_t secret[MM_LEGACY_SECRET_BYTES], const mm_crypto_t *crypto,
                                           int64_t today_s);
/// The orders of a good item, in their order: true and *order. Either all of them are possible or the item is refused.
bool mm_legacy_command_next(mm_legacy_command_t *self, mm_legacy_order_t *order);

/// What was carried out lately. Zero: nothing. Not kept across a start, so what is retained then runs once more.
typedef struct {
    struct {
        uint32_t hash; ///< 0 = free
        uint32_t subject;
        uint32_t at_s; ///< seen last
    } items[MM_LEGACY_SEEN_MAX];
} mm_legacy_seen_t;

/// Whether the item was carried out, and seen within MM_LEGACY_REPEAT_S; then it is seen now once more.
bool mm_legacy_seen_is_repeated(mm_legacy_seen_t *self, const mm_legacy_command_t *command, mm_us_t now);
/// Takes the place of an earlier item about the same thing, else of the oldest.
void mm_legacy_seen_add(mm_legacy_seen_t *self, const mm_legacy_command_t *command, mm_us_t now);

#endif
