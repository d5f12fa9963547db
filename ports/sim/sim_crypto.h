// SPDX-License-Identifier: Apache-2.0
#ifndef MM_SIM_CRYPTO_H
#define MM_SIM_CRYPTO_H

#include "meshmeter/port/crypto.h"

/// Keys of simulated devices. NOT cryptography: `device_hmac` is four SipHash-2-4 of the bytes under the device's key,
/// ten times as fast as HMAC-SHA-256, and as good for what a simulation asks of it: another key or another byte gives
/// another tag, and nobody in the simulated world searches for collisions. So is its sealing. No program but the
/// simulator may use it.

#define MM_SIM_KEY_BYTES 16

typedef struct {
    mm_crypto_t crypto; ///< for the code under test
    uint8_t key[MM_SIM_KEY_BYTES];
} mm_sim_crypto_t;

/// The device's key follows from the seed and its index: so HQ's model knows it, too.
void mm_sim_crypto_init(mm_sim_crypto_t *self, uint64_t seed, int device);

#endif
