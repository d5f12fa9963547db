// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_settings.h"

#include <nvs.h>
#include <nvs_flash.h>
#include <string.h>

#include "meshmeter/bytes.h"
#include "mm_esp_log.h"

#define DEVICE_PARTITION "device"
#define NODE_PARTITION "nvs"
#define DEVICE_SPACE "mm_device"
#define NODE_SPACE "mm_node"

// As it is kept: the struct's bytes behind a version, so that one that has grown is not misread.
#define KEPT_VERSION 2

typedef struct {
    uint32_t version;
    bool has_revision; // else of the network that is told first
    uint32_t revision;
    mm_esp_router_t router;
} kept_router_t;

typedef struct {
    uint32_t version;
    bool has_revision;
    uint32_t revision;
    mm_esp_broker_t broker;
} kept_broker_t;

static mm_err_t err_of(esp_err_t err) {
    if (err == ESP_OK) {
        return MM_OK;
    }
    return err == ESP_ERR_NVS_NOT_FOUND ? MM_ERR_NOT_FOUND : MM_ERR_STORAGE;
}

// --- one value at a time: each opens, commits and closes, so that nothing is ever half committed ------------------

static mm_err_t read_blob(const char *key, void *bytes, size_t bytes_count) {
    nvs_handle_t handle;
    esp_err_t err = nvs_open_from_partition(NODE_PARTITION, NODE_SPACE, NVS_READONLY, &handle);
    if (err != ESP_OK) {
        return err_of(err);
    }
    size_t found_bytes = bytes_count;
    err = nvs_get_blob(handle, key, bytes, &found_bytes);
    nvs_close(handle);
    if (err == ESP_ERR_NVS_INVALID_LENGTH || (err == ESP_OK && found_bytes != bytes_count)) {
        return MM_ERR_VERSION;
    }
    return err_of(err);
}

static mm_err_t write_blob(const char *key, const void *bytes, size_t bytes_count) {
    nvs_handle_t handle;
    esp_err_t err = nvs_open_from_partition(NODE_PARTITION, NODE_SPACE, NVS_READWRITE, &handle);
    if (err != ESP_OK) {
        return err_of(err);
    }
    err = nvs_set_blob(handle, key, bytes, bytes_count);
    if (err == ESP_OK) {
        err = nvs_commit(handle);
    }
    nvs_close(handle);
    return err_of(err);
}

static mm_err_t remove_value(const char *key) {
    nvs_handle_t handle;
    esp_err_t err = nvs_open_from_partition(NODE_PARTITION, NODE_SPACE, NVS_READWRITE, &handle);
    if (err != ESP_OK) {
        return err_of(err);
    }
    err = nvs_erase_key(handle, key);
    if (err == ESP_OK) {
        err = nvs_commit(handle);
    } else if (err == ESP_ERR_NVS_NOT_FOUND) {
        err = ESP_OK;
    }
    nvs_close(handle);
    return err_of(err);
}

// --- text of the commands ------------------------------------------------------------------------------------------

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

bool mm_esp_router_parse(const char *text, size_t text_chars, mm_esp_router_t *router) {
    const char *next = text;
    const char *end = text + text_chars;
    memset(router, 0, sizeof *router);
    bool good = take_line(&next, end, router->name, sizeof router->name) &&
                take_line(&next, end, router->password, sizeof router->password) && next == end &&
                router->name[0] != '\0';
    if (!good) {
        mm_wipe(router, sizeof *router);
    }
    return good;
}

bool mm_esp_broker_parse(const char *text, size_t text_chars, mm_esp_broker_t *broker) {
    const char *next = text;
    const char *end = text + text_chars;
    memset(broker, 0, sizeof *broker);
    bool good = take_line(&next, end, broker->url, sizeof broker->url) &&
                take_line(&next, end, broker->user, sizeof broker->user) &&
                take_line(&next, end, broker->password, sizeof broker->password) && next == end &&
                broker->url[0] != '\0' &&
                // A password is somebody's.
                (broker->user[0] != '\0' || broker->password[0] == '\0');
    if (!good) {
        mm_wipe(broker, sizeof *broker);
    }
    return good;
}

