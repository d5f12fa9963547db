// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <mosquitto.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux/linux_clock.h"
#include "linux/linux_mqtt.h"

#define PATIENCE_MS 10000

// --- a real broker -------------------------------------------------------------------------------------------------

static char s_directory[] = "/tmp/mm-mqtt-XXXXXX";
static bool s_have_broker;

typedef struct {
    pid_t pid;
    uint16_t port;
    int log;
} broker_t;

static void path_of(char *path, size_t path_bytes, const char *name) {
    (void)snprintf(path, path_bytes, "%s/%s", s_directory, name);
}

static void write_file(const char *name, const char *text) {
    char path[256];
    path_of(path, sizeof path, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int listen_on_loopback(int backlog, uint16_t *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t address_bytes = sizeof address;
    int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(file >= 0);
    assert_int_equal(bind(file, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(file, backlog), 0);
    assert_int_equal(getsockname(file, (struct sockaddr *)&address, &address_bytes), 0);
    *port = ntohs(address.sin_port);
    return file;
}

static uint16_t free_port(void) {
    uint16_t port = 0;
    int file = listen_on_loopback(1, &port);
    (void)close(file);
    return port;
}

// Runs a program with its standard error in a pipe.
static pid_t run(char *const arguments[], int *log) {
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)execvp(arguments[0], arguments);
        _exit(127);
    }
    (void)close(ends[1]);
    *log = ends[0];
    return pid;
}

// Waits until the program's output has `text`; false if it ends before.
static bool await_text(int log, const char *text) {
    char output[8192];
    size_t used = 0;
    int64_t until = mm_linux_real_us() + (int64_t)PATIENCE_MS * 1000;
    for (;;) {
        struct pollfd item = {.fd = log, .events = POLLIN};
        if (poll(&item, 1, mm_linux_timeout_ms(until, mm_linux_real_us())) <= 0 || used + 1 == sizeof output) {
            return false;
        }
        ssize_t got = read(log, output + used, sizeof output - 1 - used);
        if (got <= 0) {
            return false;
        }
        used += (size_t)got;
        output[used] = '\0';
        if (strstr(output, text) != NULL) {
            return true;
        }
    }
}

static broker_t start_broker(const char *settings) {
    for (int attempt = 0; attempt < 5; attempt++) {
        broker_t broker = {.port = free_port()};
        char text[2048];
        (void)snprintf(text, sizeof text,
                       "user root\nlistener %u 127.0.0.1\nlog_dest stderr\nlog_type information\nlog_type error\n%s\n",
                       broker.port, settings);
        write_file("broker.conf", text);
        char path[256];
        path_of(path, sizeof path, "broker.conf");
        char program[] = "mosquitto";
        char option[] = "-c";
        char *arguments[] = {program, option, path, NULL};
        broker.pid = run(arguments, &broker.log);
        if (await_text(broker.log, "running")) {
            return broker;
        }
        // Somebody else took the port in between.
        (void)kill(broker.pid, SIGKILL);
        (void)waitpid(broker.pid, NULL, 0);
        (void)close(broker.log);
    }
    fail_msg("the broker does not start");
    abort();
}

static void stop_broker(broker_t *broker) {
    if (broker->pid > 0) {
        (void)kill(broker->pid, SIGKILL);
        (void)waitpid(broker->pid, NULL, 0);
        (void)close(broker->log);
        broker->pid = 0;
    }
}

#define NEEDS_BROKER()                                                                                                 \
    do {                                                                                                               \
        if (!s_have_broker) {                                                                                          \
            print_message("skipped: there is no mosquitto\n");                                                         \
            skip();                                                                                                    \
        }                                                                                                              \
    } while (0)

// --- what a session must leave behind: nothing ---------------------------------------------------------------------

static unsigned count_entries(const char *path) {
    DIR *directory = opendir(path);
    assert_non_null(directory);
    unsigned count = 0;
    while (readdir(directory) != NULL) {
        count++;
    }
    (void)closedir(directory);
    return count;
}

typedef struct {
    unsigned threads;
    unsigned files;
} resources_t;

static resources_t resources(void) {
    return (resources_t){.threads = count_entries("/proc/self/task"), .files = count_entries("/proc/self/fd")};
}

// A thread that was joined stands in /proc until the kernel has taken it away, a moment later.
static void assert_released(resources_t before) {
    resources_t after = resources();
    for (int64_t until_us = mm_linux_real_us() + 2000000;
         after.threads != before.threads && mm_linux_real_us() < until_us; after = resources()) {
        (void)sched_yield();
    }
    assert_int_equal(after.threads, before.threads);
    assert_int_equal(after.files, before.files);
}

static void open_client_with(mm_linux_mqtt_t *mqtt, mm_linux_mqtt_options_t options, const char *host, uint16_t port) {
    char url[64];
    mm_linux_message_t message = {0};
    (void)snprintf(url, sizeof url, "%s:%u", host, port);
    options.url = url;
    options.client_id = "020000000001";
    mm_err_t err = mm_linux_mqtt_open(mqtt, &options, &message);
    if (err != MM_OK) {
        fail_msg("%s", message.text);
    }
}

static void open_client(mm_linux_mqtt_t *mqtt, uint16_t port, bool version_5, uint32_t connect_ms) {
    open_client_with(mqtt, (mm_linux_mqtt_options_t){.version_5 = version_5, .connect_ms = connect_ms},
                     "mqtt://127.0.0.1", port);
}

static bool next_event(mm_linux_mqtt_t *mqtt, mm_mqtt_event_t *event, int timeout_ms) {
    int64_t until = mm_linux_real_us() + (int64_t)timeout_ms * 1000;
    while (!mm_linux_mqtt_next_event(mqtt, event)) {
        struct pollfd item = {.fd = mm_linux_mqtt_file(mqtt), .events = POLLIN};
        if (poll(&item, 1, mm_linux_timeout_ms(until, mm_linux_real_us())) <= 0) {
            return false;
        }
    }
    return true;
}

static mm_mqtt_event_t expect(mm_linux_mqtt_t *mqtt, mm_mqtt_event_kind_t kind) {
    mm_mqtt_event_t event = {0};
    assert_true(next_event(mqtt, &event, PATIENCE_MS));
    if (event.kind != kind) {
        fail_msg("event %d instead of %d (%s)", event.kind, kind, mm_linux_mqtt_last_error(mqtt));
    }
    return event;
}

static void expect_silence(mm_linux_mqtt_t *mqtt) {
    mm_mqtt_event_t event;
    assert_false(mm_linux_mqtt_next_event(mqtt, &event));
}

static uint16_t subscribe(mm_linux_mqtt_t *mqtt, const char *topic) {
    uint16_t packet_id = 0;
    assert_int_equal(mqtt->mqtt.subscribe(mqtt->mqtt.context, topic, 1, &packet_id), MM_OK);
    assert_int_not_equal(packet_id, 0);
    mm_mqtt_event_t event = expect(mqtt, MM_MQTT_SUBSCRIBED);
    assert_int_equal(event.packet_id, packet_id);
    assert_int_equal(event.reason, 1);
    return packet_id;
}

static uint16_t publish(mm_linux_mqtt_t *mqtt, const char *topic, const void *bytes, size_t bytes_count) {
    uint16_t packet_id = 0;
    assert_int_equal(mqtt->mqtt.publish(mqtt->mqtt.context, topic, bytes, bytes_count, &packet_id), MM_OK);
    assert_int_not_equal(packet_id, 0);
    return packet_id;
}

static void start(mm_linux_mqtt_t *mqtt, uint32_t session) {
    assert_int_equal(mqtt->mqtt.start(mqtt->mqtt.context, session), MM_OK);
}

static void stop(mm_linux_mqtt_t *mqtt, bool graceful) {
    mqtt->mqtt.stop(mqtt->mqtt.context, graceful);
}

// A retained message from a client of its own.
static void publish_retained(uint16_t port, const char *topic, const void *bytes, size_t bytes_count) {
    struct mosquitto *client = mosquitto_new("retainer", true, NULL);
    assert_non_null(client);
    assert_int_equal(mosquitto_connect(client, "127.0.0.1", port, 60), MOSQ_ERR_SUCCESS);
    assert_int_equal(mosquitto_publish(client, NULL, topic, (int)bytes_count, bytes, 1, true), MOSQ_ERR_SUCCESS);
    // QoS 1: the library forgets the message with its PUBACK, and then has nothing to write.
    for (int i = 0; i < 5; i++) {
        assert_int_equal(mosquitto_loop(client, 100, 1), MOSQ_ERR_SUCCESS);
    }
    (void)mosquitto_disconnect(client);
    mosquitto_destroy(client);
}

// --- tests ---------------------------------------------------------------------------------------------------------

static void check_session(bool version_5) {
    broker_t broker = start_broker("allow_anonymous true");
    publish_retained(broker.port, "meter/site/cmd", "retained", 8);
    mm_linux_mqtt_t mqtt;
    open_client(&mqtt, broker.port, version_5, 0);
    resources_t before = resources();
    expect_silence(&mqtt);

    start(&mqtt, 7);
    assert_int_equal(mqtt.mqtt.start(mqtt.mqtt.context, 8), MM_ERR_BUSY);
    uint16_t packet_id = 0;
    assert_int_equal(mqtt.mqtt.publish(mqtt.mqtt.context, "early", "x", 1, &packet_id), MM_ERR_STATE);
    assert_int_equal(expect(&mqtt, MM_MQTT_CONNECTED).session, 7);

    (void)subscribe(&mqtt, "meter/site/cmd");
    mm_mqtt_event_t event = expect(&mqtt, MM_MQTT_DATA);
    assert_true(event.retained);
    assert_int_equal(event.session, 7);
    assert_string_equal(event.topic, "meter/site/cmd");
    assert_int_equal(event.bytes_count, 8);
    assert_memory_equal(event.bytes, "retained", 8);

    // Nobody subscribed: MQTT 5 says so (0x10), 3.1.1 cannot.
    packet_id = publish(&mqtt, "meter/site/info", "reading", 7);
    event = expect(&mqtt, MM_MQTT_PUBLISHED);
    assert_int_equal(event.packet_id, packet_id);
    assert_int_equal(event.reason, version_5 ? 0x10 : 0);

    // To ourselves: PUBACK and message, in any order.
    packet_id = publish(&mqtt, "meter/site/cmd", "", 0);
    bool published = false;
    bool received = false;
    for (int i = 0; i < 2; i++) {
        assert_true(next_event(&mqtt, &event, PATIENCE_MS));
        if (event.kind == MM_MQTT_PUBLISHED) {
            assert_int_equal(event.packet_id, packet_id);
            assert_int_equal(event.reason, 0);
            published = true;
        } else {
            assert_int_equal(event.kind, MM_MQTT_DATA);
            assert_false(event.retained);
            assert_non_null(event.bytes);
            assert_int_equal(event.bytes_count, 0);
            received = true;
        }
    }
    assert_true(published && received);

    stop(&mqtt, true);
    assert_int_equal(mqtt.mqtt.publish(mqtt.mqtt.context, "late", "x", 1, &packet_id), MM_ERR_STATE);
    assert_int_equal(mqtt.mqtt.start(mqtt.mqtt.context, 8), MM_ERR_BUSY);
    assert_int_equal(expect(&mqtt, MM_MQTT_DISCONNECTED).session, 7);
    assert_string_equal(mm_linux_mqtt_last_error(&mqtt), "");
    expect_silence(&mqtt);
    assert_released(before);
    stop(&mqtt, false);
    expect_silence(&mqtt);

    start(&mqtt, 8);
    assert_int_equal(expect(&mqtt, MM_MQTT_CONNECTED).session, 8);
    stop(&mqtt, false);
    assert_int_equal(expect(&mqtt, MM_MQTT_DISCONNECTED).session, 8);
    assert_released(before);
    mm_linux_mqtt_close(&mqtt);
    stop_broker(&broker);
}

static void test_linux_mqtt_session_5(void **state) {
    (void)state;
    NEEDS_BROKER();
    check_session(true);
}

static void test_linux_mqtt_session_311(void **state) {
    (void)state;
    NEEDS_BROKER();
    check_session(false);
}

static void test_linux_mqtt_too_large_has_no_bytes(void **state) {
    (void)state;
    NEEDS_BROKER();
    broker_t broker = start_broker("allow_anonymous true");
    mm_linux_mqtt_t mqtt;
    open_client(&mqtt, broker.port, true, 0);
    start(&mqtt, 1);
    (void)expect(&mqtt, MM_MQTT_CONNECTED);
    (void)subscribe(&mqtt, "big");
    static uint8_t bytes[MM_DOWNLINK_BYTES_MAX + 1];
    memset(bytes, 0x5A, sizeof bytes);
    for (size_t size = MM_DOWNLINK_BYTES_MAX; size <= sizeof bytes; size++) {
        (void)publish(&mqtt, "big", bytes, size);
        bool received = false;
        for (int i = 0; i < 2; i++) {
            mm_mqtt_event_t event;
            assert_true(next_event(&mqtt, &event, PATIENCE_MS));
            if (event.kind == MM_MQTT_DATA) {
                received = true;
                assert_int_equal(event.bytes_count, size);
                if (size > MM_DOWNLINK_BYTES_MAX) {
                    assert_null(event.bytes);
                } else {
                    assert_memory_equal(event.bytes, bytes, size);
                }
            }
        }
        assert_true(received);
    }
    mm_linux_mqtt_close(&mqtt);
    stop_broker(&broker);
}

// Until the session's thread can go no further.
static void await_full_queue(mm_linux_mqtt_t *mqtt) {
    int64_t until = mm_linux_real_us() + (int64_t)PATIENCE_MS * 1000;
    size_t waiting = 0;
    while (waiting < MM_LINUX_MQTT_QUEUE_EVENTS - 2 && mm_linux_real_us() < until) {
        (void)pthread_mutex_lock(&mqtt->lock);
        waiting = mqtt->queue_count;
        (void)pthread_mutex_unlock(&mqtt->lock);
        (void)sched_yield();
    }
    assert_int_equal(waiting, MM_LINUX_MQTT_QUEUE_EVENTS - 2);
}

static void test_linux_mqtt_slow_owner_loses_nothing(void **state) {
    (void)state;
    NEEDS_BROKER();
    broker_t broker = start_broker("allow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0");
    mm_linux_mqtt_t mqtt;
    open_client(&mqtt, broker.port, true, 0);
    start(&mqtt, 1);
    (void)expect(&mqtt, MM_MQTT_CONNECTED);
    (void)subscribe(&mqtt, "echo");
    // Five times what the queue holds, and the owner does not look at it.
    enum {
        COUNT = 5 * MM_LINUX_MQTT_QUEUE_EVENTS
    };
    for (uint32_t i = 0; i < COUNT; i++) {
        (void)publish(&mqtt, "echo", &i, sizeof i);
    }
    await_full_queue(&mqtt);
    uint32_t published = 0;
    uint32_t received = 0;
    while (published < COUNT || received < COUNT) {
        mm_mqtt_event_t event;
        assert_true(next_event(&mqtt, &event, PATIENCE_MS));
        if (event.kind == MM_MQTT_DATA) {
            uint32_t number;
            assert_int_equal(event.bytes_count, sizeof number);
            memcpy(&number, event.bytes, sizeof number);
            assert_int_equal(number, received);
            received++;
        } else {
            assert_int_equal(event.kind, MM_MQTT_PUBLISHED);
            published++;
        }
    }
    mm_linux_mqtt_close(&mqtt);
    stop_broker(&broker);
}

static void test_linux_mqtt_stop_with_full_queue(void **state) {
    (void)state;
    NEEDS_BROKER();
    broker_t broker = start_broker("allow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0");
    for (int closed = 0; closed < 2; closed++) {
        resources_t before = resources();
        mm_linux_mqtt_t mqtt;
        open_client(&mqtt, broker.port, true, 0);
        start(&mqtt, 1);
        (void)expect(&mqtt, MM_MQTT_CONNECTED);
        (void)subscribe(&mqtt, "echo");
        for (uint32_t i = 0; i < 2 * MM_LINUX_MQTT_QUEUE_EVENTS; i++) {
            (void)publish(&mqtt, "echo", &i, sizeof i);
        }
        await_full_queue(&mqtt);
        if (closed == 0) {
            stop(&mqtt, true);
            mm_mqtt_event_t event = {0};
            while (event.kind != MM_MQTT_DISCONNECTED) {
                assert_true(next_event(&mqtt, &event, PATIENCE_MS));
            }
            expect_silence(&mqtt);
        }
        mm_linux_mqtt_close(&mqtt);
        assert_released(before);
    }
    stop_broker(&broker);
}

static void test_linux_mqtt_credentials_refused(void **state) {
    (void)state;
    NEEDS_BROKER();
    // An empty password file: it knows nobody.
    write_file("passwords", "");
    char settings[256];
    (void)snprintf(settings, sizeof settings, "allow_anonymous false\npassword_file %s/passwords", s_directory);
    broker_t broker = start_broker(settings);
    for (int version_5 = 0; version_5 < 2; version_5++) {
        mm_linux_mqtt_t mqtt;
        mm_linux_mqtt_options_t options = {.version_5 = version_5 == 1, .user = "root", .password = "wrong"};
        open_client_with(&mqtt, options, "mqtt://127.0.0.1", broker.port);
        resources_t before = resources();
        start(&mqtt, 1);
        mm_mqtt_event_t event = expect(&mqtt, MM_MQTT_REFUSED);
        // MQTT 5: 0x87 not authorized; 3.1.1: 5 not authorized.
        assert_int_equal(event.reason, version_5 == 1 ? 0x87 : 5);
        stop(&mqtt, false);
        (void)expect(&mqtt, MM_MQTT_DISCONNECTED);
        assert_non_null(strstr(mm_linux_mqtt_last_error(&mqtt), "refused"));
        expect_silence(&mqtt);
        assert_released(before);
        mm_linux_mqtt_close(&mqtt);
    }
    stop_broker(&broker);
}

static void test_linux_mqtt_broker_killed(void **state) {
    (void)state;
    NEEDS_BROKER();
    broker_t broker = start_broker("allow_anonymous true");
    mm_linux_mqtt_t mqtt;
    open_client(&mqtt, broker.port, true, 0);
    resources_t before = resources();
    before.files -= 1; // the broker's log, closed below
    start(&mqtt, 1);
    (void)expect(&mqtt, MM_MQTT_CONNECTED);
    (void)subscribe(&mqtt, "a");
    stop_broker(&broker);
    assert_int_equal(expect(&mqtt, MM_MQTT_DISCONNECTED).session, 1);
    assert_non_null(strstr(mm_linux_mqtt_last_error(&mqtt), "connection lost"));
    assert_released(before);
    uint16_t packet_id;
    assert_int_equal(mqtt.mqtt.publish(mqtt.mqtt.context, "a", "x", 1, &packet_id), MM_ERR_STATE);
    // The contract: DISCONNECTED follows a stop, also if the connection had ended before.
    stop(&mqtt, true);
    assert_int_equal(expect(&mqtt, MM_MQTT_DISCONNECTED).session, 1);
    expect_silence(&mqtt);
    stop(&mqtt, true);
    expect_silence(&mqtt);
    mm_linux_mqtt_close(&mqtt);
}

static void expect_error(mm_linux_mqtt_t *mqtt, const char *text) {
    (void)expect(mqtt, MM_MQTT_ERROR);
    (void)expect(mqtt, MM_MQTT_DISCONNECTED);
    if (strstr(mm_linux_mqtt_last_error(mqtt), text) == NULL) {
        fail_msg("'%s' does not say '%s'", mm_linux_mqtt_last_error(mqtt), text);
    }
    expect_silence(mqtt);
}

static void test_linux_mqtt_nobody_listens(void **state) {
    (void)state;
    mm_linux_mqtt_t mqtt;
    open_client(&mqtt, free_port(), true, 0);
    resources_t before = resources();
    start(&mqtt, 1);
    expect_error(&mqtt, "Connection refused");
    assert_released(before);
    // An ended session need not be stopped before the next.
    start(&mqtt, 2);
    expect_error(&mqtt, "Connection refused");
    mm_linux_mqtt_close(&mqtt);
}

static void test_linux_mqtt_name_unknown(void **state) {
    (void)state;
    // A label of more than 63 characters cannot exist, so no name server is asked.
    static const char host[] = "mqtt://x234567890123456789012345678901234567890123456789012345678901234.invalid";
    mm_linux_mqtt_t mqtt;
    mm_linux_message_t message;
    mm_linux_mqtt_options_t options = {.url = host, .client_id = "a"};
    assert_int_equal(mm_linux_mqtt_open(&mqtt, &options, &message), MM_OK);
    start(&mqtt, 1);
    (void)expect(&mqtt, MM_MQTT_ERROR);
    assert_non_null(strstr(mm_linux_mqtt_last_error(&mqtt), ".invalid:1883: "));
    (void)expect(&mqtt, MM_MQTT_DISCONNECTED);
    mm_linux_mqtt_close(&mqtt);
}

// --- a name that has IPv6 first, whatever this machine's /etc/hosts says -------------------------------------------

typedef int getaddrinfo_fn(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **list);

static bool s_ipv6_first;

// Takes the place of libc's for the whole program, libmosquitto included.
// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name)
int getaddrinfo(const char *restrict host, const char *restrict service, const struct addrinfo *restrict hints,
                struct addrinfo **restrict list) {
    static getaddrinfo_fn *original;
    if (original == NULL) {
        void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
        memcpy(&original, &symbol, sizeof original);
    }
    if (!s_ipv6_first || host == NULL || strcmp(host, "localhost") != 0) {
        return original(host, service, hints, list);
    }
    int failed = original("::1", service, hints, list);
    if (failed == 0) {
        struct addrinfo *last = *list;
        while (last->ai_next != NULL) {
            last = last->ai_next;
        }
        failed = original("127.0.0.1", service, hints, &last->ai_next);
    }
    return failed;
}

static void test_linux_mqtt_localhost_without_ipv6_listener(void **state) {
    (void)state;
    NEEDS_BROKER();
    broker_t broker = start_broker("allow_anonymous true");
    s_ipv6_first = true;
    mm_linux_mqtt_t mqtt;
    open_client_with(&mqtt, (mm_linux_mqtt_options_t){.version_5 = true}, "mqtt://localhost", broker.port);
    start(&mqtt, 1);
    (void)expect(&mqtt, MM_MQTT_CONNECTED);
    mm_linux_mqtt_close(&mqtt);
    s_ipv6_first = false;
    stop_broker(&broker);
}

// Accepts connections (the kernel does) and never says a word.
static void test_linux_mqtt_silent_broker(void **state) {
    (void)state;
    uint16_t port;
    int listener = listen_on_loopback(8, &port);
    mm_linux_mqtt_t mqtt;
    open_client(&mqtt, port, true, 200);
    resources_t before = resources();
    int64_t begin = mm_linux_real_us();
    start(&mqtt, 1);
    expect_error(&mqtt, "no answer of the broker in time");
    assert_true(mm_linux_real_us() - begin >= 200000);
    assert_released(before);
    mm_linux_mqtt_close(&mqtt);
    (void)close(listener);
}

// Fills the queue of a listener, so that the kernel drops every further SYN.
static int make_black_hole(uint16_t *port, int fillers[4]) {
    int listener = listen_on_loopback(0, port);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(*port)};
    for (int i = 0; i < 4; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fillers[i], (const struct sockaddr *)&address, sizeof address);
    }
    return listener;
}

