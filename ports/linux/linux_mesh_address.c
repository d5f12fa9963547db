// SPDX-License-Identifier: Apache-2.0
#include "linux_mesh_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool parse_port(const char **text, uint16_t *port) {
    size_t digits = strspn(*text, "0123456789");
    if (digits == 0 || digits > 5) {
        return false;
    }
    unsigned long number = strtoul(*text, NULL, 10);
    *text += digits;
    *port = (uint16_t)number;
    return number <= UINT16_MAX;
}

// "ADDRESS:" in front of a port; moves *text behind it.
static bool parse_host(const char **text, struct sockaddr_in *address) {
    char host[INET_ADDRSTRLEN];
    size_t length = strspn(*text, "0123456789.");
    if (length >= sizeof host || (*text)[length] != ':') {
        return false;
    }
    memcpy(host, *text, length);
    host[length] = '\0';
    *address = (struct sockaddr_in){.sin_family = AF_INET};
    *text += length + 1;
    return inet_pton(AF_INET, host, &address->sin_addr) == 1;
}

bool mm_mesh_address_parse(const char *text, bool zero_port, struct sockaddr_in *address) {
    uint16_t port = 0;
    if (!parse_host(&text, address) || !parse_port(&text, &port) || *text != '\0' || (port == 0 && !zero_port)) {
        return false;
    }
    address->sin_port = htons(port);
    return true;
}

bool mm_mesh_address_parse_list(const char *text, struct sockaddr_in *addresses, size_t capacity, size_t *count) {
    *count = 0;
    if (text == NULL || text[strspn(text, " ")] == '\0') {
        return true;
    }
    for (;;) {
        text += strspn(text, " ");
        struct sockaddr_in address;
        uint16_t first = 0;
        if (!parse_host(&text, &address) || !parse_port(&text, &first) || first == 0) {
            return false;
        }
        uint16_t last = first;
        if (*text == '-') {
            text++;
            if (!parse_port(&text, &last) || last < first) {
                return false;
            }
        }
        for (uint32_t port = first; port <= last; port++) {
            if (*count == capacity) {
                return false;
            }
            address.sin_port = htons((uint16_t)port);
            addresses[(*count)++] = address;
        }
        text += strspn(text, " ");
        if (*text == '\0') {
            return true;
        }
        if (*text++ != ',') {
            return false;
        }
    }
}

static bool set_flag(int file, int level, int name) {
    const int yes = 1;
    return setsockopt(file, level, name, &yes, sizeof yes) == 0;
}

int mm_mesh_address_join_group(int file, const struct sockaddr_in *own, const struct sockaddr_in *group) {
    bool multicast = IN_MULTICAST(ntohl(group->sin_addr.s_addr));
    int listener = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0) {
        return -1;
    }
    const struct ip_mreq membership = {.imr_multiaddr = group->sin_addr, .imr_interface = own->sin_addr};
    bool good = set_flag(listener, SOL_SOCKET, SO_REUSEADDR) &&
                bind(listener, (const struct sockaddr *)group, sizeof *group) == 0;
    if (good && multicast) {
        good = setsockopt(listener, IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership, sizeof membership) == 0 &&
               setsockopt(file, IPPROTO_IP, IP_MULTICAST_IF, &own->sin_addr, sizeof own->sin_addr) == 0 &&
               set_flag(file, IPPROTO_IP, IP_MULTICAST_LOOP);
    } else if (good) {
        good = set_flag(file, SOL_SOCKET, SO_BROADCAST);
    }
    if (!good) {
        int cause = errno;
        (void)close(listener);
        errno = cause;
        return -1;
    }
    return listener;
}
