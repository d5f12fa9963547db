// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "sim/sim_broker_internal.h"

#define DELAY_US_MAX 3600000000u // behind later ones, up to an hour
#define ENTRIES_FIRST 64
#define TOPICS_FIRST 16

// --- messages ----------------------------------------------------------------------------------------------------

static bool is_for_hq(const char *topic) {
    static const char prefix[] = "meter/";
    static const char suffix[] = "/info";
    static const char *const originals[] = {"911", "install", "disco"}; // topics of the original gateways
    if (strncmp(topic, prefix, sizeof prefix - 1) != 0) {
        return false;
    }
    const char *rest = topic + sizeof prefix - 1;
    const char *slash = strchr(rest, '/');
    if (slash != NULL) {
        return strcmp(slash, suffix) == 0;
    }
    for (size_t i = 0; i < sizeof originals / sizeof originals[0]; i++) {
        if (strcmp(rest, originals[i]) == 0) {
            return true;
        }
    }
    return false;
}

mm_sim_message_t *mm_sim_message_create(mm_sim_broker_t *self, int client, const char *topic, const void *bytes,
                                        size_t bytes_count) {
    size_t topic_bytes = strlen(topic) + 1;
    mm_sim_message_t *message = malloc(sizeof *message + topic_bytes + bytes_count);
    MM_ASSERT(message != NULL);
    *message = (mm_sim_message_t){.next = self->messages,
                                  .references = 1,
                                  .client = client,
                                  .is_for_hq = is_for_hq(topic),
                                  .bytes_count = bytes_count};
    memcpy(message->topic, topic, topic_bytes);
    uint8_t *copy = (uint8_t *)message->topic + topic_bytes;
    if (bytes_count > 0) {
        memcpy(copy, bytes, bytes_count);
    }
    message->bytes = copy;
    if (self->messages != NULL) {
        self->messages->previous = message;
    }
    self->messages = message;
    return message;
}

mm_sim_message_t *mm_sim_message_keep(mm_sim_message_t *message) {
    message->references++;
    return message;
}

void mm_sim_message_release(mm_sim_broker_t *self, mm_sim_message_t *message) {
    if (message == NULL || --message->references > 0) {
        return;
    }
    if (message->is_for_hq && message->confirmed && !message->given && !self->destroyed) {
        mm_sim_probe(self->sim, MM_SIM_PROBE_CONFIRMED_BUT_LOST, message->client);
    }
    if (message->previous != NULL) {
        message->previous->next = message->next;
    } else {
        self->messages = message->next;
    }
    if (message->next != NULL) {
        message->next->previous = message->previous;
    }
    free(message);
}

// The last autosave. What changes first behind it is saved as it was, so that an autosave costs nothing by itself.
static mm_us_t saved_at(const mm_sim_broker_t *self) {
    mm_us_t age_us = mm_sim_now(self->sim) - self->up_since;
    return self->up_since + age_us - age_us % MM_SIM_AUTOSAVE_US;
}

// --- topics ------------------------------------------------------------------------------------------------------

static uint32_t hash_of(const char *text) {
    uint32_t hash = 2166136261u; // FNV-1a
    for (; *text != '\0'; text++) {
        hash = (hash ^ (uint8_t)*text) * 16777619u;
    }
    return hash;
}

bool mm_sim_broker_find_topic(mm_sim_broker_t *self, const char *topic, bool create, uint16_t *topic_index) {
    uint32_t slot = hash_of(topic) % MM_SIM_TOPIC_SLOTS;
    while (self->topic_slots[slot] != 0) {
        uint16_t index = (uint16_t)(self->topic_slots[slot] - 1);
        if (strcmp(self->topics[index].name, topic) == 0) {
            *topic_index = index;
            return true;
        }
        slot = (slot + 1) % MM_SIM_TOPIC_SLOTS;
    }
    if (!create || self->topic_count == MM_SIM_TOPICS_MAX) {
        return false;
    }
    // Capacity is the next power of two.
    if (self->topic_count == 0 ||
        (self->topic_count >= TOPICS_FIRST && (self->topic_count & (self->topic_count - 1)) == 0)) {
        uint32_t capacity = self->topic_count == 0 ? TOPICS_FIRST : 2 * self->topic_count;
        mm_sim_topic_t *topics = realloc(self->topics, capacity * sizeof *topics);
        MM_ASSERT(topics != NULL);
        self->topics = topics;
    }
    char *name = strdup(topic);
    MM_ASSERT(name != NULL);
    self->topics[self->topic_count] = (mm_sim_topic_t){.name = name, .saved_at = -1};
    *topic_index = (uint16_t)self->topic_count++;
    self->topic_slots[slot] = (uint16_t)(*topic_index + 1);
    return true;
}

