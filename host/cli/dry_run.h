/* dry_run.h: what a command that answers would do and take. */
#ifndef MINUANO_CLI_DRY_RUN_H
#define MINUANO_CLI_DRY_RUN_H

#include "minuano/infer.h"
#include "model_settings.h"

/* Prints items, tokens and the memory plan against what is free. new_tokens: the most that may be
 * generated; -1: nothing is. */
MN_CHECKED mn_status print_infer_plan(const struct invocation *call,
                                      const struct opened_model *opened,
                                      const struct mn_infer_plan *plan,
                                      const struct mn_token_counts *tokens, int64_t new_tokens);
/* A callback that is told the tokens of the prompts: keeps them in *user. */
MN_CHECKED mn_status keep_counts(void *user /* struct mn_token_counts */,
                                 const struct mn_token_counts *counts);
/* Bytes by use, their sum, and what is free, in a table. */
void print_memory(const size_t by_use[MN_MEMORY_USES], size_t free_bytes);
/* The same as {"bytes": {...}, "bytes_needed", "bytes_free"}, added to `line`. */
void add_memory(json_t *line, const size_t by_use[MN_MEMORY_USES], size_t free_bytes);

#endif
