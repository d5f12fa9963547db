// SPDX-License-Identifier: Apache-2.0
#include "hq.h"

#include "broker.h"
#include "dispatcher.h"
#include "http.h"
#include "ingest.h"
#include "vending.h"

#include "meshmeter/calendar.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <unistd.h>

#define POLL_MS_MAX 1000
#define DAY_US INT64_C(86400000000)
#define BOOKS_RETRY_US INT64_C(60000000)

typedef struct {
    mm_hq_options_t options;
    mm_hq_stats_t stats;
    mm_store_t *store;
    mm_ingest_t *ingest;
    mm_broker_t *broker;
    mm_desk_t *desk;
    mm_dispatcher_t *dispatcher;
    mm_http_t *http;
    int lock_file;     ///< held while this HQ has the database
    int changed_event; ///< the page's thread has changed something at its desk
    int64_t books_day; ///< the last one whose books were written; days since 1970
    // wait: the books of the day can be written | until BOOKS_RETRY_US | then they are tried again
    int64_t books_retry_at;
} hq_t;

// The only thing a signal handler may do here: wake the loop.
static int s_wake_pipe[2] = {-1, -1};

static void on_signal(int signal_no) {
    (void)signal_no;
    int kept = errno;
    // no wait: the pipe has O_NONBLOCK
    ssize_t ignored = write(s_wake_pipe[1], "", 1);
    (void)ignored;
    errno = kept;
}

static bool catch_signals(mm_hq_error_t *error) {
    // Without SA_RESTART: a connect that hangs ends too.
    struct sigaction action = {.sa_handler = on_signal};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    if (pipe2(s_wake_pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
        mm_hq_error_set(error, "pipe: %s", strerror(errno));
        return false;
    }
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    return true;
}

static void release_signals(void) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    if (s_wake_pipe[0] < 0) {
        return;
    }
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    close(s_wake_pipe[0]);
    close(s_wake_pipe[1]);
    s_wake_pipe[0] = s_wake_pipe[1] = -1;
}

// --- wiring

static void on_message(void *context, const char *topic, const void *payload, size_t payload_bytes) {
    hq_t *self = context;
    mm_hq_now_t now = mm_hq_clock_now(&self->options.clock);
    mm_ingest_push(self->ingest, topic, payload, payload_bytes, &now);
}

static void on_ack(void *context, const char *site, const void *bytes, size_t bytes_count) {
    hq_t *self = context;
    mm_broker_offer_ack(self->broker, site, bytes, bytes_count);
    // An answer to a command may have been in it.
    mm_dispatcher_touch(self->dispatcher, site);
}

static void on_batch(void *context, const char *site, const void *bytes, size_t bytes_count) {
    hq_t *self = context;
    mm_broker_offer_commands(self->broker, site, bytes, bytes_count);
}

// In the page's thread.
static void on_changed(void *context) {
    const hq_t *self = context;
    // no wait: the event has EFD_NONBLOCK; one that is full says the same
    ssize_t ignored = write(self->changed_event, &(uint64_t){1}, sizeof(uint64_t));
    (void)ignored;
}

static void take_changed(hq_t *self) {
    uint64_t count;
    // no wait: the event has EFD_NONBLOCK
    if (read(self->changed_event, &count, sizeof count) == (ssize_t)sizeof count) {
        mm_dispatcher_wake(self->dispatcher);
    }
}

static bool check_options(const mm_hq_options_t *options, mm_hq_error_t *error) {
    mm_tz_t parsed;
    if (options->database_path == NULL || options->broker_url == NULL || options->http_address == NULL) {
        mm_hq_error_set(error, "database, broker and http address are needed");
        return false;
    }
    if (options->tz != NULL && (strlen(options->tz) > MM_TZ_CHARS_MAX || mm_tz_parse(options->tz, &parsed) != MM_OK)) {
        mm_hq_error_set(error, "tz %s: not a POSIX time zone, like CET-1CEST,M3.5.0,M10.5.0/3", options->tz);
        return false;
    }
    for (size_t index = 0; index < options->site_tz_count; index++) {
        char topic[MM_SITE_CHARS_MAX + 16];
        char site[MM_SITE_CHARS_MAX + 1];
        const mm_hq_site_tz_t *entry = &options->site_tzs[index];
        snprintf(topic, sizeof topic, "meter/%s/info", entry->site);
        if (strlen(entry->site) > MM_SITE_CHARS_MAX || !mm_ingest_topic_site(topic, site)) {
            mm_hq_error_set(error, "tz %s=%s: a site is 1 to %d of a-z, 0-9 and -", entry->site, entry->tz,
                            MM_SITE_CHARS_MAX);
            return false;
        }
        if (strlen(entry->tz) > MM_TZ_CHARS_MAX || mm_tz_parse(entry->tz, &parsed) != MM_OK) {
            mm_hq_error_set(error, "tz %s=%s: not a POSIX time zone, like CET-1CEST,M3.5.0,M10.5.0/3", entry->site,
                            entry->tz);
            return false;
        }
    }
    return true;
}

