// SPDX-License-Identifier: Apache-2.0
// The power fails at every byte that a node writes to its storage, before every operation, and at many places of every
// erase, which it tears in each of four manners. Then the node recovers and goes on, and must hold what a record of the
// events outside says.
//
// While a scenario runs, each operation of a device is intercepted before it happens: there the world is copied, the
// operation is cut in the copy, and the node starts from that. So nothing is played again from the beginning. In the
// recovery the same happens once more: the power fails before each of its operations (for every first cut), and inside
// them at places that are SECOND_SPREAD bytes apart and move on by one byte from one first cut to the next.
#include "storage_story.h"

#define ERASE_STEPS 16
#define ERASE_MANNERS 4
#define SECOND_SPREAD 1531
#define SECOND_THOROUGH 8

typedef enum {
    CUT_NOTHING,
    CUT_MOVES, // polls in which a sector of the journal is erased or thinned
    CUT_ALL
} cut_what_t;

static bool cutting;    // first cuts are wanted here
static bool recovering; // second cuts are wanted here
static uint32_t cuts;   // that the node has behind it in the present case
static struct {
    uint64_t steps_left;  // until the next place inside an operation
    uint64_t program_end; // of the program call before
    uint64_t operations;  // so far
} second;
static uint64_t first_cut_count;
static uint64_t second_boundary_count;
static uint64_t second_inside_count;

static void recover(void);

static uint64_t steps_of(const operation_t *operation) {
    return operation->bytes == NULL ? operation->flash->erase_steps : operation->bytes_count;
}

// Do `steps` of the operation and then let the power fail inside the next one.
static void tear(const operation_t *operation, uint64_t steps, mm_sim_torn_erase_t manner) {
    mm_sim_power_cut_after(&world.power, steps);
    mm_err_t err = MM_OK;
    if (operation->fram != NULL) {
        const mm_fram_t *fram = &operation->fram->fram;
        err = fram->write(fram->context, operation->address, operation->bytes, operation->bytes_count);
    } else if (operation->bytes != NULL) {
        const mm_flash_t *flash = &operation->flash->flash;
        err = flash->program(flash->context, operation->address, operation->bytes, operation->bytes_count);
    } else {
        const mm_flash_t *flash = &operation->flash->flash;
        operation->flash->torn_erase = manner;
        err = flash->erase(flash->context, operation->address / MM_FLASH_SECTOR_BYTES);
    }
    assert_int_equal(err, MM_ERR_STORAGE);
}

static void cut(const operation_t *operation, bool before, uint64_t steps, mm_sim_torn_erase_t manner) {
    uint64_t life[MM_CHANNELS];
    note_life(life);
    for (uint32_t channel = 0; channel < MM_CHANNELS; channel++) {
        // In the middle of a recovery RAM does not have everything again.
        bool is_more = !story.opening || life[channel] > story.cut_life[channel];
        story.cut_life[channel] = is_more ? life[channel] : story.cut_life[channel];
    }
    if (before) {
        mm_sim_power_cut_now(&world.power);
    } else {
        tear(operation, steps, manner);
    }
    assert_true(is_dead());
    const found_t before_cut = found;
    const bool was_recovering = recovering;
    recovering = false;
    cuts++;
    recover();
    cuts--;
    recovering = was_recovering;
    report_found_since(before_cut);
}

static void cut_first(const operation_t *operation) {
    static saved_t saved;
    save(&saved);
    uint32_t manners = operation->bytes == NULL ? ERASE_MANNERS : 1;
    uint64_t steps = steps_of(operation);
    for (uint64_t place = 0; place < 1 + manners * steps; place++) {
        if (!storage_takes()) {
            continue;
        }
        restore(&saved);
        first_cut_count++;
        second.steps_left = case_number % SECOND_SPREAD;
        second.program_end = UINT64_MAX;
        second.operations = 0;
        world.power.random = mm_random(case_number);
        cut(operation, place == 0, (place - 1) % steps, (mm_sim_torn_erase_t)((place - 1) / steps));
    }
    restore(&saved);
}

// An image in flash is programmed in pieces. They count as one operation here.
static bool goes_on(const operation_t *operation) {
    bool is_program = operation->flash != NULL && operation->bytes != NULL;
    uint64_t begin = operation->address + (operation->flash == &world.journal_device ? UINT64_C(1) << 32 : 0);
    bool is_next = is_program && begin == second.program_end;
    second.program_end = is_program ? begin + operation->bytes_count : UINT64_MAX;
    return is_next;
}

