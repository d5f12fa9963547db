// SPDX-License-Identifier: Apache-2.0
#include "linux_message.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

void mm_linux_message_set(mm_linux_message_t *self, const char *format, ...) {
    if (self == NULL) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(self->text, sizeof self->text, format, arguments);
    va_end(arguments);
}
