// SPDX-License-Identifier: Apache-2.0
#include "linux_mesh.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "linux_clock.h"
#include "linux_mesh_address.h"
#include "linux_mesh_internal.h"

#define HELLO_MS_DEFAULT 500
#define TIMEOUT_HELLOS 4
#define SEARCH_HELLOS 3
#define FANOUT_DEFAULT 6
#define LAYER_MAX_DEFAULT 6
#define RECEIVE_BUFFER_BYTES (1 << 20)
// One poll takes no more than this, so that a flood cannot keep the owner from its other work.
#define DATAGRAMS_PER_POLL 256

// --- members -------------------------------------------------------------------------------------------------------

static mm_linux_mesh_peer_t *find_peer(mm_linux_mesh_t *self, mm_mac_t mac) {
    for (size_t i = 0; i < MM_LINUX_MESH_PEERS_MAX; i++) {
        if (self->peers[i].used && mm_mac_equal(self->peers[i].mac, mac)) {
            return &self->peers[i];
        }
    }
    return NULL;
}

static mm_linux_mesh_peer_t *find_member(mm_linux_mesh_t *self, mm_mac_t mac) {
    mm_linux_mesh_peer_t *peer = find_peer(self, mac);
    return peer != NULL && peer->member ? peer : NULL;
}

// --- sending -------------------------------------------------------------------------------------------------------

// xorshift64* (G. Marsaglia, S. Vigna): for faults, not for keys.
static uint32_t draw_percent(mm_linux_mesh_t *self) {
    uint64_t x = self->fault_state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    self->fault_state = x;
    return (uint32_t)((x * 0x2545F4914F6CDD1DU) >> 33) % 100;
}

static mm_err_t send_now(mm_linux_mesh_t *self, const struct sockaddr_in *address, const uint8_t *bytes,
                         size_t bytes_count) {
    ssize_t put = sendto(self->file, bytes, bytes_count, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)address,
                         sizeof *address);
    if (put >= 0) {
        mmi_mesh_count(self, MM_LINUX_MESH_DATAGRAMS_SENT);
        return MM_OK;
    }
    mmi_mesh_count(self, MM_LINUX_MESH_SEND_FAILED);
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ? MM_ERR_BUSY : MM_ERR_UNAVAILABLE;
}

static bool delay(mm_linux_mesh_t *self, const struct sockaddr_in *address, const uint8_t *bytes, size_t bytes_count) {
    for (size_t i = 0; i < MM_LINUX_MESH_DELAYED_MAX; i++) {
        mm_linux_mesh_delayed_t *slot = &self->delayed[i];
        if (slot->bytes_count == 0) {
            slot->at_us = self->now_us + (int64_t)self->options.faults.delay_ms * 10 * (1 + draw_percent(self));
            slot->address = *address;
            slot->bytes_count = (uint16_t)bytes_count;
            memcpy(slot->bytes, bytes, bytes_count);
            return true;
        }
    }
    return false;
}

static mm_err_t send_datagram(mm_linux_mesh_t *self, const struct sockaddr_in *address, const uint8_t *bytes,
                              size_t bytes_count) {
    const mm_linux_mesh_faults_t *faults = &self->options.faults;
    if (self->delayed != NULL) {
        if (draw_percent(self) < faults->loss_percent) {
            mmi_mesh_count(self, MM_LINUX_MESH_FAULTS_INJECTED);
            return MM_OK;
        }
        if (draw_percent(self) < faults->duplicate_percent) {
            mmi_mesh_count(self, MM_LINUX_MESH_FAULTS_INJECTED);
            (void)send_now(self, address, bytes, bytes_count);
        }
        if (draw_percent(self) < faults->delay_percent && delay(self, address, bytes, bytes_count)) {
            mmi_mesh_count(self, MM_LINUX_MESH_FAULTS_INJECTED);
            return MM_OK;
        }
    }
    return send_now(self, address, bytes, bytes_count);
}

