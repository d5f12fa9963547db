// SPDX-License-Identifier: Apache-2.0
#include "ingest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTICE_BYTES_MAX 4096
// A flood of bad messages must not become a flood of log lines.
#define LOG_PERIOD_US 1000000

typedef struct {
    char *topic;
    uint8_t *bytes;
    size_t bytes_count;
    int64_t received_us;
    char *refused; ///< why the database would not take it as what it is; NULL = not tried or fine
    bool hopeless; ///< not even as a quarantine entry
} message_t;

struct mm_ingest {
    mm_store_t *store;
    mm_hq_stats_t *stats;
    mm_ingest_ack_fn ack;
    void *context;
    message_t messages[MM_INGEST_QUEUE_MESSAGES_MAX]; ///< ring
    size_t first;
    size_t count;
    size_t bytes_count;
    size_t processed; ///< so many of the first are in the open transaction
    // wait: more messages for one transaction | until MM_INGEST_COMMIT_US, or nothing more has come | then it is
    // committed and acknowledged
    int64_t commit_at_us;
    bool failing;
    bool dropping;
    // wait: the database works again | until MM_INGEST_RETRY_MIN_US doubling up to MM_INGEST_RETRY_MAX_US | then the
    // queue is tried again; nothing is acknowledged meanwhile
    int64_t retry_at_us;
    int64_t retry_us;
    char cause[256]; ///< of the failure, as last logged
    int64_t quarantine_logged_us;
};

/// One message on its way into the store.
typedef struct {
    mm_ingest_t *ingest;
    const message_t *message;
    const char *site;
    mm_store_result_t result;
} putting_t;

mm_ingest_t *mm_ingest_create(mm_store_t *store, mm_hq_stats_t *stats, mm_ingest_ack_fn ack, void *context) {
    mm_ingest_t *self = calloc(1, sizeof *self);
    if (self != NULL) {
        self->store = store;
        self->stats = stats;
        self->ack = ack;
        self->context = context;
        self->retry_us = MM_INGEST_RETRY_MIN_US;
        self->quarantine_logged_us = INT64_MIN / 2;
    }
    return self;
}

static message_t *message_at(mm_ingest_t *self, size_t index) {
    return &self->messages[(self->first + index) % MM_INGEST_QUEUE_MESSAGES_MAX];
}

static void pop(mm_ingest_t *self) {
    message_t *message = message_at(self, 0);
    self->bytes_count -= message->bytes_count;
    free(message->topic);
    free(message->bytes);
    free(message->refused);
    memset(message, 0, sizeof *message);
    self->first = (self->first + 1) % MM_INGEST_QUEUE_MESSAGES_MAX;
    self->count--;
}

void mm_ingest_destroy(mm_ingest_t *self) {
    if (self == NULL) {
        return;
    }
    mm_store_rollback(self->store);
    while (self->count > 0) {
        pop(self);
    }
    free(self);
}

// --- what a message is

static bool is_site_name(const char *name) {
    size_t chars = strlen(name);
    return chars >= 1 && chars <= MM_SITE_CHARS_MAX && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == chars;
}

bool mm_ingest_topic_site(const char *topic, char site[MM_SITE_CHARS_MAX + 1]) {
    static const char prefix[] = "meter/";
    static const char suffix[] = "/info";
    size_t topic_chars = strlen(topic);
    size_t fixed_chars = sizeof prefix - 1 + sizeof suffix - 1;
    if (topic_chars <= fixed_chars || topic_chars > fixed_chars + MM_SITE_CHARS_MAX ||
        strncmp(topic, prefix, sizeof prefix - 1) != 0 ||
        strcmp(topic + topic_chars - (sizeof suffix - 1), suffix) != 0) {
        return false;
    }
    size_t site_chars = topic_chars - fixed_chars;
    memcpy(site, topic + sizeof prefix - 1, site_chars);
    site[site_chars] = '\0';
    return is_site_name(site);
}

