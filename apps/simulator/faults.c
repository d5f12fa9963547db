// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "meshmeter/bytes.h"
#include "simulator/world_internal.h"

#define MINUTE_US (60 * MM_US_PER_S)
#define HOUR_US (60 * MINUTE_US)
#define DAY_US (24 * HOUR_US)

// One kind of fault that comes again and again.
typedef struct {
    uint32_t minutes;
    int device; // -1: the site
    void (*strike)(world_t *world, int device);
} recurring_t;

static uint32_t draw(world_t *self, uint32_t bound) {
    return mm_random_below(&self->random, bound);
}

// Mostly short, seldom long: uniform on a logarithmic scale between one second and the maximum.
static mm_us_t draw_duration_us(world_t *self, uint32_t minutes_max) {
    mm_us_t limit_us = (mm_us_t)minutes_max * MINUTE_US;
    for (uint32_t halvings = draw(self, 12); halvings > 0 && limit_us > 2 * MM_US_PER_S; halvings--) {
        limit_us /= 2;
    }
    return MM_US_PER_S + (mm_us_t)draw(self, (uint32_t)(limit_us / 1000)) * 1000;
}

// --- later: world time, what, which device

typedef struct {
    world_t *world;
    void (*act)(world_t *world, int device);
    int device;
} later_t;

static void run_later(void *context, const void *payload, size_t payload_bytes) {
    (void)context;
    later_t later;
    MM_ASSERT(payload_bytes == sizeof later);
    memcpy(&later, payload, sizeof later);
    later.act(later.world, later.device);
}

static void act_after(world_t *self, mm_us_t after_us, void (*act)(world_t *world, int device), int device) {
    const later_t later = {self, act, device};
    mm_sim_queue_add(self->sim.queue, mm_sim_now(&self->sim) + after_us, run_later, self, &later, sizeof later);
}

// --- power

static void power_on(world_t *self, int device) {
    device_power_on(&self->devices[device], self->begin_utc_us);
}

static bool scenario_has_installers(const world_t *self) {
    return self->scenario->minutes_install > 0;
}

static void cut_power(world_t *self, int index) {
    device_t *device = &self->devices[index];
    if (!device->alive || !self->faults_on) {
        return;
    }
    const mm_root_t *root = &device->node.root;
    if (root->active && root->phase == MM_ROOT_COLLECTING) {
        mm_sim_probe(&self->sim, MM_SIM_PROBE_ROOT_CUT_IN_ROUND, index);
    }
    if (root->active && root->uplink.state >= MM_UPLINK_CONNECTING && root->uplink.state <= MM_UPLINK_CLOSING) {
        mm_sim_probe(&self->sim, MM_SIM_PROBE_ROOT_CUT_IN_SESSION, index);
    }
    static const uint32_t reaches[] = {4, 64, 600, 2500, 8000};
    if (scenario_has_installers(self) && draw(self, 2) == 0) {
        device_cut_in(device, DEVICE_AMBUSH_CONFIGURATION, draw(self, 2000));
    } else if (draw(self, 8) == 0) {
        device_cut_in(device, DEVICE_AMBUSH_ERASE, draw(self, 16));
    } else if (draw(self, self->router_up ? 8 : 3) == 0) { // where thinning is to be expected
        device_cut_in(device, DEVICE_AMBUSH_THINNING, draw(self, 1500));
    } else if (draw(self, 3) == 0) {
        device_cut(device);
    } else {
        device_cut_in_write(device, draw(self, reaches[draw(self, sizeof reaches / sizeof reaches[0])]));
    }
}

void faults_on_device_died(world_t *self, int index) {
    device_t *device = &self->devices[index];
    const scenario_t *scenario = self->scenario;
    mm_us_t off_us = MM_US_PER_S;
    if (device->restarting) {
        off_us = 2 * MM_US_PER_S; // it wanted to
    } else if (self->faults_on) {
        bool again = scenario->cuts_in_a_row > 0 && draw(self, scenario->cuts_in_a_row) != 0;
        if (again && draw(self, 2) == 0) {
            device->boot_cut_steps = (mm_us_t)draw(self, 2500);
        }
        off_us = again ? 50000 + (mm_us_t)draw(self, 5000000) : draw_duration_us(self, scenario->minutes_off_max + 1);
    }
    act_after(self, off_us, power_on, index);
}