static void save_topic(mm_sim_broker_t *self, mm_sim_topic_t *topic) {
    mm_us_t instant = saved_at(self);
    if (topic->saved_at != instant) {
        topic->saved_at = instant;
        mm_sim_message_release(self, topic->saved_value);
        topic->saved_value = topic->value != NULL ? mm_sim_message_keep(topic->value) : NULL;
    }
}

// Publishing the same again does not make what is there an old value.
static void retain(mm_sim_broker_t *self, mm_sim_topic_t *topic, mm_sim_message_t *message) {
    save_topic(self, topic);
    const mm_sim_message_t *value = topic->value;
    bool is_same = value != NULL && value->bytes_count == message->bytes_count &&
                   memcmp(value->bytes, message->bytes, message->bytes_count) == 0;
    if (is_same) {
        return;
    }
    if (value != NULL) {
        mm_sim_message_release(self, topic->previous_value);
        topic->previous_value = topic->value;
    }
    topic->value = message->bytes_count > 0 ? mm_sim_message_keep(message) : NULL;
}

mm_sim_message_t *mm_sim_broker_retained(mm_sim_broker_t *self, uint16_t topic_index, mm_random_t *random, int client) {
    mm_sim_topic_t *topic = &self->topics[topic_index];
    mm_sim_message_t *message = topic->value;
    if (topic->previous_value != NULL && mm_sim_chance(random, self->manners.retained_stale)) {
        mm_sim_fault(self->sim, MM_SIM_FAULT_RETAINED_STALE, client);
        message = topic->previous_value;
    }
    if (message != NULL && mm_sim_chance(random, self->manners.retained_lost)) {
        mm_sim_fault(self->sim, MM_SIM_FAULT_RETAINED_LOST, client);
        message = NULL;
    }
    return message != NULL ? mm_sim_message_keep(message) : NULL;
}

// To the gateways that subscribed. False: none did.
static bool fan_out(mm_sim_broker_t *self, uint16_t topic_index, mm_sim_message_t *message) {
    bool has_subscriber = self->topics[topic_index].subscribers != 0;
    int client = 0;
    for (uint64_t rest = self->topics[topic_index].subscribers; rest != 0; rest >>= 1) {
        if ((rest & 1) != 0) {
            mm_sim_path_send_data(&self->clients[client], message);
        }
        client++;
    }
    return has_subscriber;
}

static void restart_topics(mm_sim_broker_t *self) {
    mm_us_t instant = saved_at(self);
    for (uint32_t i = 0; i < self->topic_count; i++) {
        mm_sim_topic_t *topic = &self->topics[i];
        if (self->manners.persistence == MM_SIM_PERSISTENCE_OFF) {
            mm_sim_message_release(self, topic->value);
            mm_sim_message_release(self, topic->previous_value);
            topic->value = NULL;
            topic->previous_value = NULL;
        } else if (self->manners.persistence == MM_SIM_PERSISTENCE_LATE && topic->saved_at == instant) {
            mm_sim_message_release(self, topic->value);
            mm_sim_message_release(self, topic->previous_value); // may be newer than what is saved
            topic->value = topic->saved_value;
            topic->previous_value = NULL;
            topic->saved_value = NULL;
        }
        mm_sim_message_release(self, topic->saved_value);
        topic->saved_value = NULL;
        topic->saved_at = -1;
    }
}

// --- HQ's session ------------------------------------------------------------------------------------------------

static void push(mm_sim_hq_link_t *hq, mm_sim_entry_list_t *list, uint32_t index) {
    mm_sim_entry_t *entry = &hq->entries[index];
    entry->previous = list->last;
    entry->next = MM_SIM_NO_ENTRY;
    if (list->last != MM_SIM_NO_ENTRY) {
        hq->entries[list->last].next = index;
    } else {
        list->first = index;
    }
    list->last = index;
    list->count++;
}

