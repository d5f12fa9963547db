// SPDX-License-Identifier: Apache-2.0
#ifndef MM_CODES_H
#define MM_CODES_H

#include "desk.h"

#include "meshmeter/challenge.h"

/// Codes for installers: somebody stands before a node and reads a number from its display; HQ, which has the device's
/// key, says the code that opens the node's page. A code is worth a building, so an operator gets a limited number of
/// them in an hour, and who asked for whom is in the audit log (the code is not, nor in any table).

#define MM_CODES_PER_HOUR 30
#define MM_CODE_CALLER_CHARS_MAX 80
#define MM_CODE_REQUEST_CHARS_MAX 64

typedef struct {
    const char *request; ///< the same one again gives the same answer, and counts once
    uint32_t number;     ///< from the display
    const char *mac;     ///< of a device that HQ has a key of; its last 3 bytes will do if only one ends so
    const char *caller;  ///< name and place, as told on the phone
    const char *operator_name;
} mm_code_request_t;

typedef struct {
    char text[MM_CHALLENGE_CODE_CHARS + 1]; ///< wipe it after use
    mm_mac_t node;
    int64_t expires_s; ///< at most so long: the number's time began before
    bool repeated;
    int64_t wait_s; ///< not 0: refused because of the limit; so long until the next one
} mm_code_t;

/// REFUSED: number, caller or MAC are none, the MAC is not unique, or the limit (wait_s). NOT_FOUND: HQ has no key of
/// such a device. CONFLICT: the request id was used for something else.
mm_desk_result_t mm_code_give(mm_desk_t *desk, const mm_code_request_t *request, int64_t now_us, mm_code_t *code,
                              mm_hq_error_t *error);

#endif
