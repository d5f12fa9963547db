// SPDX-License-Identifier: Apache-2.0
#ifndef MM_HQ_EVENT_VALUES_H
#define MM_HQ_EVENT_VALUES_H

#include <stddef.h>

/// What the values of an event are, by the event's name: of nodes (meshmeter/record.h) and HQ's own (docs/spec/api.md,
/// events). For everybody who shows them: the API sends these names along.

/// Name and unit of value `index` (0 … MM_EVENT_VALUES - 1), as "balance Wh"; "channel" counts from 0. "": the value
/// means nothing. NULL: nothing is known of an event of this name.
const char *mm_event_value_name(const char *event, size_t index);

#endif
