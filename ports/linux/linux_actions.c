// SPDX-License-Identifier: Apache-2.0
#include "linux_actions.h"

#include <stdio.h>
#include <string.h>

#include "linux_clock.h"
#include "linux_log.h"

#define BROKER_TEXT_BYTES (sizeof(mm_linux_broker_t) + 2)
#define HEAD "meshmeter-broker "
#define HEAD_VERSION 2
#define HEAD_BYTES 40
#define FILE_TEXT_BYTES (BROKER_TEXT_BYTES + HEAD_BYTES)

static mm_err_t display_on(void *context, uint32_t seconds) {
    mm_linux_actions_t *self = context;
    self->display_until_us = mm_linux_real_us() + (int64_t)seconds * MM_US_PER_S;
    mm_linux_log(MM_LOG_INFO, "display on for %u s, by command", (unsigned)seconds);
    return MM_OK;
}

static mm_err_t find(void *context, uint32_t seconds) {
    mm_linux_actions_t *self = context;
    self->find_until_us = mm_linux_real_us() + (int64_t)seconds * MM_US_PER_S;
    mm_linux_log(MM_LOG_WARNING, "here is the node that is looked for (for %u s, by command)", (unsigned)seconds);
    return MM_OK;
}

static void reboot(void *context) {
    mm_linux_actions_t *self = context;
    self->reboot_requested = true;
}

// --- broker --------------------------------------------------------------------------------------------------------

// The next line without its end. False: too long, or with a control character.
static bool take_line(const char **next, const char *end, char *line, size_t line_bytes) {
    size_t used = 0;
    while (*next < end && **next != '\n') {
        unsigned char character = (unsigned char)*(*next)++;
        if (character < 0x20 || character == 0x7F || used + 1 >= line_bytes) {
            return false;
        }
        line[used++] = (char)character;
    }
    line[used] = '\0';
    if (*next < end) {
        (*next)++;
    }
    return true;
}

bool mm_linux_broker_parse(const char *text, size_t text_chars, mm_linux_broker_t *broker) {
    const char *next = text;
    const char *end = text + text_chars;
    memset(broker, 0, sizeof *broker);
    return take_line(&next, end, broker->url, sizeof broker->url) &&
           take_line(&next, end, broker->user, sizeof broker->user) &&
           take_line(&next, end, broker->password, sizeof broker->password) && next == end && broker->url[0] != '\0' &&
           // A password is somebody's.
           (broker->user[0] != '\0' || broker->password[0] == '\0');
}

// A broker in a file.
typedef struct {
    mm_linux_broker_t broker;
    bool has_revision; ///< else of whichever network is known first
    uint32_t revision;
} kept_t;

static mm_err_t write_broker(const mm_linux_actions_t *self, const char *path, const mm_linux_broker_t *broker) {
    char text[FILE_TEXT_BYTES];
    char revision[12] = "-";
    if (self->network_is_known) {
        snprintf(revision, sizeof revision, "%u", (unsigned)self->network_revision);
    }
    int length = snprintf(text, sizeof text, HEAD "%d %s\n%s\n%s\n%s\n", HEAD_VERSION, revision, broker->url,
                          broker->user, broker->password);
    mm_err_t err = mm_linux_file_replace(path, text, (size_t)length, self->sync);
    explicit_bzero(text, sizeof text);
    return err;
}

// "2 REVISION", behind HEAD.
static bool parse_head(const char *line, kept_t *kept) {
    unsigned version = 0;
    unsigned revision = 0;
    char rest = 0;
    if (strcmp(line, "2 -") == 0) {
        return true;
    }
    kept->has_revision = strspn(line, "0123456789 ") == strlen(line) &&
                         sscanf(line, "%1u %10u%c", &version, &revision, &rest) == 2 && version == HEAD_VERSION;
    kept->revision = revision;
    return kept->has_revision;
}

