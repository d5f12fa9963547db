// SPDX-License-Identifier: Apache-2.0
#include "decode.h"

#include "legacy.h"
#include "store_query.h"

#include "meshmeter/batch.h"
#include "meshmeter/command.h"
#include "meshmeter/frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_integer(cJSON *object, const char *name, int64_t value) {
    cJSON_AddNumberToObject(object, name, (double)value);
}

static void add_unsigned(cJSON *object, const char *name, uint64_t value) {
    // JSON readers keep 53 bits; what is longer goes as text.
    if (value > UINT64_C(9007199254740991)) {
        char text[24];
        snprintf(text, sizeof text, "%llu", (unsigned long long)value);
        cJSON_AddStringToObject(object, name, text);
    } else {
        cJSON_AddNumberToObject(object, name, (double)value);
    }
}

static void add_mac(cJSON *object, const char *name, mm_mac_t mac) {
    char text[MM_MAC_TEXT_BYTES];
    mm_mac_print(mac, text);
    cJSON_AddStringToObject(object, name, text);
}

static void add_position(cJSON *object, const char *name, mm_position_t position) {
    cJSON *item = cJSON_AddObjectToObject(object, name);
    add_integer(item, "epoch", position.epoch);
    add_integer(item, "seq", position.seq);
}

static void add_time(cJSON *object, mm_time_t time) {
    cJSON *item = cJSON_AddObjectToObject(object, "time");
    add_integer(item, "utc_us", time.utc.us);
    cJSON_AddStringToObject(item, "trust", mm_trust_name(time.trust));
}

static void add_label(cJSON *object, const char *name, mm_label_t label) {
    cJSON *item = cJSON_AddObjectToObject(object, name);
    add_unsigned(item, label.trust == MM_TRUST_UNSET ? "uptime_s" : "utc_s", label.seconds);
    cJSON_AddStringToObject(item, "trust", mm_trust_name(label.trust));
}

static void add_numbers(cJSON *object, const char *name, const uint32_t *values, size_t count) {
    cJSON *list = cJSON_AddArrayToObject(object, name);
    for (size_t index = 0; index < count; index++) {
        cJSON_AddItemToArray(list, cJSON_CreateNumber(values[index]));
    }
}

static void add_year_month(cJSON *object, uint16_t year_month) {
    char text[16] = "";
    if (year_month != 0) {
        snprintf(text, sizeof text, "%04d-%02d", year_month / 12, year_month % 12 + 1);
    }
    cJSON_AddStringToObject(object, "year_month", text);
}

static void add_hex(cJSON *object, const char *name, const uint8_t *bytes, size_t bytes_count) {
    char *text = malloc(2 * bytes_count + 1);
    if (text == NULL) {
        return;
    }
    text[0] = '\0';
    for (size_t index = 0; index < bytes_count; index++) {
        snprintf(text + 2 * index, 3, "%02x", bytes[index]);
    }
    cJSON_AddStringToObject(object, name, text);
    free(text);
}

static mm_err_t add_error(cJSON *object, mm_err_t err, const char *text) {
    cJSON_AddStringToObject(object, "error", err == MM_ERR_VERSION ? "of a later version of the protocol" : text);
    return err;
}

// --- records and snapshot

static void add_interval(cJSON *item, const mm_interval_record_t *interval) {
    add_integer(item, "interval_no", interval->interval_no);
    add_label(item, "end", interval->end);
    add_integer(item, "duration_s", interval->duration_s);
    cJSON_AddBoolToObject(item, "restarted", interval->restarted);
    if (interval->thinned) {
        add_integer(item, "thinned_first_seq", interval->thinned_first_seq);
        add_integer(item, "thinned_last_seq", interval->thinned_last_seq);
    }
    add_numbers(item, "pulses", interval->pulses, MM_CHANNELS);
}

