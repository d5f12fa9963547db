// SPDX-License-Identifier: Apache-2.0
// Datagrams of the UDP mesh. Each input is also tried with a good tag, as from a member that has gone wrong.
#include "linux/linux_mesh_wire.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_one(mm_mesh_seal_t *seal, const uint8_t *bytes, size_t bytes_count) {
    mm_mesh_datagram_t datagram;
    mm_mesh_hello_t hello;
    if (mm_mesh_datagram_read(seal, bytes, bytes_count, &datagram) == MM_MESH_GOOD) {
        MM_ASSERT(datagram.body_bytes <= MM_MESH_FRAME_BYTES_MAX);
        MM_ASSERT(datagram.body >= bytes && datagram.body + datagram.body_bytes <= bytes + bytes_count);
        (void)mm_mesh_hello_read(datagram.body, datagram.body_bytes, &hello);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t key[MM_MESH_KEY_BYTES] = {1, 2, 3};
    mm_mesh_seal_t seal;
    if (size > MM_MESH_DATAGRAM_BYTES_MAX + 100 || mm_mesh_seal_open(&seal, "fuzz", key) != MM_OK) {
        return 0;
    }
    read_one(&seal, data, size);
    if (size <= MM_MESH_FRAME_BYTES_MAX) {
        uint8_t bytes[MM_MESH_DATAGRAM_BYTES_MAX];
        const mm_mesh_datagram_t datagram = {.kind = MM_MESH_DATAGRAM_HELLO,
                                             .from = {{2, 0, 0, 0, 0, 1}},
                                             .boot = 1,
                                             .counter = 1,
                                             .body = data,
                                             .body_bytes = size};
        read_one(&seal, bytes, mm_mesh_datagram_write(&seal, &datagram, bytes));
    }
    mm_mesh_seal_close(&seal);
    return 0;
}
