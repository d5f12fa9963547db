// SPDX-License-Identifier: Apache-2.0
// What holds the registers and the records, and what does instead of it.
#include <esp_app_desc.h>
#include <stdio.h>
#include <string.h>

#include "mm_esp_node_internal.h"

// Starts between two journals of one device, at most: each may begin an epoch or two of its own.
#define EPOCHS_PER_START 16
// A node whose NVS does not work has no count of starts; it does not begin where the last one did.
#define EPOCH_RANDOM_MASK 0xFFFFFU

// --- what refuses ---------------------------------------------------------------------------------------------------

static mm_err_t refuse_read(void *context, uint32_t address, void *bytes, size_t bytes_count) {
    (void)context;
    (void)address;
    (void)bytes;
    (void)bytes_count;
    return MM_ERR_STORAGE;
}

static mm_err_t refuse_write(void *context, uint32_t address, const void *bytes, size_t bytes_count) {
    (void)context;
    (void)address;
    (void)bytes;
    (void)bytes_count;
    return MM_ERR_STORAGE;
}

static mm_err_t refuse_erase(void *context, uint32_t sector_index) {
    (void)context;
    (void)sector_index;
    return MM_ERR_STORAGE;
}

static const mm_flash_t *flash_or_none(mm_esp_node_t *self, mm_esp_flash_t *flash, const char *label, mm_err_t err) {
    if (err == MM_OK) {
        return &flash->flash;
    }
    mm_esp_log(MM_LOG_ERROR, "partition %s: %s; what belongs there is kept in RAM only", label, mm_err_name(err));
    return &self->no_flash;
}

// --- FRAM or flash --------------------------------------------------------------------------------------------------

static void open_fram(mm_esp_node_t *self) {
    const mm_esp_board_t *board = self->board;
    self->fram_verdict = MM_ESP_FRAM_USE_FLASH;
    if (!board->has_fram) {
        return;
    }
    if (board->fram_bytes < MM_STORE_FRAM_BYTES + MM_ESP_FRAM_RESERVE_BYTES) {
        mm_esp_log(MM_LOG_ERROR, "an FRAM of %u bytes is too small: registers in flash", (unsigned)board->fram_bytes);
        return;
    }
    if (mm_esp_i2c_open(&self->fram_bus, board->fram_sda_pin, board->fram_scl_pin) != MM_OK) {
        mm_esp_log(MM_LOG_ERROR, "the FRAM's bus does not work");
    }
    (void)mm_esp_fram_open(&self->fram, &self->fram_bus, board->fram_address, board->fram_bytes);
    // Without NVS nobody knows whether this board's FRAM held registers: it is taken to have.
    bool worked_before = self->settings.fram_worked || !self->settings.is_open;
    self->fram_verdict = mm_esp_fram_judge(self->fram.state, worked_before);
    if (self->fram_verdict == MM_ESP_FRAM_USE) {
        if (mm_esp_settings_note_fram(&self->settings) != MM_OK) {
            mm_esp_log(MM_LOG_WARNING, "NVS does not take that the FRAM works");
        }
    } else if (self->fram_verdict == MM_ESP_FRAM_USE_FLASH) {
        mm_esp_log(MM_LOG_WARNING, "no FRAM: registers in flash, a power cut loses %u s at most",
                   (unsigned)board->save_period_s);
    } else {
        mm_esp_log(MM_LOG_ERROR, "the FRAM with the registers does not work: pulses are counted in RAM");
    }
}

void mm_esp_storage_open(mm_esp_node_t *self, mm_node_ports_t *ports, mm_us_t now) {
    self->no_fram = (mm_fram_t){.read = refuse_read, .write = refuse_write, .size_bytes = MM_STORE_FRAM_BYTES};
    self->no_flash = (mm_flash_t){.read = refuse_read,
                                  .program = refuse_write,
                                  .erase = refuse_erase,
                                  .sector_count = MM_STORE_FLASH_SECTORS_MIN};
    open_fram(self);
    self->fram_at = MM_US_NEVER;
    if (self->fram_verdict == MM_ESP_FRAM_USE) {
        ports->fram = &self->fram.fram;
    } else if (self->fram_verdict == MM_ESP_FRAM_IN_FAULT) {
        ports->fram = &self->no_fram;
        self->fram_at = now + MM_ESP_NODE_FRAM_RETRY_S * MM_US_PER_S;
    } else {
        mm_err_t err = mm_esp_flash_open(&self->register_flash, "registers", MM_STORE_FLASH_SECTORS_MIN,
                                         MM_STORE_FLASH_SECTORS_MAX);
        ports->register_flash = flash_or_none(self, &self->register_flash, "registers", err);
    }
    mm_err_t err = mm_esp_flash_open(&self->journal_flash, "journal", MM_JOURNAL_SECTORS_MIN, MM_JOURNAL_SECTORS_MAX);
    ports->journal_flash = flash_or_none(self, &self->journal_flash, "journal", err);
}

