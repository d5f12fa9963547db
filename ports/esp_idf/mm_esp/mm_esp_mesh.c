// SPDX-License-Identifier: Apache-2.0
#include "mm_esp_mesh.h"

#include <esp_event.h>
#include <esp_mesh.h>
#include <esp_netif.h>
#include <freertos/FreeRTOS.h>
#include <freertos/task.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "meshmeter/bytes.h"
#include "mm_esp_crypto.h"
#include "mm_esp_log.h"
#include "mm_esp_owner.h"
#include "mm_esp_radio.h"

#define ID_LABEL "mm-mesh-id\n"
#define PASSWORD_LABEL "mm-mesh-ap\n"
#define RECEIVE_MS 500
#define RECEIVE_FAILED_MS 100
#define SLOT_MS 10
#define MM_ESP_MESH_LEAVE_MS 2000
// The receiving task leaves the SDK before the mesh is stopped: its wait, and one more look.
#define RECEIVER_LEAVES_MS (2 * RECEIVE_MS)

#define TASK_NUMBERS(name, stack_bytes, priority, purpose)                                                             \
    enum {                                                                                                             \
        name##_stack_bytes = (stack_bytes),                                                                            \
        name##_priority = (priority)                                                                                   \
    };
MM_ESP_TASK_LIST(TASK_NUMBERS)
#undef TASK_NUMBERS

// Static: there is one mesh, and its task is made once.
static portMUX_TYPE s_lock = portMUX_INITIALIZER_UNLOCKED;
static StaticTask_t s_task_state;
static StackType_t s_task_stack[mesh_stack_bytes];
static atomic_bool s_may_receive;
static atomic_bool s_is_receiving;

static void count(uint32_t *counter) {
    *counter += *counter < UINT32_MAX ? 1 : 0;
}

static mm_mac_t mac_of(const uint8_t bytes[6]) {
    mm_mac_t mac;
    memcpy(mac.bytes, bytes, sizeof mac.bytes);
    return mac;
}

// --- what the SDK says ---------------------------------------------------------------------------------------------

static void see_connected(mm_esp_mesh_seen_t *seen, int layer) {
    seen->is_connected = true;
    seen->connection_no++;
    seen->layer = (uint8_t)layer;
}

// The role stays at a lost router: a root without it is still the root of its mesh.
static void see_disconnected(mm_esp_mesh_seen_t *seen) {
    seen->is_connected = false;
    seen->has_ip = false;
}

static void see_role(mm_esp_mesh_t *self, bool is_root) {
    mm_esp_mesh_seen_t *seen = &self->seen;
    if (is_root) {
        seen->root = self->mac;
    } else if (seen->is_root) {
        seen->root = (mm_mac_t){{0}};
        seen->has_ip = false;
    }
    seen->is_root = is_root;
}

static void on_mesh_event(void *context, esp_event_base_t base, int32_t id, void *data) {
    (void)base;
    mm_esp_mesh_t *self = context;
    const mesh_event_connected_t *connected = data;
    const mesh_event_layer_change_t *change = data;
    const mesh_event_root_address_t *root = data;
    bool is_root = esp_mesh_is_root();
    portENTER_CRITICAL(&s_lock);
    mm_esp_mesh_seen_t *seen = &self->seen;
    switch (id) {
    case MESH_EVENT_PARENT_CONNECTED:
        see_role(self, is_root);
        see_connected(seen, connected->self_layer);
        seen->parent = mac_of(connected->connected.bssid);
        break;
    case MESH_EVENT_PARENT_DISCONNECTED:
    case MESH_EVENT_STOPPED:
        see_disconnected(seen);
        break;
    case MESH_EVENT_LAYER_CHANGE:
        see_role(self, is_root);
        seen->layer = (uint8_t)change->new_layer;
        break;
    case MESH_EVENT_ROOT_ADDRESS:
        see_role(self, is_root);
        seen->root = is_root ? self->mac : mac_of(root->addr);
        break;
    case MESH_EVENT_ROUTING_TABLE_ADD:
    case MESH_EVENT_ROUTING_TABLE_REMOVE:
        seen->nodes_changed = true;
        break;
    case MESH_EVENT_NO_PARENT_FOUND:
    case MESH_EVENT_STOP_RECONNECTION:
        seen->search_ended = true;
        break;
    default:
        break;
    }
    portEXIT_CRITICAL(&s_lock);
    (void)mm_esp_owner_post_wake(); // refused: the owner looks in its next turn
}

