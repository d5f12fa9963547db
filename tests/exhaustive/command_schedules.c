// SPDX-License-Identifier: Apache-2.0
// Every schedule of up to eight events between HQ and a node that takes commands:
//
//   D  the retained batch arrives: all commands that HQ does not know to be answered
//   N  HQ has one more command; the batch arrives
//   O  an older batch arrives: every command but the newest, answered or not
//   C  HQ has read the journal, and clears what is answered
//   R  the power fails during the next event, or behind it if that stores nothing
//
// Where the power fails: at the first R, before every operation of the devices and inside of every one, at every byte
// of it in schedules of up to EVERY_BYTE_EVENTS events; each of these ends its schedule there (cases
// "…/operation.byte"). In the schedules that go on from there it fails at one place, which the schedule chooses.
//
// After each event: every command up to the node's counter has had its effect once and one answer in the journal, in
// their order; the ones behind it have had nothing. At the end of a schedule all commands are delivered, the node
// restarts, everything is delivered once more, and nothing changes any more.
#include "control_story.h"

#define EVENTS_MAX 8
#define COMMAND_FIRST 2
#define COMMAND_LAST 10
#define FULL_ENDS_EVENTS 6
#define END_STRIDE 2
#define OPERATIONS_USUAL 14
#define OPERATIONS_MAX 256
#define EVERY_BYTE_EVENTS 4

static const char letters[] = "DNOCR";

typedef struct {
    uint32_t operation;
    bool inside; ///< at `byte` of it, else before
    uint32_t byte;
} place_t;

typedef struct {
    node_t node;
    uint32_t newest;  ///< command that HQ has
    uint32_t cleared; ///< HQ knows that these are answered
    bool armed;       ///< the next event is cut
} branch_t;

static struct {
    uint32_t newest;
    uint32_t cleared;
    bool armed;
} hq;

static branch_t branches[EVENTS_MAX + 3];
static char label[EVENTS_MAX + 32];
static unsigned stride;
static uint64_t schedule_count;
static uint64_t end_count;
static uint64_t cut_count;

static void save_branch(branch_t *branch) {
    save_node(&branch->node);
    branch->newest = hq.newest;
    branch->cleared = hq.cleared;
    branch->armed = hq.armed;
}

static void restore_branch(const branch_t *branch) {
    restore_node(&branch->node);
    hq.newest = branch->newest;
    hq.cleared = branch->cleared;
    hq.armed = branch->armed;
}

// What HQ orders, one after the other. 1 began prepayment.
static void seal_commands(void) {
    const mm_command_body_t seconds = {.seconds = {4}};
    const mm_command_body_t seconds_again = {.seconds = {9}};
    const mm_command_body_t update = {.update = {.has_start_wh = true, .start_wh = 777}};
    story_seal_credit(2, MM_COMMAND_CREDIT, 2, 1000);
    story_seal(3, MM_COMMAND_LOCK, METER, NULL);
    story_seal(4, MM_COMMAND_FIND, MM_COMMAND_WHOLE_NODE, &seconds);
    story_seal_credit(5, MM_COMMAND_ADJUST, 4, -300);
    story_seal(6, MM_COMMAND_UPDATE, METER, &update);
    story_seal(7, MM_COMMAND_REBOOT, MM_COMMAND_WHOLE_NODE, NULL);
    story_seal(8, MM_COMMAND_UNLOCK, METER, NULL);
    story_seal(9, MM_COMMAND_DISPLAY_ON, MM_COMMAND_WHOLE_NODE, &seconds_again);
    story_seal_credit(10, MM_COMMAND_CREDIT, 6, 50000);
}

// Checks.

static bool has_taken(uint32_t counter) {
    return control.counter >= counter;
}

static bool is_acted_on(uint32_t counter) {
    return control.acting_kind != MM_COMMAND_NONE && control.acting_counter == counter;
}

static uint32_t answered_counter(const mm_record_t *record) {
    if (record->type == MM_RECORD_RESULT && record->result.status != MM_RESULT_TRYING) {
        return record->result.counter;
    }
    return record->type == MM_RECORD_CREDIT && record->credit.command_id != 0 ? record->credit.counter : 0;
}

static void check_answers(void) {
    uint32_t answers[COMMANDS_MAX] = {0};
    uint32_t last = 0;
    for (uint32_t index = 0; index < world.hq_count; index++) {
        uint32_t counter = answered_counter(&hq_records[index].record);
        if (counter != 0) {
            MM_ASSERT(counter < COMMANDS_MAX && counter >= last);
            last = counter;
            answers[counter]++;
        }
    }
    for (uint32_t counter = 1; counter < COMMANDS_MAX; counter++) {
        uint32_t due = has_taken(counter) && !is_acted_on(counter) ? 1 : 0;
        enumeration.counted_twice += answers[counter] > due;
        enumeration.lost += answers[counter] < due;
        MM_ASSERT(answers[counter] == due);
    }
}