static void add_month_closing(cJSON *item, const mm_month_closing_record_t *closing) {
    add_integer(item, "channel", closing->channel);
    add_year_month(item, closing->year_month);
    add_integer(item, "pulse_constant", closing->pulse_constant);
    add_unsigned(item, "life_pulses", closing->life_pulses);
    add_integer(item, "month_pulses", closing->month_pulses);
    add_numbers(item, "hours_pulses", closing->hours_pulses, MM_HOURS_OF_DAY);
    add_label(item, "closed", closing->closed);
}

static void add_event(cJSON *item, const mm_event_record_t *event) {
    cJSON_AddStringToObject(item, "name", mm_event_name(event->code));
    add_integer(item, "code", event->code);
    add_label(item, "at", event->at);
    add_integer(item, "boot_no", event->boot_no);
    cJSON *values = cJSON_AddArrayToObject(item, "values");
    for (size_t index = 0; index < MM_EVENT_VALUES; index++) {
        cJSON_AddItemToArray(values, cJSON_CreateNumber((double)event->values[index]));
    }
}

static void add_gap(cJSON *item, const mm_gap_record_t *gap) {
    add_integer(item, "gap_epoch", gap->epoch);
    add_integer(item, "first_seq", gap->first_seq);
    add_integer(item, "last_seq", gap->last_seq);
    cJSON_AddStringToObject(item, "reason", mm_gap_reason_name(gap->reason));
}

static void add_result(cJSON *item, const mm_result_record_t *result) {
    add_integer(item, "era", result->era);
    add_integer(item, "counter", result->counter);
    add_unsigned(item, "command_id", result->command_id);
    cJSON_AddStringToObject(item, "kind", mm_command_kind_name(result->kind));
    add_integer(item, "kind_no", result->kind);
    add_integer(item, "channel", result->channel);
    add_integer(item, "status", result->status);
    add_label(item, "at", result->at);
    add_hex(item, "detail_hex", result->detail, result->detail_bytes);
}

static void add_signed(cJSON *object, const char *name, int64_t value) {
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    cJSON_AddItemToObject(object, name, cJSON_CreateRaw(text));
}

static void add_credit(cJSON *item, const mm_credit_record_t *credit) {
    add_integer(item, "channel", credit->channel);
    cJSON_AddStringToObject(item, "movement", mm_movement_name(credit->movement));
    add_integer(item, "movement_no", credit->movement);
    add_integer(item, "era", credit->era);
    add_integer(item, "counter", credit->counter);
    add_unsigned(item, "command_id", credit->command_id);
    add_unsigned(item, "purchase_id", credit->purchase_id);
    add_integer(item, "count", credit->count);
    add_signed(item, "amount_wh", credit->amount_wh);
    add_signed(item, "balance_wh", credit->balance_wh);
    add_signed(item, "applied_wh", credit->applied_wh);
    add_unsigned(item, "life_pulses", credit->life_pulses);
    add_label(item, "at", credit->at);
}

static void add_installation(cJSON *item, const mm_installation_record_t *installation) {
    add_integer(item, "revision", installation->revision);
    cJSON_AddBoolToObject(item, "repeated", installation->repeated);
    add_integer(item, "node_no", installation->node_no);
    cJSON_AddStringToObject(item, "installer", installation->installer);
    add_label(item, "at", installation->at);
    cJSON *meters = cJSON_AddArrayToObject(item, "meters");
    for (size_t channel = 0; channel < MM_CHANNELS; channel++) {
        if (installation->channels[channel].id[0] == '\0') {
            continue;
        }
        cJSON *meter = cJSON_CreateObject();
        cJSON_AddItemToArray(meters, meter);
        add_integer(meter, "channel", (int64_t)channel);
        cJSON_AddStringToObject(meter, "id", installation->channels[channel].id);
        add_integer(meter, "pulse_constant", installation->channels[channel].pulse_constant);
        add_unsigned(meter, "start_wh", installation->channels[channel].start_wh);
        cJSON_AddBoolToObject(meter, "prepaid", installation->channels[channel].prepaid);
    }
}

