/* merge_loaded.c: an adapter summed into the weights that a model holds on its device. The sums are
 * made on the host, one matrix of the adapter at a time, whatever the device: quantization in fp32
 * is the reference's, to the bit of bitsandbytes. */
#include <stdlib.h>

#include "internal.h"

struct merge {
    mn_model *model;
    struct mn_lora_config config;
    struct adapter_layout layout;
    float *values; /* (layout.count) */
    /* Room for the largest matrix, on the host. */
    float *weight;
    uint16_t *words; /* as bf16 activations */
    uint8_t *codes;
    float *absmax;
};

static void open_room(struct merge *merge, mn_arena *arena)
{
    int64_t largest = 0;
    for (int m = 0; m < MN_MODULES; m++) {
        struct module_shape shape = mn_module_shape(&merge->model->config, (enum mn_module)m);
        const int64_t count = (int64_t)shape.out * shape.in;
        if (merge->config.target[m] && count > largest) largest = count;
    }
    merge->weight = MN_NEW(arena, float, largest);
    merge->words = MN_NEW(arena, uint16_t, largest);
    merge->codes = MN_NEW(arena, uint8_t, largest / 2);
    merge->absmax = MN_NEW(arena, float, largest / 64 + 1);
}

/* Elements begin … begin + count-1 of a weight as floats. */
static mn_status read_weight(const struct merge *merge, const struct mn_weight *weight,
                             int64_t begin, int64_t count)
{
    mn_device *device = merge->model->device;
    if (!weight->dense) {
        MN_TRY(device->calls->download(device, merge->codes, weight->codes + begin / 2,
                                       (size_t)count / 2));
        MN_TRY(device->calls->download(device, merge->absmax, weight->absmax + begin / 64,
                                       (size_t)(count / 64) * sizeof(float)));
        return mn_ref_nf4_dequantize((mn_act *)merge->weight, merge->codes, merge->absmax, count,
                                     NULL);
    }
    const bool wide = device->act_bytes == sizeof(float);
    void *room = wide ? (void *)merge->weight : merge->words;
    MN_TRY(device->calls->download(device, room, mn_act_at(device, weight->dense, begin),
                                   (size_t)count * device->act_bytes));
    if (!wide) mn_to_floats(merge->weight, merge->words, MN_BF16, count);
    return MN_OK;
}

static mn_status write_dense(const struct merge *merge, const struct mn_weight *weight,
                             int64_t begin, int64_t count)
{
    mn_device *device = merge->model->device;
    const bool wide = device->act_bytes == sizeof(float);
    if (!wide) mn_from_floats(merge->words, MN_BF16, merge->weight, count);
    return device->calls->upload(device, mn_act_at(device, weight->dense, begin),
                                 wide ? (const void *)merge->weight : merge->words,
                                 (size_t)count * device->act_bytes);
}

static mn_status write_weight(const struct merge *merge, const struct mn_weight *weight,
                              int64_t begin, int64_t count)
{
    mn_device *device = merge->model->device;
    const enum mn_quantization quantization = merge->model->options.quantization;
    if (quantization == MN_QUANTIZE_NONE) return write_dense(merge, weight, begin, count);
    MN_TRY(mn_ref_nf4_quantize(merge->codes, merge->absmax, (const mn_act *)merge->weight, count,
                               NULL));
    if (quantization == MN_QUANTIZE_NF4_DOUBLE) mn_double_quantize(merge->absmax, count / 64);
    if (weight->dense) {
        MN_TRY(mn_ref_nf4_dequantize((mn_act *)merge->weight, merge->codes, merge->absmax, count,
                                     NULL));
        return write_dense(merge, weight, begin, count);
    }
    MN_TRY(device->calls->upload(device, (uint8_t *)weight->codes + begin / 2, merge->codes,
                                 (size_t)count / 2));
    return device->calls->upload(device, (float *)weight->absmax + begin / 64, merge->absmax,
                                 (size_t)(count / 64) * sizeof(float));
}

static mn_status merge_module(const struct merge *merge, int l, enum mn_module module)
{
    const struct module_shape shape = mn_module_shape(&merge->model->config, module);
    const struct mn_weight *weight = mn_fused_weight(&merge->model->layer[l], shape.fused);
    const int64_t begin = (int64_t)shape.begin * shape.in, count = (int64_t)shape.out * shape.in;
    int64_t a, b;
    mn_adapter_find(&merge->layout, &merge->model->config, l, module, &a, &b);
    MN_TRY(read_weight(merge, weight, begin, count));
    for (int64_t o = 0; o < shape.out; o++)
        mn_add_update(merge->weight + o * shape.in, o, &merge->config, merge->values + a,
                      merge->values + b, shape.in);
    return write_weight(merge, weight, begin, count);
}

mn_status mn_model_merge(mn_model *model, const char *adapter_folder)
{
    struct merge merge = {.model = model};
    mn_arena *arena = NULL;
    mn_status st;
    MN_GO(mn_arena_open(&arena));
    MN_GO(mn_adapter_config_read(&merge.config, adapter_folder));
    MN_GO(mn_adapter_lay_out(&merge.layout, arena, &model->config, &merge.config));
    MN_GO(mn_peft_read_values(&merge.values, arena, &merge.layout, &model->config, &merge.config,
                              model->fingerprint, adapter_folder));
    open_room(&merge, arena);
    for (int l = 0; l < model->config.layers; l++)
        for (int m = 0; m < MN_MODULES; m++)
            if (merge.config.target[m]) MN_GO(merge_module(&merge, l, (enum mn_module)m));
done:
    mn_arena_close(&arena);
    return st;
}
