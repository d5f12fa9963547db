// SPDX-License-Identifier: Apache-2.0
// All kill points of one collection with two roots and three children.
//
// Both roots believe to be the root and collect in the same slot; the children answer both. A point is each delivery of
// a frame or of an event of the broker, and each call of a port that changes something (storage, mesh, broker): the
// power of a device fails before it. Families of cases, with FRAM and without, and with hardware counters that restart:
//  - one:    each of the five devices at each point of the collection;
//  - two:    the old root at each point, and each of the others at each later point of the same collection;
//  - child,
//    rival:  without the second root: the old root at each point, a new root takes over, and each of the other devices
//            at each point of the collection that follows; the old root returns in the middle of it, as a child, or
//            because it believes to be the root still;
//  - fates:  the answers of the three children on time, lost, first one lost, twice, late (behind the deadline of the
//            round), in all combinations, and in each of them the old root and a child at each point (with FRAM).
// A round that outlives its deadline, and a list of missing nodes that is wrong, fail a case at once (site_world.h).
// In the end everybody is back under one root, and each record is at HQ once, and the registers are exact.
#define SITE_NODES 5
#define SITE_SECTORS 4
#define SITE_RECORDS_MAX 160
#define SITE_QUEUE_MAX 96
#include "site_snapshot.h"

#include "site_checks.h"

#define OLD_ROOT 0
#define NEW_ROOT 1
#define FIRST_CHILD 2
#define CYCLE_S 500
#define SLOT 1 // begins 2 s behind the end of an interval, so that this end lies in the round
#define WARM_UP_S 7200
#define COLLECTION_S 30 // round and session of both, and what is late
#define ELECTION_S 3    // from the old root's death to the new root
#define RETURN_S 7      // from the begin of the second collection to the return of the old root
#define RECOVERY_MAX_S (2 * 3600)

static world_t ready;      // just before the collection
static world_t taken_over; // the old root is dead, the new one has taken over
static const struct {
    const char *name;
    bool flash_only;
    bool counters_restart;
} variants[] = {{"fram", false, false}, {"flash", true, false}, {"fram_restart", false, true}};
#define VARIANT_COUNT (sizeof variants / sizeof variants[0])
static const char *variant;
static struct {
    uint64_t kills; // that came about
    uint64_t missing;
    uint32_t points; // of the longest collection with two roots
} totals;

// --- the building --------------------------------------------------------------------------------
static void warm_up(bool flash_only, bool counters_restart) {
    world_init();
    world.flash_only = flash_only;
    world.counters_restart = counters_restart;
    world.pulse_period_us = 120 * MM_US_PER_S;
    world.slots = (mm_slot_plan_t){.slot_us = 2 * MM_US_PER_S, .slot_count = CYCLE_S / 2, .slot = SLOT};
    for (int i = 0; i < SITE_NODES; i++) {
        boot(i);
    }
    set_time(OLD_ROOT);
    set_time(NEW_ROOT);
    elect(OLD_ROOT, true);
    run_for_s(WARM_UP_S);
}

// Up to the moment before the next round of this root begins; its plan is made.
static void run_up_to_round(int root) {
    while (world.stations[root].node.root.round_at == MM_US_NEVER) {
        turn(MM_US_NEVER);
    }
    run_until(world.stations[root].node.root.round_at - MM_US_PER_S);
}

// The mesh falls apart and knows it not: both have all three children, and some of those take the other one for the
// root.
static void split(void) {
    take_root(NEW_ROOT, true);
    for (int i = FIRST_CHILD; i < SITE_NODES; i++) {
        mesh_event(NEW_ROOT, MM_MESH_CHILD_JOINED, i, 0);
    }
    attach(SITE_NODES - 1, NEW_ROOT);
}

static void run_collection(void) {
    run_for_s(COLLECTION_S);
}

// Everybody is back, under the new root.
static void come_together(void) {
    memset(world.kills, 0, sizeof world.kills);
    world.fates_on = false;
    for (int i = 0; i < SITE_NODES; i++) {
        if (!world.stations[i].alive) {
            boot(i);
        }
    }
    set_time(NEW_ROOT);
    elect(NEW_ROOT, true);
}

static void settle_and_check(void) {
    totals.missing += world.missing_seen;
    come_together();
    site_check_registers();
    site_settle(RECOVERY_MAX_S * MM_US_PER_S);
    site_check_registers();
    site_check_hq(0);
}

// --- cases ---------------------------------------------------------------------------------------
typedef struct {
    site_kill_t kills[SITE_KILLS_MAX]; // at_point from the begin of the collection; 0 = none
    bool returns;                      // the old root, in the middle of it
    bool as_root;
} case_t;

static void run_case(const void *parameter) {
    const case_t *plan = parameter;
    for (int i = 0; i < SITE_KILLS_MAX; i++) {
        world.kills[i] = plan->kills[i];
        world.kills[i].at_point += plan->kills[i].at_point == 0 ? 0 : world.points;
    }
    if (plan->returns) {
        run_for_s(RETURN_S);
        boot(OLD_ROOT);
        if (plan->as_root) {
            set_time(OLD_ROOT);
            take_root(OLD_ROOT, true);
        } else {
            attach(OLD_ROOT, NEW_ROOT);
        }
    }
    run_collection();
    for (int i = 0; i < SITE_NODES; i++) {
        totals.kills += !world.stations[i].alive;
    }
    settle_and_check();
}

