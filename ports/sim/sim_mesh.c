// SPDX-License-Identifier: Apache-2.0
#include "sim/sim_mesh.h"

#include <stdlib.h>
#include <string.h>

// From a change to the moment when a node is told: seconds on ESP-WIFI-MESH, up to a minute for a lost root.
#define NOTICE_MIN_US (2 * MM_US_PER_S)
#define NOTICE_MORE_US (30 * MM_US_PER_S)
#define DELAY_MAX_S 60
#define NO_NODE (-1)

// What a node was told. A bit per child at the root.
typedef struct {
    bool attached;
    int root;
    bool router_up;
    uint64_t children;
} told_t;

typedef struct {
    mm_sim_mesh_t *mesh;
    int index;
    mm_mesh_t port;
    bool alive;
    bool router_up;
    uint8_t part;
    uint8_t layer;
    bool switching; // between two parents
    told_t told;
} member_t;

struct mm_sim_mesh {
    mm_sim_t *sim;
    int node_count;
    mm_sim_radio_t radio;
    mm_sim_mesh_receivers_t receivers;
    mm_random_t random;
    member_t members[MM_SIM_MESH_NODES_MAX];
    int part_roots[256]; // by part; NO_NODE
    bool notice_due;
};

typedef struct {
    int to;
    int from;
    uint16_t bytes_count;
    uint8_t bytes[MM_MESH_FRAME_BYTES_MAX];
} frame_t;
#define FRAME_HEAD_BYTES offsetof(frame_t, bytes)

mm_mac_t mm_sim_mesh_mac(int node) {
    MM_ASSERT(node >= 0 && node < MM_SIM_MESH_NODES_MAX);
    return (mm_mac_t){{0x02, 0x4D, 0x4D, 0x00, 0x00, (uint8_t)(node + 1)}};
}

static int node_of(const mm_sim_mesh_t *self, mm_mac_t mac) {
    int node = mac.bytes[5] - 1;
    return node >= 0 && node < self->node_count && mm_mac_equal(mac, mm_sim_mesh_mac(node)) ? node : NO_NODE;
}

static bool can_hear(const member_t *left, const member_t *right) {
    return left->alive && right->alive && left->part == right->part && !left->switching && !right->switching;
}

// --- frames

static void deliver(void *context, const void *payload, size_t payload_bytes) {
    mm_sim_mesh_t *self = context;
    const frame_t *frame = payload; // as `send` wrote it
    MM_ASSERT(payload_bytes == FRAME_HEAD_BYTES + frame->bytes_count);
    if (can_hear(&self->members[frame->from], &self->members[frame->to])) {
        self->receivers.frame(self->receivers.context, frame->to, mm_sim_mesh_mac(frame->from), frame->bytes,
                              frame->bytes_count);
    }
}

static mm_us_t draw_latency_us(mm_sim_mesh_t *self, const member_t *from, const member_t *to) {
    mm_us_t hops = from->layer + to->layer;
    return hops * self->radio.hop_us + (mm_us_t)mm_random_below(&self->random, (uint32_t)self->radio.hop_us);
}

