// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "app.h"
#include "demo.h"

// The first line says whose directory it is: one without it is never touched.
#define MARKER_NAME "demo.state"
#define MARKER_HEAD "meshmeter demo state, version 1\n"
#define CLOCK_NAME "clock"
#define STATE_BYTES_MAX 65536
#define CLOCK_PERIOD_S 1

static int64_t real_us(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t demo_wall_us(const demo_t *demo) {
    return demo->origin_utc_us + (real_us() - demo->origin_real_us) * (int64_t)demo->options.speed;
}

// What must not change under a state directory, as text.
static void describe(const demo_t *demo, char *text, size_t text_bytes) {
    const demo_options_t *o = &demo->options;
    snprintf(text, text_bytes, "nodes=%u\ndata=%s\nspeed=%" PRIu32 "\nseed=%" PRIu64 "\nfram=%s\ntz=%s\n%s", o->nodes,
             o->data_directory, o->speed, o->seed, o->with_fram ? "yes" : "no", o->tz, o->parked ? "parked=yes\n" : "");
}

static bool is_empty_directory(const char *path) {
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return false;
    }
    bool empty = true;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        empty = empty && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0);
    }
    (void)closedir(directory);
    return empty;
}

// A run without --state and without --for keeps its state where the next one like it finds it.
static bool choose_directory(demo_t *demo) {
    demo_options_t *o = &demo->options;
    if (o->state_given) {
        return true;
    }
    if (o->for_s > 0) {
        const char *base = getenv("TMPDIR");
        snprintf(o->state_directory, sizeof o->state_directory, "%s/meshmeter-demo-XXXXXX",
                 base != NULL && strlen(base) < 60 ? base : "/tmp");
        demo->temporary = !o->keep_state;
        return mkdtemp(o->state_directory) != NULL;
    }
    (void)mkdir("demo-state", 0700);
    snprintf(o->state_directory, sizeof o->state_directory, "demo-state/%s-%u-nodes-speed-%" PRIu32 "%s",
             o->data_directory[0] == '\0' ? "model" : "data", o->nodes, o->speed, o->parked ? "-parked" : "");
    return true;
}

// One demo at a time: the lock lives as long as the process.
static bool lock_directory(const char *directory) {
    char path[DEMO_PATH_BYTES + 32];
    if (!app_path(path, sizeof path, directory, "lock")) {
        return false;
    }
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return file >= 0 && flock(file, LOCK_EX | LOCK_NB) == 0;
}

bool demo_make_secret(const char *directory, const char *name, const char *prefix) {
    uint8_t bytes[32];
    char path[DEMO_PATH_BYTES + 32];
    char text[128];
    // wait: the kernel's random numbers are ready, once after power-up | until outside: the kernel | then the demo
    // starts
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes || !app_path(path, sizeof path, directory, name)) {
        return false;
    }
    int used = snprintf(text, sizeof text, "%s", prefix);
    for (size_t i = 0; i < sizeof bytes; i++) {
        used += snprintf(text + used, sizeof text - (size_t)used, "%02x", bytes[i]);
    }
    snprintf(text + used, sizeof text - (size_t)used, "\n");
    return app_write_file(path, text);
}

static int begin_state(demo_t *demo) {
    demo_options_t *o = &demo->options;
    char marker[DEMO_PATH_BYTES + 32];
    char text[2048];
    char described[1536];
    int64_t now_s = real_us() / 1000000;
    demo->begin_utc_s = o->start_utc_s >= 0 ? o->start_utc_s : demo->file_count > 0 ? demo->files[0].first_s : now_s;
    demo->origin_real_us = real_us();
    demo->origin_utc_us = demo->begin_utc_s * 1000000;
    describe(demo, described, sizeof described);
    snprintf(text, sizeof text, MARKER_HEAD "%sbegin=%" PRId64 "\n", described, demo->begin_utc_s);
    bool good = app_path(marker, sizeof marker, o->state_directory, MARKER_NAME) &&
                demo_make_secret(o->state_directory, "mesh.key", "") &&
                demo_make_secret(o->state_directory, "hq.password", "hq:") &&
                demo_make_secret(o->state_directory, "gateway.password", "gateway-" DEMO_SITE ":") &&
                app_write_file(marker, text);
    return good ? APP_OK
                : app_error(APP_ENVIRONMENT, "demo", "cannot write into the state directory %s: %s", o->state_directory,
                            strerror(errno));
}

