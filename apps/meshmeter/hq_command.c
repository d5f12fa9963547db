// SPDX-License-Identifier: Apache-2.0
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app.h"
#include "hq.h"
#include "meshmeter/calendar.h"

#define SITES_MAX 256

static void print_help(void) {
    puts("usage: meshmeter hq --db FILE [--broker URL] [--http ADDR:PORT] [OPTION]…\n\n"
         "Run HQ until SIGINT or SIGTERM: take what the nodes send from the broker into the database, and show it.\n\n"
         "  --db FILE                     the database; made if it is absent\n"
         "  --broker URL                  mqtt://HOST[:PORT] or mqtts://HOST[:PORT] (mqtt://127.0.0.1:1883)\n"
         "  --broker-password-file FILE   one line USER:PASSWORD\n"
         "  --broker-ca-file FILE         certificates to check an mqtts broker against (the system's)\n"
         "  --broker-client-id ID         name of HQ's session at the broker (meshmeter-hq)\n"
         "  --mqtt-version V              5 or 3.1.1 (5)\n"
         "  --http ADDR:PORT              where page and API are (127.0.0.1:8080); port 0 chooses a free one\n"
         "  --web DIR                     files of the page (beside the program)\n"
         "  --displays DIR                pictures of the displays of nodes on this machine, as the demo has them;\n"
         "                                anybody who reaches the page sees them, challenge numbers included\n"
         "  --tz RULE                     time zone of sites, a POSIX rule (UTC)\n"
         "  --tz SITE=RULE                of one site; may be repeated\n"
         "  --speed N, --clock-origin-real-us T, --clock-origin-utc-us T\n"
         "                                a clock that runs faster, as the demo uses it\n\n"
         "Whoever reaches the page sees the readings; commands, sales and books want an operator's token (meshmeter\n"
         "operator). It is plain HTTP: bind it to an address that only you can reach, or put a proxy with HTTPS before "
         "it.");
}

enum {
    OPTION_REAL = 256,
    OPTION_UTC
};

static const struct option s_options[] = {{"db", required_argument, NULL, 'd'},
                                          {"broker", required_argument, NULL, 'b'},
                                          {"broker-password-file", required_argument, NULL, 'p'},
                                          {"broker-ca-file", required_argument, NULL, 'c'},
                                          {"broker-client-id", required_argument, NULL, 'i'},
                                          {"mqtt-version", required_argument, NULL, 'm'},
                                          {"http", required_argument, NULL, 'a'},
                                          {"web", required_argument, NULL, 'w'},
                                          {"displays", required_argument, NULL, 'o'},
                                          {"tz", required_argument, NULL, 't'},
                                          {"speed", required_argument, NULL, 's'},
                                          {"clock-origin-real-us", required_argument, NULL, OPTION_REAL},
                                          {"clock-origin-utc-us", required_argument, NULL, OPTION_UTC},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};

// A POSIX rule has no '=': what stands before one is a site.
static bool set_tz(mm_hq_options_t *options, mm_hq_site_tz_t *sites, char *text) {
    char *equals = strchr(text, '=');
    const char *rule = equals != NULL ? equals + 1 : text;
    mm_tz_t tz;
    if (mm_tz_parse(rule, &tz) != MM_OK) {
        (void)app_error(0, "hq", "--tz must be a POSIX rule such as CET-1CEST,M3.5.0,M10.5.0/3, not '%s'", rule);
        return false;
    }
    if (equals == NULL) {
        options->tz = rule;
        return true;
    }
    if (options->site_tz_count == SITES_MAX) {
        (void)app_error(0, "hq", "more than %d time zones of sites", SITES_MAX);
        return false;
    }
    *equals = '\0';
    sites[options->site_tz_count++] = (mm_hq_site_tz_t){.site = text, .tz = rule};
    return true;
}

static bool set_option(mm_hq_options_t *options, mm_hq_site_tz_t *sites, int option, char *text) {
    int64_t *number = option == 's'           ? &options->clock.speed
                      : option == OPTION_REAL ? &options->clock.origin_real_us
                                              : &options->clock.origin_utc_us;
    char address[64];
    uint16_t port = 0;
    switch (option) {
    case 'd':
        options->database_path = text;
        return true;
    case 'b':
        options->broker_url = text;
        return true;
    case 'p':
        options->broker_password_file = text;
        return true;
    case 'c':
        options->broker_ca_file = text;
        return true;
    case 'i':
        options->broker_client_id = text;
        return true;
    case 'm':
        options->broker_mqtt311 = strcmp(text, "3.1.1") == 0;
        return options->broker_mqtt311 || strcmp(text, "5") == 0 ||
               app_error(0, "hq", "--mqtt-version must be 5 or 3.1.1, not '%s'", text) != 0;
    case 'a':
        options->http_address = text;
        // An IPv6 address in brackets is for HQ itself to judge.
        return text[0] == '[' || app_parse_address(text, address, sizeof address, &port) ||
               app_error(0, "hq", "--http must be ADDR:PORT with a numeric address, not '%s'", text) != 0;
    case 'w':
        options->web_directory = text;
        return true;
    case 'o':
        options->displays_directory = text;
        return true;
    case 't':
        return set_tz(options, sites, text);
    case 's':
    case OPTION_REAL:
    case OPTION_UTC:
        return app_parse_number(text, option == 's' ? 1 : 0, option == 's' ? 100000 : INT64_MAX / 4, number) ||
               app_error(0, "hq", "'%s' is not a number in range", text) != 0;
    default:
        return app_error(0, "hq", "see meshmeter hq --help") != 0;
    }
}

int command_hq(int argc, char **argv) {
    static mm_hq_site_tz_t s_sites[SITES_MAX];
    static char s_web[4096];
    mm_hq_options_t options = {
        .broker_url = "mqtt://127.0.0.1:1883", .http_address = "127.0.0.1:8080", .site_tzs = s_sites};
    for (int option = 0; (option = getopt_long(argc, argv, "", s_options, NULL)) != -1;) {
        if (option == 'h') {
            print_help();
            return APP_OK;
        }
        if (!set_option(&options, s_sites, option, optarg)) {
            return APP_USAGE;
        }
    }
    if (options.database_path == NULL || optind != argc) {
        return app_error(APP_USAGE, "hq", "--db FILE is needed, and only options; see meshmeter hq --help");
    }
    char directory[3584];
    if (options.web_directory == NULL && app_program_directory(directory, sizeof directory) &&
        app_path(s_web, sizeof s_web, directory, "web") && access(s_web, R_OK) == 0) {
        options.web_directory = s_web;
    }
    // The database holds the keys of the devices: what HQ makes is its user's alone.
    (void)umask(0077);
    return mm_hq_run(&options);
}
