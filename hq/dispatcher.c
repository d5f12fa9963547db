// SPDX-License-Identifier: Apache-2.0
#include "dispatcher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef char site_name_t[MM_SITE_CHARS_MAX + 1];

typedef struct {
    site_name_t *names;
    size_t count;
    size_t capacity;
    bool overflowed; ///< out of memory: some are missing
} sites_t;

struct mm_dispatcher {
    mm_desk_t *desk;
    mm_dispatcher_publish_fn publish;
    void *context;
    sites_t touched;
    bool all; ///< every site with something open is due
    bool unpublished;
    bool failing;
    // wait: time to look for expired commands | until MM_DISPATCHER_SWEEP_US | then every site with open commands is
    // looked at
    int64_t sweep_at_us;
    // wait: time to publish again what has no answer | until MM_DISPATCHER_REPEAT_US | then it is published again
    int64_t repeat_at_us;
    // wait: the database works again | until MM_DISPATCHER_RETRY_US | then it is tried again
    int64_t retry_at_us;
};

static bool contains(const sites_t *sites, const char *name) {
    for (size_t index = 0; index < sites->count; index++) {
        if (strcmp(sites->names[index], name) == 0) {
            return true;
        }
    }
    return sites->overflowed;
}

static void add(sites_t *sites, const char *name) {
    if (sites->count == sites->capacity) {
        size_t capacity = sites->capacity == 0 ? 16 : sites->capacity * 2;
        site_name_t *grown = realloc(sites->names, capacity * sizeof(site_name_t));
        if (grown == NULL) {
            sites->overflowed = true;
            return;
        }
        sites->names = grown;
        sites->capacity = capacity;
    }
    snprintf(sites->names[sites->count++], sizeof(site_name_t), "%s", name);
}

mm_dispatcher_t *mm_dispatcher_create(mm_desk_t *desk, mm_dispatcher_publish_fn publish, void *context) {
    mm_dispatcher_t *self = calloc(1, sizeof *self);
    if (self != NULL) {
        self->desk = desk;
        self->publish = publish;
        self->context = context;
        self->all = true;
        self->unpublished = true;
    }
    return self;
}

void mm_dispatcher_destroy(mm_dispatcher_t *self) {
    if (self != NULL) {
        free(self->touched.names);
        free(self);
    }
}

static bool publish_message(void *context, const char *site, const void *bytes, size_t bytes_count) {
    mm_dispatcher_t *self = context;
    self->publish(self->context, site, bytes, bytes_count);
    return true;
}

bool mm_dispatcher_publish_all(mm_dispatcher_t *self) {
    mm_hq_error_t error;
    self->unpublished = mm_dispatch_messages(self->desk, publish_message, self, &error) != MM_DESK_OK;
    return !self->unpublished;
}

void mm_dispatcher_touch(mm_dispatcher_t *self, const char *site) {
    if (!self->all && !contains(&self->touched, site)) {
        add(&self->touched, site);
    }
}

void mm_dispatcher_wake(mm_dispatcher_t *self) {
    self->all = true;
}

// --- poll

static bool note_site(void *context, const char *site) {
    add(context, site);
    return true;
}

static void note_failure(mm_dispatcher_t *self, const mm_hq_now_t *now, const char *cause) {
    if (!self->failing) {
        mm_hq_log("commands cannot be sent: %s; trying again", cause);
    }
    self->failing = true;
    self->all = true;
    // A commit may have happened although its end was not heard: what it made is published in any case.
    self->repeat_at_us = 0;
    self->retry_at_us = now->monotonic_us + MM_DISPATCHER_RETRY_US;
}

static bool dispatch(mm_dispatcher_t *self, const char *site, const mm_hq_now_t *now, bool repeat) {
    mm_hq_error_t error;
    uint8_t bytes[MM_DOWNLINK_BYTES_MAX];
    size_t bytes_count;
    bool changed;
    mm_desk_result_t result =
        repeat ? mm_dispatch_site_anew(self->desk, site, now->utc_us, bytes, &bytes_count, &changed, &error)
               : mm_dispatch_site(self->desk, site, now->utc_us, bytes, &bytes_count, &changed, &error);
    if (result != MM_DESK_OK) {
        note_failure(self, now, error.text);
        return false;
    }
    if (changed || repeat) {
        self->publish(self->context, site, bytes, bytes_count);
    }
    return true;
}

static bool is_due(const mm_dispatcher_t *self, int64_t now_us) {
    if (self->failing && now_us < self->retry_at_us) {
        return false;
    }
    return self->all || self->touched.count > 0 || self->touched.overflowed || now_us >= self->sweep_at_us ||
           now_us >= self->repeat_at_us;
}

void mm_dispatcher_poll(mm_dispatcher_t *self, const mm_hq_now_t *now) {
    if (!is_due(self, now->monotonic_us)) {
        return;
    }
    mm_hq_error_t error;
    sites_t open = {0};
    bool repeat = now->monotonic_us >= self->repeat_at_us;
    bool all = self->all || repeat || now->monotonic_us >= self->sweep_at_us;
    if (mm_dispatch_sites(self->desk, note_site, &open, &error) != MM_DESK_OK) {
        note_failure(self, now, error.text);
        free(open.names);
        return;
    }
    self->all = open.overflowed;
    bool good = !self->unpublished || mm_dispatcher_publish_all(self);
    if (!good) {
        note_failure(self, now, "what was sent before cannot be read");
    }
    for (size_t index = 0; index < open.count && good; index++) {
        if (all || contains(&self->touched, open.names[index])) {
            good = dispatch(self, open.names[index], now, repeat);
        }
    }
    if (good && self->failing) {
        mm_hq_log("commands can be sent again");
        self->failing = false;
    }
    self->touched.count = 0;
    self->touched.overflowed = false;
    self->sweep_at_us = all ? now->monotonic_us + MM_DISPATCHER_SWEEP_US : self->sweep_at_us;
    self->repeat_at_us = repeat && good ? now->monotonic_us + MM_DISPATCHER_REPEAT_US : self->repeat_at_us;
    free(open.names);
}

int64_t mm_dispatcher_next_deadline_us(const mm_dispatcher_t *self) {
    if (self->failing) {
        return self->retry_at_us;
    }
    if (self->all || self->touched.count > 0 || self->touched.overflowed) {
        return 0;
    }
    return self->sweep_at_us < self->repeat_at_us ? self->sweep_at_us : self->repeat_at_us;
}
