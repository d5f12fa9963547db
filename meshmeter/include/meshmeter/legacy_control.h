// SPDX-License-Identifier: Apache-2.0
#ifndef MM_LEGACY_CONTROL_H
#define MM_LEGACY_CONTROL_H

#include "meshmeter/control.h"
#include "meshmeter/legacy_command.h"

/// The original's commands, for a composition that wants them: it opens one of these, and hands `legacy` to its control
/// (mm_control_options_t). The core names nothing of this file and of legacy_command.h but mm_legacy_message_is_one: an
/// image whose composition does not either is linked without them (docs/adr/0018-images-link-what-they-name.md).
///
/// Cost on RV32: docs/design/budgets.md. The owner of the node owns this too.
typedef struct {
    mm_legacy_t legacy;
    uint8_t secret[MM_LEGACY_SECRET_BYTES];
    mm_legacy_seen_t seen;
} mm_legacy_control_t;

/// Once in a start, before mm_control_open. secret: its first characters, filled up with zeros; copied.
void mm_legacy_control_open(mm_legacy_control_t *self, const uint8_t secret[MM_LEGACY_SECRET_BYTES]);

#endif
