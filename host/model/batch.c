/* batch.c: from a batch in host memory to arrays on the device: checked, gathered, sent in one
 * piece, described as the context's pass. */
#include <string.h>

#include "internal.h"

enum { WORDS_ALIGNMENT = 4 }; /* 16 bytes */

void mn_upload_begin(struct upload *upload)
{
    upload->used = 0;
}

/* Room for `count` words; *host is where to write them. */
static const int32_t *reserve(struct upload *upload, int count, int32_t **host)
{
    const int at = upload->used;
    upload->used += (count + WORDS_ALIGNMENT - 1) / WORDS_ALIGNMENT * WORDS_ALIGNMENT;
    *host = upload->host + at;
    return upload->device + at;
}

const int32_t *mn_upload_add(struct upload *upload, const int32_t *values, int count)
{
    int32_t *host;
    if (!values) return NULL;
    const int32_t *device = reserve(upload, count, &host);
    memcpy(host, values, (size_t)count * sizeof *values);
    return device;
}

mn_status mn_upload_send(struct upload *upload, mn_device *device)
{
    return device->calls->upload(device, upload->device, upload->host,
                                 (size_t)upload->used * sizeof *upload->host);
}

/* --- checks: a wrong number here would be a wild read on the device ------------------------------
 */

static mn_status check_adapter(const mn_context *c, const mn_adapter *adapter)
{
    if (!adapter) return MN_OK;
    if (adapter->model != c->model)
        return mn_fail(MN_INVALID, "batch: the adapter belongs to another model");
    for (int f = 0; f < MN_FUSED; f++)
        if (adapter->lora[f].rank > c->limits.lora_rank)
            return mn_fail(MN_INVALID, "batch: the adapter needs LoRA rank %d, planned is %d",
                           adapter->lora[f].rank, c->limits.lora_rank);
    return MN_OK;
}

/* Either one adapter for all sequences, or groups that together hold all of them. */
static mn_status check_adapters(const mn_context *c, const mn_adapter *adapter,
                                const struct mn_adapter_group *groups, int count, int sequences)
{
    int64_t sum = 0;
    if (count == 0) return check_adapter(c, adapter);
    if (adapter || count < 0 || count > MN_ADAPTER_GROUPS)
        return mn_fail(MN_INVALID, "batch: expected one adapter, or 1 … %d groups, found %d%s",
                       MN_ADAPTER_GROUPS, count, adapter ? " beside an adapter" : "");
    for (int g = 0; g < count; g++) {
        if (groups[g].sequences < 1)
            return mn_fail(MN_INVALID, "batch: group %d has no sequences", g);
        MN_TRY(check_adapter(c, groups[g].adapter));
        sum += groups[g].sequences;
    }
    if (sum == sequences) return MN_OK;
    return mn_fail(MN_INVALID, "batch: groups: expected %d sequences in all, found %lld", sequences,
                   (long long)sum);
}

static mn_status check_range(const char *what, const int32_t *values, int count, int64_t limit)
{
    for (int i = 0; values && i < count; i++)
        if (values[i] < 0 || values[i] >= limit)
            return mn_fail(MN_INVALID, "batch: %s %d: expected 0 … %lld, found %d", what, i,
                           (long long)limit - 1, values[i]);
    return MN_OK;
}

/* Rows start … start+length-1 of the cache, `least` of them or more. */
static mn_status check_extents(const mn_context *c, const char *what, const int32_t *start,
                               const int32_t *length, int count, int least)
{
    for (int i = 0; i < count; i++)
        if (start[i] < 0 || length[i] < least ||
            (int64_t)start[i] + length[i] > c->limits.cache_rows)
            return mn_fail(MN_INVALID,
                           "batch: %s %d: rows %d … +%d lie outside a cache of %lld rows", what, i,
                           start[i], length[i], (long long)c->limits.cache_rows);
    return MN_OK;
}

static mn_status check_length(int sequence, int64_t length, int longest)
{
    if (length <= longest) return MN_OK;
    return mn_fail(MN_INVALID, "batch: sequence %d has %lld tokens, %d are allowed", sequence,
                   (long long)length, longest);
}

