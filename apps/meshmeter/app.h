// SPDX-License-Identifier: Apache-2.0
#ifndef MM_APP_H
#define MM_APP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// What the subcommands of the program share.

#define APP_VERSION "0.1.0"

/// Exit codes, the same for every subcommand.
enum {
    APP_OK = 0,
    APP_CHECK_FAILED = 1, ///< ran, and found a loss, a mismatch or a damaged input
    APP_USAGE = 2,        ///< wrong arguments or configuration
    APP_ENVIRONMENT = 3,  ///< a file, port, program or permission is missing
    APP_NO_ANSWER = 4,    ///< the part that was asked is not running
    APP_RESTART = 10,     ///< ended on purpose and wants to be started again (a supervised node, by command)
};

/// One subcommand. argv[0] is its name.
typedef struct {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
} app_command_t;

int command_demo(int argc, char **argv);
int command_node(int argc, char **argv);
int command_hq(int argc, char **argv);
int command_decode(int argc, char **argv);
int command_readings(int argc, char **argv);
int command_status(int argc, char **argv);
int command_ctl(int argc, char **argv);
int command_oled(int argc, char **argv);
int command_sim(int argc, char **argv);
int command_vend(int argc, char **argv);
int command_purchases(int argc, char **argv);
int command_books(int argc, char **argv);
int command_tariff(int argc, char **argv);
int command_send(int argc, char **argv);
int command_commands(int argc, char **argv);
int command_keys(int argc, char **argv);
int command_operator(int argc, char **argv);
int command_provision(int argc, char **argv);
int command_code(int argc, char **argv);
int command_installations(int argc, char **argv);
int command_confirm(int argc, char **argv);
int command_refuse(int argc, char **argv);
int command_joins(int argc, char **argv);
int command_events(int argc, char **argv);
int command_reinstall(int argc, char **argv);

/// "meshmeter <command>: <text>" to standard error. Returns `code`, so that a caller can `return app_error(…)`.
__attribute__((format(printf, 3, 4))) int app_error(int code, const char *command, const char *format, ...);

/// Whole decimal number in min … max; false otherwise (nothing written).
bool app_parse_number(const char *text, int64_t min, int64_t max, int64_t *number);
/// "12", "12.5", "0.125" with at most so many decimals, not negative, as a whole number of the last decimal; false
/// otherwise, and beyond 9 x 10^15 (nothing written).
bool app_parse_decimal(const char *text, int decimals, int64_t *number);
/// The reverse, into text[32]: 1250 with 3 decimals is "1.250".
void app_format_decimal(int64_t number, int decimals, char text[32]);
/// "2015-12-31", "2015-12-31T23:00", "2015-12-31T23:00:00Z" (UTC) or seconds since 1970.
bool app_parse_utc(const char *text, int64_t *utc_s);
/// "ADDR:PORT"; the address is copied (at most address_bytes - 1 characters).
bool app_parse_address(const char *text, char *address, size_t address_bytes, uint16_t *port);
/// "YYYY-MM-DDTHH:MM:SSZ" into text[21].
void app_format_utc(int64_t utc_s, char text[21]);

/// Path below `directory`; the result must fit (path_bytes) or false.
bool app_path(char *path, size_t path_bytes, const char *directory, const char *name);
/// Directory of the running program, for finding what is installed beside it. False if the system does not tell.
bool app_program_directory(char *path, size_t path_bytes);
/// Whole file into a buffer of limit_bytes at most, zero terminated (malloc; caller frees), or NULL with errno set
/// (EFBIG: larger).
char *app_read_file(const char *path, size_t limit_bytes, size_t *size_bytes);
/// Write atomically: temporary file, fsync, rename. Mode 0600.
bool app_write_file(const char *path, const char *text);
/// connect and send on this socket wait so long at most (> 0), then fail with EAGAIN or EINPROGRESS.
bool app_set_send_timeout(int socket, int timeout_ms);

#endif
