// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include <stdio.h>
#include <string.h>

#include "legacy_support.h"
#include "meshmeter/command_body.h"
#include "meshmeter/legacy_command.h"

#define TODAY_S (INT64_C(1740787200) + 3600) // date -u -d '2025-03-01 01:00' +%s
#define NO_CLOCK (-1)

static const mm_crypto_t s_crypto = {.aes256_encrypt = legacy_toy_encrypt};
static mm_legacy_command_t s_command;

static mm_legacy_verdict_t read_at(const char *item, int64_t today_s) {
    char sealed[MM_LEGACY_BYTES_MAX + 1];
    assert_true(strlen(item) < sizeof sealed);
    memcpy(sealed, item, strlen(item) + 1);
    legacy_seal(sealed, &s_crypto);
    return mm_legacy_command_read(&s_command, sealed, strlen(sealed), s_legacy_secret, &s_crypto, today_s);
}

static void assert_verdict(const char *item, mm_legacy_verdict_t expected) {
    mm_legacy_verdict_t verdict = read_at(item, TODAY_S);
    if (verdict != expected) {
        fail_msg("%s: %s instead of %s", item, mm_legacy_verdict_name(verdict), mm_legacy_verdict_name(expected));
    }
}

static void assert_order(mm_command_kind_t kind, const char *meter_id, mm_command_body_t *body) {
    mm_legacy_order_t order;
    assert_true(mm_legacy_command_next(&s_command, &order));
    assert_int_equal(order.kind, kind);
    assert_string_equal(order.meter_id, meter_id);
    assert_int_equal(mm_command_body_read((uint8_t)order.kind, order.body, order.body_bytes, body), MM_OK);
}

static void assert_no_more(void) {
    mm_legacy_order_t order;
    assert_false(mm_legacy_command_next(&s_command, &order));
}

// --- message -------------------------------------------------------------------------------------------------------

static void assert_items(const char *text, const char *const *items, size_t item_count) {
    mm_legacy_message_t message;
    const char *item = NULL;
    size_t item_bytes = 0;
    assert_true(mm_legacy_message_is_one(text, strlen(text)));
    assert_int_equal(mm_legacy_message_begin(&message, text, strlen(text)), MM_OK);
    for (size_t i = 0; i < item_count; i++) {
        assert_true(mm_legacy_message_next(&message, &item, &item_bytes));
        assert_int_equal(item_bytes, strlen(items[i]));
        assert_memory_equal(item, items[i], item_bytes);
    }
    assert_false(mm_legacy_message_next(&message, &item, &item_bytes));
}

static void test_legacy_message_items(void **state) {
    (void)state;
    const char *const none[] = {""};
    const char *const two[] = {"{\"cmd\":\"ota\"}", "{\"a\":\"}\\\"{\",\"b\":[{}]}"};
    assert_items("{\"cmdarr\":[]}", none, 0);
    assert_items(" { \"cmdarr\" : [ ] } \r\n", none, 0);
    assert_items("{\"cmdarr\":[{\"cmd\":\"ota\"},{\"a\":\"}\\\"{\",\"b\":[{}]}]}", two, 2);
    assert_items("\t{ \"cmdarr\"\n:[ {\"cmd\":\"ota\"} , {\"a\":\"}\\\"{\",\"b\":[{}]} ] }", two, 2);
}

static void test_legacy_message_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "{",
        "{}",
        "[]",
        "{\"cmdarr\"}",
        "{\"cmdarr\":{}}",
        "{\"cmdarr\":null}",
        "{\"cmdarr\":[",
        "{\"cmdarr\":[]",
        "{\"cmdarr\":[]}x",
        "{\"cmdarr\":[],\"cmdarr\":[]}",
        "{\"other\":1,\"cmdarr\":[]}",
        "{\"cmdarr\":[1]}",
        "{\"cmdarr\":[{}",
        "{\"cmdarr\":[{]}",
        "{\"cmdarr\":[{\"]}",
        "{\"cmdarr\":[{\"\\\"}]}",
        "{\"cmdarr\":[{\"\\",
        "{\"cmdarr\":[{},]}",
        "{\"cmdarr\":[,{}]}",
        "{\"cmdarr\":[{}{}]}",
        "{\"cmdarr\":[{};{}]}",
        "{\"CMDARR\":[]}",
    };
    mm_legacy_message_t message;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (mm_legacy_message_begin(&message, texts[i], strlen(texts[i])) != MM_ERR_CORRUPT) {
            fail_msg("taken: %s", texts[i]);
        }
    }
    assert_false(mm_legacy_message_is_one("", 0));
    assert_false(mm_legacy_message_is_one("  ", 2));
    assert_false(mm_legacy_message_is_one("\xF7\x43", 2));
    assert_true(mm_legacy_message_is_one("\n {", 3));
}

