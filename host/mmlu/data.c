/* data.c: MMLU's folders of CSV files, the groups of its 57 subjects, and which questions are
 * asked. */
#include "data.h"

#include <string.h>

enum { FIELDS = 6, SEED_SUITE_SIZE = 50, SEED = 42 };

/* As lm-eval groups them; the data set's authors differ in one: anatomy is among their "other". */
static const char *const stem[] = {"abstract_algebra",
                                   "anatomy",
                                   "astronomy",
                                   "college_biology",
                                   "college_chemistry",
                                   "college_computer_science",
                                   "college_mathematics",
                                   "college_physics",
                                   "computer_security",
                                   "conceptual_physics",
                                   "electrical_engineering",
                                   "elementary_mathematics",
                                   "high_school_biology",
                                   "high_school_chemistry",
                                   "high_school_computer_science",
                                   "high_school_mathematics",
                                   "high_school_physics",
                                   "high_school_statistics",
                                   "machine_learning",
                                   NULL};
static const char *const humanities[] = {"formal_logic",
                                         "high_school_european_history",
                                         "high_school_us_history",
                                         "high_school_world_history",
                                         "international_law",
                                         "jurisprudence",
                                         "logical_fallacies",
                                         "moral_disputes",
                                         "moral_scenarios",
                                         "philosophy",
                                         "prehistory",
                                         "professional_law",
                                         "world_religions",
                                         NULL};
static const char *const social[] = {"econometrics",
                                     "high_school_geography",
                                     "high_school_government_and_politics",
                                     "high_school_macroeconomics",
                                     "high_school_microeconomics",
                                     "high_school_psychology",
                                     "human_sexuality",
                                     "professional_psychology",
                                     "public_relations",
                                     "security_studies",
                                     "sociology",
                                     "us_foreign_policy",
                                     NULL};
static const char *const other[] = {"business_ethics",
                                    "clinical_knowledge",
                                    "college_medicine",
                                    "global_facts",
                                    "human_aging",
                                    "management",
                                    "marketing",
                                    "medical_genetics",
                                    "miscellaneous",
                                    "nutrition",
                                    "professional_accounting",
                                    "professional_medicine",
                                    "virology",
                                    NULL};
static const struct {
    const char *name;
    const char *const *subjects;
} groups[MN_MMLU_GROUPS] = {
    [MN_MMLU_STEM] = {"STEM", stem},
    [MN_MMLU_HUMANITIES] = {"humanities", humanities},
    [MN_MMLU_SOCIAL] = {"social sciences", social},
    [MN_MMLU_OTHER] = {"other", other},
};

const char *const mn_mmlu_suites[] = {"all", "seed", NULL};

const char *mn_mmlu_group_name(enum mn_mmlu_group group)
{
    return groups[group].name;
}

enum mn_mmlu_group mn_mmlu_group_of(const char *subject)
{
    for (int g = 0; g < MN_MMLU_GROUPS; g++)
        for (int i = 0; groups[g].subjects[i]; i++)
            if (strcmp(groups[g].subjects[i], subject) == 0) return (enum mn_mmlu_group)g;
    return MN_MMLU_OTHER;
}

/* jansson refuses what is not UTF-8, and results are written as JSON. */
static bool is_utf8(const char *text)
{
    json_t *string = json_string(text);
    json_decref(string);
    return string != NULL;
}

static mn_status read_question(const struct mn_csv_record *record, const char *path,
                               struct mn_mmlu_question *out)
{
    if (record->count != FIELDS)
        return mn_fail(MN_INVALID,
                       "%s:%ld: expected %d fields (question, four choices, answer), found %zu",
                       path, record->line, FIELDS, record->count);
    for (int i = 0; i < FIELDS; i++)
        if (!is_utf8(record->field[i]))
            return mn_fail(MN_INVALID, "%s:%ld: field %d is not UTF-8", path, record->line, i + 1);
    const char *answer = record->field[FIELDS - 1];
    if (answer[0] < 'A' || answer[0] > 'D' || answer[1] != '\0')
        return mn_fail(MN_INVALID, "%s:%ld: expected A, B, C or D as the answer, found \"%s\"",
                       path, record->line, answer);
    out->text = record->field[0];
    for (int i = 0; i < MN_MMLU_CHOICES; i++) out->choice[i] = record->field[1 + i];
    out->answer = answer[0] - 'A';
    return MN_OK;
}

