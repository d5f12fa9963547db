// SPDX-License-Identifier: Apache-2.0
// HQ as a whole against a real Mosquitto: the broker absent, killed and back, HQ killed and back.
#include "hq_support.h"

#include "hq.h"

#include <arpa/inet.h>
#include <mosquitto.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#define PATIENCE_MS 30000
#define STEP_MS 50

typedef struct {
    hq_world_t *world;
    int port;
    pid_t broker;
    pid_t hq;
    char http[64];
    bool mqtt311;
    struct mosquitto *client;
    bool subscribed;
    int published_mid;
    bool acked;
    mm_ack_t ack;
} scene_t;

static const char *find_broker(void) {
    static const char *const paths[] = {"/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/usr/bin/mosquitto"};
    for (size_t index = 0; index < sizeof paths / sizeof paths[0]; index++) {
        if (access(paths[index], X_OK) == 0) {
            return paths[index];
        }
    }
    return NULL;
}

static int64_t now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static int free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    int probe = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(probe, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(probe, (struct sockaddr *)&address, &bytes), 0);
    close(probe);
    return ntohs(address.sin_port);
}

static void start_broker(scene_t *self) {
    char path[160];
    char log[160];
    snprintf(path, sizeof path, "%s/broker.conf", self->world->directory);
    snprintf(log, sizeof log, "%s/broker.log", self->world->directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "listener %d 127.0.0.1\nallow_anonymous true\npersistence false\nuser root\nlog_dest file %s\n",
            self->port, log);
    fclose(file);
    self->broker = fork();
    assert_true(self->broker >= 0);
    if (self->broker == 0) {
        execl(find_broker(), "mosquitto", "-c", path, (char *)NULL);
        _exit(127);
    }
}

static void end(pid_t *child, int signal_no, int *status) {
    if (*child > 0) {
        kill(*child, signal_no);
        assert_int_equal(waitpid(*child, status, 0), *child);
        *child = 0;
    }
}

// The child's standard output is only the line that says where it listens.
static void start_hq(scene_t *self) {
    int pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    fflush(NULL);
    self->hq = fork();
    assert_true(self->hq >= 0);
    if (self->hq == 0) {
        char url[64];
        char log[160];
        snprintf(log, sizeof log, "%s/hq.log", self->world->directory);
        int log_file = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(pipe_ends[1], STDOUT_FILENO);
        dup2(log_file, STDERR_FILENO);
        close(pipe_ends[0]);
        snprintf(url, sizeof url, "mqtt://127.0.0.1:%d", self->port);
        const mm_hq_site_tz_t zones[] = {{"home", "CET-1CEST,M3.5.0,M10.5.0/3"}};
        const mm_hq_options_t options = {.database_path = self->world->database,
                                         .broker_url = url,
                                         .broker_mqtt311 = self->mqtt311,
                                         .http_address = "127.0.0.1:0",
                                         .site_tzs = zones,
                                         .site_tz_count = 1};
        _exit(mm_hq_run(&options));
    }
    close(pipe_ends[1]);
    char line[128] = "";
    FILE *output = fdopen(pipe_ends[0], "r");
    assert_non_null(fgets(line, sizeof line, output));
    fclose(output);
    assert_int_equal(sscanf(line, "hq: listening http://%63s", self->http), 1);
}

// --- the gateway's side

static void on_subscribe(struct mosquitto *client, void *context, int mid, int count, const int *granted) {
    (void)client;
    (void)mid;
    (void)count;
    (void)granted;
    ((scene_t *)context)->subscribed = true;
}

static void on_publish(struct mosquitto *client, void *context, int mid) {
    (void)client;
    ((scene_t *)context)->published_mid = mid;
}

static void on_connect(struct mosquitto *client, void *context, int code) {
    (void)context;
    if (code == 0) {
        mosquitto_subscribe(client, NULL, "meter/home/ack", 1);
    }
}

static void on_message(struct mosquitto *client, void *context, const struct mosquitto_message *message) {
    (void)client;
    scene_t *self = context;
    assert_int_equal(mm_ack_read(message->payload, (size_t)message->payloadlen, &self->ack), MM_OK);
    self->acked = true;
}

static void disconnect_gateway(scene_t *self) {
    if (self->client != NULL) {
        mosquitto_destroy(self->client);
        self->client = NULL;
    }
}