// The clock goes on a little behind the last remembered instant, never before it: meters do not run backwards.
static int resume_clock(demo_t *demo) {
    char path[DEMO_PATH_BYTES + 32];
    size_t size = 0;
    int64_t last_s = demo->begin_utc_s;
    char *text =
        app_path(path, sizeof path, demo->options.state_directory, CLOCK_NAME) ? app_read_file(path, 64, &size) : NULL;
    if (text != NULL) {
        text[strcspn(text, "\n")] = '\0';
        if (!app_parse_number(text, demo->begin_utc_s, INT64_MAX / 2000000, &last_s)) {
            free(text);
            return app_error(APP_ENVIRONMENT, "demo", "%s is damaged; remove the directory to begin anew", path);
        }
        free(text);
    }
    int64_t margin_s = 2 * CLOCK_PERIOD_S * (int64_t)demo->options.speed;
    demo->origin_real_us = real_us();
    demo->origin_utc_us = (last_s + margin_s) * 1000000;
    // At the speed of life the system clock is the clock, unless data of another time are replayed.
    if (demo->options.speed == 1 && demo->file_count == 0 && demo->origin_utc_us < demo->origin_real_us) {
        demo->origin_utc_us = demo->origin_real_us;
    }
    demo->resumed = true;
    return APP_OK;
}

static int resume_state(demo_t *demo, const char *text) {
    const demo_options_t *o = &demo->options;
    char described[1536];
    describe(demo, described, sizeof described);
    const char *body = text + strlen(MARKER_HEAD);
    if (strncmp(body, described, strlen(described)) != 0) {
        return app_error(APP_USAGE, "demo",
                         "the state directory %s was made with other options:\n%s\nName another one with --state, or "
                         "remove this one to begin anew.",
                         o->state_directory, body);
    }
    if (sscanf(body + strlen(described), "begin=%" SCNd64, &demo->begin_utc_s) != 1) {
        return app_error(APP_ENVIRONMENT, "demo", "%s/" MARKER_NAME " is damaged; remove the directory to begin anew",
                         o->state_directory);
    }
    return resume_clock(demo);
}

int demo_state_open(demo_t *demo) {
    demo_options_t *o = &demo->options;
    if (!choose_directory(demo)) {
        return app_error(APP_ENVIRONMENT, "demo", "cannot make a temporary directory: %s", strerror(errno));
    }
    if (mkdir(o->state_directory, 0700) != 0 && errno != EEXIST) {
        return app_error(APP_ENVIRONMENT, "demo", "cannot make the state directory %s: %s", o->state_directory,
                         strerror(errno));
    }
    char *absolute = realpath(o->state_directory, NULL);
    if (absolute == NULL || strlen(absolute) > 64) {
        int code = app_error(APP_ENVIRONMENT, "demo",
                             "the path of the state directory %s is too long for sockets in it (64 characters); name a "
                             "shorter one with --state",
                             absolute != NULL ? absolute : o->state_directory);
        free(absolute);
        return code;
    }
    snprintf(o->state_directory, sizeof o->state_directory, "%s", absolute);
    free(absolute);
    char marker[DEMO_PATH_BYTES + 32];
    size_t size = 0;
    char *text = app_path(marker, sizeof marker, o->state_directory, MARKER_NAME)
                     ? app_read_file(marker, STATE_BYTES_MAX, &size)
                     : NULL;
    if (text == NULL && !is_empty_directory(o->state_directory)) {
        return app_error(APP_USAGE, "demo",
                         "%s is not empty and not a state directory of the demo; it is left alone. Name "
                         "another one with --state.",
                         o->state_directory);
    }
    if (text != NULL && strncmp(text, MARKER_HEAD, strlen(MARKER_HEAD)) != 0) {
        free(text);
        return app_error(APP_USAGE, "demo",
                         "%s is of another version of the demo; it is left alone. Name another "
                         "directory with --state.",
                         marker);
    }
    if (!lock_directory(o->state_directory)) {
        free(text);
        return app_error(APP_ENVIRONMENT, "demo", "another demo is running in %s", o->state_directory);
    }
    int code = text != NULL ? resume_state(demo, text) : begin_state(demo);
    free(text);
    demo->end_utc_s = o->for_s > 0 ? demo->origin_utc_us / 1000000 + o->for_s * (int64_t)o->speed : INT64_MAX;
    return code;
}

void demo_state_remember_clock(const demo_t *demo) {
    char path[DEMO_PATH_BYTES + 32];
    char text[32];
    snprintf(text, sizeof text, "%" PRId64 "\n", demo_wall_us(demo) / 1000000);
    if (app_path(path, sizeof path, demo->options.state_directory, CLOCK_NAME) && !app_write_file(path, text)) {
        (void)app_error(0, "demo", "cannot write %s: %s", path, strerror(errno));
    }
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place) {
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

void demo_state_remove(const demo_t *demo) {
    if (demo->temporary) {
        (void)nftw(demo->options.state_directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    }
}