static mn_status read_questions(mn_arena *arena, const char *path, struct mn_mmlu_question **out,
                                size_t *count)
{
    struct mn_csv csv;
    MN_TRY(mn_csv_read(arena, path, &csv));
    struct mn_mmlu_question *questions = MN_NEW(arena, struct mn_mmlu_question, csv.count);
    for (size_t i = 0; i < csv.count; i++) {
        questions[i].index = i;
        MN_TRY(read_question(&csv.record[i], path, &questions[i]));
    }
    *out = questions;
    *count = csv.count;
    return MN_OK;
}

static char *split_path(mn_arena *arena, const char *folder, const char *split, const char *subject)
{
    return mn_arena_printf(arena, "%s/%s/%s_%s.csv", folder, split, subject, split);
}

static mn_status read_subject(mn_mmlu *mmlu, const char *name, struct mn_mmlu_subject *out)
{
    *out = (struct mn_mmlu_subject){.name = name, .group = mn_mmlu_group_of(name)};
    MN_TRY(read_questions(mmlu->arena, split_path(mmlu->arena, mmlu->folder, "dev", name),
                          &out->shots, &out->shot_count));
    MN_TRY(read_questions(mmlu->arena, split_path(mmlu->arena, mmlu->folder, mmlu->split, name),
                          &out->questions, &out->count));
    mmlu->count += out->count;
    return MN_OK;
}

static mn_status read_subjects(mn_mmlu *mmlu)
{
    char **names, *ending = mn_arena_printf(mmlu->arena, "_%s.csv", mmlu->split);
    const char *folder = mn_path(mmlu->arena, mmlu->folder, mmlu->split);
    size_t count;
    MN_TRY(mn_directory_list(mmlu->arena, folder, &names, &count));
    mmlu->subjects = MN_NEW(mmlu->arena, struct mn_mmlu_subject, count);
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(names[i]), tail = strlen(ending);
        if (length <= tail || strcmp(names[i] + length - tail, ending) != 0) continue;
        const char *name = mn_arena_strndup(mmlu->arena, names[i], length - tail);
        MN_TRY(read_subject(mmlu, name, &mmlu->subjects[mmlu->subject_count++]));
    }
    if (mmlu->subject_count == 0)
        return mn_fail(MN_NOT_FOUND, "%s: expected files <subject>%s, found none", folder, ending);
    return MN_OK;
}

/* The list is sorted by file name, where '_' and letters can order otherwise than in names. */
static void sort_subjects(mn_mmlu *mmlu)
{
    for (size_t i = 1; i < mmlu->subject_count; i++) {
        struct mn_mmlu_subject moved = mmlu->subjects[i];
        size_t at = i;
        for (; at > 0 && strcmp(mmlu->subjects[at - 1].name, moved.name) > 0; at--)
            mmlu->subjects[at] = mmlu->subjects[at - 1];
        mmlu->subjects[at] = moved;
    }
}

/* The folder itself, or `data` in it, as the original archive unpacks; in either form. */
static mn_status read_either(mn_mmlu *mmlu)
{
    const char *const places[] = {mmlu->folder, mn_path(mmlu->arena, mmlu->folder, "data")};
    for (size_t i = 0; i < MN_COUNT(places); i++) {
        mmlu->folder = places[i];
        if (mn_is_directory(mn_path(mmlu->arena, mmlu->folder, mmlu->split)))
            return read_subjects(mmlu);
        const char *path = mmlu_jsonl_path(mmlu->arena, mmlu->folder, mmlu->split);
        const char *dev = mmlu_jsonl_path(mmlu->arena, mmlu->folder, "dev");
        if (path && !dev)
            return mn_fail(MN_NOT_FOUND, "%s/dev.jsonl: expected beside %s, found nothing",
                           mmlu->folder, path);
        if (path) return mmlu_read_jsonl(mmlu, path, dev);
    }
    return mn_fail(
        MN_NOT_FOUND,
        "%s: expected MMLU: a folder %s of CSV files, or %s.jsonl; found neither, nor in "
        "data/",
        places[0], mmlu->split, mmlu->split);
}

