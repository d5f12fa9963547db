// SPDX-License-Identifier: Apache-2.0
#include "fake_freertos.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "fake.h"

static fake_task_t s_tasks[FAKE_TASKS_MAX];
static unsigned s_task_count;
static fake_task_t *s_running;
static unsigned s_waits_left;
static jmp_buf s_out_of_task;
static unsigned s_critical_depth;
static void (*s_while_waiting)(void *context);
static void *s_while_waiting_context;

static void reset(void) {
    memset(s_tasks, 0, sizeof s_tasks);
    s_task_count = 0;
    s_running = NULL;
    s_critical_depth = 0;
    s_while_waiting = NULL;
}

FAKE_ON_RESET(reset)

// Critical sections

void fake_critical_enter(portMUX_TYPE *mux) {
    if (mux->owner != 0) {
        fake_abort("a critical section entered twice: a spinlock would hang");
    }
    mux->owner = 1;
    s_critical_depth++;
}

void fake_critical_exit(portMUX_TYPE *mux) {
    if (mux->owner != 1) {
        fake_abort("left a critical section that nobody entered");
    }
    mux->owner = 0;
    s_critical_depth--;
}

unsigned fake_critical_depth(void) {
    return s_critical_depth;
}

// Waiting

void fake_while_waiting(void (*callback)(void *context), void *context) {
    s_while_waiting = callback;
    s_while_waiting_context = context;
}

// Before a wait in vain; returns true if something may have changed.
static bool begin_wait(TickType_t ticks) {
    if (ticks == 0) {
        return false;
    }
    if (s_critical_depth != 0) {
        fake_abort("waits inside of a critical section");
    }
    if (s_while_waiting == NULL) {
        return false;
    }
    s_while_waiting(s_while_waiting_context);
    return true;
}

static void wait_in_vain(TickType_t ticks) {
    if (ticks == 0) {
        return;
    }
    if (s_running != NULL) {
        if (s_waits_left == 0) {
            longjmp(s_out_of_task, 1);
        }
        s_waits_left--;
    }
    if (ticks == portMAX_DELAY) {
        fake_abort("waits without a deadline");
    }
    fake_time_advance((int64_t)ticks * portTICK_PERIOD_MS * 1000);
    if (s_running != NULL && s_waits_left == 0) {
        longjmp(s_out_of_task, 1);
    }
}

// Queues

static StaticQueue_t *queue_of(QueueHandle_t handle) {
    if (handle == NULL) {
        fake_abort("a queue that was not made");
    }
    return (StaticQueue_t *)handle;
}

QueueHandle_t xQueueGenericCreateStatic(const UBaseType_t length, const UBaseType_t item_bytes, uint8_t *storage,
                                        StaticQueue_t *queue, const uint8_t type) {
    if (queue == NULL || length == 0 || (item_bytes != 0) != (storage != NULL)) {
        fake_abort("bad arguments of a queue");
    }
    (void)type;
    *queue = (StaticQueue_t){.storage = storage, .capacity_count = length, .item_bytes = item_bytes};
    return (QueueHandle_t)queue;
}

static bool put(StaticQueue_t *queue, const void *item, BaseType_t position) {
    if (queue->count == queue->capacity_count) {
        return false;
    }
    uint32_t place = (queue->first + queue->count) % queue->capacity_count;
    if (position == queueSEND_TO_FRONT) {
        place = (queue->first + queue->capacity_count - 1) % queue->capacity_count;
        queue->first = place;
    }
    if (queue->item_bytes != 0 && item != NULL) {
        memcpy(queue->storage + (size_t)place * queue->item_bytes, item, queue->item_bytes);
    }
    queue->count++;
    return true;
}

static bool take(StaticQueue_t *queue, void *item) {
    if (queue->count == 0) {
        return false;
    }
    if (queue->item_bytes != 0 && item != NULL) {
        memcpy(item, queue->storage + (size_t)queue->first * queue->item_bytes, queue->item_bytes);
    }
    queue->first = (queue->first + 1) % queue->capacity_count;
    queue->count--;
    return true;
}

BaseType_t xQueueGenericSend(QueueHandle_t handle, const void *const item, TickType_t ticks,
                             const BaseType_t position) {
    StaticQueue_t *queue = queue_of(handle);
    // Giving back a semaphore does not fail.
    if (queue->item_bytes != 0 && fake_call_fails()) {
        return pdFALSE;
    }
    if (put(queue, item, position) || (begin_wait(ticks) && put(queue, item, position))) {
        return pdTRUE;
    }
    wait_in_vain(ticks);
    return pdFALSE;
}

BaseType_t xQueueGenericSendFromISR(QueueHandle_t handle, const void *const item, BaseType_t *const woken,
                                    const BaseType_t position) {
    if (woken != NULL) {
        *woken = pdFALSE;
    }
    return !fake_call_fails() && put(queue_of(handle), item, position) ? pdTRUE : pdFALSE;
}

