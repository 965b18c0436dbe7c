/* prompts.h: the JSONL lines that generate and score read, as token ids. */
#ifndef MINUANO_CLI_PROMPTS_H
#define MINUANO_CLI_PROMPTS_H

#include "minuano/model.h"
#include "minuano/text.h"

struct prompt_line {
    int32_t *ids;
    int count;
    int32_t *completion; /* of score */
    int completion_count;
};
struct prompt_lines {
    struct prompt_line *item;
    size_t count, capacity;
};

struct prompt_rules {
    const mn_tokenizer *tokenizer; /* NULL: only ids can be read */
    const char *tokenizer_path;    /* what is missing then */
    const struct mn_model_config *model;
    bool parse_special; /* control tokens spelled out in text count as such */
    bool completions;   /* each line has "completion" or "completion_ids" */
};

/* {"prompt"}         BOS (unless the text spells it out and it is parsed), then the text
 * {"prompt_ids"}     as they are
 * {"messages"}       the chat template (not with completions)
 * and with completions one of
 * {"completion"}     the ids of prompt and completion as one text, from where they leave the
 *                    prompt's own; behind "prompt_ids" the text alone, no space put before it
 * {"completion_ids"} as they are
 * Everything else in a line is ignored. A bad line is an error that names file and line. ids live
 * in the arena. */
MN_CHECKED mn_status read_prompts(struct prompt_lines *out, mn_arena *arena, const char *path,
                                  const struct prompt_rules *rules);
void free_prompts(struct prompt_lines *lines);

#endif