static void test_linux_mqtt_black_hole(void **state) {
    (void)state;
    uint16_t port;
    int fillers[4];
    int listener = make_black_hole(&port, fillers);
    mm_linux_mqtt_t mqtt;
    open_client(&mqtt, port, true, 200);
    resources_t before = resources();
    start(&mqtt, 1);
    expect_error(&mqtt, "Connection timed out");
    assert_released(before);

    // Stopped in the middle of it.
    start(&mqtt, 2);
    stop(&mqtt, true);
    (void)expect(&mqtt, MM_MQTT_DISCONNECTED);
    assert_string_equal(mm_linux_mqtt_last_error(&mqtt), "");
    assert_released(before);
    mm_linux_mqtt_close(&mqtt);
    for (int i = 0; i < 4; i++) {
        (void)close(fillers[i]);
    }
    (void)close(listener);
}

typedef enum {
    STAGE_STARTED,
    STAGE_SILENT_BROKER,
    STAGE_CONNECTED,
    STAGE_PUBLISHED,
    STAGE_COUNT
} stage_t;

static void reach(mm_linux_mqtt_t *mqtt, stage_t stage, int listener) {
    start(mqtt, 1);
    if (stage == STAGE_SILENT_BROKER) {
        // Until the CONNECT packet is there.
        struct pollfd item = {.fd = listener, .events = POLLIN};
        assert_int_equal(poll(&item, 1, PATIENCE_MS), 1);
    } else if (stage == STAGE_CONNECTED || stage == STAGE_PUBLISHED) {
        (void)expect(mqtt, MM_MQTT_CONNECTED);
        if (stage == STAGE_PUBLISHED) {
            (void)publish(mqtt, "a", "x", 1);
        }
    }
}

