// SPDX-License-Identifier: Apache-2.0
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_client.h"
#include "app.h"

#define WH_DECIMALS 3
#define MILLI_DECIMALS 3

static void print_vend_help(void) {
    puts(
        "usage: meshmeter vend METER KWH [--request ID] [--json]\n"
        "       meshmeter vend METER --money AMOUNT [--request ID] [--json]\n"
        "       meshmeter vend --void ID\n\n"
        "Sell credit to a prepaid meter. The meter gets it by network; the token on the receipt brings the same "
        "credit\n"
        "when it is typed at the meter, whichever comes first, once.\n\n"
        "  METER               id of the meter, or MAC/CHANNEL (1 to 8) if two have the same id\n"
        "  KWH                 energy, in whole units of the site's tokens: 1 kWh, if `tariff use` has set no other\n"
        "  --money AMOUNT      sell what this buys by the tariff, in the currency's units: 5.00\n"
        "  --request ID        your own id of this sale: the same one again sells nothing and prints the same receipt\n"
        "  --void ID           take purchase ID back; it is void when the meter has confirmed that it did not take it\n"
        "  --json              the purchase as HQ's API tells it\n" API_CLIENT_HELP);
}

static void print_purchases_help(void) {
    puts("usage: meshmeter purchases [METER] [--limit N] [--json]\n\n"
         "List what was sold, newest first, and what became of it.\n\n"
         "  --limit N           so many purchases (100)\n"
         "  --json              HQ's answer as it is\n" API_CLIENT_HELP);
}

// --- output

// "123456789" as "123 456 789".
static void print_token(const char *label, const char *digits) {
    printf("  %-9s", label);
    for (size_t index = 0; digits[index] != '\0'; index++) {
        if (index > 0 && index % 3 == 0) {
            putchar(' ');
        }
        putchar(digits[index]);
    }
    putchar('\n');
}

static void print_money(const char *label, int64_t amount, int decimals, const char *currency, const char *behind) {
    char text[32];
    app_format_decimal(amount, decimals, text);
    printf("  %-9s%s %s%s\n", label, text, currency, behind);
}

static void print_receipt(const cJSON *purchase) {
    char utc[21];
    char energy[32];
    int decimals = (int)api_number(purchase, "decimals");
    const char *currency = api_text(purchase, "currency");
    app_format_utc(api_number(purchase, "created"), utc);
    app_format_decimal(api_number(purchase, "energy_wh"), WH_DECIMALS, energy);
    printf("purchase %lld of %s, request %s\n", api_number(purchase, "id"), utc, api_text(purchase, "request"));
    printf("  meter    %s (site %s)\n", api_text(purchase, "meter"), api_text(purchase, "site"));
    printf("  energy   %s kWh\n", energy);
    print_token("token", api_text(purchase, "token"));
    print_token("or", api_text(purchase, "token_restricted"));
    if (currency[0] != '\0') {
        print_money("paid", api_number(purchase, "money_minor"), decimals, currency, "");
        print_money("tax", api_number(purchase, "tax_minor"), decimals, currency, " of the price of the energy");
        print_money("kept", api_number(purchase, "remainder_milli"), decimals + MILLI_DECIMALS, currency,
                    " for the meter's next purchase");
    }
    printf("  state    %s%s%s\n", api_text(purchase, "state"), api_text(purchase, "by")[0] != '\0' ? " by " : "",
           api_text(purchase, "by"));
}

// --- vend

typedef struct {
    api_client_options_t client;
    const char *request;
    const char *money;
    const char *void_id;
    int64_t limit;
    bool json;
    bool help;
} options_t;

