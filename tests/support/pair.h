/* pair.h: one op on both devices: the reference, and CUDA where the machine has it.
 *
 * A span is an array that lies on every open device with the same values, between guard zones. A
 * test makes spans, runs its op on each device, checks the reference against a closed form or a
 * naive fp64 loop (check_values), and CUDA against the reference (check_pair, check_pair_ulps: both
 * do nothing without CUDA):
 *
 *     struct span *x = random_acts(p, rows * ldx, 3), *y = poisoned_acts(p, rows * dim);
 *     ON_BOTH(p, d)
 *         OK(d->ops->op(acts(d, y), acts(d, x), rows, dim, ldx, d->stream));
 *     check_values(p, y, expected, 1e-6);
 *     check_pair_ulps(p, y, 2);
 *
 * After each test the guards are checked, and that no input was written. */
#ifndef MINUANO_TESTS_PAIR_H
#define MINUANO_TESTS_PAIR_H

#include "minuano/ops.h"
#include "support/support.h"

enum span_kind { SPAN_ACT, SPAN_F32, SPAN_F64, SPAN_I32, SPAN_I64, SPAN_BYTE };

struct span {
    enum span_kind kind;
    int64_t count;
    void *at[2];         /* by mn_device_kind; NULL where that device is not open */
    void *guarded[2];    /* where the allocation begins */
    bool output;         /* may be written by the op */
    const double *value; /* (count) of an input, as it was made; NULL for a poisoned output */
    struct span *next;
};

struct pair {
    mn_device *device[2]; /* by mn_device_kind; CUDA is NULL where there is none */
    uint64_t seed, stream;
    mn_arena *arena; /* of one test */
    struct span *spans;
};

/* A test program: PAIR_MAIN(tests) with tests[] of PAIR_TEST(function). `--seed N` for other
 * numbers than the default's, `--only '*forward*'` for some of its tests. */
#define PAIR_TEST(function) cmocka_unit_test_teardown(function, pair_after)
#define PAIR_MAIN(tests)                                                                           \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        pair_options(argc, argv);                                                                  \
        return cmocka_run_group_tests(tests, pair_open, pair_close);                               \
    }
void pair_options(int argc, char **argv);
int pair_open(void **state);
int pair_close(void **state);
int pair_after(void **state); /* checks and forgets all spans; also between the shapes of a test */

/* Runs what follows on each open device d. */
#define ON_BOTH(p, d)                                                                              \
    for (mn_device *d = (p)->device[MN_DEVICE_REFERENCE]; d;                                       \
         d = d == (p)->device[MN_DEVICE_REFERENCE] ? (p)->device[MN_DEVICE_CUDA] : NULL)

/* Inputs. Activations are rounded to bf16, so that both devices hold the same.
 * Random values are normal · amplitude. */
struct span *random_acts(struct pair *p, int64_t count, float amplitude);
struct span *random_f32(struct pair *p, int64_t count, float amplitude);
struct span *acts_of(struct pair *p, const double *values, int64_t count);
struct span *f32_of(struct pair *p, const double *values, int64_t count);
struct span *f64_of(struct pair *p, const double *values, int64_t count);
struct span *i32_of(struct pair *p, const int32_t *values, int64_t count);
struct span *i64_of(struct pair *p, const int64_t *values, int64_t count);
struct span *bytes_of(struct pair *p, const void *values, int64_t count);

/* Outputs, every byte 0xFF: NaN as a number. */
struct span *poisoned(struct pair *p, enum span_kind kind, int64_t count);
static inline struct span *poisoned_acts(struct pair *p, int64_t count)
{
    return poisoned(p, SPAN_ACT, count);
}
static inline struct span *poisoned_f32(struct pair *p, int64_t count)
{
    return poisoned(p, SPAN_F32, count);
}

/* An input that the op may write (in place, or +=). */
struct span *in_place(struct span *input);

/* Scratch of the size that the op's twin gives for device d, poisoned and guarded. */
void *workspace(struct pair *p, mn_device *d, size_t bytes);

/* Where a span lies on a device; NULL spans give NULL. */
static inline void *on(const mn_device *d, const struct span *s)
{
    return s ? s->at[d->kind] : NULL;
}
static inline mn_act *acts(const mn_device *d, const struct span *s)
{
    return on(d, s);
}

/* The numbers of a span: as made (inputs) or as they lie on the device now. Live until pair_after.
 */
const double *values_of(const struct span *input);
const double *read_back(struct pair *p, mn_device *d, const struct span *s);

/* The reference within tolerance · max(1, |expected|) of the expected. */
void check_values(struct pair *p, const struct span *found, const double *expected,
                  double tolerance);
/* CUDA within tolerance · max(|reference|, root mean square of the span) of the reference. */
void check_pair(struct pair *p, const struct span *found, double tolerance);
/* CUDA within `ulps` units of bf16's last place (8 bits) of the reference. */
void check_pair_ulps(struct pair *p, const struct span *found, double ulps);
/* CUDA equal to the reference: ids, codes, copies. */
void check_pair_equal(struct pair *p, const struct span *found);
/* Both spans the same bits on every open device. */
void check_same_bits(struct pair *p, const struct span *a, const struct span *b);

/* Zeroed memory of this test. */
double *new_values(struct pair *p, int64_t count);

/* d loss / d *x by central differences in fp64. `loss` reads *x through its context. */
double numeric_gradient(double (*loss)(const void *context), const void *context, double *x);

double round_to_bf16(double x);

#endif
