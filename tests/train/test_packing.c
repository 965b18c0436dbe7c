/* Steps as ragged micro-batches: every example once an epoch, whatever the number of ranks. */
#include "../../host/train/packing.h"
#include "support/support.h"

static mn_arena *arena;

/* Example i has i + 2 ids, 10 * i + t, and loss on all but its second. */
static struct mn_examples numbered(int count)
{
    struct mn_examples examples = {0};
    for (int i = 0; i < count; i++) {
        int32_t ids[64];
        uint8_t mask[64];
        for (int t = 0; t < i + 2; t++) {
            ids[t] = 10 * i + t;
            mask[t] = t != 1 || i == 0;
        }
        mn_examples_add(&examples, arena, ids, mask, (size_t)i + 2, 64);
    }
    return examples;
}

static void test_packing_takes_every_example_once_an_epoch(void **state)
{
    (void)state;
    struct mn_examples examples = numbered(11);
    struct mn_train_settings settings = {.batch = 2, .accumulation = 2, .epochs = 3, .seed = 42};
    struct packing packing;
    struct step_plan plan;
    int taken[3][11] = {{0}}, moved = 0;
    int64_t last = -1;
    OK(packing_open(&packing, &examples, &settings, 1));
    assert_int_equal(packing.steps_per_epoch, 3);
    assert_int_equal(packing_steps(&packing, &settings), 9);
    for (int64_t step = 0; step < 9; step++) {
        packing_step(&packing, step, &plan);
        assert_int_equal(plan.end - plan.begin, step % 3 == 2 ? 3 : 4);
        for (int64_t i = plan.begin; i < plan.end; i++) {
            taken[step / 3][packing.order[i]]++;
            moved += packing.order[i] != last + 1;
            last = packing.order[i];
        }
    }
    for (int epoch = 0; epoch < 3; epoch++)
        for (int i = 0; i < 11; i++) assert_int_equal(taken[epoch][i], 1);
    assert_true(moved > 15); /* it is shuffled */
    packing_close(&packing);
    mn_examples_free(&examples);
}

static void test_packing_lays_sequences_end_to_end(void **state)
{
    (void)state;
    struct mn_examples examples = numbered(3);
    struct mn_train_settings settings = {.batch = 3, .accumulation = 1, .steps = 4, .seed = 1};
    struct packing packing;
    struct step_plan plan;
    struct pass pass = {0};
    struct pass_batch micro;
    OK(packing_open(&packing, &examples, &settings, 1));
    packing_reserve(&packing, 6, 3);
    packing_step(&packing, 2, &plan);
    assert_true(packing_next_pass(&packing, &plan, 0, &pass));
    packing_fill(&packing, &plan, &pass, &micro);
    assert_int_equal(plan.tokens, 2 + 3 + 4);
    assert_int_equal(plan.loss_tokens, 1 + 1 + 2);
    assert_int_equal(micro.batch.tokens, 1 + 2 + 3);
    assert_int_equal(micro.batch.sequences, 3);
    assert_int_equal(micro.batch.logit_rows, 4);
    assert_int_equal(micro.first_row, 2 * 6);
    int loss_row = 0;
    for (int s = 0; s < 3; s++) {
        int64_t example = packing.order[s];
        int begin = micro.batch.offsets[s];
        assert_int_equal(micro.batch.offsets[s + 1] - begin, example + 1);
        for (int t = 0; t <= example; t++) {
            assert_int_equal(micro.batch.ids[begin + t], 10 * example + t);
            if (t == 0 && example > 0) continue;
            assert_int_equal(micro.batch.logit_row[loss_row], begin + t);
            assert_int_equal(micro.targets[loss_row++], 10 * example + t + 1);
        }
    }
    packing_close(&packing);
    mn_examples_free(&examples);
}