// --- router and broker: kept, on trial -----------------------------------------------------------------------------

static bool is_terminated(const char *text, size_t text_bytes) {
    return memchr(text, '\0', text_bytes) != NULL;
}

// What a command kept, if anything; what cannot be read counts as nothing, which the configuration then covers.
static mm_err_t use_kept_router(mm_esp_settings_t *self) {
    kept_router_t kept;
    mm_err_t err = read_blob("router", &kept, sizeof kept);
    self->has_router = err == MM_OK && kept.version == KEPT_VERSION &&
                       is_terminated(kept.router.name, sizeof kept.router.name) &&
                       is_terminated(kept.router.password, sizeof kept.router.password);
    self->router_on_trial = false;
    mm_wipe(&self->router, sizeof self->router);
    if (self->has_router) {
        self->router = kept.router;
    }
    mm_wipe(&kept, sizeof kept);
    return err == MM_ERR_STORAGE ? err : MM_OK;
}

static mm_err_t use_kept_broker(mm_esp_settings_t *self) {
    kept_broker_t kept;
    mm_err_t err = read_blob("broker", &kept, sizeof kept);
    self->has_broker = err == MM_OK && kept.version == KEPT_VERSION &&
                       is_terminated(kept.broker.url, sizeof kept.broker.url) &&
                       is_terminated(kept.broker.user, sizeof kept.broker.user) &&
                       is_terminated(kept.broker.password, sizeof kept.broker.password);
    self->broker_on_trial = false;
    mm_wipe(&self->broker, sizeof self->broker);
    if (self->has_broker) {
        self->broker = kept.broker;
    }
    mm_wipe(&kept, sizeof kept);
    return err == MM_ERR_STORAGE ? err : MM_OK;
}

mm_err_t mm_esp_settings_try_router(mm_esp_settings_t *self, const mm_esp_router_t *router) {
    kept_router_t kept = {.version = KEPT_VERSION,
                          .has_revision = self->network_is_known,
                          .revision = self->network_revision,
                          .router = *router};
    mm_err_t err = self->is_open ? write_blob("router_try", &kept, sizeof kept) : MM_ERR_STORAGE;
    if (err == MM_OK) {
        self->router = *router;
        self->has_router = true;
        self->router_on_trial = true;
    }
    mm_wipe(&kept, sizeof kept);
    return err;
}

mm_err_t mm_esp_settings_try_broker(mm_esp_settings_t *self, const mm_esp_broker_t *broker) {
    kept_broker_t kept = {.version = KEPT_VERSION,
                          .has_revision = self->network_is_known,
                          .revision = self->network_revision,
                          .broker = *broker};
    mm_err_t err = self->is_open ? write_blob("broker_try", &kept, sizeof kept) : MM_ERR_STORAGE;
    if (err == MM_OK) {
        self->broker = *broker;
        self->has_broker = true;
        self->broker_on_trial = true;
    }
    mm_wipe(&kept, sizeof kept);
    return err;
}

// Keeping is two writes: first the value, then the mark goes. A power cut in between restarts with the value kept and
// the mark there, which open removes: kept is kept.
mm_err_t mm_esp_settings_settle_router(mm_esp_settings_t *self, bool keep) {
    if (keep && !self->router_on_trial) {
        return MM_ERR_STATE;
    }
    if (keep) {
        kept_router_t kept = {.version = KEPT_VERSION,
                              .has_revision = self->network_is_known,
                              .revision = self->network_revision,
                              .router = self->router};
        mm_err_t err = write_blob("router", &kept, sizeof kept);
        mm_wipe(&kept, sizeof kept);
        if (err != MM_OK) {
            return err;
        }
        self->router_on_trial = false;
        (void)remove_value("router_try"); // else at the next start
        return MM_OK;
    }
    mm_err_t err = remove_value("router_try");
    if (err == MM_OK && self->router_on_trial) {
        (void)use_kept_router(self); // unreadable: the configuration's
    }
    return err;
}

