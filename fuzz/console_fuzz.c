// SPDX-License-Identifier: Apache-2.0
// Lines at the console. First byte: bits 0 to 5 what the place grants, bit 6 the node has a network, bit 7 little room
// for answers. The rest are lines; "\x0e" lets five minutes pass. The good code is 23232323. Whatever comes: answers
// stay in their room and end with a line end, JSON is whole, no line is repeated and each is wiped, no secret is in an
// answer; nothing acts that is not granted, and a network is only forgotten by the code and the word.
#include "meshmeter/console.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAC                                                                                                            \
    {                                                                                                                  \
        { 2, 0, 0, 0, 0, 7 }                                                                                           \
    }
#define JOURNAL_SECTORS 4
#define CONFIG_SECTORS 2
#define LINES_MAX 40
#define ROOM_BYTES 2048
#define SECRET "Zebra9Quagga"
#define GUARD 0x77

static uint8_t journal_bytes[JOURNAL_SECTORS * MM_FLASH_SECTOR_BYTES];
static uint8_t config_bytes[CONFIG_SECTORS * MM_FLASH_SECTOR_BYTES];
static uint8_t fram_bytes[MM_STORE_FRAM_BYTES];
static uint8_t batch_memory[MM_BATCH_BYTES_MAX];
static mm_node_t node;
static unsigned acts;

// A node as it is behind its start, to begin each input with.
static struct {
    bool is_ready;
    uint8_t journal_bytes[sizeof journal_bytes];
    uint8_t config_bytes[sizeof config_bytes];
    uint8_t fram_bytes[sizeof fram_bytes];
    mm_node_t node;
} fresh;

static mm_err_t flash_read(void *context, uint32_t address, void *bytes, size_t bytes_count) {
    memcpy(bytes, (const uint8_t *)context + address, bytes_count);
    return MM_OK;
}

static mm_err_t flash_program(void *context, uint32_t address, const void *bytes, size_t bytes_count) {
    memcpy((uint8_t *)context + address, bytes, bytes_count);
    return MM_OK;
}

static mm_err_t flash_erase(void *context, uint32_t sector_index) {
    memset((uint8_t *)context + (size_t)sector_index * MM_FLASH_SECTOR_BYTES, 0xFF, MM_FLASH_SECTOR_BYTES);
    return MM_OK;
}

static mm_err_t fram_write(void *context, uint32_t address, const void *bytes, size_t bytes_count) {
    return flash_program(context, address, bytes, bytes_count);
}

static mm_err_t read_pulses(void *context, mm_us_t now, mm_pulse_counts_t *counts) {
    (void)context;
    (void)now;
    memset(counts, 0, sizeof *counts);
    return MM_OK;
}

static mm_err_t mesh_send(void *context, mm_mac_t to, const void *bytes, size_t bytes_count) {
    (void)context;
    (void)to;
    (void)bytes;
    (void)bytes_count;
    return MM_OK;
}

static mm_err_t mesh_send_to_root(void *context, const void *bytes, size_t bytes_count) {
    return mesh_send(context, (mm_mac_t){{0}}, bytes, bytes_count);
}

static mm_err_t mqtt_start(void *context, uint32_t session) {
    (void)context;
    (void)session;
    return MM_ERR_BUSY;
}

static mm_err_t mqtt_subscribe(void *context, const char *topic, uint8_t qos, uint16_t *packet_id) {
    (void)context;
    (void)topic;
    (void)qos;
    (void)packet_id;
    return MM_ERR_BUSY;
}

static mm_err_t mqtt_publish(void *context, const char *topic, const void *bytes, size_t bytes_count,
                             uint16_t *packet_id) {
    (void)bytes;
    (void)bytes_count;
    return mqtt_subscribe(context, topic, 0, packet_id);
}

static void mqtt_stop(void *context, bool graceful) {
    (void)context;
    (void)graceful;
}

static mm_err_t act(void *context, uint32_t seconds) {
    (void)context;
    MM_ASSERT(seconds >= 1 && seconds <= MM_CONSOLE_SECONDS_MAX);
    acts++;
    return MM_OK;
}

