// SPDX-License-Identifier: Apache-2.0
#include "node_label.h"

#include "linux/linux_crypto.h"

bool node_label_read(const char *path, char code[MM_POSSESSION_CHARS_MAX + 1], mm_linux_message_t *message) {
    code[0] = '\0';
    if (path[0] == '\0') {
        return true;
    }
    if (mm_linux_secret_read(path, code, MM_POSSESSION_CHARS_MAX + 1, message) != MM_OK) {
        return false;
    }
    if (code[0] == '\0') {
        mm_linux_message_set(message, "%s: is empty; the code on the label is needed", path);
    }
    return code[0] != '\0';
}
