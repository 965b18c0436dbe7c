/* audit.c: an adapter as its files stand, without a model or a device. */
#include "minuano/audit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "minuano/log.h"

/* Its two matrices (rank, rank) are 134 MB each; no linear of these models is of a higher rank. */
enum { MOST_RANK = 4096 };

/* --- one module ------------------------------------------------------------------------------- */

/* gram (rank, rank), upper triangle, += v vᵀ: rows of it are contiguous, so the loop is vectors. */
static void add_outer(double *restrict gram, const double *restrict v, int rank)
{
    for (int i = 0; i < rank; i++)
        for (int j = i; j < rank; j++) gram[i * rank + j] += v[i] * v[j];
}

static double trace_root(const double *gram, int rank)
{
    double sum = 0;
    for (int i = 0; i < rank; i++) sum += gram[i * rank + i];
    return sqrt(sum);
}

/* Norms from A (rank, in) and B (out, rank); scratch holds 2 rank² + rank. */
static void measure(struct mn_audit_module *m, const float *a, const float *b, int rank,
                    double scale, double *scratch)
{
    double *of_a = scratch, *of_b = of_a + rank * rank, *v = of_b + rank * rank, sum = 0;
    memset(scratch, 0, (size_t)(2 * rank * rank) * sizeof *scratch);
    for (int64_t i = 0; i < m->in; i++) {
        for (int r = 0; r < rank; r++) v[r] = (double)a[r * (int64_t)m->in + i];
        add_outer(of_a, v, rank);
    }
    for (int64_t o = 0; o < m->out; o++) {
        for (int r = 0; r < rank; r++) v[r] = (double)b[o * rank + r];
        add_outer(of_b, v, rank);
    }
    m->a_norm = trace_root(of_a, rank);
    m->b_norm = trace_root(of_b, rank);
    for (int i = 0; i < rank; i++)
        for (int j = i; j < rank; j++)
            sum += (i == j ? 1 : 2) * of_a[i * rank + j] * of_b[i * rank + j];
    /* Both matrices are positive semidefinite, and so the sum is not negative but by rounding. */
    m->delta_norm = m->not_finite ? (double)NAN : fabs(scale) * sqrt(fmax(sum, 0));
}

/* --- the files -------------------------------------------------------------------------------- */

struct reader {
    struct mn_audit *audit;
    mn_arena *arena; /* of what is handed out */
    const mn_tensors *tensors;
    float *a, *b; /* of one module; grow */
    double *scratch;
    size_t used; /* tensors read */
};

static const struct mn_tensor *find(const struct reader *r, int layer, enum mn_module module,
                                    char side)
{
    char name[NAME_ROOM];
    mn_peft_tensor_name(name, layer, module, side);
    return mn_tensors_find(r->tensors, name);
}

static int count_layers(const mn_tensors *tensors)
{
    int layers = 0, layer;
    for (size_t i = 0; i < mn_tensors_count(tensors); i++)
        if (sscanf(mn_tensors_at(tensors, i)->name, "base_model.model.model.layers.%d.", &layer) ==
                1 &&
            layer >= layers && layer < INT32_MAX)
            layers = layer + 1;
    return layers;
}

/* The rows of B and the columns of A are the tensors' own; the other sides are the rank. */
static mn_status get_pair(struct reader *r, struct mn_audit_module *m, const struct mn_tensor **a,
                          const struct mn_tensor **b)
{
    const struct mn_tensor *found_a = find(r, m->layer, m->module, 'A');
    const struct mn_tensor *found_b = find(r, m->layer, m->module, 'B');
    const int rank = r->audit->config.rank;
    char name[NAME_ROOM];
    int64_t in = found_a && found_a->dims == 2 ? found_a->shape[1] : 1;
    int64_t out = found_b && found_b->dims == 2 ? found_b->shape[0] : 1;
    mn_peft_tensor_name(name, m->layer, m->module, 'A');
    MN_TRY(mn_tensors_get(r->tensors, name, rank, in, a));
    mn_peft_tensor_name(name, m->layer, m->module, 'B');
    MN_TRY(mn_tensors_get(r->tensors, name, out, rank, b));
    if (in > INT32_MAX || out > INT32_MAX)
        return mn_fail(MN_INVALID, "%s: tensor %s: too large", (*b)->file, name);
    m->in = (int)in;
    m->out = (int)out;
    return MN_OK;
}

