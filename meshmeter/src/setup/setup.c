// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/setup.h"

#include <string.h>

#include "setup/setup_internal.h"

static void say(const mm_setup_t *self, mm_log_level_t level, const char *message, const char *name, int64_t value) {
    if (self->log != NULL) {
        self->log->write(self->log->context, level, message, name, value, NULL, 0);
    }
}

mm_life_state_t mmi_setup_lasting_state(const mm_setup_t *self) {
    const mm_life_cycle_t *phase = &self->configuration.phase;
    return phase->state == MM_LIFE_CONFIGURING ? phase->before : phase->state;
}

mm_err_t mmi_setup_save(mm_setup_t *self, const mm_configuration_t *draft) {
    if (mm_configuration_store_save(&self->store, draft) != MM_OK) {
        mm_counters_count(self->counters, MM_COUNTER_FLASH_ERROR);
        say(self, MM_LOG_ERROR, "the configuration could not be stored", NULL, 0);
        return MM_ERR_STORAGE;
    }
    self->configuration = *draft;
    return MM_OK;
}

// The newest configuration is damaged, and what it decided is not known: a reset, an installation, a confirmation.
// Nothing is switched for that, and HQ decides anew. It is not stored before that, so each start says so again.
static void ask_again(mm_setup_t *self, mm_us_t now) {
    mm_configuration_t *configuration = &self->configuration;
    const uint64_t values[MM_EVENT_VALUES] = {configuration->phase.state, configuration->network.revision,
                                              configuration->installation.revision};
    (void)mm_metering_event(self->metering, MM_EVENT_CONFIGURATION_BEHIND, values, now);
    configuration->confirmed_channels = (uint8_t)~self->control->unconfirmed_channels;
    if (mm_life_cycle_take(&configuration->phase, MM_LIFE_REINSTALL_ORDERED) == MM_OK) {
        self->control->installation_due = true;
    }
}

// Memory that does not answer decides nothing: fault, until it does.
static void open_store(mm_setup_t *self, mm_us_t now) {
    mm_err_t err = mm_configuration_store_open(&self->store, self->flash, self->sector_count, &self->configuration);
    if (err == MM_ERR_STORAGE || err == MM_ERR_VERSION) {
        mm_counters_add(self->counters, MM_COUNTER_FLASH_ERROR, err == MM_ERR_STORAGE ? 1 : 0);
        say(self, MM_LOG_ERROR, "the configuration cannot be read", "error", err);
        (void)mm_life_cycle_take(&self->configuration.phase, MM_LIFE_MEMORY_FAILED);
        self->retry_at = mm_us_after_s(now, MM_SETUP_RETRY_S);
    } else if (err == MM_ERR_CORRUPT) {
        say(self, MM_LOG_ERROR, "the configuration is lost; the node is parked", NULL, 0);
    } else if (self->store.is_behind) {
        ask_again(self, now);
    }
    const mm_challenge_options_t options = {
        .method = self->options.method, .mac = self->options.mac, .secret = self->options.legacy_secret};
    mm_challenge_init(&self->challenge, &options, self->crypto, self->entropy, self->configuration.challenge_lock_outs,
                      now);
}

static mm_result_status_t confirm(void *context, uint32_t revision, mm_us_t now) {
    return mm_setup_confirm(context, revision, now);
}

static mm_result_status_t reinstall(void *context, mm_us_t now) {
    return mm_setup_reinstall(context, now);
}

void mm_setup_open(mm_setup_t *self, const mm_setup_options_t *options, const mm_flash_t *flash, uint32_t sector_count,
                   mm_metering_t *metering, mm_control_t *control, const mm_crypto_t *crypto,
                   const mm_entropy_t *entropy, mm_counters_t *counters, const mm_log_t *log, mm_us_t now) {
    memset(self, 0, sizeof *self);
    self->options = *options;
    self->flash = flash;
    self->sector_count = sector_count;
    self->metering = metering;
    self->control = control;
    self->crypto = crypto;
    self->entropy = entropy;
    self->counters = counters;
    self->log = log;
    self->retry_at = now;
    self->commissioning = (mm_commissioning_t){.confirm = confirm,
                                               .reinstall = reinstall,
                                               .keep_staged = mmi_setup_keep_staged,
                                               .has_router = mmi_setup_has_router,
                                               .context = self};
    mm_control_set_commissioning(control, &self->commissioning);
    open_store(self, now);
}

mm_err_t mm_setup_take_network(mm_setup_t *self, const mm_network_t *network, mm_us_t now) {
    (void)now;
    if (mm_network_check(network) != MM_OK) {
        return MM_ERR_ARG;
    }
    if (self->was_reset) {
        return MM_ERR_BUSY;
    }
    if (self->configuration.phase.state == MM_LIFE_FAULT) {
        return MM_ERR_STORAGE;
    }
    if (self->configuration.has_network && network->revision <= self->configuration.network.revision) {
        return MM_ERR_STATE;
    }
    mm_configuration_t draft = self->configuration;
    draft.network = *network;
    draft.has_network = true;
    mm_err_t err = mm_life_cycle_take(&draft.phase, MM_LIFE_NETWORK_GIVEN);
    MM_ASSERT(err == MM_OK); // only a fault refuses it
    err = mmi_setup_save(self, &draft);
    self->is_renewed = self->is_renewed || err == MM_OK;
    return err;
}