mm_err_t mm_esp_settings_settle_broker(mm_esp_settings_t *self, bool keep) {
    if (keep && !self->broker_on_trial) {
        return MM_ERR_STATE;
    }
    if (keep) {
        kept_broker_t kept = {.version = KEPT_VERSION,
                              .has_revision = self->network_is_known,
                              .revision = self->network_revision,
                              .broker = self->broker};
        mm_err_t err = write_blob("broker", &kept, sizeof kept);
        mm_wipe(&kept, sizeof kept);
        if (err != MM_OK) {
            return err;
        }
        self->broker_on_trial = false;
        (void)remove_value("broker_try"); // else at the next start
        return MM_OK;
    }
    mm_err_t err = remove_value("broker_try");
    if (err == MM_OK && self->broker_on_trial) {
        (void)use_kept_broker(self); // unreadable: the configuration's
    }
    return err;
}

// Kept under which network? MM_ERR_NOT_FOUND: nothing that can be read is there.
static mm_err_t find_revision(const char *key, bool is_router, bool *has_revision, uint32_t *revision) {
    kept_router_t router = {0};
    kept_broker_t broker = {0};
    mm_err_t err = is_router ? read_blob(key, &router, sizeof router) : read_blob(key, &broker, sizeof broker);
    *has_revision = is_router ? router.has_revision : broker.has_revision;
    *revision = is_router ? router.revision : broker.revision;
    mm_wipe(&router, sizeof router);
    mm_wipe(&broker, sizeof broker);
    return err == MM_ERR_VERSION ? MM_ERR_NOT_FOUND : err;
}

static mm_err_t keep_under_this_network(const mm_esp_settings_t *self, bool is_router) {
    kept_router_t router = {KEPT_VERSION, true, self->network_revision, self->router};
    kept_broker_t broker = {KEPT_VERSION, true, self->network_revision, self->broker};
    mm_err_t err =
        is_router ? write_blob("router", &router, sizeof router) : write_blob("broker", &broker, sizeof broker);
    mm_wipe(&router, sizeof router);
    mm_wipe(&broker, sizeof broker);
    return err;
}

mm_err_t mm_esp_settings_use_network(mm_esp_settings_t *self, uint32_t revision) {
    MM_ASSERT(!self->router_on_trial && !self->broker_on_trial);
    self->network_is_known = true;
    self->network_revision = revision;
    mm_err_t worst = self->is_open ? MM_OK : MM_ERR_STORAGE;
    for (int i = 0; i < 2 && self->is_open; i++) {
        bool is_router = i == 0;
        const char *key = is_router ? "router" : "broker";
        bool *has_one = is_router ? &self->has_router : &self->has_broker;
        bool has_revision;
        uint32_t kept_revision;
        mm_err_t err = *has_one ? find_revision(key, is_router, &has_revision, &kept_revision) : MM_ERR_NOT_FOUND;
        if (err == MM_OK && !has_revision) {
            err = keep_under_this_network(self, is_router);
        } else if (err == MM_OK && kept_revision != revision) {
            *has_one = false;
            mm_wipe(is_router ? (void *)&self->router : &self->broker,
                    is_router ? sizeof self->router : sizeof self->broker);
            err = remove_value(key);
        }
        worst = err == MM_ERR_STORAGE ? err : worst;
    }
    return worst;
}

mm_err_t mm_esp_settings_forget_kept(mm_esp_settings_t *self) {
    static const char *const keys[] = {"router_try", "broker_try", "router", "broker"};
    mm_err_t err = MM_OK;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0] && err == MM_OK; i++) {
        err = remove_value(keys[i]);
    }
    if (err == MM_OK) {
        (void)use_kept_router(self);
        (void)use_kept_broker(self);
    }
    return err;
}

mm_err_t mm_esp_settings_note_fram(mm_esp_settings_t *self) {
    if (self->fram_worked) {
        return MM_OK;
    }
    const uint8_t yes = 1;
    mm_err_t err = self->is_open ? write_blob("fram", &yes, sizeof yes) : MM_ERR_STORAGE;
    self->fram_worked = err == MM_OK;
    return err;
}

// --- update --------------------------------------------------------------------------------------------------------