static float *read_tensor(struct reader *r, const struct mn_tensor *tensor, float **room,
                          struct mn_audit_module *m)
{
    struct mn_audit *audit = r->audit;
    *room = mn_realloc(*room, (size_t)tensor->count + 1, sizeof **room);
    mn_to_floats(*room, tensor->data, tensor->type, tensor->count);
    r->used++;
    for (int64_t i = 0; i < tensor->count; i++) {
        if (isfinite((*room)[i])) continue;
        if (!audit->bad_tensor) {
            audit->bad_tensor = mn_arena_strdup(r->arena, tensor->name);
            audit->bad_element = i;
            audit->bad_value = (double)(*room)[i];
        }
        m->not_finite++;
    }
    return *room;
}

static mn_status audit_module(struct reader *r, int layer, enum mn_module module)
{
    struct mn_audit *audit = r->audit;
    struct mn_audit_module *m = &audit->module[audit->count];
    const struct mn_tensor *a, *b;
    *m = (struct mn_audit_module){.layer = layer, .module = module};
    MN_TRY(get_pair(r, m, &a, &b));
    const float *a_values = read_tensor(r, a, &r->a, m), *b_values = read_tensor(r, b, &r->b, m);
    measure(m, a_values, b_values, audit->config.rank, mn_lora_scale(&audit->config), r->scratch);
    audit->not_finite += m->not_finite;
    audit->zero_b += m->b_norm == 0;
    audit->delta_norm += m->delta_norm * m->delta_norm;
    audit->count++;
    return MN_OK;
}

static mn_status check_all_read(const struct reader *r)
{
    for (size_t i = 0; i < mn_tensors_count(r->tensors); i++) {
        const struct mn_tensor *tensor = mn_tensors_at(r->tensors, i);
        bool known = false;
        for (int l = 0; l < r->audit->layers && !known; l++)
            for (int m = 0; m < MN_MODULES && !known; m++)
                known =
                    r->audit->config.target[m] && (find(r, l, (enum mn_module)m, 'A') == tensor ||
                                                   find(r, l, (enum mn_module)m, 'B') == tensor);
        if (!known)
            return mn_fail(MN_INVALID,
                           "%s: tensor %s does not belong to the modules of adapter_config.json",
                           tensor->file, tensor->name);
    }
    return MN_OK;
}

mn_status mn_adapter_audit(mn_arena *arena, const char *folder, struct mn_audit *out)
{
    struct mn_audit audit = {.folder = mn_arena_strdup(arena, folder)};
    struct reader r = {.audit = &audit, .arena = arena};
    mn_tensors *tensors = NULL;
    mn_status st;
    MN_GO(mn_adapter_config_read(&audit.config, folder));
    if (audit.config.rank > MOST_RANK) {
        st = mn_fail(MN_UNSUPPORTED, "%s: an audit: expected a rank of at most %d, found %d",
                     folder, MOST_RANK, audit.config.rank);
        goto done;
    }
    MN_GO(mn_tensors_open(&tensors, mn_path(arena, folder, "adapter_model.safetensors")));
    const char *base = mn_tensors_metadata(tensors, BASE_FINGERPRINT);
    const size_t rank = (size_t)audit.config.rank;
    if (base) audit.base = mn_arena_strdup(arena, base);
    r.tensors = tensors;
    r.scratch = mn_realloc(NULL, 2 * rank * rank + rank, sizeof *r.scratch);
    audit.layers = count_layers(tensors);
    /* No more modules than tensors: a layer's number is foreign, and may be anything. */
    audit.module = MN_NEW(arena, struct mn_audit_module, mn_tensors_count(tensors) + 1);
    for (int l = 0; l < audit.layers; l++)
        for (int m = 0; m < MN_MODULES; m++)
            if (audit.config.target[m]) MN_GO(audit_module(&r, l, (enum mn_module)m));
    MN_GO(r.used == mn_tensors_count(tensors) ? MN_OK : check_all_read(&r));
    audit.delta_norm = sqrt(audit.delta_norm);
    *out = audit;
done:
    free(r.a);
    free(r.b);
    free(r.scratch);
    mn_tensors_close(&tensors);
    return st;
}