static void on_ip_event(void *context, esp_event_base_t base, int32_t id, void *data) {
    (void)base;
    mm_esp_mesh_t *self = context;
    const ip_event_got_ip_t *event = data;
    if (id != IP_EVENT_STA_GOT_IP && id != IP_EVENT_STA_LOST_IP) {
        return;
    }
    portENTER_CRITICAL(&s_lock);
    bool is_new = id == IP_EVENT_STA_GOT_IP && (!self->seen.has_ip || event->ip_changed);
    self->seen.ip_no += is_new ? 1 : 0;
    self->seen.has_ip = id == IP_EVENT_STA_GOT_IP;
    portEXIT_CRITICAL(&s_lock);
    (void)mm_esp_owner_post_wake();
}

// --- receiving -----------------------------------------------------------------------------------------------------

_Static_assert(MM_ESP_OWNER_SLOT_BYTES == MESH_MTU, "a slot has room for whatever the SDK gives");

// Into a slot of the owner's. Without a free one the frame stays with the SDK, whose queue is longer; it stops who
// sends when that is full, too.
static void receive_one(mm_esp_mesh_t *self) {
    mesh_addr_t from;
    mesh_data_t data = {.size = MM_ESP_OWNER_SLOT_BYTES};
    int flag = 0;
    int8_t slot = mm_esp_owner_lend_slot(&data.data);
    if (slot < 0) {
        // wait: the owner gives a frame's slot back, in the mesh's task | until SLOT_MS | then it is asked for again
        vTaskDelay(pdMS_TO_TICKS(SLOT_MS));
        return;
    }
    // wait: a frame of the mesh, in its task | until RECEIVE_MS | then it is waited for again
    esp_err_t err = esp_mesh_recv(&from, &data, RECEIVE_MS, &flag, NULL, 0);
    if (err == ESP_OK && data.size > 0) {
        (void)mm_esp_owner_post_slot(slot, mac_of(from.addr), data.size); // what is refused is counted there
        return;
    }
    mm_esp_owner_return_slot(slot);
    if (err != ESP_ERR_MESH_TIMEOUT) {
        count(&self->counts.receives_failed);
        // wait: the mesh gives frames again, in its task | until RECEIVE_FAILED_MS | then it is asked again
        vTaskDelay(pdMS_TO_TICKS(RECEIVE_FAILED_MS));
    }
}

static void run_receiver(void *context) {
    mm_esp_mesh_t *self = context;
    for (;;) {
        atomic_store(&s_is_receiving, true);
        if (atomic_load(&s_may_receive)) {
            receive_one(self);
            continue;
        }
        atomic_store(&s_is_receiving, false);
        // wait: the mesh is open, in its task | until RECEIVE_MS | then it is looked at again
        vTaskDelay(pdMS_TO_TICKS(RECEIVE_MS));
    }
}

static bool make_receiver(mm_esp_mesh_t *self) {
    if (self->task == NULL) {
        atomic_store(&s_is_receiving, false);
        self->task =
            xTaskCreateStatic(run_receiver, "mesh", mesh_stack_bytes, self, mesh_priority, s_task_stack, &s_task_state);
    }
    return self->task != NULL;
}

// --- open and close, before the owner runs or in the worker --------------------------------------------------------

static void fill_router(mesh_router_t *filled, const mm_esp_router_t *router) {
    *filled = (mesh_router_t){.ssid_len = (uint8_t)strlen(router->name)};
    memcpy(filled->ssid, router->name, filled->ssid_len);
    memcpy(filled->password, router->password, strlen(router->password));
}