/* Two ranks with accumulation 1, one rank with 2: the same micro-batches, the same rows. */
static void test_packing_does_not_depend_on_how_ranks_share_a_step(void **state)
{
    (void)state;
    struct mn_examples examples = numbered(17);
    struct mn_train_settings one = {.batch = 3, .accumulation = 2, .steps = 9, .seed = 5};
    struct mn_train_settings two = {.batch = 3, .accumulation = 1, .steps = 9, .seed = 5};
    struct packing a, b;
    OK(packing_open(&a, &examples, &one, 1));
    OK(packing_open(&b, &examples, &two, 2));
    packing_reserve(&a, 200, 3);
    packing_reserve(&b, 200, 3);
    for (int64_t step = 0; step < 9; step++) {
        struct step_plan p, q;
        packing_step(&a, step, &p);
        packing_step(&b, step, &q);
        assert_memory_equal(&p, &q, sizeof p);
        struct pass x = {0}, y = {0};
        for (int g = 0; g < 2; g++) {
            struct pass_batch u, v;
            bool more = packing_next_pass(&a, &p, 0, &x);
            y = (struct pass){0};
            assert_int_equal(more, packing_next_pass(&b, &q, g, &y));
            if (!more) break;
            packing_fill(&a, &p, &x, &u);
            packing_fill(&b, &q, &y, &v);
            assert_memory_equal(&x, &y, sizeof x);
            assert_int_equal(u.first_row, v.first_row);
            assert_int_equal(u.batch.tokens, v.batch.tokens);
            assert_memory_equal(u.batch.ids, v.batch.ids, (size_t)u.batch.tokens * 4);
        }
        assert_false(packing_next_pass(&a, &p, 0, &x));
    }
    packing_close(&a);
    packing_close(&b);
    mn_examples_free(&examples);
}

static void test_packing_numbers_rows_without_a_gap(void **state)
{
    (void)state;
    struct mn_examples examples = numbered(13);
    struct mn_train_settings settings = {.batch = 2, .accumulation = 2, .steps = 10, .seed = 9};
    struct packing packing;
    int64_t next = 0;
    OK(packing_open(&packing, &examples, &settings, 1));
    packing_reserve(&packing, 200, 2);
    for (int64_t step = 0; step < 10; step++) {
        struct step_plan plan;
        packing_step(&packing, step, &plan);
        for (struct pass pass = {0}; packing_next_pass(&packing, &plan, 0, &pass);) {
            struct pass_batch filled;
            packing_fill(&packing, &plan, &pass, &filled);
            assert_int_equal(filled.first_row, next);
            assert_int_equal(filled.batch.tokens, pass.rows);
            assert_int_equal(filled.batch.logit_rows, pass.loss_rows);
            next += filled.batch.tokens;
        }
    }
    packing_close(&packing);
    mn_examples_free(&examples);
}

static void test_packing_runs_micro_batches_together_up_to_a_limit(void **state)
{
    (void)state;
    struct mn_examples examples = numbered(16);
    struct mn_train_settings settings = {
        .batch = 2, .accumulation = 4, .steps = 10, .seed = 9, .tokens_at_once = 40};
    struct packing packing;
    int together = 0;
    OK(packing_open(&packing, &examples, &settings, 1));
    for (int64_t step = 0; step < 10; step++) {
        struct step_plan plan;
        struct pass pass = {0};
        packing_step(&packing, step, &plan);
        int64_t at = plan.begin;
        while (packing_next_pass(&packing, &plan, 0, &pass)) {
            assert_int_equal(pass.begin, at);
            assert_true(pass.rows <= 40);
            assert_int_equal((pass.end - pass.begin) % 2, 0);
            if (pass.end < plan.end) /* one more micro-batch would have been too many */
                assert_true(packing.rows_before[pass.end + 2] - packing.rows_before[pass.begin] >
                            40);
            together += pass.end - pass.begin > 2;
            at = pass.end;
        }
        assert_int_equal(at, plan.end);
    }
    assert_true(together > 5);
    packing_close(&packing);
    mn_examples_free(&examples);
}

static int open_arena(void **state)
{
    (void)state;
    return mn_arena_open(&arena) != MN_OK;
}

static int close_arena(void **state)
{
    (void)state;
    mn_arena_close(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packing_takes_every_example_once_an_epoch),
        cmocka_unit_test(test_packing_lays_sequences_end_to_end),
        cmocka_unit_test(test_packing_does_not_depend_on_how_ranks_share_a_step),
        cmocka_unit_test(test_packing_numbers_rows_without_a_gap),
        cmocka_unit_test(test_packing_runs_micro_batches_together_up_to_a_limit),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