mm_err_t mm_esp_settings_set_ota_url(mm_esp_settings_t *self, const char *url, size_t url_chars) {
    if (url_chars == 0 || url_chars > MM_ESP_OTA_URL_CHARS_MAX) {
        return MM_ERR_ARG;
    }
    char text[MM_ESP_OTA_URL_CHARS_MAX + 1] = {0};
    for (size_t i = 0; i < url_chars; i++) {
        if (url[i] <= 0x20 || url[i] >= 0x7F) {
            return MM_ERR_ARG;
        }
        text[i] = url[i];
    }
    return self->is_open ? write_blob("ota_url", text, sizeof text) : MM_ERR_STORAGE;
}

mm_err_t mm_esp_settings_get_ota_url(mm_esp_settings_t *self, char url[MM_ESP_OTA_URL_CHARS_MAX + 1]) {
    mm_err_t err = self->is_open ? read_blob("ota_url", url, MM_ESP_OTA_URL_CHARS_MAX + 1) : MM_ERR_STORAGE;
    if (err == MM_OK && !is_terminated(url, MM_ESP_OTA_URL_CHARS_MAX + 1)) {
        err = MM_ERR_NOT_FOUND;
    }
    return err == MM_ERR_VERSION ? MM_ERR_NOT_FOUND : err;
}

// --- what the factory wrote ----------------------------------------------------------------------------------------

static bool pop_is_good(const char *pop) {
    size_t chars = strnlen(pop, MM_ESP_POP_CHARS_MAX + 1);
    for (size_t i = 0; i < chars; i++) {
        if (pop[i] <= 0x20 || pop[i] >= 0x7F) {
            return false;
        }
    }
    return chars >= MM_ESP_POP_CHARS_MIN && chars <= MM_ESP_POP_CHARS_MAX;
}

// The characters that count. False: NVS refused.
static bool read_legacy_secret(mm_esp_settings_t *self, nvs_handle_t handle) {
    char text[MM_ESP_LEGACY_SECRET_CHARS_MAX + 1] = "";
    size_t text_bytes = sizeof text;
    esp_err_t err = nvs_get_str(handle, "legacy", text, &text_bytes);
    size_t chars = strnlen(text, sizeof self->legacy_secret);
    self->has_legacy_secret = err == ESP_OK && chars > 0;
    if (self->has_legacy_secret) {
        memcpy(self->legacy_secret, text, chars);
    }
    mm_wipe(text, sizeof text);
    return err == ESP_OK || err == ESP_ERR_NVS_NOT_FOUND;
}

static mm_err_t read_device(mm_esp_settings_t *self) {
    nvs_handle_t handle;
    esp_err_t err = nvs_open_from_partition(DEVICE_PARTITION, DEVICE_SPACE, NVS_READONLY, &handle);
    if (err == ESP_ERR_NVS_NOT_FOUND) {
        return MM_OK; // the factory has not been here
    }
    if (err != ESP_OK) {
        return MM_ERR_STORAGE;
    }
    size_t key_bytes = sizeof self->key;
    esp_err_t key_err = nvs_get_blob(handle, "key", self->key, &key_bytes);
    self->has_key = key_err == ESP_OK && key_bytes == sizeof self->key;
    size_t pop_bytes = sizeof self->pop;
    esp_err_t pop_err = nvs_get_str(handle, "pop", self->pop, &pop_bytes);
    bool legacy_good = read_legacy_secret(self, handle);
    nvs_close(handle);
    if (!self->has_key) {
        mm_wipe(self->key, sizeof self->key);
    }
    if (pop_err != ESP_OK || !pop_is_good(self->pop)) {
        mm_wipe(self->pop, sizeof self->pop);
    }
    bool refused = !legacy_good || (key_err != ESP_OK && key_err != ESP_ERR_NVS_NOT_FOUND) ||
                   (pop_err != ESP_OK && pop_err != ESP_ERR_NVS_NOT_FOUND);
    return refused ? MM_ERR_STORAGE : MM_OK;
}

