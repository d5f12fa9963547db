// SPDX-License-Identifier: Apache-2.0
#include "linux_door.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "linux_mesh_address.h"
#include "meshmeter/bytes.h"

#define MAGIC "MMDR"
#define MAGIC_BYTES (sizeof MAGIC - 1)
#define VERSION 1
#define SECOND_US INT64_C(1000000)

static bool is_same_address(const struct sockaddr_in *left, const struct sockaddr_in *right) {
    return left->sin_addr.s_addr == right->sin_addr.s_addr && left->sin_port == right->sin_port;
}

static mm_err_t send_to(const mm_linux_door_t *self, const struct sockaddr_in *address, const uint8_t *bytes,
                        size_t bytes_count) {
    ssize_t put = sendto(self->file, bytes, bytes_count, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)address,
                         sizeof *address);
    if (put >= 0) {
        return MM_OK;
    }
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ? MM_ERR_BUSY : MM_ERR_UNAVAILABLE;
}

static const mm_linux_door_peer_t *find(const mm_linux_door_t *self, mm_mac_t mac) {
    for (size_t i = 0; i < MM_LINUX_DOOR_PEERS_MAX; i++) {
        if (mm_mac_equal(self->peers[i].mac, mac)) {
            return &self->peers[i];
        }
    }
    return NULL;
}

// One that is not there now (a port without a process) does not keep the others from hearing it.
static mm_err_t send_to_all(const mm_linux_door_t *self, const uint8_t *bytes, size_t bytes_count) {
    mm_err_t result = MM_ERR_UNAVAILABLE;
    for (size_t i = 0; i < self->endpoint_count; i++) {
        if (!is_same_address(&self->endpoints[i], &self->address)) {
            mm_err_t err = send_to(self, &self->endpoints[i], bytes, bytes_count);
            result = result == MM_OK ? MM_OK : err;
        }
    }
    return result;
}

static mm_err_t send_packet(void *context, mm_mac_t to, const void *bytes, size_t bytes_count) {
    const mm_linux_door_t *self = context;
    uint8_t datagram[MM_LINUX_DOOR_HEAD_BYTES + MM_DOOR_PACKET_BYTES_MAX];
    MM_ASSERT(bytes_count >= 1 && bytes_count <= MM_DOOR_PACKET_BYTES_MAX);
    mm_writer_t writer = mm_writer(datagram, sizeof datagram);
    mm_put_bytes(&writer, MAGIC, MAGIC_BYTES);
    mm_put_u8(&writer, VERSION);
    mm_put_mac(&writer, self->mac);
    mm_put_mac(&writer, to);
    mm_put_bytes(&writer, bytes, bytes_count);
    if (mm_mac_is_zero(to)) {
        return send_to_all(self, datagram, writer.used_bytes);
    }
    const mm_linux_door_peer_t *peer = find(self, to);
    return peer != NULL ? send_to(self, &peer->address, datagram, writer.used_bytes) : MM_ERR_UNAVAILABLE;
}

mm_err_t mm_linux_door_open(mm_linux_door_t *self, mm_mac_t mac, int file, const struct sockaddr_in *own,
                            const char *peers, const char *group, mm_linux_message_t *message) {
    memset(self, 0, sizeof *self);
    self->door = (mm_door_t){send_packet, self};
    self->mac = mac;
    self->file = file;
    self->address = *own;
    if (!mm_mesh_address_parse_list(peers, self->endpoints, MM_LINUX_DOOR_ENDPOINTS_MAX - 1, &self->endpoint_count)) {
        mm_linux_message_set(message, "mesh_peers: '%s' is not a list of addresses", peers);
        return MM_ERR_ARG;
    }
    if (group == NULL || group[0] == '\0') {
        return MM_OK;
    }
    struct sockaddr_in *address = &self->endpoints[self->endpoint_count];
    if (!mm_mesh_address_parse(group, false, address)) {
        mm_linux_message_set(message, "mesh_group: '%s' is not ADDRESS:PORT", group);
        return MM_ERR_ARG;
    }
    self->endpoint_count++;
    // Only to send there: answers come to the own address.
    int heard = mm_mesh_address_join_group(file, own, address);
    if (heard < 0) {
        mm_linux_message_set(message, "mesh_group %s: %s", group, strerror(errno));
        return MM_ERR_UNAVAILABLE;
    }
    (void)close(heard);
    return MM_OK;
}

static bool is_in_rate(mm_linux_door_t *self, int64_t real_now_us) {
    if (real_now_us - self->second_us >= SECOND_US) {
        self->second_us = real_now_us;
        self->second_count = 0;
    }
    return self->second_count++ < MM_DOOR_PACKETS_PER_S;
}

static void remember(mm_linux_door_t *self, mm_mac_t mac, const struct sockaddr_in *source, int64_t real_now_us) {
    mm_linux_door_peer_t *chosen = &self->peers[0];
    for (size_t i = 0; i < MM_LINUX_DOOR_PEERS_MAX; i++) {
        mm_linux_door_peer_t *peer = &self->peers[i];
        if (mm_mac_equal(peer->mac, mac)) {
            chosen = peer;
            break;
        }
        chosen = peer->heard_us < chosen->heard_us ? peer : chosen; // a free one was never heard
    }
    *chosen = (mm_linux_door_peer_t){mac, *source, real_now_us};
}

bool mm_linux_door_take(mm_linux_door_t *self, const uint8_t *bytes, size_t bytes_count,
                        const struct sockaddr_in *source, int64_t real_now_us) {
    if (bytes_count < MAGIC_BYTES || memcmp(bytes, MAGIC, MAGIC_BYTES) != 0) {
        return false;
    }
    mm_reader_t reader = mm_reader(bytes + MAGIC_BYTES, bytes_count - MAGIC_BYTES);
    uint8_t version = mm_get_u8(&reader);
    mm_mac_t from = mm_get_mac(&reader);
    mm_mac_t to = mm_get_mac(&reader);
    size_t packet_bytes = mm_reader_left_bytes(&reader);
    if (reader.failed || version != VERSION || mm_mac_is_zero(from) || packet_bytes == 0 ||
        packet_bytes > MM_DOOR_PACKET_BYTES_MAX) {
        self->dropped_malformed++;
        return true;
    }
    if (mm_mac_equal(from, self->mac) || (!mm_mac_is_zero(to) && !mm_mac_equal(to, self->mac))) {
        return true; // our own, or for another
    }
    if (!is_in_rate(self, real_now_us) || self->packet_count == MM_LINUX_DOOR_PACKETS_MAX) {
        self->dropped_flood++;
        return true;
    }
    remember(self, from, source, real_now_us);
    size_t last = (self->packet_first + self->packet_count) % MM_LINUX_DOOR_PACKETS_MAX;
    self->packets[last].from = from;
    self->packets[last].bytes_count = (uint16_t)packet_bytes;
    mm_get_bytes(&reader, self->packets[last].bytes, packet_bytes);
    self->packet_count++;
    self->taken++;
    return true;
}

bool mm_linux_door_next(mm_linux_door_t *self, mm_mac_t *from, uint8_t *bytes, size_t *bytes_count) {
    if (self->packet_count == 0) {
        return false;
    }
    const mm_linux_door_packet_t *packet = &self->packets[self->packet_first];
    *from = packet->from;
    *bytes_count = packet->bytes_count;
    memcpy(bytes, packet->bytes, packet->bytes_count);
    self->packet_first = (self->packet_first + 1) % MM_LINUX_DOOR_PACKETS_MAX;
    self->packet_count--;
    return true;
}
