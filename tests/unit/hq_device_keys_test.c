// SPDX-License-Identifier: Apache-2.0
#include "hq_command_world.h"
#include "meshmeter/bytes.h"

#define KEY_A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define KEY_B "FFEEDDCCBBAA99887766554433221100ffeeddccbbaa99887766554433221100"

// RFC 4231 has no key of 32 bytes; these are of HMAC-SHA-256 as Python's hmac computes it:
// hmac.new(bytes(range(32)), b"meshmeter", hashlib.sha256)
static const uint8_t HMAC_OF_METER[MM_HMAC_BYTES] = {0xa5, 0x01, 0x8a, 0x4d, 0x26, 0xd6, 0x21, 0x34, 0xd8, 0x1d, 0x27,
                                                     0x4c, 0x7f, 0x28, 0x7b, 0x9f, 0xaf, 0xfc, 0x93, 0xea, 0x78, 0x70,
                                                     0x53, 0x95, 0x43, 0xcf, 0xed, 0x42, 0xc3, 0x49, 0x3f, 0xc1};

static void test_device_keys_hmac(void **state) {
    (void)state;
    uint8_t key[MM_DEVICE_KEY_BYTES];
    uint8_t mac[MM_HMAC_BYTES];
    mm_device_crypto_t crypto;
    for (uint8_t index = 0; index < MM_DEVICE_KEY_BYTES; index++) {
        key[index] = index;
    }
    mm_device_crypto_init(&crypto, key);
    assert_int_equal(crypto.crypto.device_hmac(crypto.crypto.context, "meshmeter", 9, mac), MM_OK);
    assert_memory_equal(mac, HMAC_OF_METER, sizeof mac);
    mm_device_crypto_wipe(&crypto);
    const mm_device_crypto_t zero = {{0}, {0}};
    assert_memory_equal(crypto.key, zero.key, sizeof crypto.key);
}

// FIPS 197, appendix C.3.
static void test_device_keys_aes(void **state) {
    (void)state;
    uint8_t key[MM_AES256_KEY_BYTES];
    uint8_t block[MM_AES_BLOCK_BYTES];
    uint8_t result[MM_AES_BLOCK_BYTES];
    static const uint8_t expected[MM_AES_BLOCK_BYTES] = {0x8e, 0xa2, 0xb7, 0xca, 0x51, 0x67, 0x45, 0xbf,
                                                         0xea, 0xfc, 0x49, 0x90, 0x4b, 0x49, 0x60, 0x89};
    mm_device_crypto_t crypto;
    for (uint8_t index = 0; index < sizeof key; index++) {
        key[index] = index;
    }
    for (uint8_t index = 0; index < sizeof block; index++) {
        block[index] = (uint8_t)(index * 0x11);
    }
    mm_device_crypto_init(&crypto, key);
    assert_int_equal(crypto.crypto.aes256_encrypt(crypto.crypto.context, key, block, result), MM_OK);
    assert_memory_equal(result, expected, sizeof result);
}

static int import(command_world_t *world, const char *csv, mm_desk_result_t expected, const char *problem) {
    mm_hq_error_t error = {{0}};
    int added = -1;
    assert_int_equal(mm_device_keys_import(world->desk, csv, world->now_us, &added, &error), expected);
    if (problem != NULL && strstr(error.text, problem) == NULL) {
        fail_msg("'%s' is not in '%s'", problem, error.text);
    }
    // Not a digit of a key in a message.
    assert_null(strstr(error.text, "0102030405"));
    assert_null(strstr(error.text, "1a1b1c"));
    return added;
}

static void test_device_keys_import(void **state) {
    command_world_t *world = *state;
    assert_int_equal(import(world,
                            "# keys\n\n02:00:00:00:00:01," KEY_A " # first\r\n 020000000002 ,\t" KEY_B "\n"
                            "02-00-00-00-00-03," KEY_A,
                            MM_DESK_OK, NULL),
                     3);
    mm_device_crypto_t crypto;
    assert_int_equal(mm_device_keys_get(mmi_desk_db(world->desk), hq_mac(2), &crypto), MM_DESK_OK);
    assert_int_equal(crypto.key[0], 0xFF);
    assert_int_equal(crypto.key[31], 0x00);
    assert_int_equal(mm_device_keys_get(mmi_desk_db(world->desk), hq_mac(9), &crypto), MM_DESK_NOT_FOUND);
    // The same again is passed over.
    assert_int_equal(import(world, "02:00:00:00:00:01," KEY_A "\n02:00:00:00:00:04," KEY_A "\n", MM_DESK_OK, NULL), 1);
    assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM device_key"), 4);
}