static int64_t release_delayed(mm_linux_mesh_t *self) {
    int64_t deadline_us = MM_US_NEVER;
    for (size_t i = 0; self->delayed != NULL && i < MM_LINUX_MESH_DELAYED_MAX; i++) {
        mm_linux_mesh_delayed_t *slot = &self->delayed[i];
        if (slot->bytes_count != 0 && slot->at_us <= self->now_us) {
            (void)send_now(self, &slot->address, slot->bytes, slot->bytes_count);
            slot->bytes_count = 0;
        } else if (slot->bytes_count != 0 && slot->at_us < deadline_us) {
            deadline_us = slot->at_us;
        }
    }
    return deadline_us;
}

// peer NULL: to whoever hears it.
static mm_err_t send_kind(mm_linux_mesh_t *self, mm_mesh_datagram_kind_t kind, const mm_linux_mesh_peer_t *peer,
                          const struct sockaddr_in *address, const uint8_t *body, size_t body_bytes) {
    mm_mesh_datagram_t datagram = {
        .kind = kind,
        .from = mmi_mesh_own_mac(self),
        .boot = self->boot,
        .counter = ++self->counter,
        .body = body,
        .body_bytes = body_bytes,
    };
    if (peer != NULL) {
        datagram.to = peer->mac;
        datagram.to_boot = peer->boot;
    }
    uint8_t bytes[MM_MESH_DATAGRAM_BYTES_MAX];
    size_t size = mm_mesh_datagram_write(&self->seal, &datagram, bytes);
    return send_datagram(self, address, bytes, size);
}

static void say(mm_linux_mesh_t *self, mm_mesh_datagram_kind_t kind, mm_linux_mesh_peer_t *peer,
                const struct sockaddr_in *address) {
    const mm_mesh_hello_t hello = {
        .router_up = self->router_up,
        .is_root = self->role == MM_LINUX_MESH_ROOT,
        .layer = self->layer,
        .root = self->root,
        .uptime_ms = (uint64_t)((self->now_us - self->opened_us) / 1000),
    };
    uint8_t body[MM_MESH_HELLO_BYTES];
    mm_mesh_hello_write(&hello, body);
    (void)send_kind(self, kind, peer, address, body, sizeof body);
    if (peer != NULL) {
        peer->said_us = self->now_us;
        peer->answer_due = false;
    }
}

static bool same_address(const struct sockaddr_in *left, const struct sockaddr_in *right) {
    return left->sin_addr.s_addr == right->sin_addr.s_addr && left->sin_port == right->sin_port;
}

static bool is_member_address(const mm_linux_mesh_t *self, const struct sockaddr_in *address) {
    for (size_t i = 0; i < MM_LINUX_MESH_PEERS_MAX; i++) {
        if (self->peers[i].member && same_address(&self->peers[i].address, address)) {
            return true;
        }
    }
    return false;
}

static void say_hello_to_all(mm_linux_mesh_t *self) {
    for (size_t i = 0; i < MM_LINUX_MESH_PEERS_MAX; i++) {
        if (self->peers[i].member) {
            say(self, MM_MESH_DATAGRAM_HELLO, &self->peers[i], &self->peers[i].address);
        }
    }
    for (size_t i = 0; i < self->endpoint_count; i++) {
        const struct sockaddr_in *endpoint = &self->endpoints[i];
        if (!same_address(endpoint, &self->address) && !is_member_address(self, endpoint)) {
            say(self, MM_MESH_DATAGRAM_HELLO, NULL, endpoint);
        }
    }
    if (self->group_file >= 0) {
        say(self, MM_MESH_DATAGRAM_HELLO, NULL, &self->group);
    }
    self->hello_at_us = self->now_us + mmi_mesh_hello_us(self);
}

// --- receiving -----------------------------------------------------------------------------------------------------

static mm_linux_mesh_peer_t *add_peer(mm_linux_mesh_t *self, mm_mac_t mac) {
    mm_linux_mesh_peer_t *chosen = NULL;
    for (size_t i = 0; i < MM_LINUX_MESH_PEERS_MAX; i++) {
        mm_linux_mesh_peer_t *peer = &self->peers[i];
        if (!peer->used) {
            chosen = peer;
            break;
        }
        // A node that is gone is remembered for its counters, and forgotten only when the room is needed.
        if (!peer->member && peer->told_boot == 0 && (chosen == NULL || peer->heard_us < chosen->heard_us)) {
            chosen = peer;
        }
    }
    if (chosen != NULL) {
        *chosen = (mm_linux_mesh_peer_t){.used = true, .mac = mac, .heard_us = self->now_us, .said_us = INT64_MIN / 2};
    }
    return chosen;
}