static size_t log_tail(void *context, char *text, size_t capacity_bytes) {
    static const char logged[] = "a line of the log, and another one";
    size_t bytes_count = sizeof logged - 1 < capacity_bytes ? sizeof logged - 1 : capacity_bytes;
    (void)context;
    memcpy(text, logged, bytes_count);
    return bytes_count;
}

static mm_err_t draw(void *context, void *bytes, size_t bytes_count) {
    (void)context;
    memset(bytes, 0x5A, bytes_count);
    return MM_OK;
}

static mm_err_t hmac(void *context, const void *bytes, size_t bytes_count, uint8_t mac[MM_HMAC_BYTES]) {
    (void)context;
    (void)bytes;
    memset(mac, (int)(bytes_count & 0xFF), MM_HMAC_BYTES);
    return MM_OK;
}

static void make_fresh(void) {
    static const mm_flash_t journal_flash = {flash_read, flash_program, flash_erase, journal_bytes, JOURNAL_SECTORS};
    static const mm_flash_t config_flash = {flash_read, flash_program, flash_erase, config_bytes, CONFIG_SECTORS};
    static const mm_fram_t fram = {flash_read, fram_write, fram_bytes, sizeof fram_bytes};
    static const mm_pulses_t pulses = {read_pulses, NULL};
    static const mm_mesh_t mesh = {mesh_send, mesh_send_to_root, NULL};
    static const mm_mqtt_t mqtt = {mqtt_start, mqtt_subscribe, mqtt_publish, mqtt_stop, NULL};
    static const mm_crypto_t crypto = {.device_hmac = hmac};
    static const mm_entropy_t entropy = {draw, NULL};
    static const mm_actions_t actions = {.display_on = act, .find = act, .log_tail = log_tail};
    const mm_node_options_t options = {
        .mac = MAC,
        .site = "house-1",
        .metering = {.tz = "UTC0", .time_trust_s = 86400, .save_period_s = 60, .meters = {{"M0", 1000, 5000}}},
        .control = {.token_unit_wh = 1000, .new_era = 7},
        .timing = mm_timing_default((mm_mac_t)MAC),
        .config_sector_count = CONFIG_SECTORS,
        .journal_sector_count = JOURNAL_SECTORS,
        .random_seed = 3};
    const mm_node_ports_t ports = {.pulses = &pulses,
                                   .fram = &fram,
                                   .journal_flash = &journal_flash,
                                   .mesh = &mesh,
                                   .mqtt = &mqtt,
                                   .crypto = &crypto,
                                   .actions = &actions,
                                   .config_flash = &config_flash,
                                   .entropy = &entropy,
                                   .batch_memory = batch_memory,
                                   .batch_capacity = 1};
    memset(journal_bytes, 0xFF, sizeof journal_bytes);
    memset(config_bytes, 0xFF, sizeof config_bytes);
    memset(fram_bytes, 0xFF, sizeof fram_bytes);
    mm_err_t err = mm_node_init(&node, &options, &ports, 0);
    MM_ASSERT(err == MM_OK && node.has_setup);
    for (int i = 0; i < 20; i++) {
        (void)mm_node_poll(&node, i);
    }
    memcpy(fresh.journal_bytes, journal_bytes, sizeof journal_bytes);
    memcpy(fresh.config_bytes, config_bytes, sizeof config_bytes);
    memcpy(fresh.fram_bytes, fram_bytes, sizeof fram_bytes);
    memcpy(&fresh.node, &node, sizeof node);
    fresh.is_ready = true;
}