static void test_legacy_message_limits(void **state) {
    (void)state;
    char text[MM_LEGACY_BYTES_MAX + 2];
    mm_legacy_message_t message;
    for (unsigned items = MM_LEGACY_ITEMS_MAX; items <= MM_LEGACY_ITEMS_MAX + 1; items++) {
        size_t used = (size_t)snprintf(text, sizeof text, "{\"cmdarr\":[");
        for (unsigned i = 0; i < items; i++) {
            used += (size_t)snprintf(text + used, sizeof text - used, "%s{}", i > 0 ? "," : "");
        }
        used += (size_t)snprintf(text + used, sizeof text - used, "]}");
        assert_int_equal(mm_legacy_message_begin(&message, text, used),
                         items <= MM_LEGACY_ITEMS_MAX ? MM_OK : MM_ERR_CORRUPT);
    }
    memset(text, ' ', sizeof text);
    memcpy(text, "{\"cmdarr\":[]}", 13);
    assert_int_equal(mm_legacy_message_begin(&message, text, MM_LEGACY_BYTES_MAX), MM_OK);
    assert_int_equal(mm_legacy_message_begin(&message, text, MM_LEGACY_BYTES_MAX + 1), MM_ERR_FULL);
}

// --- commands ------------------------------------------------------------------------------------------------------

static void test_legacy_lock(void **state) {
    (void)state;
    mm_command_body_t body;
    assert_verdict("{\"cmd\":\"lock\",\"disCon\":[{\"mid\":\"flat-1\",\"state\":1},{\"state\":\"0\",\"mid\":12345}],"
                   "\"cha\":\"CHACHACH\"}",
                   MM_LEGACY_COMMAND_GOOD);
    assert_order(MM_COMMAND_LOCK, "flat-1", &body);
    assert_order(MM_COMMAND_UNLOCK, "12345", &body);
    assert_no_more();
    static const char *const wrong[] = {
        "[]",
        "1",
        "\"x\"",
        "null",
        "[{\"mid\":\"a\"}]",
        "[{\"state\":1}]",
        "[{\"mid\":\"a\",\"state\":2}]",
        "[{\"mid\":\"a\",\"state\":true}]",
        "[{\"mid\":\"a\",\"state\":null}]",
        "[{\"mid\":null,\"state\":1}]",
        "[{\"mid\":\"\",\"state\":1}]",
        "[{\"mid\":\"1234567890123\",\"state\":1}]", // 13 characters
        "[{\"mid\":\"a\",\"state\":1},{\"mid\":\"b\",\"state\":-1}]",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char item[300];
        snprintf(item, sizeof item, "{\"cmd\":\"lock\",\"other\":123456789,\"disCon\":%s,\"cha\":\"CHACHACH\"}",
                 wrong[i]);
        assert_verdict(item, MM_LEGACY_COMMAND_VALUES);
        assert_no_more();
    }
    assert_verdict("{\"cmd\":\"lock\",\"state\":1,\"mid\":\"flat-1\",\"cha\":\"CHACHACH\"}", MM_LEGACY_COMMAND_VALUES);
}

static void test_legacy_lock_of_many(void **state) {
    (void)state;
    mm_legacy_order_t order;
    char item[MM_LEGACY_BYTES_MAX];
    for (unsigned count = MM_LEGACY_LOCKS_MAX; count <= MM_LEGACY_LOCKS_MAX + 1; count++) {
        size_t used = (size_t)snprintf(item, sizeof item, "{\"cmd\":\"lock\",\"disCon\":[");
        for (unsigned i = 0; i < count; i++) {
            used += (size_t)snprintf(item + used, sizeof item - used, "%s{\"mid\":\"flat-%u\",\"state\":%u}",
                                     i > 0 ? "," : "", i, i % 2);
        }
        (void)snprintf(item + used, sizeof item - used, "],\"f\":\"250301\",\"cha\":\"CHACHACH\"}");
        assert_verdict(item, count <= MM_LEGACY_LOCKS_MAX ? MM_LEGACY_COMMAND_GOOD : MM_LEGACY_COMMAND_MALFORMED);
        unsigned orders = 0;
        while (mm_legacy_command_next(&s_command, &order)) {
            char id[16];
            snprintf(id, sizeof id, "flat-%u", orders);
            assert_string_equal(order.meter_id, id);
            assert_int_equal(order.kind, orders % 2 == 1 ? MM_COMMAND_LOCK : MM_COMMAND_UNLOCK);
            orders++;
        }
        assert_int_equal(orders, count <= MM_LEGACY_LOCKS_MAX ? count : 0);
    }
}

