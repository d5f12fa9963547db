// SPDX-License-Identifier: Apache-2.0
#include "meshmeter/challenge.h"

#include <string.h>

#include "meshmeter/bytes.h"

#define LABEL "meshmeter installer 1"
#define LABEL_BYTES (sizeof LABEL - 1)
#define NUMBER_DIGITS 8
#define LEGACY_DIGITS 16
// Every number equally likely: what is above the last whole multiple is drawn again.
#define NUMBERS (MM_CHALLENGE_NUMBER_MAX + UINT32_C(1))
#define DRAWN_MAX (UINT32_MAX / NUMBERS * NUMBERS)
#define DRAWS_MAX 32

_Static_assert(MM_AES256_KEY_BYTES == 2 * LEGACY_DIGITS, "the number is written twice");

static MM_APART void put_digits(uint32_t number, char *digits, size_t digits_count) {
    for (size_t place = digits_count; place > 0; place--) {
        digits[place - 1] = (char)('0' + number % 10);
        number /= 10;
    }
}

static mm_err_t device_code(const mm_challenge_options_t *options, const mm_crypto_t *crypto, uint32_t number,
                            uint8_t code[MM_CHALLENGE_CODE_BYTES]) {
    uint8_t bytes[LABEL_BYTES + 6 + NUMBER_DIGITS];
    char digits[NUMBER_DIGITS];
    put_digits(number, digits, sizeof digits);
    mm_writer_t writer = mm_writer(bytes, sizeof bytes);
    mm_put_bytes(&writer, LABEL, LABEL_BYTES);
    mm_put_mac(&writer, options->mac);
    mm_put_bytes(&writer, digits, sizeof digits);
    uint8_t mac[MM_HMAC_BYTES];
    if (crypto->device_hmac(crypto->context, bytes, writer.used_bytes, mac) != MM_OK) {
        return MM_ERR_UNAVAILABLE;
    }
    memcpy(code, mac, MM_CHALLENGE_CODE_BYTES);
    return MM_OK;
}

mm_err_t mm_challenge_legacy(const mm_challenge_options_t *options, const mm_crypto_t *crypto, uint32_t number,
                             uint8_t code[MM_CHALLENGE_CODE_BYTES]) {
    if (options->secret == NULL || options->secret[0] == '\0') {
        return MM_ERR_ARG;
    }
    char key[MM_AES256_KEY_BYTES];
    put_digits(number, key, LEGACY_DIGITS);
    memcpy(key + LEGACY_DIGITS, key, LEGACY_DIGITS);
    uint8_t block[MM_AES_BLOCK_BYTES] = {0};
    for (size_t index = 0; index < sizeof block && options->secret[index] != '\0'; index++) {
        block[index] = (uint8_t)options->secret[index];
    }
    uint8_t encrypted[MM_AES_BLOCK_BYTES];
    if (crypto->aes256_encrypt(crypto->context, (const uint8_t *)key, block, encrypted) != MM_OK) {
        return MM_ERR_UNAVAILABLE;
    }
    memcpy(code, encrypted, MM_CHALLENGE_CODE_BYTES);
    return MM_OK;
}

mm_err_t mm_challenge_code(const mm_challenge_options_t *options, const mm_crypto_t *crypto, uint32_t number,
                           char text[MM_CHALLENGE_CODE_CHARS + 1]) {
    static const char hex[] = "0123456789abcdef";
    uint8_t code[MM_CHALLENGE_CODE_BYTES];
    memset(text, 0, MM_CHALLENGE_CODE_CHARS + 1);
    if (number > MM_CHALLENGE_NUMBER_MAX) {
        return MM_ERR_ARG;
    }
    if (crypto == NULL) {
        return MM_ERR_UNAVAILABLE;
    }
    mm_err_t err = (options->method != NULL ? options->method : device_code)(options, crypto, number, code);
    for (size_t index = 0; index < MM_CHALLENGE_CODE_BYTES && err == MM_OK; index++) {
        text[2 * index] = hex[code[index] >> 4];
        text[2 * index + 1] = hex[code[index] & 0x0F];
    }
    return err;
}