static void take(mm_sim_hq_link_t *hq, mm_sim_entry_list_t *list, uint32_t index) {
    const mm_sim_entry_t *entry = &hq->entries[index];
    if (entry->previous != MM_SIM_NO_ENTRY) {
        hq->entries[entry->previous].next = entry->next;
    } else {
        list->first = entry->next;
    }
    if (entry->next != MM_SIM_NO_ENTRY) {
        hq->entries[entry->next].previous = entry->previous;
    } else {
        list->last = entry->previous;
    }
    list->count--;
}

static void grow(mm_sim_hq_link_t *hq) {
    uint32_t capacity = hq->entries_capacity == 0 ? ENTRIES_FIRST : 2 * hq->entries_capacity;
    mm_sim_entry_t *entries = realloc(hq->entries, capacity * sizeof *entries);
    MM_ASSERT(entries != NULL);
    hq->entries = entries;
    for (uint32_t i = hq->entries_capacity; i < capacity; i++) {
        entries[i] = (mm_sim_entry_t){0};
        push(hq, &hq->free, i);
    }
    hq->entries_capacity = capacity;
}

// Takes over one reference.
static uint32_t append(mm_sim_hq_link_t *hq, mm_sim_message_t *message) {
    if (hq->free.count == 0) {
        grow(hq);
    }
    uint32_t index = hq->free.first;
    take(hq, &hq->free, index);
    hq->entries[index].message = message;
    push(hq, &hq->waiting, index);
    return index;
}

static void drop(mm_sim_broker_t *self, mm_sim_entry_list_t *list, uint32_t index) {
    mm_sim_hq_link_t *hq = &self->hq;
    mm_sim_message_t *message = hq->entries[index].message;
    take(hq, list, index);
    hq->entries[index].message = NULL;
    push(hq, &hq->free, index);
    mm_sim_message_release(self, message);
}

// HQ's confirmations that were here at `instant`.
static void drop_confirmed(mm_sim_broker_t *self, mm_us_t instant) {
    mm_sim_hq_link_t *hq = &self->hq;
    while (hq->given.count > 0 && hq->entries[hq->given.first].confirmed_at <= instant) {
        drop(self, &hq->given, hq->given.first);
    }
}

static void drop_saved(mm_sim_broker_t *self) {
    for (uint32_t i = 0; i < self->hq.saved_count; i++) {
        mm_sim_message_release(self, self->hq.saved[i]);
    }
    self->hq.saved_count = 0;
    self->hq.saved_at = -1;
}

static void save_list(mm_sim_hq_link_t *hq, const mm_sim_entry_list_t *list) {
    for (uint32_t index = list->first; index != MM_SIM_NO_ENTRY; index = hq->entries[index].next) {
        hq->saved[hq->saved_count++] = mm_sim_message_keep(hq->entries[index].message);
    }
}

// To be called before anything of HQ's session changes.
static void save_hq(mm_sim_broker_t *self) {
    mm_sim_hq_link_t *hq = &self->hq;
    mm_us_t instant = saved_at(self);
    if (hq->saved_at == instant) {
        return;
    }
    drop_confirmed(self, instant);
    drop_saved(self);
    uint32_t count = hq->given.count + hq->waiting.count;
    if (count > hq->saved_capacity) {
        mm_sim_message_t **saved = realloc(hq->saved, 2 * count * sizeof(mm_sim_message_t *));
        MM_ASSERT(saved != NULL);
        hq->saved = saved;
        hq->saved_capacity = 2 * count;
    }
    save_list(hq, &hq->given);
    save_list(hq, &hq->waiting);
    hq->saved_session = hq->has_session;
    hq->saved_at = instant;
}

typedef struct {
    uint32_t entry; // not used again before this event: only a new connection takes it back
    uint32_t connection;
} give_t;