static void test_legacy_update(void **state) {
    (void)state;
    mm_command_body_t body;
    // 1,500 kWh now, 1,200.5 at the start, 800 impulses per kWh: 299.5 kWh are 239,600 pulses.
    assert_verdict("{\"cmd\":\"update\",\"f\":\"250301\",\"mid\":\"flat-1\",\"bpk\":\"800\",\"ks\":1200.5,\"k\":1500,"
                   "\"cha\":\"CHACHACH\"}",
                   MM_LEGACY_COMMAND_GOOD);
    assert_order(MM_COMMAND_ERASE, "flat-1", &body);
    assert_order(MM_COMMAND_UPDATE, "flat-1", &body);
    assert_true(body.update.has_pulse_constant && body.update.has_start_wh && body.update.has_life_pulses);
    assert_false(body.update.has_id);
    assert_int_equal(body.update.pulse_constant, 800);
    assert_int_equal(body.update.start_wh, 1200500);
    assert_int_equal(body.update.life_pulses, 239600);
    assert_no_more();
    static const char *const wrong[] = {
        "\"mid\":\"flat-1\",\"bpk\":800,\"ks\":1500,\"k\":1499.999",             // less than at the start
        "\"mid\":\"flat-1\",\"bpk\":99,\"ks\":1,\"k\":2",                        // pulse constant
        "\"mid\":\"flat-1\",\"bpk\":10001,\"ks\":1,\"k\":2",                     //
        "\"mid\":\"flat-1\",\"bpk\":0,\"ks\":1,\"k\":2",                         //
        "\"mid\":\"flat-1\",\"bpk\":800.5,\"ks\":1,\"k\":2",                     //
        "\"mid\":\"flat-1\",\"bpk\":800,\"ks\":1,\"k\":2.0001",                  // a tenth of a Wh
        "\"mid\":\"flat-1\",\"bpk\":800,\"ks\":-1,\"k\":2",                      //
        "\"mid\":\"flat-1\",\"bpk\":800,\"ks\":1e3,\"k\":2000",                  //
        "\"mid\":\"flat-1\",\"bpk\":800,\"ks\":1,\"k\":1000000001",              // beyond every register
        "\"mid\":\"flat-1\",\"bpk\":800,\"ks\":1,\"k\":99999999999999999999999", //
        "\"mid\":\"flat-1\",\"bpk\":800,\"ks\":1,\"k\":\"\"",                    //
        "\"mid\":\"flat-1\",\"bpk\":800,\"ks\":1,\"k\":\"2.\"",                  //
        "\"mid\":\"flat-1\",\"bpk\":800,\"ks\":1,\"k\":\".5\"",                  //
        "\"mid\":\"flat-1\",\"bpk\":800,\"ks\":1,\"k\":\"1.2.3\"",               //
        "\"mid\":\"flat-1\",\"bpk\":800,\"k\":2",                                // missing, each in its turn
        "\"mid\":\"flat-1\",\"bpk\":800,\"ks\":1",                               //
        "\"mid\":\"flat-1\",\"ks\":1,\"k\":2",                                   //
        "\"bpk\":800,\"ks\":1,\"k\":2",                                          //
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char item[300];
        snprintf(item, sizeof item, "{\"cmd\":\"update\",\"f\":\"250301\",%s,\"cha\":\"CHACHACH\"}", wrong[i]);
        assert_verdict(item, MM_LEGACY_COMMAND_VALUES);
        assert_no_more();
    }
}

static void test_legacy_meter_kinds(void **state) {
    (void)state;
    mm_command_body_t body;
    assert_verdict("{\"cmd\":\"erase\",\"f\":250301,\"mid\":\"flat-1\",\"cha\":\"CHACHACH\"}", MM_LEGACY_COMMAND_GOOD);
    assert_order(MM_COMMAND_ERASE, "flat-1", &body);
    assert_no_more();
    assert_verdict("{\"cmd\":\"mqttmetrics\",\"f\":\"250301\",\"mid\":\"flat-1\",\"cha\":\"CHACHACH\"}",
                   MM_LEGACY_COMMAND_GOOD);
    assert_order(MM_COMMAND_READ_METER, "flat-1", &body);
    assert_no_more();
    assert_verdict("{\"cmd\":\"format\",\"f\":\"250301\",\"mid\":\"flat-1\",\"erase\":\"Y\",\"cha\":\"CHACHACH\"}",
                   MM_LEGACY_COMMAND_GOOD);
    assert_order(MM_COMMAND_FORMAT, "flat-1", &body);
    assert_int_equal(body.format.code, 0);
    assert_no_more();
    assert_verdict("{\"cmd\":\"display\",\"f\":\"250301\",\"mid\":\"flat-1\",\"time\":\"30\",\"cha\":\"CHACHACH\"}",
                   MM_LEGACY_COMMAND_GOOD);
    assert_order(MM_COMMAND_DISPLAY_ON, "flat-1", &body);
    assert_int_equal(body.seconds.seconds, 30);
    assert_no_more();
    static const char *const wrong[] = {
        "{\"cmd\":\"erase\",\"f\":\"250301\",\"md\":\"flat-1\",\"cha\":\"CHACHACH\"}",
        "{\"cmd\":\"mqttmetrics\",\"f\":\"250301\",\"mid\":true,\"cha\":\"CHACHACH\"}",
        "{\"cmd\":\"format\",\"f\":\"250301\",\"mid\":\"\",\"cha\":\"CHACHACH\"}",
        "{\"cmd\":\"display\",\"f\":\"250301\",\"mid\":\"flat-1\",\"time\":0,\"cha\":\"CHACHACH\"}",
        "{\"cmd\":\"display\",\"f\":\"250301\",\"mid\":\"flat-1\",\"time\":3601,\"cha\":\"CHACHACH\"}",
        "{\"cmd\":\"display\",\"f\":\"250301\",\"mid\":\"flat-1\",\"cha\":\"CHACHACH\"}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_verdict(wrong[i], MM_LEGACY_COMMAND_VALUES);
    }
}

