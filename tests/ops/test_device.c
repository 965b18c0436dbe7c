/* What a device does besides its ops: memory, copies, marks, capture, pools. */
#include "support/pair.h"

static void test_device_memory_is_aligned_and_copied(void **state)
{
    struct pair *p = *state;
    ON_BOTH(p, d)
    {
        char from[1000], back[1000];
        void *a, *b;
        for (int i = 0; i < 1000; i++) from[i] = (char)i;
        OK(d->calls->allocate(d, &a, 1000));
        OK(d->calls->allocate(d, &b, 1));
        assert_int_equal((uintptr_t)a % 256, 0);
        assert_int_equal((uintptr_t)b % 256, 0);
        OK(d->calls->fill(d, a, 7, 1000));
        OK(d->calls->upload(d, a, from, 500));
        OK(d->calls->copy(d, (char *)a + 500, a, 250));
        OK(d->calls->download(d, back, a, 1000));
        assert_memory_equal(back, from, 500);
        assert_memory_equal(back + 500, from, 250);
        for (int i = 750; i < 1000; i++) assert_int_equal(back[i], 7);
        d->calls->release(d, a);
        d->calls->release(d, b);
    }
}

/* Odd places and sizes, below and above what threads share and what is staged at once. */
static void test_device_uploads_from_files(void **state)
{
    enum { BYTES = (67 << 20) + 5 };
    static const struct {
        int offset, bytes;
    } parts[] = {{0, 1}, {3, 1000}, {1, (4 << 20) + 1}, {5, BYTES - 5}};
    struct pair *p = *state;
    unsigned char *content = mn_realloc(NULL, BYTES, 1), *back = mn_realloc(NULL, BYTES, 1);
    FILE *file = tmpfile();
    assert_non_null(file);
    for (int i = 0; i < BYTES; i++) content[i] = (unsigned char)(i * 2654435761u >> 24);
    assert_int_equal(fwrite(content, 1, BYTES, file), BYTES);
    assert_int_equal(fflush(file), 0);
    ON_BOTH(p, d)
    {
        void *memory;
        OK(d->calls->allocate(d, &memory, BYTES));
        for (size_t i = 0; i < MN_COUNT(parts); i++) {
            const size_t bytes = (size_t)parts[i].bytes;
            OK(d->calls->fill(d, memory, 7, bytes));
            OK(d->calls->upload_file(d, memory, fileno(file), parts[i].offset, bytes));
            OK(d->calls->download(d, back, memory, bytes));
            assert_memory_equal(back, content + parts[i].offset, bytes);
        }
        FAILS(d->calls->upload_file(d, memory, fileno(file), 1, BYTES), MN_IO, "cannot read");
        FAILS(d->calls->upload_file(d, memory, -1, 0, 10), MN_IO, "cannot read");
        d->calls->release(d, memory);
    }
    fclose(file);
    free(content);
    free(back);
}

static void test_device_tells_its_memory_and_refuses_more(void **state)
{
    struct pair *p = *state;
    ON_BOTH(p, d)
    {
        size_t free_bytes, total_bytes;
        void *memory;
        OK(d->calls->memory(d, &free_bytes, &total_bytes));
        assert_true(free_bytes > 0 && free_bytes <= total_bytes);
        struct mn_pool pool = {.device = d};
        assert_null(mn_pool_take(&pool, MN_MEMORY_WEIGHTS, total_bytes / 4 + 1, 8));
        FAILS(mn_pool_commit(&pool), MN_NO_MEMORY, "GB are needed");
        if (d->kind == MN_DEVICE_REFERENCE)
            FAILS(d->calls->allocate(d, &memory, SIZE_MAX - 10), MN_NO_MEMORY, "bytes left");
    }
}

static void test_device_marks_measure_time(void **state)
{
    struct pair *p = *state;
    ON_BOTH(p, d)
    {
        double seconds = -1;
        OK(d->calls->mark(d, 0));
        OK(d->calls->mark(d, 15));
        OK(d->calls->elapsed(d, 0, 15, &seconds));
        assert_true(seconds >= 0 && seconds < 10);
        FAILS(d->calls->mark(d, 16), MN_INVALID, "16");
    }
}

/* Captured work is done once it was launched; the reference does it at once and gives no graph. */
static void test_device_capture_does_the_work(void **state)
{
    struct pair *p = *state;
    static const int32_t index[] = {1, 0};
    struct span *x = random_acts(p, 2 * 64, 1), *at = i32_of(p, index, 2);
    struct span *out = poisoned_acts(p, 2 * 64);
    ON_BOTH(p, d)
    {
        mn_graph *graph;
        OK(d->calls->capture_begin(d));
        OK(d->ops->gather_rows(acts(d, out), acts(d, x), on(d, at), 2, 64, d->stream));
        OK(d->calls->capture_end(d, &graph));
        if (d->kind == MN_DEVICE_REFERENCE) assert_null(graph);
        if (graph) OK(d->calls->graph_launch(d, graph));
        if (graph) d->calls->graph_close(d, graph);
    }
    double expected[128];
    for (int i = 0; i < 128; i++) expected[i] = values_of(x)[(i + 64) % 128];
    check_values(p, out, expected, 0);
    check_pair_equal(p, out);
}

static void test_reference_device_names_its_threads(void **state)
{
    (void)state;
    mn_device *d;
    FAILS(mn_reference_device_open(&d, -1), MN_INVALID, "expected 1 to 256 threads, found -1");
    OK(mn_reference_device_open(&d, 1));
    assert_non_null(strstr(d->name, ", 1 thread"));
    assert_int_equal(d->act_bytes, 4);
    mn_device_close(&d);
    assert_null(d);
}

/* Every slot of the table is filled. */
static void test_reference_table_is_complete(void **state)
{
    (void)state;
#define FILLED(slot, type) assert_true(mn_ref_ops.slot != NULL);
    MN_OPS_LIST(FILLED)
#undef FILLED
}

static const struct CMUnitTest tests[] = {
    PAIR_TEST(test_device_memory_is_aligned_and_copied),
    PAIR_TEST(test_device_uploads_from_files),
    PAIR_TEST(test_device_tells_its_memory_and_refuses_more),
    PAIR_TEST(test_device_marks_measure_time),
    PAIR_TEST(test_device_capture_does_the_work),
    PAIR_TEST(test_reference_device_names_its_threads),
    PAIR_TEST(test_reference_table_is_complete),
};
PAIR_MAIN(tests)