static bool parse_kept(const char *text, kept_t *kept) {
    char line[HEAD_BYTES];
    const char *next = text;
    const char *end = text + strlen(text);
    memset(kept, 0, sizeof *kept);
    if (strncmp(text, HEAD, sizeof HEAD - 1) == 0) {
        next += sizeof HEAD - 1;
        if (!take_line(&next, end, line, sizeof line) || !parse_head(line, kept)) {
            return false;
        }
    }
    return mm_linux_broker_parse(next, (size_t)(end - next), &kept->broker);
}

static mm_err_t read_kept(const mm_linux_actions_t *self, kept_t *kept) {
    char text[FILE_TEXT_BYTES];
    mm_err_t err = mm_linux_file_read_text(self->broker_path, text, sizeof text);
    if (err == MM_OK && (!parse_kept(text, kept) || !self->url_is_good(kept->broker.url))) {
        err = MM_ERR_CORRUPT;
    }
    explicit_bzero(text, sizeof text);
    return err;
}

// What is used without a trial: the kept one, or else the configuration's.
static mm_err_t use_kept(mm_linux_actions_t *self) {
    kept_t kept;
    mm_err_t err = read_kept(self, &kept);
    self->broker = err == MM_OK ? kept.broker : (mm_linux_broker_t){.url = ""};
    explicit_bzero(&kept, sizeof kept);
    self->on_trial = false;
    self->broker_changed = true;
    self->has_broker = err == MM_OK;
    return err == MM_ERR_NOT_FOUND ? MM_OK : err;
}

// A broker stands above the network under which it was kept, and above no other.
static mm_err_t drop_outdated(const mm_linux_actions_t *self) {
    kept_t kept;
    mm_err_t err = self->network_is_known ? read_kept(self, &kept) : MM_ERR_NOT_FOUND;
    if (err != MM_OK) {
        return err == MM_ERR_NOT_FOUND ? MM_OK : err;
    }
    if (!kept.has_revision) {
        err = write_broker(self, self->broker_path, &kept.broker);
    } else if (kept.revision != self->network_revision) {
        mm_linux_log(MM_LOG_WARNING, "the broker that a command had set is given up: there is another network");
        err = mm_linux_file_remove(self->broker_path, self->sync);
    }
    explicit_bzero(&kept, sizeof kept);
    return err;
}

static mm_err_t stage(void *context, mm_staged_kind_t kind, const char *text, size_t text_chars) {
    mm_linux_actions_t *self = context;
    mm_linux_broker_t broker;
    if (kind != MM_STAGED_BROKER) {
        return MM_ERR_UNAVAILABLE; // the router is the operating system's
    }
    if (!mm_linux_broker_parse(text, text_chars, &broker) || !self->url_is_good(broker.url)) {
        explicit_bzero(&broker, sizeof broker);
        return MM_ERR_ARG;
    }
    mm_err_t err = write_broker(self, self->staged_path, &broker);
    if (err == MM_OK) {
        self->broker = broker;
        self->has_broker = true;
        self->on_trial = true;
        self->broker_changed = true;
        mm_linux_log(MM_LOG_INFO, "another broker is tried: %s", broker.url);
    }
    explicit_bzero(&broker, sizeof broker);
    return err;
}

static mm_err_t settle(void *context, mm_staged_kind_t kind, bool keep) {
    mm_linux_actions_t *self = context;
    if (kind != MM_STAGED_BROKER) {
        return MM_ERR_UNAVAILABLE;
    }
    if (!self->on_trial) {
        // After a restart, which has gone back already.
        return keep ? MM_ERR_STATE : mm_linux_file_remove(self->staged_path, self->sync);
    }
    if (keep) {
        mm_err_t err = mm_linux_file_rename(self->staged_path, self->broker_path, self->sync);
        self->on_trial = err != MM_OK;
        if (err == MM_OK) {
            mm_linux_log(MM_LOG_INFO, "the broker is kept: %s", self->broker.url);
        }
        return err;
    }
    mm_err_t err = mm_linux_file_remove(self->staged_path, self->sync);
    if (err != MM_OK) {
        return err;
    }
    mm_linux_log(MM_LOG_WARNING, "the broker on trial did not work, the one before is used again");
    (void)use_kept(self); // unreadable: the configuration's
    return MM_OK;
}