static void lose_member(mm_linux_mesh_t *self, mm_linux_mesh_peer_t *peer) {
    peer->member = false;
    peer->hello = (mm_mesh_hello_t){0};
    mmi_mesh_count(self, MM_LINUX_MESH_MEMBERS_LOST);
}

// The sender, if boot and counter are fresh; NULL (and counted) otherwise.
static mm_linux_mesh_peer_t *admit(mm_linux_mesh_t *self, const mm_mesh_datagram_t *datagram,
                                   const struct sockaddr_in *source) {
    mm_linux_mesh_peer_t *peer = find_peer(self, datagram->from);
    if (peer == NULL) {
        peer = add_peer(self, datagram->from);
        if (peer == NULL) {
            mmi_mesh_count(self, MM_LINUX_MESH_DROPPED_TABLE_FULL);
            return NULL;
        }
    }
    if (datagram->boot < peer->boot) {
        mmi_mesh_count(self, MM_LINUX_MESH_DROPPED_OLD_BOOT);
        return NULL;
    }
    if (datagram->boot > peer->boot) {
        if (peer->member) {
            lose_member(self, peer); // it was away, however shortly
        }
        peer->boot = datagram->boot;
        peer->window = (mm_mesh_window_t){0};
        peer->hello_counter = 0;
        peer->answer_due = true;
    }
    if (!mm_mesh_window_take(&peer->window, datagram->counter)) {
        mmi_mesh_count(self, MM_LINUX_MESH_DROPPED_REPLAYED);
        return NULL;
    }
    if (datagram->counter == peer->window.highest) {
        peer->address = *source;
    }
    return peer;
}

static void take_hello(mm_linux_mesh_t *self, mm_linux_mesh_peer_t *peer, const mm_mesh_datagram_t *datagram,
                       bool proven) {
    mm_mesh_hello_t hello;
    if (!mm_mesh_hello_read(datagram->body, datagram->body_bytes, &hello)) {
        mmi_mesh_count(self, MM_LINUX_MESH_DROPPED_MALFORMED);
        return;
    }
    if (datagram->counter < peer->hello_counter) {
        return; // overtaken by a later one
    }
    peer->hello_counter = datagram->counter;
    if (!proven) {
        // It does not know us (any more): let it, but not more often than it needs.
        peer->answer_due = peer->answer_due || self->now_us - peer->said_us >= mmi_mesh_hello_us(self) / 2;
        return;
    }
    if (datagram->kind == MM_MESH_DATAGRAM_GOODBYE) {
        if (peer->member) {
            lose_member(self, peer);
        }
        return;
    }
    peer->hello = hello;
    peer->heard_us = self->now_us;
    peer->member = true;
}

static bool push_frame(mm_linux_mesh_t *self, mm_mac_t from, const void *bytes, size_t bytes_count) {
    if (self->frame_count == MM_LINUX_MESH_FRAMES_MAX) {
        return false;
    }
    size_t last = (self->frame_first + self->frame_count) % MM_LINUX_MESH_FRAMES_MAX;
    self->frames[last].from = from;
    self->frames[last].bytes_count = (uint16_t)bytes_count;
    memcpy(self->frames[last].bytes, bytes, bytes_count);
    self->frame_count++;
    return true;
}

