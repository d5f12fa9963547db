// SPDX-License-Identifier: Apache-2.0
#include "store_internal.h"

// Migration 7: installations and their confirmation, and the codes that installers were given.
const char mmi_hq_schema_installations[] =
    // The newest row of site_setting is in force, as for its other columns.
    "ALTER TABLE site_setting ADD COLUMN auto_confirm INTEGER NOT NULL DEFAULT 0 CHECK (auto_confirm IN (0, 1));"
    // One INSTALLATION record of a node, and what HQ made of it. payload: the record's bytes, to tell a copy that a
    // full journal carried over from news. command: of the confirmation; 0 = none yet. request: of who refused.
    "CREATE TABLE installation ("
    "  id INTEGER PRIMARY KEY, node INTEGER NOT NULL REFERENCES node(id),"
    "  epoch INTEGER NOT NULL, seq INTEGER NOT NULL, revision INTEGER NOT NULL, repeated INTEGER NOT NULL,"
    "  node_no INTEGER NOT NULL, province INTEGER NOT NULL, canton INTEGER NOT NULL, parish INTEGER NOT NULL,"
    "  postal_code INTEGER NOT NULL, installer TEXT NOT NULL, trust INTEGER NOT NULL, seconds INTEGER NOT NULL,"
    "  payload BLOB NOT NULL, received_us INTEGER NOT NULL,"
    "  state TEXT NOT NULL CHECK (state IN ('waiting', 'confirmed', 'refused', 'superseded')),"
    "  command INTEGER NOT NULL DEFAULT 0, decided_by TEXT NOT NULL DEFAULT '',"
    "  decided_us INTEGER NOT NULL DEFAULT 0, confirmed_us INTEGER NOT NULL DEFAULT 0,"
    "  reason TEXT NOT NULL DEFAULT '', request TEXT NOT NULL DEFAULT '',"
    "  UNIQUE (node, epoch, seq)"
    ");"
    "CREATE INDEX installation_waiting ON installation (node) WHERE state = 'waiting';"
    "CREATE INDEX installation_command ON installation (command) WHERE command <> 0;"
    "CREATE UNIQUE INDEX installation_request ON installation (request) WHERE request <> '';"
    "CREATE TABLE installation_channel ("
    "  installation INTEGER NOT NULL REFERENCES installation(id), channel INTEGER NOT NULL, id TEXT NOT NULL,"
    "  pulse_constant INTEGER NOT NULL, start_wh INTEGER NOT NULL, prepaid INTEGER NOT NULL,"
    "  PRIMARY KEY (installation, channel)"
    ") WITHOUT ROWID;"
    "CREATE INDEX installation_channel_id ON installation_channel (id);"
    // For the limit of an operator's codes, and to give a repeated request the same answer. The code is in no table.
    "CREATE TABLE code_request ("
    "  request TEXT PRIMARY KEY, operator TEXT NOT NULL, mac BLOB NOT NULL CHECK (length(mac) = 6),"
    "  number INTEGER NOT NULL, caller TEXT NOT NULL, at_us INTEGER NOT NULL"
    ") WITHOUT ROWID;"
    "CREATE INDEX code_request_operator ON code_request (operator, at_us);";
