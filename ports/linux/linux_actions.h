// SPDX-License-Identifier: Apache-2.0
#ifndef MM_LINUX_ACTIONS_H
#define MM_LINUX_ACTIONS_H

#include "linux_file.h"
#include "linux_message.h"
#include "meshmeter/port/actions.h"

/// What commands ask of a Linux box. Display and find are a line in the log and a state that the node's status shows;
/// the router belongs to the operating system; of an update only the address is kept.
///
/// Broker. The address and credentials that are used come from, in this order: what is on trial, the file `broker.conf`
/// of the state directory (kept by an earlier command), the node's configuration. `broker.staged` is what is on trial,
/// and being there is the mark: a start that finds it removes it, so a restart during the trial brings the present
/// broker back. Whoever wants the configuration's broker again removes `broker.conf`.
///
/// Both files have four lines, mode 0600: "meshmeter-broker 2 REVISION", URL, USER, PASSWORD. REVISION is that of the
/// network under which the command came, 0 for a node that has none handed over. A broker that was kept stands above
/// that network only: if the start finds another one (a newer one was handed over, or the node was reset), it is
/// removed. REVISION "-", and a file of three lines as version 1 wrote it, is under the network that the first start
/// finds which can read it.

#define MM_LINUX_BROKER_URL_CHARS_MAX 127
#define MM_LINUX_BROKER_WORD_CHARS_MAX 64
#define MM_LINUX_OTA_URL_CHARS_MAX 200

/// Empty user: no credentials.
typedef struct {
    char url[MM_LINUX_BROKER_URL_CHARS_MAX + 1];
    char user[MM_LINUX_BROKER_WORD_CHARS_MAX + 1];
    char password[MM_LINUX_BROKER_WORD_CHARS_MAX + 1];
} mm_linux_broker_t;

typedef struct {
    const char *state_directory; ///< exists
    mm_linux_sync_t sync;
    /// True if a broker's address is one that this node can use. Required.
    bool (*url_is_good)(const char *url);
    /// Of the network that was handed over; 0 = none. Not known while its memory does not answer: then what is kept
    /// stays as it is.
    bool network_is_known;
    uint32_t network_revision;
} mm_linux_actions_options_t;

typedef struct {
    mm_actions_t actions; ///< hand this to the core; *self must stay where it is
    char broker_path[512];
    char staged_path[512];
    char ota_path[512];
    mm_linux_sync_t sync;
    bool (*url_is_good)(const char *url);
    bool network_is_known;
    uint32_t network_revision;

    // Real time, linux_clock.h; only the status changes then.
    int64_t display_until_us;
    int64_t find_until_us;

    bool reboot_requested;
    bool has_broker;          ///< `broker` stands above the node's configuration
    bool broker_changed;      ///< the owner takes it (or its configuration's) between sessions, and clears this
    bool on_trial;            ///< `broker` is what is staged
    mm_linux_broker_t broker; ///< valid if has_broker
} mm_linux_actions_t;

/// Ends a trial that a restart interrupted, and reads the broker that was kept, or removes it. MM_ERR_ARG: a path is
/// too long, or broker.conf is not what this writes. MM_ERR_STORAGE: the system refused. `message` names the file.
mm_err_t mm_linux_actions_open(mm_linux_actions_t *self, const mm_linux_actions_options_t *options,
                               mm_linux_message_t *message);
/// Wipe the credentials.
void mm_linux_actions_close(mm_linux_actions_t *self);

/// "URL\nUSER\nPASSWORD", as the command has it, one line end more at the most, without control characters. False: it
/// is not.
bool mm_linux_broker_parse(const char *text, size_t text_chars, mm_linux_broker_t *broker);

bool mm_linux_actions_display_is_on(const mm_linux_actions_t *self, int64_t real_us);
bool mm_linux_actions_is_finding(const mm_linux_actions_t *self, int64_t real_us);

#endif
