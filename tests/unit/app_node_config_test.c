// SPDX-License-Identifier: Apache-2.0
#include "node_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test_support.h"

#define PARKED "mac = 02:00:00:00:00:01\nstate = /tmp/x\npulses = stdin\ndevice_key_file = k\ncommissioning = yes\n"
#define BY_HAND "mac = 02:00:00:00:00:01\nstate = /tmp/x\npulses = stdin\nsite = s\nmesh_key_file = k\n"

static node_config_t s_config;
static char s_message[512];

static bool read_text(const char *text) {
    char path[] = "/tmp/mm-node-config-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), strlen(text));
    (void)close(file);
    bool good = node_config_read(path, &s_config, s_message, sizeof s_message);
    (void)unlink(path);
    return good;
}

static void test_a_node_from_the_box_needs_no_network(void **state) {
    (void)state;
    assert_true(read_text(PARKED "configurator = 127.0.0.1:0\npop_file = p\n"));
    assert_true(s_config.commissioning);
    assert_string_equal(s_config.configurator, "127.0.0.1:0");
    assert_string_equal(s_config.site, "");
    assert_false(s_config.challenge_legacy);
    assert_true(read_text(PARKED "challenge = legacy\nlegacy_secret_file = s\n"));
    assert_true(s_config.challenge_legacy);
    assert_true(read_text(BY_HAND "meter.1 = A,1000,0\n"));
    assert_false(s_config.commissioning);
}

static void test_contradictions(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *about;
    } cases[] = {
        {PARKED "site = s\n", "remove site"},
        {PARKED "mesh_key_file = k\n", "remove site, mesh_key_file"},
        {PARKED "broker_password_file = k\n", "broker_password_file"},
        {PARKED "meter.8 = A,1000,0\n", "an installer enters the meters"},
        {PARKED "challenge = legacy\n", "legacy_secret_file"},
        {PARKED "challenge = other\n", "challenge must be"},
        {"mac = 02:00:00:00:00:01\nstate = /tmp/x\npulses = stdin\ncommissioning = yes\n", "device_key_file"},
        {BY_HAND "configurator = 127.0.0.1:0\n", "commissioning = yes"},
        {"mac = 02:00:00:00:00:01\nstate = /tmp/x\npulses = stdin\nmesh_key_file = k\n", "site"},
        {"mac = 02:00:00:00:00:01\nstate = /tmp/x\npulses = stdin\nsite = s\n", "mesh_key_file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_false(read_text(cases[i].text));
        assert_non_null(strstr(s_message, cases[i].about));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_node_from_the_box_needs_no_network),
        cmocka_unit_test(test_contradictions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
