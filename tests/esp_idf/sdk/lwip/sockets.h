// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_LWIP_SOCKETS_H
#define MM_SDK_LWIP_SOCKETS_H

#include <errno.h>
#include <stddef.h>
#include <sys/types.h>

/// Under the names that are no macros. Both wait as long as the server has set for the socket.
ssize_t lwip_recv(int s, void *mem, size_t len, int flags);
ssize_t lwip_send(int s, const void *dataptr, size_t size, int flags);
int lwip_close(int s);

#endif
