// SPDX-License-Identifier: Apache-2.0
// The original's commands: each item is refused, or asks for commands that can be carried out. Every item is read with
// the check value that its sender would have given it, because a fuzzer does not find one by itself.
#include "meshmeter/command_body.h"
#include "meshmeter/legacy_command.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good) {
    if (!good) {
        abort();
    }
}

// The check value is then "30303030", whatever the item is: the toy's block always begins with '0'.
static mm_err_t encrypt(void *context, const uint8_t key[MM_AES256_KEY_BYTES], const uint8_t block[MM_AES_BLOCK_BYTES],
                        uint8_t result[MM_AES_BLOCK_BYTES]) {
    (void)context;
    (void)key;
    (void)block;
    memset(result, '0', MM_AES_BLOCK_BYTES);
    return MM_OK;
}

static void try_item(const char *item, size_t item_bytes, int64_t today_s) {
    static const uint8_t secret[MM_LEGACY_SECRET_BYTES];
    const mm_crypto_t crypto = {.aes256_encrypt = encrypt};
    mm_legacy_command_t command;
    mm_legacy_order_t order;
    mm_legacy_seen_t seen;
    mm_legacy_verdict_t verdict = mm_legacy_command_read(&command, item, item_bytes, secret, &crypto, today_s);
    unsigned orders = 0;
    memset(&seen, 0, sizeof seen);
    while (mm_legacy_command_next(&command, &order)) {
        mm_command_body_t body;
        check(memchr(order.meter_id, '\0', sizeof order.meter_id) != NULL);
        check(mm_command_body_read((uint8_t)order.kind, order.body, order.body_bytes, &body) == MM_OK);
        check(order.meter_id[0] != '\0' || !mm_command_is_for_meter((uint8_t)order.kind));
        check(++orders <= MM_LEGACY_LOCKS_MAX);
    }
    check((orders > 0) == (verdict == MM_LEGACY_COMMAND_GOOD));
    if (orders > 0) {
        check(!mm_legacy_seen_is_repeated(&seen, &command, 1));
        mm_legacy_seen_add(&seen, &command, 1);
        check(mm_legacy_seen_is_repeated(&seen, &command, 1));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mm_legacy_message_t message;
    const char *item = NULL;
    size_t item_bytes = 0;
    try_item((const char *)data, size, -1);
    if (mm_legacy_message_begin(&message, data, size) != MM_OK) {
        return 0;
    }
    check(mm_legacy_message_is_one(data, size));
    unsigned items = 0;
    while (mm_legacy_message_next(&message, &item, &item_bytes)) {
        check(item_bytes >= 2 && item[0] == '{' && item[item_bytes - 1] == '}');
        check(item >= (const char *)data && item + item_bytes <= (const char *)data + size);
        try_item(item, item_bytes, 1740787200);
        check(++items <= MM_LEGACY_ITEMS_MAX);
    }
    return 0;
}
