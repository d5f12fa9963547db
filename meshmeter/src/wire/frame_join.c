// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "codec_internal.h"
#include "wire/fields.h"

// The two frames of joining (docs/spec/joining.md, 2).

static bool site_is_good(const char *site, size_t chars) {
    for (size_t i = 0; i < chars; i++) {
        char character = site[i];
        if ((character < 'a' || character > 'z') && (character < '0' || character > '9') && character != '-') {
            return false;
        }
    }
    return chars >= 1 && chars <= MM_SITE_CHARS_MAX;
}

static bool part_is_good(const mm_join_answer_t *answer) {
    if (answer->part_count == 0) {
        return answer->part == 0 && answer->slice_bytes == 0;
    }
    bool is_last = answer->part + 1 == answer->part_count;
    return answer->part_count <= MM_JOIN_SLICES_MAX && answer->part < answer->part_count && answer->slice_bytes >= 1 &&
           (is_last ? answer->slice_bytes <= MM_JOIN_SLICE_BYTES : answer->slice_bytes == MM_JOIN_SLICE_BYTES);
}

static const mmi_field_t ask_fields[] = {
    MMI_FIELD(mm_join_ask_t, asker.bytes, MMI_FIELD_BYTES),
    MMI_FIELD(mm_join_ask_t, nonce, MMI_FIELD_BYTES),
    MMI_FIELD(mm_join_ask_t, revision, 4),
    MMI_FIELD(mm_join_ask_t, tag, MMI_FIELD_BYTES),
};

size_t mm_frame_write_join_ask(void *bytes, size_t capacity_bytes, mm_mac_t source, const mm_join_ask_t *ask) {
    mm_writer_t writer = mmi_frame_begin(bytes, capacity_bytes, MM_FRAME_JOIN_ASK, source);
    mmi_put_fields(&writer, MMI_FIELDS(ask_fields), ask);
    return mmi_frame_seal(&writer);
}

mm_err_t mm_frame_read_join_ask(const mm_frame_t *frame, mm_join_ask_t *ask) {
    MM_ASSERT(frame->type == MM_FRAME_JOIN_ASK);
    mm_reader_t reader = mm_reader(frame->body, frame->body_bytes);
    mmi_get_fields(&reader, MMI_FIELDS(ask_fields), ask);
    reader.failed = reader.failed || mm_mac_is_zero(ask->asker);
    return mmi_finish_body(&reader);
}

size_t mm_frame_write_join_answer(void *bytes, size_t capacity_bytes, mm_mac_t source, const mm_join_answer_t *answer) {
    const char *end = memchr(answer->site, '\0', sizeof answer->site);
    MM_ASSERT(end != NULL && site_is_good(answer->site, (size_t)(end - answer->site)));
    MM_ASSERT(part_is_good(answer));
    mm_writer_t writer = mmi_frame_begin(bytes, capacity_bytes, MM_FRAME_JOIN_ANSWER, source);
    mm_put_mac(&writer, answer->asker);
    mm_put_bytes(&writer, answer->nonce, sizeof answer->nonce);
    mm_put_u8(&writer, (uint8_t)(end - answer->site));
    mm_put_bytes(&writer, answer->site, (size_t)(end - answer->site));
    mm_put_u8(&writer, answer->part);
    mm_put_u8(&writer, answer->part_count);
    mm_put_u8(&writer, answer->slice_bytes);
    mm_put_bytes(&writer, answer->slice, answer->slice_bytes);
    return mmi_frame_seal(&writer);
}

mm_err_t mm_frame_read_join_answer(const mm_frame_t *frame, mm_join_answer_t *answer) {
    MM_ASSERT(frame->type == MM_FRAME_JOIN_ANSWER);
    mm_reader_t reader = mm_reader(frame->body, frame->body_bytes);
    memset(answer, 0, sizeof *answer);
    answer->asker = mm_get_mac(&reader);
    mm_get_bytes(&reader, answer->nonce, sizeof answer->nonce);
    size_t site_chars = mm_get_u8(&reader);
    if (site_chars > MM_SITE_CHARS_MAX) {
        return MM_ERR_CORRUPT;
    }
    mm_get_bytes(&reader, answer->site, site_chars);
    answer->part = mm_get_u8(&reader);
    answer->part_count = mm_get_u8(&reader);
    answer->slice_bytes = mm_get_u8(&reader);
    answer->slice = mm_get_view(&reader, answer->slice_bytes);
    reader.failed = reader.failed || mm_mac_is_zero(answer->asker) || !site_is_good(answer->site, site_chars) ||
                    !part_is_good(answer);
    return mmi_finish_body(&reader);
}
