// SPDX-License-Identifier: Apache-2.0
// Three purchases of one prepaid meter, each of which comes by both ways: as a command, in the order of HQ, and as a
// token, typed in any order. Every interleaving of the six deliveries; in each, at every operation of the devices, one
// of four accidents: the power fails before it, or inside of it; the device refuses it; it is done and called refused.
// Then once more the same, in the restart and in everything that follows. What was interrupted is done again, as a root
// and a customer do. A node without FRAM writes its image in many pieces: there it is one place in FLASH_FIRST_STRIDE,
// and for the second accident one in FLASH_SECOND_STRIDE, which differ from one way to the next.
//
// After each delivery: every purchase that came counts once, and balance = applied - consumed. What was taken says so
// in the journal, once; every command has one answer. At the end everything is delivered again, twice, over a restart:
// nothing is taken.
//
// A case is named by its deliveries (c: the next command; 1, 2, 3: a token; r: the restart), with the accident behind
// it: "!o" or "!o.b", the power failed before operation o, or inside of it at a byte that b chooses; "?o", it was
// refused; "~o", it was done and called refused.
#include "control_story.h"

#define PURCHASES 3
#define DELIVERIES (2 * PURCHASES)
#define COMMAND_FIRST 2
#define LABEL_BYTES 64
#define FLASH_FIRST_STRIDE 8
#define FLASH_SECOND_STRIDE 64

// Each sum of them is another one.
static const int64_t amounts_wh[PURCHASES] = {1000, 2000, 4000};
static char tokens[PURCHASES][MM_TOKEN_DIGITS_MAX + 1];

typedef struct {
    uint8_t commands;  ///< how many came
    uint8_t typed;     ///< bit per token that came
    uint8_t credited;  ///< bit per purchase that must count
    uint8_t by_tokens; ///< bit per purchase that was accepted as a token
    char text[LABEL_BYTES];
} way_t;

typedef struct {
    node_t node;
    way_t way;
} branch_t;

typedef enum {
    CUT_BEFORE,
    CUT_INSIDE, // at byte `choice`
    REFUSED,    // the device refuses it, and works again
    DONE,       // it says that it refuses, and has done it
    ACCIDENTS
} accident_t;

typedef struct {
    uint32_t operation;
    accident_t accident;
    uint32_t choice;
} place_t;

static way_t way;
static branch_t kept[4 * DELIVERIES + 8];
static unsigned kept_count;
static struct {
    place_t place;
    bool armed;
    uint32_t operation; ///< so far
} cut;
static unsigned stride;
static uint64_t group_count;
static uint64_t first_cut_count;
static uint64_t second_cut_count;
static uint64_t ways_count;

static branch_t *keep(void) {
    MM_ASSERT(kept_count < sizeof kept / sizeof kept[0]);
    branch_t *branch = &kept[kept_count++];
    save_node(&branch->node);
    branch->way = way;
    return branch;
}

static void go_back_to(const branch_t *branch) {
    restore_node(&branch->node);
    way = branch->way;
}

static void say(char what, const place_t *place) {
    size_t length = strlen(way.text);
    size_t room = sizeof way.text - length;
    MM_ASSERT(room > 24);
    if (place == NULL) {
        snprintf(way.text + length, room, "%c", what);
    } else if (place->accident == CUT_INSIDE) {
        snprintf(way.text + length, room, "%c!%u.%u", what, place->operation, place->choice);
    } else {
        snprintf(way.text + length, room, "%c%c%u", what, "!!?~"[place->accident], place -> operation);
    }
}

static uint32_t chosen_by_way(uint32_t salt) {
    uint32_t hash = 2166136261u ^ salt;
    for (const char *at = way.text; *at != '\0'; at++) {
        hash = (hash ^ (uint8_t)*at) * 16777619u;
    }
    return hash ^ hash >> 15;
}

static int64_t credited_wh(uint8_t purchases) {
    int64_t sum_wh = 0;
    for (uint8_t purchase = 0; purchase < PURCHASES; purchase++) {
        sum_wh += (purchases >> purchase & 1) != 0 ? amounts_wh[purchase] : 0;
    }
    return sum_wh;
}

