// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux/linux_flash.h"
#include "linux/linux_fram.h"
#include "meshmeter/limits.h"

#define SECTORS 4
#define FLASH_BYTES (SECTORS * MM_FLASH_SECTOR_BYTES)
#define FRAM_BYTES 8192

static char s_directory[] = "/tmp/mm-storage-XXXXXX";
static char s_path[64];
static char s_new_path[72];

static int set_up(void **state) {
    (void)state;
    (void)unlink(s_path);
    return 0;
}

static void open_flash(mm_linux_flash_t *flash) {
    mm_linux_message_t message = {0};
    if (mm_linux_flash_open(flash, s_path, SECTORS, MM_LINUX_SYNC_DATA, &message) != MM_OK) {
        fail_msg("%s", message.text);
    }
}

static void assert_flash(const mm_linux_flash_t *flash, uint32_t address, const void *expected, size_t bytes_count) {
    uint8_t bytes[FLASH_BYTES];
    assert_int_equal(flash->flash.read(flash->flash.context, address, bytes, bytes_count), MM_OK);
    assert_memory_equal(bytes, expected, bytes_count);
}

static void test_linux_flash_new_is_erased(void **state) {
    (void)state;
    mm_linux_flash_t flash;
    open_flash(&flash);
    uint8_t erased[FLASH_BYTES];
    memset(erased, 0xFF, sizeof erased);
    assert_flash(&flash, 0, erased, sizeof erased);
    struct stat status;
    assert_int_equal(stat(s_path, &status), 0);
    assert_int_equal(status.st_size, FLASH_BYTES);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_not_equal(access(s_new_path, F_OK), 0);
    mm_linux_flash_close(&flash);
}

static void test_linux_flash_program_only_clears_bits(void **state) {
    (void)state;
    mm_linux_flash_t flash;
    open_flash(&flash);
    const mm_flash_t *port = &flash.flash;
    const uint8_t first[4] = {0xF0, 0x0F, 0xAA, 0xFF};
    const uint8_t second[4] = {0xCC, 0xCC, 0xCC, 0xCC};
    const uint8_t both[4] = {0xC0, 0x0C, 0x88, 0xCC};
    assert_int_equal(port->program(port->context, 4094, first, 4), MM_OK); // over the border of two sectors
    assert_flash(&flash, 4094, first, 4);
    assert_int_equal(port->program(port->context, 4094, second, 4), MM_OK);
    assert_flash(&flash, 4094, both, 4);

    // Erase sets one whole sector and nothing else.
    assert_int_equal(port->erase(port->context, 0), MM_OK);
    const uint8_t after[4] = {0xFF, 0xFF, 0x88, 0xCC};
    assert_flash(&flash, 4094, after, 4);

    // More than one sector at once, and it is still there for the next process.
    static uint8_t pattern[2 * MM_FLASH_SECTOR_BYTES + 100];
    for (size_t i = 0; i < sizeof pattern; i++) {
        pattern[i] = (uint8_t)(i * 31);
    }
    assert_int_equal(port->erase(port->context, 1), MM_OK);
    assert_int_equal(port->program(port->context, 50, pattern, sizeof pattern), MM_OK);
    mm_linux_flash_close(&flash);
    open_flash(&flash);
    assert_flash(&flash, 50, pattern, sizeof pattern);
    mm_linux_flash_close(&flash);
}

static void test_linux_flash_outside_asserts(void **state) {
    (void)state;
    static mm_linux_flash_t flash;
    open_flash(&flash);
    static uint8_t bytes[2];
    expect_assert_failure(flash.flash.read(&flash, FLASH_BYTES - 1, bytes, 2));
    expect_assert_failure(flash.flash.program(&flash, FLASH_BYTES, bytes, 1));
    expect_assert_failure(flash.flash.program(&flash, UINT32_MAX, bytes, 2));
    expect_assert_failure(flash.flash.erase(&flash, SECTORS));
    assert_int_equal(flash.flash.read(&flash, FLASH_BYTES, bytes, 0), MM_OK);
    mm_linux_flash_close(&flash);
}

static void test_linux_fram_overwrites(void **state) {
    (void)state;
    static mm_linux_fram_t fram;
    mm_linux_message_t message;
    assert_int_equal(mm_linux_fram_open(&fram, s_path, FRAM_BYTES, MM_LINUX_SYNC_NONE, &message), MM_OK);
    uint8_t bytes[4];
    assert_int_equal(fram.fram.read(fram.fram.context, FRAM_BYTES - 4, bytes, 4), MM_OK);
    assert_memory_equal(bytes, "\xFF\xFF\xFF\xFF", 4);
    assert_int_equal(fram.fram.write(fram.fram.context, FRAM_BYTES - 4, "\x01\x02\x03\x04", 4), MM_OK);
    assert_int_equal(fram.fram.write(fram.fram.context, FRAM_BYTES - 3, "\xF0", 1), MM_OK);
    mm_linux_fram_close(&fram);
    assert_int_equal(mm_linux_fram_open(&fram, s_path, FRAM_BYTES, MM_LINUX_SYNC_DATA, &message), MM_OK);
    assert_int_equal(fram.fram.read(fram.fram.context, FRAM_BYTES - 4, bytes, 4), MM_OK);
    assert_memory_equal(bytes, "\x01\xF0\x03\x04", 4);
    expect_assert_failure(fram.fram.write(&fram, FRAM_BYTES - 1, "xx", 2));
    mm_linux_fram_close(&fram);
}