static void test_legacy_node_kinds(void **state) {
    (void)state;
    mm_command_body_t body;
    assert_verdict(
        "{\"cmd\":\"netw\",\"f\":\"250301\",\"ssid\":\"caf\\u00e9 \\\"2\\\"\",\"ssidpassw\":\"\\u20ac\\/\\\\word\","
        "\"reboot\":\"Y\",\"cha\":\"CHACHACH\"}",
        MM_LEGACY_COMMAND_GOOD);
    assert_order(MM_COMMAND_NETWORK, "", &body);
    assert_string_equal(body.network.ssid, "caf\xC3\xA9 \"2\"");
    assert_string_equal(body.network.password, "\xE2\x82\xAC/\\word");
    assert_no_more();
    assert_verdict("{\"cmd\":\"mqtt\",\"f\":\"250301\",\"server\":\"mqtts://broker.example:8883\",\"userm\":\"u\","
                   "\"passm\":\"p\",\"cert\":\"\",\"passw\":\"ignored\",\"cha\":\"CHACHACH\"}",
                   MM_LEGACY_COMMAND_GOOD);
    assert_order(MM_COMMAND_BROKER, "", &body);
    assert_string_equal(body.broker.url, "mqtts://broker.example:8883");
    assert_string_equal(body.broker.user, "u");
    assert_string_equal(body.broker.password, "p");
    assert_verdict("{\"cmd\":\"setota\",\"f\":\"250301\",\"url\":\"https://x.example/a.bin\",\"cha\":\"CHACHACH\"}",
                   MM_LEGACY_COMMAND_GOOD);
    assert_order(MM_COMMAND_OTA_URL, "", &body);
    assert_string_equal(body.ota_url.url, "https://x.example/a.bin");
    assert_verdict(
        "{\"cmd\":\"ota\",\"f\": 250301 ,\"other\": true,\"a\":1E-3,\"b\":2e+0,\"c\": null,\"cha\":\"CHACHACH\"}",
        MM_LEGACY_COMMAND_GOOD);
    assert_order(MM_COMMAND_OTA_START, "", &body);
    assert_verdict("{\"cmd\":\"ota\",\"f\":\"250301\",\"cha\":\"CHACHACH\"}", MM_LEGACY_COMMAND_GOOD);
    assert_order(MM_COMMAND_OTA_START, "", &body);
    assert_no_more();
    static const char *const wrong[] = {
        // The original copies a missing password from a null pointer.
        "{\"cmd\":\"netw\",\"f\":\"250301\",\"ssid\":\"net\",\"reboot\":\"Y\",\"cha\":\"CHACHACH\"}",
        "{\"cmd\":\"netw\",\"f\":\"250301\",\"ssid\":\"net\",\"ssidpassw\":null,\"cha\":\"CHACHACH\"}",
        "{\"cmd\":\"netw\",\"f\":\"250301\",\"ssid\":\"\",\"ssidpassw\":\"word\",\"cha\":\"CHACHACH\"}",
        "{\"cmd\":\"netw\",\"f\":\"250301\",\"ssid\":\"a\\nb\",\"ssidpassw\":\"word\",\"cha\":\"CHACHACH\"}",
        "{\"cmd\":\"netw\",\"f\":\"250301\",\"ssid\":\"a\\u0000b\",\"ssidpassw\":\"word\",\"cha\":\"CHACHACH\"}",
        "{\"cmd\":\"netw\",\"f\":\"250301\",\"ssid\":\"\\ud83d\\ude00\",\"ssidpassw\":\"word\",\"cha\":\"CHACHACH\"}",
        "{\"cmd\":\"netw\",\"f\":\"250301\",\"ssid\":\"123456789012345678901234567890123\",\"ssidpassw\":\"\","
        "\"cha\":\"CHACHACH\"}",
        "{\"cmd\":\"mqtt\",\"f\":\"250301\",\"server\":\"mqtt://broker.example\",\"userm\":\"u\",\"passm\":\"p\","
        "\"cha\":\"CHACHACH\"}",
        "{\"cmd\":\"mqtt\",\"f\":\"250301\",\"server\":\"mqtt://broker.example\",\"userm\":\"u\",\"passm\":\"p\","
        "\"cert\":\"x\",\"cha\":\"CHACHACH\"}",
        "{\"cmd\":\"mqtt\",\"f\":\"250301\",\"server\":\"\",\"userm\":\"u\",\"passm\":\"p\",\"cert\":\"\","
        "\"cha\":\"CHACHACH\"}",
        "{\"cmd\":\"setota\",\"f\":\"250301\",\"ur\":\"https://x.example/a.bin\",\"cha\":\"CHACHACH\"}",
        "{\"cmd\":\"setota\",\"f\":\"250301\",\"url\":\"https://x.example/a b\",\"cha\":\"CHACHACH\"}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_verdict(wrong[i], MM_LEGACY_COMMAND_VALUES);
        assert_no_more();
    }
}

