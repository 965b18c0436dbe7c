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
struct cell cell_flips(const struct mn_change *change);           /* "+14 / -2" */

/* What a reader must know to read the numbers, a line each, ends with NULL: missing databases, few
 * clusters, unparsed replies, items not done. Lives in the arena. */
const char **report_remarks(const struct mn_report *report, enum mn_language language,
                            mn_arena *arena);

/* "wrong rows" for MN_SQL_NONE: the query ran. */
const char *report_miss_words(enum mn_sql_error error);

/* Sections on why queries miss, how sure the answers are, and what the tests could have found. */
void report_details_markdown(const struct mn_report *report, FILE *out);
void report_details_terminal(const struct mn_report *report, FILE *out);

#endif
