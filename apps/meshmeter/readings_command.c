// SPDX-License-Identifier: Apache-2.0
#include <getopt.h>
#include <stdio.h>

#include "app.h"
#include "readings.h"

static void print_help(void) {
    puts(
        "usage: meshmeter readings --db FILE [--meter ID] [--from T] [--to T] [--csv]\n\n"
        "Print the load profile from HQ's database, also while HQ runs.\n\n"
        "  --db FILE    the database\n"
        "  --meter ID   only this meter\n"
        "  --from T     intervals that end at or behind T: 2015-12-31, 2015-12-31T23:00Z, or seconds since 1970 (UTC)\n"
        "  --to T       … and at or before T\n"
        "  --csv        meter,site,node,channel,interval_no,end_utc,duration_s,pulses,energy_wh,time_trust,thinned\n"
        "               (channel counts from 0, as in the API);\n"
        "               otherwise a table in the site's local time\n\n"
        "Exit code 1 if there is no such meter.");
}

int command_readings(int argc, char **argv) {
    static const struct option options[] = {{"db", required_argument, NULL, 'd'},
                                            {"meter", required_argument, NULL, 'm'},
                                            {"from", required_argument, NULL, 'f'},
                                            {"to", required_argument, NULL, 't'},
                                            {"csv", no_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    mm_readings_options_t readings = {.from_s = INT64_MIN, .to_s = INT64_MAX};
    for (int option = 0; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'd':
            readings.database_path = optarg;
            break;
        case 'm':
            readings.meter_id = optarg;
            break;
        case 'f':
        case 't':
            if (!app_parse_utc(optarg, option == 'f' ? &readings.from_s : &readings.to_s)) {
                return app_error(APP_USAGE, "readings", "'%s' is not a time like 2015-12-31T23:00Z", optarg);
            }
            break;
        case 'c':
            readings.csv = true;
            break;
        case 'h':
            print_help();
            return APP_OK;
        default:
            return APP_USAGE;
        }
    }
    if (readings.database_path == NULL || optind != argc) {
        return app_error(APP_USAGE, "readings", "--db FILE is needed; see meshmeter readings --help");
    }
    mm_hq_error_t error;
    mm_err_t err = mm_readings_print(&readings, stdout, &error);
    if (err == MM_OK) {
        return APP_OK;
    }
    return app_error(err == MM_ERR_NOT_FOUND ? APP_CHECK_FAILED : APP_ENVIRONMENT, "readings", "%s", error.text);
}