static void test_legacy_unknown_command(void **state) {
    (void)state;
    static const char *const texts[] = {
        "{\"cmd\":\"reset\",\"f\":\"250301\",\"option\":\"ALL\",\"cha\":\"CHACHACH\"}",
        "{\"cmd\":\"LOCK\",\"f\":\"250301\",\"option\":\"ALL\",\"cha\":\"CHACHACH\"}",
        "{\"cmd\":\"\",\"f\":\"250301\",\"option\":\"ALL12\",\"cha\":\"CHACHACH\"}",
        "{\"cmd\":17,\"f\":\"250301\",\"option\":\"ALL1234\",\"cha\":\"CHACHACH\"}",
        "{\"cmd\":null,\"f\":\"250301\",\"option\":\"ALL1234\",\"cha\":\"CHACHACH\"}",
        "{\"f\":\"250301\",\"option\":\"ALL123456789\",\"cha\":\"CHACHACH\"}",
        "{\"cmd\":\"a name longer than any\",\"f\":\"250301\",\"cha\":\"CHACHACH\"}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_verdict(texts[i], MM_LEGACY_COMMAND_UNKNOWN);
    }
}

// --- check value, date ---------------------------------------------------------------------------------------------

static void test_legacy_check_value(void **state) {
    (void)state;
    char item[] = "{\"cmd\":\"erase\",\"f\":\"250301\",\"mid\":\"flat-1\",\"cha\":\"CHACHACH\"}";
    legacy_seal(item, &s_crypto);
    size_t place = (size_t)(strstr(item, "\"cha\":\"") - item) + 7;
    assert_int_equal(mm_legacy_command_read(&s_command, item, strlen(item), s_legacy_secret, &s_crypto, TODAY_S),
                     MM_LEGACY_COMMAND_GOOD);
    // Each bit of each digit that still is one.
    for (size_t digit = 0; digit < 8; digit++) {
        const char good = item[place + digit];
        for (const char *other = "0123456789abcdef"; *other != '\0'; other++) {
            item[place + digit] = *other;
            assert_int_equal(
                mm_legacy_command_read(&s_command, item, strlen(item), s_legacy_secret, &s_crypto, TODAY_S),
                *other == good ? MM_LEGACY_COMMAND_GOOD : MM_LEGACY_COMMAND_FORGED);
        }
        item[place + digit] = good;
    }
    // Upper case is the same number.
    for (size_t digit = 0; digit < 8; digit++) {
        char *character = &item[place + digit];
        *character = *character >= 'a' ? (char)(*character - 32) : *character;
    }
    assert_int_equal(mm_legacy_command_read(&s_command, item, strlen(item), s_legacy_secret, &s_crypto, TODAY_S),
                     MM_LEGACY_COMMAND_GOOD);
    // Another secret; the command's own words.
    uint8_t secret[MM_LEGACY_SECRET_BYTES];
    memcpy(secret, s_legacy_secret, sizeof secret);
    secret[3] ^= 1;
    assert_int_equal(mm_legacy_command_read(&s_command, item, strlen(item), secret, &s_crypto, TODAY_S),
                     MM_LEGACY_COMMAND_FORGED);
    memcpy(strstr(item, "0301"), "0302", 4);
    assert_int_equal(mm_legacy_command_read(&s_command, item, strlen(item), s_legacy_secret, &s_crypto, TODAY_S),
                     MM_LEGACY_COMMAND_FORGED);
    static const char *const texts[] = {
        "{\"cmd\":\"erase\",\"f\":\"250301\",\"mid\":\"flat-1\"}",
        "{\"cmd\":\"erase\",\"f\":\"250301\",\"mid\":\"flat-1\",\"cha\":null}",
        "{\"cmd\":\"erase\",\"f\":\"250301\",\"mid\":\"flat-1\",\"cha\":\"\"}",
        "{\"cmd\":\"erase\",\"f\":\"250301\",\"mid\":\"flat-1\",\"cha\":\"1234567\"}",
        "{\"cmd\":\"erase\",\"f\":\"250301\",\"mid\":\"flat-1\",\"cha\":\"123456789\"}",
        "{\"cmd\":\"erase\",\"f\":\"250301\",\"mid\":\"flat-1\",\"cha\":\"1234567g\"}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_verdict(texts[i], MM_LEGACY_COMMAND_FORGED);
    }
}

