/* timing.c: see timing.h; and the shapes that have a name. */
#include "timing.h"

#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 7 };

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double bench_median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare);
    return count % 2 ? values[count / 2] : 0.5 * (values[count / 2 - 1] + values[count / 2]);
}

static mn_status sample(double *seconds, mn_device *device, bench_call *call, const void *job,
                        int calls)
{
    MN_TRY(device->calls->mark(device, 0));
    for (int i = 0; i < calls; i++) MN_TRY(call(job, device));
    MN_TRY(device->calls->mark(device, 1));
    MN_TRY(device->calls->elapsed(device, 0, 1, seconds));
    *seconds /= calls;
    return MN_OK;
}

mn_status bench_time(double *seconds, mn_device *device, bench_call *call, const void *job)
{
    double once, samples[SAMPLES];
    MN_TRY(call(job, device)); /* chooses algorithms, loads code */
    MN_TRY(sample(&once, device, call, job, 2));
    int calls = once < 1e-3 ? (int)(1e-3 / (once + 1e-6)) + 1 : 1;
    for (int i = 0; i < SAMPLES; i++) MN_TRY(sample(&samples[i], device, call, job, calls));
    *seconds = bench_median(samples, SAMPLES);
    return MN_OK;
}

struct mn_bench_row *bench_add(struct mn_bench_rows *rows, const char *name, double seconds,
                               double work, const char *unit)
{
    struct mn_bench_row *row = MN_PUSH(rows);
    *row = (struct mn_bench_row){.seconds = seconds, .rate = work / seconds, .unit = unit};
    snprintf(row->name, sizeof row->name, "%s", name);
    return row;
}

void mn_bench_rows_free(struct mn_bench_rows *rows)
{
    free(rows->item);
    *rows = (struct mn_bench_rows){0};
}

static const struct {
    const char *name;
    struct mn_model_config config;
} shapes[] = {
    {"mistral-7b",
     {.hidden = 4096,
      .layers = 32,
      .heads = 32,
      .kv_heads = 8,
      .head_dim = 128,
      .ff = 14336,
      .vocab = 32768,
      .max_positions = 32768,
      .rope_theta = 1e6,
      .rms_eps = 1e-5,
      .bos = 1,
      .eos = 2}},
    {"tiny",
     {.hidden = 128,
      .layers = 2,
      .heads = 4,
      .kv_heads = 2,
      .head_dim = 64,
      .ff = 256,
      .vocab = 512,
      .max_positions = 2048,
      .rope_theta = 1e4,
      .rms_eps = 1e-5,
      .bos = 1,
      .eos = 2}},
};

mn_status mn_bench_shape(struct mn_model_config *out, const char *name)
{
    for (size_t i = 0; i < MN_COUNT(shapes); i++)
        if (strcmp(shapes[i].name, name) == 0) {
            *out = shapes[i].config;
            return MN_OK;
        }
    return mn_fail(MN_USAGE, "--random: expected mistral-7b or tiny, found \"%s\"", name);
}
