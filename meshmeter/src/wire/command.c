// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/command.h"

#include <string.h>

#include "codec_internal.h"
#include "wire/fields.h"

// What a tag begins with, so that the device's key signs nothing else by accident (commands.md, 2.3).
#define LABEL "meshmeter command 1"
#define LABEL_BYTES (sizeof LABEL - 1)
#define COVERED_BYTES_MAX (LABEL_BYTES + MM_COMMAND_HEADER_BYTES + MM_COMMAND_BODY_BYTES_MAX)

static const struct {
    const char *name;
    bool for_meter;
} kinds[] = {
    [MM_COMMAND_NONE] = {"none", false},
    [MM_COMMAND_LOCK] = {"lock", true},
    [MM_COMMAND_UNLOCK] = {"unlock", true},
    [MM_COMMAND_UPDATE] = {"update", true},
    [MM_COMMAND_ERASE] = {"erase", true},
    [MM_COMMAND_FORMAT] = {"format", false},
    [MM_COMMAND_NETWORK] = {"network", false},
    [MM_COMMAND_BROKER] = {"broker", false},
    [MM_COMMAND_SLOT_PLAN] = {"slot_plan", false},
    [MM_COMMAND_DISPLAY_ON] = {"display_on", false},
    [MM_COMMAND_FIND] = {"find", false},
    [MM_COMMAND_REBOOT] = {"reboot", false},
    [MM_COMMAND_SEND_NOW] = {"send_now", false},
    [MM_COMMAND_READ_METER] = {"read_meter", true},
    [MM_COMMAND_READ_LOG] = {"read_log", false},
    [MM_COMMAND_OTA_URL] = {"ota_url", false},
    [MM_COMMAND_OTA_START] = {"ota_start", false},
    [MM_COMMAND_CREDIT] = {"credit", true},
    [MM_COMMAND_VOID] = {"void", true},
    [MM_COMMAND_LIMITS] = {"limits", true},
    [MM_COMMAND_MODE] = {"mode", true},
    [MM_COMMAND_ADJUST] = {"adjust", true},
    [MM_COMMAND_CONFIRM] = {"confirm", false},
    [MM_COMMAND_REINSTALL] = {"reinstall", false},
    [MM_COMMAND_ADMIT] = {"admit", false},
};

_Static_assert(sizeof kinds / sizeof kinds[0] == MM_COMMAND_KIND_COUNT, "every kind has a name and a target");

const char *mm_command_kind_name(uint8_t kind) {
    return kind < MM_COMMAND_KIND_COUNT ? kinds[kind].name : "unknown";
}

bool mm_command_is_for_meter(uint8_t kind) {
    return kind < MM_COMMAND_KIND_COUNT && kinds[kind].for_meter;
}

// Tag of a command's bytes before it.
static mm_err_t make_tag(const uint8_t *bytes, size_t bytes_count, const mm_crypto_t *crypto,
                         uint8_t mac[MM_HMAC_BYTES]) {
    if (crypto == NULL) {
        return MM_ERR_UNAVAILABLE;
    }
    uint8_t covered[COVERED_BYTES_MAX];
    mm_writer_t writer = mm_writer(covered, sizeof covered);
    mm_put_bytes(&writer, LABEL, LABEL_BYTES);
    mm_put_bytes(&writer, bytes, bytes_count);
    MM_ASSERT(!writer.failed);
    return crypto->device_hmac(crypto->context, covered, writer.used_bytes, mac);
}

bool mmi_channel_is_possible(uint8_t channel) {
    return channel < MM_CHANNELS || channel == MM_COMMAND_WHOLE_NODE;
}

static const mmi_field_t header_fields[] = {
    MMI_FIELD(mm_command_t, node.bytes, MMI_FIELD_BYTES),
    MMI_FIELD(mm_command_t, era, 4),
    MMI_FIELD(mm_command_t, counter, 4),
    MMI_FIELD(mm_command_t, id, 8),
    MMI_FIELD(mm_command_t, not_after_s, 5),
    MMI_FIELD(mm_command_t, kind, 1),
    MMI_FIELD(mm_command_t, channel, 1),
    MMI_FIELD(mm_command_t, body_bytes, 1),
};

size_t mm_command_seal(void *bytes, size_t capacity_bytes, const mm_command_t *command, const mm_crypto_t *crypto) {
    MM_ASSERT(command->era >= 1);
    MM_ASSERT(command->id >= 1 && command->id <= MMI_VALUE_MAX);
    MM_ASSERT(command->kind != MM_COMMAND_NONE);
    MM_ASSERT(mmi_channel_is_possible(command->channel));
    MM_ASSERT(command->body_bytes <= MM_COMMAND_BODY_BYTES_MAX);
    mm_writer_t writer = mm_writer(bytes, capacity_bytes);
    MM_ASSERT(command->not_after_s >> 40 == 0);
    mmi_put_fields(&writer, MMI_FIELDS(header_fields), command);
    mm_put_bytes(&writer, command->body, command->body_bytes);
    uint8_t mac[MM_HMAC_BYTES];
    if (writer.failed || make_tag(writer.data, writer.used_bytes, crypto, mac) != MM_OK) {
        return 0;
    }
    mm_put_bytes(&writer, mac, MM_COMMAND_TAG_BYTES);
    return writer.failed ? 0 : writer.used_bytes;
}

mm_err_t mm_command_read(const void *bytes, size_t bytes_count, mm_command_t *command) {
    memset(command, 0, sizeof *command);
    mm_reader_t reader = mm_reader(bytes, bytes_count);
    mmi_get_fields(&reader, MMI_FIELDS(header_fields), command);
    command->body = mm_get_view(&reader, command->body_bytes);
    mm_get_view(&reader, MM_COMMAND_TAG_BYTES);
    if (!mmi_is_complete(&reader) || command->era == 0 || command->id == 0 || command->id > MMI_VALUE_MAX ||
        command->kind == MM_COMMAND_NONE || !mmi_channel_is_possible(command->channel) ||
        command->body_bytes > MM_COMMAND_BODY_BYTES_MAX) {
        return MM_ERR_CORRUPT;
    }
    return MM_OK;
}

mm_err_t mm_command_verify(const void *bytes, size_t bytes_count, const mm_crypto_t *crypto) {
    if (bytes_count < MM_COMMAND_HEADER_BYTES + MM_COMMAND_TAG_BYTES || bytes_count > MM_COMMAND_BYTES_MAX) {
        return MM_ERR_CORRUPT;
    }
    size_t covered_bytes = bytes_count - MM_COMMAND_TAG_BYTES;
    uint8_t mac[MM_HMAC_BYTES];
    mm_err_t err = make_tag(bytes, covered_bytes, crypto, mac);
    if (err != MM_OK) {
        return err;
    }
    const uint8_t *tag = (const uint8_t *)bytes + covered_bytes;
    return mm_bytes_equal_constant_time(mac, tag, MM_COMMAND_TAG_BYTES) ? MM_OK : MM_ERR_CORRUPT;
}
