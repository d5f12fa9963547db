// SPDX-License-Identifier: Apache-2.0
// A root of ten nodes in 256 KB of flash and 64 KB of RAM: it links only if core and port fit in there together with
// the stack, and it runs. Its memory chips lie at an address that the linker does not give out. On RV32 it prints how
// many instructions the core's frequent calls take, for tools/budgets: `cost: name=instructions`.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meshmeter/frame.h"
#include "meshmeter/node.h"

#define SECTORS 32
#define BEGIN_US (INT64_C(1451606400) * MM_US_PER_S) /* 2016-01-01T00:00:00Z */

_Static_assert(MM_NODES_MAX == 10, "the issue's bound is for ten nodes");

// What the port keeps in RAM.
static mm_node_t s_node;
static uint8_t s_batch[MM_BATCH_BYTES_MAX];
static mm_pulse_counts_t s_counts;
static size_t s_sent_bytes;

// What it has outside.
static uint8_t *const chips = (uint8_t *)MM_CHIPS; // NOLINT(performance-no-int-to-ptr)

_Noreturn void mm_assert_failed(const char *place) {
    printf("%s: assertion failed\n", place);
    exit(1);
}

static uint8_t *chip_at(void *context, uint32_t address) {
    return chips + *(const uint32_t *)context + address;
}
static mm_err_t chip_read(void *context, uint32_t address, void *bytes, size_t bytes_count) {
    memcpy(bytes, chip_at(context, address), bytes_count);
    return MM_OK;
}
static mm_err_t chip_write(void *context, uint32_t address, const void *bytes, size_t bytes_count) {
    memcpy(chip_at(context, address), bytes, bytes_count);
    return MM_OK;
}
static mm_err_t chip_program(void *context, uint32_t address, const void *bytes, size_t bytes_count) {
    uint8_t *place = chip_at(context, address);
    for (size_t i = 0; i < bytes_count; i++) {
        place[i] &= ((const uint8_t *)bytes)[i];
    }
    return MM_OK;
}
static mm_err_t chip_erase(void *context, uint32_t sector_index) {
    memset(chip_at(context, sector_index * MM_FLASH_SECTOR_BYTES), 0xFF, MM_FLASH_SECTOR_BYTES);
    return MM_OK;
}
static mm_err_t read_pulses(void *context, mm_us_t now, mm_pulse_counts_t *counts) {
    (void)context;
    (void)now;
    *counts = s_counts;
    return MM_OK;
}
static mm_err_t mesh_send(void *context, mm_mac_t to, const void *bytes, size_t bytes_count) {
    (void)context;
    (void)to;
    (void)bytes;
    s_sent_bytes = bytes_count;
    return MM_OK;
}
static mm_err_t mesh_send_to_root(void *context, const void *bytes, size_t bytes_count) {
    return mesh_send(context, (mm_mac_t){{0}}, bytes, bytes_count);
}
static mm_err_t mqtt_start(void *context, uint32_t session) {
    (void)context;
    (void)session;
    return MM_ERR_UNAVAILABLE;
}
static mm_err_t mqtt_subscribe(void *context, const char *topic, uint8_t qos, uint16_t *packet_id) {
    (void)context;
    (void)topic;
    (void)qos;
    (void)packet_id;
    return MM_ERR_UNAVAILABLE;
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
static void write_log(void *context, mm_log_level_t level, const char *message, const char *first_name, int64_t first,
                      const char *second_name, int64_t second) {
    (void)context;
    (void)level;
    (void)message;
    (void)first_name;
    (void)first;
    (void)second_name;
    (void)second;
}

static uint32_t instructions(void) {
#ifdef __riscv
    uint32_t count;
    __asm__ volatile(".option push\n.option arch, +zicsr\ncsrr %0, minstret\n.option pop" : "=r"(count));
    return count;
#else
    return 0;
#endif
}

static void print_cost(const char *name, uint32_t cost) {
#ifdef __riscv
    printf("cost: %s=%lu\n", name, (unsigned long)cost);
#else
    (void)name;
    (void)cost;
#endif
}

static mm_mac_t mac_of(unsigned index) {
    return (mm_mac_t){{2, 0, 0, 0, 0, (uint8_t)(index + 1)}};
}

static mm_us_t s_now;

static uint32_t poll_cost(void) {
    uint32_t before = instructions();
    (void)mm_node_poll(&s_node, s_now);
    return instructions() - before;
}

static void add_pulses(uint32_t pulses) {
    for (int channel = 0; channel < MM_CHANNELS; channel++) {
        s_counts.counts[channel] += pulses;
    }
}

static void begin(void) {
    static uint32_t s_journal_at = 0;
    static uint32_t s_fram_at = SECTORS * MM_FLASH_SECTOR_BYTES;
    static const mm_pulses_t pulses = {.read = read_pulses};
    static const mm_mesh_t mesh = {.send = mesh_send, .send_to_root = mesh_send_to_root};
    static const mm_mqtt_t mqtt = {
        .start = mqtt_start, .subscribe = mqtt_subscribe, .publish = mqtt_publish, .stop = mqtt_stop};
    static const mm_log_t log = {.write = write_log};
    static mm_flash_t s_journal;
    static mm_fram_t s_fram;
    static mm_node_options_t s_options;
    memset(chips, 0xFF, s_fram_at + MM_STORE_FRAM_BYTES);
    s_journal = (mm_flash_t){chip_read, chip_program, chip_erase, &s_journal_at, SECTORS};
    s_fram = (mm_fram_t){chip_read, chip_write, &s_fram_at, MM_STORE_FRAM_BYTES};
    s_options = (mm_node_options_t){
        .mac = mac_of(0), .timing = mm_timing_default(mac_of(0)), .journal_sector_count = SECTORS, .random_seed = 1};
    strcpy(s_options.site, "house-1");
    strcpy(s_options.metering.tz, "CET-1CEST,M3.5.0,M10.5.0/3");
    s_options.metering.time_trust_s = 86400;
    s_options.metering.save_period_s = 60;
    s_options.metering.pulses_per_s_max = 17;
    for (int channel = 0; channel < MM_CHANNELS; channel++) {
        s_options.metering.meters[channel].pulse_constant = 1000;
        s_options.metering.meters[channel].id[0] = (char)('A' + channel);
    }
    const mm_node_ports_t ports = {.pulses = &pulses,
                                   .fram = &s_fram,
                                   .journal_flash = &s_journal,
                                   .mesh = &mesh,
                                   .mqtt = &mqtt,
                                   .log = &log,
                                   .batch_memory = s_batch,
                                   .batch_capacity = 1};
    MM_ASSERT(mm_node_init(&s_node, &s_options, &ports, s_now) == MM_OK);
    const mm_time_t time = {{BEGIN_US + s_now}, MM_TRUST_SYNCED};
    MM_ASSERT(mm_node_set_time(&s_node, time, s_now) == MM_OK);
    (void)mm_node_poll(&s_node, s_now);
}

static void mesh_event(mm_mesh_event_kind_t kind, unsigned about, uint8_t layer) {
    const mm_mesh_event_t event = {.kind = kind, .mac = mac_of(about), .layer = layer};
    mm_node_on_mesh_event(&s_node, &event, s_now);
    (void)mm_node_poll(&s_node, s_now);
}

// S0 pulses at 16.7 a second on all channels, read every read_us: the cost of one second, the mean of sixty.
static uint32_t metering_second(mm_us_t read_us) {
    uint64_t sum = 0;
    uint32_t tenths = 0;
    for (int64_t passed = 0; passed < 60 * MM_US_PER_S; passed += read_us) {
        s_now += read_us;
        tenths += (uint32_t)(read_us * 167 / 100000);
        add_pulses(tenths / 100);
        tenths %= 100;
        sum += poll_cost();
    }
    return (uint32_t)(sum / 60);
}

static void run_as_child(void) {
    mesh_event(MM_MESH_PARENT_CONNECTED, 1, 2);
    mesh_event(MM_MESH_ROOT_CHANGED, 1, 0);
    s_now += MM_US_PER_S;
    (void)poll_cost();
    s_now += MM_US_PER_S;
    print_cost("poll_idle", poll_cost());
    s_now += MM_US_PER_S;
    add_pulses(10);
    print_cost("poll_with_pulses_on_8_channels_and_save", poll_cost());
    print_cost("metering_second_read_each_100_ms", metering_second(100000));
    print_cost("metering_second_read_each_1000_ms", metering_second(MM_US_PER_S));

    uint32_t most = 0;
    uint64_t life_before = s_node.metering.registers.channels[0].life_pulses;
    for (int second = 0; second < 3600; second++) {
        s_now += MM_US_PER_S;
        add_pulses(16);
        uint32_t cost = poll_cost();
        most = cost > most ? cost : most;
    }
    MM_ASSERT(s_node.metering.registers.channels[0].life_pulses == life_before + 3600 * 16);
    print_cost("poll_worst_of_an_hour_with_4_interval_records", most);

    static uint8_t s_frame[MM_MESH_FRAME_BYTES_MAX];
    const mm_ask_t ask = {.round_id = 1, .with_snapshot = true, .report_bytes_max = MM_MESH_FRAME_BYTES_MAX};
    size_t bytes = mm_frame_write_ask(s_frame, sizeof s_frame, mac_of(1), &ask);
    MM_ASSERT(bytes > 0);
    s_sent_bytes = 0;
    uint32_t before = instructions();
    mm_node_on_mesh_frame(&s_node, mac_of(1), s_frame, bytes, s_now);
    print_cost("ask_read_and_report_built", instructions() - before);
    MM_ASSERT(s_sent_bytes > 8 * MM_METER_ID_CHARS_MAX); // with a snapshot of eight meters
}

static void run_as_root(void) {
    mesh_event(MM_MESH_PARENT_CONNECTED, 0, 1);
    mesh_event(MM_MESH_ROOT_CHANGED, 0, 0);
    for (unsigned child = 1; child < MM_NODES_MAX; child++) {
        mesh_event(MM_MESH_CHILD_JOINED, child, 0);
    }
    mesh_event(MM_MESH_GOT_IP, 0, 0);
    uint64_t sum = 0;
    uint32_t most = 0;
    for (int second = 0; second < 500; second++) {
        s_now += MM_US_PER_S;
        uint32_t cost = poll_cost();
        sum += cost;
        most = cost > most ? cost : most;
    }
    print_cost("root_cycle_of_500_s_with_9_silent_nodes", (uint32_t)sum);
    print_cost("root_poll_worst", most);
}

int main(void) {
    begin();
    run_as_child();
    run_as_root();
    printf("small_root: ram=%zu\n", sizeof s_node + sizeof s_batch);
    return 0;
}