// How many points the collection has that goes on from this state, and that state.
static uint32_t count_points(const world_t *from) {
    snapshot_copy(&world, from);
    run_collection();
    uint32_t points = world.points - from->points;
    snapshot_copy(&world, from);
    return points;
}

// Devices 0, step, 2 * step …
static void go_through_one(const char *family, int limit, int step) {
    uint32_t points = count_points(&ready);
    if (enumeration_takes("%s:%s:0", variant, family)) {
        const case_t plan = {.returns = false};
        enumeration_run(run_case, &plan);
    }
    for (uint32_t point = 1; point <= points; point++) {
        for (int node = 0; node < limit; node += step) {
            if (enumeration_takes("%s:%s:%u:node_%d", variant, family, point, node)) {
                snapshot_copy(&world, &ready);
                const case_t plan = {.kills = {{point, node}}};
                enumeration_run(run_case, &plan);
            }
        }
    }
}

static void go_through_two(void) {
    uint32_t points = count_points(&ready);
    totals.points = points > totals.points ? points : totals.points;
    for (uint32_t first = 1; first <= points; first++) {
        for (uint32_t point = first; point <= points; point++) {
            for (int node = NEW_ROOT; node < SITE_NODES; node++) {
                if (enumeration_takes("%s:two:%u:%u:node_%d", variant, first, point, node)) {
                    snapshot_copy(&world, &ready);
                    const case_t plan = {.kills = {{first, OLD_ROOT}, {point, node}}};
                    enumeration_run(run_case, &plan);
                }
            }
        }
    }
}

static void go_through_fates(void) {
    uint32_t combinations = 1;
    for (int i = FIRST_CHILD; i < SITE_NODES; i++) {
        combinations *= SITE_FATE_COUNT;
    }
    ready.fates_on = true;
    for (uint32_t number = 0; number < combinations; number++) {
        uint32_t rest = number;
        for (int i = FIRST_CHILD; i < SITE_NODES; i++) {
            ready.fates[i] = (site_fate_t)(rest % SITE_FATE_COUNT);
            rest /= SITE_FATE_COUNT;
        }
        char family[32];
        snprintf(family, sizeof family, "fates_%u", number);
        go_through_one(family, FIRST_CHILD + 1, FIRST_CHILD); // the old root and a child
    }
    ready.fates_on = false;
}

static void take_over(void) {
    run_for_s(ELECTION_S);
    elect(NEW_ROOT, true);
    run_up_to_round(NEW_ROOT);
    snapshot_begin(&taken_over); // it has nothing to do with the last one
}

static void kill_after_takeover(uint32_t first) {
    uint32_t points = count_points(&taken_over);
    for (uint32_t point = 1; point <= points; point++) {
        for (int node = NEW_ROOT; node < SITE_NODES; node++) {
            for (int as_root = 0; as_root < 2; as_root++) {
                if (enumeration_takes("%s:%s:%u:%u:node_%d", variant, as_root ? "rival" : "child", first, point,
                                      node)) {
                    snapshot_copy(&world, &taken_over);
                    const case_t plan = {.kills = {{point, node}}, .returns = true, .as_root = as_root != 0};
                    enumeration_run(run_case, &plan);
                }
            }
        }
    }
}

static void go_through_takeovers(void) {
    uint32_t points = count_points(&ready);
    for (uint32_t first = 1; first <= points; first++) {
        snapshot_copy(&world, &ready);
        world.kills[0] = (site_kill_t){.at_point = world.points + first, .node = OLD_ROOT};
        while (world.stations[OLD_ROOT].alive) {
            turn(MM_US_NEVER);
        }
        take_over();
        kill_after_takeover(first);
    }
}

static void go_through_variant(size_t index) {
    variant = variants[index].name;
    warm_up(variants[index].flash_only, variants[index].counters_restart);
    run_up_to_round(OLD_ROOT);
    snapshot_begin(&ready);
    go_through_takeovers();
    snapshot_copy(&world, &ready);
    split();
    run_for_s(1);
    snapshot_begin(&ready);
    go_through_one("one", SITE_NODES, 1);
    go_through_two();
    if (index == 0) {
        go_through_fates();
    }
}

int main(int argc, char **argv) {
    enumeration_begin("collection_kills", argc, argv);
    for (size_t i = 0; i < VARIANT_COUNT; i++) {
        go_through_variant(i);
    }
    char figures[256];
    snprintf(figures, sizeof figures,
             "points=%u kills=%llu missing=%llu recovery_max_s=%lld lost_as_documented=%llu explained=%llu",
             totals.points, (unsigned long long)totals.kills, (unsigned long long)totals.missing,
             (long long)(site_totals.recovery_max_us / MM_US_PER_S),
             (unsigned long long)site_totals.pulses_lost_as_documented,
             (unsigned long long)site_totals.records_explained);
    return enumeration_end(figures);
}
