/* Rows of the cache: taken runs never overlap, and what is given back joins its neighbours. */
#include "../../host/infer/extents.h"
#include "minuano/random.h"
#include "support/support.h"

static void test_shortest_fit_is_taken_and_neighbours_join(void **state)
{
    (void)state;
    struct mn_extents e = {0};
    mn_extents_reset(&e, 100);
    assert_int_equal(mn_extents_take(&e, 40), 0);
    assert_int_equal(mn_extents_take(&e, 10), 40);
    assert_int_equal(mn_extents_take(&e, 30), 50);
    assert_int_equal(mn_extents_take(&e, 21), -1);
    mn_extents_give(&e, 40, 10);
    assert_int_equal(mn_extents_take(&e, 8), 40); /* 10 rows at 40, 20 at 80 */
    mn_extents_give(&e, 40, 8);
    mn_extents_give(&e, 0, 40);
    mn_extents_give(&e, 50, 30);
    assert_int_equal(e.count, 1);
    assert_int_equal(mn_extents_take(&e, 100), 0);
    assert_int_equal(e.count, 0);
    assert_int_equal(mn_extents_take(&e, 1), -1);
    mn_extents_free(&e);
}

static void test_random_use_never_overlaps_or_loses_rows(void **state)
{
    (void)state;
    enum { ROWS = 512, HELD = 64 };
    struct mn_extents e = {0};
    struct mn_extent held[HELD] = {{0}};
    unsigned char owner[ROWS] = {0};
    mn_extents_reset(&e, ROWS);
    for (uint64_t i = 0; i < 20000; i++) {
        uint32_t h = mn_random_below(7, 1, 2 * i, HELD);
        struct mn_extent *x = &held[h];
        if (x->length) {
            for (int r = x->start; r < x->start + x->length; r++) owner[r] = 0;
            mn_extents_give(&e, x->start, x->length);
            x->length = 0;
            continue;
        }
        int32_t length = 1 + (int32_t)mn_random_below(7, 1, 2 * i + 1, 40);
        int32_t start = mn_extents_take(&e, length);
        if (start < 0) continue;
        assert_true(start + length <= ROWS);
        for (int r = start; r < start + length; r++) assert_int_equal(owner[r]++, 0);
        *x = (struct mn_extent){.start = start, .length = length};
    }
    for (int h = 0; h < HELD; h++)
        if (held[h].length) mn_extents_give(&e, held[h].start, held[h].length);
    assert_int_equal(e.count, 1);
    assert_int_equal(e.item[0].length, ROWS);
    mn_extents_free(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shortest_fit_is_taken_and_neighbours_join),
        cmocka_unit_test(test_random_use_never_overlaps_or_loses_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
