// SPDX-License-Identifier: Apache-2.0
// The N-th call of every port operation fails: once, twice, once although it was done, and for ever; N = 1, 2, 3 …
// until a run passes untouched.
//
// A building of three nodes lives through some days: first boot, restarts, a month's end, a router and an HQ that are
// away, a root that dies and comes back as a child, a power cut of the whole building, a journal that uses its sectors
// again. One run without a failure counts the calls of each operation of each node. Before each step of that run its
// state is kept, and each call of the step fails from there, so that no case begins at the start; and a case that after
// the step is in the same state as another one (most reads are simply repeated) ends as that one does. "For ever" is
// OUTAGE_S long, then everything works again; what was away comes back; and from then on within RECOVERY_MAX_S a
// session must be clean and everything delivered. Then all nodes lose their power and start again, and once more
// everything must be delivered: each record once, the registers exact.
#define SITE_SECTORS 4
#define SITE_RECORDS_MAX 2600
#define SITE_QUEUE_MAX 64
#include "site_snapshot.h"

#include "site_checks.h"

#define HOUR_S 3600
#define BEGIN_S INT64_C(1453744800) // 2016-01-25T18:00:00Z
// After BEGIN_S: 2016-01-31T23:00:00Z, February in the nodes' zone; and the hour in which the journals are full.
#define MONTH_END_S (149 * HOUR_S)
#define CYCLE_S 1000
#define OUTAGE_S 1100
#define RECOVERY_MAX_S (4 * HOUR_S)
#define CLOSINGS MM_CHANNELS

typedef enum {
    ACTION_BOOT_0, // one by one, so that each is a step
    ACTION_BOOT_1,
    ACTION_BOOT_2,
    ACTION_START,        // the root
    ACTION_FAILURES_OFF, // the calls up to FAILURES_ON are not failed
    ACTION_FAILURES_ON,
    ACTION_RESTART_CHILD,
    ACTION_RESTART_ROOT,
    ACTION_ROUTER_LOST,
    ACTION_ROUTER_BACK,
    ACTION_ROOT_DIES,
    ACTION_ROOT_ELECTED,
    ACTION_ROOT_COMES_BACK,
    ACTION_HQ_DOWN,
    ACTION_HQ_UP,
    ACTION_POWER_CUT,
    ACTION_END
} action_t;

static const struct {
    int32_t at_s; // after BEGIN_S
    action_t action;
} script[] = {
    {0, ACTION_BOOT_0},
    {0, ACTION_BOOT_1},
    {0, ACTION_BOOT_2},
    {0, ACTION_START},
    {3000, ACTION_FAILURES_OFF},
    {MONTH_END_S - 8400, ACTION_FAILURES_ON},
    {MONTH_END_S - 7000, ACTION_RESTART_CHILD},
    {MONTH_END_S - 6500, ACTION_ROUTER_LOST},
    {MONTH_END_S - 2800, ACTION_ROUTER_BACK},
    {MONTH_END_S + 1000, ACTION_RESTART_ROOT},
    {MONTH_END_S + 3200, ACTION_ROOT_DIES},
    {MONTH_END_S + 3600, ACTION_ROOT_ELECTED},
    {MONTH_END_S + 5500, ACTION_ROOT_COMES_BACK},
    {MONTH_END_S + 6400, ACTION_HQ_DOWN},
    {MONTH_END_S + 9400, ACTION_HQ_UP},
    {MONTH_END_S + 11500, ACTION_POWER_CUT},
    {MONTH_END_S + 11500, ACTION_BOOT_0},
    {MONTH_END_S + 11500, ACTION_BOOT_1},
    {MONTH_END_S + 11500, ACTION_BOOT_2},
    {MONTH_END_S + 11500, ACTION_START},
    {MONTH_END_S + 13500, ACTION_END},
};

typedef struct {
    const char *name;
    bool flash_only;
    bool counters_restart; // with the power of their node
    int node_count;        // whose calls fail; the third node is a child that lives like the second
    bool storage_only;     // the calls of registers and counters fail, the others do as in another variant
} variant_t;

static const variant_t variants[] = {
    {"fram", false, false, 3, false},
    {"flash", true, false, 2, true},
    {"fram_counters_restart", false, true, 3, true},
};
#define VARIANT_COUNT (sizeof variants / sizeof variants[0])

typedef enum {
    MODE_ONCE,
    MODE_TWICE, // this call and the next one: reads are repeated once
    MODE_DONE,  // once, but it was done all the same
    MODE_FOR_EVER,
    MODE_COUNT
} failure_mode_t;
static const char *const mode_names[MODE_COUNT] = {"once", "twice", "done", "for_ever"};

static const variant_t *variant;
static world_t before; // the step that is being failed
static struct {
    uint64_t distinct;
    uint64_t cases_of[SITE_OPERATION_COUNT];
} totals;