static void test_linux_file_other_size_is_refused(void **state) {
    (void)state;
    FILE *file = fopen(s_path, "we");
    assert_non_null(file);
    assert_true(fputs("precious", file) >= 0);
    assert_int_equal(fclose(file), 0);
    mm_linux_flash_t flash;
    mm_linux_message_t message = {0};
    assert_int_equal(mm_linux_flash_open(&flash, s_path, SECTORS, MM_LINUX_SYNC_DATA, &message), MM_ERR_ARG);
    assert_non_null(strstr(message.text, s_path));
    assert_non_null(strstr(message.text, "8 bytes"));
    assert_non_null(strstr(message.text, "16384"));
    mm_linux_flash_close(&flash);
    struct stat status;
    assert_int_equal(stat(s_path, &status), 0);
    assert_int_equal(status.st_size, 8);
}

static void test_linux_file_is_locked(void **state) {
    (void)state;
    mm_linux_flash_t flash;
    open_flash(&flash);
    // In another process, as it would be.
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        mm_linux_flash_t second;
        mm_linux_message_t message = {0};
        mm_err_t err = mm_linux_flash_open(&second, s_path, SECTORS, MM_LINUX_SYNC_DATA, &message);
        bool named = strstr(message.text, s_path) != NULL && strstr(message.text, "in use") != NULL;
        _exit(err == MM_ERR_BUSY && named ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    mm_linux_flash_close(&flash);
    open_flash(&flash);
    mm_linux_flash_close(&flash);
}

static void test_linux_file_interrupted_creation(void **state) {
    (void)state;
    // What a crash leaves: the empty file, and a part of the new one beside it.
    FILE *file = fopen(s_path, "we");
    assert_int_equal(fclose(file), 0);
    file = fopen(s_new_path, "we");
    assert_true(fputs("part", file) >= 0);
    assert_int_equal(fclose(file), 0);
    mm_linux_flash_t flash;
    open_flash(&flash);
    const uint8_t erased[4] = {0xFF, 0xFF, 0xFF, 0xFF};
    assert_flash(&flash, 0, erased, 4);
    mm_linux_flash_close(&flash);
    assert_int_not_equal(access(s_new_path, F_OK), 0);
}

static void test_linux_file_no_directory(void **state) {
    (void)state;
    mm_linux_flash_t flash;
    mm_linux_message_t message = {0};
    assert_int_equal(mm_linux_flash_open(&flash, "/nonexistent/flash", SECTORS, MM_LINUX_SYNC_DATA, &message),
                     MM_ERR_STORAGE);
    assert_non_null(strstr(message.text, "/nonexistent/flash: "));
    mm_linux_flash_close(&flash);
    assert_int_equal(mm_linux_flash_open(&flash, s_directory, SECTORS, MM_LINUX_SYNC_DATA, &message), MM_ERR_STORAGE);
    assert_non_null(strstr(message.text, s_directory));
    mm_linux_flash_close(&flash);
}

// A limit on the size of files stands for the full disk: the write fails in the same place.
static void limit_files(rlim_t limit_bytes) {
    struct rlimit limit = {0};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = limit_bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_linux_file_disk_full(void **state) {
    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    mm_linux_flash_t flash;
    mm_linux_message_t message = {0};
    limit_files(5000);
    mm_err_t err = mm_linux_flash_open(&flash, s_path, SECTORS, MM_LINUX_SYNC_DATA, &message);
    limit_files(RLIM_INFINITY);
    assert_int_equal(err, MM_ERR_STORAGE);
    assert_non_null(strstr(message.text, s_path));
    assert_int_not_equal(access(s_new_path, F_OK), 0);
    mm_linux_flash_close(&flash);

    // Room again: nothing stands in the way.
    open_flash(&flash);
    limit_files(5000);
    err = flash.flash.program(&flash, 8192, "\0", 1);
    mm_err_t erase_err = flash.flash.erase(&flash, 3);
    limit_files(RLIM_INFINITY);
    assert_int_equal(err, MM_ERR_STORAGE);
    assert_int_equal(erase_err, MM_ERR_STORAGE);
    assert_flash(&flash, 8192, "\xFF", 1);
    assert_int_equal(flash.flash.program(&flash, 8192, "\0", 1), MM_OK);
    mm_linux_flash_close(&flash);
}

static int make_directory(void **state) {
    (void)state;
    if (mkdtemp(s_directory) == NULL) {
        return -1;
    }
    (void)snprintf(s_path, sizeof s_path, "%s/memory", s_directory);
    (void)snprintf(s_new_path, sizeof s_new_path, "%s.new", s_path);
    return 0;
}

static int remove_directory(void **state) {
    (void)state;
    (void)unlink(s_path);
    return rmdir(s_directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_linux_flash_new_is_erased, set_up),
        cmocka_unit_test_setup(test_linux_flash_program_only_clears_bits, set_up),
        cmocka_unit_test_setup(test_linux_flash_outside_asserts, set_up),
        cmocka_unit_test_setup(test_linux_fram_overwrites, set_up),
        cmocka_unit_test_setup(test_linux_file_other_size_is_refused, set_up),
        cmocka_unit_test_setup(test_linux_file_is_locked, set_up),
        cmocka_unit_test_setup(test_linux_file_interrupted_creation, set_up),
        cmocka_unit_test_setup(test_linux_file_no_directory, set_up),
        cmocka_unit_test_setup(test_linux_file_disk_full, set_up),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