static void test_device_keys_import_all_or_nothing(void **state) {
    command_world_t *world = *state;
    static const struct {
        const char *csv;
        const char *problem;
    } cases[] = {
        {"02:00:00:00:00:01," KEY_A "\n\n02:00:00:00:00:02," KEY_A "0\n", "line 3: behind the comma"},
        {"02:00:00:00:00:01," KEY_A "\nnonsense\n", "line 2: begin with"},
        {"02:00:00:00:00:01," KEY_A "\n00:00:00:00:00:00," KEY_A "\n", "line 2: begin with"},
        {"02:00:00:00:00:01 " KEY_A "\n", "line 1: begin with"},
        {"02:00:00:00:00:01," KEY_A " x\n", "line 1: behind the comma"},
        {"02:00:00:00:00:01,0011\n", "line 1: behind the comma"},
        {"02:00:00:00:00:01,\n", "line 1: behind the comma"},
        {"02:00:00:00:00:01," KEY_A "\n02:00:00:00:00:01," KEY_B "\n", "line 2: 02:00:00:00:00:01 has another key"},
        {"02:00:00:00:00," KEY_A "\n", "line 1: begin with"},
        {"02:00:00:00:00:0g," KEY_A "\n", "line 1: begin with"},
    };
    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        assert_int_equal(import(world, cases[index].csv, MM_DESK_REFUSED, cases[index].problem), 0);
        assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM device_key"), 0);
    }
    // A line longer than any that is right, with the rest behind what would be right.
    char longest[600];
    snprintf(longest, sizeof longest, "02:00:00:00:00:01," KEY_A "%300s", "x");
    assert_int_equal(import(world, longest, MM_DESK_REFUSED, "line 1"), 0);
}

static bool take_mac(void *context, mm_mac_t mac, int64_t added_us) {
    assert_true(added_us == HQ_UTC_US);
    ((mm_mac_t *)context)[0] = mac;
    return true;
}

static void test_device_keys_add_remove_list(void **state) {
    command_world_t *world = *state;
    uint8_t key[MM_DEVICE_KEY_BYTES] = {1};
    mm_hq_error_t error;
    mm_mac_t last = {{0}};
    assert_int_equal(mm_device_keys_add(world->desk, hq_mac(5), key, world->now_us, &error), MM_DESK_OK);
    assert_int_equal(mm_device_keys_add(world->desk, hq_mac(5), key, world->now_us, &error), MM_DESK_OK);
    key[31] = 9;
    assert_int_equal(mm_device_keys_add(world->desk, hq_mac(5), key, world->now_us, &error), MM_DESK_REFUSED);
    assert_non_null(strstr(error.text, "remove the old one first"));
    assert_int_equal(mm_device_keys_list(world->desk, take_mac, &last, &error), MM_DESK_OK);
    assert_true(mm_mac_equal(last, hq_mac(5)));
    assert_int_equal(mm_device_keys_remove(world->desk, hq_mac(5), world->now_us, &error), MM_DESK_OK);
    assert_int_equal(mm_device_keys_remove(world->desk, hq_mac(5), world->now_us, &error), MM_DESK_NOT_FOUND);
    assert_int_equal(mm_device_keys_add(world->desk, hq_mac(5), key, world->now_us, &error), MM_DESK_OK);
    assert_int_equal(hq_integer(world->files, "SELECT count(*) FROM audit WHERE action LIKE 'key %'"), 3);
}

