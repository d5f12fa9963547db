// SPDX-License-Identifier: Apache-2.0
#ifndef MM_DEMO_H
#define MM_DEMO_H

#include <stdbool.h>
#include <stdint.h>

#include "meshmeter/limits.h"

/// The demo: one site with broker, HQ and nodes on this machine. demo.c is the run, demo_state.c its directory,
/// demo_ports.c and demo_site.c the ports and the files of its parts, demo_keys.c their keys, demo_check.c the account
/// at the end.

#define DEMO_PATH_BYTES 512
#define DEMO_NODES_MAX 100
#define DEMO_SERVERS 3
#define DEMO_SITE "demo"
// Files in the directory of a node, and in that of the demo.
#define DEMO_DEVICE_KEY "device.key"
#define DEMO_LABEL "label"
#define DEMO_OPERATOR_TOKEN "operator.token"
#define DEMO_HQ_URL "hq.url"

typedef struct {
    unsigned nodes;
    char data_directory[DEMO_PATH_BYTES]; ///< "" = load model
    uint32_t speed;
    int64_t for_s; ///< real seconds; 0 = until Ctrl-C
    char state_directory[DEMO_PATH_BYTES];
    bool state_given;
    bool keep_state; ///< do not remove a temporary state directory
    char http_address[64];
    uint16_t http_port;
    uint16_t mqtt_port;
    uint64_t seed;
    int64_t start_utc_s; ///< -1 = beginning of the data, or now
    char tz[MM_TZ_CHARS_MAX + 1];
    bool mqtt_5;
    bool clock_unset; ///< nodes begin without a time; `ctl clock set` gives it
    bool broker_persistence;
    bool with_fram;
    bool parked; ///< the last node comes from the box: it must be commissioned by hand
} demo_options_t;

/// One input file of replayed data.
typedef struct {
    char path[DEMO_PATH_BYTES];
    int64_t first_s;
    int64_t last_s;
    unsigned columns;
    char ids[MM_CHANNELS][MM_METER_ID_CHARS_MAX + 1];
} demo_file_t;

/// What stays the same for the life of a state directory, and the clock of this run.
typedef struct {
    demo_options_t options;
    int64_t begin_utc_s;    ///< wall time at which the pulse sources begin; fixed for the life of the state directory
    int64_t end_utc_s;      ///< no pulses behind it; INT64_MAX = no end
    int64_t origin_real_us; ///< wall = origin_utc + (real - origin_real) * speed
    int64_t origin_utc_us;
    bool resumed;
    bool temporary;
    char program[DEMO_PATH_BYTES];
    char web_directory[DEMO_PATH_BYTES];
    demo_file_t files[DEMO_NODES_MAX];
    unsigned file_count;
    uint16_t mesh_ports[DEMO_NODES_MAX];
    uint16_t configurator_port;     ///< of the parked node's own page
    int held_servers[DEMO_SERVERS]; ///< sockets, -1 = none
    int held_meshes[DEMO_NODES_MAX];
} demo_t;

/// Wall time of the demo at this instant, microseconds since 1970.
int64_t demo_wall_us(const demo_t *demo);

/// Choose the ports of all parts, those of the options or free ones, and hold them: no other program gets one, neither
/// before its part takes it nor while that is started again. Exit code. Call demo_ports_release in any case.
int demo_ports_hold(demo_t *demo);
/// A node cannot take its port as long as it is held: call this right before it is started for the first time.
void demo_ports_release_mesh(demo_t *demo, unsigned index);
void demo_ports_release(demo_t *demo);

/// Choose or check the state directory, read or make what must last (options, begin, keys), continue the clock. Exit
/// code.
int demo_state_open(demo_t *demo);
/// The node of this index (from 0) comes from the box.
bool demo_is_parked(const demo_t *demo, unsigned index);
/// A file of `directory` that only its owner reads: the prefix, 64 random hex digits, a line end.
bool demo_make_secret(const char *directory, const char *name, const char *prefix);
/// Remember how far the clock is; call every second.
void demo_state_remember_clock(const demo_t *demo);
/// Remove a temporary state directory.
void demo_state_remove(const demo_t *demo);

/// Read the names and ranges of the CSV files. Exit code.
int demo_site_scan_data(demo_t *demo);
/// Write the files of broker and nodes into the state directory. Exit code.
int demo_site_write(demo_t *demo);
/// Make what commands need: a key for each node, the same in HQ's database, and an operator whose token is in the state
/// directory. Before HQ starts. Exit code.
int demo_keys_prepare(const demo_t *demo);
/// Say in the state directory where HQ is, for `meshmeter send` and its like.
bool demo_write_url(const demo_t *demo);
/// Shift that the file of node `index` needs so that its data are under way at begin_utc_s.
int64_t demo_site_shift_s(const demo_t *demo, unsigned index);

typedef struct {
    uint64_t records_made;
    uint64_t records_stored;
    uint64_t lost;
    uint64_t duplicated;
    uint64_t gaps;
    uint64_t wh_error;
    unsigned meters;
    bool complete; ///< everything that was made has arrived
} demo_account_t;

/// Compare every node with HQ's database and with its source. Exit code of the attempt; *account is valid if APP_OK.
int demo_check(const demo_t *demo, demo_account_t *account);

#endif