static void take_verified(mm_linux_mesh_t *self, const mm_mesh_datagram_t *datagram, const struct sockaddr_in *source) {
    if (datagram->boot == 0 || mm_mac_is_zero(datagram->from)) {
        mmi_mesh_count(self, MM_LINUX_MESH_DROPPED_MALFORMED); // both mean "none" here
        return;
    }
    if (mm_mac_equal(datagram->from, mmi_mesh_own_mac(self))) {
        mmi_mesh_count(self,
                       datagram->boot == self->boot ? MM_LINUX_MESH_DROPPED_OWN : MM_LINUX_MESH_DROPPED_MAC_CONFLICT);
        return;
    }
    bool to_us = mm_mac_equal(datagram->to, mmi_mesh_own_mac(self));
    bool to_all = mm_mac_is_zero(datagram->to) && datagram->kind == MM_MESH_DATAGRAM_HELLO;
    if (!to_us && !to_all) {
        mmi_mesh_count(self, MM_LINUX_MESH_DROPPED_MISDIRECTED);
        return;
    }
    bool proven = to_us && datagram->to_boot == self->boot;
    if (!proven && datagram->kind != MM_MESH_DATAGRAM_HELLO) {
        mmi_mesh_count(self, MM_LINUX_MESH_DROPPED_STALE);
        return;
    }
    mm_linux_mesh_peer_t *peer = admit(self, datagram, source);
    if (peer == NULL) {
        return;
    }
    mmi_mesh_count(self, MM_LINUX_MESH_DATAGRAMS_TAKEN);
    if (datagram->kind != MM_MESH_DATAGRAM_FRAME) {
        take_hello(self, peer, datagram, proven);
        return;
    }
    if (peer->member) {
        peer->heard_us = self->now_us;
    }
    // There is room: the loop that reads the socket has looked.
    bool pushed = push_frame(self, datagram->from, datagram->body, datagram->body_bytes);
    MM_ASSERT(pushed);
    mmi_mesh_count(self, MM_LINUX_MESH_FRAMES_TAKEN);
}

static void take_datagram(mm_linux_mesh_t *self, const uint8_t *bytes, size_t bytes_count,
                          const struct sockaddr_in *source) {
    if (self->door != NULL && mm_linux_door_take(self->door, bytes, bytes_count, source, self->now_us)) {
        return;
    }
    mm_mesh_datagram_t datagram;
    switch (mm_mesh_datagram_read(&self->seal, bytes, bytes_count, &datagram)) {
    case MM_MESH_GOOD:
        take_verified(self, &datagram, source);
        break;
    case MM_MESH_VERSION:
        mmi_mesh_count(self, MM_LINUX_MESH_DROPPED_VERSION);
        break;
    case MM_MESH_FOREIGN:
        mmi_mesh_count(self, MM_LINUX_MESH_DROPPED_FOREIGN);
        break;
    case MM_MESH_TAG:
        mmi_mesh_count(self, MM_LINUX_MESH_DROPPED_TAG);
        break;
    case MM_MESH_MALFORMED:
    default:
        mmi_mesh_count(self, MM_LINUX_MESH_DROPPED_MALFORMED);
        break;
    }
}

mm_err_t mm_linux_mesh_open_door(mm_linux_mesh_t *self, mm_linux_door_t *door, const char *peers, const char *group,
                                 mm_linux_message_t *message) {
    mm_err_t err = mm_linux_door_open(door, mmi_mesh_own_mac(self), self->file, &self->address, peers, group, message);
    self->door = err == MM_OK ? door : NULL;
    return err;
}

static void receive(mm_linux_mesh_t *self, int file) {
    // One byte more than the longest good datagram, to recognise longer ones.
    uint8_t bytes[MM_MESH_DATAGRAM_BYTES_MAX + 1];
    for (int i = 0; i < DATAGRAMS_PER_POLL && self->frame_count < MM_LINUX_MESH_FRAMES_MAX; i++) {
        struct sockaddr_in source = {0};
        socklen_t source_bytes = sizeof source;
        ssize_t got = recvfrom(file, bytes, sizeof bytes, MSG_DONTWAIT, (struct sockaddr *)&source, &source_bytes);
        if (got < 0) {
            if (errno == EINTR || errno == ECONNREFUSED) {
                continue;
            }
            break;
        }
        take_datagram(self, bytes, (size_t)got, &source);
    }
}

// --- poll ----------------------------------------------------------------------------------------------------------

// Returns when the next member will be lost if it stays silent.
static int64_t expire_members(mm_linux_mesh_t *self) {
    int64_t deadline_us = MM_US_NEVER;
    for (size_t i = 0; i < MM_LINUX_MESH_PEERS_MAX; i++) {
        mm_linux_mesh_peer_t *peer = &self->peers[i];
        if (!peer->member) {
            continue;
        }
        // wait: a member is heard | until TIMEOUT_HELLOS times mesh_hello_ms | then it is lost; if it was the root,
        // another is chosen
        int64_t lost_at_us = peer->heard_us + mmi_mesh_timeout_us(self);
        if (lost_at_us <= self->now_us) {
            lose_member(self, peer);
        } else if (lost_at_us < deadline_us) {
            deadline_us = lost_at_us;
        }
    }
    return deadline_us;
}

