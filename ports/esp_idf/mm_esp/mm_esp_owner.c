// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_owner.h"

#include <esp_attr.h>
#include <esp_timer.h>
#include <freertos/FreeRTOS.h>
#include <freertos/queue.h>
#include <freertos/task.h>
#include <string.h>

#define WORKER_TURN_MS 1000
#define OF_INTERRUPT 1 // number of a wake

// What waits in the queue: the event itself, or the number of a slot.
typedef struct {
    mm_esp_post_kind_t kind;
    int8_t slot;
    uint32_t number;
    union {
        mm_mesh_event_t mesh;
        mm_mqtt_event_t mqtt;
    } event;
} item_t;

typedef struct {
    mm_mac_t from;
    uint16_t bytes_count;
    bool used;
    uint8_t bytes[MM_ESP_OWNER_SLOT_BYTES];
} frame_slot_t;

typedef struct {
    mm_mac_t from;
    uint16_t bytes_count;
    bool used;
    uint8_t bytes[MM_DOOR_PACKET_BYTES_MAX];
} packet_slot_t;

typedef struct {
    mm_esp_job_fn *run;
    void *context;
    uint32_t number;
} job_t;

#define TASK_STACK(name, stack_bytes, priority, purpose)                                                               \
    enum {                                                                                                             \
        name##_stack_bytes = (stack_bytes),                                                                            \
        name##_priority = (priority)                                                                                   \
    };
MM_ESP_TASK_LIST(TASK_STACK)
#undef TASK_STACK

typedef struct {
    QueueHandle_t queue;
    QueueHandle_t jobs;
    TaskHandle_t owner;
    TaskHandle_t worker;
    portMUX_TYPE lock;
    mm_esp_owner_counts_t counts;
    bool has_isr_wake; // one is in the queue, or about to be
    void (*run)(void *context);
    void *context;
    // The owner's.
    bool job_is_running;
    uint32_t job_number;
    // wait: the worker ends its job | until its deadline and MM_ESP_OWNER_JOB_GRACE_S | then it is counted, and the
    // device restarts
    mm_us_t job_until;
    bool job_is_overdue;
    frame_slot_t frames[MM_ESP_OWNER_FRAMES];
    packet_slot_t packets[MM_ESP_OWNER_PACKETS];
    uint8_t queue_memory[MM_ESP_OWNER_QUEUE_COUNT * sizeof(item_t)];
    uint8_t jobs_memory[sizeof(job_t)];
    StaticQueue_t queue_state;
    StaticQueue_t jobs_state;
    StaticTask_t owner_state;
    StaticTask_t worker_state;
    StackType_t owner_stack[owner_stack_bytes];
    StackType_t worker_stack[worker_stack_bytes];
} owner_t;

// Static: callbacks of the SDK and interrupts post without a context. There is one owner.
static owner_t s_owner = {.lock = portMUX_INITIALIZER_UNLOCKED};

mm_us_t mm_esp_owner_now(void) {
    return esp_timer_get_time();
}

static void count(uint32_t *counter) {
    portENTER_CRITICAL(&s_owner.lock);
    *counter += *counter < UINT32_MAX ? 1 : 0;
    portEXIT_CRITICAL(&s_owner.lock);
}

// --- posts ---------------------------------------------------------------------------------------------------------

// Several senders may see the same free place; the queue itself refuses the last one, which is counted as well.
static bool post(const item_t *item, bool decides) {
    bool has_room = s_owner.queue != NULL &&
                    (decides || uxQueueSpacesAvailable(s_owner.queue) > (UBaseType_t)MM_ESP_OWNER_RESERVED);
    bool good = has_room && xQueueSend(s_owner.queue, item, 0) == pdTRUE;
    if (!good) {
        count(&s_owner.counts.queue_full);
    }
    return good;
}

bool mm_esp_owner_post_wake(void) {
    const item_t item = {.kind = MM_ESP_POST_WAKE, .slot = -1};
    return post(&item, false);
}