static void on_give(void *context, const void *payload, size_t payload_bytes) {
    mm_sim_broker_t *self = context;
    mm_sim_hq_link_t *hq = &self->hq;
    give_t give;
    MM_ASSERT(payload_bytes == sizeof give);
    memcpy(&give, payload, sizeof give);
    if (!hq->connected || give.connection != hq->connection) {
        return; // it waits for the next connection, or is gone
    }
    save_hq(self);
    mm_us_t now = mm_sim_now(self->sim);
    drop_confirmed(self, now);
    // HQ's library confirms at once, whatever HQ does with it. Until that is here a new connection gets it again.
    take(hq, &hq->waiting, give.entry);
    push(hq, &hq->given, give.entry);
    mm_us_t confirmed_at = now + self->manners.latency_us;
    hq->entries[give.entry].confirmed_at = confirmed_at;
    mm_sim_message_t *message = mm_sim_message_keep(hq->entries[give.entry].message);
    message->given = true;
    mm_sim_note(self->sim, message->client, "hq_given", give.entry, message->bytes_count);
    self->receivers.to_hq(self->receivers.context, message->topic, message->bytes, message->bytes_count);
    mm_sim_message_release(self, message);
}

static void send_to_hq(mm_sim_broker_t *self, uint32_t index, bool may_delay) {
    mm_sim_hq_link_t *hq = &self->hq;
    mm_us_t now = mm_sim_now(self->sim);
    mm_us_t at = now + mm_sim_broker_hops_us(self, &hq->random, 1);
    // Many that are held back would fill memory: beyond the limit of the queue they come in time.
    if (may_delay && hq->waiting.count <= self->manners.queue_messages_max &&
        mm_sim_chance(&hq->random, self->manners.message_delayed)) {
        mm_sim_fault(self->sim, MM_SIM_FAULT_MESSAGE_REORDERED, hq->entries[index].message->client);
        at += mm_random_below(&hq->random, DELAY_US_MAX);
    } else {
        at = at > hq->down_at ? at : hq->down_at;
        hq->down_at = at;
    }
    const give_t give = {.entry = index, .connection = hq->connection};
    mm_sim_queue_add(self->sim->queue, at, on_give, self, &give, sizeof give);
}

static void put_into_session(mm_sim_broker_t *self, mm_sim_message_t *message) {
    mm_sim_hq_link_t *hq = &self->hq;
    if (!hq->connected && hq->waiting.count >= self->manners.queue_messages_max) {
        mm_sim_fault(self->sim, MM_SIM_FAULT_BROKER_LIMIT, message->client);
        return;
    }
    save_hq(self);
    drop_confirmed(self, mm_sim_now(self->sim));
    message->stored = true;
    uint32_t index = append(hq, mm_sim_message_keep(message));
    if (hq->connected) {
        send_to_hq(self, index, true);
    }
}

uint8_t mm_sim_broker_route(mm_sim_broker_t *self, mm_sim_message_t *message) {
    if (!message->is_for_hq) {
        uint16_t topic_index;
        bool is_known = mm_sim_broker_find_topic(self, message->topic, false, &topic_index);
        return is_known && fan_out(self, topic_index, message) ? 0 : MM_SIM_REASON_NO_SUBSCRIBER;
    }
    mm_sim_hq_link_t *hq = &self->hq;
    if (!hq->has_session) {
        return MM_SIM_REASON_NO_SUBSCRIBER;
    }
    if (mm_sim_chance(&hq->random, self->manners.message_lost)) {
        mm_sim_fault(self->sim, MM_SIM_FAULT_MESSAGE_LOST, message->client);
        return 0;
    }
    put_into_session(self, message);
    if (mm_sim_chance(&hq->random, self->manners.message_repeated)) {
        mm_sim_fault(self->sim, MM_SIM_FAULT_MESSAGE_REPEATED, message->client);
        put_into_session(self, message);
    }
    return 0;
}

// Whatever HQ did not confirm waits again, before what it was never given.
static void take_back(mm_sim_broker_t *self, mm_us_t instant) {
    mm_sim_hq_link_t *hq = &self->hq;
    drop_confirmed(self, instant);
    if (hq->given.count == 0) {
        return;
    }
    if (hq->waiting.count > 0) {
        hq->entries[hq->given.last].next = hq->waiting.first;
        hq->entries[hq->waiting.first].previous = hq->given.last;
        hq->given.last = hq->waiting.last;
    }
    hq->given.count += hq->waiting.count;
    hq->waiting = hq->given;
    hq->given = (mm_sim_entry_list_t){.first = MM_SIM_NO_ENTRY, .last = MM_SIM_NO_ENTRY};
}

