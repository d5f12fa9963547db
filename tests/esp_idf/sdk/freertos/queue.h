// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_FREERTOS_QUEUE_H
#define MM_SDK_FREERTOS_QUEUE_H

#include <freertos/FreeRTOS.h>

#ifndef MM_SDK_IS_REAL
typedef struct QueueDefinition *QueueHandle_t;

#define queueSEND_TO_BACK ((BaseType_t)0)
#define queueSEND_TO_FRONT ((BaseType_t)1)
#define queueQUEUE_TYPE_BASE ((uint8_t)0)
#define queueQUEUE_TYPE_MUTEX ((uint8_t)1)
#define queueQUEUE_TYPE_BINARY_SEMAPHORE ((uint8_t)3)

#define xQueueCreateStatic(length, item_bytes, storage, queue)                                                         \
    xQueueGenericCreateStatic((length), (item_bytes), (storage), (queue), queueQUEUE_TYPE_BASE)
#define xQueueSend(queue, item, ticks) xQueueGenericSend((queue), (item), (ticks), queueSEND_TO_BACK)
#define xQueueSendToBack(queue, item, ticks) xQueueGenericSend((queue), (item), (ticks), queueSEND_TO_BACK)
#define xQueueSendToFront(queue, item, ticks) xQueueGenericSend((queue), (item), (ticks), queueSEND_TO_FRONT)
#define xQueueSendFromISR(queue, item, woken) xQueueGenericSendFromISR((queue), (item), (woken), queueSEND_TO_BACK)
#endif

QueueHandle_t xQueueGenericCreateStatic(const UBaseType_t length, const UBaseType_t item_bytes, uint8_t *storage,
                                        StaticQueue_t *queue, const uint8_t type);
BaseType_t xQueueGenericSend(QueueHandle_t queue, const void *const item, TickType_t ticks, const BaseType_t position);
BaseType_t xQueueGenericSendFromISR(QueueHandle_t queue, const void *const item, BaseType_t *const woken,
                                    const BaseType_t position);
BaseType_t xQueueReceive(QueueHandle_t queue, void *const item, TickType_t ticks);
BaseType_t xQueueReceiveFromISR(QueueHandle_t queue, void *const item, BaseType_t *const woken);
UBaseType_t uxQueueMessagesWaiting(const QueueHandle_t queue);
UBaseType_t uxQueueSpacesAvailable(const QueueHandle_t queue);

#endif
