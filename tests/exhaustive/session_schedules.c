// SPDX-License-Identifier: Apache-2.0
// All schedules of the 8 packet events of a session with four messages: CONNACK, 2 SUBACK, 4 PUBACK, DISCONNECTED, each
// on time, lost, twice, delayed behind others, late (behind its deadline) or in the next session; and all of those
// again in which the connection ends by itself instead of one of them. Driven is the real uplink. Nothing is confirmed
// that the broker did not confirm, nothing twice, what came in time is not lost, each state has a deadline, and the
// session after it is clean.
#define SESSION_MESSAGES 4
#include "session_schedule.h"

#include "enumeration.h"

static struct {
    uint64_t clean;
    uint64_t broken; // the connection ended by itself
} totals;

typedef struct {
    fate_t fates[ANSWER_COUNT];
    uint32_t ends_at; // ANSWER_COUNT = it does not
} schedule_t;

static void run_case(const void *parameter) {
    const schedule_t *schedule = parameter;
    const fate_t *fates = schedule->fates;
    uint32_t ends_at = schedule->ends_at;
    session_result_t result = run_schedule(fates, ends_at);
    enumeration.lost += result.lost;
    enumeration.counted_twice += result.unearned;
    MM_ASSERT(result.lost == 0);
    MM_ASSERT(result.unearned == 0);
    bool ends_by_itself = ends_at != ANSWER_COUNT;
    totals.broken += ends_by_itself;
    totals.clean += result.clean;
    // Clean: CONNACK once and in time (a second one is another connection), the answers in between in time.
    bool clean = !ends_by_itself && (fates[ANSWER_CONNACK] == FATE_ON_TIME || fates[ANSWER_CONNACK] == FATE_DELAYED);
    for (uint32_t i = ANSWER_SUBACK_1; i < ANSWER_DISCONNECTED; i++) {
        clean = clean && (fates[i] == FATE_ON_TIME || fates[i] == FATE_TWICE || fates[i] == FATE_DELAYED);
    }
    MM_ASSERT(result.clean == clean);
}

int main(int argc, char **argv) {
    enumeration_begin("session_schedules", argc, argv);
    schedule_t schedule = {.ends_at = ANSWER_COUNT};
    for (uint32_t number = 0; number < schedule_count(ANSWER_COUNT); number++) {
        if (enumeration_takes("fates:%u", number)) {
            schedule_of(number, ANSWER_COUNT, schedule.fates);
            enumeration_run(run_case, &schedule);
        }
    }
    for (uint32_t ends_at = 0; ends_at < ANSWER_DISCONNECTED; ends_at++) {
        for (uint32_t number = 0; number < schedule_count(ends_at + 1); number++) {
            if (enumeration_takes("ends:%u:%u", ends_at, number)) {
                schedule_of(number / FATE_COUNT, ends_at, schedule.fates);
                schedule.ends_at = ends_at;
                schedule.fates[ANSWER_DISCONNECTED] = (fate_t)(number % FATE_COUNT);
                enumeration_run(run_case, &schedule);
            }
        }
    }
    char figures[128];
    snprintf(figures, sizeof figures, "sessions=%llu clean=%llu connection_ended=%llu",
             (unsigned long long)enumeration.cases * 2, (unsigned long long)totals.clean,
             (unsigned long long)totals.broken);
    return enumeration_end(figures);
}
