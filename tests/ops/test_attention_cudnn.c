/* cuDNN's attention against the reference: batches that fill a plan's bucket and batches that do
 * not, with as many kv heads as heads and with fewer. */
#include "support/pair.h"

#include <math.h>

#ifdef MN_WITH_CUDNN

enum { LONGEST_BATCH = 6 };

struct batch {
    int sequences;
    int32_t offsets[LONGEST_BATCH + 1];
};

/* A bucket filled; rounded up in both directions, with an empty sequence; a single odd length. */
static const struct batch batches[] = {
    {4, {0, 128, 256, 384, 512}}, {6, {0, 1, 64, 64, 129, 257, 260}}, {1, {0, 200}}};
static const struct mn_attention_shape shapes[] = {{4, 4, 64, 0.125f}, {8, 2, 128, 0.0883883f}};

static int64_t width(const struct mn_attention_shape *shape)
{
    return (int64_t)(shape->heads + 2 * shape->kv_heads) * shape->head_dim;
}

static struct mn_segments segments_on(const mn_device *d, const struct span *offsets,
                                      const struct batch *batch)
{
    struct mn_segments segments = {.rows = batch->offsets[batch->sequences],
                                   .sequences = batch->sequences,
                                   .offsets = on(d, offsets)};
    for (int i = 0; i < batch->sequences; i++)
        if (batch->offsets[i + 1] - batch->offsets[i] > segments.max_length)
            segments.max_length = batch->offsets[i + 1] - batch->offsets[i];
    return segments;
}

static void forward_and_backward(struct pair *p, const struct batch *batch,
                                 const struct mn_attention_shape *shape)
{
    const int64_t rows = batch->offsets[batch->sequences];
    const int64_t out_count = rows * shape->heads * shape->head_dim;
    struct span *qkv = random_acts(p, rows * width(shape), 1);
    struct span *dout = random_acts(p, out_count, 1);
    struct span *offsets = i32_of(p, batch->offsets, batch->sequences + 1);
    struct span *out = poisoned_acts(p, out_count), *without = poisoned_acts(p, out_count);
    struct span *lse = poisoned_f32(p, rows * shape->heads);
    struct span *dqkv = poisoned_acts(p, qkv->count);
    ON_BOTH(p, d)
    {
        const struct mn_segments segments = segments_on(d, offsets, batch);
        struct mn_attention_forward f = {
            .qkv = acts(d, qkv), .segments = segments, .shape = *shape};
        f.workspace = workspace(p, d, d->ops->attention_forward_workspace(&f));
        f.out = acts(d, without);
        OK(d->ops->attention_forward(&f, d->stream));
        f.out = acts(d, out);
        f.lse = on(d, lse);
        OK(d->ops->attention_forward(&f, d->stream));
        struct mn_attention_backward b = {.dqkv = acts(d, dqkv),
                                          .dout = acts(d, dout),
                                          .out = acts(d, out),
                                          .qkv = acts(d, qkv),
                                          .lse = on(d, lse),
                                          .segments = segments,
                                          .shape = *shape};
        b.workspace = workspace(p, d, d->ops->attention_backward_workspace(&b));
        OK(d->ops->attention_backward(&b, d->stream));
    }
    check_same_bits(p, out, without);
    /* As our own kernels: probabilities and sums rounded to bf16. Rows that see few keys are large
     * beside the mean square, and so are their errors. */
    check_pair(p, out, 0.03);
    check_pair(p, lse, 1e-4);
    check_pair(p, dqkv, 0.07); /* and P and dS, and, once more, each head's share of dK and dV */
}

static void test_attention_by_cudnn_matches_reference(void **state)
{
    for (size_t h = 0; h < MN_COUNT(shapes); h++)
        for (size_t i = 0; i < MN_COUNT(batches); i++) {
            forward_and_backward(*state, &batches[i], &shapes[h]);
            pair_after(state);
        }
}