BaseType_t xQueueReceive(QueueHandle_t handle, void *const item, TickType_t ticks) {
    StaticQueue_t *queue = queue_of(handle);
    if (take(queue, item) || (begin_wait(ticks) && take(queue, item))) {
        return pdTRUE;
    }
    wait_in_vain(ticks);
    return pdFALSE;
}

BaseType_t xQueueReceiveFromISR(QueueHandle_t handle, void *const item, BaseType_t *const woken) {
    if (woken != NULL) {
        *woken = pdFALSE;
    }
    return take(queue_of(handle), item) ? pdTRUE : pdFALSE;
}

UBaseType_t uxQueueMessagesWaiting(const QueueHandle_t handle) {
    return queue_of(handle)->count;
}

UBaseType_t uxQueueSpacesAvailable(const QueueHandle_t handle) {
    return queue_of(handle)->capacity_count - queue_of(handle)->count;
}

// Semaphores

QueueHandle_t xQueueCreateMutexStatic(const uint8_t type, StaticQueue_t *queue) {
    QueueHandle_t handle = xQueueGenericCreateStatic(1, 0, NULL, queue, type);
    queue->count = 1;
    return handle;
}

BaseType_t xQueueSemaphoreTake(QueueHandle_t handle, TickType_t ticks) {
    return xQueueReceive(handle, NULL, ticks);
}

BaseType_t xQueueGiveFromISR(QueueHandle_t handle, BaseType_t *const woken) {
    if (woken != NULL) {
        *woken = pdFALSE;
    }
    return put(queue_of(handle), NULL, queueSEND_TO_BACK) ? pdTRUE : pdFALSE;
}

// Tasks

TaskHandle_t xTaskCreateStaticPinnedToCore(TaskFunction_t code, const char *const name, const uint32_t stack_bytes,
                                           void *const parameter, UBaseType_t priority, StackType_t *const stack,
                                           StaticTask_t *const task, const BaseType_t core) {
    if (code == NULL || stack == NULL || task == NULL || strlen(name) >= sizeof s_tasks[0].name) {
        fake_abort("bad arguments of a task");
    }
    if (s_task_count == FAKE_TASKS_MAX) {
        fake_abort("more than %d tasks", FAKE_TASKS_MAX);
    }
    if (fake_call_fails()) {
        return NULL;
    }
    fake_task_t *made = &s_tasks[s_task_count++];
    *made = (fake_task_t){
        .code = code, .parameter = parameter, .stack_bytes = stack_bytes, .priority = priority, .core = core};
    (void)snprintf(made->name, sizeof made->name, "%s", name);
    return (TaskHandle_t)made;
}

TaskHandle_t xTaskCreateStatic(TaskFunction_t code, const char *const name, const uint32_t stack_bytes,
                               void *const parameter, UBaseType_t priority, StackType_t *const stack,
                               StaticTask_t *const task) {
    return xTaskCreateStaticPinnedToCore(code, name, stack_bytes, parameter, priority, stack, task, tskNO_AFFINITY);
}

void vTaskDelete(TaskHandle_t task) {
    fake_task_t *deleted = task != NULL ? (fake_task_t *)task : s_running;
    if (deleted == NULL) {
        fake_abort("deletes itself outside of a task");
    }
    deleted->is_deleted = true;
    if (deleted == s_running) {
        longjmp(s_out_of_task, 1);
    }
}

void vTaskDelay(const TickType_t ticks) {
    (void)begin_wait(ticks);
    wait_in_vain(ticks);
}

TickType_t xTaskGetTickCount(void) {
    return (TickType_t)(fake_time_us() / 1000 / (int64_t)portTICK_PERIOD_MS);
}

TaskHandle_t xTaskGetCurrentTaskHandle(void) {
    return (TaskHandle_t)s_running;
}

UBaseType_t uxTaskGetStackHighWaterMark(TaskHandle_t task) {
    (void)task;
    return 512;
}

unsigned fake_task_count(void) {
    return s_task_count;
}

static fake_task_t *find_task(const char *name) {
    for (unsigned i = 0; i < s_task_count; i++) {
        if (strcmp(s_tasks[i].name, name) == 0) {
            return &s_tasks[i];
        }
    }
    return NULL;
}

const fake_task_t *fake_task_find(const char *name) {
    return find_task(name);
}

void fake_task_run(const char *name, unsigned waits) {
    fake_task_t *task = find_task(name);
    if (task == NULL || task->is_deleted || s_running != NULL) {
        fake_abort("no task %s that could run", name);
    }
    s_running = task;
    s_waits_left = waits;
    if (setjmp(s_out_of_task) == 0) {
        s_running->code(s_running->parameter);
        fake_abort("a task returned");
    }
    s_running = NULL;
}

void fake_task_leave(void) {
    if (s_running != NULL) {
        longjmp(s_out_of_task, 1);
    }
}