static void add_join(cJSON *item, const mm_join_record_t *join) {
    add_mac(item, "asker", join->asker);
    add_mac(item, "via", join->via);
    add_hex(item, "nonce_hex", join->nonce, sizeof join->nonce);
    add_integer(item, "revision", join->revision);
    add_hex(item, "tag_hex", join->tag, sizeof join->tag);
    add_label(item, "at", join->at);
}

static mm_err_t add_record(cJSON *records, const mm_record_view_t *view) {
    mm_record_t record;
    cJSON *item = cJSON_CreateObject();
    cJSON_AddItemToArray(records, item);
    add_integer(item, "epoch", view->position.epoch);
    add_integer(item, "seq", view->position.seq);
    cJSON_AddStringToObject(item, "type", mm_record_type_name(view->type));
    mm_err_t err = mm_record_decode(view->type, view->payload, view->payload_bytes, &record);
    if (err != MM_OK) {
        add_integer(item, "type_no", view->type);
        add_hex(item, "payload_hex", view->payload, view->payload_bytes);
        return err == MM_ERR_NOT_FOUND ? MM_OK : add_error(item, err, "payload cannot be decoded");
    }
    switch (view->type) {
    case MM_RECORD_INTERVAL:
        add_interval(item, &record.interval);
        break;
    case MM_RECORD_MONTH_CLOSING:
        add_month_closing(item, &record.month_closing);
        break;
    case MM_RECORD_EVENT:
        add_event(item, &record.event);
        break;
    case MM_RECORD_GAP:
        add_gap(item, &record.gap);
        break;
    case MM_RECORD_RESULT:
        add_result(item, &record.result);
        break;
    case MM_RECORD_INSTALLATION:
        add_installation(item, &record.installation);
        break;
    case MM_RECORD_JOIN:
        add_join(item, &record.join);
        break;
    default:
        add_credit(item, &record.credit);
        break;
    }
    return MM_OK;
}

static void add_meter(cJSON *meters, size_t channel, const mm_meter_snapshot_t *meter) {
    cJSON *item = cJSON_CreateObject();
    cJSON_AddItemToArray(meters, item);
    add_integer(item, "channel", (int64_t)channel);
    cJSON_AddStringToObject(item, "id", meter->id);
    add_integer(item, "pulse_constant", meter->pulse_constant);
    add_unsigned(item, "start_wh", meter->start_wh);
    add_unsigned(item, "life_pulses", meter->life_pulses);
    add_unsigned(item, "energy_wh", mm_meter_energy_wh(meter->start_wh, meter->life_pulses, meter->pulse_constant));
    add_unsigned(item, "pending_pulses", meter->pending_pulses);
    add_integer(item, "month_pulses", meter->month_pulses);
    add_numbers(item, "hours_pulses", meter->hours_pulses, MM_HOURS_OF_DAY);
}

static void add_snapshot(cJSON *object, const mm_snapshot_t *snapshot) {
    cJSON *item = cJSON_AddObjectToObject(object, "snapshot");
    add_integer(item, "boot_no", snapshot->boot_no);
    add_unsigned(item, "uptime_ms", snapshot->uptime_ms);
    add_time(item, snapshot->time);
    add_integer(item, "layer", snapshot->layer);
    add_year_month(item, snapshot->year_month);
    add_integer(item, "interval_no", snapshot->interval_no);
    add_numbers(item, "interval_pulses", snapshot->interval_pulses, MM_CHANNELS);
    add_position(item, "oldest", snapshot->oldest);
    add_integer(item, "next_seq", snapshot->next_seq);
    add_position(item, "watermark", snapshot->watermark);
    cJSON *meters = cJSON_AddArrayToObject(item, "meters");
    for (size_t channel = 0; channel < MM_CHANNELS; channel++) {
        add_meter(meters, channel, &snapshot->meters[channel]);
    }
    cJSON *counters = cJSON_AddObjectToObject(item, "counters");
    for (uint32_t id = 0; id < MM_COUNTER_COUNT; id++) {
        if (snapshot->counters.values[id] > 0) {
            add_integer(counters, mm_counter_name(id), snapshot->counters.values[id]);
        }
    }
}