// Networking is self-organised: the SDK's default, which esp_mesh_init sets.
static bool configure(const mm_esp_mesh_t *self) {
    mesh_cfg_t config = MESH_INIT_CONFIG_DEFAULT();
    config.channel = CONFIG_MM_MESH_CHANNEL;
    // The router may be moved to another channel by whoever owns it.
    config.allow_channel_switch = true;
    memcpy(config.mesh_id.addr, self->mesh_id, sizeof config.mesh_id.addr);
    fill_router(&config.router, &self->router);
    config.mesh_ap.max_connection = MM_ESP_MESH_CHILDREN_MAX;
    memcpy(config.mesh_ap.password, self->ap_password, sizeof self->ap_password);
    int password_chars = (int)strlen(self->ap_password);
    bool good =
        esp_mesh_set_topology(MESH_TOPO_TREE) == ESP_OK && esp_mesh_set_max_layer(MM_ESP_MESH_LAYERS_MAX) == ESP_OK &&
        esp_mesh_set_ap_authmode(WIFI_AUTH_WPA2_PSK) == ESP_OK &&
        esp_mesh_send_block_time(MM_ESP_MESH_BLOCK_MS) == ESP_OK && esp_mesh_disable_ps() == ESP_OK &&
        esp_mesh_set_config(&config) == ESP_OK &&
        esp_mesh_set_ie_crypto_key(self->ap_password, password_chars) == ESP_OK && esp_mesh_fix_root(false) == ESP_OK;
    mm_wipe(&config, sizeof config);
    return good;
}

static void forget_seen(mm_esp_mesh_t *self) {
    portENTER_CRITICAL(&s_lock);
    see_role(self, false);
    see_disconnected(&self->seen);
    self->seen.root = (mm_mac_t){{0}};
    self->seen.nodes_changed = false;
    self->seen.search_ended = false;
    portEXIT_CRITICAL(&s_lock);
}

static void stop_receiving(void) {
    atomic_store(&s_may_receive, false);
    TickType_t tick_ms = portTICK_PERIOD_MS;
    for (TickType_t waited_ms = 0; atomic_load(&s_is_receiving) && waited_ms < RECEIVER_LEAVES_MS;
         waited_ms += tick_ms) {
        // wait: the receiving task leaves the SDK | until RECEIVER_LEAVES_MS | then the mesh is stopped all the same
        vTaskDelay(1);
    }
}

static void take_back(mm_esp_mesh_t *self, bool is_init, bool is_started) {
    if (is_started) {
        stop_receiving();
        // wait: the SDK stops the mesh, in the worker | until MM_ESP_MESH_JOB_S | then the owner restarts the device
        (void)esp_mesh_stop();
    }
    if (is_init) {
        (void)esp_mesh_deinit();
    }
    if (self->ip_handler != NULL) {
        (void)esp_event_handler_instance_unregister(IP_EVENT, ESP_EVENT_ANY_ID, self->ip_handler);
    }
    if (self->mesh_handler != NULL) {
        (void)esp_event_handler_instance_unregister(MESH_EVENT, ESP_EVENT_ANY_ID, self->mesh_handler);
    }
    self->ip_handler = NULL;
    self->mesh_handler = NULL;
    mm_esp_radio_close();
    forget_seen(self);
}

static mm_err_t begin(mm_esp_mesh_t *self) {
    if (!make_receiver(self) || mm_esp_radio_open(MM_ESP_RADIO_MESH) != MM_OK) {
        return MM_ERR_UNAVAILABLE;
    }
    bool is_init = false;
    bool good =
        esp_event_handler_instance_register(MESH_EVENT, ESP_EVENT_ANY_ID, on_mesh_event, self, &self->mesh_handler) ==
            ESP_OK &&
        esp_event_handler_instance_register(IP_EVENT, ESP_EVENT_ANY_ID, on_ip_event, self, &self->ip_handler) == ESP_OK;
    if (good) {
        is_init = esp_mesh_init() == ESP_OK;
        good = is_init && configure(self) && esp_mesh_start() == ESP_OK;
    }
    if (!good) {
        take_back(self, is_init, false);
        return MM_ERR_UNAVAILABLE;
    }
    const mesh_addr_t group = {.addr = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}};
    if (esp_mesh_set_group_id(&group, 1) != ESP_OK) {
        mm_esp_log(MM_LOG_WARNING, "mesh: not in the group"); // frames to this node alone arrive all the same
    }
    atomic_store(&s_may_receive, true);
    return MM_OK;
}

