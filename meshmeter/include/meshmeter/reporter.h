// SPDX-License-Identifier: Apache-2.0
#ifndef MM_REPORTER_H
#define MM_REPORTER_H

#include "meshmeter/base.h"
#include "meshmeter/control.h"
#include "meshmeter/frame.h"
#include "meshmeter/metering.h"

/// Builds a node's answer to an ask: the live snapshot if wanted, with it the state of control (NULL: it has none),
/// then as many journal records behind ask->after as fit. Returns the size of the frame in bytes, at most
/// min(capacity_bytes, ask->report_bytes_max); 0 if not even an empty report fits. A snapshot or a state that does not
/// fit is left out (the records still go); records are never cut.
size_t mm_report_build(const mm_metering_t *metering, const mm_control_t *control, mm_mac_t source, uint8_t layer,
                       const mm_ask_t *ask, mm_us_t now, void *bytes, size_t capacity_bytes);

#endif