static bool is_notice_topic(const char *topic) {
    return strcmp(topic, "meter/911") == 0 || strcmp(topic, "meter/install") == 0 || strcmp(topic, "meter/disco") == 0;
}

static void quarantine(putting_t *self, const char *reason, const void *bytes, size_t bytes_count) {
    if (self->result == MM_STORE_OK) {
        self->result = mm_store_quarantine(self->ingest->store, self->message->topic, reason, bytes, bytes_count,
                                           self->message->received_us);
    }
}

static void on_legacy_reading(void *context, const mm_legacy_reading_t *reading, const void *bytes,
                              size_t bytes_count) {
    putting_t *self = context;
    if (self->result == MM_STORE_OK) {
        self->result = mm_store_put_legacy(self->ingest->store, self->site, reading, bytes, bytes_count,
                                           self->message->received_us);
    }
}

static void on_legacy_reject(void *context, const char *reason, const void *bytes, size_t bytes_count) {
    quarantine(context, reason, bytes, bytes_count);
}

static void put_site_message(putting_t *self) {
    const message_t *message = self->message;
    mm_batch_reader_t batch;
    mm_err_t err = mm_batch_open(message->bytes, message->bytes_count, &batch);
    if (err == MM_OK) {
        self->result =
            mm_store_put_batch(self->ingest->store, self->site, message->topic, &batch, message->received_us);
        return;
    }
    if (err == MM_ERR_VERSION) {
        quarantine(self, "batch of a later version of the protocol", message->bytes, message->bytes_count);
        return;
    }
    mm_legacy_form_t form = mm_legacy_classify(message->bytes, message->bytes_count);
    if (form == MM_LEGACY_NONE) {
        quarantine(self, "neither a whole batch (damaged, truncated or foreign) nor one of the original's forms",
                   message->bytes, message->bytes_count);
        return;
    }
    mm_hq_error_t error;
    if (mm_legacy_decode(form, message->bytes, message->bytes_count, on_legacy_reading, on_legacy_reject, self,
                         &error) != MM_OK) {
        quarantine(self, error.text, message->bytes, message->bytes_count);
    }
}

static void put_notice(putting_t *self) {
    const message_t *message = self->message;
    bool text = message->bytes[0] == '{' && message->bytes_count <= NOTICE_BYTES_MAX &&
                memchr(message->bytes, 0, message->bytes_count) == NULL;
    if (text) {
        self->result = mm_store_put_notice(self->ingest->store, message->topic, message->bytes, message->bytes_count,
                                           message->received_us);
    } else {
        quarantine(self, "not a JSON notice of at most 4096 bytes; readings belong on meter/<site>/info",
                   message->bytes, message->bytes_count);
    }
}

static mm_store_result_t put(mm_ingest_t *self, const message_t *message) {
    char site[MM_SITE_CHARS_MAX + 1];
    putting_t putting = {.ingest = self, .message = message, .site = site, .result = MM_STORE_OK};
    if (message->hopeless) {
        return MM_STORE_OK;
    }
    if (message->refused != NULL) {
        quarantine(&putting, message->refused, message->bytes, message->bytes_count);
    } else if (message->bytes_count == 0) {
        quarantine(&putting, "empty message", message->bytes, 0);
    } else if (mm_ingest_topic_site(message->topic, site)) {
        put_site_message(&putting);
    } else if (is_notice_topic(message->topic)) {
        put_notice(&putting);
    } else {
        quarantine(&putting, "topic is neither meter/<site>/info nor one of the original's", message->bytes,
                   message->bytes_count);
    }
    return putting.result;
}

// --- transactions

static void set_pending(mm_ingest_t *self) {
    atomic_store(&self->stats->messages_pending, (long long)self->count);
}

