// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/counters.h"

void mm_counters_add(mm_counters_t *self, mm_counter_t counter, uint32_t amount) {
    MM_ASSERT((unsigned)counter < MM_COUNTER_COUNT);
    uint32_t *value = &self->values[counter];
    *value = amount > UINT32_MAX - *value ? UINT32_MAX : *value + amount;
}

void mm_counters_count(mm_counters_t *self, mm_counter_t counter) {
    MM_ASSERT((unsigned)counter < MM_COUNTER_COUNT);
    self->values[counter] += self->values[counter] < UINT32_MAX ? 1 : 0;
}

const char *mm_counter_name(uint32_t id) {
#define COUNTER_NAME(id, name) name,
    static const char *const names[MM_COUNTER_COUNT] = {MM_COUNTER_LIST(COUNTER_NAME)};
#undef COUNTER_NAME
    return MM_NAME_OF(names, id);
}