static void drop_all(mm_sim_broker_t *self) {
    while (self->hq.given.count > 0) {
        drop(self, &self->hq.given, self->hq.given.first);
    }
    while (self->hq.waiting.count > 0) {
        drop(self, &self->hq.waiting, self->hq.waiting.first);
    }
}

static void restart_hq(mm_sim_broker_t *self) {
    mm_sim_hq_link_t *hq = &self->hq;
    hq->connected = false;
    hq->connection++;
    switch (self->manners.persistence) {
    case MM_SIM_PERSISTENCE_OFF:
        drop_all(self);
        hq->has_session = false;
        break;
    case MM_SIM_PERSISTENCE_LATE:
        save_hq(self);
        drop_all(self);
        hq->has_session = hq->saved_session;
        for (uint32_t i = 0; i < hq->saved_count; i++) {
            (void)append(hq, mm_sim_message_keep(hq->saved[i]));
        }
        break;
    case MM_SIM_PERSISTENCE_ON:
    default:
        take_back(self, mm_sim_now(self->sim));
        break;
    }
    drop_saved(self);
}

void mm_sim_broker_hq_connect(mm_sim_broker_t *self) {
    mm_sim_hq_link_t *hq = &self->hq;
    if (!self->up || hq->connected) {
        return;
    }
    save_hq(self);
    hq->connected = true;
    hq->has_session = true;
    hq->connection++;
    hq->down_at = mm_sim_now(self->sim);
    mm_sim_note(self->sim, -1, "hq_connected", hq->connection, hq->waiting.count);
    for (uint32_t index = hq->waiting.first; index != MM_SIM_NO_ENTRY; index = hq->entries[index].next) {
        send_to_hq(self, index, false);
    }
}

void mm_sim_broker_hq_disconnect(mm_sim_broker_t *self) {
    mm_sim_hq_link_t *hq = &self->hq;
    if (!hq->connected) {
        return;
    }
    save_hq(self);
    hq->connected = false;
    hq->connection++;
    take_back(self, mm_sim_now(self->sim));
    mm_sim_note(self->sim, -1, "hq_disconnected", hq->connection, hq->waiting.count);
}

bool mm_sim_broker_hq_is_connected(const mm_sim_broker_t *self) {
    return self->up && self->hq.connected;
}

void mm_sim_broker_hq_publish(mm_sim_broker_t *self, const char *topic, const void *bytes, size_t bytes_count) {
    if (!mm_sim_broker_hq_is_connected(self)) {
        return;
    }
    mm_sim_note_bytes(self->sim, -1, "hq_published", bytes, bytes_count);
    uint16_t topic_index;
    if (!mm_sim_broker_find_topic(self, topic, true, &topic_index)) {
        mm_sim_fault(self->sim, MM_SIM_FAULT_BROKER_LIMIT, -1);
        return;
    }
    mm_sim_message_t *message = mm_sim_message_create(self, -1, topic, bytes, bytes_count);
    retain(self, &self->topics[topic_index], message);
    (void)fan_out(self, topic_index, message);
    mm_sim_message_release(self, message);
}

// --- life --------------------------------------------------------------------------------------------------------

void mm_sim_store_init(mm_sim_broker_t *self) {
    mm_sim_hq_link_t *hq = &self->hq;
    const mm_sim_entry_list_t empty = {.first = MM_SIM_NO_ENTRY, .last = MM_SIM_NO_ENTRY};
    hq->free = empty;
    hq->waiting = empty;
    hq->given = empty;
    hq->saved_at = -1;
    hq->random = mm_sim_random(self->sim, "broker_hq", 0);
}

void mm_sim_store_restart(mm_sim_broker_t *self) {
    restart_topics(self);
    restart_hq(self);
}

void mm_sim_store_deinit(mm_sim_broker_t *self) {
    drop_all(self);
    drop_saved(self);
    for (uint32_t i = 0; i < self->topic_count; i++) {
        mm_sim_message_release(self, self->topics[i].value);
        mm_sim_message_release(self, self->topics[i].previous_value);
        mm_sim_message_release(self, self->topics[i].saved_value);
        free(self->topics[i].name);
    }
    free(self->topics);
    free(self->hq.entries);
    free(self->hq.saved);
}
