// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_FREERTOS_TASK_H
#define MM_SDK_FREERTOS_TASK_H

#include <freertos/FreeRTOS.h>

#ifndef MM_SDK_IS_REAL
typedef struct tskTaskControlBlock *TaskHandle_t;
typedef void (*TaskFunction_t)(void *);
#define tskNO_AFFINITY ((BaseType_t)0x7FFFFFFF)
#endif

/// The SDK counts stacks in bytes.
TaskHandle_t xTaskCreateStatic(TaskFunction_t code, const char *const name, const uint32_t stack_bytes,
                               void *const parameter, UBaseType_t priority, StackType_t *const stack,
                               StaticTask_t *const task);
TaskHandle_t xTaskCreateStaticPinnedToCore(TaskFunction_t code, const char *const name, const uint32_t stack_bytes,
                                           void *const parameter, UBaseType_t priority, StackType_t *const stack,
                                           StaticTask_t *const task, const BaseType_t core);
void vTaskDelete(TaskHandle_t task);
void vTaskDelay(const TickType_t ticks);
TickType_t xTaskGetTickCount(void);
TaskHandle_t xTaskGetCurrentTaskHandle(void);
UBaseType_t uxTaskGetStackHighWaterMark(TaskHandle_t task);

#endif