// A root's session and round are short: cut it there on purpose now and then.
static void strike_power(world_t *self, int index) {
    int root = mm_sim_mesh_root_of(self->mesh, index);
    if (root >= 0 && draw(self, 4) == 0) {
        const mm_root_t *role = &self->devices[root].node.root;
        bool planned = self->devices[root].alive && role->active && role->session_at != MM_US_NEVER;
        if (planned) {
            mm_us_t wait_us = role->session_at - device_local_now(&self->devices[root]);
            wait_us += (mm_us_t)draw(self, 14000000) - 10 * MM_US_PER_S;
            act_after(self, wait_us > 0 ? wait_us : 0, cut_power, root);
            return;
        }
    }
    cut_power(self, index);
}

// --- links

void faults_set_router(world_t *self, bool up) {
    if (self->router_up == up) {
        return;
    }
    self->router_up = up;
    self->truth.router_off = !up;
    if (!up) {
        mm_sim_fault(&self->sim, MM_SIM_FAULT_ROUTER_OFF, -1);
    }
    for (int i = 0; i < self->node_count; i++) {
        mm_sim_mesh_set_router(self->mesh, i, up);
        mm_sim_broker_set_path(self->broker, i, up);
    }
}

static void router_on(world_t *self, int device) {
    (void)device;
    faults_set_router(self, true);
}

static void router_off(world_t *self, int device) {
    (void)device;
    if (self->faults_on) {
        faults_set_router(self, false);
    }
}

static void strike_router(world_t *self, int device) {
    if (self->router_up) {
        router_off(self, device);
        act_after(self, draw_duration_us(self, self->scenario->router_off_max), router_on, device);
    }
}

static void hq_on(world_t *self, int device) {
    (void)device;
    headquarters_start(&self->hq);
}

static void hq_off(world_t *self, int device) {
    (void)device;
    if (self->faults_on) {
        headquarters_stop(&self->hq);
    }
}

static void radio_on(world_t *self, int device) {
    self->parts[device] = 0;
    mm_sim_mesh_part(self->mesh, self->parts);
}

static void radio_off(world_t *self, int device) {
    if (self->faults_on) {
        mm_sim_fault(&self->sim, MM_SIM_FAULT_MESH_PARTED, device);
        self->parts[device] = (uint8_t)(device + 1);
        mm_sim_mesh_part(self->mesh, self->parts);
    }
}

// A random part of all links goes off one by one, and on again in another order (FoundationDB calls it swizzle).
static void strike_swizzle(world_t *self, int device) {
    (void)device;
    mm_us_t off_at = 0;
    mm_us_t hold_us = draw_duration_us(self, 6 * 60);
    for (int link = 0; link < self->node_count + 2; link++) {
        if (draw(self, 2) == 0) {
            continue;
        }
        off_at += (mm_us_t)draw(self, 300) * MM_US_PER_S;
        mm_us_t on_at = off_at + hold_us + (mm_us_t)draw(self, 3600) * MM_US_PER_S;
        if (link < self->node_count) {
            act_after(self, off_at, radio_off, link);
            act_after(self, on_at, radio_on, link);
        } else if (link == self->node_count) {
            act_after(self, off_at, router_off, -1);
            act_after(self, on_at, router_on, -1);
        } else {
            act_after(self, off_at, hq_off, -1);
            act_after(self, on_at, hq_on, -1);
        }
    }
}

static void meet_again(world_t *self, int device) {
    (void)device;
    memset(self->parts, 0, sizeof self->parts);
    mm_sim_mesh_part(self->mesh, NULL);
}

static void strike_part(world_t *self, int device) {
    for (int i = 0; i < self->node_count; i++) {
        self->parts[i] = (uint8_t)draw(self, 2);
    }
    mm_sim_fault(&self->sim, MM_SIM_FAULT_MESH_PARTED, device);
    mm_sim_mesh_part(self->mesh, self->parts);
    act_after(self, draw_duration_us(self, 24 * 60), meet_again, device);
}

static void strike_elect(world_t *self, int device) {
    (void)device;
    mm_sim_mesh_elect(self->mesh, (int)draw(self, (uint32_t)self->node_count));
}

static void strike_parent(world_t *self, int device) {
    mm_sim_mesh_switch_parent(self->mesh, device);
}

// --- broker and HQ

static void look_at_broker(world_t *self, int device) {
    (void)device;
    headquarters_look_at_broker(&self->hq);
}

static void strike_broker(world_t *self, int device) {
    mm_us_t down_us = draw_duration_us(self, 12 * 60);
    self->broker_back_at = mm_sim_now(&self->sim) + down_us;
    mm_sim_broker_restart(self->broker, self->broker_back_at);
    act_after(self, down_us + 10 * MM_US_PER_S, look_at_broker, device);
}

static void strike_hq(world_t *self, int device) {
    (void)device;
    headquarters_crash(&self->hq, draw_duration_us(self, 24 * 60));
}