// The installer's session.

void mm_setup_leave(mm_setup_t *self, mm_us_t now) {
    (void)now;
    if (self->session) {
        self->session = false;
        self->challenge.has_number = false;
        memset(self->nonce, 0, sizeof self->nonce);
        (void)mm_life_cycle_take(&self->configuration.phase, MM_LIFE_SESSION_ENDED);
    }
}

static void expire_session(mm_setup_t *self, mm_us_t now) {
    if (self->session && now >= self->session_until) {
        mm_setup_leave(self, now);
    }
    if (self->repeat.is_there && now >= self->repeat.until) {
        self->repeat.is_there = false;
    }
}

static bool renew_nonce(mm_setup_t *self, mm_us_t now) {
    self->session_until = mm_us_after_s(now, MM_SETUP_SESSION_S);
    self->challenge.expires_at = self->session_until;
    return self->entropy != NULL &&
           self->entropy->random(self->entropy->context, self->nonce, sizeof self->nonce) == MM_OK;
}

bool mm_setup_number(mm_setup_t *self, mm_us_t now, uint32_t *number) {
    expire_session(self, now);
    mm_life_cycle_t trial = self->configuration.phase;
    *number = 0;
    return mm_life_cycle_take(&trial, MM_LIFE_CODE_ACCEPTED) == MM_OK &&
           mm_challenge_number(&self->challenge, now, number);
}

static void tell_lock_out(mm_setup_t *self, mm_us_t now) {
    if (self->lock_out[0] == 0) {
        return;
    }
    if (mm_metering_event(self->metering, MM_EVENT_INSTALLER_LOCK_OUT, self->lock_out, now) == MM_OK) {
        memset(self->lock_out, 0, sizeof self->lock_out);
    } else {
        self->retry_at = mm_us_after_s(now, MM_SETUP_RETRY_S);
    }
}

static void note_wrong(mm_setup_t *self, mm_code_verdict_t verdict, uint32_t wait_s, mm_us_t now) {
    if (verdict != MM_CODE_WRONG) {
        return;
    }
    mm_counters_count(self->counters, MM_COUNTER_CODE_WRONG);
    if (wait_s > 0) { // it was one too many
        self->lock_out[0] = MM_LOCK_OUT_TRIES;
        self->lock_out[1] = self->challenge.lock_out.in_a_row;
        self->lock_out[2] = wait_s;
        tell_lock_out(self, now);
    }
}

// Whether the event is legal now and the code good. *draft is then the configuration with the event in it.
static mm_code_verdict_t judge(mm_setup_t *self, const char *code, mm_life_event_t event, mm_configuration_t *draft,
                               mm_us_t now, uint32_t *wait_s) {
    expire_session(self, now);
    uint32_t session_s = self->session ? mm_us_seconds_until(self->session_until, now) : 0;
    *wait_s = session_s;
    if (self->session && (event != MM_LIFE_CODE_ACCEPTED || !self->challenge.has_number)) {
        return MM_CODE_LOCKED_OUT;
    }
    *draft = self->configuration;
    (void)mm_life_cycle_take(&draft->phase, MM_LIFE_SESSION_ENDED); // if there is one
    if (mm_life_cycle_take(&draft->phase, event) != MM_OK) {
        return MM_CODE_STATE;
    }
    uint8_t wrong = self->challenge.lock_out.wrong;
    mm_code_verdict_t verdict = mm_challenge_judge(&self->challenge, code, now, wait_s);
    note_wrong(self, verdict, *wait_s, now);
    if (self->challenge.lock_out.in_a_row != self->configuration.challenge_lock_outs) {
        mm_configuration_t counted = self->configuration;
        counted.challenge_lock_outs = self->challenge.lock_out.in_a_row;
        (void)mmi_setup_save(self, &counted); // in RAM it counts all the same
        draft->challenge_lock_outs = self->challenge.lock_out.in_a_row;
    }
    if (verdict == MM_CODE_GOOD) {
        self->challenge.lock_out.wrong = wrong; // its number may be used once more, and has no more tries for that
    } else if (verdict == MM_CODE_WRONG && session_s > 0) {
        *wait_s = session_s;
        verdict = MM_CODE_LOCKED_OUT;
    }
    return verdict;
}

mm_code_verdict_t mm_setup_enter(mm_setup_t *self, const char *code, mm_us_t now, uint32_t *wait_s) {
    mm_configuration_t draft;
    mm_code_verdict_t verdict = judge(self, code, MM_LIFE_CODE_ACCEPTED, &draft, now, wait_s);
    if (verdict != MM_CODE_GOOD) {
        return verdict;
    }
    self->session = true;
    self->repeat.is_there = false;
    self->challenge.has_number = true;       // for this installer, in another page, as long as the session lives
    self->configuration.phase = draft.phase; // ends with a restart: nothing to store
    if (!renew_nonce(self, now)) {
        mm_setup_leave(self, now);
        return MM_CODE_NO_KEY;
    }
    return MM_CODE_GOOD;
}

