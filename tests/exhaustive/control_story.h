// SPDX-License-Identifier: Apache-2.0
#ifndef MM_CONTROL_STORY_H
#define MM_CONTROL_STORY_H

#define JOURNAL_SECTORS 4

#include <signal.h>
#include <unistd.h>

#include "metering_world.h"

#include "enumeration.h"
#include "meshmeter/command.h"
#include "meshmeter/command_body.h"
#include "meshmeter/control.h"

// A node with metering and control on emulated FRAM and flash, whose meter 0 is prepaid; what HQ sent it; and what its
// platform was told. Everything that a power cut or a branch of the enumeration must bring back is in one struct; HQ's
// records stand in hq_records, of which only the number is part of it.

#define BEGIN_S INT64_C(1735686000) // 2024-12-31T23:00:00Z
#define ERA 0x5EED0001
#define METER 0
#define UNIT_WH 1000
#define COMMANDS_MAX 12
#define STUCK_S 120

typedef struct {
    world_t world;
    mm_control_t control;
    uint64_t life_begin;          ///< of the meter, when prepayment began
    bool relay_closed;            ///< of the meter, as the port was told
    uint32_t finds[COMMANDS_MAX]; ///< calls for each command, which says its number as seconds
    uint32_t reboots;
    bool reboot_asked;
    uint8_t counter_known; ///< HQ has the answers up to this counter
} node_t;

static mm_control_t control;
static uint64_t life_begin;
static bool meter_relay_closed;
static uint32_t finds[COMMANDS_MAX];
static uint32_t reboots;
static bool reboot_asked;

static struct {
    uint8_t bytes[MM_COMMAND_BYTES_MAX];
    size_t bytes_count;
    uint8_t kind;
} commands[COMMANDS_MAX]; ///< by their counter

// Any keyed function does for HMAC here: nobody guesses.
static inline mm_err_t toy_hmac(void *context, const void *bytes, size_t bytes_count, uint8_t mac[MM_HMAC_BYTES]) {
    (void)context;
    for (uint8_t part = 0; part < MM_HMAC_BYTES / 8; part++) {
        const uint8_t key[16] = {'d', 'e', 'v', 'i', 'c', 'e', part};
        uint64_t hash = mm_siphash24(key, bytes, bytes_count);
        memcpy(mac + 8 * part, &hash, 8);
    }
    return MM_OK;
}

static inline mm_err_t toy_relay(void *context, uint8_t channel, bool closed) {
    (void)context;
    if (channel == METER) {
        meter_relay_closed = closed;
    }
    return is_dead() ? MM_ERR_UNAVAILABLE : MM_OK;
}

static inline mm_err_t toy_seconds(void *context, uint32_t seconds) {
    (void)context;
    MM_ASSERT(seconds < COMMANDS_MAX);
    finds[seconds]++;
    return MM_OK;
}

static inline void toy_reboot(void *context) {
    (void)context;
    reboots++;
    reboot_asked = true;
}

static const mm_crypto_t crypto_port = {.device_hmac = toy_hmac};
static const mm_relay_t relay_port = {.set = toy_relay};
static const mm_actions_t actions_port = {.display_on = toy_seconds, .find = toy_seconds, .reboot = toy_reboot};

/// Seal the command with this counter; its number is its counter.
static inline void story_seal(uint32_t counter, uint8_t kind, uint8_t channel, const mm_command_body_t *body) {
    uint8_t bytes[MM_COMMAND_BODY_BYTES_MAX];
    mm_writer_t writer = mm_writer(bytes, sizeof bytes);
    MM_ASSERT(counter < COMMANDS_MAX);
    MM_ASSERT(mm_command_body_put(kind, body, &writer) == MM_OK);
    const mm_command_t command = {.node = {{2, 0, 0, 0, 0, 1}},
                                  .era = ERA,
                                  .counter = counter,
                                  .id = counter,
                                  .kind = kind,
                                  .channel = channel,
                                  .body_bytes = (uint8_t)writer.used_bytes,
                                  .body = bytes};
    commands[counter].kind = kind;
    commands[counter].bytes_count =
        mm_command_seal(commands[counter].bytes, sizeof commands[counter].bytes, &command, &crypto_port);
    MM_ASSERT(commands[counter].bytes_count > 0);
}

static inline void story_seal_credit(uint32_t counter, uint8_t kind, uint32_t count, int64_t amount_wh) {
    const mm_command_body_t body = {.credit = {.purchase_id = 1000 + count, .count = count, .amount_wh = amount_wh}};
    story_seal(counter, kind, METER, &body);
}