static void test_linux_mqtt_stop_and_close_at_each_stage(void **state) {
    (void)state;
    NEEDS_BROKER();
    broker_t broker = start_broker("allow_anonymous true");
    uint16_t silent_port;
    int listener = listen_on_loopback(16, &silent_port);
    for (int stage = 0; stage < STAGE_COUNT; stage++) {
        uint16_t port = stage == STAGE_SILENT_BROKER ? silent_port : broker.port;
        for (int graceful = 0; graceful < 2; graceful++) {
            mm_linux_mqtt_t mqtt;
            resources_t nothing = resources();
            open_client(&mqtt, port, true, 0);
            resources_t before = resources();
            reach(&mqtt, (stage_t)stage, listener);
            stop(&mqtt, graceful == 1);
            mm_mqtt_event_t event = {0};
            while (event.kind != MM_MQTT_DISCONNECTED) {
                assert_true(next_event(&mqtt, &event, PATIENCE_MS));
            }
            expect_silence(&mqtt);
            assert_released(before);
            mm_linux_mqtt_close(&mqtt);
            assert_released(nothing);
        }
        // Closed without a word.
        mm_linux_mqtt_t mqtt;
        resources_t nothing = resources();
        open_client(&mqtt, port, true, 0);
        reach(&mqtt, (stage_t)stage, listener);
        mm_linux_mqtt_close(&mqtt);
        assert_released(nothing);
    }
    (void)close(listener);
    stop_broker(&broker);
}