// White space is not part of what is checked, except in strings; a short item is filled up.
static void test_legacy_check_value_is_of_the_compact_text(void **state) {
    (void)state;
    assert_verdict("{ \"cmd\" :\t\"erase\",\r\n\"f\": \"250301\", \"mid\" : \"flat-1\" , \"cha\" : \"CHACHACH\" }",
                   MM_LEGACY_COMMAND_GOOD);
    uint64_t hash = s_command.hash;
    assert_verdict("{\"cmd\":\"erase\",\"f\":\"250301\",\"mid\":\"flat-1\",\"cha\":\"CHACHACH\"}",
                   MM_LEGACY_COMMAND_GOOD);
    assert_true(s_command.hash == hash);
    assert_verdict("{\"cmd\":\"erase\",\"f\": 250301 ,\"mid\":\"flat-1\",\"cha\":\"CHACHACH\"}",
                   MM_LEGACY_COMMAND_GOOD);
    assert_verdict("{\"cmd\":\"erase\",\"f\":\"250301\",\"mid\":\"flat -1\",\"cha\":\"CHACHACH\"}",
                   MM_LEGACY_COMMAND_GOOD);
    assert_true(s_command.hash != hash);
    // {"cmd":"ota","cha":"........"}: 30 bytes, covers itself. Nobody has a good value, but the filling is computed.
    assert_verdict("{\"cmd\":\"ota\",\"cha\":\"00000000\"}", MM_LEGACY_COMMAND_FORGED);
}

static mm_err_t no_encryption(void *context, const uint8_t key[MM_AES256_KEY_BYTES],
                              const uint8_t block[MM_AES_BLOCK_BYTES], uint8_t result[MM_AES_BLOCK_BYTES]) {
    (void)context;
    (void)key;
    (void)block;
    (void)result;
    return MM_ERR_UNAVAILABLE;
}

static void test_legacy_without_encryption_nothing_is_good(void **state) {
    (void)state;
    const mm_crypto_t crypto = {.aes256_encrypt = no_encryption};
    static const char item[] = "{\"cmd\":\"ota\",\"f\":\"250301\",\"cha\":\"00000000\"}";
    assert_int_equal(mm_legacy_command_read(&s_command, item, sizeof item - 1, s_legacy_secret, &crypto, TODAY_S),
                     MM_LEGACY_COMMAND_NO_CRYPTO);
}