bool mm_setup_use_nonce(mm_setup_t *self, const uint8_t nonce[MM_SETUP_NONCE_BYTES], mm_us_t now) {
    expire_session(self, now);
    if (!self->session || !mm_bytes_equal_constant_time(self->nonce, nonce, sizeof self->nonce)) {
        return false;
    }
    if (!renew_nonce(self, now)) {
        mm_setup_leave(self, now); // without another nonce nothing can follow
        return false;
    }
    return true;
}

mm_code_verdict_t mm_setup_reset(mm_setup_t *self, const char *code, mm_us_t now, uint32_t *wait_s) {
    mm_configuration_t draft;
    mm_code_verdict_t verdict = judge(self, code, MM_LIFE_RESET, &draft, now, wait_s);
    if (verdict != MM_CODE_GOOD) {
        return verdict;
    }
    // 0 of what there is none of.
    const uint64_t values[MM_EVENT_VALUES] = {draft.network.revision, draft.installation.revision};
    if (mm_metering_event(self->metering, MM_EVENT_NODE_RESET, values, now) != MM_OK) {
        return MM_CODE_STORAGE;
    }
    self->repeat.is_there = false;
    draft.confirmed_channels = 0;
    draft.has_network = false;
    memset(&draft.network, 0, sizeof draft.network);
    if (mmi_setup_save(self, &draft) != MM_OK) {
        return MM_CODE_STORAGE;
    }
    self->was_reset = true;
    return MM_CODE_GOOD;
}

// HQ's commands.

mm_result_status_t mm_setup_confirm(mm_setup_t *self, uint32_t revision, mm_us_t now) {
    (void)now;
    // What was not told cannot be what HQ has seen.
    if (!self->configuration.has_installation || revision != self->configuration.installation.revision ||
        revision != self->control->installation_told) {
        return MM_RESULT_STATE;
    }
    mm_configuration_t draft = self->configuration;
    if (mm_life_cycle_take(&draft.phase, MM_LIFE_CONFIRMED) != MM_OK) {
        return MM_RESULT_STATE;
    }
    if (mmi_setup_lasting_state(self) == MM_LIFE_RUNNING) {
        return MM_RESULT_DONE;
    }
    draft.confirmed_channels = MM_ALL_CHANNELS;
    return mmi_setup_save(self, &draft) == MM_OK ? MM_RESULT_DONE : MM_RESULT_FAILED;
}

// A configuration that fell back does not know what was installed last: what had no supply then stays without.
static MM_APART uint8_t unconfirmed(const mm_setup_t *self) {
    const mm_configuration_t *configuration = &self->configuration;
    bool is_behind = configuration->installation.revision < self->control->installation_told;
    return mm_configuration_unconfirmed(configuration) | (is_behind ? self->control->unconfirmed_channels : 0);
}

mm_result_status_t mm_setup_reinstall(mm_setup_t *self, mm_us_t now) {
    (void)now;
    mm_configuration_t draft = self->configuration;
    if (mm_life_cycle_take(&draft.phase, MM_LIFE_REINSTALL_ORDERED) != MM_OK) {
        return MM_RESULT_STATE;
    }
    // It is told under this revision: then nothing shows any more that it had fallen back.
    draft.confirmed_channels &= (uint8_t)~unconfirmed(self);
    return mmi_setup_save(self, &draft) == MM_OK ? MM_RESULT_DONE : MM_RESULT_FAILED;
}

// Poll.

mm_us_t mm_setup_poll(mm_setup_t *self, mm_us_t now) {
    if (self->configuration.phase.state == MM_LIFE_FAULT && now >= self->retry_at) {
        open_store(self, now);
    }
    expire_session(self, now);
    mmi_setup_follow_trial(self);
    if (self->lock_out[0] != 0 && now >= self->retry_at) {
        tell_lock_out(self, now);
    }
    if (self->configuration.phase.state == MM_LIFE_FAULT) {
        return self->retry_at; // supply stays as it is
    }
    if (self->configuration.has_installation) {
        mm_control_set_unconfirmed(self->control, unconfirmed(self), now);
    }
    mm_us_t deadline = self->session ? self->session_until : MM_US_NEVER;
    if (self->lock_out[0] != 0) {
        deadline = mm_us_earlier(deadline, self->retry_at);
    }
    if (!mm_setup_is_applying(self)) {
        return deadline;
    }
    if (now >= self->retry_at) {
        if (mmi_setup_apply(self, now) == MM_OK) {
            return now; // the relays of new meters follow
        }
        self->retry_at = mm_us_after_s(now, MM_SETUP_RETRY_S);
    }
    return mm_us_earlier(deadline, self->retry_at);
}