const char *mm_code_verdict_name(mm_code_verdict_t verdict) {
    static const char *const names[] = {
        [MM_CODE_GOOD] = "good",       [MM_CODE_WRONG] = "wrong",           [MM_CODE_NO_FORM] = "no_form",
        [MM_CODE_EXPIRED] = "expired", [MM_CODE_LOCKED_OUT] = "locked_out", [MM_CODE_NO_KEY] = "no_key",
        [MM_CODE_STATE] = "state",     [MM_CODE_STORAGE] = "storage",
    };
    return MM_NAME_OF(names, verdict);
}

void mm_challenge_init(mm_challenge_t *self, const mm_challenge_options_t *options, const mm_crypto_t *crypto,
                       const mm_entropy_t *entropy, uint8_t lock_outs, mm_us_t now) {
    memset(self, 0, sizeof *self);
    self->options = *options;
    self->crypto = crypto;
    self->entropy = entropy;
    mm_lock_out_init(&self->lock_out, lock_outs, now);
    self->expires_at = now;
}

static bool draw(const mm_entropy_t *entropy, uint32_t *number) {
    for (int i = 0; i < DRAWS_MAX && entropy != NULL; i++) {
        uint8_t bytes[4];
        if (entropy->random(entropy->context, bytes, sizeof bytes) != MM_OK) {
            return false;
        }
        mm_reader_t reader = mm_reader(bytes, sizeof bytes);
        uint32_t drawn = mm_get_u32(&reader);
        if (drawn < DRAWN_MAX) {
            *number = drawn % NUMBERS;
            return true;
        }
    }
    return false; // a source that always says the same is none
}

bool mm_challenge_number(mm_challenge_t *self, mm_us_t now, uint32_t *number) {
    if (!self->has_number || now >= self->expires_at) {
        self->has_number = draw(self->entropy, &self->number);
        self->expires_at = mm_us_after_s(now, MM_CHALLENGE_LIFE_S);
        self->lock_out.wrong = 0;
    }
    *number = self->has_number ? self->number : 0;
    return self->has_number;
}

// Without the blanks around it and in lower case; false: not 8 hex digits.
static bool read_code(const char *text, char code[MM_CHALLENGE_CODE_CHARS]) {
    while (*text == ' ') {
        text++;
    }
    for (size_t index = 0; index < MM_CHALLENGE_CODE_CHARS; index++) {
        char character = text[index];
        if (character >= 'A' && character <= 'F') {
            character = (char)(character - 'A' + 'a');
        }
        if ((character < '0' || character > '9') && (character < 'a' || character > 'f')) {
            return false;
        }
        code[index] = character;
    }
    text += MM_CHALLENGE_CODE_CHARS;
    while (*text == ' ') {
        text++;
    }
    return *text == '\0';
}

mm_code_verdict_t mm_challenge_judge(mm_challenge_t *self, const char *text, mm_us_t now, uint32_t *wait_s) {
    *wait_s = mm_lock_out_wait_s(&self->lock_out, now);
    if (*wait_s > 0) {
        return MM_CODE_LOCKED_OUT;
    }
    char typed[MM_CHALLENGE_CODE_CHARS];
    if (!read_code(text, typed)) {
        return MM_CODE_NO_FORM;
    }
    bool is_over = !self->has_number || now >= self->expires_at;
    uint32_t number;
    char code[MM_CHALLENGE_CODE_CHARS + 1];
    if (!mm_challenge_number(self, now, &number) ||
        mm_challenge_code(&self->options, self->crypto, number, code) != MM_OK) {
        return MM_CODE_NO_KEY;
    }
    if (is_over) {
        return MM_CODE_EXPIRED;
    }
    if (!mm_bytes_equal_constant_time(typed, code, sizeof typed)) {
        if (mm_lock_out_wrong(&self->lock_out, now)) {
            self->has_number = false;
            *wait_s = mm_lock_out_wait_s(&self->lock_out, now);
        }
        return MM_CODE_WRONG;
    }
    self->has_number = false;
    mm_lock_out_good(&self->lock_out);
    return MM_CODE_GOOD;
}