// The default goes into the database for every site that comes; those named in the options over it.
static bool set_time_zones(hq_t *self, mm_hq_error_t *error) {
    const mm_hq_options_t *options = &self->options;
    bool good = mm_store_set_default_tz(self->store, options->tz != NULL ? options->tz : "") == MM_STORE_OK;
    for (size_t index = 0; good && index < options->site_tz_count; index++) {
        good = mm_store_set_site_tz(self->store, options->site_tzs[index].site, options->site_tzs[index].tz) ==
               MM_STORE_OK;
    }
    if (!good) {
        mm_hq_error_set(error, "database %s: %s", options->database_path, mm_store_error(self->store));
    }
    return good;
}

static void refuse_second(const hq_t *self, mm_hq_error_t *error) {
    char owner[16] = "";
    ssize_t chars = pread(self->lock_file, owner, sizeof owner - 1, 0);
    owner[chars > 0 ? strcspn(owner, "\n") : 0] = '\0';
    mm_hq_error_set(error,
                    "database %s: another HQ has it%s%s; stop that one first, or give this one a database and a broker"
                    " client id of its own",
                    self->options.database_path, owner[0] != '\0' ? ", process " : "", owner);
}

// Two HQs on one database would give out the same counters. The lock is a file of its own: SQLite's locks would go with
// the first descriptor of the database that is closed. It stands beside the file itself, whatever link names it.
static bool lock_database(hq_t *self, mm_hq_error_t *error) {
    char path[PATH_MAX + 8];
    char real[PATH_MAX];
    const char *database = realpath(self->options.database_path, real);
    database = database != NULL ? database : self->options.database_path; // it is to be made
    if ((size_t)snprintf(path, sizeof path, "%s.lock", database) >= sizeof path) {
        mm_hq_error_set(error, "database %s: the path is too long", database);
        return false;
    }
    self->lock_file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (self->lock_file < 0) {
        mm_hq_error_set(error, "%s: %s", path, strerror(errno));
        return false;
    }
    if (flock(self->lock_file, LOCK_EX | LOCK_NB) != 0) {
        refuse_second(self, error);
        return false;
    }
    // For the message above only: a lock does not tell whose it is.
    if (ftruncate(self->lock_file, 0) != 0 || dprintf(self->lock_file, "%ld\n", (long)getpid()) < 0) {
        mm_hq_log("%s cannot be written: %s", path, strerror(errno));
    }
    return true;
}

static int start(hq_t *self, mm_hq_error_t *error) {
    const mm_hq_options_t *options = &self->options;
    const mm_broker_options_t broker_options = {.url = options->broker_url,
                                                .client_id = options->broker_client_id,
                                                .password_file = options->broker_password_file,
                                                .ca_file = options->broker_ca_file,
                                                .mqtt311 = options->broker_mqtt311};
    const mm_http_options_t http_options = {.address = options->http_address,
                                            .database_path = options->database_path,
                                            .web_directory = options->web_directory,
                                            .displays_directory = options->displays_directory,
                                            .stats = &self->stats,
                                            .clock = options->clock,
                                            .changed = on_changed,
                                            .changed_context = self};
    if (!check_options(options, error)) {
        return MM_HQ_USAGE;
    }
    self->broker = mm_broker_create(&broker_options, &self->stats, on_message, self, error);
    if (self->broker == NULL) {
        return MM_HQ_USAGE;
    }
    if (!lock_database(self, error)) {
        return MM_HQ_ENVIRONMENT;
    }
    self->store = mm_store_open(options->database_path, NULL, error);
    if (self->store == NULL || !set_time_zones(self, error)) {
        return MM_HQ_ENVIRONMENT;
    }
    self->desk = mm_desk_open(NULL, options->database_path, error);
    self->changed_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->desk == NULL || self->changed_event < 0) {
        return MM_HQ_ENVIRONMENT;
    }
    self->dispatcher = mm_dispatcher_create(self->desk, on_batch, self);
    self->ingest = self->dispatcher != NULL ? mm_ingest_create(self->store, &self->stats, on_ack, self) : NULL;
    self->http = self->ingest != NULL ? mm_http_start(&http_options, error) : NULL;
    if (self->http == NULL || !catch_signals(error)) {
        return MM_HQ_ENVIRONMENT;
    }
    return MM_HQ_OK;
}

