/* report_format.h: how a number is written for people, in the terminal and in Markdown. */
#ifndef MINUANO_STUDY_REPORT_FORMAT_H
#define MINUANO_STUDY_REPORT_FORMAT_H

#include "minuano/report.h"

struct cell {
    char text[64];
};
struct cell cell_percent(double share);                           /* "61.3 %", "-" */
struct cell cell_interval(struct mn_interval of);                 /* "[55.0, 67.2]", in percent */
struct cell cell_points(double change);                           /* "+12.5", "-" */
struct cell cell_points_interval(const struct mn_change *change); /* "+12.5 [+3.0, +20.1]" */
struct cell cell_error(double standard_error);                    /* "± 1.2", "" */
struct cell cell_p(double p);                                     /* "0.031", "2e-15" */
struct cell cell_flips(const struct mn_change *change);           /* "14 / 2" */

struct cell cell_detectable(const struct mn_change *change); /* "3.1", "-" */

/* The sentence with each "{}" replaced by the next of values, as many as it has. */
const char *report_filled(mn_arena *arena, const char *sentence, const char *const *values);

/* The model as the config names it, without steps back: "a/configs/../model" is "a/model". */
const char *report_model(const struct mn_report *report, mn_arena *arena);

/* Something was asked of both: what an unfinished study has not come to is left out of tables. */
bool report_has_items(const struct mn_report_comparison *comparison);
bool report_stop_has_items(const struct mn_report_stop *stop);
/* That the study is not finished, and how far it is; NULL: it is. Lives in the arena. */
const char *report_unfinished(const struct mn_report *report, enum mn_language language,
                              mn_arena *arena);

/* What a reader must know to read the numbers, a line each, ends with NULL: missing databases, few
 * clusters, unparsed replies, items not done. Lives in the arena. */
const char **report_remarks(const struct mn_report *report, enum mn_language language,
                            mn_arena *arena);

/* Whether a change is more than chance: p below 0.05, and the interval, where there is one, leaves
 * out zero. 1 gain, -1 loss, 0 unclear. */
int report_clear(const struct mn_change *change);
/* "+80.0 points [+76.4, +83.5], a clear gain: won 128, lost 0, p 6e-39". NULL without
 * items. Lives in the arena. */
const char *report_sentence(const struct mn_change *change, enum mn_language language,
                            mn_arena *arena);
/* Of a subject: whether its change stands after Holm's correction. */
bool report_is_marked(const struct mn_change *change);

int report_miss(const struct mn_verdict *verdict); /* class of a miss */
/* In English, as in JSON and CSV: "wrong rows" for MN_SQL_NONE, "no rows" for MN_MISS_NO_ROWS. */
const char *report_miss_words(int miss);
bool report_has_spider(const struct mn_report *report); /* asked at all */
bool report_has_mmlu(const struct mn_report *report);
bool report_has_miss(const struct mn_report *report, int miss); /* of any system */
bool report_has_calibration(const struct mn_report *report);    /* of any system */

/* Which rule ended which training early, and what it looked at. At most PROBE_REMARKS a system;
 * returns how many. tables_probes.c */
enum { PROBE_REMARKS = 2 };
size_t report_probe_remarks(const struct mn_report *report, enum mn_language language,
                            mn_arena *arena, const char **out);

#endif