static void answer_peers(mm_linux_mesh_t *self) {
    for (size_t i = 0; i < MM_LINUX_MESH_PEERS_MAX; i++) {
        if (self->peers[i].answer_due) {
            say(self, MM_MESH_DATAGRAM_HELLO, &self->peers[i], &self->peers[i].address);
        }
    }
}

int64_t mm_linux_mesh_poll(mm_linux_mesh_t *self, int64_t real_now_us) {
    MM_ASSERT(real_now_us >= self->now_us);
    self->now_us = real_now_us;
    receive(self, self->file);
    if (self->group_file >= 0) {
        receive(self, self->group_file);
    }
    int64_t deadline_us = expire_members(self);
    mmi_mesh_decide(self);
    answer_peers(self);
    if (self->now_us >= self->hello_at_us) {
        say_hello_to_all(self);
    }
    deadline_us = mm_us_earlier(deadline_us, release_delayed(self));
    deadline_us = mm_us_earlier(deadline_us, self->hello_at_us);
    if (self->role == MM_LINUX_MESH_SEARCHING) {
        bool is_over = self->now_us >= self->search_until_us;
        deadline_us = mm_us_earlier(deadline_us, is_over ? self->patience_until_us : self->search_until_us);
    }
    return deadline_us;
}

// --- frames --------------------------------------------------------------------------------------------------------

bool mm_linux_mesh_next_frame(mm_linux_mesh_t *self, mm_mac_t *from, uint8_t *bytes, size_t *bytes_count) {
    if (self->frame_count == 0) {
        return false;
    }
    const mm_linux_mesh_frame_t *frame = &self->frames[self->frame_first];
    *from = frame->from;
    *bytes_count = frame->bytes_count;
    memcpy(bytes, frame->bytes, frame->bytes_count);
    self->frame_first = (self->frame_first + 1) % MM_LINUX_MESH_FRAMES_MAX;
    self->frame_count--;
    return true;
}

// --- the port's functions ------------------------------------------------------------------------------------------

static mm_err_t send_frame(void *context, mm_mac_t to, const void *bytes, size_t bytes_count) {
    mm_linux_mesh_t *self = context;
    if (bytes_count > MM_MESH_FRAME_BYTES_MAX) {
        return MM_ERR_ARG;
    }
    if (mm_mac_equal(to, mmi_mesh_own_mac(self))) {
        return push_frame(self, to, bytes, bytes_count) ? MM_OK : MM_ERR_BUSY;
    }
    const mm_linux_mesh_peer_t *peer = find_member(self, to);
    if (peer == NULL) {
        return MM_ERR_UNAVAILABLE;
    }
    mm_err_t err = send_kind(self, MM_MESH_DATAGRAM_FRAME, peer, &peer->address, bytes, bytes_count);
    if (err == MM_OK) {
        mmi_mesh_count(self, MM_LINUX_MESH_FRAMES_SENT);
    }
    return err;
}

static mm_err_t send_to_root(void *context, const void *bytes, size_t bytes_count) {
    const mm_linux_mesh_t *self = context;
    return self->role == MM_LINUX_MESH_SEARCHING ? MM_ERR_UNAVAILABLE
                                                 : send_frame(context, self->root, bytes, bytes_count);
}

void mm_linux_mesh_set_router(mm_linux_mesh_t *self, bool router_up) {
    if (self->router_up != router_up) {
        self->router_up = router_up;
        self->hello_at_us = self->now_us;
    }
}

// --- open and close ------------------------------------------------------------------------------------------------