static mn_status check_sequences(const mn_context *c, const struct mn_batch *b)
{
    if (b->offsets[0] != 0 || b->offsets[b->sequences] != b->tokens)
        return mn_fail(MN_INVALID, "batch: offsets: expected 0 … %d, found %d … %d", b->tokens,
                       b->offsets[0], b->offsets[b->sequences]);
    for (int i = 0; i < b->sequences; i++) {
        const int64_t own = (int64_t)b->offsets[i + 1] - b->offsets[i];
        if (own < 1) return mn_fail(MN_INVALID, "batch: sequence %d has no tokens", i);
        MN_TRY(check_length(i, own + (b->prefix_length ? b->prefix_length[i] : 0),
                            mn_longest_sequence(&c->model->config)));
    }
    return MN_OK;
}

static mn_status check_logit_rows(const struct mn_batch *b)
{
    if (b->logit_rows < 0 || b->logit_rows > b->tokens)
        return mn_fail(MN_INVALID, "batch: logit rows: expected 0 … %d, found %d", b->tokens,
                       b->logit_rows);
    MN_TRY(check_range("logit row", b->logit_row, b->logit_rows, b->tokens));
    for (int i = 1; i < b->logit_rows; i++)
        if (b->logit_row[i] <= b->logit_row[i - 1])
            return mn_fail(MN_INVALID, "batch: logit rows: expected ascending, found %d after %d",
                           b->logit_row[i], b->logit_row[i - 1]);
    return MN_OK;
}

static mn_status check_size(const mn_context *c, int rows, int sequences)
{
    if (rows < 1 || rows > c->limits.tokens || sequences < 1 || sequences > c->limits.sequences)
        return mn_fail(MN_INVALID, "batch: %d tokens in %d sequences: expected 1 … %d and 1 … %d",
                       rows, sequences, c->limits.tokens, c->limits.sequences);
    return MN_OK;
}

static mn_status check_prefill(const mn_context *c, const mn_adapter *adapter,
                               const struct mn_batch *b)
{
    MN_TRY(check_size(c, b->tokens, b->sequences));
    MN_TRY(check_adapters(c, adapter, b->groups, b->group_count, b->sequences));
    MN_TRY(check_range("token", b->ids, b->tokens, c->model->config.vocab));
    if (!b->prefix_start != !b->prefix_length)
        return mn_fail(MN_INVALID, "batch: prefix_start and prefix_length: expected both or none");
    if (b->prefix_start)
        MN_TRY(check_extents(c, "prefix", b->prefix_start, b->prefix_length, b->sequences, 0));
    MN_TRY(check_sequences(c, b));
    MN_TRY(check_range("slot", b->slot, b->tokens, c->limits.cache_rows));
    return check_logit_rows(b);
}

/* --- the pass
 * ------------------------------------------------------------------------------------- */

static int longest(const int32_t *lengths, int count)
{
    int most = 0;
    for (int i = 0; lengths && i < count; i++)
        if (lengths[i] > most) most = lengths[i];
    return most;
}

/* Groups of sequences become groups of rows; the base's, and those at strength 0, need none, and a
 * single group is the pass's adapter. offsets NULL: a row a sequence. */
static void lay_out_groups(struct pass *pass, const struct mn_adapter_group *groups, int count,
                           const int32_t *offsets)
{
    if (count == 1) {
        pass->adapter = groups[0].adapter;
        return;
    }
    for (int g = 0, sequence = 0; g < count; g++) {
        const int first = sequence;
        sequence += groups[g].sequences;
        if (!groups[g].adapter || groups[g].adapter->strength == 0) continue;
        const int row = offsets ? offsets[first] : first;
        const int end = offsets ? offsets[sequence] : sequence;
        pass->groups[pass->group_count++] = (struct pass_group){groups[g].adapter, row, end - row};
    }
}

/* Where the groups lie among the rows whose logits are wanted, which ascend. */
static void lay_out_narrowed(struct pass *pass, const int32_t *logit_row)
{
    for (int g = 0, at = 0; g < pass->group_count; g++) {
        const struct pass_group *group = &pass->groups[g];
        while (at < pass->logit_rows && logit_row[at] < group->first_row) at++;
        const int first = at;
        while (at < pass->logit_rows && logit_row[at] < group->first_row + group->rows) at++;
        if (at > first)
            pass->narrowed[pass->narrowed_count++] =
                (struct pass_group){group->adapter, first, at - first};
    }
}

void mn_pass_narrow(struct pass *pass)
{
    pass->rows = pass->logit_rows;
    pass->group_count = pass->narrowed_count;
    memcpy(pass->groups, pass->narrowed, sizeof pass->groups);
}

