// SPDX-License-Identifier: Apache-2.0
#ifndef MM_CONFIGURATION_H
#define MM_CONFIGURATION_H

#include "meshmeter/base.h"
#include "meshmeter/bytes.h"
#include "meshmeter/command_body.h"
#include "meshmeter/credit.h"
#include "meshmeter/life_cycle.h"
#include "meshmeter/limits.h"
#include "meshmeter/port/flash.h"
#include "meshmeter/registers.h"

/// What a node was told at its installation: where it hangs, whose meters it has, which network it belongs to. Kept
/// beside the registers, never in place of them: losing or changing it destroys no reading.

/// A network can have what a command can set, and no more.
#define MM_NETWORK_NAME_CHARS_MAX MM_COMMAND_SSID_BYTES_MAX
#define MM_NETWORK_PASSWORD_CHARS_MAX MM_COMMAND_NETWORK_PASSWORD_BYTES_MAX
#define MM_BROKER_URL_CHARS_MAX MM_COMMAND_BROKER_URL_BYTES_MAX
#define MM_BROKER_WORD_CHARS_MAX MM_COMMAND_BROKER_USER_BYTES_MAX
#define MM_ADDRESS_CHARS_MAX 45
#define MM_INSTALLER_CHARS_MIN 3
#define MM_INSTALLER_CHARS_MAX 24

typedef struct {
    uint32_t revision; ///< of the network part, given by whoever changes it; a higher one replaces a lower one
    char site[MM_SITE_CHARS_MAX + 1];
    mm_network_body_t router; ///< as a command has it; ssid "" = wired, or the operating system's. Password: secret
    mm_broker_body_t broker;  ///< password: secret
    uint8_t mesh_key[32];     ///< secret
} mm_network_t;

typedef struct {
    mm_meter_config_t meter;
    bool prepaid;
    mm_credit_limits_t limits;
} mm_channel_setup_t;

typedef struct {
    uint32_t revision; ///< counts the installations of this node
    uint32_t node_no;  ///< the customer's number of the node, 1 … 100,000
    uint16_t province;
    uint16_t canton;
    uint16_t parish;
    uint32_t postal_code;                       ///< up to 9,999,999
    char address[MM_ADDRESS_CHARS_MAX + 1];     ///< UTF-8
    char installer[MM_INSTALLER_CHARS_MAX + 1]; ///< UTF-8
    mm_channel_setup_t channels[MM_CHANNELS];
} mm_installation_t;

typedef struct {
    mm_life_cycle_t phase;
    uint8_t challenge_lock_outs;
    /// Bit per channel: what it has now was confirmed by HQ (id, constant, start register, mode of payment) and has
    /// supply. All, once HQ confirms; an installation leaves those that it does not change; none after a reset.
    uint8_t confirmed_channels;
    bool has_network;
    bool has_installation;
    mm_network_t network;
    mm_installation_t installation;
} mm_configuration_t;

#define MM_ALL_CHANNELS 0xFFu
/// Bit per channel whose supply waits for HQ; none without an installation.
uint8_t mm_configuration_unconfirmed(const mm_configuration_t *configuration);

/// Fields that can be wrong, for messages beside them.
typedef enum {
    MM_FIELD_NONE = 0,
    MM_FIELD_NODE_NO,
    MM_FIELD_PROVINCE,
    MM_FIELD_CANTON,
    MM_FIELD_PARISH,
    MM_FIELD_POSTAL_CODE,
    MM_FIELD_ADDRESS,
    MM_FIELD_INSTALLER,
    MM_FIELD_ROUTER_NAME,
    MM_FIELD_ROUTER_PASSWORD,
    MM_FIELD_METER_ID,
    MM_FIELD_PULSE_CONSTANT,
    MM_FIELD_START_WH,
    MM_FIELD_PREPAID,
    MM_FIELD_WARNING_WH,
    MM_FIELD_EMERGENCY_WH,
    MM_FIELD_COUNT,
} mm_field_t;

typedef struct {
    mm_field_t field;
    uint8_t channel;  ///< of the meter fields
    const char *what; ///< English, without a full stop
} mm_field_problem_t;

#define MM_FIELD_PROBLEMS_MAX 24

#define MM_NODE_NO_MAX 100000
#define MM_PROVINCE_MAX 200
#define MM_CANTON_MAX 500
#define MM_PARISH_MAX 500
#define MM_POSTAL_CODE_MAX 9999999
/// 3,000,000 kWh: no meter's register has more digits.
#define MM_START_WH_MAX UINT64_C(3000000000)

/// "node_no", "meter_id" …; "none" and "unknown" otherwise.
const char *mm_field_name(mm_field_t field);
bool mm_field_is_of_meter(mm_field_t field);

/// Everything that is wrong with an installation, at most `capacity`; 0 = good. At least one meter is wanted. Of the
/// location 0 (an empty text) is "not given". A channel without a meter has nothing else either.
size_t mm_installation_check(const mm_installation_t *installation, mm_field_problem_t *problems, size_t capacity);
/// MM_ERR_ARG unless all texts are bounded, plain (text.h) and the site is a topic level (1 … 23 of a-z, 0-9, -). A
/// router's password has 8 … 63 bytes, or none for an open network.
mm_err_t mm_network_check(const mm_network_t *network);

/// Bytes (docs/spec/configuration.md). encode asserts what the checks refuse. A phase that ends with a restart is
/// written as the state before it. decode: MM_ERR_CORRUPT, MM_ERR_VERSION; earlier versions are brought up to date.
#define MM_CONFIGURATION_BYTES_MAX 1400
void mm_configuration_encode(const mm_configuration_t *configuration, mm_writer_t *writer);
mm_err_t mm_configuration_decode(mm_configuration_t *configuration, mm_reader_t *reader);

#define MM_CONFIGURATION_SECTORS_MIN 2

/// Two slots in flash, one sector each (more wear less): the newest whole one counts, a torn one leaves the one before.
/// The newest is never erased before another one is whole behind it.
typedef struct {
    const mm_flash_t *flash;
    uint32_t sector_count;
    uint32_t seq;          ///< given out last; 0 = none
    uint32_t sector_index; ///< of the newest
    bool is_later_version; ///< of the newest: nothing is written
    /// A newer one had been stored and is damaged since, at open (a torn one never was stored). What it decided is not
    /// known: this one says confirmed of all channels, so that supply is left as it was journalled last.
    bool is_behind;
    uint32_t damaged; ///< sectors with something in them that is not whole, at open
} mm_configuration_store_t;

/// MM_OK: *configuration is the newest. MM_ERR_NOT_FOUND: virgin, *configuration is that of a parked node.
/// MM_ERR_CORRUPT: there was one and none is whole; as virgin otherwise. MM_ERR_STORAGE: no answer. MM_ERR_VERSION: of
/// a later version (kept). In these cases *configuration is that of a parked node, too.
mm_err_t mm_configuration_store_open(mm_configuration_store_t *self, const mm_flash_t *flash, uint32_t sector_count,
                                     mm_configuration_t *configuration);
/// MM_ERR_STORAGE: the one before is still there (should the device have kept what it refused, the next open finds
/// that). MM_ERR_VERSION: a later version's is kept.
mm_err_t mm_configuration_store_save(mm_configuration_store_t *self, const mm_configuration_t *configuration);

#endif