static void fail(mm_ingest_t *self, const mm_hq_now_t *now) {
    if (!self->failing || strcmp(self->cause, mm_store_error(self->store)) != 0) {
        snprintf(self->cause, sizeof self->cause, "%s", mm_store_error(self->store));
        mm_hq_log("database: %s; nothing is acknowledged until it works again", self->cause);
    }
    mm_store_rollback(self->store);
    self->processed = 0;
    self->failing = true;
    self->retry_at_us = now->monotonic_us + self->retry_us;
    self->retry_us = self->retry_us * 2 < MM_INGEST_RETRY_MAX_US ? self->retry_us * 2 : MM_INGEST_RETRY_MAX_US;
    atomic_store(&self->stats->database_failing, true);
}

static void recover(mm_ingest_t *self) {
    self->retry_us = MM_INGEST_RETRY_MIN_US;
    self->dropping = false;
    if (self->failing) {
        self->failing = false;
        mm_hq_log("database: works again, %zu messages waiting", self->count);
        atomic_store(&self->stats->database_failing, false);
    }
}

static void make_ack(mm_ingest_t *self, const char *site, const mm_hq_now_t *now) {
    mm_ack_t ack;
    uint8_t bytes[MM_DOWNLINK_BYTES_MAX];
    if (mm_store_ack(self->store, site, now->utc_us, &ack) != MM_STORE_OK) {
        mm_hq_log("database: no acknowledgement for site %s: %s", site, mm_store_error(self->store));
        return;
    }
    size_t bytes_count = mm_ack_write(bytes, sizeof bytes, &ack);
    MM_ASSERT(bytes_count > 0);
    self->ack(self->context, site, bytes, bytes_count);
}

static void log_quarantine(mm_ingest_t *self, uint64_t fresh, const mm_hq_now_t *now) {
    if (fresh > 0 && now->monotonic_us - self->quarantine_logged_us >= LOG_PERIOD_US) {
        self->quarantine_logged_us = now->monotonic_us;
        mm_hq_log("quarantine: %llu new, %llu in all; see /api/v1/quarantine", (unsigned long long)fresh,
                  (unsigned long long)mm_store_totals(self->store).quarantined);
    }
}

static bool commit(mm_ingest_t *self, const mm_hq_now_t *now) {
    if (mm_store_commit(self->store, now->real_us) != MM_STORE_OK) {
        fail(self, now);
        return false;
    }
    while (self->processed > 0) {
        pop(self);
        self->processed--;
    }
    mm_store_totals_t totals = mm_store_transaction_totals(self->store);
    atomic_fetch_add(&self->stats->records_committed, (long long)totals.records);
    atomic_fetch_add(&self->stats->records_duplicate, (long long)totals.duplicates);
    recover(self);
    log_quarantine(self, totals.quarantined, now);
    const char *site;
    for (size_t index = 0; (site = mm_store_touched_site(self->store, index)) != NULL; index++) {
        make_ack(self, site, now);
    }
    return true;
}

// The database refuses the content itself: everything is done again without this message, which goes to quarantine. If
// even that is refused, it goes nowhere: it must not stop the others.
static void refuse(mm_ingest_t *self, message_t *message) {
    char reason[320];
    snprintf(reason, sizeof reason, "the database refuses it: %s", mm_store_error(self->store));
    mm_hq_log("message on %s: %s", message->topic, reason);
    mm_store_rollback(self->store);
    self->processed = 0;
    message->hopeless = message->refused != NULL;
    free(message->refused);
    message->refused = strdup(reason);
}

// The next message into the transaction. False: the database failed, stop for now.
static bool process_next(mm_ingest_t *self, const mm_hq_now_t *now) {
    message_t *message = message_at(self, self->processed);
    if (self->processed == 0) {
        if (mm_store_begin(self->store) != MM_STORE_OK) {
            fail(self, now);
            return false;
        }
        self->commit_at_us = now->monotonic_us + MM_INGEST_COMMIT_US;
    }
    switch (put(self, message)) {
    case MM_STORE_OK:
        self->processed++;
        break;
    case MM_STORE_REFUSED:
        refuse(self, message);
        break;
    default:
        fail(self, now);
        return false;
    }
    return self->processed < MM_INGEST_COMMIT_MESSAGES || commit(self, now);
}

