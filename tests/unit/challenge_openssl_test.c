// SPDX-License-Identifier: Apache-2.0
// The original's code against the command that its operators use: openssl, for 1,000 random numbers.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meshmeter/challenge.h"
#include "meshmeter/random.h"
#include "test_crypto.h"
#include "test_support.h"

#define SECRET "mi mama me mima mucho"
#define NUMBERS 1000
#define SEED 20240610

// One shell for all numbers: of each key, in hex, it prints the first block of the encryption in hex.
static const char script[] =
    "while read -r key; do "
    "printf '%s' '" SECRET "' | openssl enc -aes-256-cbc -nosalt -K \"$key\" -iv 00000000000000000000000000000000 | "
    "od -An -v -tx1 -N4; done <";

// The number as the operators write it: padded, twice, each digit as its ASCII code.
static void print_key(FILE *file, uint32_t number) {
    char digits[33];
    (void)snprintf(digits, sizeof digits, "%016u%016u", number, number);
    for (int place = 0; place < 32; place++) {
        (void)fprintf(file, "3%c", digits[place]);
    }
    (void)fprintf(file, "\n");
}

static void test_challenge_agrees_with_openssl(void **state) {
    (void)state;
    mm_random_t random = mm_random(SEED);
    uint32_t numbers[NUMBERS];
    char path[] = "/tmp/challenge_XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    FILE *file = fdopen(descriptor, "w");
    assert_non_null(file);
    for (int i = 0; i < NUMBERS; i++) {
        numbers[i] = mm_random_below(&random, MM_CHALLENGE_NUMBER_MAX + 1);
        print_key(file, numbers[i]);
    }
    assert_int_equal(fclose(file), 0);

    char line[sizeof script + sizeof path];
    (void)snprintf(line, sizeof line, "%s%s", script, path);
    FILE *pipe = popen(line, "r");
    assert_non_null(pipe);
    test_crypto_t key = {.has_key = false};
    mm_crypto_t crypto = test_crypto(&key);
    const mm_challenge_options_t options = {.method = mm_challenge_legacy, .secret = SECRET};
    int compared = 0;
    char theirs[64];
    while (compared < NUMBERS && fgets(theirs, sizeof theirs, pipe) != NULL) {
        unsigned bytes[4];
        assert_int_equal(sscanf(theirs, "%2x %2x %2x %2x", &bytes[0], &bytes[1], &bytes[2], &bytes[3]), 4);
        (void)snprintf(theirs, sizeof theirs, "%02x%02x%02x%02x", bytes[0], bytes[1], bytes[2], bytes[3]);
        char ours[MM_CHALLENGE_CODE_CHARS + 1];
        assert_int_equal(mm_challenge_code(&options, &crypto, numbers[compared], ours), MM_OK);
        assert_string_equal(ours, theirs);
        compared++;
    }
    assert_int_equal(pclose(pipe), 0);
    assert_int_equal(remove(path), 0);
    assert_int_equal(compared, NUMBERS);
    printf("challenge: seed=%d numbers=%d\n", SEED, compared);
}

int main(void) {
    if (system("openssl version >/dev/null 2>&1") != 0) {
        printf("skip: the command openssl is not installed\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_challenge_agrees_with_openssl)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
