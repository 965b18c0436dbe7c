/* support.c: paths of fixtures, real data and scratch files; closeness with a message. */
#include "support/support.h"

#include <ftw.h>
#include <math.h>
#include <unistd.h>

#include "minuano/random.h"

static mn_arena *arena;
static char scratch_folder[256];

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

static void clean_up(void)
{
    if (scratch_folder[0]) nftw(scratch_folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    mn_arena_close(&arena);
}

static mn_arena *paths(void)
{
    if (!arena) {
        if (mn_arena_open(&arena) != MN_OK) abort();
        atexit(clean_up);
    }
    return arena;
}

/* The tree that the tests were built from, or a copy of it on another machine. */
static const char *tree(void)
{
    const char *copy = getenv("MINUANO_SOURCE");
    return copy && copy[0] ? copy : MINUANO_SOURCE;
}

const char *test_source(const char *name)
{
    return mn_path(paths(), tree(), name);
}

const char *test_fixture(const char *name)
{
    return mn_path(paths(), mn_path(paths(), tree(), "tests/fixtures"), name);
}

const char *test_shared(const char *name)
{
    const char *path = mn_path(paths(), MINUANO_BUILD "/shared", name);
    return mn_file_exists(MINUANO_BUILD "/shared/complete") && mn_file_exists(path) ? path : NULL;
}

const char *test_scratch(const char *name)
{
    paths();
    if (!scratch_folder[0]) {
        snprintf(scratch_folder, sizeof scratch_folder, "%s/minuano-test-XXXXXX", P_tmpdir);
        if (!mkdtemp(scratch_folder)) abort();
    }
    return mn_path(paths(), scratch_folder, name);
}

void check_close(const float *found, const float *expected, size_t count, double tolerance,
                 const char *what)
{
    size_t worst = 0;
    double worst_error = -1;
    for (size_t i = 0; i < count; i++) {
        double error = fabs((double)found[i] - expected[i]) / fmax(1.0, fabs((double)expected[i]));
        if (!(error <= worst_error)) { /* a NaN is the worst */
            worst = i;
            worst_error = error;
        }
        if (isnan(error)) break;
    }
    if (count && !(worst_error <= tolerance))
        fail_msg("%s: element %zu: found %.9g, expected %.9g: error %.3g exceeds %.3g", what, worst,
                 (double)found[worst], (double)expected[worst], worst_error, tolerance);
}

void randomize_adapter(mn_adapter *adapter, uint64_t stream)
{
    mn_device *device = adapter->model->device;
    size_t bytes = (size_t)adapter->count * sizeof(float);
    float *values = malloc(bytes);
    for (int64_t i = 0; i < adapter->count; i++)
        values[i] =
            0.2f * mn_random_normal(5, mn_stream_id(MN_RANDOM_TEST, (uint32_t)stream), (uint64_t)i);
    OK(device->calls->upload(device, adapter->master, values, bytes));
    OK(device->ops->load_convert(adapter->shadow, adapter->master, MN_F32, adapter->count,
                                 device->stream));
    free(values);
}
