// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "meshmeter/bytes.h"
#include "setup/configuration_internal.h"
#include "setup/join_internal.h"

// The root's part: tell HQ, and answer whom HQ has admitted.

#define SEALED_BYTES_MAX (MM_JOIN_PARTS_MAX * MM_JOIN_PART_BYTES)

static void forget(mm_join_asker_t *asker) {
    mm_wipe(asker, sizeof *asker);
}

void mmi_join_host_forget_all(mm_join_t *self) {
    for (size_t i = 0; i < MM_JOIN_ASKERS_MAX; i++) {
        forget(&self->askers[i]);
    }
    self->forget_at = MM_US_NEVER;
}

static mm_join_asker_t *find(mm_join_t *self, mm_mac_t mac, const uint8_t nonce[MM_JOIN_NONCE_BYTES]) {
    for (size_t i = 0; i < MM_JOIN_ASKERS_MAX; i++) {
        mm_join_asker_t *asker = &self->askers[i];
        if (asker->used && mm_mac_equal(asker->asker, mac) && memcmp(asker->nonce, nonce, sizeof asker->nonce) == 0) {
            return asker;
        }
    }
    return NULL;
}

static bool may_make_room(const mm_join_asker_t *asker, mm_us_t now) {
    return !asker->admitted || now >= mm_us_after_s(asker->asked_at, MM_JOIN_SERVED_S);
}

// Room for one more: free, or of the one that has not asked for the longest time. HQ's word takes any. NULL: none.
static mm_join_asker_t *make_room(mm_join_t *self, bool is_admitted, mm_us_t now) {
    mm_join_asker_t *chosen = NULL;
    mm_join_asker_t *oldest = &self->askers[0];
    for (size_t i = 0; i < MM_JOIN_ASKERS_MAX; i++) {
        mm_join_asker_t *asker = &self->askers[i];
        if (!asker->used) {
            return asker;
        }
        if (may_make_room(asker, now) && (chosen == NULL || asker->asked_at < chosen->asked_at)) {
            chosen = asker;
        }
        oldest = asker->asked_at < oldest->asked_at ? asker : oldest;
    }
    chosen = chosen == NULL && is_admitted ? oldest : chosen;
    if (chosen != NULL) {
        forget(chosen);
    }
    return chosen;
}

static mm_join_asker_t *add(mm_join_t *self, mm_mac_t mac, const uint8_t nonce[MM_JOIN_NONCE_BYTES], bool is_admitted,
                            mm_us_t now) {
    mm_join_asker_t *asker = make_room(self, is_admitted, now);
    if (asker != NULL) {
        asker->used = true;
        asker->asker = mac;
        memcpy(asker->nonce, nonce, sizeof asker->nonce);
        asker->asked_at = now;
        self->forget_at = mm_us_earlier(self->forget_at, mm_us_after_s(now, MM_JOIN_FORGET_S));
    }
    return asker;
}

static void tell_hq(mm_join_t *self, mm_join_asker_t *asker, mm_us_t now) {
    if (self->records_left == 0) {
        mm_counters_count(self->counters, MM_COUNTER_JOIN_REFUSED);
        return;
    }
    mm_record_t record = {.type = MM_RECORD_JOIN,
                          .join = {.asker = asker->asker,
                                   .via = asker->via,
                                   .revision = asker->revision,
                                   .at = mm_metering_label(self->metering, now)}};
    memcpy(record.join.nonce, asker->nonce, sizeof record.join.nonce);
    memcpy(record.join.tag, asker->tag, sizeof record.join.tag);
    if (mm_metering_record(self->metering, &record, now) != MM_OK) {
        return; // with the next ask
    }
    asker->told = true;
    if (self->records_left == MM_JOIN_RECORDS_PER_HOUR) {
        self->records_renew_at = mm_us_after_s(now, MM_JOIN_RENEW_S);
    }
    self->records_left--;
}

static void send_answer(mm_join_t *self, const mm_join_asker_t *asker, const mm_join_answer_t *answer) {
    mmi_join_frame_t frame;
    frame.size = mm_frame_write_join_answer(frame.bytes, sizeof frame.bytes, self->mac, answer);
    MM_ASSERT(frame.size > 0);
    if (mm_mac_equal(asker->via, self->mac)) {
        mmi_join_send_to_door(self, asker->asker, &frame);
    } else if (self->mesh->send(self->mesh->context, asker->via, frame.bytes, frame.size) != MM_OK) {
        mm_counters_count(self->counters, MM_COUNTER_MESH_SEND_FAILED); // the asker asks again
    }
}

// The same network under the same key has the same iv, and is then the same bytes.
static bool has_iv(mm_join_t *self, mm_join_asker_t *asker) {
    uint32_t revision = self->setup->configuration.network.revision;
    if (asker->iv_revision == revision) {
        return true;
    }
    asker->iv_revision = 0;
    if (self->entropy == NULL || self->entropy->random(self->entropy->context, asker->iv, sizeof asker->iv) != MM_OK) {
        return false;
    }
    asker->iv_revision = revision;
    return true;
}