static bool run_openssl(const char *command) {
    char line[1024];
    (void)snprintf(line, sizeof line, "cd %s && openssl %s >/dev/null 2>&1", s_directory, command);
    return system(line) == 0; // NOLINT(cert-env33-c): a test with constant text
}

static void test_linux_mqtt_tls_is_verified(void **state) {
    (void)state;
    NEEDS_BROKER();
    static const char make[] = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
                               "-addext subjectAltName=DNS:localhost -keyout %s.key -out %s.pem";
    char good[512];
    char other[512];
    (void)snprintf(good, sizeof good, make, "good", "good");
    (void)snprintf(other, sizeof other, make, "other", "other");
    if (!run_openssl(good) || !run_openssl(other)) {
        print_message("skipped: there is no openssl\n");
        skip();
    }
    char settings[512];
    (void)snprintf(settings, sizeof settings, "allow_anonymous true\ncertfile %s/good.pem\nkeyfile %s/good.key",
                   s_directory, s_directory);
    broker_t broker = start_broker(settings);
    char good_ca[256];
    char other_ca[256];
    path_of(good_ca, sizeof good_ca, "good.pem");
    path_of(other_ca, sizeof other_ca, "other.pem");
    const struct {
        const char *host;
        const char *ca_file;
        const char *problem;
    } cases[] = {
        {"mqtts://localhost", good_ca, NULL},
        {"mqtts://localhost", other_ca, "certificate verify failed"}, // not signed by this authority
        {"mqtts://127.0.0.1", good_ca, "127.0.0.1"},                  // the certificate is for another name
        {"mqtts://localhost", NULL, "certificate verify failed"},     // the system's authorities do not know it
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mm_linux_mqtt_t mqtt;
        resources_t before = resources();
        mm_linux_mqtt_options_t options = {.ca_file = cases[i].ca_file, .version_5 = true};
        open_client_with(&mqtt, options, cases[i].host, broker.port);
        start(&mqtt, 1);
        if (cases[i].problem == NULL) {
            (void)expect(&mqtt, MM_MQTT_CONNECTED);
            (void)subscribe(&mqtt, "a");
            (void)publish(&mqtt, "b", "x", 1);
            (void)expect(&mqtt, MM_MQTT_PUBLISHED);
            stop(&mqtt, true);
            (void)expect(&mqtt, MM_MQTT_DISCONNECTED);
        } else {
            expect_error(&mqtt, cases[i].problem);
        }
        mm_linux_mqtt_close(&mqtt);
        assert_released(before);
    }
    stop_broker(&broker);
}