static inline void save_node(node_t *node) {
    size_t devices = offsetof(world_t, register_sectors);
    memcpy((char *)&node->world + devices, (const char *)&world + devices, sizeof world - devices);
    if (world.with_fram) {
        memcpy(node->world.fram, world.fram, sizeof world.fram);
    } else {
        memcpy(node->world.register_flash, world.register_flash, sizeof world.register_flash);
    }
    memcpy(node->world.journal_flash, world.journal_flash, sizeof world.journal_flash);
    node->control = control;
    node->life_begin = life_begin;
    node->relay_closed = meter_relay_closed;
    memcpy(node->finds, finds, sizeof finds);
    node->reboots = reboots;
    node->reboot_asked = reboot_asked;
}

static inline void restore_node(const node_t *node) {
    size_t devices = offsetof(world_t, register_sectors);
    memcpy((char *)&world + devices, (const char *)&node->world + devices, sizeof world - devices);
    if (world.with_fram) {
        memcpy(world.fram, node->world.fram, sizeof world.fram);
    } else {
        memcpy(world.register_flash, node->world.register_flash, sizeof world.register_flash);
    }
    memcpy(world.journal_flash, node->world.journal_flash, sizeof world.journal_flash);
    control = node->control;
    life_begin = node->life_begin;
    meter_relay_closed = node->relay_closed;
    memcpy(finds, node->finds, sizeof finds);
    reboots = node->reboots;
    reboot_asked = node->reboot_asked;
}

static inline mm_us_t story_now(void) {
    return mono(world.t_us);
}

static inline void story_open_control(void) {
    mm_control_options_t options = {.mac = {{2, 0, 0, 0, 0, 1}}, .token_unit_wh = UNIT_WH, .new_era = ERA};
    if (world.metering.boot_no > 1) {
        options.new_era += 1; // the era must not begin again
    }
    memset(&control, 0xA5, sizeof control);
    mm_control_open(&control, &options, &world.metering, &crypto_port, &relay_port, &actions_port, &world.counters,
                    NULL, story_now());
}

/// What the owner of a node does again and again.
static inline void story_poll(void) {
    world_poll();
    for (unsigned calls = 0; calls < 16 && !is_dead(); calls++) {
        if (mm_control_poll(&control, story_now()) > story_now()) {
            break;
        }
    }
}

/// The power is back, or the node restarts.
static inline void story_restart(void) {
    world_reboot(0, true);
    story_open_control();
    story_poll();
}

/// A virgin node, commissioned and prepaid by the command with counter 1.
static inline void story_begin(bool with_fram) {
    world_init(BEGIN_S, with_fram);
    world.options.pulses_per_s_max = 0;
    memset(finds, 0, sizeof finds);
    reboots = 0;
    reboot_asked = false;
    MM_ASSERT(world_open() == MM_OK);
    story_open_control();
    const mm_command_body_t mode = {.mode = {.prepaid = true}};
    story_seal(1, MM_COMMAND_MODE, METER, &mode);
    story_poll();
    MM_ASSERT(mm_control_take(&control, commands[1].bytes, commands[1].bytes_count, story_now()) == MM_OK);
    MM_ASSERT(control.counter == 1 && control.credits[METER].prepaid);
    life_begin = world.metering.registers.channels[METER].life_pulses;
    story_poll();
    hq_collect();
}

/// Consumption is what the register says, at 1 Wh a pulse; so balance = applied - consumed, to the Wh.
static inline void check_balance(int64_t applied_wh) {
    uint64_t life = world.metering.registers.channels[METER].life_pulses;
    const mm_credit_t *credit = &control.credits[METER];
    int64_t consumed_wh = (int64_t)(life - life_begin);
    int64_t balance_wh = mm_credit_balance_wh(credit, life, 1000);
    enumeration.counted_twice += credit->applied_wh > applied_wh;
    enumeration.lost += credit->applied_wh < applied_wh;
    MM_ASSERT(credit->applied_wh == applied_wh);
    MM_ASSERT(balance_wh == applied_wh - consumed_wh);
}

// A failed check of cmocka, or a case that does not end: the program ends, too, but says where it was.
static inline void on_fatal_signal(int signal_number) {
    fprintf(stderr, "%s\n    to see this case alone: %s --only %s\n",
            signal_number == SIGALRM ? "does not end" : "failed", enumeration.program, enumeration.label);
    _exit(1);
}

static inline void story_program_begin(const char *name, int argc, char **argv) {
    enumeration_begin(name, argc, argv);
    setenv("CMOCKA_TEST_ABORT", "1", 1); // outside of a test cmocka would keep its message to itself
    signal(SIGABRT, on_fatal_signal);
    signal(SIGALRM, on_fatal_signal);
    alarm(STUCK_S * 5);
}

#endif
