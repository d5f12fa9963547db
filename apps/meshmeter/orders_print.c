// SPDX-License-Identifier: Apache-2.0
#include "orders_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_client.h"
#include "app.h"

// Names come from nodes and people: a terminal only gets what can be read.
static void print_clean(const char *text) {
    for (; *text != '\0'; text++) {
        unsigned char character = (unsigned char)*text;
        putchar(character < ' ' || character == 0x7F ? '?' : character);
    }
}

static void print_member(const cJSON *item, const char *prefix) {
    char *text = cJSON_IsString(item) ? NULL : cJSON_PrintUnformatted(item);
    printf(" %s%s", prefix, prefix[0] != '\0' ? "." : "");
    print_clean(item->string);
    putchar('=');
    print_clean(text != NULL ? text : cJSON_IsString(item) ? item->valuestring : "?");
    cJSON_free(text);
}

static void print_arguments(const cJSON *order) {
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(order, "arguments")) {
        print_member(item, "");
    }
}

void orders_print_summary(const cJSON *order) {
    int count = cJSON_GetArraySize(cJSON_GetObjectItem(order, "commands"));
    printf("order %lld: ", api_number(order, "id"));
    print_clean(api_text(order, "kind"));
    print_arguments(order);
    printf(" for ");
    print_clean(api_text(order, "target"));
    printf(", %d command%s\n", count, count == 1 ? "" : "s");
}

void orders_print_line(const cJSON *order) {
    char time[21];
    app_format_utc(api_number(order, "created"), time);
    printf("%6lld  %s  ", api_number(order, "id"), time);
    print_clean(api_text(order, "operator"));
    printf("  ");
    print_clean(api_text(order, "target"));
    putchar(' ');
    print_clean(api_text(order, "kind"));
    print_arguments(order);
    printf(" :");
    const cJSON *state = NULL;
    cJSON_ArrayForEach(state, cJSON_GetObjectItem(order, "states")) {
        printf(" %.0f %s", state->valuedouble, state->string);
    }
    putchar('\n');
}

// "1-flat-1 (02:6d:6d:00:00:01/1)", or the node's address.
static void print_who(const cJSON *command) {
    const cJSON *channel = cJSON_GetObjectItem(command, "channel");
    if (cJSON_IsNumber(channel)) {
        print_clean(api_text(command, "meter"));
        printf(" (%s/%d)", api_text(command, "node"), channel->valueint + 1);
    } else {
        printf("node:%s", api_text(command, "node"));
    }
}

// The values of an object, in one line; lists of more than a few are for --json.
static void print_members(const cJSON *object) {
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, object) {
        if (cJSON_IsObject(item)) {
            const cJSON *inner = NULL;
            cJSON_ArrayForEach(inner, item) {
                if (!cJSON_IsArray(inner) && !cJSON_IsObject(inner)) {
                    print_member(inner, item->string);
                }
            }
        } else if (!cJSON_IsArray(item) || cJSON_GetArraySize(item) <= 4) {
            print_member(item, "");
        }
    }
}

static void print_answer(const cJSON *command) {
    const char *status = api_text(command, "status");
    const cJSON *detail = cJSON_GetObjectItem(command, "detail");
    if (status[0] != '\0' && strcmp(status, api_text(command, "state")) != 0) {
        printf(" (%s)", status);
    }
    if (cJSON_IsString(detail) && detail->valuestring[0] != '\0') {
        if (strchr(detail->valuestring, '\n') == NULL) {
            printf(": ");
            print_clean(detail->valuestring);
        } else {
            // A log: its lines as they are, indented.
            printf(":\n    ");
            for (const char *text = detail->valuestring; *text != '\0'; text++) {
                if (*text == '\n') {
                    printf(text[1] != '\0' ? "\n    " : "");
                } else {
                    putchar((unsigned char)*text < ' ' ? '?' : *text);
                }
            }
        }
    } else if (cJSON_IsObject(detail)) {
        putchar(':');
        print_members(detail);
    }
}

static void print_command(const cJSON *command) {
    printf("  ");
    print_who(command);
    printf("  %s", api_text(command, "state"));
    print_answer(command);
    putchar('\n');
}

void orders_print_commands(const cJSON *order) {
    const cJSON *command = NULL;
    cJSON_ArrayForEach(command, cJSON_GetObjectItem(order, "commands")) {
        print_command(command);
    }
}

static bool has_ended(const char *state) {
    static const char *const ends[] = {"done", "refused", "expired", "failed", "withdrawn"};
    for (size_t index = 0; index < sizeof ends / sizeof ends[0]; index++) {
        if (strcmp(state, ends[index]) == 0) {
            return true;
        }
    }
    return false;
}

bool orders_have_ended(const cJSON *order) {
    const cJSON *command = NULL;
    cJSON_ArrayForEach(command, cJSON_GetObjectItem(order, "commands")) {
        if (!has_ended(api_text(command, "state"))) {
            return false;
        }
    }
    return true;
}

bool orders_all_done(const cJSON *order) {
    const cJSON *command = NULL;
    cJSON_ArrayForEach(command, cJSON_GetObjectItem(order, "commands")) {
        if (strcmp(api_text(command, "state"), "done") != 0) {
            return false;
        }
    }
    return true;
}

void orders_print_progress(orders_progress_t *self, const cJSON *order) {
    const cJSON *commands = cJSON_GetObjectItem(order, "commands");
    size_t count = (size_t)cJSON_GetArraySize(commands);
    if (self->states == NULL) {
        self->states = calloc(count > 0 ? count : 1, sizeof self->states[0]);
        self->count = self->states != NULL ? count : 0;
    }
    size_t index = 0;
    const cJSON *command = NULL;
    cJSON_ArrayForEach(command, commands) {
        if (index < self->count && strcmp(self->states[index], api_text(command, "state")) != 0) {
            snprintf(self->states[index], sizeof self->states[index], "%s", api_text(command, "state"));
            print_command(command);
        }
        index++;
    }
    (void)fflush(stdout);
}

void orders_progress_free(orders_progress_t *self) {
    free(self->states);
    *self = (orders_progress_t){0};
}
