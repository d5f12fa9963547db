// SPDX-License-Identifier: Apache-2.0
#include "linux_mesh_internal.h"

// --- tree ----------------------------------------------------------------------------------------------------------

// Place in the tree: 0 is the root, the others follow in the order of their addresses.
static size_t own_place(const mm_linux_mesh_t *self) {
    if (self->role == MM_LINUX_MESH_ROOT) {
        return 0;
    }
    size_t place = 1;
    for (size_t i = 0; i < MM_LINUX_MESH_PEERS_MAX; i++) {
        const mm_linux_mesh_peer_t *peer = &self->peers[i];
        if (peer->member && !mm_mac_equal(peer->mac, self->root) &&
            mm_mac_compare(peer->mac, mmi_mesh_own_mac(self)) < 0) {
            place++;
        }
    }
    return place;
}

static uint8_t own_layer(const mm_linux_mesh_t *self) {
    uint8_t layer = 1;
    for (size_t place = own_place(self); place > 0 && layer < self->options.layer_max; layer++) {
        place = (place - 1) / self->options.fanout;
    }
    return layer;
}

mm_mac_t mm_linux_mesh_parent(const mm_linux_mesh_t *self) {
    size_t place = own_place(self);
    if (self->role != MM_LINUX_MESH_FOLLOWING || place <= self->options.fanout) {
        return self->root;
    }
    // The parent is the member with exactly so many smaller addresses among those that are not the root.
    size_t rank = (place - 1) / self->options.fanout - 1;
    for (size_t i = 0; i < MM_LINUX_MESH_PEERS_MAX; i++) {
        const mm_linux_mesh_peer_t *peer = &self->peers[i];
        if (!peer->member || mm_mac_equal(peer->mac, self->root)) {
            continue;
        }
        size_t smaller = mm_mac_compare(mmi_mesh_own_mac(self), peer->mac) < 0 ? 1 : 0;
        for (size_t j = 0; j < MM_LINUX_MESH_PEERS_MAX; j++) {
            const mm_linux_mesh_peer_t *other = &self->peers[j];
            if (other->member && !mm_mac_equal(other->mac, self->root) && mm_mac_compare(other->mac, peer->mac) < 0) {
                smaller++;
            }
        }
        if (smaller == rank) {
            return peer->mac;
        }
    }
    return self->root;
}

// --- root ----------------------------------------------------------------------------------------------------------

// Is a node with these properties a better root? Stickiness is not here: it is in whom one compares with.
static bool is_better(bool router_up, mm_mac_t mac, bool other_router_up, mm_mac_t other_mac) {
    return router_up != other_router_up ? router_up : mm_mac_compare(mac, other_mac) < 0;
}

static bool is_better_peer(const mm_linux_mesh_peer_t *peer, const mm_linux_mesh_peer_t *other) {
    return other == NULL || is_better(peer->hello.router_up, peer->mac, other->hello.router_up, other->mac);
}

static mm_linux_mesh_peer_t *best_root(mm_linux_mesh_t *self) {
    mm_linux_mesh_peer_t *best = NULL;
    for (size_t i = 0; i < MM_LINUX_MESH_PEERS_MAX; i++) {
        mm_linux_mesh_peer_t *peer = &self->peers[i];
        if (peer->member && peer->hello.is_root && is_better_peer(peer, best)) {
            best = peer;
        }
    }
    return best;
}

static bool is_best_candidate(const mm_linux_mesh_t *self) {
    for (size_t i = 0; i < MM_LINUX_MESH_PEERS_MAX; i++) {
        const mm_linux_mesh_peer_t *peer = &self->peers[i];
        if (peer->member && is_better(peer->hello.router_up, peer->mac, self->router_up, mmi_mesh_own_mac(self))) {
            return false;
        }
    }
    return true;
}

static void enter(mm_linux_mesh_t *self, mm_linux_mesh_role_t role, mm_mac_t root, uint64_t root_boot) {
    if (role != self->role) {
        mmi_mesh_count(self, MM_LINUX_MESH_ROLE_CHANGES);
    }
    self->role = role;
    self->root = root;
    self->root_boot = root_boot;
    if (role == MM_LINUX_MESH_SEARCHING) {
        // Members are known; one hello is enough for them to notice the same.
        self->search_until_us = self->now_us + mmi_mesh_hello_us(self);
        self->patience_until_us = self->search_until_us + mmi_mesh_timeout_us(self) + 2 * mmi_mesh_hello_us(self);
    }
    self->hello_at_us = self->now_us; // the others should know at once
}

static void become_root(mm_linux_mesh_t *self) {
    enter(self, MM_LINUX_MESH_ROOT, mmi_mesh_own_mac(self), self->boot);
}

static void follow(mm_linux_mesh_t *self, const mm_linux_mesh_peer_t *root) {
    enter(self, MM_LINUX_MESH_FOLLOWING, root->mac, root->boot);
}