static void test_legacy_date(void **state) {
    (void)state;
    const struct {
        const char *date;
        bool good;
        bool good_without_clock;
    } cases[] = {
        {"\"250228\"", true, true},    {"\"250301\"", true, true},   {"\"250302\"", true, true},
        {"\"250303\"", false, true},   {"\"250227\"", false, true},  {"\"240301\"", false, true},
        {"\"000101\"", false, true},   {"\"991231\"", false, true},  {"250301", true, true},
        {"\"250229\"", false, false},  {"\"250230\"", false, false}, {"\"251301\"", false, false},
        {"\"250001\"", false, false},  {"\"250300\"", false, false}, {"\"25030\"", false, false},
        {"\"2503011\"", false, false}, {"\"25-301\"", false, false}, {"\"25030a\"", false, false},
        {"null", false, false},        {"\"\"", false, false},       {"true", false, false},
        {"-25030", false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char item[200];
        snprintf(item, sizeof item, "{\"cmd\":\"erase\",\"f\":%s,\"mid\":\"flat-1\",\"other\":1,\"cha\":\"CHACHACH\"}",
                 cases[i].date);
        assert_int_equal(read_at(item, TODAY_S), cases[i].good ? MM_LEGACY_COMMAND_GOOD : MM_LEGACY_COMMAND_DATE);
        assert_int_equal(read_at(item, NO_CLOCK),
                         cases[i].good_without_clock ? MM_LEGACY_COMMAND_GOOD : MM_LEGACY_COMMAND_DATE);
    }
    // Only lock is documented without a date; if it has one, it must be good.
    assert_verdict("{\"cmd\":\"erase\",\"mid\":\"flat-1\",\"other\":12345,\"cha\":\"CHACHACH\"}",
                   MM_LEGACY_COMMAND_DATE);
    assert_verdict("{\"cmd\":\"lock\",\"disCon\":[{\"mid\":\"a\",\"state\":1}],\"cha\":\"CHACHACH\"}",
                   MM_LEGACY_COMMAND_GOOD);
    assert_verdict("{\"cmd\":\"lock\",\"disCon\":[{\"mid\":\"a\",\"state\":1}],\"f\":\"240301\",\"cha\":\"CHACHACH\"}",
                   MM_LEGACY_COMMAND_DATE);
}

// --- what is no item -----------------------------------------------------------------------------------------------

static void test_legacy_malformed(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "1",
        "\"x\"",
        "{\"cmd\"}",
        "{\"cmd\":}",
        "{\"cmd\":\"ota\",}",
        "{\"cmd\":\"ota\"}x",
        "{\"cmd\":\"ota\"} {}",
        "{\"cmd\" \"ota\"}",
        "{\"cmd\",\"ota\"}",
        "{\"cmd\":\"ota\" \"f\":1}",
        "{\"cmd\":\"ota\":\"f\",1}",
        "{\"cmd\":\"ota\",,\"f\":1}",
        "{,\"cmd\":\"ota\"}",
        "{cmd:\"ota\"}",
        "{'cmd':'ota'}",
        "{1:\"ota\"}",
        "{\"cmd\":\"ota\",\"f\":,1}",
        "{\"cmd\":\"ota\",\"f\":,\"x\"}",
        "{\"cmd\":\"ota\",,[]}",
        "{\"cmd\":\"ota\",\"f\":[,{}]}",
        "{\"cmd\":\"ota\",\"f\":[{\"a\":1}:{\"a\":1}]}",
        "{\"cmd\":\"ota\",\"f\":[{\"a\":1:\"b\":1}]}",
        "{\"cmd\":\"ota\",\"f\":[{\"a\":1,}]}",
        "{\"cmd\":\"ota\",\"f\":tru}",
        "{\"cmd\":\"ota\",\"f\":nul}",
        "{\"cmd\":\"ota\",\"f\":falsey}",
        "{\"cmd\":\"ota\",\"f\":01}",
        "{\"cmd\":\"ota\",\"f\":-}",
        "{\"cmd\":\"ota\",\"f\":1.}",
        "{\"cmd\":\"ota\",\"f\":1e}",
        "{\"cmd\":\"ota\",\"f\":1e+}",
        "{\"cmd\":\"ota\",\"f\":0x1}",
        "{\"cmd\":\"ota\",\"f\":\"\\x\"}",
        "{\"cmd\":\"ota\",\"f\":\"\\u12g4\"}",
        "{\"cmd\":\"ota\",\"f\":{}}", // nesting where nothing is nested
        "{\"cmd\":\"ota\",\"f\":[1]}",
        "{\"cmd\":\"ota\",\"f\":[[]]}",
        "{\"cmd\":\"ota\",\"f\":[{\"a\":{}}]}",
        "{\"cmd\":\"ota\",\"f\":[{\"a\":[]}]}",
        "{\"cmd\":\"ota\",\"f\":[{\"a\":1}{\"a\":1}]}",
        "{\"cmd\":\"ota\",\"f\":[{\"a\":1},]}",
        "{\"cmd\":\"ota\",\"f\":[{\"a\":1}}",
        "{\"cmd\":\"ota\",\"f\":[{\"a\"}]}",
        "{\"cmd\":\"ota\",\"f\":[{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5}]}",
        "{\"cmd\":\"ota\",\"f\":[{\"a\":1}],\"g\":[{\"a\":1}]}", // two arrays
        "{\"cmd\":\"ota\",\"cmd\":\"erase\"}",                   // the same name twice
        "{\"f\":\"250301\",\"cmd\":\"ota\",\"f\":\"250301\"}",
        "{\"cmd\":\"ota\",\"f\":[{\"a\":1,\"a\":1}]}",
        "{\"cmd\":\"ota\",\"\\u0063md\":\"erase\"}", // an escaped twin
        "{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1,\"k\":1,\"l\":1,\"m\":1}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_verdict(texts[i], MM_LEGACY_COMMAND_MALFORMED);
        assert_no_more();
    }
    static const char zero[] = "{\"cmd\":\"ota\"}\0{}";
    assert_int_equal(mm_legacy_command_read(&s_command, zero, sizeof zero - 1, s_legacy_secret, &s_crypto, TODAY_S),
                     MM_LEGACY_COMMAND_MALFORMED);
    char text[MM_LEGACY_BYTES_MAX + 10];
    memset(text, ' ', sizeof text);
    memcpy(text, "{\"cmd\":1", 8);
    text[sizeof text - 1] = '}';
    assert_int_equal(mm_legacy_command_read(&s_command, text, sizeof text, s_legacy_secret, &s_crypto, TODAY_S),
                     MM_LEGACY_COMMAND_MALFORMED);
}

static void test_legacy_deep_nesting(void **state) {
    (void)state;
    static const char opening[] = "{[";
    for (size_t kind = 0; kind < 2; kind++) {
        for (size_t depth = 1; depth < 2000; depth += 111) {
            char text[MM_LEGACY_BYTES_MAX];
            mm_legacy_message_t message;
            size_t used = (size_t)snprintf(text, sizeof text, "{\"cmdarr\":[{\"cmd\":");
            memset(text + used, opening[kind], depth);
            assert_int_not_equal(mm_legacy_message_begin(&message, text, used + depth), MM_OK);
            assert_int_equal(
                mm_legacy_command_read(&s_command, text + 11, used + depth - 11, s_legacy_secret, &s_crypto, TODAY_S),
                MM_LEGACY_COMMAND_MALFORMED);
        }
    }
}

