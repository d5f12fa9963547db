// SPDX-License-Identifier: Apache-2.0
#include "linux_entropy.h"

#include <errno.h>
#include <sys/random.h>

void mm_linux_entropy(void *bytes, size_t bytes_count) {
    uint8_t *next = bytes;
    while (bytes_count > 0) {
        // wait: the kernel's random numbers are ready, once after power-up | until outside: the kernel | then the node
        // starts
        ssize_t got = getrandom(next, bytes_count, 0);
        if (got < 0) {
            // Only a signal interrupts it; every other failure would be a broken kernel.
            MM_ASSERT(errno == EINTR);
            continue;
        }
        next += got;
        bytes_count -= (size_t)got;
    }
}

uint32_t mm_linux_entropy_u32(void) {
    uint32_t value = 0;
    mm_linux_entropy(&value, sizeof value);
    return value;
}

uint64_t mm_linux_entropy_u64(void) {
    uint64_t value = 0;
    mm_linux_entropy(&value, sizeof value);
    return value;
}

static mm_err_t random_bytes(void *context, void *bytes, size_t bytes_count) {
    (void)context;
    mm_linux_entropy(bytes, bytes_count);
    return MM_OK;
}

mm_entropy_t mm_linux_entropy_port(void) {
    return (mm_entropy_t){.random = random_bytes};
}
