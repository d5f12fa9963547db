// SPDX-License-Identifier: Apache-2.0
#ifndef SIMULATOR_WORLD_H
#define SIMULATOR_WORLD_H

#include "simulator/device.h"
#include "simulator/headquarters.h"
#include "simulator/installer.h"
#include "simulator/sales.h"
#include "simulator/scenario.h"
#include "simulator/truth.h"

/// One simulated site from its first boot to its account: nodes, mesh, internet, broker, HQ, in virtual time, from one
/// seed. The run: faults for so many days; then the faults stop and everything must come through; then the books are
/// compared.

#define WORLD_SITE "house"

typedef struct {
    const scenario_t *scenario;
    uint64_t seed;
    int nodes;        ///< 0 = the scenario's
    int days;         ///< 0 = the scenario's
    FILE *trace_file; ///< or NULL
    /// Called now and then, at least once in a simulated day; may be NULL.
    void (*progress)(void *context, int day, int days, uint64_t faults);
    void *context;
} world_options_t;

typedef struct {
    uint64_t node_hours;
    uint64_t faults; ///< without power cuts
    uint64_t power_cuts;
    uint64_t attempted; ///< records handed to the broker, again and again
    uint64_t stored;
    uint64_t duplicated; ///< came again and were ignored
    bool compared;       ///< the books were: otherwise lost, counted_twice, gaps, wh_error and stored mean nothing
    uint64_t lost;
    uint64_t counted_twice;
    uint64_t gaps;
    uint64_t wh_error;
    uint64_t pulses;
    uint64_t pulses_lost; ///< read and not kept when the power failed
    uint64_t sessions;
    uint64_t messages;              ///< to HQ
    sales_totals_t sales;           ///< of a scenario with orders
    commission_totals_t commission; ///< of a scenario with installers
    uint64_t trace_hash;
    mm_us_t recovery_us;        ///< after the last fault
    uint32_t recovery_sessions; ///< that it took
    uint32_t recovery_bound;    ///< that it may take
    uint32_t erases_max;        ///< of one sector
    uint32_t erases_spread;     ///< largest difference within one flash
    uint64_t fault_counts[MM_SIM_FAULT_COUNT];
    uint64_t probe_counts[MM_SIM_PROBE_COUNT];
    char fault[256]; ///< "" = all guarantees hold
} world_result_t;

/// Run it all. Deterministic. An assertion of the core ends the program.
void world_run(const world_options_t *options, world_result_t *result);
/// The first rare event of the scenario that the run did not meet; MM_SIM_PROBE_COUNT = all were met.
mm_sim_probe_t world_missed_probe(const scenario_t *scenario, const world_result_t *result);

#endif