static void run_job(void *context) {
    mm_esp_mesh_t *self = context;
    mm_err_t result = MM_OK;
    if (self->job != MM_ESP_MESH_OPENING) {
        take_back(self, true, true);
    }
    if (self->job != MM_ESP_MESH_CLOSING) {
        result = begin(self);
    }
    portENTER_CRITICAL(&s_lock);
    self->job_result = result;
    self->job_is_done = true;
    portEXIT_CRITICAL(&s_lock);
}

// --- sending -------------------------------------------------------------------------------------------------------

static int pending_of(const mesh_tx_pending_t *pending) {
    return pending->to_parent + pending->to_parent_p2p + pending->to_child + pending->to_child_p2p + pending->broadcast;
}

static mm_err_t refuse(mm_esp_mesh_t *self, mm_err_t err) {
    count(&self->counts.sends_refused);
    return err;
}

static mm_err_t send_to_mesh(mm_esp_mesh_t *self, const mesh_addr_t *to, int direction, const void *bytes,
                             size_t bytes_count) {
    mesh_tx_pending_t pending;
    if (self->is_blocked ||
        (esp_mesh_get_tx_pending(&pending) == ESP_OK && pending_of(&pending) >= MM_ESP_MESH_PENDING_MAX)) {
        return refuse(self, MM_ERR_BUSY);
    }
    // The SDK's structure is for both ways; here it is only read.
    const union {
        const void *given;
        uint8_t *taken;
    } data_bytes = {.given = bytes};
    const mesh_data_t data = {
        .data = data_bytes.taken, .size = (uint16_t)bytes_count, .proto = MESH_PROTO_BIN, .tos = MESH_TOS_DEF};
    int flag = direction | MESH_DATA_NONBLOCK;
    mm_us_t before = mm_esp_owner_now();
    // wait: the SDK takes the frame, which it should do at once | until MM_ESP_MESH_BLOCK_MS | then nothing more is
    // sent in this turn of the owner
    esp_err_t err = esp_mesh_send(to, &data, flag, NULL, 0);
    self->is_blocked = mm_esp_owner_now() - before >= (mm_us_t)MM_ESP_MESH_BLOCK_MS * 1000 / 2;
    switch (err) {
    case ESP_OK:
        self->sent++;
        return MM_OK;
    case ESP_ERR_MESH_QUEUE_FULL:
    case ESP_ERR_MESH_QUEUE_FAIL:
    case ESP_ERR_MESH_NO_MEMORY:
    case ESP_ERR_MESH_TIMEOUT:
    case ESP_ERR_MESH_XON_NO_WINDOW:
        return refuse(self, MM_ERR_BUSY);
    default:
        return refuse(self, MM_ERR_UNAVAILABLE);
    }
}

static bool has_path(const mm_esp_mesh_t *self) {
    return self->is_open && self->job == MM_ESP_MESH_NO_JOB && (self->is_connected || self->is_root);
}

static mm_err_t send_to_self(mm_esp_mesh_t *self, const void *bytes, size_t bytes_count) {
    return mm_esp_owner_post_frame(self->mac, bytes, bytes_count) ? MM_OK : refuse(self, MM_ERR_BUSY);
}

static mm_err_t send_frame(void *context, mm_mac_t to, const void *bytes, size_t bytes_count) {
    mm_esp_mesh_t *self = context;
    if (bytes_count < 1 || bytes_count > MM_MESH_FRAME_BYTES_MAX) {
        return MM_ERR_ARG;
    }
    if (mm_mac_equal(to, self->mac)) {
        return send_to_self(self, bytes, bytes_count);
    }
    if (!has_path(self)) {
        return refuse(self, MM_ERR_UNAVAILABLE);
    }
    mesh_addr_t address;
    memcpy(address.addr, to.bytes, sizeof address.addr);
    int direction = mm_mac_equal(to, MM_ESP_MESH_GROUP) ? MESH_DATA_P2P | MESH_DATA_GROUP : MESH_DATA_P2P;
    return send_to_mesh(self, &address, direction, bytes, bytes_count);
}

static mm_err_t send_to_root(void *context, const void *bytes, size_t bytes_count) {
    mm_esp_mesh_t *self = context;
    if (bytes_count < 1 || bytes_count > MM_MESH_FRAME_BYTES_MAX) {
        return MM_ERR_ARG;
    }
    if (!has_path(self)) {
        return refuse(self, MM_ERR_UNAVAILABLE);
    }
    return self->is_root ? send_to_self(self, bytes, bytes_count)
                         : send_to_mesh(self, NULL, MESH_DATA_P2P, bytes, bytes_count);
}