/* Prefixes stay with our own kernels: the same bits by both tables. */
static void test_attention_with_prefixes_is_our_own(void **state)
{
    struct pair *p = *state;
    mn_device *d = p->device[MN_DEVICE_CUDA];
    const struct mn_attention_shape *shape = &shapes[1];
    const struct batch batch = {2, {0, 3, 40}};
    const int32_t start[2] = {2, 0}, length[2] = {70, 5};
    const int64_t kv_count = (int64_t)80 * shape->kv_heads * shape->head_dim;
    struct span *qkv = random_acts(p, 40 * width(shape), 1);
    struct span *cache_k = random_acts(p, kv_count, 1), *cache_v = random_acts(p, kv_count, 1);
    struct span *offsets = i32_of(p, batch.offsets, 3);
    struct span *starts = i32_of(p, start, 2), *lengths = i32_of(p, length, 2);
    struct span *by[2];
    for (int table = 0; table < 2; table++) {
        const struct mn_ops *ops = table ? &mn_cuda_cudnn_ops : &mn_cuda_ops;
        by[table] = in_place(random_acts(p, (int64_t)40 * shape->heads * shape->head_dim, 1));
        struct mn_attention_forward f = {.out = acts(d, by[table]),
                                         .qkv = acts(d, qkv),
                                         .cache_k = acts(d, cache_k),
                                         .cache_v = acts(d, cache_v),
                                         .segments = segments_on(d, offsets, &batch),
                                         .shape = *shape};
        f.segments.prefix_start = on(d, starts);
        f.segments.prefix_length = on(d, lengths);
        f.segments.max_prefix = 70;
        f.workspace = workspace(p, d, ops->attention_forward_workspace(&f));
        OK(ops->attention_forward(&f, d->stream));
    }
    const double *ours = read_back(p, d, by[0]), *theirs = read_back(p, d, by[1]);
    assert_memory_equal(ours, theirs, (size_t)by[0]->count * sizeof *ours);
}

static void test_attention_by_cudnn_refuses_what_it_cannot_do(void **state)
{
    struct pair *p = *state;
    mn_device *d = p->device[MN_DEVICE_CUDA];
    int32_t offsets[2] = {0, 4};
    struct mn_attention_forward f = {
        .segments = {.rows = 4, .sequences = 1, .max_length = 4, .offsets = offsets},
        .shape = {2, 2, 96, 0.1f},
        .workspace = offsets};
    FAILS(d->ops->attention_forward(&f, d->stream), MN_UNSUPPORTED,
          "head_dim: expected 64 or 128 on CUDA, found 96");
    f.shape.head_dim = 64;
    f.workspace = NULL;
    FAILS(d->ops->attention_forward(&f, d->stream), MN_INVALID, "workspace: expected an array");
}

static const struct CMUnitTest tests[] = {
    PAIR_TEST(test_attention_by_cudnn_matches_reference),
    PAIR_TEST(test_attention_with_prefixes_is_our_own),
    PAIR_TEST(test_attention_by_cudnn_refuses_what_it_cannot_do),
};

static int open_with_cudnn(void **state)
{
    int failed = pair_open(state);
    const struct pair *p = *state;
    mn_device *d = p->device[MN_DEVICE_CUDA];
    if (failed) return failed;
    OK(mn_cuda_cudnn_open(d, &d->ops));
    return 0;
}

int main(int argc, char **argv)
{
    mn_device *device = NULL;
    const struct mn_ops *ops;
    pair_options(argc, argv);
    mn_status st = mn_cuda_device_open(&device, 0);
    if (st == MN_OK) st = mn_cuda_cudnn_open(device, &ops);
    mn_device_close(&device);
    if (st == MN_OK && mn_cuda_cudnn_version() < MN_CUDNN_PACKED)
        st = mn_fail(MN_UNSUPPORTED, "cuDNN %d has no gradients of packed sequences",
                     mn_cuda_cudnn_version());
    if (st != MN_OK) {
        printf("skipped: %s\n", mn_error());
        return 77;
    }
    return cmocka_run_group_tests(tests, open_with_cudnn, pair_close);
}

#else

int main(void)
{
    puts("skipped: this build has no cuDNN");
    return 77;
}

#endif