static mm_err_t set_options(mm_linux_mesh_t *self, const mm_linux_mesh_options_t *options,
                            mm_linux_message_t *message) {
    self->options = *options;
    mm_linux_mesh_options_t *own = &self->options;
    own->hello_ms = own->hello_ms != 0 ? own->hello_ms : HELLO_MS_DEFAULT;
    own->timeout_ms = own->timeout_ms != 0 ? own->timeout_ms : TIMEOUT_HELLOS * own->hello_ms;
    own->search_ms = own->search_ms != 0 ? own->search_ms : SEARCH_HELLOS * own->hello_ms;
    own->fanout = own->fanout != 0 ? own->fanout : FANOUT_DEFAULT;
    own->layer_max = own->layer_max != 0 ? own->layer_max : LAYER_MAX_DEFAULT;
    if (options->mesh_id == NULL || options->mesh_id[0] == '\0' || mm_mac_is_zero(options->mac)) {
        mm_linux_message_set(message, "mesh: the mesh id and the node's address must be set");
        return MM_ERR_ARG;
    }
    if (own->timeout_ms <= own->hello_ms || own->layer_max < 2) {
        mm_linux_message_set(message,
                             "mesh: the timeout (%u ms) must be longer than the time between hellos (%u ms), and "
                             "there must be at least 2 layers",
                             own->timeout_ms, own->hello_ms);
        return MM_ERR_ARG;
    }
    if (options->listen == NULL || !mm_mesh_address_parse(options->listen, true, &self->address)) {
        mm_linux_message_set(message, "mesh: listen '%s': expected an IPv4 ADDRESS:PORT",
                             options->listen != NULL ? options->listen : "");
        return MM_ERR_ARG;
    }
    if (!mm_mesh_address_parse_list(options->peers, self->endpoints, MM_LINUX_MESH_ENDPOINTS_MAX,
                                    &self->endpoint_count)) {
        mm_linux_message_set(message, "mesh: peers '%s': expected up to %d of ADDRESS:PORT or ADDRESS:FIRST-LAST",
                             options->peers, MM_LINUX_MESH_ENDPOINTS_MAX);
        return MM_ERR_ARG;
    }
    bool has_group = options->group != NULL && options->group[0] != '\0';
    if (has_group && !mm_mesh_address_parse(options->group, false, &self->group)) {
        mm_linux_message_set(message, "mesh: group '%s': expected an IPv4 ADDRESS:PORT", options->group);
        return MM_ERR_ARG;
    }
    const mm_linux_mesh_faults_t *faults = &own->faults;
    if (faults->loss_percent > 100 || faults->duplicate_percent > 100 || faults->delay_percent > 100) {
        mm_linux_message_set(message, "mesh: faults are given in percent");
        return MM_ERR_ARG;
    }
    return MM_OK;
}

static mm_err_t fail_open(const char *what, const char *name, mm_linux_message_t *message) {
    mm_err_t err = errno == EADDRINUSE ? MM_ERR_BUSY : MM_ERR_UNAVAILABLE;
    mm_linux_message_set(message, "mesh: %s '%s': %s", what, name, strerror(errno));
    return err;
}

static mm_err_t open_sockets(mm_linux_mesh_t *self, const mm_linux_mesh_options_t *options,
                             mm_linux_message_t *message) {
    self->file = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t address_bytes = sizeof self->address;
    const int buffer_bytes = RECEIVE_BUFFER_BYTES;
    if (self->file < 0 || bind(self->file, (const struct sockaddr *)&self->address, sizeof self->address) != 0 ||
        getsockname(self->file, (struct sockaddr *)&self->address, &address_bytes) != 0) {
        return fail_open("listen", options->listen, message);
    }
    // Best effort: answers of a whole round arrive at once.
    (void)setsockopt(self->file, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof buffer_bytes);
    if (self->group.sin_family == 0) {
        return MM_OK;
    }
    self->group_file = mm_mesh_address_join_group(self->file, &self->address, &self->group);
    return self->group_file >= 0 ? MM_OK : fail_open("group", options->group, message);
}