static void add_control(cJSON *object, mm_report_reader_t *reader) {
    mm_control_report_t control;
    if (mm_control_report_read(&reader->control, &control) != MM_OK) {
        return; // cannot be: the reader has checked it
    }
    cJSON *item = cJSON_AddObjectToObject(object, "control");
    add_integer(item, "era", control.era);
    add_integer(item, "counter", control.counter);
    add_integer(item, "slot", control.slot);
    add_integer(item, "slot_count", control.slot_count);
    cJSON_AddBoolToObject(item, "signed_only", control.signed_only);
    cJSON *meters = cJSON_AddArrayToObject(item, "meters");
    for (size_t channel = 0; channel < MM_CHANNELS; channel++) {
        cJSON *meter = cJSON_CreateObject();
        cJSON_AddItemToArray(meters, meter);
        cJSON_AddBoolToObject(meter, "prepaid", control.meters[channel].prepaid);
        add_integer(meter, "relay_reasons", control.meters[channel].relay_reasons);
        cJSON_AddBoolToObject(meter, "relay_closed", control.meters[channel].relay_closed);
        cJSON_AddBoolToObject(meter, "low", control.meters[channel].low);
        cJSON_AddBoolToObject(meter, "emergency_taken", control.meters[channel].emergency_taken);
        if (control.meters[channel].prepaid) {
            add_signed(meter, "balance_wh", control.meters[channel].balance_wh);
            add_signed(meter, "applied_wh", control.meters[channel].applied_wh);
            add_integer(meter, "token_count", control.meters[channel].token_count);
        }
    }
}

// --- frames

// A sealed command; its tag cannot be checked without the device's key, and bodies may hold passwords.
static mm_err_t add_command(cJSON *commands, const uint8_t *bytes, size_t bytes_count) {
    cJSON *item = cJSON_CreateObject();
    cJSON_AddItemToArray(commands, item);
    mm_command_t command;
    mm_err_t err = mm_command_read(bytes, bytes_count, &command);
    if (err != MM_OK) {
        return add_error(item, err, "command cannot be decoded");
    }
    add_mac(item, "node", command.node);
    add_integer(item, "era", command.era);
    add_integer(item, "counter", command.counter);
    add_unsigned(item, "id", command.id);
    add_unsigned(item, "not_after_s", command.not_after_s);
    cJSON_AddStringToObject(item, "kind", mm_command_kind_name(command.kind));
    add_integer(item, "kind_no", command.kind);
    add_integer(item, "channel", command.channel);
    add_integer(item, "body_bytes", command.body_bytes);
    return MM_OK;
}

static mm_err_t add_report(cJSON *object, const mm_frame_t *frame) {
    mm_report_reader_t reader;
    mm_snapshot_t snapshot;
    mm_record_view_t view;
    mm_err_t result = mm_report_open(frame, &reader);
    if (result != MM_OK) {
        return add_error(object, result, "report without a round id");
    }
    add_integer(object, "round_id", reader.round_id);
    cJSON *records = cJSON_CreateArray();
    for (;;) {
        mm_report_item_t item = mm_report_next(&reader, &snapshot, &view);
        if (item == MM_REPORT_SNAPSHOT) {
            add_snapshot(object, &snapshot);
        } else if (item == MM_REPORT_CONTROL) {
            add_control(object, &reader);
        } else if (item == MM_REPORT_RECORD) {
            mm_err_t err = add_record(records, &view);
            result = result == MM_OK ? err : result;
        } else {
            cJSON_AddItemToObject(object, "records", records);
            return item == MM_REPORT_END ? result : add_error(object, MM_ERR_CORRUPT, "cannot be decoded to its end");
        }
    }
}