/* --- what it means ---------------------------------------------------------------------------- */

mn_status mn_audit_check(const struct mn_audit *audit, const char *base, bool allow_dead)
{
    MN_TRY(mn_check_base(audit->folder, audit->base, base));
    if (audit->bad_tensor)
        return mn_fail(MN_NUMERIC, "%s: tensor %s holds %g at element %lld (%lld such values)",
                       audit->folder, audit->bad_tensor, audit->bad_value,
                       (long long)audit->bad_element, (long long)audit->not_finite);
    if (audit->delta_norm > 0 || allow_dead) return MN_OK;
    return mn_fail(MN_INVALID,
                   "%s: a dead adapter: %s, so its scores would be the base's; "
                   "allow_dead_adapter takes it all the same",
                   audit->folder,
                   audit->zero_b == audit->count ? "every B is zero" : "s·B·A is zero everywhere");
}

mn_status mn_audit_folder(const char *folder, const char *base, bool allow_dead)
{
    mn_arena *arena = NULL;
    struct mn_audit audit;
    mn_status st;
    MN_GO(mn_arena_open(&arena));
    MN_GO(mn_adapter_audit(arena, folder, &audit));
    MN_GO(mn_audit_check(&audit, base, allow_dead));
    if (!audit.base)
        mn_info("%s: does not record by content which base it was trained on (its config names "
                "\"%s\")",
                folder, audit.config.base_model);
    if (audit.zero_b)
        mn_warn("%s: B is zero in %zu of %zu modules: they change nothing", folder, audit.zero_b,
                audit.count);
done:
    mn_arena_close(&arena);
    return st;
}

mn_status mn_adapter_open_audited(mn_adapter **out, mn_model *model, const char *folder,
                                  bool allow_dead)
{
    MN_TRY(mn_audit_folder(folder, model->fingerprint, allow_dead));
    return mn_adapter_open(out, model, folder, false);
}

/* --- for scripts and people ------------------------------------------------------------------- */

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *mn_audit_json(const struct mn_audit *audit)
{
    json_t *modules = json_array();
    for (size_t i = 0; i < audit->count; i++) {
        const struct mn_audit_module *m = &audit->module[i];
        json_array_append_new(modules,
                              json_pack("{s:i, s:s, s:[i, i], s:o, s:o, s:o, s:I}", "layer",
                                        m->layer, "module", mn_module_names[m->module], "shape",
                                        m->out, m->in, "a_norm", number(m->a_norm), "b_norm",
                                        number(m->b_norm), "delta_norm", number(m->delta_norm),
                                        "not_finite", (json_int_t)m->not_finite));
    }
    return json_pack("{s:o, s:o, s:I, s:I, s:I, s:b, s:o}", "base_fingerprint",
                     audit->base ? json_string(audit->base) : json_null(), "delta_norm",
                     number(audit->delta_norm), "modules_in_all", (json_int_t)audit->count,
                     "modules_with_zero_b", (json_int_t)audit->zero_b, "not_finite",
                     (json_int_t)audit->not_finite, "dead", audit->delta_norm == 0, "modules",
                     modules);
}

void mn_audit_print(const struct mn_audit *audit, FILE *out)
{
    fprintf(out, "\nFrobenius norm of s·B·A, by layer and module\nlayer");
    for (int m = 0; m < MN_MODULES; m++)
        if (audit->config.target[m]) fprintf(out, " %9s", mn_module_names[m]);
    for (size_t i = 0; i < audit->count; i++) {
        if (i == 0 || audit->module[i].layer != audit->module[i - 1].layer)
            fprintf(out, "\n%5d", audit->module[i].layer);
        fprintf(out, " %9.4g", audit->module[i].delta_norm);
    }
    fprintf(out, "\n  all %9.4g%s\n", audit->delta_norm,
            audit->delta_norm == 0 ? ": dead, it changes nothing" : "");
    if (audit->zero_b)
        fprintf(out, "B is zero in %zu of %zu modules\n", audit->zero_b, audit->count);
    if (audit->bad_tensor)
        fprintf(out, "%lld values are no numbers, the first in %s, element %lld\n",
                (long long)audit->not_finite, audit->bad_tensor, (long long)audit->bad_element);
    fprintf(out, "base %s\n", audit->base ? audit->base : "not recorded");
}
