// SPDX-License-Identifier: Apache-2.0
#include "hq_support.h"

// What HQ says of records that will not come.

static void put_gap(mm_store_t *store, uint32_t seq, uint8_t reason, uint32_t first_seq, uint32_t last_seq) {
    mm_record_t record = {.type = MM_RECORD_GAP};
    record.gap = (mm_gap_record_t){.epoch = 1, .first_seq = first_seq, .last_seq = last_seq, .reason = reason};
    hq_batch_t batch;
    hq_batch_record(&batch, hq_mac(1), 1, seq, &record);
    hq_commit(store, &batch);
}

// Found by the simulator (brown-out, seed 8): a record that was damaged in flash stood at HQ as one that was thinned,
// though no coarser record has its pulses. Record 5 is damaged, 1 to 9 are thinned; the two statements may overtake
// each other.
static void test_gap_damaged_is_not_called_thinned(void **state) {
    for (int order = 0; order < 2; order++) {
        mm_store_t *store = hq_open(*state);
        if (order == 0) {
            put_gap(store, 12, MM_GAP_THINNED, 1, 9);
            put_gap(store, 11, MM_GAP_DAMAGED, 5, 5);
        } else {
            put_gap(store, 11, MM_GAP_DAMAGED, 5, 5);
            put_gap(store, 12, MM_GAP_THINNED, 1, 9);
        }
        hq_check(store);
        mm_store_close(store);
        assert_int_equal(hq_integer(*state, "SELECT count(*) FROM gap WHERE explained = 1"), 3);
        assert_int_equal(hq_integer(*state, "SELECT sum(last_seq - first_seq + 1) FROM gap"), 9);
        assert_int_equal(hq_integer(*state, "SELECT reason FROM gap WHERE first_seq = 5 AND last_seq = 5"),
                         MM_GAP_DAMAGED);
        assert_int_equal(hq_integer(*state, "SELECT sum(last_seq - first_seq + 1) FROM gap WHERE reason = 1"), 8);
        hq_remove(((hq_world_t *)*state)->directory, "hq.db");
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, hq_world_setup, hq_world_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_gap_damaged_is_not_called_thinned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