bool mm_esp_storage_came_back(mm_esp_node_t *self, mm_us_t now) {
    if (now < self->fram_at) {
        return false;
    }
    self->fram_at = now + MM_ESP_NODE_FRAM_RETRY_S * MM_US_PER_S;
    const mm_esp_board_t *board = self->board;
    mm_esp_fram_close(&self->fram);
    if (self->fram_bus.bus == NULL) {
        (void)mm_esp_i2c_open(&self->fram_bus, board->fram_sda_pin, board->fram_scl_pin);
    }
    return mm_esp_fram_open(&self->fram, &self->fram_bus, board->fram_address, board->fram_bytes) == MM_OK;
}

const char *mm_esp_storage_fault(const mm_esp_node_t *self) {
    if (self->fram_verdict == MM_ESP_FRAM_IN_FAULT) {
        return "FRAM fails: readings\nare in RAM only";
    }
    if (!self->node.metering.store_usable) {
        return "Registers: memory\nfails, readings are\nin RAM only";
    }
    if (self->node.journal.read_only) {
        return "Journal: memory\nfails, no records\nare kept";
    }
    return self->pulses.failed != 0 ? "A pulse input cannot\nbe read" : NULL;
}

// --- first epoch ----------------------------------------------------------------------------------------------------

static uint32_t days_since_2020(unsigned year, unsigned month, unsigned day) {
    static const uint16_t before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    unsigned years = year - 2020;
    uint32_t leap_days = (years + 3) / 4 + (year % 4 == 0 && month > 2 ? 1 : 0);
    return years * 365 + leap_days + before[month - 1] + day - 1;
}

// Seconds since 2020 at which this program was compiled ("Nov 29 2026", "10:33:40"); 0: it does not say.
static uint32_t build_s(void) {
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const esp_app_desc_t *program = esp_app_get_description();
    char month[4] = "";
    unsigned day = 0;
    unsigned year = 0;
    unsigned hour = 0;
    unsigned minute = 0;
    unsigned second = 0;
    char date[sizeof program->date + 1] = "";
    char time[sizeof program->time + 1] = "";
    memcpy(date, program->date, sizeof program->date);
    memcpy(time, program->time, sizeof program->time);
    // NOLINTNEXTLINE(cert-err34-c): the ranges are checked, and it is the compiler's text
    if (sscanf(date, "%3s %2u %4u", month, &day, &year) != 3 ||
        sscanf(time, "%2u:%2u:%2u", &hour, &minute, &second) != 3) {
        return 0;
    }
    const char *found = strlen(month) == 3 ? strstr(months, month) : NULL;
    bool good = found != NULL && (found - months) % 3 == 0 && day >= 1 && day <= 31 && year >= 2020 && year <= 2099 &&
                hour < 24 && minute < 60 && second < 60;
    if (!good) {
        return 0;
    }
    uint32_t days = days_since_2020(year, (unsigned)(found - months) / 3 + 1, day);
    return days * 86400 + hour * 3600 + minute * 60 + second;
}

// A device that has lost journal and registers must not use positions again that HQ knows, so its epoch has to be above
// every one it ever had, and there is no clock at the start. Random numbers do not grow. What grows: the count of
// starts, as long as NVS lives, by more than a start can use up; and the time at which the program was compiled, when a
// board comes back from repair with an empty flash and a newer program. Both together; only an empty flash with the
// same program begins where it began before, and its key is gone then as well: it is a new device to HQ.
uint32_t mm_esp_storage_first_epoch(const mm_esp_node_t *self) {
    uint32_t begin = build_s();
    uint32_t starts = self->settings.start_count;
    if (starts == 0) {
        uint32_t random = 0;
        (void)mm_esp_entropy_fill(&random, sizeof random);
        return begin + 1 + (random & EPOCH_RANDOM_MASK);
    }
    uint64_t epoch = (uint64_t)begin + (uint64_t)starts * EPOCHS_PER_START;
    return epoch < UINT32_MAX / 2 ? (uint32_t)epoch : UINT32_MAX / 2;
}