// --- what the core is told -----------------------------------------------------------------------------------------

// The next difference; false: none. What it says is noted when it was posted.
static bool next_event(const mm_esp_mesh_t *self, const mm_esp_mesh_seen_t *seen, mm_mesh_event_t *event) {
    bool ip_up = seen->is_connected && seen->is_root && seen->has_ip;
    bool was_away = seen->connection_no != self->told_connection_no;
    *event = (mm_mesh_event_t){.mac = seen->root, .layer = seen->layer};
    if (self->has_ip && (!ip_up || seen->ip_no != self->told_ip_no)) {
        event->kind = MM_MESH_LOST_IP;
    } else if (self->is_connected && (!seen->is_connected || was_away)) {
        event->kind = MM_MESH_PARENT_DISCONNECTED;
    } else if (!mm_mac_equal(seen->root, self->told_root)) {
        event->kind = MM_MESH_ROOT_CHANGED;
    } else if (seen->is_connected && (!self->is_connected || seen->layer != self->layer)) {
        event->kind = MM_MESH_PARENT_CONNECTED;
    } else if (ip_up && !self->has_ip) {
        event->kind = MM_MESH_GOT_IP;
    }
    return event->kind != MM_MESH_EVENT_NONE;
}

static void note_told(mm_esp_mesh_t *self, const mm_esp_mesh_seen_t *seen, mm_mesh_event_kind_t kind) {
    if (kind == MM_MESH_LOST_IP || kind == MM_MESH_GOT_IP) {
        self->has_ip = kind == MM_MESH_GOT_IP;
        self->told_ip_no = seen->ip_no;
    } else if (kind == MM_MESH_PARENT_DISCONNECTED) {
        self->is_connected = false;
    } else if (kind == MM_MESH_ROOT_CHANGED) {
        self->told_root = seen->root;
        self->is_root = seen->is_root;
        self->node_count = 0;
    } else {
        self->is_connected = true;
        self->told_connection_no = seen->connection_no;
        self->layer = seen->layer;
        self->parent = seen->parent;
    }
}

static bool is_listed(const mm_mac_t *nodes, size_t node_count, mm_mac_t mac) {
    for (size_t i = 0; i < node_count; i++) {
        if (mm_mac_equal(nodes[i], mac)) {
            return true;
        }
    }
    return false;
}

static bool tell_child(mm_mesh_event_kind_t kind, mm_mac_t mac) {
    const mm_mesh_event_t event = {.kind = kind, .mac = mac};
    return mm_esp_owner_post_mesh(&event);
}

// False: the queue is full; the rest is told in the next turn.
static bool tell_children(mm_esp_mesh_t *self) {
    // This node is in it, too.
    mesh_addr_t table[MM_NODES_MAX + 1];
    mm_mac_t nodes[MM_NODES_MAX + 1];
    int size = 0;
    if (esp_mesh_get_routing_table(table, sizeof table, &size) != ESP_OK) {
        return false;
    }
    size_t node_count = size > 0 ? (size_t)size : 0;
    node_count = node_count < MM_NODES_MAX + 1 ? node_count : MM_NODES_MAX + 1;
    for (size_t i = 0; i < node_count; i++) {
        nodes[i] = mac_of(table[i].addr);
    }
    for (size_t i = 0; i < self->node_count;) {
        if (is_listed(nodes, node_count, self->nodes[i])) {
            i++;
        } else if (tell_child(MM_MESH_CHILD_LEFT, self->nodes[i])) {
            self->nodes[i] = self->nodes[--self->node_count];
        } else {
            return false;
        }
    }
    for (size_t i = 0; i < node_count && self->node_count < MM_NODES_MAX; i++) {
        if (mm_mac_equal(nodes[i], self->mac) || is_listed(self->nodes, self->node_count, nodes[i])) {
            continue;
        }
        if (!tell_child(MM_MESH_CHILD_JOINED, nodes[i])) {
            return false;
        }
        self->nodes[self->node_count++] = nodes[i];
    }
    return true;
}