static void check_effects(void) {
    check_balance((has_taken(2) ? 1000 : 0) - (has_taken(5) ? 300 : 0) + (has_taken(10) ? 50000 : 0));
    bool locked = has_taken(3) && !has_taken(8);
    uint8_t reasons = control.credits[METER].relay_reasons;
    MM_ASSERT(((reasons & MM_RELAY_LOCKED) != 0) == locked);
    MM_ASSERT(meter_relay_closed == (reasons == 0));
    MM_ASSERT(((reasons & MM_RELAY_NO_CREDIT) != 0) == !has_taken(2));
    MM_ASSERT((world.metering.options.meters[METER].start_wh == 777) == has_taken(6));
    for (uint32_t counter = 0; counter < COMMANDS_MAX; counter++) {
        bool acts = counter == 4 || counter == 9;
        uint32_t at_most = acts && has_taken(counter) ? 1 : 0;
        enumeration.counted_twice += finds[counter] > at_most;
        MM_ASSERT(finds[counter] <= at_most);
    }
    enumeration.counted_twice += reboots > (has_taken(7) ? 1 : 0);
    MM_ASSERT(reboots <= (has_taken(7) ? 1 : 0));
    MM_ASSERT(control.era == ERA);
}

static void check_node(void) {
    hq_collect();
    check_answers();
    check_effects();
}

// Events.

static void deliver(uint32_t first, uint32_t last) {
    for (uint32_t counter = first; counter <= last && !is_dead(); counter++) {
        mm_err_t err = mm_control_take(&control, commands[counter].bytes, commands[counter].bytes_count, story_now());
        MM_ASSERT(err == MM_OK || (is_dead() && err == MM_ERR_BUSY));
        if (reboot_asked) {
            break; // the rest is brought again
        }
    }
    if (!is_dead()) {
        story_poll();
    }
    if (reboot_asked && !is_dead()) {
        reboot_asked = false;
        story_restart();
        deliver(first, last);
    }
}

static uint32_t known_answered(void) {
    uint32_t known = COMMAND_FIRST - 1;
    for (uint32_t index = 0; index < world.hq_count; index++) {
        uint32_t counter = answered_counter(&hq_records[index].record);
        known = counter > known ? counter : known;
    }
    return known;
}

static void do_event(char letter) {
    world.t_us += US;
    story_poll();
    if (letter == 'D' && !is_dead()) {
        deliver(hq.cleared + 1, hq.newest);
    } else if (letter == 'N' && !is_dead()) {
        hq.newest += hq.newest < COMMAND_LAST ? 1 : 0;
        deliver(hq.cleared + 1, hq.newest);
    } else if (letter == 'O' && !is_dead()) {
        deliver(COMMAND_FIRST, hq.newest - 1);
    } else if (letter == 'C' && !is_dead()) {
        hq.cleared = known_answered();
    }
}

static struct {
    place_t at;
    uint32_t operation; ///< of this event so far
    uint32_t steps[OPERATIONS_MAX];
} cut;

static void on_operation(const operation_t *operation) {
    uint32_t number = cut.operation++;
    uint64_t steps = operation->bytes == NULL ? operation->flash->erase_steps : operation->bytes_count;
    if (number < OPERATIONS_MAX) {
        cut.steps[number] = (uint32_t)steps;
    }
    if (is_dead() || number != cut.at.operation) {
        return;
    }
    if (cut.at.inside) {
        mm_sim_power_cut_after(&world.power, cut.at.byte % steps);
    } else {
        mm_sim_power_cut_now(&world.power);
    }
}

static void do_event_and_cut(char letter, place_t place) {
    cut.at = place;
    cut.operation = 0;
    before_operation = on_operation;
    do_event(letter);
    before_operation = NULL;
    if (!is_dead()) {
        mm_sim_power_cut_now(&world.power);
    }
    cut_count++;
    reboot_asked = false; // a restart it is
    story_restart();
    MM_ASSERT(!is_dead());
}

typedef struct {
    char letter;
    place_t place;
} step_t;

static void run_step(const void *parameter) {
    const step_t *step = parameter;
    if (step->letter == 'R') {
        hq.armed = true;
        return;
    }
    if (hq.armed) {
        hq.armed = false;
        do_event_and_cut(step->letter, step->place);
    } else {
        do_event(step->letter);
    }
    check_node();
}

static void run_end(const void *parameter) {
    (void)parameter;
    if (hq.armed) {
        hq.armed = false;
        mm_sim_power_cut_now(&world.power);
        story_restart();
    }
    deliver(COMMAND_FIRST, hq.newest);
    check_node();
    MM_ASSERT(control.counter == hq.newest && control.acting_kind == MM_COMMAND_NONE);
    story_restart();
    check_node();
    deliver(COMMAND_FIRST, hq.newest);
    check_node();
    MM_ASSERT(control.counter == hq.newest);
}