static mm_err_t add_ask(cJSON *object, const mm_frame_t *frame) {
    mm_ask_t ask;
    mm_err_t err = mm_frame_read_ask(frame, &ask);
    if (err != MM_OK) {
        return add_error(object, err, "body cannot be decoded");
    }
    add_integer(object, "round_id", ask.round_id);
    add_time(object, ask.time);
    cJSON_AddBoolToObject(object, "with_snapshot", ask.with_snapshot);
    if (ask.has_watermark) {
        add_position(object, "watermark", ask.watermark);
    }
    add_position(object, "after", ask.after);
    add_integer(object, "report_bytes_max", ask.report_bytes_max);
    if (ask.network_revision != 0) {
        add_integer(object, "network_revision", ask.network_revision);
    }
    mm_ask_commands_t reader;
    const uint8_t *bytes;
    size_t bytes_count;
    cJSON *commands = NULL;
    mm_ask_commands_begin(frame, &reader);
    while (mm_ask_commands_next(&reader, &bytes, &bytes_count)) {
        commands = commands != NULL ? commands : cJSON_AddArrayToObject(object, "commands");
        mm_err_t command_err = add_command(commands, bytes, bytes_count);
        err = err == MM_OK ? command_err : err;
    }
    return err;
}

// The slices of an answer are sealed: what is in them is between its asker and its root.
static mm_err_t add_join_answer(cJSON *object, const mm_frame_t *frame) {
    mm_join_answer_t answer;
    mm_err_t err = mm_frame_read_join_answer(frame, &answer);
    if (err != MM_OK) {
        return add_error(object, err, "body cannot be decoded");
    }
    add_mac(object, "asker", answer.asker);
    add_hex(object, "nonce_hex", answer.nonce, sizeof answer.nonce);
    cJSON_AddStringToObject(object, "site", answer.site);
    add_integer(object, "part", answer.part);
    add_integer(object, "part_count", answer.part_count);
    add_integer(object, "slice_bytes", answer.slice_bytes);
    return MM_OK;
}

static mm_err_t add_join_ask(cJSON *object, const mm_frame_t *frame) {
    mm_join_ask_t ask;
    mm_err_t err = mm_frame_read_join_ask(frame, &ask);
    if (err != MM_OK) {
        return add_error(object, err, "body cannot be decoded");
    }
    add_mac(object, "asker", ask.asker);
    add_hex(object, "nonce_hex", ask.nonce, sizeof ask.nonce);
    add_integer(object, "revision", ask.revision);
    add_hex(object, "tag_hex", ask.tag, sizeof ask.tag);
    return MM_OK;
}

static mm_err_t add_frame_body(cJSON *object, const mm_frame_t *frame) {
    mm_hello_t hello;
    mm_welcome_t welcome;
    mm_err_t err;
    switch (frame->type) {
    case MM_FRAME_HELLO:
        cJSON_AddStringToObject(object, "type", "hello");
        err = mm_frame_read_hello(frame, &hello);
        if (err == MM_OK) {
            add_integer(object, "boot_no", hello.boot_no);
        }
        break;
    case MM_FRAME_WELCOME:
        cJSON_AddStringToObject(object, "type", "welcome");
        err = mm_frame_read_welcome(frame, &welcome);
        if (err == MM_OK) {
            add_time(object, welcome.time);
        }
        break;
    case MM_FRAME_ASK:
        cJSON_AddStringToObject(object, "type", "ask");
        return add_ask(object, frame);
    case MM_FRAME_REPORT:
        cJSON_AddStringToObject(object, "type", "report");
        return add_report(object, frame);
    case MM_FRAME_JOIN_ASK:
        cJSON_AddStringToObject(object, "type", "join_ask");
        return add_join_ask(object, frame);
    case MM_FRAME_JOIN_ANSWER:
        cJSON_AddStringToObject(object, "type", "join_answer");
        return add_join_answer(object, frame);
    default:
        cJSON_AddStringToObject(object, "type", "unknown");
        add_integer(object, "type_no", frame->type);
        add_hex(object, "body_hex", frame->body, frame->body_bytes);
        return MM_OK;
    }
    return err == MM_OK ? MM_OK : add_error(object, err, "body cannot be decoded");
}

