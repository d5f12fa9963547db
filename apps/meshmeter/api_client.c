// SPDX-License-Identifier: Apache-2.0
#include "api_client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "app.h"

#define URL_DEFAULT "http://127.0.0.1:8080"
#define CONNECT_MS 5000L
#define ANSWER_MS 20000L
#define ANSWER_BYTES_MAX (8 * 1024 * 1024)
#define TRIES 3

typedef struct {
    char *bytes;
    size_t count;
    bool failed;
} answer_t;

bool api_client_option(api_client_options_t *options, int option, const char *value) {
    switch (option) {
    case API_OPTION_HQ:
        options->url = value;
        return true;
    case API_OPTION_TOKEN_FILE:
        options->token_file = value;
        return true;
    case API_OPTION_STATE:
        options->state_directory = value;
        return true;
    default:
        return false;
    }
}

// --- open

// First line of a small file.
static bool read_line(const char *path, char *line, size_t line_bytes) {
    size_t size = 0;
    char *text = app_read_file(path, 4096, &size);
    if (text == NULL) {
        return false;
    }
    size_t chars = strcspn(text, "\r\n");
    bool fits = chars > 0 && chars < line_bytes;
    if (fits) {
        memcpy(line, text, chars);
        line[chars] = '\0';
    } else {
        errno = EINVAL;
    }
    explicit_bzero(text, size);
    free(text);
    return fits;
}

static int find_url(api_client_t *self, const api_client_options_t *options, const char *state) {
    char path[1024];
    if (options->url != NULL || state == NULL) {
        const char *url = options->url != NULL ? options->url : URL_DEFAULT;
        size_t chars = strlen(url);
        while (chars > 0 && url[chars - 1] == '/') {
            chars--;
        }
        bool http = strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
        if (!http || chars >= sizeof self->url || strpbrk(url, " ?#@") != NULL) {
            return app_error(APP_USAGE, self->command, "--hq %s: expected http://HOST:PORT", url);
        }
        snprintf(self->url, sizeof self->url, "%.*s", (int)chars, url);
        return APP_OK;
    }
    if (!app_path(path, sizeof path, state, "hq.url") || !read_line(path, self->url, sizeof self->url)) {
        return app_error(APP_NO_ANSWER, self->command, "%s: no demo runs there (no hq.url in it)", state);
    }
    return APP_OK;
}

static int find_token(api_client_t *self, const api_client_options_t *options, const char *state) {
    char path[1024];
    char token[API_TOKEN_BYTES];
    const char *file = options->token_file;
    if (file == NULL && state != NULL && app_path(path, sizeof path, state, "operator.token")) {
        file = path;
    }
    if (file == NULL) {
        file = getenv("MM_TOKEN_FILE");
    }
    if (file == NULL) {
        return app_error(APP_USAGE, self->command,
                         "whose change is it? Name the file with your operator's token with --token-file; "
                         "`meshmeter operator add NAME` on HQ's machine makes one");
    }
    if (!read_line(file, token, sizeof token) || strspn(token, "0123456789abcdefABCDEF") != strlen(token)) {
        return app_error(APP_ENVIRONMENT, self->command, "token file %s: %s", file,
                         errno != 0 ? strerror(errno) : "no token in its first line");
    }
    snprintf(self->authorization, sizeof self->authorization, "Authorization: Bearer %s", token);
    explicit_bzero(token, sizeof token);
    return APP_OK;
}

int api_client_open(api_client_t *self, const char *command, const api_client_options_t *options) {
    const char *state = options->state_directory;
    if (state == NULL && options->url == NULL) {
        state = getenv("MM_STATE");
    }
    *self = (api_client_t){.command = command};
    int code = find_url(self, options, state);
    if (code == APP_OK) {
        errno = 0;
        code = find_token(self, options, state);
    }
    if (code != APP_OK) {
        return code;
    }
    self->handle = curl_easy_init();
    if (self->handle == NULL) {
        return app_error(APP_ENVIRONMENT, command, "libcurl does not start");
    }
    return APP_OK;
}

void api_client_close(api_client_t *self) {
    if (self->handle != NULL) {
        curl_easy_cleanup(self->handle);
    }
    explicit_bzero(self, sizeof *self);
}

// --- ask

static size_t take(char *bytes, size_t size, size_t count, void *context) {
    answer_t *answer = context;
    size_t more = size * count;
    char *grown = more <= ANSWER_BYTES_MAX - answer->count ? realloc(answer->bytes, answer->count + more + 1) : NULL;
    if (grown == NULL) {
        answer->failed = true;
        return 0;
    }
    memcpy(grown + answer->count, bytes, more);
    answer->bytes = grown;
    answer->count += more;
    grown[answer->count] = '\0';
    return more;
}

