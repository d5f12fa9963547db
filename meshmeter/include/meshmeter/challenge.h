// SPDX-License-Identifier: Apache-2.0
#ifndef MM_CHALLENGE_H
#define MM_CHALLENGE_H

#include "meshmeter/base.h"
#include "meshmeter/lock_out.h"
#include "meshmeter/port/crypto.h"
#include "meshmeter/port/entropy.h"

/// The installer's way in: a number on the display, 8 hex digits from HQ on the phone.
///
/// Method `device`: the first 4 bytes of HMAC-SHA-256 under the device's key over "meshmeter installer 1", mac (6
/// bytes), number (8 digits, ASCII, zero-padded). Method `legacy`, exactly the original's: the number padded to 16
/// digits and written twice is a key of AES-256; the first block of the deployment's secret text (with its terminator,
/// zero-padded) encrypted with it; first 4 bytes. Number 5546600 gives 462b1e82 for "mi mama me mima mucho". The secret
/// is configuration of the site, never a constant of the product.
///
/// At most MM_LOCK_OUT_TRIES wrong codes for one number, then another number and a lock-out (lock_out.h); a number
/// lives MM_CHALLENGE_LIFE_S. Nothing is learned from the time that a comparison takes.

#define MM_CHALLENGE_NUMBER_MAX 99999999
#define MM_CHALLENGE_CODE_CHARS 8
#define MM_CHALLENGE_LIFE_S 600
#define MM_CHALLENGE_SECRET_CHARS_MAX 63

#define MM_CHALLENGE_CODE_BYTES (MM_CHALLENGE_CODE_CHARS / 2)

typedef struct mm_challenge_options mm_challenge_options_t;

/// The bytes of the code for a number, which is at most MM_CHALLENGE_NUMBER_MAX. MM_ERR_ARG: what it needs is missing.
/// MM_ERR_UNAVAILABLE: no key.
typedef mm_err_t (*mm_challenge_method_t)(const mm_challenge_options_t *options, const mm_crypto_t *crypto,
                                          uint32_t number, uint8_t code[MM_CHALLENGE_CODE_BYTES]);

struct mm_challenge_options {
    mm_challenge_method_t method; ///< NULL: `device`
    mm_mac_t mac;
    const char *secret; ///< of `legacy`; borrowed
};

/// Method `legacy`. An image that does not name it is linked without (docs/adr/0018-images-link-what-they-name.md).
mm_err_t mm_challenge_legacy(const mm_challenge_options_t *options, const mm_crypto_t *crypto, uint32_t number,
                             uint8_t code[MM_CHALLENGE_CODE_BYTES]);

/// The code for a number: what HQ reads to the installer and the node compares with. text: MM_CHALLENGE_CODE_CHARS
/// lower case hex digits and the terminator. MM_ERR_ARG: number above the maximum, legacy without a secret.
/// MM_ERR_UNAVAILABLE: no key.
mm_err_t mm_challenge_code(const mm_challenge_options_t *options, const mm_crypto_t *crypto, uint32_t number,
                           char text[MM_CHALLENGE_CODE_CHARS + 1]);

typedef enum {
    MM_CODE_GOOD = 0,
    MM_CODE_WRONG,
    MM_CODE_NO_FORM, ///< not 8 hex digits (leading zeros included; upper case and blanks around it will do); no try is
                     ///< used up
    MM_CODE_EXPIRED, ///< the number's time is over; there is another one now
    MM_CODE_LOCKED_OUT, ///< wait_s says how long
    MM_CODE_NO_KEY,     ///< this device has no key, or no entropy: nobody gets in
    MM_CODE_STATE,      ///< not judged: the life cycle has no place for it now (setup.h)
    MM_CODE_STORAGE,    ///< good, but what follows from it could not be stored (setup.h)
} mm_code_verdict_t;

const char *mm_code_verdict_name(mm_code_verdict_t verdict);

typedef struct {
    mm_challenge_options_t options;
    const mm_crypto_t *crypto;
    const mm_entropy_t *entropy;
    uint32_t number;
    bool has_number;
    mm_lock_out_t lock_out; ///< its count of wrong codes is of this number
    // wait: the installer types the code | until MM_CHALLENGE_LIFE_S | then there is another number
    mm_us_t expires_at;
} mm_challenge_t;

/// lock_outs: of before a restart (the owner keeps it durably); the last one begins anew.
void mm_challenge_init(mm_challenge_t *self, const mm_challenge_options_t *options, const mm_crypto_t *crypto,
                       const mm_entropy_t *entropy, uint8_t lock_outs, mm_us_t now);
/// The number to show now; a new one if there is none or its time is over. False: none can be made.
bool mm_challenge_number(mm_challenge_t *self, mm_us_t now, uint32_t *number);
/// Judge. *wait_s: until the next try (LOCKED_OUT, or WRONG that locked out). GOOD uses the number up.
mm_code_verdict_t mm_challenge_judge(mm_challenge_t *self, const char *text, mm_us_t now, uint32_t *wait_s);

#endif