// Returns what was seen; flags are taken out of it.
static mm_esp_mesh_seen_t take_seen(mm_esp_mesh_t *self) {
    portENTER_CRITICAL(&s_lock);
    mm_esp_mesh_seen_t seen = self->seen;
    self->seen.nodes_changed = false;
    self->seen.search_ended = false;
    portEXIT_CRITICAL(&s_lock);
    return seen;
}

static void tell(mm_esp_mesh_t *self, const mm_esp_mesh_seen_t *seen) {
    mm_mesh_event_t event;
    bool was_root = self->is_root;
    bool has_room = true;
    while (has_room && next_event(self, seen, &event)) {
        has_room = mm_esp_owner_post_mesh(&event);
        if (has_room) {
            note_told(self, seen, event.kind);
        }
    }
    bool is_due = self->is_root && (seen->nodes_changed || !was_root);
    if (is_due && !(has_room && self->is_open && tell_children(self))) {
        portENTER_CRITICAL(&s_lock);
        self->seen.nodes_changed = true;
        portEXIT_CRITICAL(&s_lock);
    }
}

// --- poll ----------------------------------------------------------------------------------------------------------

// An address is for the root alone, and anew for each connection: the SDK takes it from an interface that goes down,
// and without its own DHCP flag does not ask again. What failed is tried again in the next turn.
static void follow_dhcp(mm_esp_mesh_t *self, const mm_esp_mesh_seen_t *seen) {
    esp_netif_t *station = mm_esp_radio_station();
    bool is_due = seen->is_connected && seen->is_root;
    bool is_as_due = is_due ? self->dhcp_connection_no == seen->connection_no : self->dhcp_connection_no == 0;
    if (station == NULL || is_as_due) {
        return;
    }
    esp_err_t err = esp_netif_dhcpc_stop(station);
    bool good = err == ESP_OK || err == ESP_ERR_ESP_NETIF_DHCP_ALREADY_STOPPED;
    if (good && is_due) {
        good = esp_netif_dhcpc_start(station) == ESP_OK;
    }
    if (good) {
        self->dhcp_connection_no = is_due ? seen->connection_no : 0;
    }
}

static void leave_parent(mm_esp_mesh_t *self, mm_us_t now) {
    (void)esp_mesh_disconnect();
    self->connect_is_due = true;
    self->connect_at = now + (mm_us_t)MM_ESP_MESH_LEAVE_MS * 1000;
}

static void come_back(mm_esp_mesh_t *self, const mm_esp_mesh_seen_t *seen, mm_us_t now) {
    if (self->connect_is_due && (!seen->is_connected || now >= self->connect_at)) {
        (void)esp_mesh_connect();
        self->connect_is_due = false;
    }
}

static void get_unstuck(mm_esp_mesh_t *self, mm_us_t now) {
    mm_esp_log(MM_LOG_WARNING, "mesh: send queue stuck pending=%d step=%u", self->pending, self->stuck_step);
    if (self->stuck_step == 0) {
        count(&self->counts.queue_stuck);
        count(&self->counts.reconnects);
        self->stuck_step = 1;
        leave_parent(self, now);
    } else {
        count(&self->counts.restarts);
        self->stuck_step = 0;
        self->restart_is_due = true;
    }
    self->stuck_at = now + MM_ESP_MESH_STUCK_S * MM_US_PER_S;
}

static void look_at_queue(mm_esp_mesh_t *self, mm_us_t now) {
    mesh_tx_pending_t counts;
    if (esp_mesh_get_tx_pending(&counts) != ESP_OK) {
        return;
    }
    int pending = pending_of(&counts);
    bool moved = pending == 0 || pending < self->pending + self->sent;
    // Without a parent nothing moves, and that is the mesh's to mend; a way out that was begun goes on.
    bool waits_for_parent = !self->is_connected && !self->is_root && self->stuck_step == 0;
    self->pending = pending;
    self->sent = 0;
    if (moved || waits_for_parent) {
        self->stuck_step = moved ? 0 : self->stuck_step;
        self->stuck_at = pending == 0 ? MM_US_NEVER : now + MM_ESP_MESH_STUCK_S * MM_US_PER_S;
    } else if (self->stuck_at == MM_US_NEVER) {
        self->stuck_at = now + MM_ESP_MESH_STUCK_S * MM_US_PER_S;
    } else if (now >= self->stuck_at) {
        get_unstuck(self, now);
    }
}