static mm_err_t add_frame(cJSON *object, const mm_frame_t *frame) {
    cJSON_AddStringToObject(object, "kind", "frame");
    add_mac(object, "source", frame->source);
    return add_frame_body(object, frame);
}

// --- messages

static mm_err_t add_batch(cJSON *object, mm_batch_reader_t *batch) {
    const mm_batch_header_t *header = &batch->header;
    mm_err_t result = MM_OK;
    cJSON_AddStringToObject(object, "kind", "batch");
    cJSON_AddStringToObject(object, "content", header->kind == MM_BATCH_LIVE ? "live" : "backlog");
    add_mac(object, "root", header->root);
    add_integer(object, "root_boot_no", header->root_boot_no);
    add_integer(object, "session", header->session);
    add_integer(object, "round_id", header->round_id);
    add_time(object, header->time);
    add_integer(object, "batch_index", header->batch_index);
    add_integer(object, "batch_count", header->batch_count);
    cJSON *missing = cJSON_AddArrayToObject(object, "missing");
    for (size_t index = 0; index < header->missing_count; index++) {
        char text[MM_MAC_TEXT_BYTES];
        mm_mac_print(header->missing[index], text);
        cJSON_AddItemToArray(missing, cJSON_CreateString(text));
    }
    cJSON *frames = cJSON_AddArrayToObject(object, "frames");
    const uint8_t *bytes;
    size_t bytes_count;
    while (mm_batch_next(batch, &bytes, &bytes_count)) {
        mm_frame_t frame;
        cJSON *item = cJSON_CreateObject();
        cJSON_AddItemToArray(frames, item);
        mm_err_t err = mm_frame_open(bytes, bytes_count, &frame);
        err = err == MM_OK ? add_frame(item, &frame) : add_error(item, err, "damaged frame");
        result = result == MM_OK ? err : result;
    }
    return result;
}

static mm_err_t add_ack(cJSON *object, const mm_ack_t *ack) {
    char text[24];
    cJSON_AddStringToObject(object, "kind", "ack");
    snprintf(text, sizeof text, "%016llx", (unsigned long long)ack->database_id);
    cJSON_AddStringToObject(object, "database_id", text);
    add_unsigned(object, "revision", ack->revision);
    add_time(object, ack->time);
    cJSON *entries = cJSON_AddArrayToObject(object, "entries");
    for (size_t index = 0; index < ack->entry_count; index++) {
        cJSON *item = cJSON_CreateObject();
        cJSON_AddItemToArray(entries, item);
        add_mac(item, "node", ack->entries[index].node);
        add_position(item, "watermark", ack->entries[index].watermark);
    }
    return MM_OK;
}

static mm_err_t add_command_batch(cJSON *object, const mm_command_batch_t *batch) {
    char text[24];
    mm_err_t result = MM_OK;
    cJSON_AddStringToObject(object, "kind", "command_batch");
    snprintf(text, sizeof text, "%016llx", (unsigned long long)batch->database_id);
    cJSON_AddStringToObject(object, "database_id", text);
    add_unsigned(object, "revision", batch->revision);
    add_time(object, batch->time);
    cJSON *commands = cJSON_AddArrayToObject(object, "commands");
    for (size_t index = 0; index < batch->count; index++) {
        mm_err_t err = add_command(commands, batch->commands[index].bytes, batch->commands[index].bytes_count);
        result = result == MM_OK ? err : result;
    }
    return result;
}

typedef struct {
    cJSON *meters;
    mm_err_t result;
} legacy_t;

