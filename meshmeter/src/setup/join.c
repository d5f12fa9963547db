// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/join.h"

#include <string.h>

#include "meshmeter/bytes.h"
#include "setup/configuration_internal.h"
#include "setup/join_internal.h"

// Asker, relay, and what comes in; the host is join_host.c.

static void say(const mm_join_t *self, mm_log_level_t level, const char *message, const char *name, int64_t value) {
    if (self->log != NULL) {
        self->log->write(self->log->context, level, message, name, value, NULL, 0);
    }
}

static const mm_configuration_t *configuration_of(const mm_join_t *self) {
    return &self->setup->configuration;
}

// Memory that does not answer says nothing.
static bool is_in_order(const mm_join_t *self) {
    return configuration_of(self)->phase.state != MM_LIFE_FAULT;
}

bool mmi_join_has_network(const mm_join_t *self) {
    return is_in_order(self) && configuration_of(self)->has_network;
}

static uint32_t own_revision(const mm_join_t *self) {
    return configuration_of(self)->has_network ? configuration_of(self)->network.revision : 0;
}

uint32_t mm_join_revision(const mm_join_t *self) {
    return self->is_root && mmi_join_has_network(self) ? own_revision(self) : 0;
}

// Asker.

static bool can_ask(const mm_join_t *self) {
    bool is_parked = !configuration_of(self)->has_network;
    return self->crypto != NULL && self->crypto->aead_open != NULL && self->entropy != NULL &&
           (!is_parked || self->door != NULL);
}

static bool wants_network(const mm_join_t *self) {
    if (!is_in_order(self) || !can_ask(self)) {
        return false;
    }
    return !configuration_of(self)->has_network || (!self->is_root && self->root_revision > own_revision(self));
}

static MM_APART void forget_parts(mm_join_t *self) {
    self->parts_seen = 0;
    self->part_count = 0;
    self->last_bytes = 0;
    mm_wipe(self->sealed, sizeof self->sealed);
}

static void stop_asking(mm_join_t *self) {
    self->state = MM_JOIN_IDLE;
    mm_wipe(self->nonce, sizeof self->nonce);
    forget_parts(self);
    memset(self->heard_site, 0, sizeof self->heard_site);
    self->ask_at = MM_US_NEVER;
}

// Without entropy there is no nonce, and nothing weaker takes its place.
static void begin_asking(mm_join_t *self, mm_us_t now) {
    if (self->entropy->random(self->entropy->context, self->nonce, sizeof self->nonce) != MM_OK) {
        self->ask_at = mm_us_after_s(now, MM_JOIN_RETRY_MAX_S);
        return;
    }
    self->state = MM_JOIN_ASKING;
    self->retry_s = MM_JOIN_RETRY_S;
    self->ask_at = now + (mm_us_t)mm_random_below(&self->random, MM_JOIN_FIRST_MAX_MS * 1000);
    say(self, MM_LOG_INFO, "asking for the network", "revision", own_revision(self));
}

static void follow(mm_join_t *self, mm_us_t now) {
    bool wanted = wants_network(self);
    if (self->state == MM_JOIN_ASKING && !wanted) {
        stop_asking(self);
    } else if (self->state == MM_JOIN_IDLE && !wanted) {
        self->ask_at = MM_US_NEVER;
    } else if (self->state == MM_JOIN_IDLE && (self->ask_at == MM_US_NEVER || now >= self->ask_at)) {
        begin_asking(self, now);
    }
}

void mmi_join_send_to_door(mm_join_t *self, mm_mac_t to, const mmi_join_frame_t *frame) {
    if (self->door == NULL || self->door->send(self->door->context, to, frame->bytes, frame->size) != MM_OK) {
        mm_counters_count(self->counters, MM_COUNTER_MESH_SEND_FAILED); // the asker asks again
    }
}

