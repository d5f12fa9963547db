// SPDX-License-Identifier: Apache-2.0
#include "node_status.h"

#include <cjson/cJSON.h>
#include <stdio.h>

#include "node_credit.h"

static void add_number(cJSON *object, const char *name, uint64_t number) {
    (void)cJSON_AddNumberToObject(object, name, (double)number);
}

static void add_mac(cJSON *object, const char *name, mm_mac_t mac) {
    char text[18];
    snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", mac.bytes[0], mac.bytes[1], mac.bytes[2], mac.bytes[3],
             mac.bytes[4], mac.bytes[5]);
    (void)cJSON_AddStringToObject(object, name, text);
}

static void add_root(cJSON *object, const mm_root_t *root) {
    (void)cJSON_AddStringToObject(object, "uplink", mm_uplink_state_name(root->uplink.state));
    add_number(object, "session", root->uplink.session);
    add_number(object, "sessions_made", root->sessions_made);
    add_number(object, "sessions_clean", root->sessions_clean);
    add_number(object, "rounds_made", root->rounds_made);
}

static void add_meters(cJSON *object, const mm_node_t *node, const mm_snapshot_t *snapshot, mm_us_t now) {
    mm_control_report_t report;
    node_credit_report(node, now, &report);
    cJSON *meters = cJSON_AddArrayToObject(object, "meters");
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        const mm_meter_snapshot_t *meter = &snapshot->meters[channel];
        if (meter->id[0] == '\0') {
            continue;
        }
        cJSON *item = cJSON_CreateObject();
        add_number(item, "channel", channel);
        (void)cJSON_AddStringToObject(item, "id", meter->id);
        add_number(item, "pulse_constant", meter->pulse_constant);
        add_number(item, "start_wh", meter->start_wh);
        add_number(item, "life_pulses", meter->life_pulses);
        add_number(item, "pending_pulses", meter->pending_pulses);
        add_number(item, "energy_wh", mm_meter_energy_wh(meter->start_wh, meter->life_pulses, meter->pulse_constant));
        node_credit_add(item, node, &report, channel, now);
        (void)cJSON_AddItemToArray(meters, item);
    }
}

static void add_control(cJSON *object, const mm_node_t *node, mm_us_t now) {
    mm_control_report_t report;
    node_credit_report(node, now, &report);
    cJSON *control = cJSON_AddObjectToObject(object, "control");
    add_number(control, "era", report.era);
    add_number(control, "counter", report.counter);
    (void)cJSON_AddBoolToObject(control, "signed_only", report.signed_only);
}

static void add_counters(cJSON *object, const mm_counters_t *counters) {
    cJSON *list = cJSON_AddObjectToObject(object, "counters");
    for (uint32_t i = 0; i < MM_COUNTER_COUNT; i++) {
        if (counters->values[i] != 0) {
            add_number(list, mm_counter_name(i), counters->values[i]);
        }
    }
}

char *node_status_json(const mm_node_t *node, bool router_up, mm_us_t now) {
    mm_snapshot_t snapshot;
    mm_metering_snapshot(&node->metering, now, &snapshot);
    cJSON *object = cJSON_CreateObject();
    add_mac(object, "mac", node->options.mac);
    (void)cJSON_AddStringToObject(object, "site", node->options.site);
    (void)cJSON_AddBoolToObject(object, "root", node->root.active);
    add_mac(object, "root_mac", node->root_mac);
    (void)cJSON_AddBoolToObject(object, "attached", node->attached);
    add_number(object, "layer", node->layer);
    (void)cJSON_AddBoolToObject(object, "router_up", router_up);
    add_root(object, &node->root);
    add_number(object, "boot_no", snapshot.boot_no);
    add_number(object, "uptime_s", snapshot.uptime_ms / 1000);
    add_number(object, "time", (uint64_t)(snapshot.time.utc.us / MM_US_PER_S));
    (void)cJSON_AddStringToObject(object, "trust", mm_trust_name(snapshot.time.trust));
    add_number(object, "epoch", snapshot.oldest.epoch);
    add_number(object, "oldest", snapshot.oldest.seq);
    add_number(object, "next", snapshot.next_seq);
    add_number(object, "watermark", snapshot.watermark.epoch == snapshot.oldest.epoch ? snapshot.watermark.seq : 0);
    add_number(object, "backlog", mm_journal_backlog(&node->journal));
    add_number(object, "interval_no", snapshot.interval_no);
    (void)cJSON_AddBoolToObject(object, "held", mm_metering_is_held(&node->metering));
    add_counters(object, &snapshot.counters);
    add_control(object, node, now);
    add_meters(object, node, &snapshot, now);
    char *text = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    return text;
}