static void test_desk_refuses_other_databases(void **state) {
    command_world_t *world = *state;
    char path[128];
    mm_hq_error_t error;
    assert_null(mm_desk_open(NULL, "/nowhere/hq.db", &error));
    assert_non_null(strstr(error.text, "/nowhere/hq.db"));
    snprintf(path, sizeof path, "%s/old.db", world->files->directory);
    assert_null(mm_desk_open(NULL, path, &error)); // absent: only the store makes one
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE x (y)", NULL, NULL, NULL), SQLITE_OK);
    assert_null(mm_desk_open(NULL, path, &error));
    assert_non_null(strstr(error.text, "not a database of meshmeter"));
    assert_int_equal(sqlite3_exec(db, "PRAGMA application_id = 1835878481; PRAGMA user_version = 1", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_null(mm_desk_open(NULL, path, &error));
    assert_non_null(strstr(error.text, "start HQ of this version"));
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
    assert_null(mm_desk_open(NULL, path, &error));
    assert_non_null(strstr(error.text, "newer"));
    sqlite3_close(db);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, command_world_setup, command_world_teardown)

static void put_hex(uint8_t *bytes, const char *hex) {
    for (size_t i = 0; hex[2 * i] != '\0'; i++) {
        bytes[i] = (uint8_t)(mm_hex_digit(hex[2 * i]) << 4 | mm_hex_digit(hex[2 * i + 1]));
    }
}

static void assert_hex(const uint8_t *bytes, size_t bytes_count, const char *hex) {
    uint8_t expected[128];
    assert_int_equal(strlen(hex), 2 * bytes_count);
    put_hex(expected, hex);
    assert_memory_equal(bytes, expected, bytes_count);
}

// "The Galois/Counter Mode of Operation" (McGrew, Viega), the specification of NIST SP 800-38D's mode: test cases 14
// and 16.
static void test_hq_device_crypto_aead_vectors(void **state) {
    (void)state;
    static mm_device_crypto_t device;
    static const uint8_t device_key[MM_DEVICE_KEY_BYTES];
    mm_device_crypto_init(&device, device_key);
    const mm_crypto_t *crypto = &device.crypto;
    const uint8_t zeros[32] = {0};
    uint8_t sealed[60 + MM_AEAD_TAG_BYTES];
    assert_int_equal(crypto->aead_seal(crypto->context, zeros, zeros, NULL, 0, zeros, 16, sealed), MM_OK);
    assert_hex(sealed, 32, "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
    uint8_t key[32], iv[12], more[20], plain[60], opened[60];
    put_hex(key, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
    put_hex(iv, "cafebabefacedbaddecaf888");
    put_hex(more, "feedfacedeadbeeffeedfacedeadbeefabaddad2");
    put_hex(plain, "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
                   "b16aedf5aa0de657ba637b39");
    assert_int_equal(crypto->aead_seal(crypto->context, key, iv, more, 20, plain, 60, sealed), MM_OK);
    assert_hex(sealed, 76,
               "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838"
               "c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b");
    assert_int_equal(crypto->aead_open(crypto->context, key, iv, more, 20, sealed, 76, opened), MM_OK);
    assert_memory_equal(opened, plain, sizeof plain);
    for (size_t i = 0; i < 76; i++) {
        memset(opened, 0, sizeof opened);
        sealed[i] ^= 1;
        assert_int_equal(crypto->aead_open(crypto->context, key, iv, more, 20, sealed, 76, opened), MM_ERR_CORRUPT);
        sealed[i] ^= 1;
        for (size_t byte = 0; byte < sizeof opened; byte++) {
            assert_int_equal(opened[byte], 0); // nothing of it comes out
        }
    }
    more[0] ^= 1;
    assert_int_equal(crypto->aead_open(crypto->context, key, iv, more, 20, sealed, 76, opened), MM_ERR_CORRUPT);
    assert_int_equal(crypto->aead_open(crypto->context, key, iv, more, 20, sealed, 15, opened), MM_ERR_CORRUPT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hq_device_crypto_aead_vectors),
        cmocka_unit_test(test_device_keys_hmac),
        cmocka_unit_test(test_device_keys_aes),
        TEST(test_device_keys_import),
        TEST(test_device_keys_import_all_or_nothing),
        TEST(test_device_keys_add_remove_list),
        TEST(test_desk_refuses_other_databases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
