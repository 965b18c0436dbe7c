/* adapter.c: a LoRA adapter on the device: where its blocks lie in the flat array, a fresh one, and
 * strength. The PEFT folder it comes from or goes to is in adapter_peft.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "minuano/random.h"

double mn_lora_scale(const struct mn_lora_config *config)
{
    return config->alpha / (config->rslora ? sqrt(config->rank) : config->rank);
}

static mn_status check_config(const struct mn_lora_config *config)
{
    bool any = false;
    for (int m = 0; m < MN_MODULES; m++) any = any || config->target[m];
    if (!any) return mn_fail(MN_INVALID, "adapter: expected at least one target module");
    if (config->rank < 1 || config->rank > 65536)
        return mn_fail(MN_INVALID, "adapter: rank: expected 1 … 65536, found %d", config->rank);
    if (!isfinite(config->alpha))
        return mn_fail(MN_INVALID, "adapter: alpha: expected a number, found %g", config->alpha);
    if (!(config->dropout >= 0 && config->dropout < 1))
        return mn_fail(MN_INVALID, "adapter: dropout: expected at least 0 and below 1, found %g",
                       config->dropout);
    return MN_OK;
}

/* The targeted modules of one fused linear, in order. */
static struct mn_lora lay_out_fused(const struct mn_model_config *model,
                                    const struct mn_lora_config *config, int layer,
                                    enum mn_fused fused)
{
    struct mn_lora lora = {.dropout = (float)config->dropout};
    for (int m = 0; m < MN_MODULES; m++) {
        const struct module_shape shape = mn_module_shape(model, (enum mn_module)m);
        if (shape.fused != fused || !config->target[m]) continue;
        lora.part[lora.parts++] = (struct mn_lora_part){
            .out_begin = shape.begin,
            .out = shape.out,
            .rank_begin = lora.rank,
            .rank = config->rank,
            .scale = (float)mn_lora_scale(config),
            .module = (uint32_t)(layer * MN_MODULES + m),
        };
        lora.rank += config->rank;
    }
    return lora;
}

mn_status mn_adapter_lay_out(struct adapter_layout *out, mn_arena *arena,
                             const struct mn_model_config *model,
                             const struct mn_lora_config *config)
{
    MN_TRY(check_config(config));
    const size_t linears = (size_t)model->layers * MN_FUSED;
    out->count = 0;
    out->lora = MN_NEW(arena, struct mn_lora, linears);
    out->a_offset = MN_NEW(arena, int64_t, linears);
    out->b_offset = MN_NEW(arena, int64_t, linears);
    for (size_t i = 0; i < linears; i++) {
        const enum mn_fused fused = (enum mn_fused)(i % MN_FUSED);
        struct mn_lora *lora = &out->lora[i];
        *lora = lay_out_fused(model, config, (int)(i / MN_FUSED), fused);
        out->a_offset[i] = out->count;
        out->count += (int64_t)lora->rank * mn_fused_shape(model, fused).in;
        out->b_offset[i] = out->count;
        out->count += mn_lora_b_offset(lora, lora->parts);
    }
    return MN_OK;
}

void mn_adapter_find(const struct adapter_layout *layout, const struct mn_model_config *model,
                     int layer, enum mn_module module, int64_t *a, int64_t *b)
{
    const struct module_shape shape = mn_module_shape(model, module);
    const int i = layer * MN_FUSED + (int)shape.fused;
    const struct mn_lora *lora = &layout->lora[i];
    int p = 0;
    while (lora->part[p].out_begin != shape.begin) p++; /* the module is targeted */
    *a = layout->a_offset[i] + (int64_t)lora->part[p].rank_begin * shape.in;
    *b = layout->b_offset[i] + mn_lora_b_offset(lora, p);
}

static void plan_adapter(mn_adapter *adapter, bool trainable)
{
    const size_t count = (size_t)adapter->count;
    struct mn_pool *pool = &adapter->pool;
    adapter->shadow =
        mn_pool_take(pool, MN_MEMORY_ADAPTER, count, adapter->model->device->act_bytes);
    if (!trainable) return;
    adapter->master = mn_pool_take(pool, MN_MEMORY_ADAPTER, count, sizeof(float));
    adapter->gradient = mn_pool_take(pool, MN_MEMORY_ADAPTER, count, sizeof(float));
}