// While flash is busy, too: code and item are in RAM (and an item that is in RAM must not be constant).
static DRAM_ATTR item_t s_wake = {.kind = MM_ESP_POST_WAKE, .slot = -1, .number = OF_INTERRUPT};

// One wake in the queue is enough: a contact that bounces while flash is erased would fill it, the reserve as well.
IRAM_ATTR bool mm_esp_owner_post_wake_from_isr(void) {
    BaseType_t woken = pdFALSE;
    portENTER_CRITICAL_ISR(&s_owner.lock);
    bool has_one = s_owner.has_isr_wake;
    s_owner.has_isr_wake = true;
    portEXIT_CRITICAL_ISR(&s_owner.lock);
    if (has_one) {
        return true;
    }
    bool good = s_owner.queue != NULL && xQueueSendFromISR(s_owner.queue, &s_wake, &woken) == pdTRUE;
    if (!good) {
        portENTER_CRITICAL_ISR(&s_owner.lock);
        s_owner.has_isr_wake = false;
        s_owner.counts.queue_full += s_owner.counts.queue_full < UINT32_MAX ? 1 : 0;
        portEXIT_CRITICAL_ISR(&s_owner.lock);
    }
    portYIELD_FROM_ISR(woken);
    return good;
}

bool mm_esp_owner_post_mesh(const mm_mesh_event_t *event) {
    const item_t item = {.kind = MM_ESP_POST_MESH, .slot = -1, .event.mesh = *event};
    return post(&item, true);
}

bool mm_esp_owner_post_mqtt(const mm_mqtt_event_t *event) {
    const item_t item = {.kind = MM_ESP_POST_MQTT, .slot = -1, .event.mqtt = *event};
    return post(&item, true);
}

bool mm_esp_owner_post_request(uint32_t number) {
    const item_t item = {.kind = MM_ESP_POST_REQUEST, .slot = -1, .number = number};
    return post(&item, false);
}

static void free_slot(bool *used) {
    portENTER_CRITICAL(&s_owner.lock);
    *used = false;
    portEXIT_CRITICAL(&s_owner.lock);
}

// A slot that was found is this caller's until it is posted; copying needs no lock.
static int8_t take_frame_slot(void) {
    int8_t found = -1;
    portENTER_CRITICAL(&s_owner.lock);
    for (int8_t i = 0; i < MM_ESP_OWNER_FRAMES && found < 0; i++) {
        if (!s_owner.frames[i].used) {
            found = i;
        }
    }
    if (found >= 0) {
        s_owner.frames[found].used = true;
    }
    portEXIT_CRITICAL(&s_owner.lock);
    return found;
}

static int8_t take_packet_slot(void) {
    int8_t found = -1;
    portENTER_CRITICAL(&s_owner.lock);
    for (int8_t i = 0; i < MM_ESP_OWNER_PACKETS && found < 0; i++) {
        if (!s_owner.packets[i].used) {
            found = i;
        }
    }
    if (found >= 0) {
        s_owner.packets[found].used = true;
    }
    portEXIT_CRITICAL(&s_owner.lock);
    return found;
}

int8_t mm_esp_owner_lend_slot(uint8_t **bytes) {
    bool has_room = s_owner.queue != NULL && uxQueueSpacesAvailable(s_owner.queue) > (UBaseType_t)MM_ESP_OWNER_RESERVED;
    int8_t slot = -1;
    if (has_room) {
        slot = take_frame_slot();
    }
    if (slot >= 0) {
        *bytes = s_owner.frames[slot].bytes;
    }
    return slot;
}

void mm_esp_owner_return_slot(int8_t slot) {
    free_slot(&s_owner.frames[slot].used);
}

bool mm_esp_owner_post_slot(int8_t slot, mm_mac_t from, size_t bytes_count) {
    const item_t item = {.kind = MM_ESP_POST_FRAME, .slot = slot};
    frame_slot_t *frame = &s_owner.frames[slot];
    bool fits = bytes_count <= MM_MESH_FRAME_BYTES_MAX;
    if (!fits) {
        count(&s_owner.counts.frames_too_long);
    }
    frame->from = from;
    frame->bytes_count = (uint16_t)bytes_count;
    bool good = fits && post(&item, false);
    if (!good) {
        mm_esp_owner_return_slot(slot);
    }
    return good;
}

