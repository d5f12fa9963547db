// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_FREERTOS_SEMPHR_H
#define MM_SDK_FREERTOS_SEMPHR_H

#include <freertos/queue.h>

#ifndef MM_SDK_IS_REAL
typedef QueueHandle_t SemaphoreHandle_t;
typedef StaticQueue_t StaticSemaphore_t;

#define xSemaphoreCreateMutexStatic(buffer) xQueueCreateMutexStatic(queueQUEUE_TYPE_MUTEX, (buffer))
#define xSemaphoreCreateBinaryStatic(buffer)                                                                           \
    xQueueGenericCreateStatic(1, 0, NULL, (buffer), queueQUEUE_TYPE_BINARY_SEMAPHORE)
#define xSemaphoreTake(semaphore, ticks) xQueueSemaphoreTake((semaphore), (ticks))
#define xSemaphoreGive(semaphore) xQueueGenericSend((semaphore), NULL, 0, queueSEND_TO_BACK)
#define xSemaphoreGiveFromISR(semaphore, woken) xQueueGiveFromISR((semaphore), (woken))
#endif

QueueHandle_t xQueueCreateMutexStatic(const uint8_t type, StaticQueue_t *queue);
BaseType_t xQueueSemaphoreTake(QueueHandle_t queue, TickType_t ticks);
BaseType_t xQueueGiveFromISR(QueueHandle_t queue, BaseType_t *const woken);

#endif