static size_t kept_broker(void *context, char *text, size_t capacity_bytes) {
    const mm_linux_actions_t *self = context;
    const mm_linux_broker_t *broker = &self->broker;
    if (!self->has_broker || self->on_trial) {
        return 0;
    }
    int chars = snprintf(text, capacity_bytes, "%s\n%s\n%s", broker->url, broker->user, broker->password);
    return chars > 0 && (size_t)chars < capacity_bytes ? (size_t)chars : 0;
}

// --- update, log ---------------------------------------------------------------------------------------------------

static mm_err_t ota_set_url(void *context, const char *url, size_t url_chars) {
    mm_linux_actions_t *self = context;
    if (url_chars == 0 || url_chars > MM_LINUX_OTA_URL_CHARS_MAX) {
        return MM_ERR_ARG;
    }
    char text[MM_LINUX_OTA_URL_CHARS_MAX + 1];
    for (size_t i = 0; i < url_chars; i++) {
        if (url[i] <= 0x20 || url[i] >= 0x7F) {
            return MM_ERR_ARG;
        }
        text[i] = url[i];
    }
    text[url_chars] = '\n';
    return mm_linux_file_replace(self->ota_path, text, url_chars + 1, self->sync);
}

static mm_err_t ota_start(void *context) {
    (void)context;
    return MM_ERR_UNAVAILABLE; // programs of this system come by its package manager
}

static size_t log_tail(void *context, char *text, size_t capacity_bytes) {
    (void)context;
    return mm_linux_log_tail(text, capacity_bytes);
}

// --- open and close ------------------------------------------------------------------------------------------------

static bool make_path(char *path, size_t path_bytes, const char *directory, const char *name) {
    int length = snprintf(path, path_bytes, "%s/%s", directory, name);
    return length > 0 && (size_t)length < path_bytes;
}

mm_err_t mm_linux_actions_open(mm_linux_actions_t *self, const mm_linux_actions_options_t *options,
                               mm_linux_message_t *message) {
    MM_ASSERT(options->url_is_good != NULL);
    *self = (mm_linux_actions_t){
        .actions = {.display_on = display_on,
                    .find = find,
                    .reboot = reboot,
                    .stage = stage,
                    .settle = settle,
                    .ota_set_url = ota_set_url,
                    .ota_start = ota_start,
                    .log_tail = log_tail,
                    .kept_broker = kept_broker,
                    .context = self},
        .sync = options->sync,
        .url_is_good = options->url_is_good,
        .network_is_known = options->network_is_known,
        .network_revision = options->network_revision,
    };
    const char *directory = options->state_directory;
    if (!make_path(self->broker_path, sizeof self->broker_path, directory, "broker.conf") ||
        !make_path(self->staged_path, sizeof self->staged_path, directory, "broker.staged") ||
        !make_path(self->ota_path, sizeof self->ota_path, directory, "ota.url")) {
        mm_linux_message_set(message, "%s: the path is too long", directory);
        return MM_ERR_ARG;
    }
    if (mm_linux_file_remove(self->staged_path, self->sync) != MM_OK) {
        mm_linux_message_set(message, "%s: is on trial no longer, but cannot be removed", self->staged_path);
        return MM_ERR_STORAGE;
    }
    mm_err_t err = drop_outdated(self);
    err = err == MM_OK ? use_kept(self) : err;
    self->broker_changed = false;
    if (err != MM_OK) {
        mm_linux_message_set(message,
                             "%s: cannot be read or replaced, or is not what this version writes; remove it to use "
                             "the configuration's broker",
                             self->broker_path);
        return err == MM_ERR_STORAGE ? err : MM_ERR_ARG;
    }
    return MM_OK;
}

void mm_linux_actions_close(mm_linux_actions_t *self) {
    explicit_bzero(&self->broker, sizeof self->broker);
    self->has_broker = false;
}

bool mm_linux_actions_display_is_on(const mm_linux_actions_t *self, int64_t real_us) {
    return real_us < self->display_until_us;
}

bool mm_linux_actions_is_finding(const mm_linux_actions_t *self, int64_t real_us) {
    return real_us < self->find_until_us;
}