static void send_to_root(mm_join_t *self, const mmi_join_frame_t *frame) {
    if (self->mesh->send_to_root(self->mesh->context, frame->bytes, frame->size) != MM_OK) {
        mm_counters_count(self->counters, MM_COUNTER_MESH_SEND_FAILED);
    }
}

static mm_us_t jittered(mm_join_t *self, mm_us_t interval_us) {
    return interval_us + (mm_us_t)mm_random_below(&self->random, (uint32_t)(interval_us / MM_JOIN_JITTER_PART) + 1);
}

static void ask(mm_join_t *self, mm_us_t now) {
    mm_join_ask_t question = {.asker = self->mac, .revision = own_revision(self)};
    memcpy(question.nonce, self->nonce, sizeof question.nonce);
    self->ask_at = now + jittered(self, mm_us_after_s(0, self->retry_s));
    self->retry_s = self->retry_s * 2 < MM_JOIN_RETRY_MAX_S ? self->retry_s * 2 : MM_JOIN_RETRY_MAX_S;
    if (mmi_join_tag(self->crypto, self->mac, self->nonce, question.revision, question.tag) != MM_OK) {
        return; // without a key nobody lets it in
    }
    mmi_join_frame_t frame;
    frame.size = mm_frame_write_join_ask(frame.bytes, sizeof frame.bytes, self->mac, &question);
    MM_ASSERT(frame.size > 0);
    if (configuration_of(self)->has_network) {
        send_to_root(self, &frame);
    } else {
        mmi_join_send_to_door(self, (mm_mac_t){{0}}, &frame);
    }
}

// An answer that was opened and judged: its nonce is used up.
static void end_nonce(mm_join_t *self, mm_us_t now) {
    stop_asking(self);
    self->ask_at = mm_us_after_s(now, MM_JOIN_RETRY_MAX_S); // if it still wants one
}

static void take_network(mm_join_t *self, const mm_network_t *network, mm_us_t now) {
    mm_err_t err = mm_setup_take_network(self->setup, network, now);
    if (err == MM_ERR_STORAGE || err == MM_ERR_BUSY) {
        return; // asked for again under the same nonce
    }
    say(self, err == MM_OK ? MM_LOG_INFO : MM_LOG_WARNING,
        err == MM_OK ? "the network came through the mesh" : "the network that came is no newer one", "revision",
        network->revision);
    end_nonce(self, now);
}

static mm_err_t open_answer(const mm_join_t *self, size_t sealed_bytes, mm_network_t *network) {
    uint8_t more[MMI_JOIN_MORE_BYTES];
    uint8_t key[MM_JOIN_KEY_BYTES];
    uint8_t plain[sizeof self->sealed];
    if (sealed_bytes <= MM_AEAD_IV_BYTES + MM_AEAD_TAG_BYTES) {
        return MM_ERR_CORRUPT;
    }
    mmi_join_more(self->mac, self->nonce, more);
    mm_err_t err = mmi_join_answer_key(self->crypto, self->mac, self->nonce, key);
    if (err == MM_OK) {
        err = self->crypto->aead_open(self->crypto->context, key, self->sealed, more, sizeof more,
                                      self->sealed + MM_AEAD_IV_BYTES, sealed_bytes - MM_AEAD_IV_BYTES, plain);
    }
    if (err == MM_OK) {
        mm_reader_t reader = mm_reader(plain, sealed_bytes - MM_AEAD_IV_BYTES - MM_AEAD_TAG_BYTES);
        memset(network, 0, sizeof *network);
        mmi_network_get(&reader, network);
        err = !reader.failed && mm_reader_left_bytes(&reader) == 0 ? MM_OK : MM_ERR_VERSION;
    }
    mm_wipe(key, sizeof key);
    mm_wipe(plain, sizeof plain);
    return err;
}

