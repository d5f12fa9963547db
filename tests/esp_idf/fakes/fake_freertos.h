// SPDX-License-Identifier: Apache-2.0
#ifndef MM_TEST_FAKE_FREERTOS_H
#define MM_TEST_FAKE_FREERTOS_H

#include <freertos/FreeRTOS.h>
#include <freertos/queue.h>
#include <freertos/semphr.h>
#include <freertos/task.h>
#include <stdbool.h>

/// Queues and semaphores are real, tasks are only recorded. A wait that finds nothing lets the time pass until its
/// deadline. A wait without a deadline (portMAX_DELAY) ends the test program: nothing could ever end it here.

#define FAKE_TASKS_MAX 8

typedef struct {
    TaskFunction_t code;
    void *parameter;
    char name[16];
    uint32_t stack_bytes;
    UBaseType_t priority;
    BaseType_t core;
    bool is_deleted;
} fake_task_t;

unsigned fake_task_count(void);
/// NULL: there is no such task.
const fake_task_t *fake_task_find(const char *name);
/// Run the task from its beginning until it has waited in vain (or delayed) for the waits-th time, or deleted itself,
/// or returned, which ends the test program: a task must not. It is left in the middle of its function: what it needs
/// later must not be on its stack.
void fake_task_run(const char *name, unsigned waits);

/// For fakes: leave the task that runs, if one does; it cannot go on.
void fake_task_leave(void);

/// Called each time somebody is about to wait in vain, before time passes; may post to the queue. NULL: nothing.
void fake_while_waiting(void (*callback)(void *context), void *context);

/// Depth of critical sections; 0 at the end of each test.
unsigned fake_critical_depth(void);

#endif
