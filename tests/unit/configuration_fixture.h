// SPDX-License-Identifier: Apache-2.0
#ifndef MM_CONFIGURATION_FIXTURE_H
#define MM_CONFIGURATION_FIXTURE_H

#include <string.h>

#include "meshmeter/configuration.h"
#include "test_support.h"

/// A network and an installation with two meters, one of them prepaid.
static inline mm_network_t example_network(uint32_t revision) {
    mm_network_t network = {.revision = revision,
                            .site = "site-1",
                            .router.ssid = "router",
                            .router.password = "12345678",
                            .broker.url = "mqtts://broker.example:8883",
                            .broker.user = "node",
                            .broker.password = "secret"};
    for (size_t i = 0; i < sizeof network.mesh_key; i++) {
        network.mesh_key[i] = (uint8_t)(i + 1);
    }
    return network;
}

static inline mm_installation_t example_installation(uint32_t revision) {
    mm_installation_t installation = {.revision = revision,
                                      .node_no = 4711,
                                      .province = 17,
                                      .canton = 3,
                                      .parish = 500,
                                      .postal_code = 170150,
                                      .address = "Av. Pe\xC3\xB1"
                                                 "a 12",
                                      .installer = "Mar\xC3\xAD"
                                                   "a"};
    installation.channels[0] = (mm_channel_setup_t){{"MT-0001", 800, 1234567}, true, {5000, 2000, 0x00C0003F, 0x41}};
    installation.channels[3] = (mm_channel_setup_t){{"MT-0002", 10000, 0}, false, {0, 0, 0, 0}};
    return installation;
}

static inline mm_configuration_t example_configuration(uint32_t revision) {
    return (mm_configuration_t){.phase = {MM_LIFE_AWAITING, MM_LIFE_AWAITING},
                                .challenge_lock_outs = 3,
                                .confirmed_channels = 0x09,
                                .has_network = true,
                                .has_installation = true,
                                .network = example_network(revision + 10),
                                .installation = example_installation(revision)};
}

/// By the bytes they are stored as: structs have gaps.
static inline void assert_same_configuration(const mm_configuration_t *left, const mm_configuration_t *right) {
    uint8_t bytes[2][MM_CONFIGURATION_BYTES_MAX];
    mm_writer_t writers[2] = {mm_writer(bytes[0], sizeof bytes[0]), mm_writer(bytes[1], sizeof bytes[1])};
    mm_configuration_encode(left, &writers[0]);
    mm_configuration_encode(right, &writers[1]);
    assert_int_equal(writers[0].used_bytes, writers[1].used_bytes);
    assert_memory_equal(bytes[0], bytes[1], writers[0].used_bytes);
}

#endif