static CURLcode transfer(const api_client_t *self, const char *url, const char *body, answer_t *answer, int *status) {
    CURL *curl = self->handle;
    long code = 0;
    struct curl_slist *headers = curl_slist_append(NULL, self->authorization);
    headers = curl_slist_append(headers, "Content-Type: application/json");
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, ANSWER_MS);
    if (body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    }
    // wait: HQ answers | until CONNECT_MS for the connection, ANSWER_MS for all of it | then it is asked again, TRIES
    // times in all, and the command ends with exit code 4
    CURLcode result = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
    curl_slist_free_all(headers);
    *status = (int)code;
    return result;
}

// What an answer of HQ means for the program; prints HQ's reason.
static int judge(const api_client_t *self, int status, cJSON **answer) {
    const char *reason = api_text(*answer, "error");
    int code = APP_OK;
    if (!cJSON_IsObject(*answer)) {
        code = app_error(APP_NO_ANSWER, self->command, "%s: answers, but not as HQ does", self->url);
    } else if (status == 503) {
        code = app_error(APP_NO_ANSWER, self->command, "%s", reason);
    } else if (status == 401 || status == 403 || status == 429) {
        code = app_error(APP_ENVIRONMENT, self->command, "%s", reason);
    } else if (status >= 400) {
        code = app_error(APP_USAGE, self->command, "%s", reason[0] != '\0' ? reason : "HQ refuses the request");
    }
    if (code != APP_OK) {
        cJSON_Delete(*answer);
        *answer = NULL;
    }
    return code;
}

int api_client_ask(api_client_t *self, const char *path, const cJSON *body, cJSON **answer, int *status) {
    char url[API_URL_BYTES + 512];
    int http = 0;
    *answer = NULL;
    char *text = body != NULL ? cJSON_PrintUnformatted(body) : NULL;
    int length = snprintf(url, sizeof url, "%s/api/v1/%s", self->url, path);
    if (length < 0 || (size_t)length >= sizeof url || (body != NULL && text == NULL)) {
        cJSON_free(text);
        return app_error(APP_USAGE, self->command, "the request is too long");
    }
    CURLcode result = CURLE_OK;
    for (int attempt = 0; attempt < TRIES; attempt++) {
        answer_t got = {0};
        result = transfer(self, url, text, &got, &http);
        if (result == CURLE_OK) {
            *answer = got.bytes != NULL ? cJSON_Parse(got.bytes) : NULL;
        }
        free(got.bytes);
        // A connection that is refused at once says that nobody is there; what broke off may have arrived.
        if (result == CURLE_OK || result == CURLE_COULDNT_CONNECT || got.failed) {
            break;
        }
    }
    if (text != NULL) {
        explicit_bzero(text, strlen(text));
        cJSON_free(text);
    }
    if (status != NULL) {
        *status = http;
    }
    if (result != CURLE_OK) {
        return app_error(APP_NO_ANSWER, self->command, "%s: %s; is HQ running there?", self->url,
                         curl_easy_strerror(result));
    }
    return judge(self, http, answer);
}

char *api_client_escape(const char *text) {
    char *escaped = curl_easy_escape(NULL, text, 0);
    char *copy = escaped != NULL ? strdup(escaped) : NULL;
    curl_free(escaped);
    return copy;
}

bool api_client_request_id(char text[33]) {
    uint8_t bytes[16];
    // wait: the kernel's random numbers are ready, once after power-up | until outside: the kernel | then the request
    // is made
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
        return false;
    }
    for (size_t index = 0; index < sizeof bytes; index++) {
        snprintf(text + 2 * index, 3, "%02x", bytes[index]);
    }
    return true;
}

void api_print_json(const cJSON *object) {
    char *text = cJSON_Print(object);
    puts(text != NULL ? text : "{}");
    cJSON_free(text);
}

long long api_number(const cJSON *object, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) ? (long long)item->valuedouble : 0;
}

const char *api_text(const cJSON *object, const char *name) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text != NULL ? text : "";
}

void api_print_text(const char *text) {
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        putchar(byte < ' ' || byte == 0x7F ? '?' : byte);
    }
}

void api_print_order(const cJSON *command) {
    const char *state = api_text(command, "state");
    const char *status = api_text(command, "status");
    printf(", order %lld: %s", api_number(command, "order"), state);
    if (status[0] != '\0' && strcmp(status, state) != 0) {
        printf(" (%s)", status);
    }
}

void api_note_none(const cJSON *list) {
    if (cJSON_GetArraySize(list) == 0) {
        fputs("none\n", stderr);
    }
}
