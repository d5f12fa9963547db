// SPDX-License-Identifier: Apache-2.0
// Configuration files of a node: refused with a message, or sound.
#include "node_config.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static node_config_t config;
    char path[64];
    char message[512] = "";
    int file = memfd_create("conf", MFD_CLOEXEC);
    if (file < 0 || write(file, data, size) != (ssize_t)size) {
        return 0;
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (node_config_read(path, &config, message, sizeof message)) {
        for (int i = 0; i < MM_CHANNELS; i++) {
            MM_ASSERT(mm_meter_config_check(&config.metering.meters[i]) == MM_OK);
        }
        MM_ASSERT(strlen(config.site) <= MM_SITE_CHARS_MAX && config.gpio_line_count <= MM_CHANNELS);
    } else {
        MM_ASSERT(message[0] != '\0');
    }
    (void)close(file);
    return 0;
}