// States that were gone on from: a set that is emptied with each step.
#define SEEN_SLOTS 8192
static struct {
    uint64_t digest;
    uint32_t step;
} seen[SEEN_SLOTS];
static uint32_t step_number;

// False if it is there already.
static bool note_seen(uint64_t digest) {
    uint32_t slot = (uint32_t)(digest % SEEN_SLOTS);
    for (uint32_t tries = 0; tries < SEEN_SLOTS; tries++, slot = (slot + 1) % SEEN_SLOTS) {
        if (seen[slot].step != step_number) {
            seen[slot].digest = digest;
            seen[slot].step = step_number;
            return true;
        }
        if (seen[slot].digest == digest) {
            return false;
        }
    }
    MM_ASSERT(false); // more calls in one step than slots
    return true;
}

static void restore(void) {
    snapshot_copy(&world, &before);
}

static void start_root(int index) {
    set_time(index);
    elect(index, true);
}

static void restart(int index) {
    int root = world.stations[index].root;
    cut_power(index);
    boot(index);
    if (root == index) {
        start_root(index);
    } else {
        attach(index, root);
    }
}

static void boot_all(int root) {
    for (int i = 0; i < SITE_NODES; i++) {
        cut_power(i);
    }
    for (int i = 0; i < SITE_NODES; i++) {
        boot(i);
    }
    start_root(root);
}

static void act(action_t action) {
    switch (action) {
    case ACTION_BOOT_0:
    case ACTION_BOOT_1:
    case ACTION_BOOT_2:
        boot((int)(action - ACTION_BOOT_0));
        break;
    case ACTION_START:
        start_root(0);
        break;
    case ACTION_RESTART_CHILD:
        restart(1);
        break;
    case ACTION_RESTART_ROOT:
        restart(0);
        break;
    case ACTION_ROUTER_LOST:
    case ACTION_ROUTER_BACK:
        mesh_event(0, action == ACTION_ROUTER_BACK ? MM_MESH_GOT_IP : MM_MESH_LOST_IP, 0, 0);
        break;
    case ACTION_ROOT_DIES:
        cut_power(0);
        break;
    case ACTION_ROOT_ELECTED:
        elect(1, true);
        break;
    case ACTION_ROOT_COMES_BACK:
        boot(0);
        attach(0, 1);
        break;
    case ACTION_HQ_DOWN:
    case ACTION_HQ_UP:
        world.hq_down = action == ACTION_HQ_DOWN;
        break;
    case ACTION_POWER_CUT:
        for (int i = 0; i < SITE_NODES; i++) {
            cut_power(i);
        }
        break;
    case ACTION_FAILURES_OFF:
    case ACTION_FAILURES_ON:
    case ACTION_END:
    default:
        break;
    }
}

// What the script does next, or a turn of the world.
static void step(void) {
    mm_us_t at = script[world.script_index].at_s * MM_US_PER_S;
    if (world.now < at) {
        turn(at);
        return;
    }
    if (script[world.script_index].action != ACTION_END) {
        act(script[world.script_index++].action);
    }
}

static void check_all(void) {
    site_check_registers();
    site_check_hq(world.now > MONTH_END_S * MM_US_PER_S ? CLOSINGS : 0);
}

// --- a case --------------------------------------------------------------------------------------
typedef struct {
    site_fault_t fault;
    failure_mode_t mode;
} failure_t;

// Whoever and whatever is away comes back.
static void repair(void) {
    world.fault.first_call = 0;
    world.hq_down = false;
    bool was_alive[SITE_NODES];
    for (int i = 0; i < SITE_NODES; i++) {
        was_alive[i] = world.stations[i].alive;
        if (!was_alive[i]) {
            boot(i);
        }
    }
    int root = root_now();
    if (root == SITE_NOBODY) {
        start_root(1);
        return;
    }
    mesh_event(root, MM_MESH_GOT_IP, root, 0);
    for (int i = 0; i < SITE_NODES; i++) {
        if (!was_alive[i]) {
            attach(i, root);
        }
    }
}

static void run_failure(const void *parameter) {
    const failure_t *failure = parameter;
    restore();
    world.fault = failure->fault;
    bool lasts = failure->mode == MODE_FOR_EVER;
    mm_us_t until = world.now + (lasts ? OUTAGE_S * MM_US_PER_S : 0);
    step();
    uint64_t digest = snapshot_digest(&before);
    if (lasts) {
        digest = snapshot_mix(digest, &failure->fault.node, sizeof failure->fault.node);
        digest = snapshot_mix(digest, &failure->fault.operation, sizeof failure->fault.operation);
    }
    if (!note_seen(digest) && enumeration.only == NULL) {
        return;
    }
    totals.distinct++;
    while (world.now < until && script[world.script_index].action != ACTION_END) {
        step();
    }
    repair();
    site_settle(RECOVERY_MAX_S * MM_US_PER_S);
    boot_all(root_now());
    site_check_registers();
    site_settle(RECOVERY_MAX_S * MM_US_PER_S);
    check_all();
}

