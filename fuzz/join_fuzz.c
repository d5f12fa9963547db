// SPDX-License-Identifier: Apache-2.0
// What comes to the door of a root, a member and a parked node, and through the mesh: first byte who hears it (0 … 2,
// by the door; 3 … 5, by the mesh), the rest one packet. The root answers into the air, and there is no end to who
// asks.
#include "meshmeter/frame.h"
#include "meshmeter/join.h"

#include <string.h>

#include "sealed_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NODES 3

static mm_setup_t setups[NODES];
static mm_counters_t counters;
static mm_join_t joins[NODES];
static uint8_t hearer;

static mm_err_t send_to(void *context, mm_mac_t to, const void *bytes, size_t bytes_count) {
    (void)context;
    (void)to;
    (void)bytes;
    MM_ASSERT(bytes_count <= MM_DOOR_PACKET_BYTES_MAX);
    return MM_OK;
}

static mm_err_t send_to_root(void *context, const void *bytes, size_t bytes_count) {
    return send_to(context, (mm_mac_t){{0}}, bytes, bytes_count);
}

static mm_err_t draw(void *context, void *bytes, size_t bytes_count) {
    (void)context;
    for (size_t i = 0; i < bytes_count; i++) {
        ((uint8_t *)bytes)[i] = (uint8_t)(0x40 + i); // the nonce of the corpus
    }
    return MM_OK;
}

static mm_err_t hmac(void *context, const void *bytes, size_t bytes_count, uint8_t mac[MM_HMAC_BYTES]) {
    (void)context;
    (void)bytes;
    memset(mac, (int)(bytes_count & 0xFF), MM_HMAC_BYTES);
    return MM_OK;
}

static mm_err_t seal(void *context, const uint8_t *key, const uint8_t *iv, const void *more, size_t more_bytes,
                     const void *bytes, size_t bytes_count, void *sealed) {
    (void)context;
    (void)key;
    (void)iv;
    (void)more;
    (void)more_bytes;
    memcpy(sealed, bytes, bytes_count);
    memset((uint8_t *)sealed + bytes_count, 0, MM_AEAD_TAG_BYTES);
    return MM_OK;
}

// Everything is authentic, so that the network's decoder sees it; what it takes ends at storage that refuses.
static mm_err_t open_sealed(void *context, const uint8_t *key, const uint8_t *iv, const void *more, size_t more_bytes,
                            const void *sealed, size_t sealed_bytes, void *bytes) {
    (void)context;
    (void)key;
    (void)iv;
    (void)more;
    (void)more_bytes;
    memcpy(bytes, sealed, sealed_bytes - MM_AEAD_TAG_BYTES);
    return MM_OK;
}

static mm_err_t refuse_read(void *context, uint32_t offset, void *bytes, size_t bytes_count) {
    (void)context;
    (void)offset;
    (void)bytes;
    (void)bytes_count;
    return MM_ERR_STORAGE;
}

static mm_err_t refuse_program(void *context, uint32_t offset, const void *bytes, size_t bytes_count) {
    (void)context;
    (void)offset;
    (void)bytes;
    (void)bytes_count;
    return MM_ERR_STORAGE;
}

static mm_err_t refuse_erase(void *context, uint32_t sector) {
    (void)context;
    (void)sector;
    return MM_ERR_STORAGE;
}

static void open_nodes(void) {
    static const mm_flash_t flash = {refuse_read, refuse_program, refuse_erase, NULL, 2};
    static const mm_crypto_t crypto = {.device_hmac = hmac, .aead_seal = seal, .aead_open = open_sealed};
    static const mm_entropy_t entropy = {draw, NULL};
    static const mm_mesh_t mesh = {send_to, send_to_root, NULL};
    static const mm_door_t door = {send_to, NULL};
    for (uint8_t i = 0; i < NODES; i++) {
        const mm_mac_t mac = {{0x24, 0x0A, 0xC4, 0x01, 0x02, (uint8_t)(5 - i)}}; // the parked one is the corpus' asker
        memset(&setups[i], 0, sizeof setups[i]);
        setups[i].counters = &counters;
        setups[i].store = (mm_configuration_store_t){.flash = &flash, .sector_count = 2};
        setups[i].configuration.has_network = i < 2;
        setups[i].configuration.network = (mm_network_t){.revision = 9, .site = "house-1"};
        mm_join_open(&joins[i], mac, &setups[i], NULL, &crypto, &entropy, &mesh, &door, &counters, NULL, i, 0);
        joins[i].records_left = 0; // there is no journal here
    }
    mm_join_set_root(&joins[0], true, 0);
}

static void try_packet(const uint8_t *bytes, size_t bytes_count) {
    mm_frame_t frame;
    mm_err_t err = mm_frame_open(bytes, bytes_count, &frame);
    mm_join_t *join = &joins[hearer % NODES];
    if (hearer < NODES) {
        const mm_mac_t from = err == MM_OK ? frame.source : (mm_mac_t){{1}};
        mm_join_on_door(join, from, bytes, bytes_count, 1);
    } else if (err == MM_OK && (frame.type == MM_FRAME_JOIN_ASK || frame.type == MM_FRAME_JOIN_ANSWER)) {
        mm_join_on_frame(join, &frame, 1);
    }
    (void)mm_join_poll(join, 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) {
        return 0;
    }
    open_nodes();
    hearer = data[0] % (2 * NODES);
    try_as_is_and_sealed(data + 1, size - 1, 0x4E, 2, 16, try_packet);
    return 0;
}