static void cut_second(const operation_t *operation) {
    static saved_t saved;
    save(&saved);
    bool is_boundary = !goes_on(operation);
    if (is_boundary && second.operations++ > 0) { // before the first one everything is as the first cut left it
        second_boundary_count++;
        inner_case++;
        cut(operation, true, 0, MM_SIM_ERASE_PREFIX);
        restore(&saved);
    }
    uint64_t steps = steps_of(operation);
    for (; second.steps_left < steps; second.steps_left += SECOND_SPREAD) {
        const uint64_t step = second.steps_left;
        second_inside_count++;
        inner_case++;
        world.power.random = mm_random(case_number * 1000003 + inner_case);
        cut(operation, false, step, (mm_sim_torn_erase_t)(case_number % ERASE_MANNERS));
        restore(&saved);
    }
    second.steps_left -= steps;
}

static void on_operation(const operation_t *operation) {
    if (is_dead()) {
        return;
    }
    note_stored();
    bool is_journal = operation->flash == &world.journal_device;
    if (!(is_journal && story.opening)) { // else the journal is not ready
        observe();
    }
    if (cuts == 0 && cutting) {
        cut_first(operation);
    } else if (cuts == 1 && recovering) {
        cut_second(operation);
    }
}

// After a second cut, most of which are alike: one in SECOND_THOROUGH goes on and is looked at in full.
static void recover_again(bool counters_live_on) {
    story_reboot(DOWN_US, counters_live_on);
    settle_loss(counters_live_on);
    check_registers();
    check_told();
    if (inner_case % SECOND_THOROUGH == case_number % SECOND_THOROUGH) {
        story_synchronise();
        story_event(1000000000);
        check_all();
    }
}

// The node comes back and is checked. Every other one, because neighbours are alike, goes on through the end of an
// interval, is checked, and starts once more.
static void recover(void) {
    const bool counters_live_on = (case_number >> 1 & 1) == 0;
    if (cuts > 1) {
        recover_again(counters_live_on);
        return;
    }
    recovering = true;
    story_reboot(DOWN_US, counters_live_on);
    recovering = false;
    settle_loss(counters_live_on);
    check_registers();
    check_told();
    story_synchronise();
    follow(0);
    world.t_us += 40 * US;
    (void)story_poll();
    assert_int_equal(world.metering.closing_channels, 0);
    if (case_number % 2 == 0) {
        world.t_us = next_interval_us();
        (void)story_poll();
        story_event(1000000000);
        follow(0);
        check_registers();
        check_told();
        story_reboot(0, true);
    }
    check_all();
}

// Scenarios.

static void start(int64_t begin_s, bool with_fram, uint32_t meter_count) {
    story_begin(begin_s, with_fram, meter_count);
    world.journal_device.erase_steps = ERASE_STEPS;
    world.register_device.erase_steps = ERASE_STEPS;
}

static void open_and_synchronise(void) {
    story_open();
    story_synchronise();
}

static bool moves_sector(void) {
    static saved_t saved;
    save(&saved);
    world_poll();
    bool moves = world.journal_device.erases != saved.world.journal_device.erases;
    restore(&saved);
    return moves;
}

// Live until this time, polled every step_s and at the node's deadlines, and cut what is wanted.
static void live(int64_t until_us, int64_t step_s, cut_what_t what) {
    while (world.t_us < until_us) {
        int64_t next_us = world.t_us + step_s * US;
        int64_t deadline_us = world.deadline - 7 * US + world.boot_us;
        if (deadline_us > world.t_us && deadline_us < next_us) {
            next_us = deadline_us;
        }
        world.t_us = next_us < until_us ? next_us : until_us;
        cutting = what == CUT_ALL || (what == CUT_MOVES && moves_sector());
        (void)story_poll();
        cutting = false;
        follow(3);
    }
    check_all();
}

// A virgin node with two meters, up to its first counts.
static void play_first_boot(bool with_fram) {
    start(MIDNIGHT_S - 7200, with_fram, 2);
    cutting = true;
    open_and_synchronise();
    cutting = false;
    live(world.t_us + 60 * US, 60, CUT_ALL);
}

// Cells, intervals, hours, events and steps of the clock while HQ takes everything.
static void play_ordinary_life(bool with_fram) {
    start(MIDNIGHT_S - 45000, with_fram, with_fram ? MM_CHANNELS : 4);
    open_and_synchronise();
    story.follows = true;
    live(next_interval_us() + 880 * US, 60, CUT_NOTHING);
    live(world.t_us + (with_fram ? 36000 : 100) * US, 50, CUT_ALL);
    cutting = true;
    story_event(1);
    assert_int_equal(world_set_time(world.t_us + 33 * US, MM_TRUST_SYNCED), MM_OK);
    note_stored();
    observe();
    story_synchronise();
    cutting = false;
    live(world.t_us + 60 * US, 50, CUT_ALL);
}