/* Sends the values to the masters (or through a passing buffer) and rounds them into the shadow. */
static mn_status send_values(mn_adapter *adapter, const float *values)
{
    mn_device *device = adapter->model->device;
    const size_t bytes = (size_t)adapter->count * sizeof(float);
    struct mn_pool passing = {.device = device};
    mn_status st = MN_OK;
    float *target = adapter->master;
    if (!target) {
        mn_pool_take(&passing, MN_MEMORY_ADAPTER, bytes, 1);
        MN_GO(mn_pool_commit(&passing));
        target = mn_pool_take(&passing, MN_MEMORY_ADAPTER, bytes, 1);
    }
    MN_GO(device->calls->upload(device, target, values, bytes));
    MN_GO(
        device->ops->load_convert(adapter->shadow, target, MN_F32, adapter->count, device->stream));
    if (adapter->gradient) MN_GO(device->calls->fill(device, adapter->gradient, 0, bytes));
    MN_GO(device->calls->synchronize(device));
done:
    mn_pool_close(&passing);
    return st;
}

/* Takes the layout, whose arrays live in the arena, and the arena. */
static mn_status open_adapter(mn_adapter **out, mn_model *model,
                              const struct mn_lora_config *config,
                              const struct adapter_layout *layout, mn_arena *arena_take,
                              const float *values, bool trainable)
{
    mn_device *device = model->device;
    mn_adapter *adapter = MN_NEW(arena_take, mn_adapter, 1);
    mn_status st;
    *adapter = (mn_adapter){.model = model,
                            .config = *config,
                            .count = layout->count,
                            .lora = layout->lora,
                            .a_offset = layout->a_offset,
                            .b_offset = layout->b_offset,
                            .strength = 1,
                            .arena = arena_take,
                            .pool = {.device = device}};
    plan_adapter(adapter, trainable);
    MN_GO(mn_pool_commit(&adapter->pool));
    plan_adapter(adapter, trainable);
    for (int i = 0; i < model->config.layers * MN_FUSED; i++) {
        adapter->lora[i].a = mn_act_at(device, adapter->shadow, adapter->a_offset[i]);
        adapter->lora[i].b = mn_act_at(device, adapter->shadow, adapter->b_offset[i]);
    }
    MN_GO(send_values(adapter, values));
done:
    if (st == MN_OK)
        *out = adapter;
    else
        mn_adapter_close(&adapter);
    return st;
}

/* A ~ U(-1/sqrt(in), 1/sqrt(in)), as kaiming_uniform with a = sqrt(5) gives; B = 0. */
static void draw_values(float *values, const struct adapter_layout *layout,
                        const struct mn_model_config *model, const struct mn_lora_config *config,
                        uint64_t seed)
{
    for (int l = 0; l < model->layers; l++) {
        for (int m = 0; m < MN_MODULES; m++) {
            int64_t a, b;
            if (!config->target[m]) continue;
            const int in = mn_module_shape(model, (enum mn_module)m).in;
            const uint64_t stream = mn_stream_id(MN_RANDOM_INIT, (uint32_t)(l * MN_MODULES + m));
            const float bound = 1.0f / sqrtf((float)in);
            mn_adapter_find(layout, model, l, (enum mn_module)m, &a, &b);
            for (int64_t i = 0; i < (int64_t)config->rank * in; i++)
                values[a + i] =
                    bound * (2.0f * mn_random_uniform(seed, stream, (uint64_t)i) - 1.0f);
        }
    }
}

