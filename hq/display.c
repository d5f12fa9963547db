// SPDX-License-Identifier: Apache-2.0
#include "display.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void mm_display_name(mm_mac_t mac, char name[MM_DISPLAY_NAME_CHARS + 1]) {
    for (size_t i = 0; i < sizeof mac.bytes; i++) {
        snprintf(name + 2 * i, 3, "%02x", mac.bytes[i]);
    }
}

bool mm_display_read(const char *directory, mm_mac_t mac, char hex[MM_DISPLAY_HEX_CHARS + 1]) {
    char name[MM_DISPLAY_NAME_CHARS + 1];
    char path[4096];
    struct stat found;
    mm_display_name(mac, name);
    if ((size_t)snprintf(path, sizeof path, "%s/%s", directory, name) >= sizeof path) {
        return false;
    }
    // Neither a pipe that nobody writes nor another's file by a link.
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (file < 0) {
        return false;
    }
    // no wait(read): a regular file
    bool good = fstat(file, &found) == 0 && S_ISREG(found.st_mode) &&
                read(file, hex, MM_DISPLAY_HEX_CHARS) == MM_DISPLAY_HEX_CHARS;
    (void)close(file);
    hex[MM_DISPLAY_HEX_CHARS] = '\0';
    return good && strspn(hex, "0123456789abcdef") == MM_DISPLAY_HEX_CHARS;
}
