// SPDX-License-Identifier: Apache-2.0
#ifndef MM_PORT_DOOR_H
#define MM_PORT_DOOR_H

#include "meshmeter/base.h"

/// The way into a mesh for nodes that are in none (docs/spec/joining.md): short packets between devices that hear each
/// other, whatever mesh they belong to (ESP-NOW on the chip; a datagram without the mesh's tag on Linux). Nothing is
/// authenticated or secret here; the core seals what must be. Packets may be lost, repeated, forged.
///
/// A port hands in at most MM_DOOR_PACKETS_PER_S packets a second in all (the others are counted by the port), so that
/// a flood at the door costs a member nothing but this.

#define MM_DOOR_PACKET_BYTES_MAX 240
#define MM_DOOR_PACKETS_PER_S 20

typedef struct {
    /// To one device, or to every device that hears (zero MAC). The bytes are copied. Never blocks. MM_ERR_BUSY,
    /// MM_ERR_UNAVAILABLE. MM_OK says nothing about delivery. A port without a mesh may look for one on several radio
    /// channels, one with each broadcast.
    mm_err_t (*send)(void *context, mm_mac_t to, const void *bytes, size_t bytes_count);
    void *context;
} mm_door_t;

#endif
