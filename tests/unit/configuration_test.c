// SPDX-License-Identifier: Apache-2.0
#include "configuration_fixture.h"

#include <stdio.h>

static size_t encode(const mm_configuration_t *configuration, uint8_t bytes[MM_CONFIGURATION_BYTES_MAX]) {
    mm_writer_t writer = mm_writer(bytes, MM_CONFIGURATION_BYTES_MAX);
    mm_configuration_encode(configuration, &writer);
    assert_false(writer.failed);
    return writer.used_bytes;
}

static mm_err_t decode(const uint8_t *bytes, size_t bytes_count, mm_configuration_t *configuration) {
    mm_reader_t reader = mm_reader(bytes, bytes_count);
    return mm_configuration_decode(configuration, &reader);
}

static void test_configuration_is_as_written(void **state) {
    (void)state;
    uint8_t bytes[MM_CONFIGURATION_BYTES_MAX];
    mm_configuration_t before = example_configuration(7);
    mm_configuration_t after;
    size_t size = encode(&before, bytes);
    assert_int_equal(decode(bytes, size, &after), MM_OK);
    assert_int_equal(after.phase.state, MM_LIFE_AWAITING);
    assert_int_equal(after.challenge_lock_outs, 3);
    assert_true(after.has_network && after.has_installation);
    assert_int_equal(after.network.revision, 17);
    assert_string_equal(after.network.router.password, "12345678");
    assert_string_equal(after.network.broker.url, "mqtts://broker.example:8883");
    assert_memory_equal(after.network.mesh_key, before.network.mesh_key, 32);
    assert_int_equal(after.installation.revision, 7);
    assert_int_equal(after.installation.parish, 500);
    assert_int_equal(after.installation.postal_code, 170150);
    assert_string_equal(after.installation.address, before.installation.address);
    assert_string_equal(after.installation.installer, before.installation.installer);
    assert_string_equal(after.installation.channels[0].meter.id, "MT-0001");
    assert_int_equal(after.installation.channels[0].meter.start_wh, 1234567);
    assert_true(after.installation.channels[0].prepaid);
    assert_int_equal(after.installation.channels[0].limits.quiet_hours, 0x00C0003F);
    assert_int_equal(after.installation.channels[0].limits.quiet_days, 0x41);
    assert_string_equal(after.installation.channels[1].meter.id, "");
    assert_int_equal(after.installation.channels[3].meter.pulse_constant, 10000);
    assert_same_configuration(&before, &after);
}

// The specification's example, written down by hand.
static void test_configuration_bytes(void **state) {
    (void)state;
    mm_configuration_t parked = {0};
    uint8_t bytes[MM_CONFIGURATION_BYTES_MAX];
    static const uint8_t expected[] = {2, 0, 0, 0, 0};
    assert_int_equal(encode(&parked, bytes), sizeof expected);
    assert_memory_equal(bytes, expected, sizeof expected);
    mm_configuration_t one = {
        .phase = {MM_LIFE_RUNNING, MM_LIFE_RUNNING}, .confirmed_channels = 0xFF, .has_installation = true};
    one.installation = (mm_installation_t){.revision = 2, .node_no = 258, .installer = "Ana"};
    one.installation.channels[1] = (mm_channel_setup_t){{"A", 1000, 5}, true, {1, 2, 3, 4}};
    static const uint8_t running[] = {2, 2,   4,    0,   255,                      // version … confirmed channels
                                      2, 0,   0,    0,   2,   1, 0, 0,             // revision, node
                                      0, 0,   0,    0,   0,   0, 0, 0, 0, 0,       // place
                                      0, 3,   'A',  'n', 'a',                      // address, installer
                                      0,                                           // channel 0
                                      1, 'A', 0xE8, 3,   5,   0, 0, 0, 0, 0, 0, 0, // channel 1
                                      1, 1,   0,    0,   0,   2, 0, 0, 0, 3, 0, 0, 0, 4, //
                                      0, 0,   0,    0,   0,   0};
    assert_int_equal(encode(&one, bytes), sizeof running);
    assert_memory_equal(bytes, running, sizeof running);
}