static void process(mm_ingest_t *self, const mm_hq_now_t *now) {
    if (self->failing && now->monotonic_us < self->retry_at_us) {
        return;
    }
    while (self->processed < self->count) {
        if (!process_next(self, now)) {
            return;
        }
    }
    // Whether the database works again is known only after a commit.
    if (self->failing && self->processed > 0) {
        commit(self, now);
    }
}

// --- the owner's calls

static bool enqueue(mm_ingest_t *self, const char *topic, const void *payload, size_t payload_bytes,
                    int64_t received_us) {
    if (self->count == MM_INGEST_QUEUE_MESSAGES_MAX || self->bytes_count + payload_bytes > MM_INGEST_QUEUE_BYTES_MAX) {
        return false;
    }
    message_t message = {.bytes_count = payload_bytes, .received_us = received_us};
    message.topic = strdup(topic);
    message.bytes = malloc(payload_bytes > 0 ? payload_bytes : 1);
    if (message.topic == NULL || message.bytes == NULL) {
        free(message.topic);
        free(message.bytes);
        return false;
    }
    if (payload_bytes > 0) {
        memcpy(message.bytes, payload, payload_bytes);
    }
    *message_at(self, self->count) = message;
    self->count++;
    self->bytes_count += payload_bytes;
    return true;
}

void mm_ingest_push(mm_ingest_t *self, const char *topic, const void *payload, size_t payload_bytes,
                    const mm_hq_now_t *now) {
    atomic_fetch_add(&self->stats->messages, 1);
    atomic_store(&self->stats->last_message_utc_us, now->utc_us);
    if (!enqueue(self, topic, payload, payload_bytes, now->utc_us)) {
        atomic_fetch_add(&self->stats->messages_dropped, 1);
        if (!self->dropping) {
            self->dropping = true;
            mm_hq_log("queue full (%zu messages, %zu bytes): messages are dropped, the nodes will send them again",
                      self->count, self->bytes_count);
        }
    }
    process(self, now);
    set_pending(self);
}

void mm_ingest_poll(mm_ingest_t *self, const mm_hq_now_t *now, bool idle) {
    process(self, now);
    if (self->processed > 0 && (idle || now->monotonic_us >= self->commit_at_us)) {
        commit(self, now);
    }
    set_pending(self);
}

bool mm_ingest_is_writing(const mm_ingest_t *self) {
    return self->processed > 0;
}

int64_t mm_ingest_next_deadline_us(const mm_ingest_t *self) {
    if (self->count == 0) {
        return INT64_MAX;
    }
    return self->failing ? self->retry_at_us : self->commit_at_us;
}

typedef struct {
    char (*names)[MM_SITE_CHARS_MAX + 1];
    size_t count;
    size_t capacity;
} site_list_t;

static void collect_site(void *context, const char *site, const char *tz) {
    (void)tz;
    site_list_t *list = context;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        void *grown = realloc(list->names, capacity * sizeof *list->names);
        if (grown == NULL) {
            return;
        }
        list->names = grown;
        list->capacity = capacity;
    }
    snprintf(list->names[list->count++], sizeof *list->names, "%s", site);
}

void mm_ingest_ack_all(mm_ingest_t *self, const mm_hq_now_t *now) {
    site_list_t list = {0};
    // An empty transaction moves the revision on: after a restore from an older copy the acknowledgements must not look
    // old.
    if (mm_store_begin(self->store) != MM_STORE_OK || mm_store_commit(self->store, now->real_us) != MM_STORE_OK ||
        mm_store_sites(self->store, collect_site, &list) != MM_STORE_OK) {
        mm_hq_log("database: no acknowledgements at start: %s", mm_store_error(self->store));
        mm_store_rollback(self->store);
    }
    for (size_t index = 0; index < list.count; index++) {
        make_ack(self, list.names[index], now);
    }
    free(list.names);
}