static void stop(hq_t *self) {
    if (self->ingest != NULL) {
        mm_hq_now_t now = mm_hq_clock_now(&self->options.clock);
        mm_ingest_poll(self->ingest, &now, true);
    }
    mm_http_stop(self->http);
    mm_broker_destroy(self->broker);
    mm_ingest_destroy(self->ingest);
    mm_dispatcher_destroy(self->dispatcher);
    mm_desk_close(self->desk);
    mm_store_close(self->store);
    if (self->lock_file >= 0) {
        close(self->lock_file);
    }
    if (self->changed_event >= 0) {
        close(self->changed_event);
    }
    release_signals();
}

// --- loop

static bool is_readable(int socket) {
    struct pollfd item = {.fd = socket, .events = POLLIN};
    return socket >= 0 && poll(&item, 1, 0) > 0;
}

static int timeout_ms(const hq_t *self, int64_t now_us) {
    int64_t deadline_us = mm_broker_next_deadline_us(self->broker);
    int64_t ingest_us = mm_ingest_next_deadline_us(self->ingest);
    int64_t dispatcher_us =
        mm_ingest_is_writing(self->ingest) ? ingest_us : mm_dispatcher_next_deadline_us(self->dispatcher);
    deadline_us = ingest_us < deadline_us ? ingest_us : deadline_us;
    deadline_us = dispatcher_us < deadline_us ? dispatcher_us : deadline_us;
    if (deadline_us <= now_us) {
        return 0;
    }
    int64_t left_us = deadline_us - now_us;
    return left_us / 1000 >= POLL_MS_MAX ? POLL_MS_MAX : (int)((left_us + 999) / 1000);
}

// Once in a UTC day, and after a start.
static void write_books(hq_t *self, const mm_hq_now_t *now) {
    mm_hq_error_t error;
    if (now->utc_us / DAY_US == self->books_day || now->monotonic_us < self->books_retry_at) {
        return;
    }
    if (mm_books_write_day(self->desk, now->utc_us, false, &error) == MM_DESK_OK) {
        self->books_day = now->utc_us / DAY_US;
    } else {
        mm_hq_log("the books of the day were not written: %s", error.text);
        self->books_retry_at = now->monotonic_us + BOOKS_RETRY_US;
    }
}

static void loop(hq_t *self) {
    for (;;) {
        mm_hq_now_t now = mm_hq_clock_now(&self->options.clock);
        int socket = mm_broker_socket(self->broker);
        bool wants_write = mm_broker_wants_write(self->broker);
        struct pollfd items[3] = {{.fd = s_wake_pipe[0], .events = POLLIN},
                                  {.fd = socket, .events = (short)(POLLIN | (wants_write ? POLLOUT : 0))},
                                  {.fd = self->changed_event, .events = POLLIN}};
        // wait: the next event of HQ | until the earliest deadline of broker, ingest and dispatcher, POLL_MS_MAX at
        // most | then everything that is due is done
        int ready = poll(items, 3, timeout_ms(self, now.monotonic_us));
        if (ready > 0 && items[0].revents != 0) {
            return;
        }
        int events = ready > 0 ? items[1].revents : 0;
        now = mm_hq_clock_now(&self->options.clock);
        mm_broker_service(self->broker, (events & (POLLIN | POLLERR | POLLHUP)) != 0, (events & POLLOUT) != 0,
                          now.monotonic_us);
        now = mm_hq_clock_now(&self->options.clock);
        mm_ingest_poll(self->ingest, &now, !is_readable(mm_broker_socket(self->broker)));
        take_changed(self);
        if (!mm_ingest_is_writing(self->ingest)) {
            mm_dispatcher_poll(self->dispatcher, &now);
            write_books(self, &now);
        }
        // What was just committed is acknowledged without waiting for the next turn.
        mm_broker_service(self->broker, false, false, now.monotonic_us);
    }
}

int mm_hq_run(const mm_hq_options_t *options) {
    mm_hq_error_t error = {{0}};
    hq_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        mm_hq_log("out of memory");
        return MM_HQ_ENVIRONMENT;
    }
    self->options = *options;
    self->changed_event = -1;
    self->lock_file = -1;
    if (self->options.clock.speed > 1 && self->options.clock.origin_real_us == 0) {
        // Faster than the world, but from when on is not said: from now.
        const mm_hq_clock_t plain = {0};
        self->options.clock.origin_real_us = mm_hq_clock_now(&plain).real_us;
        self->options.clock.origin_utc_us = self->options.clock.origin_real_us;
    }
    int code = start(self, &error);
    if (code == MM_HQ_OK) {
        mm_hq_now_t now = mm_hq_clock_now(&self->options.clock);
        mm_ingest_ack_all(self->ingest, &now);
        printf("hq: listening http://%s\n", mm_http_address(self->http));
        fflush(stdout);
        mm_hq_log("listening on http://%s, database %s, broker %s", mm_http_address(self->http), options->database_path,
                  options->broker_url);
        loop(self);
        mm_hq_log("stopping");
    } else {
        mm_hq_log("%s", error.text);
    }
    stop(self);
    free(self);
    return code;
}