bool mm_esp_owner_post_frame(mm_mac_t from, const void *bytes, size_t bytes_count) {
    if (bytes_count > MM_MESH_FRAME_BYTES_MAX) {
        count(&s_owner.counts.frames_too_long);
        return false;
    }
    int8_t slot = take_frame_slot();
    if (slot < 0) {
        count(&s_owner.counts.frames_full);
        return false;
    }
    memcpy(s_owner.frames[slot].bytes, bytes, bytes_count);
    return mm_esp_owner_post_slot(slot, from, bytes_count);
}

bool mm_esp_owner_post_door(mm_mac_t from, const void *bytes, size_t bytes_count) {
    if (bytes_count > MM_DOOR_PACKET_BYTES_MAX) {
        count(&s_owner.counts.frames_too_long);
        return false;
    }
    const item_t item = {.kind = MM_ESP_POST_DOOR, .slot = take_packet_slot()};
    if (item.slot < 0) {
        count(&s_owner.counts.packets_full);
        return false;
    }
    packet_slot_t *slot = &s_owner.packets[item.slot];
    slot->from = from;
    slot->bytes_count = (uint16_t)bytes_count;
    memcpy(slot->bytes, bytes, bytes_count);
    bool good = post(&item, false);
    if (!good) {
        free_slot(&slot->used);
    }
    return good;
}

// --- the owner -----------------------------------------------------------------------------------------------------

static TickType_t ticks_until(mm_us_t deadline) {
    mm_us_t left_us = deadline - mm_esp_owner_now();
    mm_us_t longest_us = (mm_us_t)MM_ESP_OWNER_TURN_MS * 1000;
    if (left_us <= 0) {
        return 0;
    }
    left_us = left_us < longest_us ? left_us : longest_us;
    mm_us_t tick_us = (mm_us_t)portTICK_PERIOD_MS * 1000;
    return (TickType_t)((left_us + tick_us - 1) / tick_us);
}

bool mm_esp_owner_take(mm_esp_post_t *taken, mm_us_t deadline) {
    item_t item;
    *taken = (mm_esp_post_t){.slot = -1};
    // wait: something is posted | until the caller's deadline, MM_ESP_OWNER_TURN_MS at most | then the owner polls
    if (xQueueReceive(s_owner.queue, &item, ticks_until(deadline)) != pdTRUE) {
        return false;
    }
    taken->kind = item.kind;
    taken->number = item.number;
    taken->slot = item.slot;
    if (item.kind == MM_ESP_POST_MESH) {
        taken->mesh = item.event.mesh;
    } else if (item.kind == MM_ESP_POST_MQTT) {
        taken->mqtt = item.event.mqtt;
    } else if (item.kind == MM_ESP_POST_FRAME) {
        const frame_slot_t *slot = &s_owner.frames[item.slot];
        taken->from = slot->from;
        taken->bytes = slot->bytes;
        taken->bytes_count = slot->bytes_count;
    } else if (item.kind == MM_ESP_POST_DOOR) {
        const packet_slot_t *slot = &s_owner.packets[item.slot];
        taken->from = slot->from;
        taken->bytes = slot->bytes;
        taken->bytes_count = slot->bytes_count;
    } else if (item.kind == MM_ESP_POST_JOB && item.number == s_owner.job_number) {
        s_owner.job_is_running = false;
    } else if (item.kind == MM_ESP_POST_WAKE && item.number == OF_INTERRUPT) {
        // Before the owner looks: what an interrupt notes from now on is waked for again.
        portENTER_CRITICAL(&s_owner.lock);
        s_owner.has_isr_wake = false;
        portEXIT_CRITICAL(&s_owner.lock);
    }
    return true;
}

void mm_esp_owner_done(mm_esp_post_t *taken) {
    if (taken->kind == MM_ESP_POST_FRAME) {
        free_slot(&s_owner.frames[taken->slot].used);
    } else if (taken->kind == MM_ESP_POST_DOOR) {
        free_slot(&s_owner.packets[taken->slot].used);
    }
    *taken = (mm_esp_post_t){.slot = -1};
}