static int read_options(const char *command, int argc, char **argv, options_t *options) {
    static const struct option known[] = {API_CLIENT_LONG_OPTIONS,
                                          {"request", required_argument, NULL, 'r'},
                                          {"money", required_argument, NULL, 'm'},
                                          {"void", required_argument, NULL, 'v'},
                                          {"limit", required_argument, NULL, 'l'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    options->limit = 100;
    for (int option = 0; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'r':
            options->request = optarg;
            break;
        case 'm':
            options->money = optarg;
            break;
        case 'v':
            options->void_id = optarg;
            break;
        case 'l':
            if (!app_parse_number(optarg, 1, 1000, &options->limit)) {
                return app_error(APP_USAGE, command, "--limit must be 1 to 1000");
            }
            break;
        case 'j':
            options->json = true;
            break;
        case 'h':
            options->help = true;
            break;
        default:
            if (!api_client_option(&options->client, option, optarg)) {
                return APP_USAGE;
            }
        }
    }
    return APP_OK;
}

// How many decimals an amount of money has: as all tariffs say.
static int find_decimals(api_client_t *client, int *decimals) {
    cJSON *answer = NULL;
    int code = api_client_ask(client, "tariffs", NULL, &answer, NULL);
    const cJSON *tariff;
    *decimals = -1;
    cJSON_ArrayForEach(tariff, cJSON_GetObjectItem(answer, "tariffs")) {
        int found = (int)api_number(tariff, "decimals");
        if (*decimals >= 0 && *decimals != found) {
            code = app_error(APP_USAGE, "vend", "tariffs differ in their decimals: sell by energy instead");
        }
        *decimals = found;
    }
    cJSON_Delete(answer);
    if (code == APP_OK && *decimals < 0) {
        code = app_error(APP_USAGE, "vend", "there is no tariff, so money has no price; meshmeter tariff --help");
    }
    return code;
}

static int put_amount(api_client_t *client, const options_t *options, const char *kwh, cJSON *body) {
    int64_t amount = 0;
    if (options->money == NULL) {
        if (!app_parse_decimal(kwh, WH_DECIMALS, &amount)) {
            return app_error(APP_USAGE, "vend", "'%s' is not an energy in kWh like 5 or 2.5", kwh);
        }
        cJSON_AddNumberToObject(body, "energy_wh", (double)amount);
        return APP_OK;
    }
    int decimals = 0;
    int code = find_decimals(client, &decimals);
    if (code == APP_OK && !app_parse_decimal(options->money, decimals, &amount)) {
        code = app_error(APP_USAGE, "vend", "'%s' is not an amount of money with at most %d decimals", options->money,
                         decimals);
    }
    cJSON_AddNumberToObject(body, "money_minor", (double)amount);
    return code;
}

static int show(int code, cJSON *answer, bool json) {
    const cJSON *purchase = cJSON_GetObjectItem(answer, "purchase");
    if (code == APP_OK && json) {
        api_print_json(purchase);
    } else if (code == APP_OK) {
        print_receipt(purchase);
    }
    cJSON_Delete(answer);
    return code;
}

static int sell(api_client_t *client, const options_t *options, const char *meter, const char *kwh) {
    char id[33];
    const char *request = options->request;
    cJSON *answer = NULL;
    if (request == NULL) {
        if (!api_client_request_id(id)) {
            return app_error(APP_ENVIRONMENT, "vend", "no random number for the request's id");
        }
        request = id;
    }
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "request", request);
    cJSON_AddStringToObject(body, "meter", meter);
    int code = put_amount(client, options, kwh, body);
    if (code == APP_OK) {
        code = api_client_ask(client, "purchases", body, &answer, NULL);
        if (code == APP_NO_ANSWER) {
            // It may have been sold all the same.
            fprintf(stderr, "ask again with --request %s: it is sold once, however often you ask\n", request);
        }
    }
    cJSON_Delete(body);
    return show(code, answer, options->json);
}

static int take_back(api_client_t *client, const options_t *options) {
    char path[64];
    int64_t id = 0;
    cJSON *answer = NULL;
    if (!app_parse_number(options->void_id, 1, INT64_MAX, &id)) {
        return app_error(APP_USAGE, "vend", "--void wants the number of a purchase");
    }
    snprintf(path, sizeof path, "purchases/%" PRId64 "/void", id);
    cJSON *body = cJSON_CreateObject();
    int code = api_client_ask(client, path, body, &answer, NULL);
    cJSON_Delete(body);
    return show(code, answer, options->json);
}