mn_status mn_adapter_new(mn_adapter **out, mn_model *model, const struct mn_lora_config *config,
                         uint64_t seed)
{
    mn_arena *arena = NULL;
    struct adapter_layout layout;
    float *values = NULL;
    mn_status st;
    MN_TRY(mn_arena_open(&arena));
    MN_GO(mn_adapter_lay_out(&layout, arena, &model->config, config));
    values = mn_realloc(NULL, (size_t)layout.count, sizeof *values);
    for (int64_t i = 0; i < layout.count; i++) values[i] = 0;
    draw_values(values, &layout, &model->config, config, seed);
    mn_arena *taken = arena;
    arena = NULL;
    MN_GO(open_adapter(out, model, config, &layout, taken, values, true));
done:
    free(values);
    mn_arena_close(&arena);
    return st;
}

mn_status mn_adapter_open(mn_adapter **out, mn_model *model, const char *folder, bool trainable)
{
    mn_arena *arena = NULL, *host = NULL;
    struct adapter_layout layout;
    struct mn_lora_config config;
    float *values;
    mn_status st;
    MN_TRY(mn_arena_open(&arena));
    MN_GO(mn_arena_open(&host));
    MN_GO(mn_adapter_config_read(&config, folder));
    MN_GO(mn_adapter_lay_out(&layout, arena, &model->config, &config));
    MN_GO(mn_peft_read_values(&values, host, &layout, &model->config, &config, model->fingerprint,
                              folder));
    mn_arena *taken = arena;
    arena = NULL;
    MN_GO(open_adapter(out, model, &config, &layout, taken, values, trainable));
done:
    mn_arena_close(&host);
    mn_arena_close(&arena);
    return st;
}

/* The masters, or the shadow as fp32 when there are none. */
static mn_status fetch_values(const mn_adapter *adapter, float *values)
{
    mn_device *device = adapter->model->device;
    const size_t bytes = (size_t)adapter->count * sizeof(float);
    struct mn_pool passing = {.device = device};
    mn_status st;
    if (adapter->master) return device->calls->download(device, values, adapter->master, bytes);
    mn_pool_take(&passing, MN_MEMORY_ADAPTER, bytes, 1);
    MN_GO(mn_pool_commit(&passing));
    void *floats = mn_pool_take(&passing, MN_MEMORY_ADAPTER, bytes, 1);
    MN_GO(device->ops->store_convert(floats, MN_F32, adapter->shadow, adapter->count,
                                     device->stream));
    MN_GO(device->calls->download(device, values, floats, bytes));
done:
    mn_pool_close(&passing);
    return st;
}

mn_status mn_adapter_save(const mn_adapter *adapter, const char *folder)
{
    const struct adapter_layout layout = {adapter->count, adapter->a_offset, adapter->b_offset,
                                          adapter->lora};
    float *values = mn_realloc(NULL, (size_t)adapter->count, sizeof *values);
    mn_status st = fetch_values(adapter, values);
    if (st == MN_OK)
        st = mn_peft_write(&layout, &adapter->model->config, &adapter->config,
                           adapter->model->fingerprint, values, folder);
    free(values);
    return st;
}

const mn_adapter *mn_adapter_at_strength(mn_arena *arena, const mn_adapter *adapter,
                                         double strength)
{
    const size_t linears = (size_t)adapter->model->config.layers * MN_FUSED;
    mn_adapter *view = MN_NEW(arena, mn_adapter, 1);
    *view = *adapter;
    view->arena = NULL;
    view->master = view->gradient = NULL; /* those are one adapter's alone */
    view->lora = MN_NEW(arena, struct mn_lora, linears);
    memcpy(view->lora, adapter->lora, linears * sizeof *view->lora);
    mn_adapter_set_strength(view, strength);
    return view;
}

void mn_adapter_set_strength(mn_adapter *adapter, double strength)
{
    const double scale = strength * mn_lora_scale(&adapter->config);
    adapter->strength = strength;
    for (int i = 0; i < adapter->model->config.layers * MN_FUSED; i++)
        for (int p = 0; p < adapter->lora[i].parts; p++)
            adapter->lora[i].part[p].scale = (float)scale;
}

void mn_adapter_close(mn_adapter **adapter)
{
    if (!*adapter) return;
    mn_arena *arena = (*adapter)->arena;
    mn_pool_close(&(*adapter)->pool);
    mn_arena_close(&arena);
    *adapter = NULL;
}