static void take_whole_answer(mm_join_t *self, mm_us_t now) {
    size_t sealed_bytes = (size_t)(self->part_count - 1) * MM_JOIN_PART_BYTES + self->last_bytes;
    mm_network_t network;
    mm_err_t err = open_answer(self, sealed_bytes, &network);
    forget_parts(self);
    if (err == MM_OK) {
        take_network(self, &network, now);
    } else if (err == MM_ERR_VERSION) {
        say(self, MM_LOG_WARNING, "HQ's root sent a network that this version does not understand", NULL, 0);
        end_nonce(self, now);
    } else {
        mm_counters_count(self->counters, MM_COUNTER_JOIN_FORGED);
    }
    mm_wipe(&network, sizeof network);
}

// Parts of another sealing do not fit those that are here: the newest counts.
static void keep_part(mm_join_t *self, const mm_join_answer_t *answer) {
    uint8_t *place = self->sealed + (size_t)answer->part * MM_JOIN_PART_BYTES;
    bool is_last = answer->part + 1 == answer->part_count;
    uint8_t bit = (uint8_t)(1u << answer->part);
    bool is_seen = (self->parts_seen & bit) != 0;
    bool is_same =
        (!is_last || answer->slice_bytes == self->last_bytes) && memcmp(place, answer->slice, answer->slice_bytes) == 0;
    if (answer->part_count != self->part_count || (is_seen && !is_same)) {
        forget_parts(self);
    }
    self->part_count = answer->part_count;
    self->parts_seen = (uint8_t)(self->parts_seen | bit);
    self->last_bytes = is_last ? answer->slice_bytes : self->last_bytes;
    memcpy(place, answer->slice, answer->slice_bytes);
}

static void take_answer(mm_join_t *self, const mm_join_answer_t *answer, mm_us_t now) {
    if (self->state != MM_JOIN_ASKING ||
        !mm_bytes_equal_constant_time(answer->nonce, self->nonce, sizeof self->nonce)) {
        return; // late, or of an asking before
    }
    if (answer->part_count == 0) {
        memcpy(self->heard_site, answer->site, sizeof self->heard_site);
        return;
    }
    keep_part(self, answer);
    if (self->parts_seen == (uint8_t)((1u << self->part_count) - 1u)) {
        take_whole_answer(self, now);
    }
}

// Relay, and what comes in.

static void carry_ask(mm_join_t *self, const mm_join_ask_t *question, mm_us_t now) {
    if (!mmi_join_has_network(self)) {
        return; // another one that is parked
    }
    if (self->is_root) {
        mmi_join_host_ask(self, question, self->mac, now);
        return;
    }
    mmi_join_frame_t frame;
    frame.size = mm_frame_write_join_ask(frame.bytes, sizeof frame.bytes, self->mac, question);
    MM_ASSERT(frame.size > 0);
    send_to_root(self, &frame);
}

static void on_door_ask(mm_join_t *self, const mm_frame_t *frame, mm_us_t now) {
    mm_join_ask_t question;
    if (mm_frame_read_join_ask(frame, &question) != MM_OK) {
        mm_counters_count(self->counters, MM_COUNTER_JOIN_REFUSED);
    } else if (!mm_mac_equal(question.asker, frame->source) || mm_mac_equal(question.asker, self->mac)) {
        mm_counters_count(self->counters, MM_COUNTER_JOIN_FORGED);
    } else {
        carry_ask(self, &question, now);
    }
}

void mm_join_on_door(mm_join_t *self, mm_mac_t from, const void *bytes, size_t bytes_count, mm_us_t now) {
    mm_frame_t frame;
    mm_join_answer_t answer;
    bool is_frame = bytes_count <= MM_DOOR_PACKET_BYTES_MAX && mm_frame_open(bytes, bytes_count, &frame) == MM_OK;
    if (is_frame && !mm_mac_equal(frame.source, from)) {
        mm_counters_count(self->counters, MM_COUNTER_JOIN_FORGED);
    } else if (is_frame && frame.type == MM_FRAME_JOIN_ASK) {
        on_door_ask(self, &frame, now);
    } else if (!is_frame || frame.type != MM_FRAME_JOIN_ANSWER || mm_frame_read_join_answer(&frame, &answer) != MM_OK) {
        mm_counters_count(self->counters, MM_COUNTER_JOIN_REFUSED);
    } else if (mm_mac_equal(answer.asker, self->mac)) {
        take_answer(self, &answer, now);
    }
}

