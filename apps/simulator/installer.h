// SPDX-License-Identifier: Apache-2.0
#ifndef SIMULATOR_INSTALLER_H
#define SIMULATOR_INSTALLER_H

#include "simulator/device.h"
#include "simulator/sales.h"
#include "simulator/truth.h"

/// Commissioning in the simulated world. What people do (installer.c): somebody hands a network over; installers read a
/// number, phone, type codes - right, wrong, old ones, those of another node -, enter meters through the node's own
/// page with good and bad fields, lose answers and send again, cancel, stay away, come two at a time, type a wrong
/// password of a router, swap meters, reset; HQ confirms, asks again, and confirms what nobody has installed.
/// Everything goes through the real page (configurator.h), the real label and the usual commands (sales.h).
///
/// What must hold (commission_check.c), looked at after each call of each node and after each start:
///   I11 the configuration of a node changes only by what somebody with the right to it did in this call: a network
///   with
///       a higher revision handed over, an installation sent with the session's unused nonce, a reset with the fresh
///       code of this number, a CONFIRM or REINSTALL that HQ ordered, each once. Everything else leaves it as it was
///   I4  after a power cut it is the old or the new one, whole
///   a router that an installer typed is part of the stored network, under the next revision, as soon as a session
///   has proved it, and never before; one that does not work never is
///   what is told as installation is what the installer entered, once for each revision, and HQ has it
///   a meter that HQ has confirmed keeps its supply for all that is done to the configuration, until it is another one
///   or the node is reset; one that was never confirmed has none, also in the first moment of a start
///   a session begins with the right code only, and has an end; guessing locks out

#define INSTALLER_COUNT 2 ///< people who can be at one node at a time
#define INSTALLER_FORM_BYTES 2048
#define INSTALLER_DOUBTS 64
#define INSTALLER_CODES 4

/// What a call may change.
typedef struct {
    bool network_given;
    bool install;
    bool reset;
    bool count; ///< lock-outs
    mm_network_t network;
    mm_installation_t installation;
} permit_t;

/// One installation that a node has stored.
typedef struct {
    mm_installation_t installation;
    uint32_t told_checksum;
    uint32_t hq_checksum;
} entered_t;

typedef struct {
    int step; ///< 0: nobody
    uint64_t visit_no;
    char code[MM_CHALLENGE_CODE_CHARS + 1];
    char nonce[2 * MM_SETUP_NONCE_BYTES + 1]; ///< as he has it
    char form[INSTALLER_FORM_BYTES];
    mm_installation_t wanted;
    bool good; ///< the fields are
    bool stays_away;
    bool reset;
} installer_t;

typedef struct {
    bool known;
    bool fault; ///< seen in the state FAULT
    mm_configuration_t last;
    mm_channel_setup_t confirmed[MM_CHANNELS]; ///< by HQ, and still so; without an id: nothing
    bool waited[MM_CHANNELS];                  ///< as journalled last: cut, and it waits for HQ
    uint64_t flash_errors;
    bool has_trial; ///< a router that the installer typed is on trial, or was when the power failed
    bool trial_is_wrong;
    uint64_t trial_sessions; ///< of the device, when it began
    mm_network_body_t trial;
    uint64_t routers_kept;
    permit_t permit;
    permit_t doubts[INSTALLER_DOUBTS]; ///< refused by memory, which may have kept it all the same
    uint32_t doubt_count;
    bool session;
    mm_us_t session_good_at; ///< local
    char nonce[2 * MM_SETUP_NONCE_BYTES + 1];
    char last_nonce[2 * MM_SETUP_NONCE_BYTES + 1]; ///< of the last request with right …
    uint32_t last_checksum;                        ///< … path and body …
    uint16_t last_status;                          ///< … and its answer, even if nobody saw it
    uint32_t number;                               ///< shown
    mm_us_t number_at;
    uint32_t wrong;    ///< for this number
    bool keeps_number; ///< the session's code is good for another page
    uint32_t lock_outs;
    mm_us_t locked_until;
    mm_us_t awaiting_since;
    entered_t *entered;
    size_t entered_count;
    uint32_t told_early; ///< revision that was told before its configuration was looked at
    uint32_t told_early_checksum;
    char old_codes[INSTALLER_CODES][MM_CHALLENGE_CODE_CHARS + 1];
    bool admitted;             ///< HQ has said so once since it was parked: the mesh may give it the network
    uint32_t hq_checksum;      ///< of the newest installation that HQ has
    uint32_t confirm_revision; ///< of it
    uint32_t confirmed_checksum;
    uint64_t confirm_order; ///< given last; 0 = none
    bool confirm_due;
    installer_t people[INSTALLER_COUNT];
} commission_node_t;

typedef struct {
    uint64_t networks;
    uint64_t codes_good;
    uint64_t codes_refused;
    uint64_t installations;
    uint64_t fields_refused;
    uint64_t requests_refused;
    uint64_t confirmed;
    uint64_t resets;
    uint64_t routers; ///< that became part of a network
    uint64_t joins;   ///< networks that came through the mesh
    uint64_t admitted;
    uint64_t checks;
} commission_totals_t;

typedef struct {
    mm_sim_t *sim;
    truth_t *truth;
    sales_t *sales;
    device_t *devices;
    int node_count;
    uint32_t minutes;
    mm_random_t random;
    bool open;
    bool finishing;
    uint32_t network_revision; ///< the highest, anywhere
    mm_network_t *proved;      ///< networks that nobody handed over: a router was proved
    size_t proved_count;
    mm_us_t finish_at;
    uint64_t visits;
    bool *orders_spent; ///< by order
    size_t orders_spent_count;
    commission_node_t nodes[MM_SIM_MESH_NODES_MAX];
    commission_totals_t totals;
} commission_t;

/// Borrowed: everything. minutes: between two visits at one node, on average.
void commission_init(commission_t *self, mm_sim_t *sim, truth_t *truth, sales_t *sales, device_t *devices,
                     int node_count, uint32_t minutes);
void commission_deinit(commission_t *self);
void commission_start(commission_t *self);
/// Nobody comes any more; whoever is at a node goes. From now on what is missing is made good.
void commission_finish(commission_t *self);
/// Every node is running, with what was entered last.
bool commission_is_settled(const commission_t *self);

/// What a network of this revision is, whoever hands it over, unless a router has made one of it.
mm_network_t commission_network(uint32_t revision);

// commission_check.c
void commission_on_boot(commission_t *self, int node);
void commission_on_settled(commission_t *self, int node);
/// A record stands in the journal of this node.
void commission_on_record(commission_t *self, int node, const mm_record_t *record, uint32_t checksum);
/// HQ has got it.
void commission_on_hq_record(commission_t *self, int node, const mm_record_t *record, uint32_t checksum);
/// An answer to a code: whether it may be so. is_right: this is the code of the number that is shown.
void commission_check_verdict(commission_t *self, int node, mm_code_verdict_t verdict, bool is_right, bool was_busy);
/// The end: everything delivered.
void commission_compare(commission_t *self);

#endif