// Version 1 had no confirmed channels: who was running goes on, whoever waited waits on.
static void test_configuration_of_version_1(void **state) {
    (void)state;
    static const struct {
        mm_life_state_t state;
        uint8_t confirmed;
    } cases[] = {
        {MM_LIFE_PARKED, 0}, {MM_LIFE_PROVISIONED, 0}, {MM_LIFE_AWAITING, 0}, {MM_LIFE_RUNNING, MM_ALL_CHANNELS}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mm_configuration_t before = example_configuration(7);
        before.phase = (mm_life_cycle_t){cases[i].state, cases[i].state};
        before.confirmed_channels = 0x55; // what version 1 could not say
        mm_configuration_t after;
        uint8_t bytes[MM_CONFIGURATION_BYTES_MAX];
        size_t size = encode(&before, bytes);
        memmove(bytes + 4, bytes + 5, size - 5);
        bytes[0] = 1;
        assert_int_equal(decode(bytes, size - 1, &after), MM_OK);
        assert_int_equal(after.confirmed_channels, cases[i].confirmed);
        assert_int_equal(mm_configuration_unconfirmed(&after), (uint8_t)~cases[i].confirmed);
        before.confirmed_channels = cases[i].confirmed;
        assert_same_configuration(&before, &after);
        assert_int_equal(decode(bytes, size - 2, &after), MM_ERR_CORRUPT);
        assert_int_equal(decode(bytes, size, &after), MM_ERR_CORRUPT);
    }
    const mm_configuration_t none = {.confirmed_channels = 0};
    assert_int_equal(mm_configuration_unconfirmed(&none), 0); // nothing is installed that could wait
}

static void test_configuration_phase_that_passes_is_not_written(void **state) {
    (void)state;
    static const struct {
        mm_life_cycle_t phase;
        mm_life_state_t state;
    } cases[] = {{{MM_LIFE_CONFIGURING, MM_LIFE_RUNNING}, MM_LIFE_RUNNING},
                 {{MM_LIFE_CONFIGURING, MM_LIFE_PROVISIONED}, MM_LIFE_PROVISIONED},
                 {{MM_LIFE_FAULT, MM_LIFE_AWAITING}, MM_LIFE_AWAITING},
                 {{MM_LIFE_PARKED, MM_LIFE_PARKED}, MM_LIFE_PARKED}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mm_configuration_t configuration = {.phase = cases[i].phase};
        mm_configuration_t after;
        uint8_t bytes[MM_CONFIGURATION_BYTES_MAX];
        assert_int_equal(decode(bytes, encode(&configuration, bytes), &after), MM_OK);
        assert_int_equal(after.phase.state, cases[i].state);
        assert_int_equal(after.phase.before, cases[i].state);
    }
}

static void test_configuration_largest_fits(void **state) {
    (void)state;
    mm_configuration_t configuration = example_configuration(UINT32_MAX);
    mm_network_t *network = &configuration.network;
    memset(network->site, 'a', MM_SITE_CHARS_MAX);
    memset(network->router.ssid, 'a', MM_NETWORK_NAME_CHARS_MAX);
    memset(network->router.password, 'a', MM_NETWORK_PASSWORD_CHARS_MAX);
    memset(network->broker.url, 'a', MM_BROKER_URL_CHARS_MAX);
    memset(network->broker.user, 'a', MM_BROKER_WORD_CHARS_MAX);
    memset(network->broker.password, 'a', MM_BROKER_WORD_CHARS_MAX);
    mm_installation_t *installation = &configuration.installation;
    memset(installation->address, 'a', MM_ADDRESS_CHARS_MAX);
    memset(installation->installer, 'a', MM_INSTALLER_CHARS_MAX);
    for (uint8_t channel = 0; channel < MM_CHANNELS; channel++) {
        installation->channels[channel] = (mm_channel_setup_t){{"12345678901", 10000, MM_START_WH_MAX}, true, {0}};
        installation->channels[channel].meter.id[11] = (char)('a' + channel);
    }
    mm_configuration_t after;
    uint8_t bytes[MM_CONFIGURATION_BYTES_MAX];
    size_t size = encode(&configuration, bytes);
    assert_int_equal(decode(bytes, size, &after), MM_OK);
    assert_same_configuration(&configuration, &after);
    printf("configuration: bytes=%zu of %d\n", size, MM_CONFIGURATION_BYTES_MAX);
}

