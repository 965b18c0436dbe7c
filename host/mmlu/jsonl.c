/* jsonl.c: MMLU as Hugging Face has it, one file a split, a line a question:
 * {"question", "subject", "choices": [4 strings], "answer": 0 … 3, or "A" … "D"}. */
#include <stdlib.h>
#include <string.h>

#include "data.h"

struct line {
    const char *subject;
    struct mn_mmlu_question question;
};
struct lines {
    MN_LIST(struct line) list;
};

const char *mmlu_jsonl_path(mn_arena *arena, const char *folder, const char *split)
{
    const char *path = mn_arena_printf(arena, "%s/%s.jsonl", folder, split);
    if (mn_file_exists(path)) return path;
    if (strcmp(split, "val") == 0) return mmlu_jsonl_path(arena, folder, "validation");
    return NULL;
}

static mn_status read_choices(mn_arena *arena, const json_t *object, const char *where,
                              struct mn_mmlu_question *out)
{
    const json_t *choices;
    MN_TRY(mn_json_array(object, where, "choices", &choices));
    if (json_array_size(choices) != MN_MMLU_CHOICES)
        return mn_fail(MN_INVALID, "%s: key \"choices\": expected %d strings, found %zu", where,
                       MN_MMLU_CHOICES, json_array_size(choices));
    for (size_t i = 0; i < MN_MMLU_CHOICES; i++) {
        const json_t *choice = json_array_get(choices, i);
        const char *text = json_string_value(choice);
        if (!text || strlen(text) != json_string_length(choice))
            return mn_fail(MN_INVALID,
                           "%s: key \"choices\": expected strings without NUL, found %s at %zu",
                           where, mn_json_kind(choice), i);
        out->choice[i] = mn_arena_strdup(arena, text);
    }
    return MN_OK;
}

static mn_status read_answer(const json_t *object, const char *where, int *out)
{
    const json_t *answer = json_object_get(object, "answer");
    const char *letter = json_string_value(answer);
    int64_t number = -1;
    if (letter && strlen(letter) == 1) number = letter[0] - 'A';
    if (json_is_integer(answer)) number = json_integer_value(answer);
    if (number < 0 || number >= MN_MMLU_CHOICES)
        return mn_fail(MN_INVALID,
                       "%s: key \"answer\": expected 0 to 3 or \"A\" to \"D\", found %s", where,
                       letter ? letter : mn_json_kind(answer));
    *out = (int)number;
    return MN_OK;
}

static mn_status read_line(mn_arena *arena, const json_t *object, const char *where,
                           struct line *out)
{
    const char *question, *subject;
    MN_TRY(mn_json_string(object, where, "question", &question));
    MN_TRY(mn_json_string(object, where, "subject", &subject));
    if (!subject[0]) return mn_fail(MN_INVALID, "%s: key \"subject\": expected a name", where);
    *out = (struct line){.subject = mn_arena_strdup(arena, subject)};
    out->question.text = mn_arena_strdup(arena, question);
    MN_TRY(read_choices(arena, object, where, &out->question));
    return read_answer(object, where, &out->question.answer);
}

static mn_status read_lines(mn_arena *arena, const char *path, struct lines *out)
{
    struct mn_jsonl file;
    struct line line;
    json_t *object;
    mn_status st;
    MN_TRY(mn_jsonl_open(&file, path));
    for (;;) {
        MN_GO(mn_jsonl_next(&file, &object));
        if (!object) break;
        st = read_line(arena, object, file.where, &line);
        json_decref(object);
        if (st != MN_OK) goto done;
        *MN_PUSH(&out->list) = line;
    }
done:
    mn_jsonl_close(&file);
    return st;
}

/* The questions of one subject, numbered in their order; their memory is the arena's. */
static struct mn_mmlu_question *take(mn_arena *arena, const struct lines *lines,
                                     const char *subject, size_t *count)
{
    size_t found = 0;
    for (size_t i = 0; i < lines->list.count; i++)
        found += strcmp(lines->list.item[i].subject, subject) == 0;
    struct mn_mmlu_question *out = MN_NEW(arena, struct mn_mmlu_question, found);
    *count = 0;
    for (size_t i = 0; i < lines->list.count; i++) {
        if (strcmp(lines->list.item[i].subject, subject) != 0) continue;
        out[*count] = lines->list.item[i].question;
        out[*count].index = *count;
        ++*count;
    }
    return out;
}

static bool is_known(const mn_mmlu *mmlu, const char *subject)
{
    for (size_t i = mmlu->subject_count; i > 0; i--) /* neighbours are mostly alike */
        if (strcmp(mmlu->subjects[i - 1].name, subject) == 0) return true;
    return false;
}

mn_status mmlu_read_jsonl(mn_mmlu *mmlu, const char *path, const char *dev)
{
    struct lines questions = {0}, shots = {0};
    mn_status st;
    MN_GO(read_lines(mmlu->arena, path, &questions));
    MN_GO(read_lines(mmlu->arena, dev, &shots));
    mmlu->subjects = MN_NEW(mmlu->arena, struct mn_mmlu_subject, questions.list.count);
    for (size_t i = 0; i < questions.list.count; i++) {
        const char *name = questions.list.item[i].subject;
        if (is_known(mmlu, name)) continue;
        struct mn_mmlu_subject *subject = &mmlu->subjects[mmlu->subject_count++];
        *subject = (struct mn_mmlu_subject){.name = name, .group = mn_mmlu_group_of(name)};
        subject->shots = take(mmlu->arena, &shots, name, &subject->shot_count);
        subject->questions = take(mmlu->arena, &questions, name, &subject->count);
        mmlu->count += subject->count;
    }
    if (mmlu->count == 0) st = mn_fail(MN_INVALID, "%s: expected questions, found none", path);
done:
    free(questions.list.item);
    free(shots.list.item);
    return st;
}
