// SPDX-License-Identifier: Apache-2.0
// RAM of the core for one root with 10 nodes: everything a node owns, and its buffer for one batch. Built twice, for
// the host and with -m32, with the limits of such a node. Only sizes are needed, so nothing is linked.

#include <stdio.h>

#include "meshmeter/node.h"

#define BOUND_BYTES (48 * 1024)

#define ROW(what, bytes) printf("  %-34s %7zu\n", (what), (size_t)(bytes))

int main(void) {
    size_t total = sizeof(mm_node_t) + MM_BATCH_BYTES_MAX;
    printf("RAM of the core, %zu bit, MM_NODES_MAX=%d, %d journal sectors, bytes\n", sizeof(void *) * 8, MM_NODES_MAX,
           MM_JOURNAL_SECTORS_MAX);
    ROW("mm_node_t", sizeof(mm_node_t));
    ROW("  of it mm_journal_t", sizeof(mm_journal_t));
    ROW("  of it mm_register_store_t", sizeof(mm_register_store_t));
    ROW("  of it mm_metering_t", sizeof(mm_metering_t));
    ROW("  of it mm_root_t", sizeof(mm_root_t));
    ROW("    of it mm_cursor_table_t", sizeof(mm_cursor_table_t));
    ROW("    of it mm_round_t", sizeof(mm_round_t));
    ROW("    of it mm_uplink_t", sizeof(mm_uplink_t));
    ROW("batch buffer", MM_BATCH_BYTES_MAX);
    ROW("total", total);
    printf("  bound %d, %s\n", BOUND_BYTES, total <= BOUND_BYTES ? "kept" : "MISSED");
    return total <= BOUND_BYTES ? 0 : 1;
}