static void test_configuration_refuses_other_bytes(void **state) {
    (void)state;
    mm_configuration_t before = example_configuration(7);
    mm_configuration_t after;
    uint8_t bytes[MM_CONFIGURATION_BYTES_MAX];
    size_t size = encode(&before, bytes);
    for (size_t length = 0; length < size; length++) {
        assert_int_equal(decode(bytes, length, &after), MM_ERR_CORRUPT);
        assert_false(after.has_network || after.has_installation);
    }
    bytes[size] = 0;
    assert_int_equal(decode(bytes, size + 1, &after), MM_ERR_CORRUPT);
    // Every value of every byte: refused, or it is written as it was read.
    unsigned refused = 0;
    for (size_t index = 0; index < size; index++) {
        uint8_t original = bytes[index];
        for (int value = 0; value < 256; value++) {
            bytes[index] = (uint8_t)value;
            mm_err_t err = decode(bytes, size, &after);
            if (err == MM_OK) {
                uint8_t again[MM_CONFIGURATION_BYTES_MAX];
                assert_int_equal(encode(&after, again), size);
                assert_memory_equal(again, bytes, size);
            } else {
                assert_int_equal(err, index == 0 && value > 2 ? MM_ERR_VERSION : MM_ERR_CORRUPT);
                refused++;
            }
        }
        bytes[index] = original;
    }
    assert_true(refused > 1000);
}

static void test_configuration_encode_asserts_what_is_checked(void **state) {
    (void)state;
    uint8_t bytes[MM_CONFIGURATION_BYTES_MAX];
    mm_configuration_t configuration = example_configuration(0);
    expect_assert_failure((void)encode(&configuration, bytes));
    configuration = example_configuration(1);
    configuration.installation.node_no = 0;
    expect_assert_failure((void)encode(&configuration, bytes));
    configuration = example_configuration(1);
    configuration.network.site[0] = '\0';
    expect_assert_failure((void)encode(&configuration, bytes));
}

// Checks. Each case spoils one thing of a good installation and names what must be found.

typedef struct {
    const char *name;
    void (*spoil)(mm_installation_t *installation);
    mm_field_t field; ///< MM_FIELD_NONE: good
    uint8_t channel;
} spoilt_t;

#define SPOIL(name, statement)                                                                                         \
    static void name(mm_installation_t *i) {                                                                           \
        statement;                                                                                                     \
    }
SPOIL(as_it_is, (void)i)
SPOIL(node_0, i->node_no = 0)
SPOIL(node_max, i->node_no = 100000)
SPOIL(node_above, i->node_no = 100001)
SPOIL(province_0, i->province = 0)
SPOIL(province_max, i->province = 200)
SPOIL(province_above, i->province = 201)
SPOIL(canton_0, i->canton = 0)
SPOIL(canton_max, i->canton = 500)
SPOIL(canton_above, i->canton = 501)
SPOIL(parish_0, i->parish = 0)
SPOIL(parish_above, i->parish = 501)
SPOIL(postal_0, i->postal_code = 0)
SPOIL(postal_max, i->postal_code = 9999999)
SPOIL(postal_above, i->postal_code = 10000000)
SPOIL(no_address, memset(i->address, 0, sizeof i->address))
SPOIL(address_open, memset(i->address, 'a', sizeof i->address))
SPOIL(address_binary, strcpy(i->address, "\xFF"))
SPOIL(installer_2, strcpy(i->installer, "Jo"))
SPOIL(installer_2_letters, strcpy(i->installer, "\xC3\xB1\xC3\xB1"))
SPOIL(installer_3, strcpy(i->installer, "Eva"))
SPOIL(installer_line, strcpy(i->installer, "Eva\nMia"))
SPOIL(installer_open, memset(i->installer, 'a', sizeof i->installer))
SPOIL(id_blank, strcpy(i->channels[3].meter.id, "MT 1"))
SPOIL(id_comma, strcpy(i->channels[3].meter.id, "MT,1"))
SPOIL(id_open, memset(i->channels[3].meter.id, 'a', sizeof i->channels[3].meter.id))
SPOIL(id_longest, strcpy(i->channels[3].meter.id, "123456789012"))
SPOIL(id_twin, strcpy(i->channels[3].meter.id, "MT-0001"))
SPOIL(constant_below, i->channels[3].meter.pulse_constant = 99)
SPOIL(constant_min, i->channels[3].meter.pulse_constant = 100)
SPOIL(constant_above, i->channels[3].meter.pulse_constant = 10001)
SPOIL(start_max, i->channels[3].meter.start_wh = 3000000000)
SPOIL(start_above, i->channels[3].meter.start_wh = 3000000001)
SPOIL(warning_max, i->channels[3].limits.warning_wh = 1000000000)
SPOIL(warning_above, i->channels[3].limits.warning_wh = 1000000001)
SPOIL(emergency_above, i->channels[3].limits.emergency_wh = 1000000001)
SPOIL(hours_above, i->channels[3].limits.quiet_hours = 0x01000000)
SPOIL(days_above, i->channels[3].limits.quiet_days = 0x80)
SPOIL(absent_constant, i->channels[5].meter.pulse_constant = 1000)
SPOIL(absent_start, i->channels[5].meter.start_wh = 1)
SPOIL(absent_prepaid, i->channels[5].prepaid = true)
SPOIL(absent_warning, i->channels[5].limits.warning_wh = 1)
SPOIL(absent_emergency, i->channels[5].limits.emergency_wh = 1)
SPOIL(absent_hours, i->channels[5].limits.quiet_hours = 1)
SPOIL(absent_days, i->channels[5].limits.quiet_days = 1)
SPOIL(no_meter, memset(i->channels, 0, sizeof i->channels))

