// SPDX-License-Identifier: Apache-2.0
#ifndef MM_NODE_LABEL_H
#define MM_NODE_LABEL_H

#include <stdbool.h>

#include "linux/linux_message.h"
#include "meshmeter/possession.h"

/// path: one line in a private file (mode 0600), the code on the label of this node; "" = there is none, and code is
/// "". False: `message` says why.
bool node_label_read(const char *path, char code[MM_POSSESSION_CHARS_MAX + 1], mm_linux_message_t *message);

#endif