mn_status mn_mmlu_open(mn_mmlu **out, const char *folder, const char *split)
{
    mn_arena *arena;
    if (strcmp(split, "dev") != 0 && strcmp(split, "val") != 0 && strcmp(split, "test") != 0)
        return mn_fail(MN_INVALID, "MMLU: expected split dev, val or test, found \"%s\"", split);
    MN_TRY(mn_arena_open(&arena));
    mn_mmlu *mmlu = MN_NEW(arena, mn_mmlu, 1);
    *mmlu = (mn_mmlu){.folder = mn_arena_strdup(arena, folder),
                      .split = mn_arena_strdup(arena, split),
                      .arena = arena};
    mn_status st = read_either(mmlu);
    if (st != MN_OK) {
        mn_arena_close(&arena);
        return st;
    }
    sort_subjects(mmlu);
    *out = mmlu;
    return MN_OK;
}

void mn_mmlu_close(mn_mmlu **mmlu)
{
    if (!*mmlu) return;
    mn_arena *arena = (*mmlu)->arena; /* the struct lives in it */
    mn_arena_close(&arena);
    *mmlu = NULL;
}

/* --- which questions ----------------------------------------------------------------------------
 */

static mn_status find_subject(const mn_mmlu *mmlu, const char *name,
                              const struct mn_mmlu_subject **out)
{
    for (size_t i = 0; i < mmlu->subject_count; i++)
        if (strcmp(mmlu->subjects[i].name, name) == 0) {
            *out = &mmlu->subjects[i];
            return MN_OK;
        }
    return mn_fail(MN_NOT_FOUND, "%s/%s: no subject \"%s\" among %zu", mmlu->folder, mmlu->split,
                   name, mmlu->subject_count);
}

static size_t at_most(size_t count, size_t limit)
{
    return limit > 0 && limit < count ? limit : count;
}

static mn_status select_seed_suite(const mn_mmlu *mmlu, size_t limit, struct mn_mmlu_item *items,
                                   size_t *count)
{
    static const char *const names[] = {"college_computer_science", "philosophy",
                                        "high_school_macroeconomics"};
    for (size_t s = 0; s < MN_COUNT(names); s++) {
        const struct mn_mmlu_subject *subject = NULL;
        MN_TRY(find_subject(mmlu, names[s], &subject));
        int64_t *order = MN_NEW(mmlu->arena, int64_t, subject->count);
        mn_numpy_permutation(SEED, order, (int64_t)subject->count);
        size_t take = at_most(at_most(subject->count, SEED_SUITE_SIZE), limit);
        for (size_t i = 0; i < take; i++)
            items[(*count)++] = (struct mn_mmlu_item){subject, &subject->questions[order[i]]};
    }
    return MN_OK;
}

static void select_first(const struct mn_mmlu_subject *subject, size_t limit,
                         struct mn_mmlu_item *items, size_t *count)
{
    for (size_t i = 0; i < at_most(subject->count, limit); i++)
        items[(*count)++] = (struct mn_mmlu_item){subject, &subject->questions[i]};
}

mn_status mn_mmlu_select(const mn_mmlu *mmlu, enum mn_mmlu_suite suite, struct mn_strings subjects,
                         size_t limit, mn_arena *arena, struct mn_mmlu_item **items, size_t *count)
{
    struct mn_mmlu_item *list = MN_NEW(arena, struct mn_mmlu_item, mmlu->count);
    size_t found = 0;
    if (suite == MN_MMLU_SEED_SUITE) {
        if (subjects.count)
            return mn_fail(MN_INVALID, "the seed suite has its own subjects: name none");
        MN_TRY(select_seed_suite(mmlu, limit, list, &found));
    }
    for (size_t s = 0; suite == MN_MMLU_ALL && s < subjects.count; s++) {
        const struct mn_mmlu_subject *subject = NULL;
        MN_TRY(find_subject(mmlu, subjects.item[s], &subject));
        for (size_t before = 0; before < s; before++)
            if (strcmp(subjects.item[before], subjects.item[s]) == 0)
                return mn_fail(MN_INVALID, "subject \"%s\" is named twice", subjects.item[s]);
        select_first(subject, limit, list, &found);
    }
    for (size_t s = 0; suite == MN_MMLU_ALL && !subjects.count && s < mmlu->subject_count; s++)
        select_first(&mmlu->subjects[s], limit, list, &found);
    *items = list;
    *count = found;
    return MN_OK;
}