static void begin(bool with_network) {
    if (!fresh.is_ready) {
        make_fresh();
    }
    memcpy(journal_bytes, fresh.journal_bytes, sizeof journal_bytes);
    memcpy(config_bytes, fresh.config_bytes, sizeof config_bytes);
    memcpy(fram_bytes, fresh.fram_bytes, sizeof fram_bytes);
    memcpy(&node, &fresh.node, sizeof node);
    mm_network_t network = {.revision = 1,
                            .site = "house-1",
                            .broker.url = "mqtt://u:" SECRET "@host",
                            .broker.user = "u",
                            .broker.password = SECRET,
                            .router.ssid = "router",
                            .router.password = SECRET};
    memcpy(network.mesh_key, SECRET, sizeof SECRET);
    MM_ASSERT(!with_network || mm_setup_take_network(&node.setup, &network, 20) == MM_OK);
}

static bool ends_with(const char *line, const char *end) {
    size_t chars = strlen(line);
    while (chars > 0 && line[chars - 1] == ' ') {
        chars--;
    }
    return chars >= strlen(end) && memcmp(line + chars - strlen(end), end, strlen(end)) == 0;
}

static void check_answer(const char *text, size_t bytes_count, size_t room) {
    static char copy[ROOM_BYTES + 1];
    memcpy(copy, text, bytes_count);
    copy[bytes_count] = '\0';
    MM_ASSERT(bytes_count > 0 && strlen(copy) == bytes_count && strstr(copy, SECRET) == NULL);
    MM_ASSERT(bytes_count == room || copy[bytes_count - 1] == '\n');
    unsigned quotes = 0;
    for (size_t i = 0; copy[0] == '{' && i < bytes_count; i++) {
        quotes += copy[i] == '"' ? 1 : 0;
    }
    MM_ASSERT(quotes % 2 == 0 && (copy[0] != '{' || copy[bytes_count - 2] == '}'));
    for (size_t i = room; i < ROOM_BYTES; i++) {
        MM_ASSERT(text[i] == GUARD);
    }
}

static void type(mm_console_t *console, const uint8_t *bytes, size_t chars, mm_us_t now, size_t room) {
    static char line[300];
    static char typed[300];
    static char text[ROOM_BYTES];
    bool had_network = node.setup.configuration.has_network;
    unsigned acts_before = acts;
    chars = chars < sizeof line - 1 ? chars : sizeof line - 1;
    memcpy(line, bytes, chars);
    line[chars] = '\0';
    memcpy(typed, line, sizeof typed);
    memset(text, GUARD, sizeof text);
    size_t bytes_count = mm_console_answer(console, line, now, text, room);
    MM_ASSERT(bytes_count <= room);
    check_answer(text, bytes_count, room);
    for (size_t i = 0; i < strlen(typed); i++) {
        MM_ASSERT(line[i] == '\0');
    }
    MM_ASSERT(acts == acts_before || (console->options.granted & MM_CONSOLE_GRANT(MM_CONSOLE_PRESENCE)) != 0);
    bool is_forgotten = had_network && !node.setup.configuration.has_network;
    MM_ASSERT(!is_forgotten || ((console->options.granted & MM_CONSOLE_GRANT(MM_CONSOLE_CODE)) != 0 &&
                                ends_with(typed, " " MM_CONSOLE_RESET_WORD)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1 || size > 4000) {
        return 0;
    }
    mm_console_t console;
    const mm_console_options_t options = {.node = &node, .setup = &node.setup, .granted = data[0] & 0x3F};
    size_t room = (data[0] & 0x80) != 0 ? MM_CONSOLE_ANSWER_BYTES_MIN : ROOM_BYTES;
    mm_us_t now = 20;
    begin((data[0] & 0x40) != 0);
    mm_console_open(&console, &options, now);
    console.facts.broker = "mqtt://u:" SECRET "@host";
    size_t at = 1;
    for (unsigned count = 0; count < LINES_MAX && at < size; count++) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        size_t chars = end != NULL ? (size_t)(end - data) - at : size - at;
        if (chars == 1 && data[at] == 0x0E) {
            now += 300 * MM_US_PER_S;
            for (int i = 0; i < 20 && mm_node_poll(&node, now) <= now; i++) {
            }
        } else {
            type(&console, data + at, chars, now, room);
        }
        at += chars + 1;
    }
    return 0;
}
