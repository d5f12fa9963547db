// SPDX-License-Identifier: Apache-2.0
#ifndef SIMULATOR_SCENARIO_H
#define SIMULATOR_SCENARIO_H

#include "sim/sim_broker.h"
#include "sim/sim_mesh.h"

/// What goes wrong in a simulated world, and how often: data, no behaviour (that is faults.h). Periods are means in
/// minutes, 0 = never; what happens to nodes is per node.

#define SCENARIO_PROBES_MAX 32

typedef struct {
    const char *name;
    const char *summary;
    int nodes;
    int days;
    mm_sim_radio_t radio;
    mm_sim_manners_t manners;
    uint32_t minutes_power;       ///< a node loses its power
    uint32_t minutes_off_max;     ///< at most so long; mostly much shorter
    uint32_t cuts_in_a_row;       ///< up to so many power cuts follow at once (brown-out)
    uint32_t minutes_router;      ///< the router fails
    uint32_t router_off_max;      ///< at most so long
    uint32_t minutes_swizzle;     ///< a random part of all links goes off one by one, and on in another order
    uint32_t minutes_part;        ///< the mesh is parted
    uint32_t minutes_elect;       ///< another node becomes root
    uint32_t minutes_parent;      ///< a node changes its parent
    uint32_t minutes_broker;      ///< the broker restarts
    uint32_t minutes_hq_crash;    ///< HQ's machine loses power
    uint32_t minutes_hq_disk;     ///< its disk is full, or fails, for up to some hours
    uint32_t minutes_hq_restore;  ///< a backup of up to some days is put back
    uint32_t minutes_clock;       ///< a clock steps, by seconds to years, and comes back some time later
    uint32_t minutes_bit;         ///< a bit turns in a node's memory (FRAM)
    uint32_t minutes_sector;      ///< a flash sector wears out
    uint32_t minutes_poison;      ///< a stranger sends rubbish
    uint32_t minutes_legacy;      ///< an original gateway reports
    uint32_t clock_unset_percent; ///< of nodes that start without a time; the others have a clock of their own
    int32_t drift_ppm_max;
    uint32_t minutes_order; ///< an operator or a customer does something at a node; 0: nodes without control and credit
    uint32_t minutes_install; ///< somebody comes to a node; 0: nodes that are configured by their options alone
    uint32_t minutes_config;  ///< the memory of a node's configuration, or its entropy, fails for a while
    uint32_t relay_refused;   ///< chance in millionths that a relay does not take what it is told
    int offline_days;         ///< the router is off for so long in one piece, in half of the runs at the end
    uint32_t journal_sectors_min;
    uint32_t journal_sectors_max;
    uint32_t flash_only_sectors; ///< > 0: every node but the first has no FRAM, and so many sectors for its registers
    uint32_t slots;              ///< of the cycle (2 s each); 0: the seed chooses among 250, 450, 900 and 1,800
    mm_sim_probe_t probes[SCENARIO_PROBES_MAX]; ///< rare events that a run must meet
    int probe_count;
} scenario_t;

extern const scenario_t scenarios[];
extern const int scenario_count;
/// NULL: no such name.
const scenario_t *scenario_find(const char *name);

#endif