// The moment between a message and its commit is short: crash there on purpose now and then.
static void crash_hq_busy(world_t *self, int device) {
    if (!self->faults_on) {
        return;
    }
    if (headquarters_is_busy(&self->hq)) {
        strike_hq(self, device);
    } else if (draw(self, 2000) != 0) {
        act_after(self, MM_US_PER_S / 10, crash_hq_busy, device);
    }
}

static void strike_hq_crash(world_t *self, int device) {
    if (draw(self, 2) == 0) {
        strike_hq(self, device);
    } else {
        crash_hq_busy(self, device);
    }
}

static void disk_good(world_t *self, int device) {
    (void)device;
    books_mend_disk(self->hq.books);
}

static void strike_hq_disk(world_t *self, int device) {
    if (draw(self, 2) == 0) {
        mm_sim_fault(&self->sim, MM_SIM_FAULT_HQ_DISK_FULL, -1);
        books_fill_disk(self->hq.books, draw(self, 65536));
    } else {
        static const books_disk_call_t calls[] = {BOOKS_DISK_WRITE, BOOKS_DISK_SYNC, BOOKS_DISK_READ,
                                                  BOOKS_DISK_TRUNCATE};
        books_disk_call_t call = calls[draw(self, 4)];
        uint32_t after = draw(self, 50);
        uint32_t count = 1 + draw(self, 20);
        mm_sim_fault(&self->sim, MM_SIM_FAULT_HQ_DISK_FAILED, -1);
        mm_sim_note(&self->sim, -1, "disk_fails", call, ((uint64_t)after << 32) | count);
        books_fail_disk(self->hq.books, call, after, count);
    }
    act_after(self, draw_duration_us(self, 6 * 60), disk_good, device);
}

static void back_up(world_t *self, int device) {
    headquarters_back_up(&self->hq);
    if (self->faults_on) {
        act_after(self, (mm_us_t)(1 + draw(self, 7)) * DAY_US, back_up, device);
    }
}

static void strike_hq_restore(world_t *self, int device) {
    (void)device;
    if (books_have_backup(self->hq.books)) {
        truth_on_restore(&self->truth);
        (void)headquarters_restore(&self->hq);
    }
}

// --- time

static void synchronise(world_t *self, int index) {
    device_t *device = &self->devices[index];
    bool has_source = device->plan.own_clock || (device->alive && device->node.root.active && self->router_up);
    if (has_source) {
        device_synchronise(device, self->begin_utc_us);
    }
}

static void synchronise_all(world_t *self, int device) {
    for (int i = 0; i < self->node_count; i++) {
        synchronise(self, i);
    }
    if (!self->closing) {
        act_after(self, FAULTS_SYNCHRONISE_US, synchronise_all, device);
    }
}

void faults_synchronise_later(world_t *self, int device, mm_us_t after_us) {
    act_after(self, after_us, synchronise, device);
}

static void clock_right(world_t *self, int index) {
    self->devices[index].clock_error_us = 0;
    self->devices[index].clock_works = true;
    synchronise(self, index);
}

static void strike_clock(world_t *self, int index) {
    static const int64_t steps_s[] = {1, 3, 60, 3600, 86400, 31 * 86400, 366 * 86400, 5 * 366 * 86400};
    device_t *device = &self->devices[index];
    if (draw(self, 4) == 0) {
        mm_sim_fault(&self->sim, MM_SIM_FAULT_CLOCK_UNSET, index);
        device->clock_works = false;
    } else {
        mm_sim_fault(&self->sim, MM_SIM_FAULT_CLOCK_STEPPED, index);
        int64_t step_us = steps_s[draw(self, sizeof steps_s / sizeof steps_s[0])] * MM_US_PER_S;
        device->clock_error_us = draw(self, 2) == 0 ? step_us : -step_us;
        synchronise(self, index);
    }
    act_after(self, draw_duration_us(self, 24 * 60), clock_right, index);
}

// --- memory

#define FRAM_REGISTERS_BITS                                                                                            \
    (8u *                                                                                                              \
     (2 * (MM_STORE_HEADER_BYTES + MM_STORE_IMAGE_BYTES_MAX) + 2 * (MM_STORE_HEADER_BYTES + MM_STORE_CELL_BYTES_MAX)))

static void strike_bit(world_t *self, int index) {
    device_t *device = &self->devices[index];
    if (device->plan.has_fram && draw(self, 2) == 0) {
        mm_sim_fault(&self->sim, MM_SIM_FAULT_FRAM_FAILED, index);
        truth_allow_older(&self->truth, index);
        mm_sim_fram_flip_bit(&device->fram, draw(self, FRAM_REGISTERS_BITS));
    } else {
        mm_sim_fault(&self->sim, MM_SIM_FAULT_FLASH_BIT_FLIPPED, index);
        uint32_t bits = device->plan.journal_sectors * MM_FLASH_SECTOR_BYTES * 8;
        mm_sim_flash_flip_bit(&device->journal_flash, draw(self, bits));
    }
}

