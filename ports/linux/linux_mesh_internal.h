// SPDX-License-Identifier: Apache-2.0
#ifndef MM_LINUX_MESH_INTERNAL_H
#define MM_LINUX_MESH_INTERNAL_H

#include "linux_mesh.h"

/// Between linux_mesh.c (datagrams, members, frames) and linux_mesh_role.c (tree, root, events).

static inline void mmi_mesh_count(mm_linux_mesh_t *self, mm_linux_mesh_stat_t stat) {
    self->stats[stat]++;
}

static inline int64_t mmi_mesh_hello_us(const mm_linux_mesh_t *self) {
    return (int64_t)self->options.hello_ms * 1000;
}

static inline int64_t mmi_mesh_timeout_us(const mm_linux_mesh_t *self) {
    return (int64_t)self->options.timeout_ms * 1000;
}

static inline mm_mac_t mmi_mesh_own_mac(const mm_linux_mesh_t *self) {
    return self->options.mac;
}

/// Bring role, root and layer into agreement with the members and the time (self->now_us). After a change of the role a
/// hello is due at once.
void mmi_mesh_decide(mm_linux_mesh_t *self);

#endif
