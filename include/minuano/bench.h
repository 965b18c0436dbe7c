/* bench.h: how fast the device's ops and whole jobs are, beside a ceiling measured in the same run.
 *
 * Data is random, never zeros: zeros run faster than data does. A figure is the median of several
 * samples of device time. */
#ifndef MINUANO_BENCH_H
#define MINUANO_BENCH_H

#include "minuano/dist.h"
#include "minuano/model.h"

struct mn_bench_row {
    char name[48], shape[64];
    double seconds;   /* one call */
    double rate;      /* in `unit` */
    const char *unit; /* "GB/s", "TFLOP/s", "tok/s", "examples/s" */
    double percent;   /* of the ceiling; 0: none applies */
    const char *ceiling;
    char note[48]; /* "": nothing to add */
    double ratio;  /* of this rate to the peer's in the same run; 0: there is none */
    const char *peer;
};
struct mn_bench_rows {
    struct mn_bench_row *item;
    size_t count, capacity;
};
void mn_bench_rows_free(struct mn_bench_rows *rows);

/* A shape by name: "mistral-7b", or "tiny" for machines without a GPU. */
MN_CHECKED mn_status mn_bench_shape(struct mn_model_config *out, const char *name);

struct mn_bench_kernels {
    int tokens;
    const char *only;          /* ops whose name contains it, and the ceilings; NULL: all */
    const struct mn_ops *peer; /* attention is timed with this table too; NULL: with none */
    const char *peer_name;
};
/* Every op in the shapes of this model. Ceilings: a copy within the device for GB/s; the same
 * device's product of a step's tokens with the gate-up matrix for TFLOP/s. */
MN_CHECKED mn_status mn_bench_kernels(struct mn_bench_rows *rows, mn_device *device,
                                      const struct mn_model_config *config,
                                      const struct mn_bench_kernels *what);

struct mn_bench_job {
    int tokens;      /* of a training step or a scoring batch */
    int length;      /* of a sequence; of a prompt */
    int rank;        /* LoRA on q, k, v and o; 0: none (score, generate) */
    double dropout;  /* train */
    int steps;       /* timed, after two that are not */
    int batch;       /* generate: examples at once */
    int new_tokens;  /* generate */
    mn_ranks *ranks; /* train: each steps through tokens of its own; NULL: alone */
    int adapters;    /* passes: beside the base */
    int prefix;      /* passes: tokens that all prompts share; 0: none */
    int questions;   /* mmlu, spider; 0: as many as the real sets have */
    int rounds;      /* mmlu, spider: timed, after one that is not */
};
/* The product rate above, for the floor of a job, in FLOP/s. */
MN_CHECKED mn_status mn_bench_product(double *flops, mn_device *device,
                                      const struct mn_model_config *config, int tokens);
/* The floor of a training step: seconds of its frozen products alone, every layer's and the head's,
 * forward and for the gradient of their input. Run it behind the steps: a GPU at its power limit
 * clocks down, and a floor measured on a cold one is no floor. */
MN_CHECKED mn_status mn_bench_products(double *seconds, mn_device *device,
                                       const struct mn_model_config *config, int tokens,
                                       int logit_rows);
/* A step: forward, backward, the sum over ranks, gradient norm, AdamW, over packed sequences of
 * `length`; percent of its products' floor. The rate is that of all ranks together. */
MN_CHECKED mn_status mn_bench_train(struct mn_bench_rows *rows, mn_model *model,
                                    const struct mn_bench_job *job);
/* Four options at the end of each prompt. */
MN_CHECKED mn_status mn_bench_score(struct mn_bench_rows *rows, mn_model *model,
                                    const struct mn_bench_job *job);
/* Greedy, no end token. */
MN_CHECKED mn_status mn_bench_generate(struct mn_bench_rows *rows, mn_model *model,
                                       const struct mn_bench_job *job);
/* `batch` items asked of the base and of random adapters: in one pass, in a pass each, and without
 * sharing the prefix; by options and by generation. A row tells how many answers differ from those
 * of one pass, and the widest gap between the log-probabilities of two that do. */
MN_CHECKED mn_status mn_bench_passes(struct mn_bench_rows *rows, mn_model *model,
                                     const struct mn_bench_job *job);
/* Questions in the number, groups and lengths of MMLU with five shots, asked by options; and of
 * Spider dev with schemas, `new_tokens` generated for each. */
MN_CHECKED mn_status mn_bench_mmlu(struct mn_bench_rows *rows, mn_model *model,
                                   const struct mn_bench_job *job);
MN_CHECKED mn_status mn_bench_spider(struct mn_bench_rows *rows, mn_model *model,
                                     const struct mn_bench_job *job);

#endif