mm_err_t mm_esp_settings_write_device(mm_esp_settings_t *self, const uint8_t key[MM_ESP_DEVICE_KEY_BYTES],
                                      const char *pop) {
    if (self->has_key) {
        return MM_ERR_STATE;
    }
    if (!pop_is_good(pop)) {
        return MM_ERR_ARG;
    }
    nvs_handle_t handle;
    if (nvs_open_from_partition(DEVICE_PARTITION, DEVICE_SPACE, NVS_READWRITE, &handle) != ESP_OK) {
        return MM_ERR_STORAGE;
    }
    // A key that could not be read is a key, too.
    size_t key_bytes = 0;
    esp_err_t err = nvs_get_blob(handle, "key", NULL, &key_bytes);
    if (err != ESP_ERR_NVS_NOT_FOUND) {
        nvs_close(handle);
        return err == ESP_OK ? MM_ERR_STATE : MM_ERR_STORAGE;
    }
    // The key last: with it the device is complete.
    bool good = nvs_set_str(handle, "pop", pop) == ESP_OK &&
                nvs_set_blob(handle, "key", key, MM_ESP_DEVICE_KEY_BYTES) == ESP_OK && nvs_commit(handle) == ESP_OK;
    nvs_close(handle);
    return good ? read_device(self) : MM_ERR_STORAGE;
}

// --- open and close ------------------------------------------------------------------------------------------------

static bool open_node_partition(void) {
    esp_err_t err = nvs_flash_init_partition(NODE_PARTITION);
    if (err == ESP_ERR_NVS_NO_FREE_PAGES || err == ESP_ERR_NVS_NEW_VERSION_FOUND) {
        mm_esp_log(MM_LOG_WARNING, "NVS is unusable and is erased: what commands changed is gone");
        err = nvs_flash_erase_partition(NODE_PARTITION);
        if (err == ESP_OK) {
            err = nvs_flash_init_partition(NODE_PARTITION);
        }
    }
    return err == ESP_OK;
}

static mm_err_t end_trials(mm_esp_settings_t *self) {
    static const char *const keys[] = {"router_try", "broker_try"};
    mm_err_t err = MM_OK;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        // Only looks whether it is there: what is in it is not used.
        uint8_t first;
        mm_err_t found = read_blob(keys[i], &first, sizeof first);
        if (found == MM_OK || found == MM_ERR_VERSION) {
            self->trial_was_cut_short = true;
            found = remove_value(keys[i]);
        }
        err = found == MM_ERR_STORAGE ? found : err;
    }
    return err;
}

static mm_err_t count_start(mm_esp_settings_t *self) {
    uint32_t starts = 0;
    mm_err_t err = read_blob("starts", &starts, sizeof starts);
    if (err == MM_ERR_STORAGE) {
        return err;
    }
    starts = err == MM_OK && starts < UINT32_MAX ? starts + 1 : 1;
    err = write_blob("starts", &starts, sizeof starts);
    self->start_count = err == MM_OK ? starts : 0;
    return err;
}

static mm_err_t worse(mm_err_t first, mm_err_t second) {
    return first != MM_OK ? first : second;
}

// Unknown counts as worked: registers that are missing must not be taken for new ones.
static mm_err_t read_fram_worked(mm_esp_settings_t *self) {
    uint8_t yes = 0;
    mm_err_t err = read_blob("fram", &yes, sizeof yes);
    self->fram_worked = err != MM_ERR_NOT_FOUND;
    return err == MM_ERR_STORAGE ? err : MM_OK;
}

mm_err_t mm_esp_settings_open(mm_esp_settings_t *self) {
    *self = (mm_esp_settings_t){0};
    mm_err_t err = MM_ERR_STORAGE;
    // Never erased, whatever the SDK says of it.
    if (nvs_flash_init_partition(DEVICE_PARTITION) == ESP_OK) {
        err = read_device(self);
    }
    if (!open_node_partition()) {
        return MM_ERR_STORAGE;
    }
    self->is_open = true;
    err = worse(err, end_trials(self));
    err = worse(err, use_kept_router(self));
    err = worse(err, use_kept_broker(self));
    err = worse(err, read_fram_worked(self));
    return worse(err, count_start(self));
}

void mm_esp_settings_close(mm_esp_settings_t *self) {
    mm_wipe(self, sizeof *self);
}