static void on_mesh_answer(mm_join_t *self, const mm_frame_t *frame, mm_us_t now) {
    mm_join_answer_t answer;
    if (mm_frame_read_join_answer(frame, &answer) != MM_OK) {
        mm_counters_count(self->counters, MM_COUNTER_FRAME_CORRUPT);
    } else if (self->is_root) {
        mm_counters_count(self->counters, MM_COUNTER_FRAME_UNEXPECTED); // another root: the mesh sorts it out
    } else if (mm_mac_equal(answer.asker, self->mac)) {
        take_answer(self, &answer, now);
    } else if (self->door != NULL) {
        mmi_join_frame_t passed_on;
        passed_on.size = mm_frame_write_join_answer(passed_on.bytes, sizeof passed_on.bytes, self->mac, &answer);
        MM_ASSERT(passed_on.size > 0);
        mmi_join_send_to_door(self, answer.asker, &passed_on);
    }
}

void mm_join_on_frame(mm_join_t *self, const mm_frame_t *frame, mm_us_t now) {
    mm_join_ask_t question;
    if (frame->type == MM_FRAME_JOIN_ANSWER) {
        on_mesh_answer(self, frame, now);
    } else if (mm_frame_read_join_ask(frame, &question) != MM_OK) {
        mm_counters_count(self->counters, MM_COUNTER_FRAME_CORRUPT);
    } else if (!self->is_root || !mmi_join_has_network(self)) {
        mm_counters_count(self->counters, MM_COUNTER_FRAME_UNEXPECTED);
    } else {
        mmi_join_host_ask(self, &question, frame->source, now);
    }
}

static mm_result_status_t admit_fn(void *context, const mm_admit_body_t *admit, mm_us_t now) {
    return mm_join_admit(context, admit, now);
}

void mm_join_open(mm_join_t *self, mm_mac_t mac, mm_setup_t *setup, mm_metering_t *metering, const mm_crypto_t *crypto,
                  const mm_entropy_t *entropy, const mm_mesh_t *mesh, const mm_door_t *door, mm_counters_t *counters,
                  const mm_log_t *log, uint64_t random_seed, mm_us_t now) {
    memset(self, 0, sizeof *self);
    self->mac = mac;
    self->setup = setup;
    self->metering = metering;
    self->crypto = crypto;
    self->entropy = entropy;
    self->mesh = mesh;
    self->door = door;
    self->counters = counters;
    self->log = log;
    self->random = mm_random(random_seed);
    self->ask_at = MM_US_NEVER;
    self->forget_at = MM_US_NEVER;
    self->records_left = MM_JOIN_RECORDS_PER_HOUR;
    self->records_renew_at = MM_US_NEVER;
    setup->commissioning.admit = admit_fn;
    setup->commissioning.admit_context = self;
    follow(self, now);
}

void mm_join_set_root(mm_join_t *self, bool is_root, mm_us_t now) {
    if (is_root == self->is_root) {
        return;
    }
    self->is_root = is_root;
    self->root_revision = 0;
    mmi_join_host_forget_all(self);
    follow(self, now);
}

void mm_join_heard_revision(mm_join_t *self, uint32_t revision, mm_us_t now) {
    self->root_revision = revision;
    follow(self, now);
}

mm_us_t mm_join_poll(mm_join_t *self, mm_us_t now) {
    follow(self, now);
    if (self->state == MM_JOIN_ASKING && now >= self->ask_at) {
        ask(self, now);
    }
    return mm_us_earlier(self->ask_at, mmi_join_host_poll(self, now));
}