static void decide_searching(mm_linux_mesh_t *self, const mm_linux_mesh_peer_t *root) {
    // If the best candidate is heard and does not take the role, it sees another mesh than we do. Better two roots,
    // which sort it out as soon as they hear each other, than none: hence the patience.
    bool is_due = self->now_us >= self->search_until_us && is_best_candidate(self);
    if (root != NULL) {
        follow(self, root);
    } else if (is_due || self->now_us >= self->patience_until_us) {
        become_root(self);
    }
}

static void decide_following(mm_linux_mesh_t *self, const mm_linux_mesh_peer_t *root) {
    if (root == NULL) {
        enter(self, MM_LINUX_MESH_SEARCHING, (mm_mac_t){{0}}, 0);
    } else if (self->router_up && !root->hello.router_up && is_best_candidate(self)) {
        become_root(self);
    } else if (!mm_mac_equal(root->mac, self->root) || root->boot != self->root_boot) {
        follow(self, root);
    }
}

static void decide_root(mm_linux_mesh_t *self, const mm_linux_mesh_peer_t *root) {
    if (root != NULL && is_better(root->hello.router_up, root->mac, self->router_up, mmi_mesh_own_mac(self))) {
        follow(self, root);
    }
}

void mmi_mesh_decide(mm_linux_mesh_t *self) {
    // A change may lead to the next one at once (searching, following a root without router, root); no more than that.
    for (int i = 0; i < 3; i++) {
        mm_linux_mesh_role_t before = self->role;
        const mm_linux_mesh_peer_t *root = best_root(self);
        switch (self->role) {
        case MM_LINUX_MESH_SEARCHING:
            decide_searching(self, root);
            break;
        case MM_LINUX_MESH_FOLLOWING:
            decide_following(self, root);
            break;
        case MM_LINUX_MESH_ROOT:
        default:
            decide_root(self, root);
            break;
        }
        if (self->role == before) {
            break;
        }
    }
    self->layer = self->role == MM_LINUX_MESH_SEARCHING ? 0 : own_layer(self);
}

// --- events --------------------------------------------------------------------------------------------------------

// CHILD_LEFT and CHILD_JOINED, one at a time.
static bool next_child_event(mm_linux_mesh_t *self, mm_mesh_event_t *event) {
    for (size_t i = 0; i < MM_LINUX_MESH_PEERS_MAX; i++) {
        mm_linux_mesh_peer_t *peer = &self->peers[i];
        bool is_child = peer->member && mm_mac_equal(peer->hello.root, mmi_mesh_own_mac(self));
        if (peer->told_boot != 0 && (!is_child || peer->told_boot != peer->boot)) {
            peer->told_boot = 0;
            *event = (mm_mesh_event_t){.kind = MM_MESH_CHILD_LEFT, .mac = peer->mac};
            return true;
        }
        if (peer->told_boot == 0 && is_child) {
            peer->told_boot = peer->boot;
            *event = (mm_mesh_event_t){.kind = MM_MESH_CHILD_JOINED, .mac = peer->mac};
            return true;
        }
    }
    return false;
}

static void forget_children(mm_linux_mesh_t *self) {
    for (size_t i = 0; i < MM_LINUX_MESH_PEERS_MAX; i++) {
        self->peers[i].told_boot = 0;
    }
}

bool mm_linux_mesh_next_event(mm_linux_mesh_t *self, mm_mesh_event_t *event) {
    *event = (mm_mesh_event_t){.mac = self->root, .layer = self->layer};
    bool is_root = self->role == MM_LINUX_MESH_ROOT;
    bool connected = self->role != MM_LINUX_MESH_SEARCHING;
    bool ip_up = is_root && self->router_up;
    bool same_root = mm_mac_equal(self->told_root, self->root);
    if (self->told_ip && !ip_up) {
        self->told_ip = false;
        event->kind = MM_MESH_LOST_IP;
    } else if (self->told_connected && (!connected || (same_root && self->told_root_boot != self->root_boot))) {
        // Also if the root was away so shortly that it is the root again.
        self->told_connected = false;
        event->kind = MM_MESH_PARENT_DISCONNECTED;
    } else if (connected && !same_root) {
        self->told_root = self->root;
        self->told_root_boot = self->root_boot;
        forget_children(self);
        event->kind = MM_MESH_ROOT_CHANGED;
    } else if (connected && (!self->told_connected || self->told_layer != self->layer)) {
        self->told_connected = true;
        self->told_layer = self->layer;
        self->told_root_boot = self->root_boot;
        event->kind = MM_MESH_PARENT_CONNECTED;
    } else if (ip_up && !self->told_ip) {
        self->told_ip = true;
        event->kind = MM_MESH_GOT_IP;
    } else {
        return is_root && next_child_event(self, event);
    }
    return true;
}
