// SPDX-License-Identifier: Apache-2.0
#include "store_internal.h"

// Migration 8: devices that ask for the network of a site, and HQ's word on them.
const char mmi_hq_schema_joins[] =
    // The newest row of site_setting is in force, as for its other columns.
    "ALTER TABLE site_setting ADD COLUMN auto_join INTEGER NOT NULL DEFAULT 0 CHECK (auto_join IN (0, 1));"
    // One JOIN record of a root (node), and what HQ made of it. command: ADMIT; 0 = none yet. request: of who refused.
    // Rows are deleted when a device or a site has too many (joins.h), so numbers are never given again.
    "CREATE TABLE join_ask ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, site INTEGER NOT NULL REFERENCES site(id),"
    "  node INTEGER NOT NULL REFERENCES node(id), epoch INTEGER NOT NULL, seq INTEGER NOT NULL,"
    "  asker BLOB NOT NULL CHECK (length(asker) = 6), via BLOB NOT NULL CHECK (length(via) = 6),"
    "  nonce BLOB NOT NULL CHECK (length(nonce) = 16), revision INTEGER NOT NULL,"
    "  tag BLOB NOT NULL CHECK (length(tag) = 16), trust INTEGER NOT NULL, seconds INTEGER NOT NULL,"
    "  received_us INTEGER NOT NULL,"
    "  state TEXT NOT NULL CHECK (state IN ('unproved', 'waiting', 'admitted', 'refused', 'superseded')),"
    "  command INTEGER NOT NULL DEFAULT 0, decided_by TEXT NOT NULL DEFAULT '',"
    "  decided_us INTEGER NOT NULL DEFAULT 0, admitted_us INTEGER NOT NULL DEFAULT 0,"
    "  reason TEXT NOT NULL DEFAULT '', request TEXT NOT NULL DEFAULT '',"
    "  UNIQUE (node, epoch, seq)"
    ");"
    "CREATE INDEX join_ask_asker ON join_ask (asker, site);"
    "CREATE INDEX join_ask_state ON join_ask (site, state);"
    "CREATE INDEX join_ask_command ON join_ask (command) WHERE command <> 0;"
    "CREATE UNIQUE INDEX join_ask_request ON join_ask (request) WHERE request <> '';"
    // Asks without a proof that made room for newer ones.
    "CREATE TABLE join_dropped (site INTEGER PRIMARY KEY REFERENCES site(id), asks INTEGER NOT NULL);";
