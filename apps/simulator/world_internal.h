// SPDX-License-Identifier: Apache-2.0
#ifndef SIMULATOR_WORLD_INTERNAL_H
#define SIMULATOR_WORLD_INTERNAL_H

#include "simulator/door.h"
#include "simulator/installer.h"
#include "simulator/sales.h"
#include "simulator/world.h"

/// The parts of the world: world.c (composition and run), faults.c (what goes wrong, and making it good again).

typedef struct {
    mm_sim_t sim;
    const scenario_t *scenario;
    int node_count;
    int days;
    int64_t begin_utc_us;
    device_t *devices;
    mm_sim_mesh_t *mesh;
    mm_sim_broker_t *broker;
    headquarters_t hq;
    truth_t truth;
    sales_t sales;           ///< in use if the scenario has orders or installers
    doors_t doors;           ///< the same
    commission_t commission; ///< in use if the scenario has installers
    mm_us_t cycle_us;
    mm_us_t meters_stop_at;

    // faults.c
    bool faults_on;
    bool closing; ///< nothing new may happen any more, not even a clock that is set right
    mm_random_t random;
    bool router_up;
    mm_us_t broker_back_at;
    uint8_t parts[MM_SIM_MESH_NODES_MAX];
    uint32_t legacy_life_kwh;

    // Account.
    uint64_t attempted;
    mm_position_t acknowledged[MM_SIM_MESH_NODES_MAX];
    mm_position_t published_through[MM_SIM_MESH_NODES_MAX];
    int published_by[MM_SIM_MESH_NODES_MAX];
    world_result_t *result;
} world_t;

/// Every source of time is asked so often.
#define FAULTS_SYNCHRONISE_US ((mm_us_t)6 * 3600 * MM_US_PER_S)

/// Let things go wrong as the scenario says, until stop.
void faults_start(world_t *self);
/// Nothing goes wrong any more, and what was wrong is mended: everybody has power, links, disk and time.
void faults_stop(world_t *self);
/// A device's power has failed, inside of a call or between two: it comes back some time later.
void faults_on_device_died(world_t *self, int device);
/// Router of the whole building.
void faults_set_router(world_t *self, bool up);
/// A clock was asked for the time: the node's own, or the internet's at a root.
void faults_synchronise_later(world_t *self, int device, mm_us_t after_us);

#endif
