// SPDX-License-Identifier: Apache-2.0
#ifndef MM_NODE_POP_H
#define MM_NODE_POP_H

#include <stdbool.h>
#include <stdint.h>

#include "linux/linux_message.h"

/// Proof of possession: who hands a network over knows the code on the device's label. Wrong ones lock out as those of
/// the challenge do (challenge.h); a restart begins the count anew, so whoever can restart the node can try again:
/// on this system that is who may read the file as well.

#define NODE_POP_CHARS_MAX 64

typedef struct {
    bool has_code;
    char code[NODE_POP_CHARS_MAX + 1]; ///< filled up with zeros
    uint8_t wrong;
    uint8_t lock_outs;
    // wait: who guessed a label's code may try again | until MM_CHALLENGE_LOCK_OUT_MAX_S at most | then it is compared
    int64_t locked_until_us; ///< real
} node_pop_t;

typedef enum {
    NODE_POP_GOOD = 0,
    NODE_POP_WRONG,
    NODE_POP_LOCKED_OUT,
    NODE_POP_NONE, ///< this device has no label: nobody hands it a network this way
} node_pop_verdict_t;

/// path: one line in a private file (mode 0600), or "" for none. False: `message` says why.
bool node_pop_read(node_pop_t *self, const char *path, mm_linux_message_t *message);
/// *wait_s: until the next try, if there is a lock-out now. The comparison takes the same time whatever is compared.
node_pop_verdict_t node_pop_judge(node_pop_t *self, const char *text, int64_t real_now_us, uint32_t *wait_s);

#endif
