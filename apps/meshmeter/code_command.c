// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api_client.h"
#include "app.h"
#include "device_keys.h"

#include "meshmeter/challenge.h"

static void print_help(void) {
    puts("usage: meshmeter code NUMBER --mac MAC --caller TEXT [OPTION]…\n"
         "       meshmeter code NUMBER --legacy --secret-file FILE\n\n"
         "The code that opens the page of a node whose display shows NUMBER. HQ works it out with the device's key, "
         "which\n"
         "stays there, and writes to the audit log who asked for whom; an operator has 30 codes in an hour.\n\n"
         "  --mac MAC           the device, or the last 6 digits of its address if no other one's ends so\n"
         "  --caller TEXT       who calls, and from where\n"
         "  --request ID        1 to 64 characters; the same one again gives the same answer and counts once\n"
         "  --legacy            for nodes with the original's method; offline, HQ is not asked\n"
         "  --secret-file FILE  the deployment's secret text, alone in a file that only you can read (0600)\n"
         "  --json              HQ's answer as it is\n" API_CLIENT_HELP);
}

typedef struct {
    api_client_options_t client;
    int64_t number;
    const char *mac;
    const char *caller;
    const char *request;
    const char *secret_file;
    bool legacy;
    bool json;
} code_options_t;

// --- legacy: nothing but the secret is needed

// The first line of a file that nobody else can read. Exit code.
static int read_secret(const char *path, char secret[MM_CHALLENGE_SECRET_CHARS_MAX + 1]) {
    struct stat info;
    size_t size = 0;
    if (stat(path, &info) != 0) {
        return app_error(APP_ENVIRONMENT, "code", "%s: %s", path, strerror(errno));
    }
    if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return app_error(APP_ENVIRONMENT, "code", "%s: others can read the secret; chmod 600 %s", path, path);
    }
    char *text = app_read_file(path, 4096, &size);
    if (text == NULL) {
        return app_error(APP_ENVIRONMENT, "code", "%s: %s", path, strerror(errno));
    }
    size_t chars = strcspn(text, "\r\n");
    size_t rest = chars + strspn(text + chars, "\r\n");
    bool good = chars >= 1 && chars <= MM_CHALLENGE_SECRET_CHARS_MAX && rest == size;
    if (good) {
        memcpy(secret, text, chars);
        secret[chars] = '\0';
    }
    explicit_bzero(text, size);
    free(text);
    return good ? APP_OK
                : app_error(APP_ENVIRONMENT, "code", "%s: one line of 1 to %d characters is needed", path,
                            MM_CHALLENGE_SECRET_CHARS_MAX);
}

static int print_legacy(const code_options_t *options) {
    char secret[MM_CHALLENGE_SECRET_CHARS_MAX + 1] = "";
    char code[MM_CHALLENGE_CODE_CHARS + 1];
    static const uint8_t no_key[MM_DEVICE_KEY_BYTES];
    mm_device_crypto_t crypto;
    int result = read_secret(options->secret_file, secret);
    if (result != APP_OK) {
        return result;
    }
    mm_device_crypto_init(&crypto, no_key); // this method uses AES only, with a key of its own
    const mm_challenge_options_t challenge = {.method = mm_challenge_legacy, .secret = secret};
    mm_err_t err = mm_challenge_code(&challenge, &crypto.crypto, (uint32_t)options->number, code);
    explicit_bzero(secret, sizeof secret);
    if (err != MM_OK) {
        return app_error(APP_ENVIRONMENT, "code", "the code could not be worked out");
    }
    printf(options->json ? "{\"code\":\"%s\"}\n" : "%s\n", code);
    explicit_bzero(code, sizeof code);
    return APP_OK;
}

// --- by HQ

static int ask_hq(const code_options_t *options) {
    api_client_t client;
    char request[33];
    cJSON *answer;
    if (options->request == NULL && !api_client_request_id(request)) {
        return app_error(APP_ENVIRONMENT, "code", "no random numbers from the system");
    }
    int code = api_client_open(&client, "code", &options->client);
    if (code != APP_OK) {
        return code;
    }
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "request", options->request != NULL ? options->request : request);
    cJSON_AddNumberToObject(body, "number", (double)options->number);
    cJSON_AddStringToObject(body, "mac", options->mac);
    cJSON_AddStringToObject(body, "caller", options->caller);
    code = api_client_ask(&client, "codes", body, &answer, NULL);
    cJSON_Delete(body);
    api_client_close(&client);
    if (code != APP_OK) {
        return code;
    }
    const char *text = api_text(answer, "code");
    if (options->json) {
        api_print_json(answer);
    } else {
        // In two groups, as it is read out; it may be typed without the blank.
        printf("%.4s %s\n", text, strlen(text) > 4 ? text + 4 : "");
        printf("for node %s, good for at most %lld s\n", api_text(answer, "node"), api_number(answer, "expires_s"));
    }
    cJSON_Delete(answer);
    return APP_OK;
}

// --- options

static int take_option(code_options_t *chosen, int option, const char *value) {
    if (api_client_option(&chosen->client, option, value)) {
        return APP_OK;
    }
    switch (option) {
    case 'm':
        chosen->mac = value;
        return APP_OK;
    case 'c':
        chosen->caller = value;
        return APP_OK;
    case 'r':
        chosen->request = value;
        return APP_OK;
    case 's':
        chosen->secret_file = value;
        return APP_OK;
    case 'l':
        chosen->legacy = true;
        return APP_OK;
    case 'j':
        chosen->json = true;
        return APP_OK;
    default:
        return APP_USAGE;
    }
}

static int check_options(const code_options_t *chosen) {
    if (chosen->legacy && (chosen->mac != NULL || chosen->secret_file == NULL)) {
        return app_error(APP_USAGE, "code", "--legacy needs --secret-file FILE, and no --mac");
    }
    if (!chosen->legacy && chosen->secret_file != NULL) {
        return app_error(APP_USAGE, "code", "--secret-file is for --legacy");
    }
    if (!chosen->legacy && (chosen->mac == NULL || chosen->caller == NULL)) {
        return app_error(APP_USAGE, "code",
                         "which node is it (--mac), and who calls (--caller)? See meshmeter code --help");
    }
    return APP_OK;
}

int command_code(int argc, char **argv) {
    static const struct option options[] = {{"mac", required_argument, NULL, 'm'},
                                            {"caller", required_argument, NULL, 'c'},
                                            {"request", required_argument, NULL, 'r'},
                                            {"secret-file", required_argument, NULL, 's'},
                                            {"legacy", no_argument, NULL, 'l'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            API_CLIENT_LONG_OPTIONS,
                                            {NULL, 0, NULL, 0}};
    code_options_t chosen = {.number = -1};
    for (int option = 0; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'h') {
            print_help();
            return APP_OK;
        }
        int code = take_option(&chosen, option, optarg);
        if (code != APP_OK) {
            return code;
        }
    }
    if (argc - optind != 1 || !app_parse_number(argv[optind], 0, MM_CHALLENGE_NUMBER_MAX, &chosen.number)) {
        return app_error(APP_USAGE, "code", "expected the number on the node's display, 0 to %d",
                         MM_CHALLENGE_NUMBER_MAX);
    }
    int code = check_options(&chosen);
    if (code != APP_OK) {
        return code;
    }
    return chosen.legacy ? print_legacy(&chosen) : ask_hq(&chosen);
}