// iv, ciphertext, tag. 0: this platform cannot, or not now.
static size_t seal(mm_join_t *self, mm_join_asker_t *asker, uint8_t sealed[SEALED_BYTES_MAX]) {
    uint8_t plain[SEALED_BYTES_MAX - MM_AEAD_IV_BYTES - MM_AEAD_TAG_BYTES];
    uint8_t more[MMI_JOIN_MORE_BYTES];
    if (self->crypto == NULL || self->crypto->aead_seal == NULL || !has_iv(self, asker)) {
        return 0;
    }
    mm_writer_t writer = mm_writer(plain, sizeof plain);
    mmi_network_put(&writer, &self->setup->configuration.network);
    MM_ASSERT(!writer.failed);
    mmi_join_more(asker->asker, asker->nonce, more);
    memcpy(sealed, asker->iv, sizeof asker->iv);
    mm_err_t err = self->crypto->aead_seal(self->crypto->context, asker->key, asker->iv, more, sizeof more, plain,
                                           writer.used_bytes, sealed + MM_AEAD_IV_BYTES);
    size_t sealed_bytes = MM_AEAD_IV_BYTES + writer.used_bytes + MM_AEAD_TAG_BYTES;
    mm_wipe(plain, sizeof plain);
    return err == MM_OK ? sealed_bytes : 0;
}

static void send_network(mm_join_t *self, mm_join_asker_t *asker, mm_join_answer_t *answer) {
    uint8_t sealed[SEALED_BYTES_MAX];
    size_t sealed_bytes = seal(self, asker, sealed);
    answer->part_count = (uint8_t)((sealed_bytes + MM_JOIN_PART_BYTES - 1) / MM_JOIN_PART_BYTES);
    for (uint8_t part = 0; part < answer->part_count; part++) {
        size_t begin = (size_t)part * MM_JOIN_PART_BYTES;
        size_t left = sealed_bytes - begin;
        answer->part = part;
        answer->slice = sealed + begin;
        answer->slice_bytes = (uint8_t)(left < MM_JOIN_PART_BYTES ? left : MM_JOIN_PART_BYTES);
        send_answer(self, asker, answer);
    }
}

static void answer(mm_join_t *self, mm_join_asker_t *asker) {
    mm_join_answer_t answer = {.asker = asker->asker};
    memcpy(answer.nonce, asker->nonce, sizeof answer.nonce);
    memcpy(answer.site, self->setup->configuration.network.site, sizeof answer.site);
    if (asker->admitted) {
        send_network(self, asker, &answer);
    } else if (asker->told) {
        send_answer(self, asker, &answer);
    }
}

void mmi_join_host_ask(mm_join_t *self, const mm_join_ask_t *question, mm_mac_t via, mm_us_t now) {
    bool is_own = mm_mac_equal(question->asker, self->mac);
    if (is_own || question->revision >= self->setup->configuration.network.revision) {
        mm_counters_count(self->counters, is_own ? MM_COUNTER_JOIN_FORGED : MM_COUNTER_JOIN_REFUSED);
        return;
    }
    mm_join_asker_t *asker = find(self, question->asker, question->nonce);
    if (asker == NULL) {
        asker = add(self, question->asker, question->nonce, false, now);
    }
    if (asker == NULL) {
        mm_counters_count(self->counters, MM_COUNTER_JOIN_REFUSED);
        return;
    }
    asker->via = via;
    asker->revision = question->revision;
    memcpy(asker->tag, question->tag, sizeof asker->tag);
    asker->asked_at = now;
    if (!asker->told && !asker->admitted) {
        tell_hq(self, asker, now);
    }
    answer(self, asker);
}

mm_result_status_t mm_join_admit(mm_join_t *self, const mm_admit_body_t *admit, mm_us_t now) {
    if (!self->is_root || !mmi_join_has_network(self)) {
        return MM_RESULT_STATE;
    }
    uint8_t key[MM_JOIN_KEY_BYTES];
    if (mmi_join_mask(self->crypto, admit->asker, admit->nonce, admit->hidden_key, key) != MM_OK) {
        return MM_RESULT_FAILED;
    }
    mm_join_asker_t *asker = find(self, admit->asker, admit->nonce);
    if (asker == NULL) {
        asker = add(self, admit->asker, admit->nonce, true, now);
    }
    MM_ASSERT(asker != NULL); // HQ's word always has room
    asker->admitted = true;
    asker->asked_at = now; // it may take until its next ask
    memcpy(asker->key, key, sizeof asker->key);
    mm_wipe(key, sizeof key);
    return MM_RESULT_DONE;
}

mm_us_t mmi_join_host_poll(mm_join_t *self, mm_us_t now) {
    if (now >= self->records_renew_at) {
        self->records_left = MM_JOIN_RECORDS_PER_HOUR;
        self->records_renew_at = MM_US_NEVER;
    }
    if (now >= self->forget_at) {
        self->forget_at = MM_US_NEVER;
        for (size_t i = 0; i < MM_JOIN_ASKERS_MAX; i++) {
            mm_us_t over = mm_us_after_s(self->askers[i].asked_at, MM_JOIN_FORGET_S);
            if (self->askers[i].used && now >= over) {
                forget(&self->askers[i]);
            } else if (self->askers[i].used) {
                self->forget_at = mm_us_earlier(self->forget_at, over);
            }
        }
    }
    return mm_us_earlier(self->forget_at, self->records_renew_at);
}
