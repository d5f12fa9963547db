// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SIM_MESH_H
#define MM_SIM_MESH_H

#include "meshmeter/limits.h"
#include "meshmeter/port/mesh.h"
#include "sim/sim.h"

/// The radio mesh of one building, as a node sees it through port/mesh.h: loss, repetition, delay, damage, partition,
/// parent switch, election, two roots. Events are the difference between what a node was told and what is so, told some
/// seconds late, as the real one does; a node that dies forgets what it was told.
///
/// Parted, each part elects a root of its own; when the parts meet again one of the two gives way.

#define MM_SIM_MESH_NODES_MAX 64

/// Chances in millionths, per frame.
typedef struct {
    uint32_t lost;
    uint32_t repeated;
    uint32_t delayed; ///< by up to a minute: it arrives in another round
    uint32_t damaged; ///< one bit turned
    uint32_t refused; ///< send returns MM_ERR_BUSY
    mm_us_t hop_us;   ///< per layer, at least 1; a random part of up to the same is added
} mm_sim_radio_t;

typedef struct mm_sim_mesh mm_sim_mesh_t;

typedef struct {
    void (*event)(void *context, int node, const mm_mesh_event_t *event);
    void (*frame)(void *context, int node, mm_mac_t from, const void *bytes, size_t bytes_count);
    void *context;
} mm_sim_mesh_receivers_t;

mm_mac_t mm_sim_mesh_mac(int node);

mm_sim_mesh_t *mm_sim_mesh_create(mm_sim_t *sim, int node_count, const mm_sim_radio_t *radio,
                                  const mm_sim_mesh_receivers_t *receivers);
void mm_sim_mesh_destroy(mm_sim_mesh_t *self);
const mm_mesh_t *mm_sim_mesh_port(mm_sim_mesh_t *self, int node);
void mm_sim_mesh_set_radio(mm_sim_mesh_t *self, const mm_sim_radio_t *radio);

/// A node has power and begins to look for the mesh, or has lost it.
void mm_sim_mesh_set_alive(mm_sim_mesh_t *self, int node, bool alive);
/// The router that this node would use as a root.
void mm_sim_mesh_set_router(mm_sim_mesh_t *self, int node, bool up);
/// Part the building: node i is in part parts[i] (0 …). NULL: one part again.
void mm_sim_mesh_part(mm_sim_mesh_t *self, const uint8_t *parts);
/// The part of this node elects it. No effect on a dead one.
void mm_sim_mesh_elect(mm_sim_mesh_t *self, int node);
/// The node finds another parent: it is gone for a moment.
void mm_sim_mesh_switch_parent(mm_sim_mesh_t *self, int node);
/// The node that was told last that it is root, in the part of node `node`; -1 = none.
int mm_sim_mesh_root_of(const mm_sim_mesh_t *self, int node);
/// How many nodes believe to be root.
int mm_sim_mesh_root_count(const mm_sim_mesh_t *self);

#endif
