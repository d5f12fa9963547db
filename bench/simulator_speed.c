// SPDX-License-Identifier: Apache-2.0
// Node-years that the simulator passes in one second of one core, against a bare loop that does only what the cheapest
// imaginable simulation must: per cycle a batch of 708 bytes for ten nodes, checksummed, programmed into an emulated
// flash ring and checked again. Both in one run, alternating, so that the ratio says something on any machine.

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log.h"
#include "meshmeter/crc32.h"
#include "simulator/world.h"

#define ROUNDS 3
#define DAYS 60
#define NODES 10
#define BATCH_BYTES 708
#define SECTORS 96
#define HOURS_PER_YEAR (365.25 * 24)

static double core_seconds(void) {
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static void discard(void *context, const char *message) {
    (void)context;
    (void)message;
}

// Node-years per core-second of whole sites with this cycle.
static double simulate(uint32_t slots, uint64_t seed) {
    static world_result_t s_result;
    scenario_t scenario = *scenario_find("calm");
    scenario.slots = slots;
    const world_options_t options = {.scenario = &scenario, .seed = seed, .nodes = NODES, .days = DAYS};
    double began_s = core_seconds();
    world_run(&options, &s_result);
    double used_s = core_seconds() - began_s;
    if (s_result.fault[0] != '\0') {
        fprintf(stderr, "simulator_speed: seed %" PRIu64 ": %s\n", seed, s_result.fault);
        exit(1);
    }
    return (double)s_result.node_hours / HOURS_PER_YEAR / used_s;
}

// The same of the bare loop, of cycles of 500 s.
static double run_bare(void) {
    static uint8_t s_bytes[SECTORS * MM_FLASH_SECTOR_BYTES];
    static mm_sim_sector_t s_sectors[SECTORS];
    static mm_sim_flash_t s_flash;
    static mm_sim_power_t s_power;
    uint8_t batch[BATCH_BYTES] = {0};
    uint32_t cycles = DAYS * 86400 / 500;
    uint32_t address = 0;
    uint32_t sum = 0;
    mm_sim_power_init(&s_power, 1);
    mm_sim_flash_init(&s_flash, &s_power, s_bytes, s_sectors, SECTORS);
    double began_s = core_seconds();
    for (uint32_t cycle = 0; cycle < cycles; cycle++) {
        batch[0] = (uint8_t)cycle;
        uint32_t crc = mm_crc32(0, batch, sizeof batch);
        if (address % MM_FLASH_SECTOR_BYTES + BATCH_BYTES > MM_FLASH_SECTOR_BYTES) {
            address = (address / MM_FLASH_SECTOR_BYTES + 1) % SECTORS * MM_FLASH_SECTOR_BYTES;
        }
        if (address % MM_FLASH_SECTOR_BYTES == 0) {
            (void)s_flash.flash.erase(&s_flash, address / MM_FLASH_SECTOR_BYTES);
        }
        (void)s_flash.flash.program(&s_flash, address, batch, sizeof batch);
        sum += crc ^ mm_crc32(0, s_bytes + address, sizeof batch);
        address += BATCH_BYTES;
    }
    double used_s = core_seconds() - began_s;
    if (sum != 0) {
        fprintf(stderr, "simulator_speed: the bare loop reads other bytes than it wrote\n");
        exit(1);
    }
    return NODES * DAYS / 365.25 / used_s;
}

int main(void) {
    static const uint32_t slots[] = {250, 1800};
    double best[2] = {0};
    double bare = 0;
    mm_hq_log_set_sink(discard, NULL);
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        for (size_t i = 0; i < 2; i++) {
            double speed = simulate(slots[i], round);
            best[i] = speed > best[i] ? speed : best[i];
        }
        double speed = run_bare();
        bare = speed > bare ? speed : bare;
    }
    printf("node-years per core-second, best of %d runs, calm scenario of %d nodes with real HQ and SQLite:\n", ROUNDS,
           NODES);
    printf("  a session every   500 s  %8.2f\n  a session every 3,600 s  %8.2f\n", best[0], best[1]);
    printf("  bare loop, 500 s         %8.2f   (aim of the simulator: 20)\n", bare);
    printf("sim-bench: node_years_per_core_s=%.2f hourly=%.2f bare=%.2f ratio=%.4f\n", best[0], best[1], bare,
           best[0] / bare);
    return 0;
}