// getopt would take -5 for an option.
static bool has_negative_number(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1] >= '0' && argv[i][1] <= '9') {
            return true;
        }
    }
    return false;
}

int command_vend(int argc, char **argv) {
    options_t options = {.help = false};
    api_client_t client;
    if (has_negative_number(argc, argv)) {
        return app_error(APP_USAGE, "vend", "nothing is sold in negative amounts; --void ID takes a sale back");
    }
    int code = read_options("vend", argc, argv, &options);
    if (code != APP_OK) {
        return code;
    }
    if (options.help) {
        print_vend_help();
        return APP_OK;
    }
    int wanted = options.void_id != NULL ? 0 : options.money != NULL ? 1 : 2;
    if (argc - optind != wanted) {
        return app_error(APP_USAGE, "vend",
                         "needed: METER KWH, or METER --money AMOUNT, or --void ID; see meshmeter vend --help");
    }
    code = api_client_open(&client, "vend", &options.client);
    if (code != APP_OK) {
        return code;
    }
    code = options.void_id != NULL ? take_back(&client, &options)
                                   : sell(&client, &options, argv[optind], argv[optind + wanted - 1]);
    api_client_close(&client);
    return code;
}

// --- purchases

static void print_purchase(const cJSON *purchase) {
    char utc[21];
    char energy[32];
    char money[32] = "";
    app_format_utc(api_number(purchase, "created"), utc);
    app_format_decimal(api_number(purchase, "energy_wh"), WH_DECIMALS, energy);
    if (api_text(purchase, "currency")[0] != '\0') {
        app_format_decimal(api_number(purchase, "money_minor"), (int)api_number(purchase, "decimals"), money);
    }
    printf("%6lld  %s  %-12s  %12s  %12s %-4s %-8s %-12s %s\n", api_number(purchase, "id"), utc,
           api_text(purchase, "meter"), energy, money, api_text(purchase, "currency"), api_text(purchase, "state"),
           api_text(purchase, "by"), api_text(purchase, "token"));
}

static int list(api_client_t *client, const options_t *options, const char *meter) {
    char path[512];
    cJSON *answer = NULL;
    char *escaped = api_client_escape(meter);
    if (escaped == NULL) {
        return app_error(APP_ENVIRONMENT, "purchases", "out of memory");
    }
    snprintf(path, sizeof path, "purchases?limit=%" PRId64 "&meter=%s", options->limit, escaped);
    free(escaped);
    int code = api_client_ask(client, path, NULL, &answer, NULL);
    if (code == APP_OK && options->json) {
        api_print_json(answer);
    } else if (code == APP_OK) {
        const cJSON *purchase;
        printf("%6s  %-20s  %-12s  %12s  %17s %-8s %-12s %s\n", "id", "sold", "meter", "kWh", "paid     ", "state",
               "by", "token");
        cJSON_ArrayForEach(purchase, cJSON_GetObjectItem(answer, "purchases")) {
            print_purchase(purchase);
        }
    }
    cJSON_Delete(answer);
    return code;
}

int command_purchases(int argc, char **argv) {
    options_t options = {.help = false};
    api_client_t client;
    int code = read_options("purchases", argc, argv, &options);
    if (code != APP_OK) {
        return code;
    }
    if (options.help) {
        print_purchases_help();
        return APP_OK;
    }
    if (argc - optind > 1 || options.money != NULL || options.void_id != NULL || options.request != NULL) {
        return app_error(APP_USAGE, "purchases", "at most one meter; see meshmeter purchases --help");
    }
    code = api_client_open(&client, "purchases", &options.client);
    if (code == APP_OK) {
        code = list(&client, &options, optind < argc ? argv[optind] : "");
        api_client_close(&client);
    }
    return code;
}
