// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SDK_FREERTOS_FREERTOS_H
#define MM_SDK_FREERTOS_FREERTOS_H

#include <sdkconfig.h>
#include <stddef.h>
#include <stdint.h>

#ifndef MM_SDK_IS_REAL
typedef int BaseType_t;
typedef unsigned int UBaseType_t;
typedef uint32_t TickType_t;
typedef uint8_t StackType_t;

#define pdFALSE ((BaseType_t)0)
#define pdTRUE ((BaseType_t)1)
#define pdPASS pdTRUE
#define pdFAIL pdFALSE
#define configTICK_RATE_HZ CONFIG_FREERTOS_HZ
#define portTICK_PERIOD_MS ((TickType_t)1000 / configTICK_RATE_HZ)
#define portMAX_DELAY ((TickType_t)0xFFFFFFFFUL)
#define pdMS_TO_TICKS(ms) ((TickType_t)(((uint64_t)(ms) * (uint64_t)configTICK_RATE_HZ) / 1000U))
#define portNUM_PROCESSORS CONFIG_FREERTOS_NUMBER_OF_CORES

/// Room for what the kernel keeps of an object; fakes/fake_freertos.c keeps its own in it.
typedef struct {
    uint32_t words[24];
} StaticTask_t;
typedef struct {
    uint8_t *storage;
    uint32_t capacity_count;
    uint32_t item_bytes;
    uint32_t first;
    uint32_t count;
} StaticQueue_t;

/// Critical sections: on the host they only have to balance, which the fake checks.
typedef struct {
    uint32_t owner;
} portMUX_TYPE;
#define portMUX_INITIALIZER_UNLOCKED                                                                                   \
    { 0 }
void fake_critical_enter(portMUX_TYPE *mux);
void fake_critical_exit(portMUX_TYPE *mux);
#define portENTER_CRITICAL(mux) fake_critical_enter(mux)
#define portEXIT_CRITICAL(mux) fake_critical_exit(mux)
#define portENTER_CRITICAL_ISR(mux) fake_critical_enter(mux)
#define portEXIT_CRITICAL_ISR(mux) fake_critical_exit(mux)
#define portENTER_CRITICAL_SAFE(mux) fake_critical_enter(mux)
#define portEXIT_CRITICAL_SAFE(mux) fake_critical_exit(mux)
#define portYIELD_FROM_ISR(woken) ((void)(woken))
#endif

#endif