// Cut off anywhere, an item is none, and nothing behind its end is read (the sanitizers see to that).
static void test_legacy_cut_off_anywhere(void **state) {
    (void)state;
    char item[] =
        "{\"cmd\":\"lock\",\"disCon\":[{\"mid\":\"fl\\u0061t\",\"state\":-1.5e3}],\"x\":true,\"cha\":\"CHACHACH\"}";
    legacy_seal(item, &s_crypto);
    for (size_t bytes_count = 0; bytes_count < sizeof item - 1; bytes_count++) {
        char part[sizeof item];
        memset(part, '"', sizeof part);
        memcpy(part, item, bytes_count);
        assert_int_equal(mm_legacy_command_read(&s_command, part, bytes_count, s_legacy_secret, &s_crypto, TODAY_S),
                         MM_LEGACY_COMMAND_MALFORMED);
    }
}

// --- repetition ----------------------------------------------------------------------------------------------------

static void read_lock(const char *meter_id, unsigned state) {
    char item[200];
    snprintf(item, sizeof item, "{\"cmd\":\"lock\",\"disCon\":[{\"mid\":\"%s\",\"state\":%u}],\"cha\":\"CHACHACH\"}",
             meter_id, state);
    assert_verdict(item, MM_LEGACY_COMMAND_GOOD);
}

static void test_legacy_repetition(void **state) {
    (void)state;
    mm_legacy_seen_t seen;
    memset(&seen, 0, sizeof seen);
    const mm_us_t day = MM_LEGACY_REPEAT_S * MM_US_PER_S;
    const mm_us_t second = MM_US_PER_S;
    read_lock("a", 1);
    assert_false(mm_legacy_seen_is_repeated(&seen, &s_command, 5 * second));
    mm_legacy_seen_add(&seen, &s_command, 5 * second);
    assert_true(mm_legacy_seen_is_repeated(&seen, &s_command, 5 * second));
    // A message that stays in the broker is seen in every session.
    assert_true(mm_legacy_seen_is_repeated(&seen, &s_command, 4 * second + day));
    assert_true(mm_legacy_seen_is_repeated(&seen, &s_command, 3 * second + 2 * day));
    assert_false(mm_legacy_seen_is_repeated(&seen, &s_command, 3 * second + 3 * day));
    // Locked, unlocked and locked again on one day are three orders.
    mm_legacy_seen_add(&seen, &s_command, 3 * day);
    read_lock("a", 0);
    assert_false(mm_legacy_seen_is_repeated(&seen, &s_command, 3 * day));
    mm_legacy_seen_add(&seen, &s_command, 3 * day);
    assert_true(mm_legacy_seen_is_repeated(&seen, &s_command, 3 * day));
    read_lock("b", 0);
    assert_false(mm_legacy_seen_is_repeated(&seen, &s_command, 3 * day));
    read_lock("a", 1);
    assert_false(mm_legacy_seen_is_repeated(&seen, &s_command, 3 * day));
}

static void test_legacy_repetition_keeps_the_newest(void **state) {
    (void)state;
    mm_legacy_seen_t seen;
    char id[13];
    memset(&seen, 0, sizeof seen);
    for (unsigned i = 0; i < MM_LEGACY_SEEN_MAX + 3; i++) {
        snprintf(id, sizeof id, "m%u", i);
        read_lock(id, 1);
        mm_legacy_seen_add(&seen, &s_command, (mm_us_t)(100 + i) * MM_US_PER_S);
    }
    for (unsigned i = 0; i < MM_LEGACY_SEEN_MAX + 3; i++) {
        snprintf(id, sizeof id, "m%u", i);
        read_lock(id, 1);
        assert_int_equal(mm_legacy_seen_is_repeated(&seen, &s_command, 200 * MM_US_PER_S), i >= 3);
    }
}

static void test_legacy_names(void **state) {
    (void)state;
    assert_string_equal(mm_legacy_verdict_name(MM_LEGACY_COMMAND_FORGED), "forged");
    assert_string_equal(mm_legacy_verdict_name((mm_legacy_verdict_t)99), "unknown verdict");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_legacy_message_items),
        cmocka_unit_test(test_legacy_message_refused),
        cmocka_unit_test(test_legacy_message_limits),
        cmocka_unit_test(test_legacy_lock),
        cmocka_unit_test(test_legacy_lock_of_many),
        cmocka_unit_test(test_legacy_update),
        cmocka_unit_test(test_legacy_meter_kinds),
        cmocka_unit_test(test_legacy_node_kinds),
        cmocka_unit_test(test_legacy_unknown_command),
        cmocka_unit_test(test_legacy_check_value),
        cmocka_unit_test(test_legacy_check_value_is_of_the_compact_text),
        cmocka_unit_test(test_legacy_without_encryption_nothing_is_good),
        cmocka_unit_test(test_legacy_date),
        cmocka_unit_test(test_legacy_malformed),
        cmocka_unit_test(test_legacy_deep_nesting),
        cmocka_unit_test(test_legacy_cut_off_anywhere),
        cmocka_unit_test(test_legacy_repetition),
        cmocka_unit_test(test_legacy_repetition_keeps_the_newest),
        cmocka_unit_test(test_legacy_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
