// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "codec_internal.h"
#include "meshmeter/text.h"
#include "wire/fields.h"

// The two frames of joining (docs/spec/joining.md, 2).

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
    mm_reader_t reader = mmi_frame_body(frame, MM_FRAME_JOIN_ASK);
    mmi_get_fields(&reader, MMI_FIELDS(ask_fields), ask);
    reader.failed = reader.failed || mm_mac_is_zero(ask->asker);
    return mmi_finish_body(&reader);
}

// The slice follows.
static const mmi_field_t answer_fields[] = {
    MMI_FIELD(mm_join_answer_t, asker.bytes, MMI_FIELD_BYTES),
    MMI_FIELD(mm_join_answer_t, nonce, MMI_FIELD_BYTES),
    MMI_FIELD(mm_join_answer_t, site, MMI_FIELD_TEXT),
    MMI_FIELD(mm_join_answer_t, part, 1),
    MMI_FIELD(mm_join_answer_t, part_count, 1),
    MMI_FIELD(mm_join_answer_t, slice_bytes, 1),
};

size_t mm_frame_write_join_answer(void *bytes, size_t capacity_bytes, mm_mac_t source, const mm_join_answer_t *answer) {
    MM_ASSERT(mm_text_is_site(answer->site, sizeof answer->site) && part_is_good(answer));
    mm_writer_t writer = mmi_frame_begin(bytes, capacity_bytes, MM_FRAME_JOIN_ANSWER, source);
    mmi_put_fields(&writer, MMI_FIELDS(answer_fields), answer);
    mm_put_bytes(&writer, answer->slice, answer->slice_bytes);
    return mmi_frame_seal(&writer);
}

mm_err_t mm_frame_read_join_answer(const mm_frame_t *frame, mm_join_answer_t *answer) {
    mm_reader_t reader = mmi_frame_body(frame, MM_FRAME_JOIN_ANSWER);
    memset(answer, 0, sizeof *answer);
    mmi_get_fields(&reader, MMI_FIELDS(answer_fields), answer);
    answer->slice = mm_get_view(&reader, answer->slice_bytes);
    reader.failed = reader.failed || mm_mac_is_zero(answer->asker) ||
                    !mm_text_is_site(answer->site, sizeof answer->site) || !part_is_good(answer);
    return mmi_finish_body(&reader);
}
