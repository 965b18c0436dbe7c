/* curves.h: a report's curves; private to host/study. */
#ifndef MINUANO_STUDY_CURVES_H
#define MINUANO_STUDY_CURVES_H

#include "minuano/report.h"

/* report.c: pairs of the items that both have, by the official metric, of a hardness
 * (MN_HARDNESSES: all), missing databases left out; and of all of MMLU. */
void report_compare_spider(const struct mn_report_system *base,
                           const struct mn_report_system *system, int hardness,
                           struct mn_change *out);
void report_compare_mmlu(const struct mn_report_system *base, const struct mn_report_system *system,
                         struct mn_change *out);

/* curves.c: fills report->curves from systems and points. */
void report_load_curves(mn_arena *arena, struct mn_report *report);

/* steps.c: fills the systems' steps. config is there. */
void report_load_steps(mn_arena *arena, struct mn_report *report);

#endif
