// SPDX-License-Identifier: Apache-2.0
#ifndef MM_HQ_H
#define MM_HQ_H

#include "clock.h"

#include <stdbool.h>
#include <stddef.h>

/// HQ as a whole: broker, database, HTTP in one process.

/// Time zone of one site, for readers and the page.
typedef struct {
    const char *site;
    const char *tz; ///< POSIX TZ string
} mm_hq_site_tz_t;

typedef struct {
    const char *database_path;
    const char *broker_url;           ///< mqtt://HOST[:PORT] or mqtts://HOST[:PORT]
    const char *broker_client_id;     ///< NULL = "meshmeter-hq"
    const char *broker_password_file; ///< first line user:password; NULL = anonymous
    const char *broker_ca_file;       ///< mqtts only; NULL = the system's authorities
    bool broker_mqtt311;
    const char *http_address;       ///< "ADDR:PORT", port 0 = a free one
    const char *web_directory;      ///< NULL = no page
    const char *displays_directory; ///< display.h; NULL = none are shown
    const char *tz;                 ///< of sites that are not in site_tzs; NULL = "" = UTC
    const mm_hq_site_tz_t *site_tzs;
    size_t site_tz_count;
    mm_hq_clock_t clock; ///< zero = the computer's; a speed without origins counts from the start of HQ
} mm_hq_options_t;

/// Exit codes of mm_hq_run.
typedef enum {
    MM_HQ_OK = 0,          ///< ended by SIGTERM or SIGINT, everything committed
    MM_HQ_USAGE = 2,       ///< an option is wrong
    MM_HQ_ENVIRONMENT = 3, ///< database, port, or file not usable
} mm_hq_exit_t;

/// Run until SIGTERM or SIGINT. Prints "hq: listening http://ADDR:PORT" on standard output when it serves; everything
/// else goes to standard error. Takes over SIGTERM, SIGINT and SIGPIPE of the process. An absent broker is no error: it
/// is tried again.
int mm_hq_run(const mm_hq_options_t *options);

#endif