// Movements of credit in the journal: one for each purchase that counts.
static void check_movements(void) {
    hq_collect();
    uint8_t moved = 0;
    for (uint32_t index = 0; index < world.hq_count; index++) {
        const mm_record_t *record = &hq_records[index].record;
        if (record->type == MM_RECORD_CREDIT && record->credit.movement != MM_MOVEMENT_PREPAID) {
            uint32_t purchase = record->credit.count / 2 - 1;
            MM_ASSERT(purchase < PURCHASES && record->credit.amount_wh == amounts_wh[purchase]);
            enumeration.counted_twice += moved >> purchase & 1;
            MM_ASSERT((moved >> purchase & 1) == 0);
            moved |= (uint8_t)(1u << purchase);
        }
    }
    MM_ASSERT(moved == way.credited);
}

// Each command that came has one answer: a movement, or that its purchase counted before.
static void check_answers(void) {
    uint8_t answers[COMMANDS_MAX] = {0};
    for (uint32_t index = 0; index < world.hq_count; index++) {
        const mm_record_t *record = &hq_records[index].record;
        if (record->type == MM_RECORD_RESULT) {
            MM_ASSERT(record->result.status == MM_RESULT_ALREADY && record->result.counter < COMMANDS_MAX);
            answers[record->result.counter]++;
        } else if (record->type == MM_RECORD_CREDIT && record->credit.command_id != 0) {
            MM_ASSERT(record->credit.counter < COMMANDS_MAX);
            answers[record->credit.counter]++;
        }
    }
    for (uint32_t counter = 1; counter < COMMANDS_MAX; counter++) {
        uint8_t due = counter < (uint32_t)COMMAND_FIRST + way.commands ? 1 : 0;
        enumeration.counted_twice += answers[counter] > due;
        enumeration.lost += answers[counter] < due;
        MM_ASSERT(answers[counter] == due);
    }
}

static void check(void) {
    check_balance(credited_wh(way.credited));
    check_movements();
    check_answers();
    MM_ASSERT(control.counter == COMMAND_FIRST - 1u + way.commands);
    MM_ASSERT(meter_relay_closed == (way.credited != 0));
    MM_ASSERT(control.era == ERA);
}

static bool has_accident(void) {
    return is_dead() || (cut.armed && cut.place.accident >= REFUSED);
}

// The root brings what HQ has, all of it.
static void bring_commands(uint32_t last) {
    for (uint32_t counter = COMMAND_FIRST; counter <= last && !is_dead(); counter++) {
        mm_err_t err = mm_control_take(&control, commands[counter].bytes, commands[counter].bytes_count, story_now());
        MM_ASSERT(err == MM_OK || (has_accident() && err == MM_ERR_BUSY));
        if (err != MM_OK) {
            return; // in their order, later
        }
    }
}

static void type_token(uint8_t purchase) {
    mm_typed_answer_t answer = mm_control_type_token(&control, METER, tokens[purchase], story_now());
    if (answer.verdict == MM_TYPED_ACCEPTED) {
        enumeration.counted_twice += way.by_tokens >> purchase & 1;
        MM_ASSERT((way.by_tokens >> purchase & 1) == 0);
        way.by_tokens |= (uint8_t)(1u << purchase);
        return;
    }
    MM_ASSERT(answer.verdict == MM_TYPED_USED || (has_accident() && answer.verdict == MM_TYPED_STORAGE));
}

static void deliver(char what) {
    world.t_us += US;
    story_poll();
    if (is_dead()) {
        return;
    }
    if (what == 'c') {
        bring_commands(COMMAND_FIRST + way.commands);
    } else {
        type_token((uint8_t)(what - '1'));
    }
    if (!is_dead()) {
        story_poll();
    }
}

static uint8_t purchase_of(char what) {
    return (uint8_t)(1u << (what == 'c' ? way.commands : what - '1'));
}

// It is there: from here on it must count.
static void note_delivery(char what) {
    way.credited |= purchase_of(what);
    if (what == 'c') {
        way.commands++;
    } else {
        way.typed |= purchase_of(what);
    }
    check();
}

