// SPDX-License-Identifier: Apache-2.0
#ifndef MM_LINUX_MESSAGE_H
#define MM_LINUX_MESSAGE_H

/// Why something could not be done, for people: one line that names the file, line or peer. Functions that take
/// one write it only when they fail; NULL is allowed.
typedef struct {
    char text[512];
} mm_linux_message_t;

__attribute__((format(printf, 2, 3))) void mm_linux_message_set(mm_linux_message_t *self, const char *format, ...);

#endif