static const spoilt_t spoilt[] = {
    {"as it is", as_it_is, MM_FIELD_NONE, 0},
    {"node 0", node_0, MM_FIELD_NODE_NO, 0},
    {"node max", node_max, MM_FIELD_NONE, 0},
    {"node above", node_above, MM_FIELD_NODE_NO, 0},
    {"province 0", province_0, MM_FIELD_NONE, 0},
    {"province max", province_max, MM_FIELD_NONE, 0},
    {"province above", province_above, MM_FIELD_PROVINCE, 0},
    {"canton 0", canton_0, MM_FIELD_NONE, 0},
    {"canton max", canton_max, MM_FIELD_NONE, 0},
    {"canton above", canton_above, MM_FIELD_CANTON, 0},
    {"parish 0", parish_0, MM_FIELD_NONE, 0},
    {"parish above", parish_above, MM_FIELD_PARISH, 0},
    {"postal 0", postal_0, MM_FIELD_NONE, 0},
    {"postal max", postal_max, MM_FIELD_NONE, 0},
    {"postal above", postal_above, MM_FIELD_POSTAL_CODE, 0},
    {"no address", no_address, MM_FIELD_NONE, 0},
    {"address open", address_open, MM_FIELD_ADDRESS, 0},
    {"address binary", address_binary, MM_FIELD_ADDRESS, 0},
    {"installer 2", installer_2, MM_FIELD_INSTALLER, 0},
    {"installer 2 letters", installer_2_letters, MM_FIELD_INSTALLER, 0},
    {"installer 3", installer_3, MM_FIELD_NONE, 0},
    {"installer line", installer_line, MM_FIELD_INSTALLER, 0},
    {"installer open", installer_open, MM_FIELD_INSTALLER, 0},
    {"id blank", id_blank, MM_FIELD_METER_ID, 3},
    {"id comma", id_comma, MM_FIELD_METER_ID, 3},
    {"id open", id_open, MM_FIELD_METER_ID, 3},
    {"id longest", id_longest, MM_FIELD_NONE, 0},
    {"id twin", id_twin, MM_FIELD_METER_ID, 3},
    {"constant below", constant_below, MM_FIELD_PULSE_CONSTANT, 3},
    {"constant min", constant_min, MM_FIELD_NONE, 0},
    {"constant above", constant_above, MM_FIELD_PULSE_CONSTANT, 3},
    {"start max", start_max, MM_FIELD_NONE, 0},
    {"start above", start_above, MM_FIELD_START_WH, 3},
    {"warning max", warning_max, MM_FIELD_NONE, 0},
    {"warning above", warning_above, MM_FIELD_WARNING_WH, 3},
    {"emergency above", emergency_above, MM_FIELD_EMERGENCY_WH, 3},
    {"hours above", hours_above, MM_FIELD_PREPAID, 3},
    {"days above", days_above, MM_FIELD_PREPAID, 3},
    {"absent constant", absent_constant, MM_FIELD_METER_ID, 5},
    {"absent start", absent_start, MM_FIELD_METER_ID, 5},
    {"absent prepaid", absent_prepaid, MM_FIELD_METER_ID, 5},
    {"absent warning", absent_warning, MM_FIELD_METER_ID, 5},
    {"absent emergency", absent_emergency, MM_FIELD_METER_ID, 5},
    {"absent hours", absent_hours, MM_FIELD_METER_ID, 5},
    {"absent days", absent_days, MM_FIELD_METER_ID, 5},
    {"no meter", no_meter, MM_FIELD_METER_ID, 0},
};

