/* aggregate.c: answers become scores by subject, by group, micro and macro. */
#include "minuano/mmlu.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

int mn_mmlu_parse_reply(const char *reply)
{
    for (const char *c = reply; *c; c++) {
        int letter = toupper((unsigned char)*c);
        if (letter >= 'A' && letter <= 'D') return letter - 'A';
    }
    return -1;
}

double mn_mmlu_mass(const float logprob[MN_MMLU_CHOICES])
{
    double mass = 0;
    for (int i = 0; i < MN_MMLU_CHOICES; i++) mass += exp((double)logprob[i]);
    return mass;
}

static struct mn_mmlu_subject_score *find_subject(struct mn_mmlu_scores *scores, const char *name)
{
    for (size_t i = scores->subject_count; i > 0; i--)
        if (strcmp(scores->subjects[i - 1].subject, name) == 0) return &scores->subjects[i - 1];
    return NULL;
}

/* While counting, mass holds the sum. */
static void count_answer(struct mn_mmlu_score *score, const struct mn_mmlu_answer *answer)
{
    score->total++;
    score->correct += answer->predicted == answer->answer;
    score->unparsed += answer->predicted < 0;
    score->mass += answer->mass;
}

static void finish_subject(struct mn_mmlu_score *score)
{
    double n = (double)score->total, p = (double)score->correct / n;
    score->accuracy = p;
    /* s^2 = n p (1-p) / (n-1), over n */
    score->standard_error = score->total > 1 ? sqrt(p * (1 - p) / (n - 1)) : NAN;
    score->mass /= n;
}

/* Sizes and variances of the subjects of a group (MN_MMLU_GROUPS: of all). */
static void pool(const struct mn_mmlu_scores *scores, int group, struct mn_mmlu_score *out)
{
    double squares = 0, freedom = 0, mass = 0;
    *out = (struct mn_mmlu_score){0};
    for (size_t i = 0; i < scores->subject_count; i++) {
        const struct mn_mmlu_score *score = &scores->subjects[i].score;
        double n = (double)score->total;
        if (group != MN_MMLU_GROUPS && (int)scores->subjects[i].group != group) continue;
        out->total += score->total;
        out->correct += score->correct;
        out->unparsed += score->unparsed;
        mass += score->mass * n;
        freedom += n - 1;
        if (score->total > 1)
            squares += (n - 1) * n * score->standard_error * score->standard_error;
    }
    double n = (double)out->total;
    out->accuracy = out->total ? (double)out->correct / n : NAN;
    out->mass = out->total ? mass / n : NAN;
    out->standard_error = freedom > 0 ? sqrt(squares / freedom / n) : NAN;
}

static void average(const struct mn_mmlu_scores *scores, struct mn_mmlu_score *out)
{
    double accuracy = 0, squares = 0, mass = 0, subjects = (double)scores->subject_count;
    *out = scores->micro;
    for (size_t i = 0; i < scores->subject_count; i++) {
        const struct mn_mmlu_score *score = &scores->subjects[i].score;
        accuracy += score->accuracy;
        squares += score->standard_error * score->standard_error;
        mass += score->mass;
    }
    out->accuracy = accuracy / subjects; /* NaN without subjects */
    out->standard_error = sqrt(squares) / subjects;
    out->mass = mass / subjects;
}

void mn_mmlu_aggregate(mn_arena *arena, const struct mn_mmlu_answer *answers, size_t count,
                       struct mn_mmlu_scores *out)
{
    *out = (struct mn_mmlu_scores){.subjects = MN_NEW(arena, struct mn_mmlu_subject_score, count)};
    for (size_t i = 0; i < count; i++) {
        struct mn_mmlu_subject_score *subject = find_subject(out, answers[i].subject);
        if (!subject) {
            subject = &out->subjects[out->subject_count++];
            subject->subject = answers[i].subject;
            subject->group = mn_mmlu_group_of(answers[i].subject);
        }
        count_answer(&subject->score, &answers[i]);
    }
    for (size_t i = 0; i < out->subject_count; i++) finish_subject(&out->subjects[i].score);
    for (int g = 0; g < MN_MMLU_GROUPS; g++) pool(out, g, &out->groups[g]);
    pool(out, MN_MMLU_GROUPS, &out->micro);
    average(out, &out->macro);
}

/* JSON has no NaN: what cannot be said is null. */
static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *score_json(const struct mn_mmlu_score *score)
{
    return json_pack("{s:I,s:I,s:I,s:o,s:o,s:o}", "total", (json_int_t)score->total, "correct",
                     (json_int_t)score->correct, "unparsed", (json_int_t)score->unparsed,
                     "accuracy", number(score->accuracy), "standard_error",
                     number(score->standard_error), "mass", number(score->mass));
}

json_t *mn_mmlu_scores_json(const struct mn_mmlu_scores *scores)
{
    json_t *groups = json_object(), *subjects = json_object();
    for (int g = 0; g < MN_MMLU_GROUPS; g++)
        if (scores->groups[g].total)
            json_object_set_new(groups, mn_mmlu_group_name((enum mn_mmlu_group)g),
                                score_json(&scores->groups[g]));
    for (size_t i = 0; i < scores->subject_count; i++) {
        json_t *subject = score_json(&scores->subjects[i].score);
        json_object_set_new(subject, "group",
                            json_string(mn_mmlu_group_name(scores->subjects[i].group)));
        json_object_set_new(subjects, scores->subjects[i].subject, subject);
    }
    return json_pack("{s:o,s:o,s:o,s:o}", "micro", score_json(&scores->micro), "macro",
                     score_json(&scores->macro), "groups", groups, "subjects", subjects);
}

static void print_row(const char *name, const struct mn_mmlu_score *score, FILE *out)
{
    fprintf(out, "%-38s %6lld %6.1f %%", name, (long long)score->total, 100 * score->accuracy);
    if (isfinite(score->standard_error))
        fprintf(out, " ± %4.1f", 100 * score->standard_error);
    else
        fprintf(out, "       ");
    if (isfinite(score->mass)) fprintf(out, " %7.1f %%", 100 * score->mass);
    fputc('\n', out);
}

void mn_mmlu_scores_print(const struct mn_mmlu_scores *scores, FILE *out)
{
    fprintf(out, "%-38s %6s %8s %6s %9s\n", "MMLU", "items", "accuracy", "error", "A-D mass");
    for (size_t i = 0; i < scores->subject_count; i++)
        print_row(scores->subjects[i].subject, &scores->subjects[i].score, out);
    for (int g = 0; g < MN_MMLU_GROUPS; g++)
        if (scores->groups[g].total)
            print_row(mn_mmlu_group_name((enum mn_mmlu_group)g), &scores->groups[g], out);
    print_row("all questions (micro)", &scores->micro, out);
    print_row("mean of subjects (macro)", &scores->macro, out);
    if (scores->micro.unparsed)
        fprintf(out, "%lld replies name no letter: counted as wrong\n",
                (long long)scores->micro.unparsed);
}
