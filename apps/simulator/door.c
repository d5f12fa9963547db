// SPDX-License-Identifier: Apache-2.0
#include "simulator/door.h"

#include <string.h>

#define HOP_US 3000
#define LOST 100000u // millionths
#define REPEATED 50000u
#define DAMAGED 30000u
#define FORGED 60000u

typedef struct {
    int to;
    door_packet_t packet;
} flight_t;

static void arrive(void *context, const void *payload, size_t payload_bytes) {
    doors_t *self = context;
    flight_t flight;
    MM_ASSERT(payload_bytes == sizeof flight);
    memcpy(&flight, payload, sizeof flight);
    device_on_door(&self->devices[flight.to], mm_sim_mesh_mac(flight.packet.from), flight.packet.bytes,
                   flight.packet.bytes_count);
}

static void send_one(doors_t *self, int to, const door_packet_t *packet, mm_us_t after_us) {
    static flight_t s_flight; // its unused bytes are the same in every run
    s_flight = (flight_t){.to = to, .packet = *packet};
    mm_sim_queue_add(self->sim->queue, mm_sim_now(self->sim) + after_us, arrive, self, &s_flight, sizeof s_flight);
}

static void damage(doors_t *self, door_packet_t *packet) {
    uint32_t index = mm_random_below(&self->random, packet->bytes_count);
    packet->bytes[index] ^= (uint8_t)(1u << mm_random_below(&self->random, 8));
    self->forged++;
}

static void transmit(doors_t *self, int to, const door_packet_t *packet) {
    door_packet_t copy = *packet;
    if (!self->quiet && mm_sim_chance(&self->random, LOST)) {
        return;
    }
    if (!self->quiet && mm_sim_chance(&self->random, DAMAGED)) {
        damage(self, &copy);
    }
    send_one(self, to, &copy, HOP_US);
    if (!self->quiet && mm_sim_chance(&self->random, REPEATED)) {
        send_one(self, to, &copy, HOP_US + (mm_us_t)mm_random_below(&self->random, 5000000));
    }
    if (!self->quiet && mm_sim_chance(&self->random, FORGED)) {
        door_packet_t old = self->kept[mm_random_below(&self->random, self->kept_count)];
        if (mm_random_below(&self->random, 2) == 0) {
            damage(self, &old);
        }
        self->forged++;
        send_one(self, (int)mm_random_below(&self->random, (uint32_t)self->node_count), &old, 2 * HOP_US);
    }
}

static mm_err_t door_send(void *context, int from, mm_mac_t to, const void *bytes, size_t bytes_count) {
    doors_t *self = context;
    if (bytes_count == 0 || bytes_count > MM_DOOR_PACKET_BYTES_MAX) {
        return MM_ERR_ARG;
    }
    door_packet_t packet = {.bytes_count = (uint8_t)bytes_count, .from = from};
    memcpy(packet.bytes, bytes, bytes_count);
    self->packets++;
    mm_sim_note_bytes(self->sim, from, "door", bytes, bytes_count);
    self->kept[self->packets % DOOR_KEPT] = packet;
    self->kept_count = self->kept_count < DOOR_KEPT ? self->kept_count + 1 : DOOR_KEPT;
    if (self->kept_count < DOOR_KEPT) {
        self->kept[0] = packet;
    }
    for (int i = 0; i < self->node_count; i++) {
        bool meant = mm_mac_is_zero(to) || mm_mac_equal(to, mm_sim_mesh_mac(i));
        if (i != from && meant && self->parts[i] == self->parts[from]) {
            transmit(self, i, &packet);
        }
    }
    return MM_OK;
}

void doors_init(doors_t *self, mm_sim_t *sim, device_t *devices, int node_count, const uint8_t *parts) {
    memset(self, 0, sizeof *self);
    self->sim = sim;
    self->devices = devices;
    self->node_count = node_count;
    self->parts = parts;
    self->random = mm_sim_random(sim, "doors", 0);
    for (int i = 0; i < node_count; i++) {
        devices[i].door_send = door_send;
        devices[i].door_context = self;
    }
}