static mm_err_t send_frame(void *context, mm_mac_t mac, const void *bytes, size_t bytes_count) {
    member_t *from = context;
    mm_sim_mesh_t *self = from->mesh;
    MM_ASSERT(bytes_count <= MM_MESH_FRAME_BYTES_MAX);
    int to = node_of(self, mac);
    if (mm_sim_chance(&self->random, self->radio.refused)) {
        mm_sim_fault(self->sim, MM_SIM_FAULT_MESH_SEND_REFUSED, from->index);
        return MM_ERR_BUSY;
    }
    if (to == NO_NODE || !can_hear(from, &self->members[to])) {
        return to == NO_NODE || !from->told.attached ? MM_ERR_UNAVAILABLE : MM_OK; // it does not know yet
    }
    if (mm_sim_chance(&self->random, self->radio.lost)) {
        mm_sim_fault(self->sim, MM_SIM_FAULT_FRAME_LOST, from->index);
        return MM_OK;
    }
    mm_us_t at = mm_sim_now(self->sim) + draw_latency_us(self, from, &self->members[to]);
    if (mm_sim_chance(&self->random, self->radio.delayed)) {
        mm_sim_fault(self->sim, MM_SIM_FAULT_FRAME_DELAYED, from->index);
        at += (mm_us_t)(1 + mm_random_below(&self->random, DELAY_MAX_S)) * MM_US_PER_S;
    }
    frame_t frame = {.to = to, .from = from->index, .bytes_count = (uint16_t)bytes_count};
    memcpy(frame.bytes, bytes, bytes_count);
    if (bytes_count > 0 && mm_sim_chance(&self->random, self->radio.damaged)) {
        mm_sim_fault(self->sim, MM_SIM_FAULT_FRAME_DAMAGED, from->index);
        uint32_t bit = mm_random_below(&self->random, (uint32_t)bytes_count * 8);
        frame.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    mm_sim_queue_add(self->sim->queue, at, deliver, self, &frame, FRAME_HEAD_BYTES + bytes_count);
    if (mm_sim_chance(&self->random, self->radio.repeated)) {
        mm_sim_fault(self->sim, MM_SIM_FAULT_FRAME_REPEATED, from->index);
        at += (mm_us_t)mm_random_below(&self->random, 2 * (uint32_t)MM_US_PER_S);
        mm_sim_queue_add(self->sim->queue, at, deliver, self, &frame, FRAME_HEAD_BYTES + bytes_count);
    }
    return MM_OK;
}

static mm_err_t send_frame_to_root(void *context, const void *bytes, size_t bytes_count) {
    member_t *from = context;
    if (!from->told.attached || from->told.root == NO_NODE) {
        return MM_ERR_UNAVAILABLE;
    }
    return send_frame(context, mm_sim_mesh_mac(from->told.root), bytes, bytes_count);
}

// --- membership

static void tell(mm_sim_mesh_t *self, int node, mm_mesh_event_kind_t kind, int about, uint8_t layer) {
    if (!self->members[node].alive) {
        return; // telling the last one was too much for it
    }
    const mm_mesh_event_t event = {
        .kind = kind, .mac = about == NO_NODE ? (mm_mac_t){{0}} : mm_sim_mesh_mac(about), .layer = layer};
    mm_sim_note(self->sim, node, "mesh_event", (uint64_t)kind, (uint64_t)(int64_t)about);
    self->receivers.event(self->receivers.context, node, &event);
}

static int choose_root(mm_sim_mesh_t *self, uint8_t part) {
    int incumbent = self->part_roots[part];
    if (incumbent != NO_NODE && self->members[incumbent].alive && self->members[incumbent].part == part) {
        return incumbent;
    }
    // Who believes to be root already, else anybody, better one with a router.
    int candidates[MM_SIM_MESH_NODES_MAX];
    uint32_t count = 0;
    for (int i = 0; i < self->node_count; i++) {
        const member_t *member = &self->members[i];
        if (member->alive && member->part == part && !member->switching) {
            if (member->told.root == i) {
                return i;
            }
            candidates[count++] = i;
        }
    }
    return count == 0 ? NO_NODE : candidates[mm_random_below(&self->random, count)];
}

static uint64_t children_of(const mm_sim_mesh_t *self, int root) {
    uint64_t children = 0;
    for (int i = 0; i < self->node_count; i++) {
        const member_t *member = &self->members[i];
        bool below = i != root && member->alive && member->part == self->members[root].part && !member->switching;
        children |= below ? UINT64_C(1) << i : 0;
    }
    return children;
}

static void tell_root(mm_sim_mesh_t *self, int node) {
    member_t *member = &self->members[node];
    uint64_t children = children_of(self, node);
    for (int i = 0; i < self->node_count && member->alive; i++) {
        uint64_t bit = UINT64_C(1) << i;
        if (((member->told.children ^ children) & bit) != 0) {
            member->told.children ^= bit;
            tell(self, node, (children & bit) != 0 ? MM_MESH_CHILD_JOINED : MM_MESH_CHILD_LEFT, i, 0);
        }
    }
    if (member->alive && member->told.router_up != member->router_up) {
        member->told.router_up = member->router_up;
        // A lost router shows as one or the other: on ESP-WIFI-MESH as a parent that is gone.
        mm_mesh_event_kind_t lost =
            mm_random_below(&self->random, 2) == 0 ? MM_MESH_PARENT_DISCONNECTED : MM_MESH_LOST_IP;
        tell(self, node, member->router_up ? MM_MESH_GOT_IP : lost, NO_NODE, 0);
    }
}

static void tell_member(mm_sim_mesh_t *self, int node) {
    member_t *member = &self->members[node];
    int root = member->switching ? NO_NODE : self->part_roots[member->part];
    bool attached = root != NO_NODE;
    if (member->told.attached && !attached) {
        member->told.attached = false;
        tell(self, node, MM_MESH_PARENT_DISCONNECTED, NO_NODE, 0);
        return;
    }
    if (attached && member->told.root != root) {
        if (member->told.root == node) {
            member->told.children = 0;
            member->told.router_up = false;
            mm_sim_probe(self->sim, MM_SIM_PROBE_OLD_ROOT_RETURNED, node); // and finds another one
        }
        member->told.root = root;
        tell(self, node, MM_MESH_ROOT_CHANGED, root, 0);
        member->told.attached = false; // it finds its way to the new one
    }
    if (attached && member->alive && !member->told.attached) {
        member->told.attached = true;
        member->layer = (uint8_t)(node == root ? 1 : 2 + mm_random_below(&self->random, 3));
        tell(self, node, MM_MESH_PARENT_CONNECTED, root, member->layer);
    }
    if (member->alive && root == node) {
        tell_root(self, node);
    }
}

static void notice(void *context, const void *payload, size_t payload_bytes) {
    (void)payload;
    (void)payload_bytes;
    mm_sim_mesh_t *self = context;
    self->notice_due = false;
    for (int i = 0; i < self->node_count; i++) {
        uint8_t part = self->members[i].part;
        int root = choose_root(self, part);
        if (root != self->part_roots[part]) {
            self->part_roots[part] = root;
            mm_sim_fault(self->sim, MM_SIM_FAULT_ROOT_ELECTED, root);
        }
    }
    for (int i = 0; i < self->node_count; i++) {
        if (self->members[i].alive) {
            tell_member(self, i);
        }
    }
    if (mm_sim_mesh_root_count(self) > 1) {
        mm_sim_fault(self->sim, MM_SIM_FAULT_TWO_ROOTS, NO_NODE);
    }
}

static void notice_soon(mm_sim_mesh_t *self) {
    if (self->notice_due) {
        return;
    }
    self->notice_due = true;
    mm_us_t at =
        mm_sim_now(self->sim) + NOTICE_MIN_US + (mm_us_t)mm_random_below(&self->random, (uint32_t)NOTICE_MORE_US);
    mm_sim_queue_add(self->sim->queue, at, notice, self, NULL, 0);
}

void mm_sim_mesh_set_alive(mm_sim_mesh_t *self, int node, bool alive) {
    member_t *member = &self->members[node];
    member->alive = alive;
    member->switching = false;
    member->told = (told_t){.root = NO_NODE};
    notice_soon(self);
}

void mm_sim_mesh_set_router(mm_sim_mesh_t *self, int node, bool up) {
    self->members[node].router_up = up;
    notice_soon(self);
}

void mm_sim_mesh_part(mm_sim_mesh_t *self, const uint8_t *parts) {
    for (int i = 0; i < self->node_count; i++) {
        self->members[i].part = parts == NULL ? 0 : parts[i];
    }
    notice_soon(self);
}

void mm_sim_mesh_elect(mm_sim_mesh_t *self, int node) {
    member_t *member = &self->members[node];
    if (member->alive && self->part_roots[member->part] != node) {
        self->part_roots[member->part] = node;
        mm_sim_fault(self->sim, MM_SIM_FAULT_ROOT_ELECTED, node);
        notice_soon(self);
    }
}

static void end_switch(void *context, const void *payload, size_t payload_bytes) {
    (void)payload;
    (void)payload_bytes;
    member_t *member = context;
    member->switching = false;
    notice_soon(member->mesh);
}

void mm_sim_mesh_switch_parent(mm_sim_mesh_t *self, int node) {
    member_t *member = &self->members[node];
    if (!member->alive || member->switching || self->part_roots[member->part] == node) {
        return;
    }
    member->switching = true;
    mm_sim_fault(self->sim, MM_SIM_FAULT_MESH_PARENT_SWITCHED, node);
    notice_soon(self);
    mm_us_t gone_us = NOTICE_MIN_US + (mm_us_t)mm_random_below(&self->random, 2 * (uint32_t)NOTICE_MORE_US);
    mm_sim_queue_add(self->sim->queue, mm_sim_now(self->sim) + gone_us, end_switch, member, NULL, 0);
}

int mm_sim_mesh_root_of(const mm_sim_mesh_t *self, int node) {
    return self->part_roots[self->members[node].part];
}

int mm_sim_mesh_root_count(const mm_sim_mesh_t *self) {
    int count = 0;
    for (int i = 0; i < self->node_count; i++) {
        count += self->members[i].alive && self->members[i].told.root == i ? 1 : 0;
    }
    return count;
}

mm_sim_mesh_t *mm_sim_mesh_create(mm_sim_t *sim, int node_count, const mm_sim_radio_t *radio,
                                  const mm_sim_mesh_receivers_t *receivers) {
    MM_ASSERT(node_count >= 1 && node_count <= MM_SIM_MESH_NODES_MAX);
    mm_sim_mesh_t *self = calloc(1, sizeof *self);
    MM_ASSERT(self != NULL);
    self->sim = sim;
    self->node_count = node_count;
    self->radio = *radio;
    self->receivers = *receivers;
    self->random = mm_sim_random(sim, "mesh", 0);
    for (size_t part = 0; part < sizeof self->part_roots / sizeof self->part_roots[0]; part++) {
        self->part_roots[part] = NO_NODE;
    }
    for (int i = 0; i < node_count; i++) {
        member_t *member = &self->members[i];
        *member = (member_t){.mesh = self, .index = i, .layer = 2, .router_up = true, .told = {.root = NO_NODE}};
        member->port = (mm_mesh_t){send_frame, send_frame_to_root, member};
    }
    return self;
}

void mm_sim_mesh_destroy(mm_sim_mesh_t *self) {
    free(self);
}

const mm_mesh_t *mm_sim_mesh_port(mm_sim_mesh_t *self, int node) {
    return &self->members[node].port;
}

void mm_sim_mesh_set_radio(mm_sim_mesh_t *self, const mm_sim_radio_t *radio) {
    self->radio = *radio;
}
