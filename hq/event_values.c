// SPDX-License-Identifier: Apache-2.0
#include "event_values.h"

#include <string.h>

#include "meshmeter/base.h"
#include "meshmeter/record.h"

static const struct {
    const char *event;
    const char *values[MM_EVENT_VALUES];
} s_kinds[] = {
    {"boot", {"start", "reset reason"}},
    {"time_synced", {"start", "uptime s", "utc s", "pulses filed"}},
    {"time_stepped", {"from utc s", "to utc s"}},
    {"root_taken", {NULL}},
    {"root_lost", {"router up"}},
    {"configuration", {"channel", "old imp/kWh", "new imp/kWh", "life pulses"}},
    {"journal_restarted", {"epoch before", "its last record"}},
    {"counter_restarted", {"generation before", "now"}},
    {"registers_recovered", {"damaged copies"}},
    {"hold", {NULL}},
    {"supply_cut", {"channel", "reasons", "life pulses", "balance Wh"}},
    {"supply_restored", {"channel", NULL, "life pulses", "balance Wh"}},
    {"relay_reasons", {"channel", "reasons", "life pulses", "balance Wh"}},
    {"credit_low", {"channel", "warning Wh", "life pulses", "balance Wh"}},
    {"emergency_taken", {"channel", "emergency Wh", "life pulses", "balance Wh"}},
    {"tamper", {"channel", "open", "life pulses", "balance Wh"}},
    {"token_lock_out", {"channel", "wrong in a row", "seconds"}},
    {"credit_era", {"era", "had credit"}},
    {"node_reset", {"network revision", "installation revision"}},
    {"installer_lock_out", {"wrong codes", "in a row", "seconds"}},
    {"configuration_behind", {"phase", "network revision", "installation revision"}},
    {"console", {"act", "refused", "acts before"}},
    // HQ's own.
    {"register_went_back", {"channel", "from pulses", "to pulses", "start"}},
    {"boot_number_went_back", {"from start", "to start"}},
    {"credit_without_purchase", {"channel", "count", "credit Wh", "movement"}},
    {"credit_taken_twice", {"channel", "count", "credit Wh", "movement"}},
    {"void_without_purchase", {"channel", "count", "credit Wh", "movement"}},
    {"credit_amount_differs", {"channel", "count", "sold Wh", "taken Wh"}},
    {"credit_refused", {"channel", "kind", "status", "command"}},
    {"purchases_passed_over", {"channel", "count", "purchases"}},
    {"purchase_count_taken", {"channel", "count", "purchase", "sold Wh"}},
    {"credit_era_lost", {"channel", "era", "balance Wh", "purchases"}},
    {"books_differ", {"channel", "sold difference Wh", "used difference Wh", "day since 1970"}},
    {"credit_meter_changed", {"channel", "balance Wh", "pending Wh", "swap"}},
    {"credit_not_withdrawn", {"channel", "balance Wh", "status", "swap"}},
};

const char *mm_event_value_name(const char *event, size_t index) {
    MM_ASSERT(index < MM_EVENT_VALUES);
    for (size_t kind = 0; kind < sizeof s_kinds / sizeof s_kinds[0]; kind++) {
        if (strcmp(s_kinds[kind].event, event) == 0) {
            return s_kinds[kind].values[index] != NULL ? s_kinds[kind].values[index] : "";
        }
    }
    return NULL;
}
