// SPDX-License-Identifier: Apache-2.0
#ifndef MM_API_CLIENT_H
#define MM_API_CLIENT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

/// What the subcommands that talk to HQ's API share: where HQ is, who asks, one request after the other. An operation
/// that fails prints why ("meshmeter <command>: …") and says with which code the program ends.

#define API_URL_BYTES 256
#define API_TOKEN_BYTES 128

/// Options that all of them have; the help text is API_CLIENT_HELP.
typedef struct {
    const char *url;             ///< --hq URL; NULL: of the demo, or http://127.0.0.1:8080
    const char *token_file;      ///< --token-file FILE; NULL: of the demo, or MM_TOKEN_FILE in the environment
    const char *state_directory; ///< --state DIR of a demo; NULL: MM_STATE in the environment, or none
} api_client_options_t;

#define API_CLIENT_HELP                                                                                                \
    "  --hq URL            HQ's address (http://127.0.0.1:8080)\n"                                                     \
    "  --token-file FILE   the operator's token, alone in a file (or MM_TOKEN_FILE in the environment)\n"              \
    "  --state DIR         a demo's state directory says both (or MM_STATE in the environment)\n"

/// For getopt_long; api_client_option takes what these return.
#define API_CLIENT_LONG_OPTIONS                                                                                        \
    {"hq", required_argument, NULL, API_OPTION_HQ}, {"token-file", required_argument, NULL, API_OPTION_TOKEN_FILE}, {  \
        "state", required_argument, NULL, API_OPTION_STATE                                                             \
    }

enum {
    API_OPTION_HQ = 1000,
    API_OPTION_TOKEN_FILE,
    API_OPTION_STATE
};

/// True if it was one of the three.
bool api_client_option(api_client_options_t *options, int option, const char *value);

typedef struct {
    const char *command; ///< for messages
    void *handle;        ///< libcurl's
    char url[API_URL_BYTES];
    char authorization[API_TOKEN_BYTES + 32];
} api_client_t;

/// Exit code; APP_OK: close it afterwards. Does not ask anything yet.
int api_client_open(api_client_t *self, const char *command, const api_client_options_t *options);
void api_client_close(api_client_t *self);

/// Ask "/api/v1/" + path. body NULL: GET, else POST with it. *answer: what came, cJSON_Delete it; NULL unless APP_OK.
/// An error of HQ is printed: APP_USAGE (400, 404, 409, 413), APP_ENVIRONMENT (401, 429), APP_NO_ANSWER (no HQ there,
/// 503, something that is not HQ). *status: of HTTP, 0 = none; may be NULL. A request may be sent twice: bodies carry
/// an id.
int api_client_ask(api_client_t *self, const char *path, const cJSON *body, cJSON **answer, int *status);
/// "TEXT" for a path or query of an URL; free() it.
char *api_client_escape(const char *text);
/// A request id that nobody else has: 32 hex digits. False if the system has no random numbers.
bool api_client_request_id(char text[33]);

/// An answer as it is, for --json.
void api_print_json(const cJSON *object);
/// Number and text of an object; 0 and "" if it is missing.
long long api_number(const cJSON *object, const char *name);
const char *api_text(const cJSON *object, const char *name);
/// What others have typed: control characters as '?', for a terminal.
void api_print_text(const char *text);
/// ", order 2: done": a decision's command; with the answer's status if that says more than its state.
void api_print_order(const cJSON *command);
/// Says "none" on stderr if the list is empty: an empty answer and no answer look different, and stdout stays empty.
void api_note_none(const cJSON *list);

#endif
