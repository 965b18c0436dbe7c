/* Embedding, gather, scatter: copies, exact on every device. */
#include "support/pair.h"

static const int dims[] = {1, 7, 64, 264};

static void test_embed_and_gather_copy_rows(void **state)
{
    struct pair *p = *state;
    static const int32_t index[] = {4, 0, 4, 2, 10};
    for (size_t i = 0; i < MN_COUNT(dims); i++) {
        int dim = dims[i];
        struct span *x = random_acts(p, 11 * dim, 1), *at = i32_of(p, index, 5);
        struct span *embedded = poisoned_acts(p, 5 * dim), *gathered = poisoned_acts(p, 5 * dim);
        ON_BOTH(p, d)
        {
            OK(d->ops->embed_forward(acts(d, embedded), acts(d, x), on(d, at), 5, dim, 11,
                                     d->stream));
            OK(d->ops->gather_rows(acts(d, gathered), acts(d, x), on(d, at), 5, dim, d->stream));
        }
        double *expected = new_values(p, 5 * dim);
        for (int j = 0; j < 5 * dim; j++)
            expected[j] = values_of(x)[index[j / dim] * dim + j % dim];
        check_values(p, embedded, expected, 0);
        check_values(p, gathered, expected, 0);
        check_pair_equal(p, embedded);
        check_pair_equal(p, gathered);
    }
}

static void test_scatter_rows_is_zero_elsewhere(void **state)
{
    struct pair *p = *state;
    static const int32_t index[] = {6, 0, 3};
    for (size_t i = 0; i < MN_COUNT(dims); i++) {
        int dim = dims[i];
        struct span *x = random_acts(p, 3 * dim, 1), *at = i32_of(p, index, 3);
        struct span *out = poisoned_acts(p, 8 * dim), *none = poisoned_acts(p, 2 * dim);
        ON_BOTH(p, d)
        {
            OK(d->ops->scatter_rows(acts(d, out), acts(d, x), on(d, at), 3, 8, dim, d->stream));
            OK(d->ops->scatter_rows(acts(d, none), acts(d, x), on(d, at), 0, 2, dim, d->stream));
        }
        double *expected = new_values(p, 8 * dim);
        for (int j = 0; j < 3 * dim; j++)
            expected[index[j / dim] * dim + j % dim] = values_of(x)[j];
        check_values(p, out, expected, 0);
        check_values(p, none, new_values(p, 2 * dim), 0);
        check_pair_equal(p, out);
        check_pair_equal(p, none);
    }
}

static const struct CMUnitTest tests[] = {
    PAIR_TEST(test_embed_and_gather_copy_rows),
    PAIR_TEST(test_scatter_rows_is_zero_elsewhere),
};
PAIR_MAIN(tests)