static void do_operation(const operation_t *operation) {
    const mm_flash_t *flash = operation->fram == NULL ? &operation->flash->flash : NULL;
    mm_err_t err = MM_OK;
    if (flash == NULL) {
        const mm_fram_t *fram = &operation->fram->fram;
        err = fram->write(fram->context, operation->address, operation->bytes, operation->bytes_count);
    } else if (operation->bytes != NULL) {
        err = flash->program(flash->context, operation->address, operation->bytes, operation->bytes_count);
    } else {
        err = flash->erase(flash->context, operation->address / MM_FLASH_SECTOR_BYTES);
    }
    MM_ASSERT(err == MM_OK);
}

static void on_operation(const operation_t *operation) {
    uint32_t number = cut.operation++;
    if (!cut.armed || is_dead() || number != cut.place.operation) {
        return;
    }
    if (cut.place.accident == DONE) {
        do_operation(operation);
    }
    if (cut.place.accident >= REFUSED) {
        world.fail_from_call = world.call_count;
        world.fail_to_call = world.call_count + 1;
    } else if (cut.place.accident == CUT_INSIDE) {
        uint64_t steps = operation->bytes == NULL ? operation->flash->erase_steps : operation->bytes_count;
        mm_sim_power_cut_after(&world.power, cut.place.choice % steps);
    } else {
        mm_sim_power_cut_now(&world.power);
    }
}

// The node starts again, or after a refusal tries again when its time has come.
static void come_back(void) {
    if (is_dead()) {
        story_restart();
        return;
    }
    world.t_us += (MM_CONTROL_RETRY_S + MM_METERING_RETRY_S) * US;
    story_poll();
}

static void do_whole_or_part(char what) {
    cut.operation = 0;
    if (what == 'r') {
        come_back();
    } else {
        deliver(what);
    }
}

static void cut_power_in(char what, place_t place) {
    say(what, &place);
    cut.place = place;
    cut.armed = true;
    do_whole_or_part(what);
    cut.armed = false;
    MM_ASSERT(is_dead() == (place.accident < REFUSED));
}

// The interrupted delivery was stored or not, nothing else.
static void check_interrupted(char what) {
    int64_t without_wh = credited_wh(way.credited);
    int64_t with_wh = credited_wh(way.credited | purchase_of(what));
    int64_t applied_wh = control.credits[METER].applied_wh;
    MM_ASSERT(applied_wh == without_wh || applied_wh == with_wh);
    check_balance(applied_wh);
}

static bool can_come(char what) {
    return what == 'c' ? way.commands < PURCHASES : (way.typed & purchase_of(what)) == 0;
}

static void deliver_everything_again(void) {
    bring_commands(COMMAND_FIRST + PURCHASES - 1);
    for (uint8_t purchase = 0; purchase < PURCHASES; purchase++) {
        type_token(purchase);
    }
    story_poll();
    check();
}

// The rest in an order that the way chooses, then everything once more.
static void finish(void) {
    static const char deliveries[] = "c123";
    uint32_t choice = chosen_by_way(1);
    while (way.commands < PURCHASES || way.typed != (1u << PURCHASES) - 1) {
        char what = deliveries[choice++ % 4];
        if (can_come(what)) {
            deliver(what);
            note_delivery(what);
        }
    }
    deliver_everything_again();
    if (choice % 2 == 0) {
        story_restart();
        deliver_everything_again();
    }
}

static void run_interrupted(const void *parameter) {
    const char *what = parameter;
    come_back();
    check_interrupted(*what);
    deliver(*what);
    note_delivery(*what);
    finish();
}

static void run_finish(const void *parameter) {
    (void)parameter;
    finish();
}

static bool is_wanted(void) {
    return enumeration.only == NULL || strncmp(enumeration.only, way.text, strlen(way.text)) == 0;
}

static void try_interrupted(char what) {
    second_cut_count++;
    if (is_wanted() && enumeration_takes("%s", way.text)) {
        enumeration_run(run_interrupted, &what);
    }
}

// Places are numbered: four accidents of an operation, then those of the next one.
static place_t place_of(uint32_t number) {
    return (place_t){number / ACCIDENTS, (accident_t)(number % ACCIDENTS), chosen_by_way(number) % 997};
}

static void go_on(bool was_cut, bool counts);

typedef struct {
    uint32_t number; ///< of the next place
    uint32_t step;
    uint32_t end;
} places_t;

