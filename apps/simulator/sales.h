// SPDX-License-Identifier: Apache-2.0
#ifndef SIMULATOR_SALES_H
#define SIMULATOR_SALES_H

#include "meshmeter/command.h"
#include "meshmeter/command_body.h"
#include "sim/sim_broker.h"
#include "simulator/device.h"
#include "simulator/truth.h"

/// Commands and credit in the simulated world.
///
/// What HQ does (sales.c) is a model: a queue of orders and a list of purchases that are never lost, counters given
/// when an order first goes into a batch, one retained batch, a blank when nothing is open. It knows of the nodes only
/// what their reports say. HQ's real queue and vending (hq/commands.h, hq/vending.h) are not in here. What people do
/// (customers.c): operators order, customers type tokens, right, wrong, twice, and take emergency credit. What must
/// hold (sales_check.c), looked at with each record that a node makes, with each interval, and at the end:
///
///   I5  every order has at most one answer in its node's journal, of that node, and exactly one at HQ in the end; one
///       that the platform or FORMAT has carried out may be answered again, with the same status
///   I6  every purchase moves a meter's credit at most once, by its amount, whichever way it came; of each meter
///       issued = applied + pending + void, and consumed + balance = applied, where `consumed` is counted from the
///       pulses that the meter has made since prepayment began; supply follows the reasons

/// Purchases of a meter that are neither applied nor void at a time (hq/vending.h).
#define SALES_OPEN_MAX 8

/// Answers to one order once more: MM_CONTROL_REPEATS_MAX in each boot, and there are some.
#define SALES_REPEATS_MAX 16

typedef enum {
    ORDER_QUEUED = 0, ///< no counter yet
    ORDER_SENT,       ///< in the batch
    ORDER_ANSWERED,   ///< HQ has the answer
} order_state_t;

typedef struct {
    int node;
    uint8_t channel;
    uint8_t kind;
    order_state_t state;
    uint64_t not_after_s;
    uint64_t purchase_id; ///< 0 = none
    mm_command_body_t body;
    uint32_t era;
    uint32_t counter;
    uint8_t sealed[MM_COMMAND_BYTES_MAX];
    size_t sealed_bytes;
    uint32_t hq_checksum;   ///< of the answer that HQ has
    uint32_t made_checksum; ///< of the answer in the node's journal; 0 = none
    uint8_t made_status;
    /// Of the same answer, given again because the command came again (control.h, MM_CONTROL_REPEAT_S).
    uint32_t again_checksums[SALES_REPEATS_MAX];
    size_t again_count;
} order_t;

typedef enum {
    PURCHASE_ISSUED = 0,
    PURCHASE_VOIDING,
    PURCHASE_APPLIED,
    PURCHASE_VOID,
} purchase_state_t;

typedef struct {
    int node;
    uint8_t channel;
    purchase_state_t state; ///< as HQ knows
    uint32_t count;
    int64_t amount_wh;
    bool by_token;
    char token[MM_TOKEN_DIGITS_MAX + 1];
    uint32_t made_checksum; ///< of the movement in the node's journal; 0 = none
    bool made_void;
} purchase_t;

/// A meter as HQ sees it, and as its own records say.
typedef struct {
    uint32_t last_count;
    uint32_t open;        ///< purchases
    bool wants_prepaid;   ///< ordered last
    bool may_be_quiet;    ///< some order of limits had quiet hours or days
    bool emergency_order; ///< some order granted emergency credit
    // From the records in the node's journal.
    bool prepaid;
    uint64_t base_pulses;
    int64_t applied_wh;
    // From what has come to HQ.
    int64_t hq_balance_wh;
    int64_t hq_applied_wh;
    bool hq_prepaid;
} sales_meter_t;

typedef struct {
    bool is_known; ///< a control report has come
    uint32_t era;
    uint32_t counter_given;
    uint32_t counter_said;
    uint32_t made_era; ///< of its records; 0 = none yet
    uint32_t *seen;    ///< checksums of the credit records in its journal: thinning carries them over as they are
    size_t seen_count;
    uint32_t *taken; ///< of those that HQ has
    size_t taken_count;
    sales_meter_t meters[MM_CHANNELS];
} sales_node_t;

typedef struct {
    uint64_t orders;
    uint64_t answers;
    uint64_t refused; ///< answers other than done
    uint64_t purchases;
    uint64_t movements; ///< records of credit
    uint64_t issued_wh;
    uint64_t applied_wh;
    uint64_t pending_wh;
    uint64_t void_wh;
    uint64_t tokens_typed;
    uint64_t tokens_refused;
    uint64_t emergencies;
    uint64_t cuts;   ///< relays that opened
    uint64_t checks; ///< of a meter's balance
    uint64_t batches;
} sales_totals_t;

typedef struct {
    mm_sim_t *sim;
    mm_sim_broker_t *broker;
    truth_t *truth;
    device_t *devices;
    int node_count;
    int64_t begin_utc_us;
    mm_random_t random;
    bool open; ///< people still order and type
    order_t *orders;
    size_t order_count; ///< an order's id is its index + 1
    size_t order_capacity;
    size_t first_open; ///< orders before it are answered
    purchase_t *purchases;
    size_t purchase_count;
    size_t purchase_capacity;
    sales_node_t nodes[MM_SIM_MESH_NODES_MAX];
    uint64_t revision;
    uint8_t batch[MM_DOWNLINK_BYTES_MAX];
    size_t batch_bytes;
    bool dispatch_due;
    uint32_t minutes_order;
    sales_totals_t totals;
    /// HQ has got an INSTALLATION record; NULL: nobody installs here, and every result is of an order.
    void (*on_installation)(void *context, int node, const mm_record_t *record, uint32_t checksum);
    void *context;
} sales_t;

/// Borrowed: everything. minutes_order: between two orders of one node, on average.
void sales_init(sales_t *self, mm_sim_t *sim, mm_sim_broker_t *broker, truth_t *truth, device_t *devices,
                int node_count, int64_t begin_utc_us, uint32_t minutes_order);
void sales_deinit(sales_t *self);
/// People begin. Every meter in two becomes a prepaid one.
void sales_start(sales_t *self);
/// Nobody orders or types any more.
void sales_stop(sales_t *self);
/// A message came to HQ, and HQ runs.
void sales_on_message(sales_t *self, const uint8_t *bytes, size_t bytes_count);
/// HQ has connected: the broker may have forgotten everything.
void sales_publish(sales_t *self);
/// Everything that was sent has its answer.
bool sales_is_settled(const sales_t *self);

// customers.c: what a person does with one node now.
void sales_act(sales_t *self, int node);

// sales.c, for customers.c.
/// Queue an order. *body may be NULL. Returns its id.
uint64_t sales_order(sales_t *self, int node, uint8_t channel, uint8_t kind, const mm_command_body_t *body);
purchase_t *sales_add_purchase(sales_t *self);
/// The newest of this count; NULL: none.
purchase_t *sales_find_purchase(sales_t *self, int node, uint8_t channel, uint32_t count);
/// True for the answer that the node has made, or has given once more.
bool sales_is_answer(const order_t *order, uint32_t checksum);

// sales_check.c
/// A record stands in the journal of this node.
void sales_on_record(sales_t *self, int node, const mm_record_t *record, uint32_t checksum);
/// The node is between two calls, and its registers are as it wants them.
void sales_check_node(sales_t *self, int node);
/// The end: everything delivered.
void sales_compare(sales_t *self);

#endif