static void connect_gateway(scene_t *self) {
    int64_t deadline = now_ms() + PATIENCE_MS;
    disconnect_gateway(self);
    self->subscribed = false;
    self->acked = false;
    self->published_mid = 0;
    self->client = mosquitto_new(NULL, true, self);
    assert_non_null(self->client);
    mosquitto_connect_callback_set(self->client, on_connect);
    mosquitto_subscribe_callback_set(self->client, on_subscribe);
    mosquitto_publish_callback_set(self->client, on_publish);
    mosquitto_message_callback_set(self->client, on_message);
    while (mosquitto_connect(self->client, "127.0.0.1", self->port, 60) != MOSQ_ERR_SUCCESS) {
        assert_true(now_ms() < deadline);
        usleep(STEP_MS * 1000); // the broker is another program: nothing to wait on but its port
    }
    while (!self->subscribed) {
        assert_true(now_ms() < deadline);
        mosquitto_loop(self->client, STEP_MS, 1);
    }
}

static uint32_t acked_seq(const scene_t *self) {
    for (size_t index = 0; self->acked && index < self->ack.entry_count; index++) {
        if (mm_mac_equal(self->ack.entries[index].node, hq_mac(1))) {
            return self->ack.entries[index].watermark.seq;
        }
    }
    return 0;
}

// As a gateway does: send again until the watermark says that it has arrived.
static void deliver(scene_t *self, uint32_t first, uint32_t last) {
    int64_t deadline = now_ms() + PATIENCE_MS;
    int64_t send_at = 0;
    hq_batch_t batch;
    hq_batch_intervals(&batch, hq_mac(1), 1, first, last);
    while (acked_seq(self) < last) {
        assert_true(now_ms() < deadline);
        if (now_ms() >= send_at) {
            assert_int_equal(mosquitto_publish(self->client, NULL, "meter/home/info", (int)batch.message_bytes,
                                               batch.message, 1, false),
                             MOSQ_ERR_SUCCESS);
            send_at = now_ms() + 1000;
        }
        assert_int_equal(mosquitto_loop(self->client, STEP_MS, 1), MOSQ_ERR_SUCCESS);
    }
}

static void await_ack(scene_t *self, uint32_t last) {
    int64_t deadline = now_ms() + PATIENCE_MS;
    while (acked_seq(self) < last) {
        assert_true(now_ms() < deadline);
        assert_int_equal(mosquitto_loop(self->client, STEP_MS, 1), MOSQ_ERR_SUCCESS);
    }
}

static int setup(void **state) {
    void *world = NULL;
    scene_t *self = calloc(1, sizeof *self);
    if (self == NULL || hq_world_setup(&world) != 0) {
        return -1;
    }
    self->world = world;
    self->port = free_port();
    mosquitto_lib_init();
    *state = self;
    return 0;
}

static int teardown(void **state) {
    scene_t *self = *state;
    int status = 0;
    disconnect_gateway(self);
    end(&self->hq, SIGKILL, &status);
    end(&self->broker, SIGKILL, &status);
    mosquitto_lib_cleanup();
    void *world = self->world;
    hq_world_teardown(&world);
    free(self);
    return 0;
}

static void test_hq_survives_broker_and_itself(void **state) {
    scene_t *self = *state;
    int status = 0;
    start_hq(self); // there is no broker yet
    start_broker(self);
    connect_gateway(self);
    deliver(self, 1, 20);

    // The broker dies and forgets everything: the retained acknowledgement comes back by itself.
    disconnect_gateway(self);
    end(&self->broker, SIGKILL, &status);
    start_broker(self);
    connect_gateway(self);
    await_ack(self, 20);
    deliver(self, 21, 40);

    // It is retained: who comes later is told without anybody doing anything.
    connect_gateway(self);
    await_ack(self, 40);

    // HQ dies; what is published meanwhile waits in its session at the broker.
    end(&self->hq, SIGKILL, &status);
    hq_batch_t batch;
    hq_batch_intervals(&batch, hq_mac(1), 1, 41, 50);
    int mid = 0;
    int64_t deadline = now_ms() + PATIENCE_MS;
    assert_int_equal(
        mosquitto_publish(self->client, &mid, "meter/home/info", (int)batch.message_bytes, batch.message, 1, false),
        MOSQ_ERR_SUCCESS);
    while (self->published_mid != mid) {
        assert_true(now_ms() < deadline);
        assert_int_equal(mosquitto_loop(self->client, STEP_MS, 1), MOSQ_ERR_SUCCESS);
    }
    start_hq(self);
    await_ack(self, 50);

    end(&self->hq, SIGTERM, &status);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), MM_HQ_OK);
    mm_store_t *store = hq_open(self->world);
    hq_check(store);
    assert_int_equal(mm_store_totals(store).records, 50);
    mm_store_close(store);
    assert_int_equal(hq_integer(self->world, "SELECT tz = 'CET-1CEST,M3.5.0,M10.5.0/3' FROM site"), 1);
}