// Where the power can fail in this delivery or restart. The state is lost.
static places_t places_in(char what, uint32_t flash_stride) {
    uint32_t step = world.with_fram ? 1 : flash_stride;
    uint32_t number = chosen_by_way((uint32_t)what) % step;
    do_whole_or_part(what);
    return (places_t){.number = number, .step = step, .end = ACCIDENTS * cut.operation};
}

static void cut_restart(char what) {
    const branch_t *dead = keep();
    for (places_t places = places_in('r', FLASH_SECOND_STRIDE); places.number < places.end;
         places.number += places.step) {
        go_back_to(dead);
        cut_power_in('r', place_of(places.number));
        try_interrupted(what);
    }
    go_back_to(dead);
    kept_count--;
}

static void run_delivery(const void *parameter) {
    const char *what = parameter;
    deliver(*what);
    note_delivery(*what);
}

static void run_restart(const void *parameter) {
    const char *what = parameter;
    come_back();
    check_interrupted(*what);
}

static bool succeeds(void (*run)(const void *parameter), const char *what) {
    uint64_t failures = enumeration.failures;
    unsigned count = kept_count;
    enumeration_run(run, what);
    kept_count = count;
    return enumeration.failures == failures;
}

static void try_delivery(char what, bool was_cut, bool counts);

// The power has failed in this delivery for the first time.
static void cut_first(char what) {
    uint64_t group = group_count++;
    if (!enumeration_takes_group(group) || group / enumeration.part_count % stride != 0 || !is_wanted()) {
        return;
    }
    first_cut_count++;
    cut_restart(what);
    if (succeeds(run_restart, &what)) {
        try_delivery(what, true, true);
    }
}

static void try_delivery(char what, bool was_cut, bool counts) {
    const branch_t *before = keep();
    places_t places = places_in(what, was_cut ? FLASH_SECOND_STRIDE : FLASH_FIRST_STRIDE);
    for (; places.number < places.end; places.number += places.step) {
        go_back_to(before);
        cut_power_in(what, place_of(places.number));
        if (was_cut) {
            try_interrupted(what);
        } else {
            cut_first(what);
        }
    }
    go_back_to(before);
    say(what, NULL);
    if (is_wanted() && succeeds(run_delivery, &what)) {
        go_on(was_cut, counts);
    }
    go_back_to(before);
    kept_count--;
}

static void go_on(bool was_cut, bool counts) {
    if (way.commands == PURCHASES && way.typed == (1u << PURCHASES) - 1) {
        ways_count += was_cut ? 0 : 1;
        if (counts && enumeration_takes("%s", way.text)) {
            (void)succeeds(run_finish, NULL);
        }
        return;
    }
    for (const char *what = "c123"; *what != '\0'; what++) {
        if (can_come(*what)) {
            try_delivery(*what, was_cut, counts);
        }
    }
}

int main(int argc, char **argv) {
    story_program_begin("credit_interleavings", argc, argv);
    stride = enumeration.stride;
    enumeration.stride = 1; // first cuts are left out with all that follows
    mm_token_series_t series;
    MM_ASSERT(mm_control_token_series(&crypto_port, ERA, METER, &series) == MM_OK);
    for (uint32_t purchase = 0; purchase < PURCHASES; purchase++) {
        uint32_t count = 2 * purchase + 2;
        const mm_token_t token = {MM_TOKEN_ADD, (uint32_t)(amounts_wh[purchase] / UNIT_WH), count};
        MM_ASSERT(mm_token_make(&series, &token, purchase == 1, purchase == 2, tokens[purchase]) == MM_OK);
        story_seal_credit(COMMAND_FIRST + purchase, MM_COMMAND_CREDIT, count, amounts_wh[purchase]);
    }
    for (int with_fram = 1; with_fram >= 0; with_fram--) {
        strcpy(way.text, with_fram == 1 ? "fram:" : "flash:");
        before_operation = NULL;
        story_begin(with_fram == 1);
        before_operation = on_operation;
        go_on(false, enumeration_takes_group((uint64_t)with_fram));
        memset(&way, 0, sizeof way);
    }
    char figures[160];
    snprintf(figures, sizeof figures, "ways=%llu first_cuts=%llu second_cuts=%llu double=%llu",
             (unsigned long long)ways_count, (unsigned long long)first_cut_count, (unsigned long long)second_cut_count,
             (unsigned long long)enumeration.counted_twice);
    return enumeration_end(figures);
}