// The SDK is known to stop looking for a parent without a word. A root whose router is off serves its children.
static void look_at_parent(mm_esp_mesh_t *self, mm_us_t now) {
    if (self->is_connected || self->node_count > 0) {
        self->alone_until = now + MM_ESP_MESH_ALONE_S * MM_US_PER_S;
    } else if (now >= self->alone_until && !self->restart_is_due) {
        mm_esp_log(MM_LOG_WARNING, "mesh: no parent for seconds=%d", MM_ESP_MESH_ALONE_S);
        count(&self->counts.restarts);
        self->restart_is_due = true;
    }
}

static void give_job(mm_esp_mesh_t *self, mm_esp_mesh_job_t job, mm_us_t now) {
    if (job != MM_ESP_MESH_OPENING) {
        mm_esp_radio_end_user(); // in the owner's task, which is the user's
    }
    self->job = job;
    self->job_is_done = false;
    // wait: the worker closes or opens the mesh | until MM_ESP_MESH_JOB_S | then the owner restarts the device
    mm_us_t deadline = now + MM_ESP_MESH_JOB_S * MM_US_PER_S;
    if (mm_esp_owner_give_job(run_job, self, deadline, &self->job_number) != MM_OK) {
        self->job = MM_ESP_MESH_NO_JOB; // the worker has another one: in the next turn
        mm_esp_radio_keep();
    }
}

static void reset_turn(mm_esp_mesh_t *self) {
    self->pending = 0;
    self->sent = 0;
    self->stuck_step = 0;
    self->stuck_at = MM_US_NEVER;
    self->connect_is_due = false;
    self->restart_is_due = false;
    self->dhcp_connection_no = 0;
}

static void settle_open(mm_esp_mesh_t *self, mm_err_t result, mm_us_t now) {
    self->is_open = result == MM_OK;
    reset_turn(self);
    self->alone_until = now + MM_ESP_MESH_ALONE_S * MM_US_PER_S;
    if (result != MM_OK) {
        count(&self->counts.opens_failed);
        if (self->counts.opens_failed == 1) {
            mm_esp_log(MM_LOG_ERROR, "mesh: the SDK refused; tried again each seconds=%d", MM_ESP_MESH_RETRY_S);
        }
        self->retry_at = now + MM_ESP_MESH_RETRY_S * MM_US_PER_S;
    }
}

// True while the worker has the mesh.
static bool follow_job(mm_esp_mesh_t *self, mm_us_t now) {
    if (self->job == MM_ESP_MESH_NO_JOB) {
        return false;
    }
    portENTER_CRITICAL(&s_lock);
    bool is_done = self->job_is_done;
    mm_err_t result = self->job_result;
    portEXIT_CRITICAL(&s_lock);
    if (!is_done) {
        return true;
    }
    bool was_closed = self->job == MM_ESP_MESH_CLOSING;
    self->job = MM_ESP_MESH_NO_JOB;
    if (was_closed) {
        self->is_open = false;
        reset_turn(self);
    } else {
        settle_open(self, result, now);
    }
    return false;
}

static void begin_job(mm_esp_mesh_t *self, mm_us_t now) {
    if (self->is_wanted && !self->is_open && now >= self->retry_at) {
        give_job(self, MM_ESP_MESH_OPENING, now);
    } else if (!self->is_wanted && self->is_open) {
        give_job(self, MM_ESP_MESH_CLOSING, now);
    } else if (self->is_open && self->restart_is_due) {
        give_job(self, MM_ESP_MESH_RESTARTING, now);
    }
}

mm_us_t mm_esp_mesh_poll(mm_esp_mesh_t *self, mm_us_t now) {
    self->is_blocked = false;
    if (!follow_job(self, now)) {
        begin_job(self, now);
    }
    bool runs = self->is_open && self->job == MM_ESP_MESH_NO_JOB;
    mm_esp_mesh_seen_t seen = take_seen(self);
    tell(self, &seen);
    if (!runs) {
        bool waits = self->is_wanted && self->job == MM_ESP_MESH_NO_JOB;
        return waits ? self->retry_at : MM_US_NEVER;
    }
    follow_dhcp(self, &seen);
    come_back(self, &seen, now);
    if (seen.search_ended) {
        count(&self->counts.searches);
        (void)esp_mesh_set_self_organized(true, true);
    }
    look_at_queue(self, now);
    look_at_parent(self, now);
    return self->connect_is_due ? mm_us_earlier(self->connect_at, self->stuck_at)
                                : mm_us_earlier(self->stuck_at, self->alone_until);
}

