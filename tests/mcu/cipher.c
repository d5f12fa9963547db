// SPDX-License-Identifier: Apache-2.0
// HMAC-SHA-256 (FIPS 180-4, RFC 2104) and AES-256 (FIPS 197) for unit tests on machines that Debian has no mbedTLS for.
// Small and slow, no protection against anything: no product contains it. cipher_test.c holds it to published vectors.
#include <string.h>

#include <mbedtls/aes.h>
#include <mbedtls/md.h>

#include <stdint.h>

#define SHA_BLOCK_BYTES 64
#define SHA_BYTES 32
#define AES_WORDS 60

// --- SHA-256 -------------------------------------------------------------------------------------
static uint32_t rotated(uint32_t word, unsigned bits) {
    return word >> bits | word << (32 - bits);
}

static const uint32_t sha_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

typedef struct {
    uint32_t state[8];
    uint8_t block[SHA_BLOCK_BYTES];
    uint64_t bytes_count;
} sha_t;

static void sha_take_block(sha_t *self) {
    uint32_t words[64];
    for (size_t i = 0; i < 16; i++) {
        const uint8_t *bytes = self->block + 4 * i;
        words[i] = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
    }
    for (size_t i = 16; i < 64; i++) {
        uint32_t near = words[i - 2];
        uint32_t far = words[i - 15];
        words[i] = words[i - 16] + words[i - 7] + (rotated(near, 17) ^ rotated(near, 19) ^ near >> 10) +
                   (rotated(far, 7) ^ rotated(far, 18) ^ far >> 3);
    }
    uint32_t v[8];
    memcpy(v, self->state, sizeof v);
    for (size_t i = 0; i < 64; i++) {
        uint32_t first = v[7] + (rotated(v[4], 6) ^ rotated(v[4], 11) ^ rotated(v[4], 25)) +
                         ((v[4] & v[5]) ^ (~v[4] & v[6])) + sha_constants[i] + words[i];
        uint32_t second = (rotated(v[0], 2) ^ rotated(v[0], 13) ^ rotated(v[0], 22)) +
                          ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof v[0]);
        v[4] += first;
        v[0] = first + second;
    }
    for (size_t i = 0; i < 8; i++) {
        self->state[i] += v[i];
    }
}

