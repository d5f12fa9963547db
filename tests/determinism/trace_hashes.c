// SPDX-License-Identifier: Apache-2.0
// Runs one small, hard world for each seed and prints the hash of everything that happened in it. tools/trace-hashes
// builds this program with different compilers, optimisations and word sizes: all of them must print the same.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simulator/world.h"

#define NODES_MIN 3
#define DAYS_MIN 5
// Faults come so many times as often as in the scenario, or there would be few in so short a time; but what comes every
// few hours comes often enough.
#define HASTE 6
#define HASTE_MINUTES_MIN 120
// A journal that is full after some days.
#define SECTORS_MIN 4
#define SECTORS_MAX 5

_Noreturn void mm_assert_failed(const char *place) {
    fflush(stdout);
    fprintf(stderr, "%s: assertion failed\n", place);
    exit(3);
}

static uint32_t hasten(uint32_t minutes) {
    uint32_t hastened = minutes / HASTE > HASTE_MINUTES_MIN ? minutes / HASTE : HASTE_MINUTES_MIN;
    return minutes < hastened ? minutes : hastened;
}

// The scenario of this seed, with its faults pressed into some days.
static scenario_t scenario_of(uint64_t seed, int days) {
    scenario_t scenario = scenarios[(seed - 1) % (uint64_t)scenario_count];
    uint32_t *const periods[] = {&scenario.minutes_power,      &scenario.minutes_router,   &scenario.minutes_swizzle,
                                 &scenario.minutes_part,       &scenario.minutes_elect,    &scenario.minutes_parent,
                                 &scenario.minutes_broker,     &scenario.minutes_hq_crash, &scenario.minutes_hq_disk,
                                 &scenario.minutes_hq_restore, &scenario.minutes_clock,    &scenario.minutes_bit,
                                 &scenario.minutes_sector,     &scenario.minutes_poison,   &scenario.minutes_legacy};
    for (size_t i = 0; i < sizeof periods / sizeof periods[0]; i++) {
        *periods[i] = hasten(*periods[i]);
    }
    if (scenario.offline_days > 0) {
        scenario.offline_days = days - 1;
        scenario.journal_sectors_min = SECTORS_MIN;
        scenario.journal_sectors_max = SECTORS_MAX;
    }
    return scenario;
}

static bool run(uint64_t seed, FILE *trace_file, world_result_t *sum) {
    static world_result_t s_result;
    int days = DAYS_MIN + (int)(seed % 2);
    scenario_t scenario = scenario_of(seed, days);
    const world_options_t options = {.scenario = &scenario,
                                     .seed = seed,
                                     .nodes = NODES_MIN + (int)(seed / 2 % 2),
                                     .days = days,
                                     .trace_file = trace_file};
    world_run(&options, &s_result);
    const uint64_t *faults = s_result.fault_counts;
    bool disk_failed = faults[MM_SIM_FAULT_HQ_DISK_FULL] + faults[MM_SIM_FAULT_HQ_DISK_FAILED] > 0;
    printf("%" PRIu64 " %s %016" PRIx64 "%s\n", seed, scenario.name, s_result.trace_hash,
           disk_failed ? " disk_failed" : "");
    if (s_result.fault[0] != '\0') {
        printf("broken: seed %" PRIu64 ": %s\n", seed, s_result.fault);
    }
    sum->node_hours += s_result.node_hours;
    sum->faults += s_result.faults;
    sum->power_cuts += s_result.power_cuts;
    for (int probe = 0; probe < MM_SIM_PROBE_COUNT; probe++) {
        sum->probe_counts[probe] += s_result.probe_counts[probe];
    }
    return s_result.fault[0] == '\0';
}

static int usage(void) {
    fputs("usage: trace_hashes FIRST_SEED LAST_SEED\n"
          "       trace_hashes --trace SEED FILE\n\n"
          "One line per seed: seed, scenario, hash of the trace, and whether HQ's disk failed (the one thing that the\n"
          "model of HQ's books does in another way than the real ones). The last line says what the worlds met.\n",
          stderr);
    return 2;
}

int main(int argc, char **argv) {
    bool traced = argc == 4 && strcmp(argv[1], "--trace") == 0;
    if (argc != 3 && !traced) {
        return usage();
    }
    uint64_t first = strtoull(argv[traced ? 2 : 1], NULL, 10);
    uint64_t last = traced ? first : strtoull(argv[2], NULL, 10);
    if (first == 0 || last < first) {
        return usage();
    }
    FILE *trace_file = traced ? fopen(argv[3], "w") : NULL;
    if (traced && trace_file == NULL) {
        perror(argv[3]);
        return 2;
    }
    static world_result_t s_sum;
    bool good = true;
    for (uint64_t seed = first; seed <= last; seed++) {
        good = run(seed, trace_file, &s_sum) && good;
    }
    int probes_met = 0;
    for (int probe = 0; probe < MM_SIM_PROBE_COUNT; probe++) {
        probes_met += s_sum.probe_counts[probe] > 0 ? 1 : 0;
    }
    printf("worlds: node_days=%" PRIu64 " faults=%" PRIu64 " power_cuts=%" PRIu64 " rare_events=%d/%d\n",
           s_sum.node_hours / 24, s_sum.faults, s_sum.power_cuts, probes_met, (int)MM_SIM_PROBE_COUNT);
    if (traced && fclose(trace_file) != 0) {
        perror(argv[3]);
        return 2;
    }
    return good ? 0 : 1;
}