static void fail_call(int node, site_operation_t operation, uint32_t call) {
    for (int mode = 0; mode < MODE_COUNT; mode++) {
        bool reads = !changes_something(operation);
        if (operation == SITE_MQTT_STOP || (mode == MODE_DONE && (reads || operation == SITE_MQTT_START))) {
            continue; // stop cannot fail; a start that says no has not begun
        }
        if (enumeration_takes("%s:%s:node_%d:%u:%s", variant->name, site_operation_name(operation), node, call,
                              mode_names[mode])) {
            uint32_t last_call = mode == MODE_FOR_EVER ? UINT32_MAX : call + (mode == MODE_TWICE ? 1 : 0);
            failure_t failure = {.fault = {.node = node,
                                           .operation = operation,
                                           .first_call = call,
                                           .last_call = last_call,
                                           .with_effect = mode == MODE_DONE},
                                 .mode = (failure_mode_t)mode};
            totals.cases_of[operation]++;
            enumeration_run(run_failure, &failure);
        }
    }
}

static bool is_failed_here(site_operation_t operation) {
    return !variant->storage_only || (operation >= SITE_REGISTER_READ && operation <= SITE_PULSES_READ);
}

static void fail_calls_of_step(void) {
    step_number++;
    (void)note_seen(snapshot_digest(&before)); // the untouched run goes on from here
    uint32_t calls[SITE_NODES][SITE_OPERATION_COUNT];
    for (int i = 0; i < SITE_NODES; i++) {
        memcpy(calls[i], world.stations[i].calls, sizeof calls[i]);
    }
    for (int i = 0; i < variant->node_count; i++) {
        for (int operation = 0; operation < SITE_OPERATION_COUNT; operation++) {
            uint32_t call = before.stations[i].calls[operation] + 1;
            for (; is_failed_here((site_operation_t)operation) && call <= calls[i][operation]; call++) {
                fail_call(i, (site_operation_t)operation, call);
            }
        }
    }
}

static void run_untouched(const void *parameter) {
    (void)parameter;
    repair();
    site_settle(RECOVERY_MAX_S * MM_US_PER_S);
    check_all();
}

static void run_variant(void) {
    uint64_t steps = 0;
    world_init();
    world.begin_s = BEGIN_S;
    world.flash_only = variant->flash_only;
    world.counters_restart = variant->counters_restart;
    world.pulse_period_us = 300 * MM_US_PER_S;
    world.slots = (mm_slot_plan_t){.slot_us = CYCLE_S * MM_US_PER_S / 250, .slot_count = 250, .slot = 100};
    snapshot_begin(&before);
    while (script[world.script_index].action != ACTION_END ||
           world.now < script[world.script_index].at_s * MM_US_PER_S) {
        if (script[world.script_index].action == ACTION_FAILURES_ON) { // up to it
            step();
            continue;
        }
        snapshot_copy(&before, &world);
        step();
        if (enumeration_takes_group(steps++)) {
            fail_calls_of_step();
        }
        restore();
        step();
    }
    if (enumeration_takes("%s:untouched", variant->name)) {
        enumeration_run(run_untouched, NULL);
    }
}

int main(int argc, char **argv) {
    enumeration_begin("call_failures", argc, argv);
    for (size_t i = 0; i < VARIANT_COUNT; i++) {
        variant = &variants[i];
        run_variant();
    }
    for (int operation = 0; operation < SITE_OPERATION_COUNT; operation++) {
        bool is_hit = totals.cases_of[operation] > 0 || operation == SITE_MQTT_STOP;
        if (!is_hit && enumeration.only == NULL && enumeration.stride == 1) {
            printf("%s: no call was failed\n", site_operation_name((site_operation_t)operation));
            enumeration.failures++;
        }
    }
    char figures[1024];
    size_t used = (size_t)snprintf(figures, sizeof figures, "runs=%llu distinct=%llu ",
                                   (unsigned long long)enumeration.cases, (unsigned long long)totals.distinct);
    for (int operation = 0; operation < SITE_OPERATION_COUNT; operation++) {
        if (operation == SITE_MQTT_STOP) {
            continue;
        }
        used += (size_t)snprintf(figures + used, sizeof figures - used, "%s=%llu ",
                                 site_operation_name((site_operation_t)operation),
                                 (unsigned long long)totals.cases_of[operation]);
    }
    snprintf(figures + used, sizeof figures - used,
             "recovery_max_s=%lld lost_as_documented=%llu explained=%llu given_up=%llu",
             (long long)(site_totals.recovery_max_us / MM_US_PER_S),
             (unsigned long long)site_totals.pulses_lost_as_documented,
             (unsigned long long)site_totals.records_explained, (unsigned long long)site_totals.given_up);
    return enumeration_end(figures);
}
