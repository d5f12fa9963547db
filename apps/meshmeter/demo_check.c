// SPDX-License-Identifier: Apache-2.0
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "control_client.h"
#include "demo.h"
#include "linux/linux_clock.h"
#include "meshmeter/frame.h"
#include "node_config.h"
#include "node_pulses.h"
#include "readings.h"

#define ANSWER_BYTES 65536
#define ANSWER_TIMEOUT_MS 1000

// What one node says of itself, and what its meters must have counted.
typedef struct {
    bool answered;
    bool held;
    mm_mac_t mac;
    uint32_t epoch;
    uint32_t next_seq;
    uint64_t expected_pulses[MM_CHANNELS];
    uint64_t expected_wh[MM_CHANNELS];
} truth_t;

typedef struct {
    const demo_t *demo;
    truth_t truths[DEMO_NODES_MAX];
    unsigned matched;
    demo_account_t *account;
} check_t;

// The source is opened a second time, from the node's own configuration: the answer does not pass through the node.
static bool read_source(const demo_t *demo, unsigned index, truth_t *truth) {
    static node_config_t s_config;
    static node_source_t s_source;
    char name[32];
    char path[DEMO_PATH_BYTES + 64];
    mm_linux_clock_t clock = {.speed = 1};
    mm_linux_message_t message;
    snprintf(name, sizeof name, "node-%u/node.conf", index + 1);
    if (!app_path(path, sizeof path, demo->options.state_directory, name) ||
        !node_config_read(path, &s_config, message.text, sizeof message.text) ||
        !node_source_open(&s_source, &s_config, &clock, &message)) {
        (void)app_error(0, "demo", "%s", message.text);
        return false;
    }
    truth->mac = s_config.mac;
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        const mm_meter_config_t *meter = &s_config.metering.meters[channel];
        if (meter->id[0] == '\0') {
            continue;
        }
        const mm_utc_t end = {demo->end_utc_s * MM_US_PER_S};
        truth->expected_pulses[channel] = mm_linux_pulses_expected(&s_source.counters, channel, end);
        truth->expected_wh[channel] =
            mm_meter_energy_wh(meter->start_wh, truth->expected_pulses[channel], meter->pulse_constant);
    }
    node_source_close(&s_source);
    return true;
}

static void ask_node(const demo_t *demo, unsigned index, truth_t *truth) {
    static char s_answer[ANSWER_BYTES];
    char name[32];
    char path[DEMO_PATH_BYTES + 64];
    snprintf(name, sizeof name, "node-%u/control", index + 1);
    cJSON *status = app_path(path, sizeof path, demo->options.state_directory, name) &&
                            control_ask(path, "status", ANSWER_TIMEOUT_MS, s_answer, sizeof s_answer)
                        ? cJSON_Parse(s_answer)
                        : NULL;
    truth->answered = status != NULL;
    if (status != NULL) {
        truth->held = cJSON_IsTrue(cJSON_GetObjectItem(status, "held"));
        truth->epoch = (uint32_t)cJSON_GetNumberValue(cJSON_GetObjectItem(status, "epoch"));
        truth->next_seq = (uint32_t)cJSON_GetNumberValue(cJSON_GetObjectItem(status, "next"));
    }
    cJSON_Delete(status);
}

static uint64_t difference(uint64_t left, uint64_t right) {
    return left > right ? left - right : right - left;
}

static bool compare_channel(const mm_readings_channel_t *channel, uint64_t expected_pulses, uint64_t expected_wh,
                            demo_account_t *account) {
    account->meters++;
    account->wh_error += difference(channel->energy_wh, expected_wh);
    // The load profile must add up to the register: what is missing there is lost, what is too much was counted twice.
    uint64_t profile = channel->interval_pulses + channel->open_pulses;
    uint64_t profile_difference = difference(profile, channel->life_pulses);
    account->wh_error += mm_meter_energy_wh(0, profile_difference, channel->pulse_constant);
    return channel->life_pulses == expected_pulses && profile_difference == 0;
}

static bool compare_node(void *context, const mm_readings_node_t *node) {
    check_t *check = context;
    demo_account_t *account = check->account;
    for (unsigned i = 0; i < check->demo->options.nodes; i++) {
        const truth_t *truth = &check->truths[i];
        if (!mm_mac_equal(truth->mac, node->mac)) {
            continue;
        }
        check->matched++;
        uint64_t made = truth->next_seq > 0 ? truth->next_seq - 1 : 0;
        uint64_t known = node->positions + node->missing;
        account->records_made += made;
        account->records_stored += node->positions;
        account->gaps += node->missing;
        account->lost += made > known ? made - known : 0;
        account->duplicated += node->records - node->positions + node->duplicate_intervals;
        bool complete = truth->answered && truth->held && node->has_snapshot && node->epoch == truth->epoch &&
                        node->watermark_seq == truth->next_seq - 1;
        for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
            if (node->channels[channel].id[0] != '\0') {
                complete = compare_channel(&node->channels[channel], truth->expected_pulses[channel],
                                           truth->expected_wh[channel], account) &&
                           complete;
            }
        }
        account->complete = account->complete && complete;
    }
    return true;
}

int demo_check(const demo_t *demo, demo_account_t *account) {
    static check_t s_check;
    s_check = (check_t){.demo = demo, .account = account};
    *account = (demo_account_t){.complete = true};
    for (unsigned i = 0; i < demo->options.nodes; i++) {
        if (!read_source(demo, i, &s_check.truths[i])) {
            return APP_ENVIRONMENT;
        }
        ask_node(demo, i, &s_check.truths[i]);
    }
    char path[DEMO_PATH_BYTES + 16];
    mm_hq_error_t error;
    if (!app_path(path, sizeof path, demo->options.state_directory, "hq.db") ||
        mm_readings_check(path, compare_node, &s_check, &error) != MM_OK) {
        return app_error(APP_ENVIRONMENT, "demo", "%s", error.text);
    }
    account->complete = account->complete && s_check.matched == demo->options.nodes;
    return APP_OK;
}