void mm_esp_owner_counts(mm_esp_owner_counts_t *counts) {
    portENTER_CRITICAL(&s_owner.lock);
    *counts = s_owner.counts;
    portEXIT_CRITICAL(&s_owner.lock);
}

// --- the worker ----------------------------------------------------------------------------------------------------

mm_err_t mm_esp_owner_give_job(mm_esp_job_fn *run, void *context, mm_us_t deadline, uint32_t *number) {
    if (s_owner.worker == NULL) {
        return MM_ERR_UNAVAILABLE;
    }
    if (s_owner.job_is_running) {
        return MM_ERR_BUSY;
    }
    const job_t job = {.run = run, .context = context, .number = s_owner.job_number + 1};
    if (xQueueSend(s_owner.jobs, &job, 0) != pdTRUE) {
        return MM_ERR_BUSY;
    }
    s_owner.job_is_running = true;
    s_owner.job_is_overdue = false;
    s_owner.job_number = job.number;
    s_owner.job_until = deadline;
    *number = job.number;
    return MM_OK;
}

bool mm_esp_owner_worker_is_good(mm_us_t now) {
    if (!s_owner.job_is_running || now < s_owner.job_until) {
        return true;
    }
    if (!s_owner.job_is_overdue) {
        s_owner.job_is_overdue = true;
        count(&s_owner.counts.jobs_overdue);
    }
    return now < s_owner.job_until + MM_ESP_OWNER_JOB_GRACE_S * MM_US_PER_S;
}

static void run_jobs(void *context) {
    (void)context;
    for (;;) {
        job_t job;
        // wait: the owner has a job, in the worker's task | until WORKER_TURN_MS | then it is waited for again
        if (xQueueReceive(s_owner.jobs, &job, pdMS_TO_TICKS(WORKER_TURN_MS)) != pdTRUE) {
            continue;
        }
        job.run(job.context);
        const item_t item = {.kind = MM_ESP_POST_JOB, .slot = -1, .number = job.number};
        // A lost end would keep the worker busy for ever: try until the owner has room.
        while (!post(&item, true)) {
            // wait: room in the owner's queue, in the worker's task | until MM_ESP_OWNER_JOB_GRACE_S beyond the job's
            // deadline | then the owner restarts the device
            vTaskDelay(1);
        }
    }
}

static void run_owner(void *context) {
    (void)context;
    s_owner.run(s_owner.context);
    MM_ASSERT(false); // the owner never ends
}

mm_err_t mm_esp_owner_open(void) {
    const uint32_t item_bytes = sizeof(item_t);
    memset(&s_owner, 0, sizeof s_owner);
    s_owner.lock = (portMUX_TYPE)portMUX_INITIALIZER_UNLOCKED;
    s_owner.queue =
        xQueueCreateStatic(MM_ESP_OWNER_QUEUE_COUNT, item_bytes, s_owner.queue_memory, &s_owner.queue_state);
    s_owner.jobs = xQueueCreateStatic(1, sizeof(job_t), s_owner.jobs_memory, &s_owner.jobs_state);
    return s_owner.queue != NULL && s_owner.jobs != NULL ? MM_OK : MM_ERR_UNAVAILABLE;
}

mm_err_t mm_esp_owner_start(void (*run)(void *context), void *context) {
    s_owner.run = run;
    s_owner.context = context;
    // Without a worker no job is taken, and the node meters all the same.
    s_owner.worker = xTaskCreateStatic(run_jobs, "worker", worker_stack_bytes, NULL, worker_priority,
                                       s_owner.worker_stack, &s_owner.worker_state);
    s_owner.owner = xTaskCreateStatic(run_owner, "owner", owner_stack_bytes, NULL, owner_priority, s_owner.owner_stack,
                                      &s_owner.owner_state);
    return s_owner.owner != NULL ? MM_OK : MM_ERR_UNAVAILABLE;
}