static void strike_sector(world_t *self, int index) {
    static const mm_sim_sector_fault_t faults[] = {MM_SIM_SECTOR_PROGRAM_REFUSED, MM_SIM_SECTOR_PROGRAM_IGNORED,
                                                   MM_SIM_SECTOR_ERASE_REFUSED, MM_SIM_SECTOR_ERASE_IGNORED};
    device_t *device = &self->devices[index];
    if (device->plan.journal_sectors < 8) {
        return; // too small a ring to lose one
    }
    for (uint32_t i = 0; i < device->plan.journal_sectors; i++) {
        if (device->journal_sectors[i].fault != MM_SIM_SECTOR_GOOD) {
            return; // one is enough
        }
    }
    mm_sim_fault(&self->sim, MM_SIM_FAULT_FLASH_SECTOR_BAD, index);
    uint32_t sector = draw(self, device->plan.journal_sectors);
    device->journal_sectors[sector].fault = (uint8_t)faults[draw(self, 4)];
}

static void config_good(world_t *self, int index) {
    mm_sim_flash_fail(&self->devices[index].config_flash, 0, 0, 0);
    self->devices[index].entropy_fails = false;
}

// The memory of the configuration fails, or the source of entropy.
static void strike_config(world_t *self, int index) {
    static const unsigned kinds[] = {MM_SIM_FAIL_READ, MM_SIM_FAIL_PROGRAM, MM_SIM_FAIL_ERASE,
                                     MM_SIM_FAIL_READ | MM_SIM_FAIL_PROGRAM | MM_SIM_FAIL_ERASE};
    device_t *device = &self->devices[index];
    if (draw(self, 4) == 0) {
        mm_sim_fault(&self->sim, MM_SIM_FAULT_ENTROPY_FAILED, index);
        device->entropy_fails = true;
    } else {
        unsigned kind = kinds[draw(self, 4)];
        uint32_t after = draw(self, 4);
        after *= draw(self, 8);
        bool for_ever = draw(self, 2) == 0;
        uint32_t count = 1 + draw(self, 20);
        mm_sim_fault(&self->sim, MM_SIM_FAULT_CONFIGURATION_REFUSED, index);
        mm_sim_flash_fail(&device->config_flash, kind, after, for_ever ? UINT64_MAX : count);
    }
    act_after(self, draw_duration_us(self, 24 * 60), config_good, index);
}

// --- strangers

static void strike_poison(world_t *self, int device) {
    (void)device;
    uint8_t bytes[600];
    size_t bytes_count = draw(self, sizeof bytes);
    for (size_t i = 0; i < bytes_count; i++) {
        bytes[i] = (uint8_t)draw(self, 256);
    }
    static const char *const heads[] = {"", "MMB", "{\"Medidores\":[", "[[[[[[[[[[[[[[[[[[[[[[[["};
    const char *head = heads[draw(self, 4)];
    if (strlen(head) < bytes_count) {
        memcpy(bytes, head, strlen(head));
    }
    mm_sim_fault(&self->sim, MM_SIM_FAULT_POISON_SENT, -1);
    mm_sim_broker_publish(self->broker, "meter/" WORLD_SITE "/info", bytes, bytes_count);
}

// The original's 74-byte record, as its root sends it (docs/spec/wire.md).
static void send_legacy(world_t *self, int device) {
    (void)device;
    uint8_t bytes[8 + 74];
    mm_writer_t writer = mm_writer(bytes, sizeof bytes);
    uint32_t utc_s = (uint32_t)((self->begin_utc_us + mm_sim_now(&self->sim)) / MM_US_PER_S);
    self->legacy_life_kwh++;
    mm_put_u32(&writer, 1);
    mm_put_u32(&writer, 150000); // free memory
    mm_put_u32(&writer, 5546600);
    mm_put_u32(&writer, 0);
    mm_put_u32(&writer, utc_s);
    mm_put_bytes(&writer, "OLD-1\0\0\0\0\0\0\0", 12);
    mm_put_u8(&writer, 0);
    mm_put_u8(&writer, 0);
    mm_put_u16(&writer, 0);
    mm_put_u32(&writer, self->legacy_life_kwh);
    mm_put_u32(&writer, 7);
    mm_put_u16(&writer, 40);
    mm_put_u16(&writer, 4);
    mm_put_u16(&writer, 24);
    mm_put_u32(&writer, 0x01020304);
    mm_put_u32(&writer, 99);
    for (int hour = 0; hour < 24; hour++) {
        mm_put_u8(&writer, 1);
    }
    MM_ASSERT(!writer.failed && writer.used_bytes == sizeof bytes);
    mm_sim_broker_publish(self->broker, "meter/" WORLD_SITE "/info", bytes, sizeof bytes);
}