/* Positions go on from the prefix. Returns the longest own segment. */
static int fill_positions(int32_t *positions, const struct mn_batch *b)
{
    int most = 0;
    for (int i = 0; i < b->sequences; i++) {
        const int own = b->offsets[i + 1] - b->offsets[i];
        const int first = b->prefix_length ? b->prefix_length[i] : 0;
        for (int t = 0; t < own; t++) positions[b->offsets[i] + t] = first + t;
        if (own > most) most = own;
    }
    return most;
}

mn_status mn_pass_prefill(mn_context *c, const mn_adapter *adapter, const struct mn_batch *b,
                          const struct mn_loss *loss)
{
    struct upload *up = &c->upload;
    struct pass *pass = &c->pass;
    int32_t *positions, *first_row;
    const bool prefixes = b->prefix_start && longest(b->prefix_length, b->sequences) > 0;
    MN_TRY(check_prefill(c, adapter, b));
    mn_upload_begin(up);
    *pass = (struct pass){.adapter = adapter, .rows = b->tokens, .logit_rows = b->logit_rows};
    lay_out_groups(pass, b->groups, b->group_count, b->offsets);
    lay_out_narrowed(pass, b->logit_row);
    pass->first_row = (const int64_t *)reserve(up, 2, &first_row);
    memset(first_row, 0, sizeof(int64_t));
    if (loss) {
        memcpy(first_row, &loss->first_row, sizeof loss->first_row);
        pass->dropout = true;
        pass->dropout_seed = loss->dropout_seed;
    }
    pass->ids = mn_upload_add(up, b->ids, b->tokens);
    pass->positions = reserve(up, b->tokens, &positions);
    pass->slot = mn_upload_add(up, b->slot, b->tokens);
    if (b->logit_rows < b->tokens) /* else every row, in order */
        pass->logit_row = mn_upload_add(up, b->logit_row, b->logit_rows);
    pass->segments = (struct mn_segments){
        .rows = b->tokens,
        .sequences = b->sequences,
        .max_length = fill_positions(positions, b),
        .offsets = mn_upload_add(up, b->offsets, b->sequences + 1),
    };
    if (prefixes) {
        pass->segments.prefix_start = mn_upload_add(up, b->prefix_start, b->sequences);
        pass->segments.prefix_length = mn_upload_add(up, b->prefix_length, b->sequences);
        pass->segments.max_prefix = longest(b->prefix_length, b->sequences);
    }
    return mn_upload_send(up, c->model->device);
}

static mn_status check_decode(const mn_context *c, const mn_adapter *adapter,
                              const struct mn_decode_batch *b)
{
    MN_TRY(check_size(c, b->rows, b->rows));
    MN_TRY(check_adapters(c, adapter, b->groups, b->group_count, b->rows));
    MN_TRY(check_range("token", b->ids, b->rows, c->model->config.vocab));
    MN_TRY(check_extents(c, "extent", b->start, b->length, b->rows, 1));
    if (b->prefix_start)
        MN_TRY(check_extents(c, "prefix", b->prefix_start, b->prefix_length, b->rows, 0));
    for (int i = 0; i < b->rows; i++)
        MN_TRY(check_length(i, (int64_t)b->length[i] + (b->prefix_start ? b->prefix_length[i] : 0),
                            mn_decode_length(c)));
    return MN_OK;
}

mn_status mn_pass_decode(mn_context *c, const mn_adapter *adapter, const struct mn_decode_batch *b)
{
    struct upload *up = &c->upload;
    struct pass *pass = &c->pass;
    int32_t *positions, *slot;
    MN_TRY(check_decode(c, adapter, b));
    mn_upload_begin(up);
    *pass = (struct pass){.adapter = adapter, .rows = b->rows, .logit_rows = b->rows};
    pass->decode = true;
    lay_out_groups(pass, b->groups, b->group_count, NULL);
    pass->ids = mn_upload_add(up, b->ids, b->rows);
    pass->positions = reserve(up, b->rows, &positions);
    pass->slot = reserve(up, b->rows, &slot);
    pass->start = mn_upload_add(up, b->start, b->rows);
    pass->length = mn_upload_add(up, b->length, b->rows);
    if (b->prefix_start) {
        pass->prefix_start = mn_upload_add(up, b->prefix_start, b->rows);
        pass->prefix_length = mn_upload_add(up, b->prefix_length, b->rows);
    }
    for (int i = 0; i < b->rows; i++) {
        const int all = b->length[i] + (b->prefix_start ? b->prefix_length[i] : 0);
        positions[i] = all - 1;
        slot[i] = b->start[i] + b->length[i] - 1;
        if (all > pass->max_length) pass->max_length = all;
    }
    return mn_upload_send(up, c->model->device);
}
