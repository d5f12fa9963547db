// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SETUP_SETUP_INTERNAL_H
#define MM_SETUP_SETUP_INTERNAL_H

#include "meshmeter/setup.h"

/// The parts of setup: setup.c (life cycle, session, HQ's commands, poll), setup_install.c (an installation, from the
/// fields to the record), setup_router.c (a router that an installer has typed).

/// Without the installer's session.
mm_life_state_t mmi_setup_lasting_state(const mm_setup_t *self);
/// Store the draft, and then it is the configuration. MM_ERR_STORAGE: nothing happened.
mm_err_t mmi_setup_save(mm_setup_t *self, const mm_configuration_t *draft);
/// Carry out what is left of the installation, and journal it. MM_ERR_BUSY, MM_ERR_ARG: not all of it now.
mm_err_t mmi_setup_apply(mm_setup_t *self, mm_us_t now);
/// Forget an installer's router that is on trial no longer.
void mmi_setup_follow_trial(mm_setup_t *self);
/// What control calls (control.h).
mm_err_t mmi_setup_keep_staged(void *context, bool is_unsealed, mm_us_t now);
bool mmi_setup_has_router(void *context, uint32_t body_crc);

#endif
