// SPDX-License-Identifier: Apache-2.0
#ifndef MM_ESP_OWNER_H
#define MM_ESP_OWNER_H

#include "meshmeter/limits.h"
#include "meshmeter/port/door.h"
#include "meshmeter/port/mesh.h"
#include "meshmeter/port/mqtt.h"

/// The one task that owns the node, what other tasks and interrupts post to it, and the worker for what blocks.
///
/// Every post copies, never waits, and can be refused: the queue or the pool of its kind is full. That is counted
/// (mm_esp_owner_counts_t) and is a loss like one on the air, except of events that decide (mesh, MQTT without data,
/// jobs): for these the queue keeps MM_ESP_OWNER_RESERVED places that frames, packets and wakes cannot take. Of the
/// wakes from interrupts one waits at a time, which may take one of them.
///
/// Static memory on 32 bit: pools 3 frames x 1,510 + 8 packets x 252, stacks and queue as in the lists; MQTT messages
/// belong to mm_esp_mqtt. Three frames: the mesh's task receives into a slot, and what there is none for stays in the
/// SDK's queue, which is longer.
///
/// The owner's stack: the core's deepest chain on RV32 (8,608 bytes, tools/budgets), 400 of the port above it, 32 more
/// for each of its 32 calls on Xtensa, and 3,500 for what the SDK needs below (NVS, flash, esp-mqtt, vsnprintf).

/// name, stack in bytes, priority, what for. tests/esp_idf/project_test.py writes it into docs/guide/esp32.md.
#define MM_ESP_TASK_LIST(X)                                                                                            \
    X(owner, 13824, 10, "owns the node: everything that decides")                                                      \
    X(worker, 8192, 4, "what blocks: opening and closing the radio, end of an MQTT session, update over the air")      \
    X(mesh, 3072, 11, "takes frames from the mesh and posts them")

#define MM_ESP_OWNER_QUEUE_COUNT 40
#define MM_ESP_OWNER_RESERVED 16
#define MM_ESP_OWNER_FRAMES 3
/// What the SDK may give for a frame; more than MM_MESH_FRAME_BYTES_MAX is refused and counted.
#define MM_ESP_OWNER_SLOT_BYTES 1500
#define MM_ESP_OWNER_PACKETS 8
/// The owner looks at everything at least so often.
#define MM_ESP_OWNER_TURN_MS 1000
/// A job that is over its deadline by this: the worker is lost, the device restarts.
#define MM_ESP_OWNER_JOB_GRACE_S 30

typedef enum {
    MM_ESP_POST_NONE = 0,
    MM_ESP_POST_WAKE,    ///< something that the owner polls has changed
    MM_ESP_POST_MESH,    ///< `mesh`
    MM_ESP_POST_FRAME,   ///< `from`, `bytes`: of the mesh
    MM_ESP_POST_DOOR,    ///< `from`, `bytes`: a packet at the door
    MM_ESP_POST_MQTT,    ///< `mqtt`
    MM_ESP_POST_REQUEST, ///< `number`: an HTTP exchange to be answered
    MM_ESP_POST_JOB,     ///< `number`: the job of this number has ended
} mm_esp_post_kind_t;

typedef struct {
    mm_esp_post_kind_t kind;
    uint32_t number;
    mm_mesh_event_t mesh;
    mm_mqtt_event_t mqtt; ///< topic and bytes are the sender's, which keeps them until mm_esp_mqtt_release
    mm_mac_t from;
    const uint8_t *bytes; ///< of the pool, valid until mm_esp_owner_done
    size_t bytes_count;
    int8_t slot; ///< of the pool, -1 = none
} mm_esp_post_t;

/// Saturating, since boot. For the log, the status and the display.
typedef struct {
    uint32_t queue_full;
    uint32_t frames_full;
    uint32_t packets_full;
    uint32_t frames_too_long;
    uint32_t jobs_overdue;
} mm_esp_owner_counts_t;

/// A job of the worker: may block, at most until its deadline.
typedef void mm_esp_job_fn(void *context);

/// Make queue and pools. Once, before anything posts. MM_ERR_UNAVAILABLE: the SDK refused.
mm_err_t mm_esp_owner_open(void);
/// Start the owner's task with `run`, which must not return. MM_ERR_UNAVAILABLE: no task.
mm_err_t mm_esp_owner_start(void (*run)(void *context), void *context);

/// From any task, and wake also from an interrupt. False: refused and counted.
bool mm_esp_owner_post_wake(void);
bool mm_esp_owner_post_wake_from_isr(void);
bool mm_esp_owner_post_mesh(const mm_mesh_event_t *event);
/// For who gets frames elsewhere: a slot of MM_ESP_OWNER_SLOT_BYTES to write one into, and post it or give it back. -1:
/// there is none, or no room in the queue; not counted.
int8_t mm_esp_owner_lend_slot(uint8_t **bytes);
bool mm_esp_owner_post_slot(int8_t slot, mm_mac_t from, size_t bytes_count);
void mm_esp_owner_return_slot(int8_t slot);
bool mm_esp_owner_post_frame(mm_mac_t from, const void *bytes, size_t bytes_count);
bool mm_esp_owner_post_door(mm_mac_t from, const void *bytes, size_t bytes_count);
bool mm_esp_owner_post_mqtt(const mm_mqtt_event_t *event);
bool mm_esp_owner_post_request(uint32_t number);

/// By the owner: the next post, waiting until deadline, MM_ESP_OWNER_TURN_MS at most. False: none. Each post that was
/// taken is given back with done before the next one is taken.
bool mm_esp_owner_take(mm_esp_post_t *post, mm_us_t deadline);
void mm_esp_owner_done(mm_esp_post_t *taken);

/// By the owner: let the worker do this; JOB with *number follows. One at a time: MM_ERR_BUSY. MM_ERR_UNAVAILABLE:
/// there is no worker.
mm_err_t mm_esp_owner_give_job(mm_esp_job_fn *run, void *context, mm_us_t deadline, uint32_t *number);
/// By the owner, in every turn: false: the job is overdue beyond its grace, the worker is lost: restart the device.
bool mm_esp_owner_worker_is_good(mm_us_t now);

void mm_esp_owner_counts(mm_esp_owner_counts_t *counts);
/// Microseconds since the start.
mm_us_t mm_esp_owner_now(void);

#endif
