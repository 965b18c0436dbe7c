/* head.c: from hidden rows to logits, a chunk at a time, and what is made of them: losses and their
 * gradient, log-probabilities, next tokens. Results are gathered on the device and fetched once. */
#include <math.h>
#include <string.h>

#include "internal.h"

/* logits = hidden[first … first+rows-1] · headᵀ */
static mn_status chunk_logits(mn_context *c, int first, int rows)
{
    mn_device *device = c->model->device;
    const struct mn_weight *head = &c->model->head;
    const struct mn_linear_forward args = {
        .y = c->logits,
        .x = mn_act_at(device, c->hidden, (int64_t)first * head->in),
        .weight = *head,
        .rows = rows,
        .ldx = head->in,
        .ldy = head->out,
        .workspace = c->workspace,
    };
    MN_TRY(mn_context_fits(c, "linear_forward", device->ops->linear_forward_workspace(&args)));
    return device->ops->linear_forward(&args, device->stream);
}

static int chunk_rows(const mn_context *c, int first)
{
    const int left = c->pass.logit_rows - first;
    return left < c->limits.logit_rows ? left : c->limits.logit_rows;
}

mn_status mn_check_targets(const mn_context *c, const int32_t *targets, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (targets[i] < 0 || targets[i] >= c->model->config.vocab)
            return mn_fail(MN_INVALID, "target %lld: expected 0 … %d, found %d", (long long)i,
                           c->model->config.vocab - 1, targets[i]);
    return MN_OK;
}

static mn_status send_targets(mn_context *c, const int32_t *targets, int k)
{
    mn_device *device = c->model->device;
    const int64_t count = (int64_t)c->pass.logit_rows * k;
    MN_TRY(mn_check_targets(c, targets, count));
    return device->calls->upload(device, c->targets, targets, (size_t)count * sizeof *targets);
}

static mn_status fetch(mn_context *c, void *out, const void *from, int64_t words)
{
    mn_device *device = c->model->device;
    return device->calls->download(device, out, from, (size_t)words * 4);
}

mn_status mn_head_loss(mn_context *c, const int32_t *targets, double scale, mn_act *dhidden)
{
    mn_device *device = c->model->device;
    const struct mn_weight *head = &c->model->head;
    MN_TRY(send_targets(c, targets, 1));
    for (int first = 0, rows; first < c->pass.logit_rows; first += rows) {
        rows = chunk_rows(c, first);
        MN_TRY(chunk_logits(c, first, rows));
        MN_TRY(device->ops->cross_entropy(c->results + first, c->logits, c->targets + first, rows,
                                          head->out, (float)scale, device->stream));
        const struct mn_linear_backward args = {
            .dx = mn_act_at(device, dhidden, (int64_t)first * head->in),
            .dy = c->logits,
            .weight = *head,
            .rows = rows,
            .ldy = head->out,
            .workspace = c->workspace,
        };
        MN_TRY(
            mn_context_fits(c, "linear_backward", device->ops->linear_backward_workspace(&args)));
        MN_TRY(device->ops->linear_backward(&args, device->stream));
    }
    return MN_OK;
}

mn_status mn_logprobs(mn_context *c, const int32_t *targets, int k, float *out)
{
    mn_device *device = c->model->device;
    if (k < 1 || k > MN_TARGETS)
        return mn_fail(MN_INVALID, "targets a row: expected 1 … %d, found %d", MN_TARGETS, k);
    if (c->pass.logit_rows == 0) return MN_OK;
    MN_TRY(send_targets(c, targets, k));
    for (int first = 0, rows; first < c->pass.logit_rows; first += rows) {
        const int64_t at = (int64_t)first * k;
        rows = chunk_rows(c, first);
        MN_TRY(chunk_logits(c, first, rows));
        MN_TRY(device->ops->token_logprobs(c->results + at, c->logits, c->targets + at, rows,
                                           c->model->config.vocab, k, device->stream));
    }
    return fetch(c, out, c->results, (int64_t)c->pass.logit_rows * k);
}

mn_status mn_next_tokens(mn_context *c, float temperature, uint64_t seed, const int32_t *sequence,
                         const int32_t *step, int32_t *ids, float *logprob)
{
    mn_device *device = c->model->device;
    const int rows = c->pass.logit_rows;
    if (rows == 0) return MN_OK;
    mn_upload_begin(&c->upload); /* the pass is over: its arrays are no longer read */
    const int32_t *sequences = mn_upload_add(&c->upload, sequence, rows);
    const int32_t *steps = mn_upload_add(&c->upload, step, rows);
    if (temperature > 0) MN_TRY(mn_upload_send(&c->upload, device)); /* else nobody reads them */
    int32_t *found = (int32_t *)c->results; /* ids, then their log-probabilities */
    for (int first = 0, some; first < rows; first += some) {
        some = chunk_rows(c, first);
        MN_TRY(chunk_logits(c, first, some));
        MN_TRY(device->ops->sample(found + first, c->results + rows + first, c->logits,
                                   sequences + first, steps + first, some, c->model->config.vocab,
                                   temperature, seed, device->stream));
    }
    MN_TRY(fetch(c, c->host_results, c->results, 2 * (int64_t)rows));
    memcpy(ids, c->host_results, (size_t)rows * sizeof *ids);
    if (logprob) memcpy(logprob, c->host_results + rows, (size_t)rows * sizeof *logprob);
    return MN_OK;
}

mn_status mn_logits(mn_context *c, float *out)
{
    mn_device *device = c->model->device;
    const int vocab = c->model->config.vocab;
    for (int first = 0, rows; first < c->pass.logit_rows; first += rows) {
        rows = chunk_rows(c, first);
        MN_TRY(chunk_logits(c, first, rows));
        for (int r = 0; r < rows; r++) {
            MN_TRY(device->ops->store_convert(c->logit_row_f32, MN_F32,
                                              mn_act_at(device, c->logits, (int64_t)r * vocab),
                                              vocab, device->stream));
            MN_TRY(fetch(c, out + (int64_t)(first + r) * vocab, c->logit_row_f32, vocab));
        }
    }
    return MN_OK;
}

mn_status mn_loss_forward(mn_context *c, const mn_adapter *adapter, const struct mn_batch *batch,
                          const int32_t *targets, double *loss_sum)
{
    double sum = 0;
    MN_TRY(mn_forward(c, adapter, batch));
    MN_TRY(mn_logprobs(c, targets, 1, c->host_results));
    for (int i = 0; i < batch->logit_rows; i++) sum -= (double)c->host_results[i];
    *loss_sum = sum;
    return MN_OK;
}