static void test_linux_mqtt_options_refused(void **state) {
    (void)state;
    static const char *const urls[] = {"",
                                       "127.0.0.1",
                                       "http://127.0.0.1",
                                       "mqtt://",
                                       "mqtt://:1883",
                                       "mqtt://a:0",
                                       "mqtt://a:65536",
                                       "mqtt://a:123456789",
                                       "mqtt://a:",
                                       "mqtt://a:1883x",
                                       "mqtt://a/path",
                                       "mqtt://user:secret@a:1883",
                                       "mqtt://user:secret",
                                       "http://user:secret@a",
                                       "secret",
                                       "mqtt://[::1",
                                       "mqtts://[]:1"};
    mm_linux_mqtt_t mqtt;
    mm_linux_message_t message;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        message.text[0] = '\0';
        mm_linux_mqtt_options_t options = {.url = urls[i], .client_id = "a"};
        assert_int_equal(mm_linux_mqtt_open(&mqtt, &options, &message), MM_ERR_ARG);
        assert_non_null(strstr(message.text, "expected mqtt://"));
        assert_null(strstr(message.text, "secret"));
        assert_int_equal(strstr(message.text, "do not belong") != NULL, strchr(urls[i], '@') != NULL);
        mm_linux_mqtt_close(&mqtt);
    }
    mm_linux_mqtt_options_t options = {.url = "mqtt://a"};
    assert_int_equal(mm_linux_mqtt_open(&mqtt, &options, &message), MM_ERR_ARG);
    options = (mm_linux_mqtt_options_t){.url = "mqtts://a", .client_id = "a", .ca_file = "/nonexistent/ca.pem"};
    assert_int_equal(mm_linux_mqtt_open(&mqtt, &options, &message), MM_ERR_STORAGE);
    assert_non_null(strstr(message.text, "/nonexistent/ca.pem"));

    static const struct {
        const char *url;
        const char *host;
        uint16_t port;
        bool tls;
    } good[] = {{"mqtt://a.b", "a.b", 1883, false},
                {"mqtts://a.b/", "a.b", 8883, true},
                {"mqtt://[::1]", "::1", 1883, false},
                {"mqtts://[fe80::1]:65535", "fe80::1", 65535, true}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        options = (mm_linux_mqtt_options_t){.url = good[i].url, .client_id = "a"};
        assert_int_equal(mm_linux_mqtt_open(&mqtt, &options, &message), MM_OK);
        assert_string_equal(mqtt.host, good[i].host);
        assert_int_equal(mqtt.port, good[i].port);
        assert_int_equal(mqtt.tls, good[i].tls);
        mm_linux_mqtt_close(&mqtt);
    }
}

