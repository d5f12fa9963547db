// SPDX-License-Identifier: Apache-2.0
#ifndef MM_NODE_SETUP_H
#define MM_NODE_SETUP_H

#include "linux/linux_configurator.h"
#include "linux/linux_control.h"
#include "linux/linux_door.h"
#include "linux/linux_flash.h"
#include "linux/linux_mesh.h"
#include "meshmeter/node_panel.h"
#include "meshmeter/setup.h"
#include "node_config.h"
#include "node_label.h"

/// Commissioning of a node process (commissioning = yes): its configuration in flash, the network that is handed over
/// to it, its own page. A node without a network runs all the same, so that it counts, in a mesh of its own that nobody
/// can enter; when it has got one, the process starts again: everything is then opened once, with the right values,
/// exactly as after a power cut.

typedef struct {
    node_config_t *config;
    mm_linux_flash_t flash;
    mm_configuration_t configuration; ///< as found at the start
    mm_entropy_t entropy;
    mm_log_t log;
    char secret[MM_CHALLENGE_SECRET_CHARS_MAX + 1];
    char door_peers[NODE_TEXT_BYTES]; ///< where a node without a network asks
    char door_group[NODE_TEXT_BYTES];
    mm_linux_door_t door;
    bool has_door;
    char label_code[MM_POSSESSION_CHARS_MAX + 1];
    mm_possession_t possession; ///< in real time
    mm_node_t *node;
    const mm_us_t *now; ///< of the node's last call
    bool is_open;
    mm_setup_t setup; ///< valid if is_open
    mm_linux_configurator_t page;
    char page_url[80];
    // wait: an installer reads the number that was asked for at the button | until MM_CHALLENGE_LIFE_S | then the
    // display shows the meters again
    mm_us_t number_until;
    bool restart_due; ///< there is another network
} node_setup_t;

/// Open the flash and take the network, if there is one, into config. Nothing to do without commissioning. MM_ERR_ARG:
/// the configuration is wrong. Others: this machine.
mm_err_t node_setup_prepare(node_setup_t *self, node_config_t *config, mm_linux_message_t *message);
/// After mm_node_init: begin, and serve the page. *self must stay where it is.
mm_err_t node_setup_open(node_setup_t *self, mm_node_t *node, const mm_crypto_t *crypto, mm_linux_loop_t *loop,
                         const mm_us_t *now, mm_linux_message_t *message);
/// After node_setup_open: join through the mesh, and let others join, if the configuration wants it.
mm_err_t node_setup_open_door(node_setup_t *self, mm_linux_mesh_t *mesh, mm_linux_message_t *message);
/// Hand the node what came to the door.
void node_setup_take_door(node_setup_t *self, mm_us_t now);
/// Do what is due; after mm_node_poll. Returns the next deadline of the core.
mm_us_t node_setup_poll(node_setup_t *self, mm_us_t now);
/// Serve the page. Returns the next deadline in real time.
int64_t node_setup_serve(node_setup_t *self, int64_t real_us);
/// What the display needs. A node of a configuration file has been installed by whoever wrote it.
mm_node_panel_facts_t node_setup_facts(node_setup_t *self, bool router_up, mm_us_t now);
/// One line of JSON: state, number and page. Only while is_open.
void node_setup_print(node_setup_t *self, mm_us_t now, mm_linux_answer_t *answer);
/// Also after a failed open.
void node_setup_close(node_setup_t *self);

#endif
