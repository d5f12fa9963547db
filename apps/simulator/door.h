// SPDX-License-Identifier: Apache-2.0
#ifndef SIMULATOR_DOOR_H
#define SIMULATOR_DOOR_H

#include "simulator/device.h"

/// What devices hear of each other at their doors (port/door.h): everybody everybody in the same part of the building,
/// whatever mesh they belong to. Packets are lost, repeated, damaged, and an attacker sends old ones again, and changed
/// ones.

typedef struct {
    uint8_t bytes[MM_DOOR_PACKET_BYTES_MAX];
    uint8_t bytes_count;
    int from;
} door_packet_t;

#define DOOR_KEPT 8

typedef struct {
    mm_sim_t *sim;
    device_t *devices;
    int node_count;
    const uint8_t *parts; ///< of the building; borrowed
    mm_random_t random;
    bool quiet;                    ///< nothing goes wrong any more
    door_packet_t kept[DOOR_KEPT]; ///< by the attacker
    uint32_t kept_count;
    uint64_t packets;
    uint64_t forged;
} doors_t;

void doors_init(doors_t *self, mm_sim_t *sim, device_t *devices, int node_count, const uint8_t *parts);

#endif