// --- the owner's calls ---------------------------------------------------------------------------------------------

static mm_err_t derive(const uint8_t *mesh_key, const char *label, const char *site, uint8_t mac[MM_HMAC_BYTES]) {
    char text[sizeof PASSWORD_LABEL + MM_SITE_CHARS_MAX];
    int chars = snprintf(text, sizeof text, "%s%s", label, site);
    MM_ASSERT(chars > 0 && (size_t)chars < sizeof text);
    mm_esp_crypto_t crypto;
    mm_esp_crypto_open(&crypto, mesh_key);
    mm_err_t err = crypto.crypto.device_hmac(crypto.crypto.context, text, (size_t)chars, mac);
    mm_esp_crypto_close(&crypto);
    return err;
}

static mm_err_t derive_network(mm_esp_mesh_t *self, const mm_esp_mesh_options_t *options) {
    uint8_t mac[MM_HMAC_BYTES];
    mm_err_t err = derive(options->mesh_key, ID_LABEL, options->site, mac);
    memcpy(self->mesh_id, mac, sizeof self->mesh_id);
    if (err == MM_OK) {
        err = derive(options->mesh_key, PASSWORD_LABEL, options->site, mac);
    }
    for (size_t i = 0; i < sizeof self->ap_password / 2; i++) {
        (void)snprintf(self->ap_password + 2 * i, 3, "%02x", mac[i]);
    }
    mm_wipe(mac, sizeof mac);
    return err;
}

mm_err_t mm_esp_mesh_open(mm_esp_mesh_t *self, const mm_esp_mesh_options_t *options) {
    memset(self, 0, sizeof *self);
    self->mesh = (mm_mesh_t){.send = send_frame, .send_to_root = send_to_root, .context = self};
    self->mac = options->mac;
    self->router = *options->router;
    self->stuck_at = MM_US_NEVER;
    if (self->router.name[0] == '\0') {
        return MM_ERR_ARG;
    }
    mm_err_t err = derive_network(self, options);
    if (err != MM_OK) {
        return err;
    }
    self->is_wanted = true;
    err = begin(self);
    settle_open(self, err, mm_esp_owner_now());
    return err;
}

void mm_esp_mesh_close(mm_esp_mesh_t *self) {
    MM_ASSERT(self->job == MM_ESP_MESH_NO_JOB);
    self->is_wanted = false;
    if (self->is_open) {
        self->is_open = false;
        mm_esp_radio_end_user();
        take_back(self, true, true);
        reset_turn(self);
    }
}

mm_err_t mm_esp_mesh_set_router(mm_esp_mesh_t *self, const mm_esp_router_t *router) {
    if (router->name[0] == '\0') {
        return MM_ERR_ARG;
    }
    if (self->job != MM_ESP_MESH_NO_JOB) {
        return MM_ERR_BUSY;
    }
    self->router = *router;
    if (!self->is_open) {
        return MM_OK;
    }
    mesh_router_t filled;
    fill_router(&filled, router);
    esp_err_t err = esp_mesh_set_router(&filled);
    mm_wipe(&filled, sizeof filled);
    if (err != ESP_OK) {
        return MM_ERR_UNAVAILABLE;
    }
    if (self->is_root) {
        leave_parent(self, mm_esp_owner_now()); // the old router
    }
    return MM_OK;
}

void mm_esp_mesh_pause(mm_esp_mesh_t *self) {
    self->is_wanted = false;
}

void mm_esp_mesh_resume(mm_esp_mesh_t *self) {
    self->is_wanted = true;
    self->retry_at = 0;
}

bool mm_esp_mesh_is_paused(const mm_esp_mesh_t *self) {
    return !self->is_wanted && !self->is_open && self->job == MM_ESP_MESH_NO_JOB;
}