// --- schedule

static void strike_again(void *context, const void *payload, size_t payload_bytes);

static void schedule(world_t *self, const recurring_t *recurring) {
    mm_us_t after_us = MM_US_PER_S + (mm_us_t)draw(self, 2 * 60 * recurring->minutes) * MM_US_PER_S;
    mm_sim_queue_add(self->sim.queue, mm_sim_now(&self->sim) + after_us, strike_again, self, recurring,
                     sizeof *recurring);
}

static void strike_again(void *context, const void *payload, size_t payload_bytes) {
    world_t *self = context;
    recurring_t recurring;
    MM_ASSERT(payload_bytes == sizeof recurring);
    memcpy(&recurring, payload, sizeof recurring);
    if (self->faults_on) {
        recurring.strike(self, recurring.device);
        schedule(self, &recurring);
    }
}

static void every(world_t *self, uint32_t minutes, int device, void (*strike)(world_t *world, int device)) {
    if (minutes > 0) {
        const recurring_t recurring = {minutes, device, strike};
        schedule(self, &recurring);
    }
}

void faults_start(world_t *self) {
    const scenario_t *scenario = self->scenario;
    self->random = mm_sim_random(&self->sim, "faults", 0);
    self->faults_on = true;
    self->router_up = true;
    for (int i = 0; i < self->node_count; i++) {
        every(self, scenario->minutes_power, i, strike_power);
        every(self, scenario->minutes_parent, i, strike_parent);
        every(self, scenario->minutes_clock, i, strike_clock);
        every(self, scenario->minutes_bit, i, strike_bit);
        every(self, scenario->minutes_sector, i, strike_sector);
        every(self, scenario->minutes_config, i, strike_config);
    }
    every(self, scenario->minutes_router, -1, strike_router);
    every(self, scenario->minutes_swizzle, -1, strike_swizzle);
    every(self, scenario->minutes_part, -1, strike_part);
    every(self, scenario->minutes_elect, -1, strike_elect);
    every(self, scenario->minutes_broker, -1, strike_broker);
    every(self, scenario->minutes_hq_crash, -1, strike_hq_crash);
    every(self, scenario->minutes_hq_disk, -1, strike_hq_disk);
    every(self, scenario->minutes_hq_restore, -1, strike_hq_restore);
    every(self, scenario->minutes_poison, -1, strike_poison);
    every(self, scenario->minutes_legacy, -1, send_legacy);
    if (scenario->minutes_hq_restore > 0) {
        act_after(self, DAY_US, back_up, -1);
    }
    int offline_days = scenario->offline_days;
    if (offline_days == 0 && scenario->router_off_max > 0) {
        offline_days = (int)draw(self, 11); // the last ones: something must be left to come through
    }
    if (offline_days > 0 && self->days > offline_days) {
        bool at_end = scenario->offline_days == 0 || draw(self, 2) == 0;
        mm_us_t begin_us = (mm_us_t)(self->days - offline_days) * DAY_US / (at_end ? 1 : 2);
        act_after(self, begin_us, router_off, -1);
        act_after(self, begin_us + offline_days * DAY_US, router_on, -1);
    }
    synchronise_all(self, -1);
}

void faults_stop(world_t *self) {
    self->faults_on = false;
    self->doors.quiet = true;
    const mm_sim_radio_t radio = {.hop_us = 8000};
    const mm_sim_manners_t manners = {.persistence = MM_SIM_PERSISTENCE_ON, .latency_us = 30000};
    mm_sim_mesh_set_radio(self->mesh, &radio);
    mm_sim_broker_set_manners(self->broker, &manners);
    meet_again(self, -1);
    faults_set_router(self, true);
    disk_good(self, -1);
    hq_on(self, -1);
    for (int i = 0; i < self->node_count; i++) {
        self->devices[i].boot_cut_steps = -1;
        self->devices[i].ambush = scenario_has_installers(self) ? DEVICE_AMBUSH_NONE : self->devices[i].ambush;
        config_good(self, i);
        mm_sim_power_disarm(&self->devices[i].power);
        power_on(self, i);
        clock_right(self, i);
    }
    headquarters_look_at_broker(&self->hq);
}
