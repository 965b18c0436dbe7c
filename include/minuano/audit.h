/* audit.h: what an adapter's files tell before anything is scored with it: the base it was trained
 * on, values that are no numbers, modules that change nothing, how far each weight is moved. */
#ifndef MINUANO_AUDIT_H
#define MINUANO_AUDIT_H

#include "minuano/model.h"

/* One targeted linear: A (rank, in), B (out, rank), and the change ΔW = s·B·A (out, in) that they
 * stand for. Norms are Frobenius', in fp64; NaN where a value is no number. */
struct mn_audit_module {
    int layer;
    enum mn_module module;
    int in, out;
    double a_norm, b_norm, delta_norm;
    int64_t not_finite; /* elements of A and B */
};
struct mn_audit {
    const char *folder;
    struct mn_lora_config config;
    const char *base; /* fingerprint of the base it was trained on; NULL: it does not say */
    struct mn_audit_module *module; /* (count) by layer, in the order of enum mn_module */
    size_t count;
    int layers;
    size_t zero_b;          /* modules whose B is zero: they change nothing */
    int64_t not_finite;     /* elements of all modules */
    const char *bad_tensor; /* the first with such an element; NULL: none */
    int64_t bad_element;
    double bad_value;
    double delta_norm; /* of all modules: the root of the sum of their squares */
};
/* Needs no model: the shapes are those of the tensors, which must fit together. Lives in the arena.
 *
 * |s·B·A|² = s² · sum over i, j of (BᵀB)ij · (A·Aᵀ)ij: two matrices (rank, rank) instead of one
 * (out, in). */
MN_CHECKED mn_status mn_adapter_audit(mn_arena *arena, const char *folder, struct mn_audit *out);

/* MN_NUMERIC names the first tensor that holds NaN or infinity. MN_INVALID: trained on another base
 * than the one of this fingerprint; or dead, for B or ΔW of every module is zero, unless that is
 * allowed. */
MN_CHECKED mn_status mn_audit_check(const struct mn_audit *audit, const char *base,
                                    bool allow_dead);

/* The audit and the check, and what a person should know of both. */
MN_CHECKED mn_status mn_audit_folder(const char *folder, const char *base, bool allow_dead);
/* The same, then the adapter opened for inference. */
MN_CHECKED mn_status mn_adapter_open_audited(mn_adapter **out, mn_model *model, const char *folder,
                                             bool allow_dead);

json_t *mn_audit_json(const struct mn_audit *audit); /* the caller owns it */
/* A line a layer, a column a module: the norm of ΔW. */
void mn_audit_print(const struct mn_audit *audit, FILE *out);

#endif