mm_err_t mm_linux_mesh_open(mm_linux_mesh_t *self, const mm_linux_mesh_options_t *options, int64_t real_now_us,
                            mm_linux_message_t *message) {
    memset(self, 0, sizeof *self);
    self->file = -1;
    self->group_file = -1;
    self->mesh = (mm_mesh_t){.send = send_frame, .send_to_root = send_to_root, .context = self};
    mm_err_t err = set_options(self, options, message);
    if (err == MM_OK) {
        err = mm_mesh_seal_open(&self->seal, options->mesh_id, options->key);
    }
    if (err == MM_OK) {
        err = open_sockets(self, options, message);
    }
    const mm_linux_mesh_faults_t *faults = &options->faults;
    if (err == MM_OK && faults->loss_percent + faults->duplicate_percent + faults->delay_percent > 0) {
        self->delayed = calloc(MM_LINUX_MESH_DELAYED_MAX, sizeof *self->delayed);
        self->fault_state = faults->seed | 1;
        if (self->delayed == NULL) {
            mm_linux_message_set(message, "mesh: not enough memory");
            err = MM_ERR_FULL;
        }
    }
    // Strings are the caller's.
    self->options.mesh_id = NULL;
    self->options.listen = NULL;
    self->options.peers = NULL;
    self->options.group = NULL;
    if (err != MM_OK) {
        mm_linux_mesh_close(self);
        return err;
    }
    self->boot = options->boot != 0 ? options->boot : (uint64_t)mm_linux_system_utc_us();
    self->now_us = real_now_us;
    self->opened_us = real_now_us;
    self->hello_at_us = real_now_us;
    self->router_up = options->router_up;
    self->search_until_us = real_now_us + (int64_t)self->options.search_ms * 1000;
    self->patience_until_us = self->search_until_us + mmi_mesh_timeout_us(self) + 2 * mmi_mesh_hello_us(self);
    return MM_OK;
}

void mm_linux_mesh_close(mm_linux_mesh_t *self) {
    for (size_t i = 0; self->file >= 0 && i < MM_LINUX_MESH_PEERS_MAX; i++) {
        if (self->peers[i].member) {
            say(self, MM_MESH_DATAGRAM_GOODBYE, &self->peers[i], &self->peers[i].address);
        }
    }
    if (self->file >= 0) {
        (void)close(self->file);
        self->file = -1;
    }
    if (self->group_file >= 0) {
        (void)close(self->group_file);
        self->group_file = -1;
    }
    mm_mesh_seal_close(&self->seal);
    free(self->delayed);
    self->delayed = NULL;
    memset(self->options.key, 0, sizeof self->options.key);
}

// --- what others want to know --------------------------------------------------------------------------------------

void mm_linux_mesh_files(const mm_linux_mesh_t *self, int files[2]) {
    files[0] = self->file;
    files[1] = self->group_file;
}

uint16_t mm_linux_mesh_port(const mm_linux_mesh_t *self) {
    return ntohs(self->address.sin_port);
}

mm_linux_mesh_role_t mm_linux_mesh_role(const mm_linux_mesh_t *self) {
    return self->role;
}

const char *mm_linux_mesh_role_name(mm_linux_mesh_role_t role) {
    switch (role) {
    case MM_LINUX_MESH_SEARCHING:
        return "searching";
    case MM_LINUX_MESH_FOLLOWING:
        return "child";
    case MM_LINUX_MESH_ROOT:
        return "root";
    default:
        return "unknown";
    }
}

size_t mm_linux_mesh_member_count(const mm_linux_mesh_t *self) {
    size_t members = 0;
    for (size_t i = 0; i < MM_LINUX_MESH_PEERS_MAX; i++) {
        members += self->peers[i].member ? 1 : 0;
    }
    return members;
}

uint64_t mm_linux_mesh_stat(const mm_linux_mesh_t *self, mm_linux_mesh_stat_t stat) {
    MM_ASSERT(stat < MM_LINUX_MESH_STAT_COUNT);
    return self->stats[stat];
}

const char *mm_linux_mesh_stat_name(mm_linux_mesh_stat_t stat) {
    static const char *const names[MM_LINUX_MESH_STAT_COUNT] = {
#define MM_LINUX_MESH_STAT_NAME(id, name) [MM_LINUX_MESH_##id] = (name),
        MM_LINUX_MESH_STAT_LIST(MM_LINUX_MESH_STAT_NAME)
#undef MM_LINUX_MESH_STAT_NAME
    };
    return stat < MM_LINUX_MESH_STAT_COUNT ? names[stat] : "unknown";
}
