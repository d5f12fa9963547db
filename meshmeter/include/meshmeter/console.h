// SPDX-License-Identifier: Apache-2.0
#ifndef MM_CONSOLE_H
#define MM_CONSOLE_H

#include "meshmeter/base.h"
#include "meshmeter/node.h"
#include "meshmeter/possession.h"
#include "meshmeter/setup.h"

/// Lines that somebody at the device types (a UART, a socket), and their answers. Deny by default: one table says of
/// each line what it needs, and that is checked before its handler runs; what is not in the table does nothing. A line
/// is never repeated in an answer, and it is wiped: it may hold a code.
///
/// Secrets (keys, passwords, the label's code) are in no answer: of each it is said whether there is one.
///
/// An answer is text, each of its lines ends with '\n'. What reads answers with one line of JSON; what was refused
/// begins with "error: ", what was done with "ok". docs/guide/console.md has the table.

/// What a line needs.
typedef enum {
    MM_CONSOLE_NOBODY = 0, ///< it is never done
    MM_CONSOLE_READ,       ///< nothing: it only reads
    MM_CONSOLE_PRESENCE,   ///< to stand at the device: harmless, or what its button does as well
    MM_CONSOLE_PROOF,      ///< a proof in the line itself, that its handler judges: a token, the code of the label
    MM_CONSOLE_CODE,       ///< HQ's code for the number of the moment, and a word that says what will be lost
    MM_CONSOLE_OWNER,      ///< to own the process; there is no such place at a chip
    MM_CONSOLE_NEED_COUNT,
} mm_console_need_t;

/// "nobody", "nothing", "presence", "proof", "code", "owner"; "unknown" otherwise.
const char *mm_console_need_name(uint8_t need);

/// Bits of what a console's place gives. A UART is at the device. Whoever may open a process's own socket could also
/// end it.
#define MM_CONSOLE_GRANT(need) (1u << (need))
#define MM_CONSOLE_AT_DEVICE                                                                                           \
    (MM_CONSOLE_GRANT(MM_CONSOLE_READ) | MM_CONSOLE_GRANT(MM_CONSOLE_PRESENCE) | MM_CONSOLE_GRANT(MM_CONSOLE_PROOF) |  \
     MM_CONSOLE_GRANT(MM_CONSOLE_CODE))
#define MM_CONSOLE_AT_PROCESS (MM_CONSOLE_AT_DEVICE | MM_CONSOLE_GRANT(MM_CONSOLE_OWNER))

#define MM_CONSOLE_WORDS_ANY UINT8_MAX
/// Room for the longest refusal at least.
#define MM_CONSOLE_ANSWER_BYTES_MIN 256
/// `find` and `display`.
#define MM_CONSOLE_SECONDS 60
#define MM_CONSOLE_SECONDS_MAX 3600
/// Harmless acts are journalled at most this often: they must not crowd out readings.
#define MM_CONSOLE_EVENT_S 900
/// What `reset` wants to hear.
#define MM_CONSOLE_RESET_WORD "forget-the-network"

/// Numbers of lines in the event CONSOLE: appended, never reused.
typedef enum {
    MM_CONSOLE_ACT_NONE = 0, ///< makes no event: it only reads, or what it does makes its own record
    MM_CONSOLE_ACT_FIND = 1,
    MM_CONSOLE_ACT_DISPLAY = 2,
} mm_console_act_t;

typedef struct mm_console mm_console_t;

/// A line that is being answered.
typedef struct {
    mm_console_t *console;
    char *line;      ///< all of it
    char *arguments; ///< in it, behind the name and blanks
    uint8_t words;   ///< of the arguments
    mm_us_t now;
    mm_err_t result; ///< of an act, for its event
    char *text;      ///< the answer
    size_t capacity_bytes;
    size_t used_bytes;
} mm_console_request_t;

typedef struct {
    const char *name;
    const char *arguments; ///< as help shows them, or NULL
    const char *does;
    uint8_t need; ///< mm_console_need_t
    uint8_t words_min;
    uint8_t words_max;
    uint8_t act;      ///< mm_console_act_t
    bool needs_setup; ///< the node is commissioned, not configured by a file
    void (*run)(mm_console_request_t *request);
} mm_console_line_t;

/// The core's lines.
const mm_console_line_t *mm_console_lines(size_t *count);

typedef struct {
    const char *name;
    uint64_t value;
} mm_console_number_t;

/// What the node itself does not know; the owner keeps it up to date. Everything is borrowed.
typedef struct {
    const char *version; ///< or NULL
    const char *broker;  ///< address in use, or NULL; credentials before an '@' are not shown
    const char *page;    ///< address of the node's own page, or NULL
    const char *role;    ///< in the mesh, or NULL
    mm_mac_t parent;
    uint32_t members;
    const mm_console_number_t *mesh_counters;
    size_t mesh_counter_count;
} mm_console_facts_t;

typedef struct {
    mm_node_t *node;
    mm_setup_t *setup;              ///< or NULL: configured by a file
    uint8_t granted;                ///< MM_CONSOLE_AT_DEVICE or MM_CONSOLE_AT_PROCESS
    const mm_console_line_t *lines; ///< of the platform, instead of the core's of the same name; or NULL
    size_t line_count;
    void *context; ///< of their handlers
} mm_console_options_t;

struct mm_console {
    mm_console_options_t options;
    mm_console_facts_t facts;
    // wait: another harmless act | until MM_CONSOLE_EVENT_S | then its event is journalled again
    mm_us_t event_at;
    uint32_t untold; ///< acts since the last event
};

/// Everything is borrowed.
void mm_console_open(mm_console_t *self, const mm_console_options_t *options, mm_us_t now);
/// Answer one line (terminated, without its end). capacity_bytes: at least MM_CONSOLE_ANSWER_BYTES_MIN (asserted).
/// Returns the bytes of the answer, not terminated. JSON that does not fit is an error, other text is cut off.
size_t mm_console_answer(mm_console_t *self, char *line, mm_us_t now, char *text, size_t capacity_bytes);

/// For handlers. What does not fit is left out.
void mm_console_put(mm_console_request_t *request, const char *text);
/// For the handler of `provision FORM`, on a line that needs_setup: takes the network of the form (network_form.h), if
/// its field `pop` is the code on the label. possession_now: of the label's clock. is_broker: whether the platform
/// takes an address. Everything is borrowed.
void mm_console_provision(mm_console_request_t *request, mm_possession_t *possession, mm_us_t possession_now,
                          bool (*is_broker)(const char *url));

#endif
