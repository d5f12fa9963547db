// SPDX-License-Identifier: Apache-2.0
#include <freertos/FreeRTOS.h>
#include <freertos/queue.h>
#include <freertos/semphr.h>
#include <freertos/task.h>

#include "agreement.h"

MM_TYPE(BaseType_t, int);
MM_TYPE(UBaseType_t, unsigned int);
MM_TYPE(TickType_t, uint32_t);
MM_TYPE(StackType_t, uint8_t);
MM_TYPE(QueueHandle_t, struct QueueDefinition *);
MM_TYPE(SemaphoreHandle_t, QueueHandle_t);
MM_TYPE(StaticSemaphore_t, StaticQueue_t);
MM_TYPE(TaskHandle_t, struct tskTaskControlBlock *);
MM_TYPE(TaskFunction_t, void (*)(void *));
_Static_assert(pdTRUE == 1 && pdFALSE == 0 && pdPASS == 1 && pdFAIL == 0, "truth");
_Static_assert(portMAX_DELAY == 0xFFFFFFFFUL, "for ever");
_Static_assert(queueSEND_TO_BACK == 0 && queueSEND_TO_FRONT == 1, "positions");
_Static_assert(pdMS_TO_TICKS(50) == 50 * CONFIG_FREERTOS_HZ / 1000, "ticks");
_Static_assert(portTICK_PERIOD_MS == 1000 / CONFIG_FREERTOS_HZ, "period");

// Macros: what our code writes is accepted.
extern portMUX_TYPE agreement_mux;
extern StaticQueue_t agreement_queue;
extern StaticTask_t agreement_task;
portMUX_TYPE agreement_mux = portMUX_INITIALIZER_UNLOCKED;
StaticQueue_t agreement_queue;
StaticTask_t agreement_task;
void agreement_macros(TaskFunction_t code, StackType_t *stack, uint8_t *storage, BaseType_t *woken);

void agreement_macros(TaskFunction_t code, StackType_t *stack, uint8_t *storage, BaseType_t *woken) {
    uint32_t item = 0;
    portENTER_CRITICAL(&agreement_mux);
    portEXIT_CRITICAL(&agreement_mux);
    QueueHandle_t queue = xQueueCreateStatic(1, sizeof item, storage, &agreement_queue);
    (void)xQueueSend(queue, &item, 0);
    (void)xQueueSendToBack(queue, &item, 0);
    (void)xQueueSendToFront(queue, &item, 0);
    (void)xQueueSendFromISR(queue, &item, woken);
    (void)xQueueReceive(queue, &item, pdMS_TO_TICKS(1));
    SemaphoreHandle_t mutex = xSemaphoreCreateMutexStatic(&agreement_queue);
    (void)xSemaphoreTake(mutex, 0);
    (void)xSemaphoreGive(mutex);
    (void)xSemaphoreGiveFromISR(mutex, woken);
    (void)xSemaphoreCreateBinaryStatic(&agreement_queue);
    (void)xTaskCreateStatic(code, "a", 1024, NULL, 1, stack, &agreement_task);
    (void)xTaskCreateStaticPinnedToCore(code, "a", 1024, NULL, 1, stack, &agreement_task, tskNO_AFFINITY);
}