// --- program -------------------------------------------------------------------------------------------------------

static int set_up(void **state) {
    (void)state;
    // The broker lives where ordinary users have no path to.
    const char *path = getenv("PATH");
    char extended[4096];
    (void)snprintf(extended, sizeof extended, "%s:/usr/sbin:/usr/local/sbin", path != NULL ? path : "/usr/bin:/bin");
    (void)setenv("PATH", extended, 1);
    char program[] = "mosquitto";
    char option[] = "-h";
    char *arguments[] = {program, option, NULL};
    int log;
    pid_t pid = run(arguments, &log);
    s_have_broker = await_text(log, "mosquitto version");
    (void)close(log);
    (void)waitpid(pid, NULL, 0);
    // OpenSSL and the resolver open files and make caches with their first use.
    (void)mosquitto_lib_init();
    return mkdtemp(s_directory) != NULL ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    static const char *const names[] = {"broker.conf", "passwords", "good.pem", "good.key", "other.pem", "other.key"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[256];
        path_of(path, sizeof path, names[i]);
        (void)unlink(path);
    }
    (void)mosquitto_lib_cleanup();
    return rmdir(s_directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linux_mqtt_options_refused),
        cmocka_unit_test(test_linux_mqtt_session_5),
        cmocka_unit_test(test_linux_mqtt_session_311),
        cmocka_unit_test(test_linux_mqtt_too_large_has_no_bytes),
        cmocka_unit_test(test_linux_mqtt_slow_owner_loses_nothing),
        cmocka_unit_test(test_linux_mqtt_stop_with_full_queue),
        cmocka_unit_test(test_linux_mqtt_credentials_refused),
        cmocka_unit_test(test_linux_mqtt_broker_killed),
        cmocka_unit_test(test_linux_mqtt_nobody_listens),
        cmocka_unit_test(test_linux_mqtt_name_unknown),
        cmocka_unit_test(test_linux_mqtt_localhost_without_ipv6_listener),
        cmocka_unit_test(test_linux_mqtt_silent_broker),
        cmocka_unit_test(test_linux_mqtt_black_hole),
        cmocka_unit_test(test_linux_mqtt_stop_and_close_at_each_stage),
        cmocka_unit_test(test_linux_mqtt_tls_is_verified),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