static void add_legacy_reading(void *context, const mm_legacy_reading_t *reading, const void *bytes,
                               size_t bytes_count) {
    (void)bytes;
    (void)bytes_count;
    legacy_t *self = context;
    cJSON *item = cJSON_CreateObject();
    cJSON_AddItemToArray(self->meters, item);
    cJSON_AddStringToObject(item, "id", reading->id);
    add_integer(item, "node_id", reading->node_id);
    add_integer(item, "subnode", reading->subnode);
    add_integer(item, "stamp_s", reading->stamp_s);
    add_unsigned(item, "life_kwh", reading->life_kwh);
    add_integer(item, "month", reading->month);
    add_unsigned(item, "month_kwh", reading->month_kwh);
    add_numbers(item, "hours_kwh", reading->hours_kwh, MM_HOURS_OF_DAY);
    if (reading->form == MM_LEGACY_BINARY) {
        add_integer(item, "beats", reading->beats);
        add_integer(item, "pay_mode", reading->pay_mode);
        add_integer(item, "power_off", reading->power_off);
        add_integer(item, "prepaid_balance", reading->prepaid_balance);
        add_integer(item, "amperes_max", reading->amperes_max);
        add_integer(item, "device", reading->device);
    }
}

static void add_legacy_reject(void *context, const char *reason, const void *bytes, size_t bytes_count) {
    legacy_t *self = context;
    cJSON *item = cJSON_CreateObject();
    cJSON_AddItemToArray(self->meters, item);
    cJSON_AddStringToObject(item, "error", reason);
    add_hex(item, "bytes_hex", bytes, bytes_count);
    self->result = MM_ERR_CORRUPT;
}

static mm_err_t add_legacy(cJSON *object, mm_legacy_form_t form, const void *bytes, size_t bytes_count) {
    mm_hq_error_t error;
    cJSON_AddStringToObject(object, "kind", mm_legacy_form_name(form));
    legacy_t legacy = {.meters = cJSON_AddArrayToObject(object, "meters"), .result = MM_OK};
    mm_err_t err = mm_legacy_decode(form, bytes, bytes_count, add_legacy_reading, add_legacy_reject, &legacy, &error);
    return err == MM_OK ? legacy.result : add_error(object, err, error.text);
}

mm_err_t mm_decode_json(const void *bytes, size_t bytes_count, cJSON **json) {
    mm_frame_t frame;
    *json = cJSON_CreateObject();
    mm_batch_reader_t *batch = malloc(sizeof *batch);
    mm_ack_t *ack = malloc(sizeof *ack);
    mm_command_batch_t *commands = malloc(sizeof *commands);
    mm_err_t result = MM_ERR_FULL;
    if (*json != NULL && batch != NULL && ack != NULL && commands != NULL) {
        mm_err_t batch_err = mm_batch_open(bytes, bytes_count, batch);
        mm_err_t frame_err = mm_frame_open(bytes, bytes_count, &frame);
        mm_err_t ack_err = mm_ack_read(bytes, bytes_count, ack);
        mm_err_t commands_err = mm_command_batch_read(bytes, bytes_count, commands);
        mm_legacy_form_t form = mm_legacy_classify(bytes, bytes_count);
        bool later = batch_err == MM_ERR_VERSION || frame_err == MM_ERR_VERSION || ack_err == MM_ERR_VERSION ||
                     commands_err == MM_ERR_VERSION;
        if (batch_err == MM_OK) {
            result = add_batch(*json, batch);
        } else if (frame_err == MM_OK) {
            result = add_frame(*json, &frame);
        } else if (ack_err == MM_OK) {
            result = add_ack(*json, ack);
        } else if (commands_err == MM_OK) {
            result = add_command_batch(*json, commands);
        } else if (form != MM_LEGACY_NONE && !later) {
            result = add_legacy(*json, form, bytes, bytes_count);
        } else {
            cJSON_AddStringToObject(*json, "kind", "unknown");
            result = add_error(*json, later ? MM_ERR_VERSION : MM_ERR_CORRUPT,
                               "neither frame, batch, acknowledgement nor a form of the original; damaged?");
        }
        add_integer(*json, "bytes", (int64_t)bytes_count);
    }
    free(batch);
    free(ack);
    free(commands);
    return result;
}
