// SPDX-License-Identifier: Apache-2.0
#include "demo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app.h"

// Servers here set SO_REUSEADDR. The kernel lets them bind beside a socket that has it, too, and does not listen, and
// gives the port to nobody who asks for any free one.
static int hold_port(const char *address, int kind, uint16_t *port, int *held, const char *option) {
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(*port)};
    socklen_t name_bytes = sizeof name;
    const int yes = 1;
    (void)inet_pton(AF_INET, address, &name.sin_addr);
    *held = socket(AF_INET, kind | SOCK_CLOEXEC, 0);
    if (*held < 0 || (kind == SOCK_STREAM && setsockopt(*held, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0) ||
        bind(*held, (struct sockaddr *)&name, sizeof name) != 0 ||
        getsockname(*held, (struct sockaddr *)&name, &name_bytes) != 0) {
        return app_error(APP_ENVIRONMENT, "demo",
                         "cannot use %s:%u: %s. Choose another port with %s, or 0 for a free one.", address, *port,
                         strerror(errno), option);
    }
    *port = ntohs(name.sin_port);
    return APP_OK;
}

int demo_ports_hold(demo_t *demo) {
    demo_options_t *o = &demo->options;
    memset(demo->held_servers, -1, sizeof demo->held_servers);
    memset(demo->held_meshes, -1, sizeof demo->held_meshes);
    int code = hold_port(o->http_address, SOCK_STREAM, &o->http_port, &demo->held_servers[0], "--http ADDR:PORT");
    if (code == APP_OK) {
        code = hold_port("127.0.0.1", SOCK_STREAM, &o->mqtt_port, &demo->held_servers[1], "--mqtt-port");
    }
    if (code == APP_OK && o->parked) {
        code = hold_port("127.0.0.1", SOCK_STREAM, &demo->configurator_port, &demo->held_servers[2], "--parked");
    }
    for (unsigned i = 0; i < o->nodes && code == APP_OK; i++) {
        code = hold_port("127.0.0.1", SOCK_DGRAM, &demo->mesh_ports[i], &demo->held_meshes[i], "--state");
    }
    return code;
}

static void release(int *held) {
    if (*held >= 0) {
        (void)close(*held);
    }
    *held = -1;
}

void demo_ports_release_mesh(demo_t *demo, unsigned index) {
    release(&demo->held_meshes[index]);
}

void demo_ports_release(demo_t *demo) {
    for (unsigned i = 0; i < DEMO_SERVERS; i++) {
        release(&demo->held_servers[i]);
    }
    for (unsigned i = 0; i < DEMO_NODES_MAX; i++) {
        release(&demo->held_meshes[i]);
    }
}
