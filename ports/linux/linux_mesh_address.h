// SPDX-License-Identifier: Apache-2.0
#ifndef MM_LINUX_MESH_ADDRESS_H
#define MM_LINUX_MESH_ADDRESS_H

#include <netinet/in.h>

#include "meshmeter/base.h"

/// Addresses of the UDP mesh: IPv4, numeric.

/// "ADDRESS:PORT". Port 0 only if zero_port. False: not of this form; *address is then undefined.
bool mm_mesh_address_parse(const char *text, bool zero_port, struct sockaddr_in *address);
/// Comma separated "ADDRESS:PORT" or "ADDRESS:FIRST-LAST", blanks around commas allowed; NULL or "" is an empty list.
/// False: not of this form, or more than capacity.
bool mm_mesh_address_parse_list(const char *text, struct sockaddr_in *addresses, size_t capacity, size_t *count);
/// Prepare `file` for sending to a multicast or broadcast address through the interface that has `own`, and make a
/// second socket that hears what is sent there (a socket with an address of its own does not). Several processes of one
/// host can do so. -1: errno says why.
int mm_mesh_address_join_group(int file, const struct sockaddr_in *own, const struct sockaddr_in *group);

#endif
