/* data.h: the two forms of the data set, read into one. Private to host/mmlu. */
#ifndef MINUANO_MMLU_DATA_H
#define MINUANO_MMLU_DATA_H

#include "minuano/mmlu.h"

/* The file of a split in a folder, as Hugging Face names it; NULL: there is none. */
const char *mmlu_jsonl_path(mn_arena *arena, const char *folder, const char *split);
/* Subjects in the order of their first question in `path`, their shots from `dev`. */
MN_CHECKED mn_status mmlu_read_jsonl(mn_mmlu *mmlu, const char *path, const char *dev);

#endif
