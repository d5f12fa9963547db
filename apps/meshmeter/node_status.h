// SPDX-License-Identifier: Apache-2.0
#ifndef MM_NODE_STATUS_H
#define MM_NODE_STATUS_H

#include "meshmeter/node.h"

/// Everything a node knows about itself as one line of JSON (malloc; caller frees), or NULL without memory. layer and
/// root are the mesh's view, router_up the switch of the simulated router.
char *node_status_json(const mm_node_t *node, bool router_up, mm_us_t now);

#endif
