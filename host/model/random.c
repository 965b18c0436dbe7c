/* random.c: a model of a given shape with random weights. One table of draws is made on the host
 * and sent once; every tensor begins somewhere in it and wraps around. Its length is eight times a
 * prime: pieces stay aligned to 16 bytes, and rows of a matrix do not repeat before 131,071 rows.
 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "minuano/random.h"

enum { ALIGNMENT = 8, DRAWS = ALIGNMENT * 131071 };

struct random_source {
    struct weight_source source;
    struct mn_pool pool;
    uint16_t *draws, *norm_draws; /* (DRAWS) bf16 on the device: around 0; around 1 */
    uint64_t seed;
    uint32_t tensors; /* loaded so far */
};

static mn_status load_random(struct weight_source *source, mn_act *out, const char *name,
                             int64_t rows, int64_t columns)
{
    struct random_source *random = (struct random_source *)source;
    mn_device *device = source->device;
    const uint16_t *draws = columns ? random->draws : random->norm_draws;
    const int64_t count = columns ? rows * columns : rows;
    int64_t at = mn_random_below(random->seed, mn_stream_id(MN_RANDOM_WEIGHTS, 1),
                                 random->tensors++, DRAWS / ALIGNMENT) *
                 (int64_t)ALIGNMENT;
    (void)name;
    for (int64_t i = 0, n; i < count; i += n, at = 0) {
        n = count - i < DRAWS - at ? count - i : DRAWS - at;
        MN_TRY(device->ops->load_convert(mn_act_at(device, out, i), draws + at, MN_BF16, n,
                                         device->stream));
    }
    return MN_OK;
}

static mn_status send_draws(struct random_source *random, uint16_t *device_draws, float centre)
{
    float *values = mn_realloc(NULL, DRAWS, sizeof *values);
    uint16_t *words = mn_realloc(NULL, DRAWS, sizeof *words);
    for (int i = 0; i < DRAWS; i++)
        values[i] =
            centre +
            0.02f * mn_random_normal(random->seed, mn_stream_id(MN_RANDOM_WEIGHTS, 0), (uint64_t)i);
    mn_from_floats(words, MN_BF16, values, DRAWS);
    mn_device *device = random->source.device;
    mn_status st = device->calls->upload(device, device_draws, words, DRAWS * sizeof *words);
    free(words);
    free(values);
    return st;
}

static mn_status open_source(struct random_source *random)
{
    for (int carving = 0; carving < 2; carving++) {
        if (carving) MN_TRY(mn_pool_commit(&random->pool));
        random->draws = mn_pool_take(&random->pool, MN_MEMORY_WORKSPACE, DRAWS, 2);
        random->norm_draws = mn_pool_take(&random->pool, MN_MEMORY_WORKSPACE, DRAWS, 2);
    }
    MN_TRY(send_draws(random, random->draws, 0));
    return send_draws(random, random->norm_draws, 1);
}

mn_status mn_model_random(mn_model **out, mn_device *device, const struct mn_model_config *config,
                          uint64_t seed, const struct mn_model_options *options)
{
    mn_status st;
    mn_model *model = NULL;
    struct random_source random = {.source = {load_random, device}, .seed = seed};
    random.pool.device = device;
    MN_GO(open_source(&random));
    MN_GO(mn_model_new(&model, device, config, options));
    MN_GO(mn_model_load(model, &random.source));
    const char *text =
        mn_arena_printf(model->arena, "random %llu: %d %d %d %d %d %d %d", (unsigned long long)seed,
                        config->hidden, config->layers, config->heads, config->kv_heads,
                        config->head_dim, config->ff, config->vocab);
    mn_sha256(text, strlen(text), model->fingerprint);
    model->folder = mn_arena_printf(model->arena, "random-%llu", (unsigned long long)seed);
    *out = model;
    model = NULL;
done:
    mn_model_close(&model);
    mn_pool_close(&random.pool);
    return st;
}