static void test_hq_with_mqtt_3_1_1(void **state) {
    scene_t *self = *state;
    int status = 0;
    self->mqtt311 = true;
    start_broker(self);
    start_hq(self);
    connect_gateway(self);
    deliver(self, 1, 20);
    end(&self->hq, SIGINT, &status);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == MM_HQ_OK);
}

static void test_hq_says_what_is_wrong(void **state) {
    scene_t *self = *state;
    const mm_hq_options_t good = {
        .database_path = self->world->database, .broker_url = "mqtt://127.0.0.1", .http_address = "127.0.0.1:0"};
    static const char *const urls[] = {"",
                                       "127.0.0.1",
                                       "http://x",
                                       "mqtt://",
                                       "mqtt:x",
                                       "mqtt://u:p@host",
                                       "mqtt://host:0",
                                       "mqtt://host:70000",
                                       "mqtt://host:x",
                                       "mqtt://host/path"};
    mm_hq_options_t options = good;
    for (size_t index = 0; index < sizeof urls / sizeof urls[0]; index++) {
        options.broker_url = urls[index];
        assert_int_equal(mm_hq_run(&options), MM_HQ_USAGE);
    }
    options = good;
    options.broker_password_file = "/nowhere/password";
    assert_int_equal(mm_hq_run(&options), MM_HQ_USAGE);
    options = good;
    options.tz = "Europe/Berlin";
    assert_int_equal(mm_hq_run(&options), MM_HQ_USAGE);
    options = good;
    options.database_path = "/nowhere/hq.db";
    assert_int_equal(mm_hq_run(&options), MM_HQ_ENVIRONMENT);
    options = good;
    options.http_address = "127.0.0.1";
    assert_int_equal(mm_hq_run(&options), MM_HQ_ENVIRONMENT);
}

/// What a second HQ on this database says, which must end at once.
static void run_second(const scene_t *self, const char *database, char *said, size_t said_bytes) {
    const mm_hq_options_t second = {
        .database_path = database, .broker_url = "mqtt://127.0.0.1", .http_address = "127.0.0.1:0"};
    char path[160];
    snprintf(path, sizeof path, "%s/out.csv", self->world->directory);
    int before = dup(STDERR_FILENO);
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(before >= 0 && dup2(file, STDERR_FILENO) >= 0);
    int code = mm_hq_run(&second);
    dup2(before, STDERR_FILENO);
    close(before);
    ssize_t chars = pread(file, said, said_bytes - 1, 0);
    said[chars > 0 ? chars : 0] = '\0';
    close(file);
    assert_int_equal(code, MM_HQ_ENVIRONMENT);
}

static void test_hq_has_its_database_alone(void **state) {
    scene_t *self = *state;
    char said[512];
    char owner[32];
    char link[128];
    start_hq(self);
    snprintf(owner, sizeof owner, "process %ld;", (long)self->hq);
    run_second(self, self->world->database, said, sizeof said);
    assert_non_null(strstr(said, "another HQ has it"));
    assert_non_null(strstr(said, owner));
    // By another name it is the same database.
    snprintf(link, sizeof link, "%s/old.db", self->world->directory);
    assert_int_equal(symlink("hq.db", link), 0);
    run_second(self, link, said, sizeof said);
    assert_non_null(strstr(said, owner));
    int status = 0;
    end(&self->hq, SIGKILL, &status);
    start_hq(self); // the lock of one that was killed is gone with it
    end(&self->hq, SIGTERM, &status);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void) {
    if (find_broker() == NULL) {
        printf("hq_run_test: skipped, no mosquitto on this machine\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_hq_survives_broker_and_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hq_with_mqtt_3_1_1, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hq_says_what_is_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hq_has_its_database_alone, setup, teardown),
    };
    return cmocka_run_group_tests_name("hq run", tests, NULL, NULL);
}