static sha_t sha_begin(void) {
    return (sha_t){
        .state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

static void sha_take(sha_t *self, const uint8_t *bytes, size_t bytes_count) {
    for (size_t i = 0; i < bytes_count; i++) {
        self->block[self->bytes_count++ % SHA_BLOCK_BYTES] = bytes[i];
        if (self->bytes_count % SHA_BLOCK_BYTES == 0) {
            sha_take_block(self);
        }
    }
}

static void sha_end(sha_t *self, uint8_t digest[SHA_BYTES]) {
    uint64_t bits = self->bytes_count * 8;
    sha_take(self, (const uint8_t[]){0x80}, 1);
    while (self->bytes_count % SHA_BLOCK_BYTES != SHA_BLOCK_BYTES - 8) {
        sha_take(self, (const uint8_t[]){0}, 1);
    }
    for (unsigned i = 0; i < 8; i++) {
        uint8_t byte = (uint8_t)(bits >> (56 - 8 * i));
        sha_take(self, &byte, 1);
    }
    for (size_t i = 0; i < SHA_BYTES; i++) {
        digest[i] = (uint8_t)(self->state[i / 4] >> (24 - 8 * (i % 4)));
    }
}

const mbedtls_md_info_t *mbedtls_md_info_from_type(mbedtls_md_type_t type) {
    static const mbedtls_md_info_t sha256 = {MBEDTLS_MD_SHA256};
    return type == MBEDTLS_MD_SHA256 ? &sha256 : NULL;
}

int mbedtls_md_hmac(const mbedtls_md_info_t *info, const unsigned char *key, size_t key_bytes,
                    const unsigned char *bytes, size_t bytes_count, unsigned char *mac) {
    if (info == NULL) {
        return -1;
    }
    uint8_t padded[SHA_BLOCK_BYTES] = {0};
    if (key_bytes > sizeof padded) {
        sha_t sha = sha_begin();
        sha_take(&sha, key, key_bytes);
        sha_end(&sha, padded);
    } else {
        memcpy(padded, key, key_bytes);
    }
    uint8_t digest[SHA_BYTES];
    for (int outer = 0; outer < 2; outer++) {
        sha_t sha = sha_begin();
        for (size_t i = 0; i < sizeof padded; i++) {
            uint8_t byte = padded[i] ^ (outer ? 0x5c : 0x36);
            sha_take(&sha, &byte, 1);
        }
        if (outer) {
            sha_take(&sha, digest, sizeof digest);
        } else {
            sha_take(&sha, bytes, bytes_count);
        }
        sha_end(&sha, digest);
    }
    memcpy(mac, digest, sizeof digest);
    return 0;
}

// --- AES-256 -------------------------------------------------------------------------------------
static uint8_t doubled(uint8_t value) {
    return (uint8_t)(value << 1 ^ ((value & 0x80) != 0 ? 0x1b : 0));
}

static uint8_t product(uint8_t left, uint8_t right) {
    uint8_t result = 0;
    for (; right != 0; right >>= 1) {
        result ^= (right & 1) != 0 ? left : 0;
        left = doubled(left);
    }
    return result;
}

static uint8_t s_box[256];

// The inverse in GF(2^8), then the affine map of FIPS 197, 5.1.1. The inverse is the 254th power.
static void make_box(void) {
    for (unsigned value = 0; value < 256 && s_box[0] == 0; value++) {
        unsigned number = 255 - value; // 0 last: its entry says that the box is made
        uint8_t inverse = 1;
        for (int power = 0; power < 254; power++) {
            inverse = product(inverse, (uint8_t)number);
        }
        unsigned wide = inverse | (unsigned)inverse << 8;
        s_box[number] = (uint8_t)(wide ^ wide >> 4 ^ wide >> 5 ^ wide >> 6 ^ wide >> 7 ^ 0x63);
    }
}

void mbedtls_aes_init(mbedtls_aes_context *self) {
    memset(self, 0, sizeof *self);
}

void mbedtls_aes_free(mbedtls_aes_context *self) {
    memset(self, 0, sizeof *self);
}

int mbedtls_aes_setkey_enc(mbedtls_aes_context *self, const unsigned char *key, unsigned int key_bits) {
    if (key_bits != 256) {
        return -1;
    }
    make_box();
    uint8_t(*words)[4] = (uint8_t(*)[4])self->rounds;
    memcpy(words, key, 32);
    uint8_t round_constant = 1;
    for (size_t i = 8; i < AES_WORDS; i++) {
        uint8_t word[4];
        memcpy(word, words[i - 1], 4);
        if (i % 8 == 0) {
            uint8_t first = word[0];
            for (size_t j = 0; j < 4; j++) {
                word[j] = s_box[j < 3 ? word[j + 1] : first];
            }
            word[0] ^= round_constant;
            round_constant = doubled(round_constant);
        } else if (i % 8 == 4) {
            for (size_t j = 0; j < 4; j++) {
                word[j] = s_box[word[j]];
            }
        }
        for (size_t j = 0; j < 4; j++) {
            words[i][j] = words[i - 8][j] ^ word[j];
        }
    }
    return 0;
}

static void add_key(uint8_t state[16], const uint8_t *key) {
    for (size_t i = 0; i < 16; i++) {
        state[i] ^= key[i];
    }
}

int mbedtls_aes_crypt_ecb(mbedtls_aes_context *self, int mode, const unsigned char block[16],
                          unsigned char result[16]) {
    if (mode != MBEDTLS_AES_ENCRYPT) {
        return -1;
    }
    uint8_t state[16];
    memcpy(state, block, sizeof state);
    add_key(state, self->rounds);
    for (size_t round = 1; round <= 14; round++) {
        uint8_t mixed[16];
        for (size_t i = 0; i < 16; i++) {
            mixed[i] = s_box[state[(i + 4 * (i % 4)) % 16]]; // SubBytes and ShiftRows
        }
        for (size_t column = 0; column < 16; column += 4) {
            for (size_t i = 0; i < 4; i++) {
                const uint8_t *bytes = mixed + column;
                uint8_t next = bytes[(i + 1) % 4];
                state[column + i] =
                    round == 14
                        ? bytes[i]
                        : (uint8_t)(doubled(bytes[i]) ^ doubled(next) ^ next ^ bytes[(i + 2) % 4] ^ bytes[(i + 3) % 4]);
            }
        }
        add_key(state, self->rounds + 16 * round);
    }
    memcpy(result, state, sizeof state);
    return 0;
}