static void test_configuration_names_each_problem(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof spoilt / sizeof spoilt[0]; i++) {
        mm_installation_t installation = example_installation(1);
        spoilt[i].spoil(&installation);
        mm_field_problem_t problems[MM_FIELD_PROBLEMS_MAX];
        size_t count = mm_installation_check(&installation, problems, MM_FIELD_PROBLEMS_MAX);
        if (count != (spoilt[i].field == MM_FIELD_NONE ? 0 : 1) ||
            (count == 1 && (problems[0].field != spoilt[i].field || problems[0].channel != spoilt[i].channel ||
                            strlen(problems[0].what) < 10))) {
            fail_msg("%s: %zu problems, first %s", spoilt[i].name, count,
                     count > 0 ? mm_field_name(problems[0].field) : "-");
        }
    }
}

static void test_configuration_problems_are_limited(void **state) {
    (void)state;
    mm_installation_t installation = {.province = 999, .canton = 999};
    mm_field_problem_t problems[3] = {{MM_FIELD_NONE, 0, NULL}, {MM_FIELD_NONE, 0, NULL}, {MM_FIELD_NONE, 0, NULL}};
    assert_int_equal(mm_installation_check(&installation, problems, 2), 2);
    assert_int_equal(problems[1].field, MM_FIELD_PROVINCE);
    assert_int_equal(problems[2].field, MM_FIELD_NONE);
}

static void test_configuration_checks_networks(void **state) {
    (void)state;
    mm_network_t good = example_network(1);
    assert_int_equal(mm_network_check(&good), MM_OK);
    mm_network_t network = good;
    memset(network.router.password, 0, sizeof network.router.password);
    assert_int_equal(mm_network_check(&network), MM_OK); // open
    strcpy(network.router.password, "1234567");
    assert_int_equal(mm_network_check(&network), MM_ERR_ARG);
    static const char *const sites[] = {"", "a b", "A", "a/b", "a+", "\xC3\xB1", "a_b"};
    for (size_t i = 0; i < sizeof sites / sizeof sites[0]; i++) {
        network = good;
        memset(network.site, 0, sizeof network.site);
        strcpy(network.site, sites[i]);
        assert_int_equal(mm_network_check(&network), MM_ERR_ARG);
    }
    network = good;
    memset(network.site, 'a', sizeof network.site);
    assert_int_equal(mm_network_check(&network), MM_ERR_ARG);
    char *const texts[] = {network.router.ssid, network.router.password, network.broker.url, network.broker.user,
                           network.broker.password};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        network = good;
        strcpy(texts[i], "1234567\n9");
        assert_int_equal(mm_network_check(&network), MM_ERR_ARG);
    }
}

static void test_configuration_field_names(void **state) {
    (void)state;
    for (int left = 0; left < MM_FIELD_COUNT; left++) {
        for (int right = 0; right < left; right++) {
            assert_string_not_equal(mm_field_name((mm_field_t)left), mm_field_name((mm_field_t)right));
        }
    }
    assert_string_equal(mm_field_name(MM_FIELD_COUNT), "unknown");
    assert_false(mm_field_is_of_meter(MM_FIELD_ROUTER_PASSWORD));
    assert_true(mm_field_is_of_meter(MM_FIELD_METER_ID));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_configuration_is_as_written),
        cmocka_unit_test(test_configuration_bytes),
        cmocka_unit_test(test_configuration_of_version_1),
        cmocka_unit_test(test_configuration_phase_that_passes_is_not_written),
        cmocka_unit_test(test_configuration_largest_fits),
        cmocka_unit_test(test_configuration_refuses_other_bytes),
        cmocka_unit_test(test_configuration_encode_asserts_what_is_checked),
        cmocka_unit_test(test_configuration_names_each_problem),
        cmocka_unit_test(test_configuration_problems_are_limited),
        cmocka_unit_test(test_configuration_checks_networks),
        cmocka_unit_test(test_configuration_field_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