// The ring turns. HQ was away, and what it says comes at the last moment before the oldest sector is needed: only the
// journal knows, when the power fails inside the erase, that its records were released.
static void play_trim(bool with_fram) {
    start(MIDNIGHT_S - 30 * 86400 + 43200, with_fram, with_fram ? MM_CHANNELS : 4);
    open_and_synchronise();
    const uint64_t erases = with_fram ? 2 * JOURNAL_SECTORS : JOURNAL_SECTORS + 2;
    while (world.journal_device.erases < erases) {
        world.t_us = next_interval_us();
        cutting = moves_sector();
        story.follows = cutting;
        follow(0);
        (void)story_poll();
        cutting = false;
    }
    check_all();
}

// Nobody takes anything: what is oldest is made coarser.
static void play_thinning(bool with_fram) {
    start(MIDNIGHT_S - 30 * 86400 + 43200, with_fram, with_fram ? MM_CHANNELS : 4);
    open_and_synchronise();
    uint64_t erases = JOURNAL_SECTORS;
    while (world.journal_device.erases < erases) {
        live(next_interval_us(), 450, CUT_NOTHING);
    }
    erases += with_fram ? 4 : 2;
    while (world.journal_device.erases < erases) {
        live(next_interval_us(), 450, CUT_MOVES);
    }
}

static void play_month_end(bool with_fram) {
    start(MIDNIGHT_S - 7200, with_fram, with_fram ? MM_CHANNELS : 4);
    open_and_synchronise();
    story.follows = true;
    live(MIDNIGHT_US - 20 * US, 60, CUT_NOTHING);
    live(MIDNIGHT_US + 60 * US, 60, CUT_ALL);
}

// The journal is full when the month ends.
static void play_month_end_while_thinning(bool with_fram) {
    start(MIDNIGHT_S - 146 * 900, with_fram, with_fram ? MM_CHANNELS : 4);
    open_and_synchronise();
    live(MIDNIGHT_US - 20 * US, 450, CUT_NOTHING);
    uint64_t erases = world.journal_device.erases;
    live(MIDNIGHT_US + 60 * US, 60, CUT_ALL);
    assert_true(world.journal_device.erases > erases);
}

// Meters are changed while the node is down.
static void play_configuration(bool with_fram) {
    start(MIDNIGHT_S - 20000, with_fram, with_fram ? MM_CHANNELS : 4);
    open_and_synchronise();
    story.follows = true;
    live(next_interval_us() + 300 * US, 60, CUT_NOTHING);
    follow(0);
    strcpy(world.options.meters[0].id, "NEW");
    world.options.meters[1].pulse_constant = 2000;
    story.configurations_due[0]++;
    story.configurations_due[1]++;
    if (with_fram) {
        world.options.meters[3].start_wh = 77;
        world.options.meters[5] = (mm_meter_config_t){.id = ""};
        story.configurations_due[3]++;
        story.configurations_due[5]++;
        story_freeze(5);
    }
    cutting = true;
    story_reboot(0, true);
    cutting = false;
    check_all();
}

static const struct {
    const char *name;
    void (*play)(bool with_fram);
    bool fram_only; // where the register store makes no difference
} scenarios[] = {
    {"first boot", play_first_boot, false},
    {"ordinary life", play_ordinary_life, false},
    {"released sectors are used again", play_trim, false},
    {"thinning", play_thinning, false},
    {"end of a month", play_month_end, false},
    {"end of a month while thinning", play_month_end_while_thinning, true},
    {"configuration", play_configuration, false},
};

int main(int argc, char **argv) {
    storage_begin("storage_cuts", argc, argv);
    before_operation = on_operation;
    before_count = note_stored;
    for (uint32_t with_fram = 0; with_fram < 2; with_fram++) {
        for (size_t index = 0; index < sizeof scenarios / sizeof scenarios[0]; index++) {
            if (scenarios[index].fram_only && !with_fram) {
                continue;
            }
            char name[64];
            (void)snprintf(name, sizeof name, "%s, %s", with_fram ? "FRAM" : "flash only", scenarios[index].name);
            scenario_name = name;
            uint64_t first = first_cut_count;
            uint64_t again = second_boundary_count + second_inside_count;
            scenarios[index].play(with_fram != 0);
            printf("%s: %llu cut points, %llu second cuts\n", name, (unsigned long long)(first_cut_count - first),
                   (unsigned long long)(second_boundary_count + second_inside_count - again));
        }
    }
    char figures[128];
    (void)snprintf(figures, sizeof figures, "cut_points=%llu second_cuts=%llu second_at_boundaries=%llu",
                   (unsigned long long)first_cut_count,
                   (unsigned long long)(second_boundary_count + second_inside_count),
                   (unsigned long long)second_boundary_count);
    return storage_end(figures);
}