static bool succeeds(void (*run)(const void *parameter), const void *parameter) {
    uint64_t failures = enumeration.failures;
    enumeration_run(run, parameter);
    before_operation = NULL;
    return enumeration.failures == failures;
}

static bool is_wanted(void) {
    return enumeration.only == NULL || strncmp(enumeration.only, label, strlen(label)) == 0;
}

static uint64_t mixed(uint64_t value) {
    value = (value ^ value >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    return value ^ value >> 27;
}

static void try_place(const branch_t *before, unsigned depth, char letter, place_t place) {
    const step_t step = {letter, place};
    if (place.inside) {
        sprintf(label + depth, "/%u.%u", place.operation, place.byte);
    } else {
        sprintf(label + depth, "/%u", place.operation);
    }
    if (!is_wanted()) {
        return;
    }
    restore_branch(before);
    bool good = succeeds(run_step, &step);
    if (enumeration_takes("%s", label) && good) {
        (void)succeeds(run_end, NULL);
        end_count++;
    }
}

// Each ends its schedule there.
static void try_every_place(unsigned depth, char letter) {
    branch_t *before = &branches[EVENTS_MAX + 1];
    save_branch(before);
    const step_t behind_all = {letter, {.operation = UINT32_MAX}};
    (void)succeeds(run_step, &behind_all);
    const uint32_t operations = cut.operation;
    uint32_t steps[OPERATIONS_MAX];
    MM_ASSERT(operations <= OPERATIONS_MAX);
    memcpy(steps, cut.steps, sizeof steps);
    for (uint32_t operation = 0; operation < operations; operation++) {
        try_place(before, depth, letter, (place_t){.operation = operation});
        uint32_t stride_bytes = depth <= EVERY_BYTE_EVENTS ? 1 : steps[operation];
        uint32_t first_byte = (uint32_t)mixed(schedule_count + operation) % stride_bytes;
        for (uint32_t byte = first_byte; byte < steps[operation]; byte += stride_bytes) {
            try_place(before, depth, letter, (place_t){.operation = operation, .inside = true, .byte = byte});
        }
    }
    try_place(before, depth, letter, (place_t){.operation = operations});
    label[depth] = '\0';
    restore_branch(before);
}

static bool enters(unsigned depth, uint64_t index) {
    if (depth == 2 && !enumeration_takes_group(index)) {
        return false;
    }
    return depth != 4 || stride == 1 || index % stride == 0;
}

static void go_on(unsigned depth, unsigned restarts, uint64_t index) {
    branch_t *here = &branches[depth];
    save_branch(here);
    bool takes = depth > 0 && enumeration_takes("%s", label);
    if (takes && (depth <= FULL_ENDS_EVENTS || index % END_STRIDE == 0)) {
        (void)succeeds(run_end, NULL);
        end_count++;
    }
    for (uint64_t choice = 0; depth < EVENTS_MAX && choice < sizeof letters - 1; choice++) {
        uint64_t next_index = index * (sizeof letters - 1) + choice;
        label[depth] = letters[choice];
        label[depth + 1] = '\0';
        if (!enters(depth + 1, next_index) || !is_wanted()) {
            continue;
        }
        restore_branch(here);
        if (hq.armed && restarts == 1 && letters[choice] != 'R') {
            try_every_place(depth + 1, letters[choice]);
        }
        uint64_t chosen = mixed(next_index * EVENTS_MAX + depth);
        const step_t step = {letters[choice],
                             {.operation = (uint32_t)(chosen % OPERATIONS_USUAL),
                              .inside = (chosen >> 8) % 2 != 0,
                              .byte = (uint32_t)(chosen >> 16)}};
        if (succeeds(run_step, &step)) {
            schedule_count++;
            go_on(depth + 1, restarts + (step.letter == 'R' ? 1 : 0), next_index);
        }
    }
    label[depth] = '\0';
}

int main(int argc, char **argv) {
    story_program_begin("command_schedules", argc, argv);
    stride = enumeration.stride;
    enumeration.stride = 1; // subtrees are left out, not single cases
    seal_commands();
    hq.newest = COMMAND_FIRST;
    hq.cleared = COMMAND_FIRST - 1;
    story_begin(true);
    go_on(0, 0, 0);
    char figures[160];
    snprintf(figures, sizeof figures, "schedules=%llu ends=%llu cuts=%llu double=%llu",
             (unsigned long long)schedule_count, (unsigned long long)end_count, (unsigned long long)cut_count,
             (unsigned long long)enumeration.counted_twice);
    return enumeration_end(figures);
}
